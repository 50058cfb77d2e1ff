"""The server as a program: its words, its streams, and whatever comes in on them. No calls, or on
the host only."""
import json
import os
import random
import signal
import subprocess
import threading
import time

from client import PATIENCE_S, Server, eventually, failure, structured

LINE_MAX = 10 * 1024 * 1024
PING = b'{"jsonrpc":"2.0","id":"p","method":"ping"}'


def test_words(lab):
    """words that it does not know, and such that contradict each other, are errors that help"""
    for words, message, hint in (
            (("--profile", "x"), "there is no profile 'x'",
             "hint: one of: vm-run, workspace-core, workspace-full\n"),
            (("--mode", "x"), "there is no mode 'x'",
             "hint: one of: repro-fix, inspect, cold-start, review-eval\n"),
            (("--mode", "inspect", "--profile", "vm-run"), "exclude each other",
             "hint: leave out one of --mode inspect and --profile vm-run\n"),
            (("--environment", "debian:1"), "'debian:1'", ""),
            (("--project-path", ".", "--no-project-source"), "exclude each other",
             "hint: give one of them, or none inside a Git checkout\n"),
            (("--project-path", ".", "--repo-url", "x"), "exclude each other", ""),
            (("--repo-ref", "main"), "--repo-ref", "hint: add --repo-url URL\n"),
            (("--profile",), "--profile needs a value", "hint: pyro mcp serve --help\n"),
            (("--profiles", "vm-run"), "no option '--profiles'", "")):
        done = lab.call("mcp", "serve", *words, code=125 if "--environment" in words else 2)
        assert message in done.err and done.err.endswith(hint) and not done.out, done
    done = lab.call("mcp", "serve", "--help", code=0)
    assert "vm-run" in done.out and not done.err, done


def test_no_side_effects(lab):
    """a host that only looks leaves no trace on disk"""
    server = Server(lab)
    server.request(0, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                     "clientInfo": {"name": "x", "version": "1"}})
    server.reply()
    server.request(1, "tools/list")
    server.reply()
    assert server.close() == []
    assert not os.listdir(lab.env["HOME"]) and not os.path.exists(lab.state)


