"""Shells: terminal sessions that live over calls, read by cursor, attached to, and ended."""
import fcntl
import hashlib
import os
import pty
import random
import struct
import subprocess
import termios
import threading
import time

from lab import PATIENCE_S, eventually, kill

PROMPT = "/workspace # "
KEPT = 1024 * 1024


class Shell:
    """A shell of a workspace, and the calls about it."""

    def __init__(self, ws, *options):
        self.ws, self.record = ws, ws("shell open", *options)
        self.id, self.cursor = self.record["shell_id"], 0

    def __call__(self, command, *words, **more):
        return self.ws(f"shell {command}", self.id, *words, **more)

    def error(self, command, *words, **more):
        return self.ws.error(f"shell {command}", self.id, *words, **more)

    def type(self, text, *options):
        return self("write", "--input", text, *options)

    def read(self, cursor=0, *options):
        return self("read", "--cursor", str(cursor), *options)

    def follow(self, idle_ms=200):
        """What is new, once it has settled."""
        result = self.read(self.cursor, "--wait-for-idle-ms", str(idle_ms))
        self.cursor = result["next_cursor"]
        return result["output"]

    def until(self, text):
        """Reads on, up to the end of the text; returns what was read."""
        begun, seen = self.cursor, []

        def look():
            seen.append(self.follow(0))
            return text in "".join(seen)
        eventually(look, PATIENCE_S, f"{text}: {seen}")
        found = "".join(seen).partition(text)[0] + text
        self.cursor = begun + len(found.encode())
        return found

    def run(self, line):
        """Types a line and waits for the prompt behind what it prints; returns that."""
        self.follow(0)
        self.type(line)
        out = self.until("\r\n") and self.until(PROMPT)
        return out.removesuffix(PROMPT).replace("\r", "")


def rings(ws):
    try:
        return sorted(os.listdir(f"{ws.dir()}/shells"))
    except FileNotFoundError:
        return []


def ids(ws):
    return [row["shell_id"] for row in ws("shell list")["shells"]]


# One shell


def test_shell(lab):
    """a shell is bash on a terminal with a plain prompt, keeps its state, and is listed"""
    ws, begun = lab.workspace(), time.time()
    ws.sh("mkdir -p /workspace/d")
    shell = Shell(ws, "--cwd", "d", "--cols", "100", "--rows", "40")
    assert shell.record["state"] == "running" and shell.record["cwd"] == "/workspace/d"
    assert (shell.record["cols"], shell.record["rows"]) == (100, 40), shell.record
    assert shell.record["ended_at"] is None and shell.record["exit_code"] is None, shell.record
    assert begun <= shell.record["started_at"] <= time.time(), shell.record
    assert shell.until("# ") == "/workspace/d # "
    shell.type("cd ..; x=7")
    shell.until(PROMPT)
    assert shell.run("echo $x $TERM ${BASH_VERSION%%.*} $PWD; stty size; tty") == \
        "7 xterm-256color 5 /workspace\n40 100\n/dev/pts/0\n"
    assert ws("shell list") == {"workspace_id": ws.id, "count": 1, "shells": [shell.record]}
    assert ws("status")["running_shell_count"] == 1
    assert shell("close")["state"] == "stopped"
    assert ids(ws) == [] and rings(ws) == [] and ws("status")["running_shell_count"] == 0
    error = shell.error("read", about=shell.id)
    assert error["code"] == "not_found" and f"shell list {ws.id}" in error["hint"], error
    ws.delete()


def test_shell_open_refused(lab):
    """a directory that does not exist, or a size that is none, opens nothing"""
    ws = lab.workspace()
    assert ws.error("shell open", "--cwd", "/nope", about="/nope")["code"] == "not_found"
    ws.error("shell open", "--cols", "1001", about="cols")
    ws.error("shell open", "--secret-env", "TOKEN", about="TOKEN")
    assert ids(ws) == [] and rings(ws) == []
    ws("stop")
    assert ws.error("shell open", about="stopped")["code"] == "bad_state"
    ws.delete()


