"""Commands that outlast the call that began them: waits that run out, waits from elsewhere, logs in
parts."""
import signal
import threading
import time

from lab import PATIENCE_S, Workspace, eventually, kill, open_files


def begin(ws, command, *options, wait="1", timeout="100"):
    """Begins a command and leaves it; returns the record of the wait that ran out."""
    record = ws("exec", "--wait-seconds", wait, "--timeout-seconds", timeout, *options, "--",
                command, code=124)
    assert (record["state"], record["exit_code"], record["timed_out"]) == ("running", None, False)
    assert record["next_step"] == f"pyro workspace wait {ws.id} {record['sequence']}", record
    return record


def begin_told(ws, command):
    """As begin(), until the first wait was long enough for the command to say something."""
    return eventually(lambda: (record := begin(ws, command))["stdout"] and record, 120, "it prints")


def entry(ws, sequence):
    [found] = ws("logs", "--sequence", str(sequence))["entries"]
    return found


def start_wait(ws, sequence, *options):
    """A wait in a process of its own, which the supervisor knows of."""
    call = ws.lab.start(*ws.words("wait", str(sequence), *options))
    eventually(lambda: call.is_over() or "socket:" in str(open_files(call.pid)), 120, "it is connected")
    time.sleep(0.3)  # for its request, which it is about to send
    assert not call.is_over(), call.end()
    return call


def test_wait_runs_out(lab):
    """a wait that ran out tells the number and the output so far, and the command goes on"""
    ws = lab.workspace()
    begun = time.monotonic()
    record = begin_told(ws, "echo and this >&2; echo so far; until [ -e go ]; do sleep 0.1; done; "
                        "echo the end; exit 3")
    one = record["sequence"]
    assert time.monotonic() - begun >= 1 and one >= 1, record
    assert (record["stdout"], record["stderr"]) == ("so far\n", "and this\n"), record
    assert (record["stdout_bytes"], record["stderr_bytes"]) == (7, 9), record
    assert record["duration_ms"] > 900 and record["cwd"] == "/workspace", record
    assert ws("wait", str(one), "--wait-seconds", "1", code=124)["stdout"] == "so far\n"
    ws("file write", "go", "--text", "")
    done = ws("wait", str(one), code=3)
    assert (done["state"], done["exit_code"], done["next_step"]) == ("finished", 3, None), done
    assert done["stdout"] == "so far\nthe end\n" and done["duration_ms"] > 1900, done
    assert ws("wait", str(one), code=3) == done, "and again, of one that has ended"
    quick = ws("exec", "--wait-seconds", "100", "--timeout-seconds", "100", "--", "echo quick", code=0)
    assert (quick["state"], quick["exit_code"], quick["stdout"]) == ("finished", 0, "quick\n"), quick
    assert quick["next_step"] is None and ws("wait", str(one + 1)) == quick
    silent = ws.exec("true")
    assert not silent["stdout_truncated"] and ws("wait", str(one + 2)) == silent, silent
    ws.delete()


def test_wait_human(lab):
    """a person is told how to go on, and a wait prints both streams and exits as the command did"""
    ws = lab.workspace()
    done = lab.call(*ws.words("exec", "--wait-seconds", "1", "--timeout-seconds", "100", "--",
                              "echo a; until [ -e go ]; do sleep 0.1; done; echo b >&2; exit 7"),
                    code=124)
    assert done.out in ("a\n", "") and f"still running: pyro workspace wait {ws.id} 1" in done.err, done
    ws("file write", "go", "--text", "")
    done = lab.call(*ws.words("wait", "1"), code=7)
    assert done.out == "a\n" and done.err.startswith("b\n") and "exit_code=7" in done.err, done
    ws.delete()


def test_wait_input(lab):
    """what a command has not been given when its client leaves it never comes: its input ends"""
    ws = lab.workspace()
    call = lab.start(*ws.words("exec", "--wait-seconds", "5", "--timeout-seconds", "100", "--",
                               "cat; echo ended"), stdin=-1)
    call.send(b"some\n")
    assert call.end().code == 124
    assert ws("wait", "1")["stdout"] == "some\nended\n"
    ws.delete()


