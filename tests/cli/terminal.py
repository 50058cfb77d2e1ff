"""What the command line does on a terminal, and with signals."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time


def start(env, words, columns=80, **more):
    """Starts pyro with all three streams on a new terminal; returns (process, terminal)."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(["pyro", *words], env={**env, "TERM": "xterm-256color", **more},
                               stdin=side, stdout=side, stderr=side)
    os.close(side)
    return process, main


def read_all(main):
    text, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([main], [], [], 1)[0]:
            continue
        try:
            data = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        text += data
    os.close(main)
    return text.decode()


def on_terminal(env, *words, columns=80, **more):
    process, main = start(env, words, columns, **more)
    text = read_all(main)
    return process.wait(120), text


def test_bar(env):
    """a terminal gets a progress bar that is gone at the end"""
    code, text = on_terminal(env, "env", "pull", "debian:12")
    assert code == 0, code
    assert "\r  packages  " in text and "%" in text, text
    assert "\r\033[K\033[2m[pull] phase=ready" in text, text


def test_bar_rate(env):
    """the bar is redrawn at most ten times a second"""
    begun = time.monotonic()
    _, text = on_terminal(env, "env", "pull", "debian:12")
    most = 3 + 10 * (time.monotonic() - begun)
    assert 2 <= text.count("\r  packages") <= most, (text.count("\r  packages"), most)


def test_bar_width(env):
    """the bar fits the terminal, however narrow"""
    for columns in (20, 40, 60, 200):
        _, text = on_terminal(env, "env", "pull", "debian:12", columns=columns)
        for drawn in re.findall(r"\r  packages[^\r]*", text):
            visible = re.sub(r"\033\[[0-9;]*[mK]", "", drawn).lstrip("\r")
            assert len(visible) < columns, (columns, visible)


def test_bar_off(env):
    """a dumb terminal gets no bar and no escape sequences"""
    _, text = on_terminal(env, "env", "pull", "debian:12", TERM="dumb")
    assert "\033" not in text and "packages  " not in text, text
    assert "[pull] phase=ready" in text, text


def test_colour(env):
    """verdicts are coloured on a terminal, and not with NO_COLOR"""
    _, text = on_terminal(env, "doctor")
    assert "\033[32mPASS\033[0m" in text, text
    _, text = on_terminal(env, "doctor", NO_COLOR="1")
    assert "\033[" not in text and "PASS" in text, text


def test_list_width(env):
    """a list of workspaces fits 80 columns, without what matters least, and is whole where there is room"""
    _, text = on_terminal(env, "workspace", "list", NO_COLOR="1")
    assert all(len(line) <= 80 for line in text.split("\r\n")), text
    assert text.startswith("NAME   WORKSPACE ID  STATE    ENVIRONMENT  ACTIVE     EXPIRES\r\nfix-"), text
    _, text = on_terminal(env, "workspace", "list", columns=200, NO_COLOR="1")
    assert "SERVICES" in text and "issue=42, team=core" in text, text


def test_diff(env):
    """a diff is coloured on a terminal, and what it holds never moves the cursor"""
    _, text = on_terminal(env, "workspace", "diff", "fix")
    assert "\033[36m@@ -1 +1 @@\033[0m\r\n same\r\n\033[31m-old\033[0m" in text, text
    assert "\033[31m--- gone\033[0m\r\n\033[32m+\tnew" in text, text
    assert "GIT binary patch\r\nliteral 1\r\n+cmZ\r\n" in text, text
    assert "\033[2J" not in text, text
    _, text = on_terminal(env, "workspace", "diff", "fix", NO_COLOR="1")
    assert "\033[2J" not in text and "\033[36m" not in text and "+\tnew" in text, text


def test_file_read(env):
    """a file is shown on a terminal if it is text; the line about it begins anew"""
    _, text = on_terminal(env, "workspace", "file", "read", "fix", "notes")
    assert text.startswith("text\r\nwithout end\r\n[/workspace/notes"), text
    for more in ([], ["--content-only"]):
        _, text = on_terminal(env, "workspace", "file", "read", "fix", "binary", *more)
        assert "It is not text" in text and "\x01" not in text, text


def test_no_colour_bar(env):
    """with NO_COLOR the bar is drawn without colour"""
    _, text = on_terminal(env, "env", "pull", "debian:12", NO_COLOR="1")
    assert "\r  packages  " in text and "m" not in re.findall(r"\033\[[0-9;]*(\w)", text), text


def test_unended(env):
    """on a terminal the last line of pyro does not stick to the guest's"""
    _, text = on_terminal(env, "run", "debian:12", "--", "unended")
    assert "no newline\r\n\033[2m[run] environment=" in text, text


def test_terminal_input(env):
    """a terminal on standard input is not passed to the command"""
    _, text = on_terminal(env, "run", "debian:12", "--", "input")
    assert "no input" in text, text


def run_and_signal(env, number, *words):
    process = subprocess.Popen(["pyro", *words], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert b"phase=create" in process.stderr.readline()
    while b"phase=execute" not in process.stderr.readline():
        pass
    process.send_signal(number)
    return process


def test_signals(env):
    """SIGINT, SIGTERM and SIGHUP cancel, and the exit code is 128 + the signal's number"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = run_and_signal(env, number, "run", "debian:12", "--", "wait")
        _, err = process.communicate(timeout=120)
        assert process.returncode == 128 + number, process.returncode
        assert err.decode().startswith("pyro: the run was cancelled"), err


def caught(process):
    """The signals that it catches, a bit for each."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"SigCgt:\s*(\w+)", status.read())[1], 16)


def test_second_signal(env):
    """a second SIGINT kills pyro when it does not end after the first"""
    process = run_and_signal(env, signal.SIGINT, "run", "debian:12", "--", "deaf")
    while caught(process) & 1 << signal.SIGINT - 1:  # the first one makes way for a second
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT, process.returncode


def test_nohup(env):
    """a signal that was ignored before pyro started stays ignored"""
    process = subprocess.Popen(["bash", "-c", "trap '' HUP; exec pyro run debian:12 -- wait"],
                               env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    while b"phase=execute" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, process.returncode