def test_shell_signal(lab):
    """a signal goes to what runs in the foreground, and the shell lives on"""
    ws = lab.workspace()
    shell = Shell(ws)
    for name, code in (("INT", 130), ("TERM", 143), ("KILL", 137), ("HUP", 129)):
        shell.until(PROMPT)
        shell.type("cat; echo code $?")
        eventually(lambda: ws.sh("pgrep -x cat; true"), 120, "it runs in the foreground")
        assert shell("signal", "--signal", name)["state"] == "running"
        assert name == "INT" or shell.until(f"code {code}")
    assert shell.error("signal", "--signal", "STOP")["code"] == "invalid_argument"
    shell.until(PROMPT)
    shell("signal", "--signal", "KILL")
    eventually(lambda: shell.read()["state"] == "stopped", 120, "the shell itself is killed")
    assert shell.read()["exit_code"] == 137
    ws.delete()


def test_shell_exit(lab):
    """a shell that ended can still be read, takes no input, and says what to do"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.type("exit 3")
    # The end of the shell ends the wait, or its output would be all.
    result = shell.read(0, "--wait-for-idle-ms", "10000")
    assert (result["state"], result["exit_code"]) == ("stopped", 3), result
    assert "exit 3" in result["output"] and shell.read()["output"] == result["output"]
    record = ws("shell list")["shells"][0]
    assert record["exit_code"] == 3 and record["ended_at"] >= record["started_at"], record
    for call in (("write", "--input", "x"), ("signal",)):
        error = shell.error(*call, about="has ended")
        assert error["code"] == "bad_state" and f"shell list {ws.id}" in error["hint"], error
    assert shell("close")["exit_code"] == 3
    ws.delete()


def test_shell_close(lab):
    """close ends everything that the shell started, also what ignores hang-ups and left it"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    shell.type("nohup sh -c 'trap \"\" HUP TERM; sleep 7777' & setsid sleep 7777 & "
               "(trap '' HUP INT TERM; sleep 7777)")
    eventually(lambda: ws.sh("pgrep -cfx 'sleep 7777'; true") == "3\n", 120, "they run")
    assert shell("close")["state"] == "stopped"
    assert ws.sh("for f in /proc/[0-9]*/comm; do cat $f 2>/dev/null; done | grep -c sleep; true") \
        == "0\n"
    ws.delete()


# Output


def test_shell_cursor(lab):
    """output is read by cursor, in any pieces, without splitting a character"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    assert shell.run("printf 'a\\303\\244\\342\\202\\254\\360\\237\\230\\200z\\n'") == "aä€😀z\n"
    all_of_it = shell.read()
    assert all_of_it["cursor"] == all_of_it["skipped_bytes"] == 0 and not all_of_it["truncated"]
    pieces, cursor = [], 0
    while True:
        part = shell.read(cursor, "--max-chars", "3")
        assert part["cursor"] == cursor and len(part["output"]) <= 3, part
        pieces.append(part["output"])
        cursor = part["next_cursor"]
        if not part["truncated"]:
            break
    assert "".join(pieces) == all_of_it["output"] and cursor == all_of_it["next_cursor"]
    end = shell.read(cursor)
    assert end["output"] == "" and end["next_cursor"] == cursor, end
    error = shell.error("read", "--cursor", str(cursor + 1), about="behind the end")
    assert error["code"] == "invalid_argument", error
    ws.delete()


def test_shell_split(lab):
    """half a character waits for its rest, and what is no character is replaced"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    shell.type("stty -echo; printf 'A\\303'; read x; printf '\\244B\\377C\\n'; exec printf '\\303'")
    shell.until("\r\n")
    shell.until("A")
    time.sleep(0.2)
    part = shell.read(shell.cursor)
    assert part["output"] == "" and not part["truncated"], part
    shell.type("")
    eventually(lambda: shell.read()["state"] == "stopped", 120, "the end")
    assert "äB\ufffdC" in shell.read(shell.cursor)["output"]
    assert shell.read()["output"].endswith("\ufffd"), "at the end, half a character is all"
    ws.delete()


def test_shell_fallen_out(lab):
    """the last MiB is kept, and a read of what is not says how much is missing"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    shell.type("stty -onlcr; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done")
    eventually(lambda: shell.read(0)["skipped_bytes"] > 1900000, 120, "it is printed")
    eventually(lambda: "done" in shell.follow(), 120, "all of it")
    read = shell.read(100)
    assert read["cursor"] == read["skipped_bytes"] + 100, read["cursor"]
    assert read["cursor"] == shell.cursor - KEPT and read["truncated"], (read["cursor"], shell.cursor)
    assert read["output"] == "x" * 65536 and read["next_cursor"] == read["cursor"] + 65536
    whole = shell.read(read["cursor"], "--max-chars", str(KEPT))
    assert whole["next_cursor"] == shell.cursor and len(whole["output"]) == KEPT
    assert os.path.getsize(f"{ws.dir()}/shells/{shell.id}") < 2 * KEPT
    ws.delete()


def test_shell_idle(lab):
    """wait_for_idle returns when output has settled: all of a batch that comes in steps"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    begun = time.monotonic()
    shell.type("for i in 1 2 3 4 5; do sleep 0.2; echo step $i; done")
    out = shell.follow(6000)
    assert "step 5" in out and time.monotonic() - begun > 6.9, out
    begun = time.monotonic()
    assert shell.follow(300) == "" and time.monotonic() - begun >= 0.3
    ws.delete()


