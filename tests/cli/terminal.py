"""What the command line does on a terminal, with signals, and in the shells it completes for."""
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
    text, deadline = b"", time.monotonic() + 20
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
    return process.wait(20), text


def test_bar(env):
    """a terminal gets a progress bar that is gone at the end"""
    code, text = on_terminal(env, "env", "pull", "debian:12")
    assert code == 0, code
    assert "\r  packages  " in text and "%" in text, text
    assert "\r\033[K\033[2m[pull] phase=ready" in text, text


def test_bar_rate(env):
    """the bar is redrawn at most ten times a second"""
    _, text = on_terminal(env, "env", "pull", "debian:12")
    assert 2 <= text.count("\r  packages") <= 6, text.count("\r  packages")


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
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number, process.returncode
        assert err.decode().startswith("pyro: the run was cancelled"), err


def test_second_signal(env):
    """a second SIGINT kills pyro when it does not end after the first"""
    process = run_and_signal(env, signal.SIGINT, "run", "debian:12", "--", "deaf")
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
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
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, process.returncode


def bash_completes(env, line):
    script = ('source <(pyro completion bash); COMP_LINE=$1; COMP_POINT=${#1}; '
              'compopt() { :; }; _pyro; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", line], env=env, capture_output=True,
                          timeout=20, check=True)
    assert not done.stderr, done.stderr
    return done.stdout.decode().split()


def test_bash(env):
    """bash completes commands, options and the names of environments"""
    assert bash_completes(env, "pyro env pu") == ["pull"]
    assert bash_completes(env, "pyro run debian:12 --time") == ["--timeout-seconds"]
    # bash takes what stands behind the colon for the word.
    assert bash_completes(env, "pyro env pull debian:") == ["12", "12-base"]
    assert "debian:12" in bash_completes(env, "pyro run ")
    assert bash_completes(env, "pyro run debian:12 -- --t") == []
    assert bash_completes(env, "pyro doctor --environment deb") == ["debian:12", "debian:12-base"]
    assert bash_completes(env, "pyro workspace file wr") == ["write"]
    # Files are what bash offers where the script offers nothing.
    assert bash_completes(env, "pyro workspace create --seed-path ") == []
    assert bash_completes(env, "pyro workspace patch apply w --patch-file ") == []
    assert bash_completes(env, "pyro workspace sync push w ") == []
    assert bash_completes(env, "pyro workspace sync push w --d") == ["--dest"]


def test_bash_values(env):
    """bash completes the names of workspaces, and takes no option for another one's value"""
    assert bash_completes(env, "pyro workspace exec ") == ["fix-é", "ws-longer"]
    assert bash_completes(env, "pyro workspace sync push ws-") == ["ws-longer"]
    assert bash_completes(env, "pyro workspace service stop fix-é ") != ["fix-é", "ws-longer"]
    assert bash_completes(env, "pyro workspace exec --t") == ["--timeout-seconds"]
    assert bash_completes(env, "pyro mcp serve --mode ") == []
    assert bash_completes(env, "pyro workspace create --network-policy ") == []
    assert "--profile" in bash_completes(env, "pyro mcp serve --mode inspect --")


def has(program):
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in ("/bin", "/usr/bin"))


def test_fish(env):
    """fish reads its script, and completes like bash where it is installed"""
    if not has("fish"):
        return
    def completes(line):
        done = subprocess.run(["fish", "-c", f"pyro completion fish | source; complete -C '{line}'"],
                              env=env, capture_output=True, timeout=20, check=True)
        assert not done.stderr, done.stderr
        return [row.split("\t")[0] for row in done.stdout.decode().splitlines()]
    assert completes("pyro env pu") == ["pull"]
    assert completes("pyro run debian:12 --time") == ["--timeout-seconds"]
    assert completes("pyro env pull deb") == ["debian:12", "debian:12-base"]
    assert completes(f"pyro workspace export w p --output {env['HOME']}/pyr") == [
        f"{env['HOME']}/pyro"]
    assert completes(f"pyro workspace sync push w {env['HOME']}/pyr") == [f"{env['HOME']}/pyro"]


def test_zsh(env):
    """zsh loads its script without a word where it is installed"""
    if not has("zsh"):
        return
    done = subprocess.run(["zsh", "-fc", "autoload -U compinit; compinit -u -d $HOME/.zd; "
                           "source <(pyro completion zsh); print $_comps[pyro]"],
                          env=env, capture_output=True, timeout=20, check=True)
    assert done.stdout == b"_pyro\n" and not done.stderr, done


def test_startup(env):
    """pyro --version starts in well under the blink of an eye"""
    times = []
    for _ in range(9):
        began = time.monotonic()
        subprocess.run(["pyro", "--version"], env=env, stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - began)
    assert sorted(times)[0] < 0.1, times