def test_wait_elsewhere(lab):
    """any number of processes wait for one command; killing or cancelling a wait is nothing to it"""
    ws = lab.workspace()
    begin(ws, "while [ ! -e go ]; do sleep 0.1; done; echo gone; exit 4")
    calls = [start_wait(ws, 1) for _ in range(5)]
    kill(calls[0].pid)
    for number, call in ((signal.SIGINT, calls[1]), (signal.SIGTERM, calls[2])):
        call.signal(number)
        assert call.end().code == 128 + number
    assert entry(ws, 1)["state"] == "running"
    active = ws("status")["last_activity_at"]
    assert ws("wait", "1", "--wait-seconds", "1", code=124)["state"] == "running"
    assert ws("status")["last_activity_at"] == active, "waiting is no activity"
    ws("file write", "go", "--text", "x")
    for call in calls[3:]:
        done = call.end()
        assert done.code == 4 and done.out == "gone\n", done
    calls[0].end()
    ws.delete()


def test_wait_killed_client(lab):
    """a client that is killed while it waits for its command leaves it to others to wait for"""
    ws = lab.workspace()
    call = lab.start(*ws.words("exec", "--wait-seconds", "60", "--timeout-seconds", "60", "--",
                               "echo begun; sleep 2; echo end"))
    call.await_text("begun")
    kill(call.pid)
    call.end()
    assert ws("wait", "1")["stdout"] == "begun\nend\n"
    ws.delete()


def test_wait_cancel(lab):
    """cancel ends a command nobody waits for, and a waiter hears that it was cancelled"""
    ws = lab.workspace()
    begin(ws, "echo begun; sleep 100")
    call = start_wait(ws, 1, "--json")
    assert ws("cancel", "1")["cancelled"] is True
    assert '"state": "cancelled"' in call.end().out
    assert ws("wait", "1", code=(125, 137))["state"] == "cancelled"
    call = lab.start(*ws.words("exec", "--wait-seconds", "60", "--", "echo begun; sleep 100"))
    call.await_text("begun")
    call.signal(signal.SIGINT)
    assert call.end().code == 130, "an exec that is cancelled still ends its command"
    assert ws("wait", "2", code=(125, 137))["state"] == "cancelled"
    ws.delete()


def test_wait_timeout(lab):
    """a command that nobody waits for is killed at its timeout, as ever"""
    ws = lab.workspace()
    begin(ws, "echo begun; sleep 100 & sleep 100", timeout="6")
    done = ws("wait", "1", code=124)
    assert (done["state"], done["timed_out"], done["exit_code"]) == ("finished", True, 124), done
    assert done["stdout"] == "begun\n", done
    ws.delete()


def test_wait_machine_ends(lab):
    """a wait whose machine is stopped or killed tells what there was; reset and delete end it too"""
    ws = lab.workspace()
    for end in (lambda: ws("stop"), lambda: kill(lab.qemu()), lambda: kill(lab.supervisor())):
        sequence = begin_told(ws, "echo begun; sleep 100")["sequence"]
        call = start_wait(ws, sequence, "--json")
        end()
        done = call.end()
        assert done.code == 125 and '"state": "interrupted"' in done.out, done
        assert '"stdout": "begun\\n"' in done.out and '"exit_code": null' in done.out, done
        assert ws("wait", str(sequence), code=125)["state"] == "interrupted"
        eventually(lambda: ws.state() != "started", 120, "it has ended")
        ws("start")
    for end, word in ((lambda: ws("reset"), "reset"), (ws.delete, "deleted")):
        sequence = begin(ws, "echo begun; sleep 100")["sequence"]
        call = start_wait(ws, sequence)
        end()
        done = call.end()
        assert done.code == 125 and word in done.err, done
    assert lab.error("workspace", "wait", ws.id, "1")["code"] == "not_found"


def test_wait_unknown(lab):
    """a wait for what never was says where to look; one out of bounds is refused"""
    ws = lab.workspace()
    error = ws.error("wait", "9", about="no command 9")
    assert error["code"] == "not_found" and error["hint"] == f"pyro workspace logs {ws.id}", error
    assert ws.error("logs", "--sequence", "9")["code"] == "not_found"
    for words in (("0",), ("x",), ("1", "--wait-seconds", "0")):
        assert lab.call(*ws.words("wait", *words)).code == 2, words
    ws.delete()