def test_shell_never_idle(lab):
    """output that never settles ends a wait after 30 seconds"""
    ws = lab.workspace("--ttl-seconds", "300")
    shell = Shell(ws)
    shell.type("while :; do echo tick; sleep 0.1; done")
    shell.until("tick\r\n")
    begun = time.monotonic()
    assert "tick" in shell.follow(10000)
    assert time.monotonic() - begun > 29
    ws.delete()


test_shell_never_idle.is_patient = True


def test_shell_input(lab):
    """much input arrives whole, and is refused when nobody takes it"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    shell.type("stty -echo -icanon; echo ready; head -c 300000 | sha256sum; stty sane")
    shell.until("ready\r\n")
    for letter in "abc":
        assert shell.type(letter * 100000, "--no-newline")["input_bytes"] == 100000
    shell.until(hashlib.sha256(b"".join(c * 100000 for c in (b"a", b"b", b"c"))).hexdigest())
    shell.until(PROMPT)
    shell.type("sleep 1000")
    for _ in range(60):
        words = ws.words("shell write", shell.id, "--input", "x" * 100000)
        done = lab.call(*words, code=(0, 125))
        if done.code:
            break
    assert "does not take its input" in done.err, done
    assert shell.error("signal", about="does not take its input")["code"] == "busy"
    assert shell("close")["state"] == "stopped"
    eventually(lambda: "sleep" not in ws.sh("cat /proc/[0-9]*/comm 2>/dev/null; true"), 120, "gone")
    ws.delete()


def test_shell_plain(lab):
    """plain shows what a person would see, and its cursors are those of the raw stream"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    shell.type("printf 'one\\rONE\\033[1mbold\\033[m\\nab\\b\\bxy\\n 50%%\\r100%%\\n'")
    shell.until(f"\n{PROMPT}")
    raw, plain = shell.read(), shell.read(0, "--plain")
    assert plain["plain"] and plain["next_cursor"] == raw["next_cursor"], (raw, plain)
    assert [line.rstrip() for line in plain["output"].split("\n")][1:] == \
        ["ONEbold", "xy", "100%", PROMPT.rstrip()], plain
    middle = raw["output"].index("bold")
    part = shell.read(middle, "--plain")
    assert part["cursor"] == middle and "\x1b" not in part["output"], part
    assert "xy" in part["output"] and "printf" not in part["output"], part
    ws.delete()


# Many