def test_any_bytes(lab):
    """whatever bytes come, the server answers what it can and lives"""
    server = Server(lab)
    noise = random.Random(1)
    lines = [bytes(noise.randrange(256) for _ in range(200)).replace(b"\n", b"") for _ in range(50)]
    lines += [b"\xff\xfe", b"\0" * 9, b'"' + b"\xc3" + b'"', b"[" * 100000, b'{"a":' * 100000,
              b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', b'"\\ud800"', b"1" * 5000,
              b'{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"ping"}',
              b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', b"\xef\xbb\xbf" + PING]
    for line in lines:
        server.write(line + b"\n")
        reply = server.reply()
        assert reply["id"] is None and reply["error"]["code"] in (-32700, -32600), reply
    server.write(b"\n \t\r\n" + PING + b"\r\n")
    assert server.reply()["id"] == "p"
    assert server.close() == []


def test_nul(lab):
    """a NUL in an argument is refused, not taken for the end"""
    server = Server(lab)
    server.run("a\0b", "echo a\0b")
    reply = server.reply()
    assert reply["id"] == "a\0b" and "NUL" in failure(reply)["message"], reply
    assert server.close() == []


def test_long_line(lab):
    """a line over 10 MiB is refused once; one just below is read"""
    server = Server(lab)
    server.write(b"x" * (LINE_MAX + 1))
    assert server.reply()["error"]["code"] == -32700
    server.write(b"y" * LINE_MAX + b"\n" + PING + b"\n")
    assert server.reply()["id"] == "p"
    padding = b" " * (LINE_MAX - len(PING))
    server.write(padding + PING + b"\n")
    assert server.reply()["id"] == "p"
    assert server.close() == []


def test_pieces(lab):
    """messages that come in pieces, cut anywhere, are whole again"""
    server = Server(lab)
    data = '{"jsonrpc":"2.0","id":"é€𝄞","method":"ping"}\n'.encode()
    for byte in data:
        server.write(bytes([byte]))
    assert server.reply()["id"] == "é€𝄞"
    server.write(PING + b"\n" + PING)
    server.process.stdin.close()
    assert [message["id"] for message in server.rest()] == ["p", "p"]
    assert server.wait() == 0


def test_files(lab):
    """the streams may be files"""
    with open(f"{lab.dir}/in", "wb") as text:
        text.write(PING + b"\n" + PING + b"\n")
    with open(f"{lab.dir}/in", "rb") as source, open(f"{lab.dir}/out", "wb") as target:
        lab.call("mcp", "serve", "--profile", "vm-run", stdin=source, stdout=target, code=0)
    with open(f"{lab.dir}/out", encoding="utf-8") as text:
        assert [json.loads(line)["id"] for line in text] == ["p", "p"]


def test_closed_streams(lab):
    """without standard streams it ends at once"""
    for stream in (0, 1, 2):
        process = subprocess.Popen([*lab.pyro, "mcp", "serve", "--profile", "vm-run"], env=lab.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda number=stream: os.close(number))
        assert process.wait(PATIENCE_S) == 0


def test_terminal(lab):
    """who starts it at a terminal is told what it waits for, and it ends with Ctrl-D"""
    master, slave = os.openpty()
    server = Server(lab, stdin=slave)
    os.close(slave)
    eventually(lambda: b"waiting for a chat host" in server.err, 120, "no word of what it waits for")
    os.write(master, b"\x04")
    assert server.wait() == 0 and b"pyro host connect" in server.err and server.rest() == []
    os.close(master)


def test_slow_reader(lab):
    """a host that writes much before it reads gets every reply, in order, in bounded memory"""
    count = 10000
    process = subprocess.Popen([*lab.pyro, "mcp", "serve", "--profile", "vm-run"], env=lab.env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def write():
        for id_ in range(count):
            process.stdin.write(b'{"jsonrpc":"2.0","id":%d,"method":"tools/list"}\n' % id_)
            process.stdin.flush()
    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(1)
    for id_ in range(count):
        assert json.loads(process.stdout.readline())["id"] == id_
    with open(f"/proc/{process.pid}/status", encoding="ascii") as text:
        peak = next(int(line.split()[1]) for line in text if line.startswith("VmHWM"))
    writer.join()
    process.stdin.close()
    assert process.wait(PATIENCE_S) == 0
    assert "asan" in lab.pyro[0] or peak < 30 * 1024, f"{peak} KiB"


def test_no_reader(lab):
    """a host that no longer reads is as good as gone"""
    process = subprocess.Popen([*lab.pyro, "mcp", "serve", "--profile", "vm-run"], env=lab.env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.close()
    process.stdin.write(PING + b"\n")
    process.stdin.flush()
    assert process.wait(PATIENCE_S) == 0
    process.stdin.close()


def test_blocked_reader(lab):
    """TERM ends it though nobody takes its output"""
    process = subprocess.Popen([*lab.pyro, "mcp", "serve", "--profile", "vm-run"], env=lab.env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for _ in range(100):
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n')
    process.stdin.flush()
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
    process.stdin.close()
    process.stdout.close()


def test_queue(lab):
    """more calls than run at once wait for their turn; far too many are refused"""
    server = Server(lab)
    for id_ in range(8):
        server.run(id_, "sleep 1000", timeout_seconds=600)
    for id_ in range(8, 64):
        server.run(id_, f"echo {id_}", token=id_)
    server.run(64, "true")
    assert failure(server.reply())["code"] == "busy"
    server.notify("notifications/cancelled", {"requestId": 20})
    for id_ in range(8):
        server.notify("notifications/cancelled", {"requestId": id_})
    replies = server.replies(55)
    assert set(replies) == set(range(8, 64)) - {20}, {
        id_: reply for id_, reply in replies.items() if id_ < 8}
    assert all(structured(reply)["stdout"] == f"{id_}\n" for id_, reply in replies.items())
    assert server.close() == []


def test_end_with_queue(lab):
    """the end of the input drops what still waits"""
    server = Server(lab)
    for id_ in range(20):
        server.run(id_, "sleep 1000", timeout_seconds=600)
    server.ping()
    assert server.close() == []


def test_descriptors(lab):
    """the host's streams are the server's alone, and stray output of it goes to its stderr"""
    server = Server(lab)
    server.run(0, "sleep 1000", token=0, timeout_seconds=600)
    server.await_phase(0, "execute")
    ours = {os.fstat(stream.fileno()).st_ino for stream in
            (server.process.stdin, server.process.stdout)}
    one, two = (os.stat(f"/proc/{server.pid}/fd/{number}").st_ino for number in (1, 2))
    assert one == two
    others = [pid for pid in eventually(lambda: lab.pids("sleep"), 120, "the command runs")
              + lab.pids("pyro") if pid != server.pid]
    assert len(others) >= 3, others
    for pid in others:
        held = {os.stat(f"/proc/{pid}/fd/{fd}").st_ino for fd in os.listdir(f"/proc/{pid}/fd")}
        assert not ours & held, pid
    assert server.close() == []