def test_wait_many(lab):
    """commands begun side by side are told apart, whoever waits for which"""
    ws = lab.workspace()
    results = {}

    def run(i):
        record = begin(Workspace(lab, ws.record), f"until [ -e go{i} ]; do sleep 0.1; done; "
                       f"echo {i}; exit {i}")
        ws("file write", f"go{i}", "--text", "")
        done = ws("wait", str(record["sequence"]), code=i)
        results[i] = (done["sequence"] == record["sequence"], done["stdout"])
    threads = [threading.Thread(target=run, args=(i,)) for i in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert results == {i: (True, f"{i}\n") for i in range(1, 7)}, results
    ws.delete()


# Logs


def parts(ws, sequence, size, stream="stdout"):
    """A stream read in parts of `size`, as texts."""
    texts, offset = [], 0
    while offset is not None:
        [part] = ws("logs", "--sequence", str(sequence), "--offset", str(offset),
                    "--max-bytes", str(size))["entries"]
        assert len(part[stream].encode()) <= size + 100, len(part[stream])
        assert part["next_offset"] is None or part["next_offset"] > offset, part["next_offset"]
        texts.append(part[stream])
        offset = part["next_offset"]
    return texts


def test_logs_parts(lab):
    """parts of a log make up exactly what was printed, also where characters lie across them"""
    ws = lab.workspace()
    ws.sh("for i in $(seq 3000); do echo \"$i aä€😀\"; done; echo short >&2")
    want = "".join(f"{i} aä€😀\n" for i in range(1, 3001))
    ws.sh("echo another")
    for size in (4099, 10000, 1 << 20):
        assert "".join(parts(ws, 1, size)) == want, size
        assert "".join(parts(ws, 1, size, "stderr")) == "short\n"
    whole = entry(ws, 1)
    assert whole["stdout"] == want and whole["next_offset"] is None, whole["next_offset"]
    assert whole["stdout_truncated"] is False
    logs = ws("logs", "--max-bytes", "5")
    assert [e["next_offset"] for e in logs["entries"]] == [5, 5] and logs["count"] == 2, logs
    assert [e["stdout"] for e in logs["entries"]] == ["1 aä"[:4], "anoth"], logs
    assert all(e["stdout_truncated"] for e in logs["entries"]), logs
    [behind] = ws("logs", "--sequence", "2", "--offset", "100")["entries"]
    assert (behind["stdout"], behind["next_offset"]) == ("", None), behind
    assert behind["stdout_truncated"] and not behind["stderr_truncated"], behind
    human = lab.call(*ws.words("logs", "--sequence", "2", "--max-bytes", "3"), code=0)
    assert "ano" in human.out and "--sequence 2 --offset 3" in human.err, human
    ws.delete()


def test_logs_gap(lab):
    """of output that was too long to keep, the parts give both ends and say once what is missing"""
    ws = lab.workspace()
    ws.sh("seq -w 0 327679")  # seven bytes each, 2.1875 MiB
    want = "".join(f"{i:06}\n" for i in range(327680))
    texts = parts(ws, 1, 100000)
    whole = "".join(texts)
    head, tail = want[:1 << 19], want[-(1 << 19):]
    note = f"[... {len(want) - (1 << 20)} bytes cut ...]\n"
    assert whole == head + note + tail, [(len(text), text[:40]) for text in texts]
    assert sum(text.startswith("[... ") for text in texts) == 1, "at the beginning of a part"
    [part] = ws("logs", "--sequence", "1", "--offset", "1000000", "--max-bytes", "7")["entries"]
    assert part["stdout"] == note + tail[:7] and part["stdout_truncated"], part
    assert part["next_offset"] == len(want) - (1 << 19) + 7, part
    assert entry(ws, 1)["stdout"] == head + "\n" + note + tail
    ws.delete()


def test_logs_redacted(lab):
    """no part of a log shows a piece of a secret, wherever it is cut"""
    ws = lab.workspace("--secret", "TOKEN=correct-horse-battery")
    ws("exec", "--secret-env", "TOKEN", "--wait-seconds", "1", "--",
       "echo x$TOKEN y; until [ -e go ]; do sleep 0.1; done; echo z$TOKEN", code=124)
    ws("file write", "go", "--text", "")
    ws("wait", "1")
    for size in (1, 2, 5):
        assert "".join(parts(ws, 1, size)) == "x[REDACTED] y\nz[REDACTED]\n", size
    ws.delete()