def test_shells_together(lab):
    """64 shells run at once, each with its own output; one more is refused"""
    ws = lab.workspace("--mem-mib", "1024")
    shells = [None] * 64

    def use(i):
        shells[i] = Shell(ws)
        shells[i].type(f"echo $((1000 + {i})) {i}")
        shells[i].until(f"\n{1000 + i} {i}\r\n")
    threads = [threading.Thread(target=lambda n=n: [use(i) for i in range(n, 64, 4)])
               for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in shells and len(set(ids(ws))) == 64
    error = ws.error("shell open", about="64")
    assert error["code"] == "limit_exceeded" and "shell close" in error["hint"], error
    for i in random.sample(range(64), 8):
        assert f"{1000 + i} {i}" in shells[i].read()["output"]
    shells[5]("close")
    Shell(ws)
    assert len(ids(ws)) == 64 and sorted(ids(ws)) == rings(ws)
    assert ws("status")["running_shell_count"] == 64
    ws.delete()


def test_shell_client_killed(lab):
    """a client that is killed at any moment leaves a shell or none, and the rest as it was"""
    ws = lab.workspace()
    shell, rng = Shell(ws), random.Random(7)
    shell.until(PROMPT)
    calls = (("shell open",), ("shell read", shell.id, "--wait-for-idle-ms", "5000"),
             ("shell write", shell.id, "--input", "true"), ("shell signal", shell.id),
             ("shell list",))
    for i in range(40):
        call = lab.start(*ws.words(*calls[i % len(calls)]))
        time.sleep(rng.random() * 0.02)
        call.process.kill()
        call.end()
    eventually(lambda: sorted(ids(ws)) == rings(ws), 120, "as many records as rings")
    shell.type("echo settle$((1))")
    shell.until("settle1\r\n")
    shell.until(PROMPT)
    assert shell.run("echo alive") == "alive\n"
    others = [one for one in ids(ws) if one != shell.id]
    for one in others:
        call = lab.start(*ws.words("shell close", one))
        time.sleep(rng.random() * 0.02)
        call.process.kill()
        call.end()
    eventually(lambda: sorted(ids(ws)) == rings(ws), 120, "as many records as rings")
    for one in ids(ws):
        ws("shell close", one, code=(0, 125))  # the one of a client that was killed may come first
    eventually(lambda: ids(ws) == [] and rings(ws) == [], 120, "no shell is left")
    ws.delete()


def test_shell_ends(lab):
    """stop, reset and the supervisor's death end every shell, and a read that waits hears of it"""
    ws = lab.workspace()
    for end in ("stop", "reset", "killed", "machine"):
        shell = Shell(ws)
        shell.until(PROMPT)
        shell.type("while :; do echo tick; sleep 0.1; done")
        shell.until("tick\r\n")
        waiting = lab.start(*ws.words("shell read", shell.id, "--wait-for-idle-ms", "9000"))
        time.sleep(0.3)
        if end in ("stop", "reset"):
            ws(end)
        else:
            kill(lab.supervisor() if end == "killed" else lab.qemu())
        # A stop kills the shell, whose end is the answer unless that of the machine comes first.
        done = waiting.end()
        assert done.code == 125 or (end == "stop" and done.code == 0), (end, done)
        eventually(lambda: ids(ws) == [] and rings(ws) == [], 120, f"none after {end}")
        if end != "reset":
            shell.error("read", code=125)
            ws("start")
        assert shell.error("read", about="has no shell")["code"] == "not_found"
        assert ws("status")["running_shell_count"] == 0
    Shell(ws)
    ws.delete()


def test_shell_activity(lab):
    """typing is activity and reading is none; the summary tells of shells that are open"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    before = ws("status")["last_activity_at"]
    shell.read()
    ws("shell list")
    assert ws("status")["last_activity_at"] == before
    shell.type("true")
    after = ws("status")["last_activity_at"]
    assert after > before
    summary = ws("summary")
    assert [one["shell_id"] for one in summary["shells"]] == [shell.id], summary["shells"]
    assert summary["edits"] == [] and ws("diff")["changed"] is False
    shell("close")
    assert ws("status")["last_activity_at"] > after and ws("summary")["shells"] == []
    ws.delete()


def test_shell_secrets(lab):
    """a secret never shows: not printed, not typed in pieces, not at the end of what is printed"""
    value = "correct-horse-battery"
    ws = lab.workspace("--secret", f"TOKEN={value}")
    shell = Shell(ws, "--secret-env", "TOKEN=MINE")
    shell.until(PROMPT)
    assert shell.run("cat /run/pyro-secrets/TOKEN; echo; echo $MINE | tr a-z A-Z") == \
        f"[REDACTED]\n{value.upper()}\n"
    person = Terminal(lab, ws, cols=120, rows=30)  # who is quick, or a pause shows what was held
    person.until(PROMPT.encode())
    for piece in (b"echo '", b"correct", b"-horse-", b"bat", b"tery'", b"\r"):
        person.type(piece)
        time.sleep(0.01)
    shell.until(f"\n{PROMPT}")
    person.type(b"\x1d")
    assert person.end() == 0 and value.encode() not in person.seen, person.seen
    shell.type(f"printf %s {value}; exit")
    eventually(lambda: shell.read()["state"] == "stopped", 120, "the end")
    everything = shell.read(0, "--max-chars", "100000")["output"]
    assert value not in everything and everything.count("[REDACTED]") >= 4, everything
    with open(f"{ws.dir()}/shells/{shell.id}", "rb") as file:
        kept = file.read()
    assert value.encode() not in kept and b"correct-horse" not in kept
    ws.delete()


def test_shell_secrets_plain(lab):
    """a secret that escape sequences keep apart, as grep marks what it finds, is not put together"""
    value = "correct-horse-battery"
    ws = lab.workspace("--secret", f"TOKEN={value}")
    shell = Shell(ws)
    shell.run("grep --color=always horse /run/pyro-secrets/TOKEN; echo found | tr a-z A-Z")
    plain = shell.read(0, "--plain")["output"]
    assert "FOUND" in plain and "[REDACTED]" in plain and value not in plain, plain
    ws.delete()



# Attaching


class Terminal:
    """pyro workspace shell attach on a terminal of its own."""

    def __init__(self, lab, ws, *words, cols=90, rows=20):
        self.master, slave = pty.openpty()
        self.resize(cols, rows)
        self.process = subprocess.Popen(
            [*lab.pyro, "workspace", "shell", "attach", ws.id, *words], env=lab.env, stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = b""
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        try:
            while data := os.read(self.master, 65536):
                self.seen += data
        except OSError:  # the other end is closed
            pass

    def resize(self, cols, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, data):
        os.write(self.master, data)

    def until(self, text):
        eventually(lambda: text in self.seen, PATIENCE_S, f"{text}: {self.seen[-500:]}")

    def end(self):
        code = self.process.wait(PATIENCE_S)
        self.thread.join(10)
        os.close(self.master)
        return code


def test_shell_attach(lab):
    """attach shows the screen, passes keys and sizes, detaches with Ctrl-], ends with the shell"""
    ws = lab.workspace()
    shell = Shell(ws)
    shell.until(PROMPT)
    shell.run("echo was here")
    one = Terminal(lab, ws)
    one.until(b"was here")
    one.type(b"stty size; echo on$((1))e\r")
    one.until(b"on1e")
    assert b"20 90" in one.seen, one.seen
    one.resize(70, 33)
    eventually(lambda: ws("shell list")["shells"][0]["cols"] == 70, 120, "the new size")
    one.type(b"stty size\r")
    one.until(b"33 70")
    two = Terminal(lab, ws, shell.id, cols=70, rows=33)
    two.until(b"33 70")
    two.type(b"echo both$((2))\r")
    one.until(b"both2")
    two.until(b"both2")
    one.type(b"tail\x1d")
    assert one.end() == 0 and b"goes on" in one.seen, one.seen
    shell.until("tail")
    two.type(b"\x03")
    shell.until("^C")
    shell.until(PROMPT)
    two.process.kill()
    two.end()
    assert shell.run("echo alive") == "alive\n"
    three = Terminal(lab, ws)
    three.until(b"alive")
    three.type(b"exit 5\r")
    assert three.end() == 5, three.seen
    assert shell.read()["exit_code"] == 5
    ws.delete()


def test_shell_attach_opens(lab):
    """attach without a shell opens one, of the terminal's size; a flood in it can be left"""
    ws = lab.workspace()
    one = Terminal(lab, ws, cols=77, rows=22)
    one.until(PROMPT.encode())
    record = ws("shell list")["shells"][0]
    assert (record["cols"], record["rows"]) == (77, 22), record
    one.type(b"yes 12345678\r")
    one.until(b"12345678\r\n" * 1000)
    one.type(b"\x1d")
    assert one.end() == 0
    assert ws("shell close", record["shell_id"])["state"] == "stopped"
    ws.delete()


# Without a guest


def test_shell_host_compat(lab):
    """a shell works in the same way on the host"""
    path = f"{lab.dir}/path"
    os.mkdir(path)
    for folder in ("/bin", "/usr/bin", "/usr/sbin"):
        for name in os.listdir(folder):
            if name != "qemu-system-x86_64" and not os.path.lexists(f"{path}/{name}"):
                os.symlink(f"{folder}/{name}", f"{path}/{name}")
    lab.env["PATH"] = path
    ws = lab.workspace("--allow-host-compat")
    shell = Shell(ws)
    shell.until("# ")
    shell.type("stty size; echo $TERM; nohup sleep 7654 >/dev/null 2>&1 & echo pid=$!.")
    shell.until("\r\n")
    pid = shell.until(".\r\n").rsplit("pid=", 1)[1].split(".")[0]
    assert "30 120" in shell.read()["output"] and "xterm-256color" in shell.read()["output"]
    assert os.path.exists(f"/proc/{pid}")
    shell.type("sh -c 'echo up$((1)); exec cat'")
    shell.until("up1\r\n")
    shell("signal")
    shell.until("# ")
    assert shell("close")["state"] == "stopped"
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), 120, "its children are gone")
    ws.delete()
