"""Calls of tools. Each test runs twice: with commands on the host, and with real guests."""
import os
import signal
import time

from client import ENVIRONMENT, MODERN, Server, conforms, eventually, failure, structured
from lab import kill

LONG = "echo begun; sleep 1000"


def workers(server):
    with open(f"/proc/{server.pid}/task/{server.pid}/children", encoding="ascii") as text:
        return [int(pid) for pid in text.read().split()]


def test_result(lab):
    """a result is the record, as structure and as the same JSON in text, and fits the schema"""
    server = Server(lab)
    server.request(1, "tools/list")
    [tool] = server.reply()["result"]["tools"]
    server.run(2, ["echo", "it's \"é\"\n"])
    reply = server.reply()
    record = structured(reply)
    assert conforms(tool["outputSchema"], record), record
    assert record["stdout"] == "it's \"é\"\n\n" and record["exit_code"] == 0, record
    assert record["command"] == ["echo", "it's \"é\"\n"] and record["cleanup"]["deleted"]
    assert record["execution_mode"] == lab.mode
    assert set(reply["result"]) == {"content", "structuredContent", "isError"}
    assert server.close() == []


def test_modern_result(lab):
    """a modern call gets the result type and who served it, without any handshake"""
    server = Server(lab)
    server.run("m", "exit 3", meta=MODERN)
    reply = server.reply()
    assert structured(reply)["exit_code"] == 3
    assert reply["result"]["resultType"] == "complete"
    assert reply["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "pyro"
    assert server.close() == []


def test_no_input(lab):
    """the command does not get the server's standard input"""
    server = Server(lab)
    server.run(1, "cat; echo end")
    assert structured(server.reply())["stdout"] == "end\n"
    server.ping()
    assert server.close() == []


def test_timeout(lab):
    """a command that is killed at its timeout is a result, with its output so far"""
    server = Server(lab)
    server.run(1, LONG, timeout_seconds=3)
    record = structured(server.reply())
    assert record["timed_out"] and record["exit_code"] == 124 and record["stdout"] == "begun\n"
    assert server.close() == []


def test_cut(lab):
    """long output is cut in the middle, and the cut is stated"""
    server = Server(lab)
    server.run(1, "seq 100000; seq 1500 >&2; echo end")
    record = structured(server.reply())
    assert 7000 < len(record["stdout"]) < 8200 and 0 < len(record["stderr"]) < 8200
    assert record["stdout_truncated"] and record["stdout_bytes"] == 588899, record["stdout_bytes"]
    assert record["stdout"].startswith("1\n2\n") and record["stdout"].endswith("\n100000\nend\n")
    assert f"[... {588899 - 8000} bytes are left out ...]" in record["stdout"]
    assert not record["stderr_truncated"] and record["stderr"].endswith("1500\n")
    assert server.close() == []


def test_error(lab):
    """a call that fails says what and what to do, for the model to read"""
    server = Server(lab)
    server.request(1, "tools/call", {"name": "vm_run", "arguments": {"environment": "debian:13",
                                                                     "command": "true"}})
    error = failure(server.reply())
    assert error["code"] == "unknown_environment", error
    assert "debian:12-build" in error["hint"] and "pyro " not in error["hint"], error
    assert server.close() == []


def test_progress(lab):
    """progress names the phases at once, grows, keeps the token's type, and ends with the reply"""
    server = Server(lab)
    for token in (0, "0", 7):
        server.notes.clear()
        server.run(1, "true", token=token)
        structured(server.reply())
        params = [note["params"] for note in server.notes]
        assert len(params) >= 3, params
        assert all(type(p["progressToken"]) is type(token) and p["progressToken"] == token
                   for p in params), params
        assert [p["progress"] for p in params] == list(range(1, len(params) + 1)), params
        assert params[0]["message"] == f"[run] phase=create environment={ENVIRONMENT}", params
    server.notes.clear()
    server.run(2, "true")
    structured(server.reply())
    server.run(3, "true", token=1.5)
    structured(server.reply())
    assert server.close() == server.notes == []


def test_sign_of_life(lab):
    """a silent call that asked for progress gives a sign of life every ten seconds"""
    server = Server(lab)
    server.run(1, "sleep 25", token="t", timeout_seconds=60)
    assert structured(server.reply())["exit_code"] == 0
    signs = [note["params"]["message"] for note in server.notes
             if "still running" in note["params"]["message"]]
    assert 2 <= len(signs), server.notes
    assert server.close() == []


test_sign_of_life.is_patient = True


def test_ping(lab):
    """a ping is answered, and so are other calls, while a call runs"""
    server = Server(lab)
    server.run(1, LONG, token=1, timeout_seconds=600)
    server.await_phase(1, "execute")
    server.ping()
    server.request(2, "tools/list")
    assert server.reply()["id"] == 2
    server.run(3, "echo beside")
    assert structured(server.reply())["stdout"] == "beside\n"
    assert server.close() == []


def test_cancel(lab):
    """a cancelled call ends in the guest at once, is not answered, and leaves nothing"""
    server = Server(lab)
    for id_ in (5, "5"):
        server.run(id_, LONG, token=1, timeout_seconds=600)
        server.await_phase(1, "execute")
        server.notify("notifications/cancelled", {"requestId": "5" if id_ == 5 else 5})
        server.ping()
        assert workers(server)  # an id of the other type is another call
        server.notify("notifications/cancelled", {"requestId": id_, "reason": "enough"})
        server.notify("notifications/cancelled", {"requestId": id_})
        eventually(lambda: not workers(server), 120, "the worker is gone")
        assert not lab.vm_dirs() and not lab.records()
    server.ping()
    assert server.close() == []


def test_cancel_in_any_phase(lab):
    """a call that is cancelled at any moment leaves nothing"""
    server = Server(lab)
    for id_ in range(12):
        server.run(id_, LONG, timeout_seconds=600)
        time.sleep(id_ * 0.05)
        server.notify("notifications/cancelled", {"requestId": id_})
    eventually(lambda: not workers(server), 120, "the workers are gone")
    server.ping()
    assert server.close() == []
    assert not lab.vm_dirs() and not lab.records()


def test_end_of_input(lab):
    """the end of the input ends the server and the calls under way, and leaves nothing"""
    server = Server(lab)
    for id_ in range(2):
        server.run(id_, LONG, token=id_, timeout_seconds=600)
    server.await_phase(0, "execute")
    for message in server.close():
        assert "id" not in message, message
    lab.check_clean()


def test_signals(lab):
    """INT, TERM and HUP, to the server, its group or all of its processes, do the same"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for whom in ("server", "group", "descendants"):
            server = Server(lab, start_new_session=True)
            server.run(0, LONG, token=0, timeout_seconds=600)
            server.await_phase(0, "execute")
            if whom == "group":
                os.killpg(server.pid, number)
            else:
                for pid in [server.pid] + (workers(server) if whom == "descendants" else []):
                    kill(pid, number)
            assert server.wait() == 128 + number, whom
            lab.check_clean()


def test_killed(lab):
    """a server that is killed leaves no process, and no file after the next call"""
    server = Server(lab)
    server.run(0, LONG, token=0, timeout_seconds=600)
    server.await_phase(0, "execute")
    server.process.kill()
    lab.check_no_processes()
    lab.json("vm", "list")
    lab.check_clean(0)


def test_worker_killed(lab):
    """a call whose process is killed is an error, and the server goes on"""
    server = Server(lab)
    server.run(0, LONG, token=0, timeout_seconds=600)
    server.await_phase(0, "execute")
    for pid in workers(server):
        kill(pid)
    assert failure(server.reply())["code"] == "system_error"
    server.run(1, "true")
    structured(server.reply())
    assert server.close() == []


def test_batch(lab):
    """a batch is answered as one, whenever its last call ends"""
    server = Server(lab)

    def call(id_, command):
        return {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": {
            "name": "vm_run", "arguments": {"environment": ENVIRONMENT, "command": command,
                                            **lab.arguments}}}
    server.send([call(1, "sleep 0.3; echo one"), {"jsonrpc": "2.0", "id": 2, "method": "ping"},
                 {"jsonrpc": "2.0", "method": "notifications/initialized"}, call(3, "echo three"),
                 call(4, LONG)])
    server.notify("notifications/cancelled", {"requestId": 4})
    replies = {reply["id"]: reply for reply in server.reply()}
    assert set(replies) == {1, 2, 3}
    assert structured(replies[1])["stdout"] == "one\n"
    assert structured(replies[3])["stdout"] == "three\n"
    assert server.close() == []
