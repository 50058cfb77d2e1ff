"""Services: when they count as ready, how they end, and what is left of them."""
import os
import signal
import sqlite3
import time

from lab import PATIENCE_S, eventually, kill

# A server of HTTP that answers 200 when /workspace/ok exists, else 503.
HTTP = """perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 9, ReuseAddr => 1,
LocalAddr => "127.0.0.1:8080") or die; while ($c = $s->accept) { <$c>;
printf $c "HTTP/1.0 %d x\\r\\n\\r\\n", -e "/workspace/ok" ? 200 : 503; close $c }'"""


def begin(ws, name, command, *options, **more):
    return ws("service start", name, *options, "--", command, **more)


def starting(lab, ws, name, command):
    """A start that waits for the file `ok`; it is on record."""
    call = lab.start(*ws.words("service start", name, "--ready-file", "ok", "--ready-interval-ms",
                               "100", "--ready-timeout-seconds", "300", "--", command))
    eventually(lambda: name in [s["service_name"] for s in ws("service list")["services"]], 120,
               "it is on record")
    return call


def refused(ws, name, command, *options, **more):
    error = ws.error("service start", name, *options, "--", command, **more)
    assert not ws.sh("pgrep -fx 'sleep 98[0-9][0-9]'; true"), "something of it still runs"
    return error


def fails(ws, name, command, *options):
    """The error of a start of what ends at once. Where "at once" takes a moment longer, again."""
    def attempt():
        begun = ws("service start", name, *options, "--", command, code=(0, 125))
        return begun.get("error") or (ended(ws, name) and None)
    return eventually(attempt, 120, f"'{command}' ends before it counts as started")


def status(ws, name):
    return ws("service status", name)


def ended(ws, name):
    return eventually(lambda: (s := status(ws, name))["state"] != "running" and s, 120,
                      f"{name} ended")


def logs(ws, name, *options):
    return ws("service logs", name, *options)


def printed(ws, name, text):
    """Waits until it has printed that."""
    eventually(lambda: logs(ws, name)["stdout"] == text, 120, f"{name} prints {text!r}")


# Readiness


def test_start(lab):
    """a service without a probe runs when start returns, and its record says what it is"""
    ws = lab.workspace()
    service = begin(ws, "web", "echo out; echo err >&2; exec sleep 9800", "--cwd", "/tmp")
    assert service == status(ws, "web"), service
    assert service["state"] == "running", service
    assert service["command"] == "echo out; echo err >&2; exec sleep 9800", service
    assert service["cwd"] == "/tmp" and ws.sh("pwdx $(pgrep -fx 'sleep 9800')").endswith("/tmp\n")
    assert str(service["pid"]) == ws.sh("pgrep -fx 'sleep 9800'").strip(), service
    for absent in ("ended_at", "exit_code", "readiness", "ready_at", "stop_reason"):
        assert service.get(absent) is None, (absent, service)
    assert service["published_ports"] == [], service
    text = logs(ws, "web")
    assert (text["stdout"], text["stderr"], text["truncated"]) == ("out\n", "err\n", False), text
    error = ws.error("service start", "web", "--", "true", about="runs already")
    assert error["code"] == "bad_state" and "service stop" in error["hint"], error
    listed = ws("service list")
    assert (listed["count"], listed["running_count"]) == (1, 1), listed
    assert listed["services"] == [service], listed
    record = ws("status")
    assert (record["service_count"], record["running_service_count"]) == (1, 1), record
    assert record["last_activity_at"] >= service["started_at"], record
    ws.delete()


def test_cannot_start(lab):
    """what cannot start, or ends with an error at once, fails the call with its log"""
    ws = lab.workspace()
    error = fails(ws, "a", "nosuch-program")
    assert "'a' exited with 127" in error["message"] and "nosuch-program" in error["message"], error
    error = fails(ws, "b", "echo one; echo two >&2; exit 3")
    assert "'b' exited with 3" in error["message"] and "one | two" in error["message"], error
    assert "service logs" in error["hint"], error
    error = refused(ws, "c", "true", "--cwd", "/no/such")
    assert "/no/such" in error["message"], error
    assert [s["state"] for s in ws("service list")["services"]] == ["failed"] * 3
    assert status(ws, "b")["exit_code"] == 3 and logs(ws, "b")["stderr"] == "two\n"
    for name in (".x", "a/b", "x" * 65):
        assert "name" in ws.error("service start", name, "--", "true")["message"], name
    begin(ws, "once", "echo done")
    done = ended(ws, "once")
    assert (done["state"], done["exit_code"]) == ("exited", 0), done
    ws.delete()


def probes(ws, interval):
    """Each probe, for something that becomes ready after a moment."""
    ready = {
        "file": ("--ready-file", "ok", "sleep 0.7; touch at ok; sleep 9801"),
        "command": ("--ready-command", "test -e ok", "sleep 0.7; touch at ok; sleep 9801"),
        "tcp": ("--ready-tcp", "127.0.0.1:8080", f"sleep 0.5; touch at; {HTTP}"),
        "http": ("--ready-http", "http://127.0.0.1:8080/x", f"(sleep 1.5; touch at ok) & {HTTP}"),
    }
    for kind, (option, value, command) in ready.items():
        ws.sh("rm -f ok at")
        service = begin(ws, kind, command, option, value, "--ready-interval-ms", str(interval))
        ws.sh("test -e at")  # and not before it was
        yield kind, service
        ws("service stop", kind)


def test_probes(lab):
    """start returns when a file, port, page or command says so, and not before"""
    ws = lab.workspace()
    for kind, service in probes(ws, 300):
        assert service["readiness"]["type"] == kind and service["state"] == "running", service
    ws.sh("touch ok")
    begin(ws, "at-once", "sleep 9802", "--ready-file", "ok", "--ready-interval-ms", "60000")
    soon = begin(ws, "soon", "sleep 0.5; touch yes; sleep 9802", "--ready-file", "yes",
                 "--ready-interval-ms", "60000", "--ready-timeout-seconds", "100")
    assert soon["ready_at"] - soon["started_at"] < 50, "no whole interval is waited for"
    ws.delete()


def test_never_ready(lab):
    """a start that is never ready says which probe and what came of the last attempt"""
    ws = lab.workspace()
    http = begin(ws, "http", HTTP, "--ready-tcp", "127.0.0.1:8080")
    assert http["state"] == "running", http
    for option, value, about in (
            ("--ready-file", "/workspace/no", "/workspace/no does not exist"),
            ("--ready-tcp", "127.0.0.1:4", "refused"),
            ("--ready-http", "http://127.0.0.1:8080/x", "503"),
            ("--ready-command", "echo not yet; exit 9", "exited with 9: not yet")):
        begun = time.monotonic()
        error = refused(ws, "late", "echo a line; sleep 9803", option, value,
                        "--ready-timeout-seconds", "4", "--ready-interval-ms", "200")
        assert time.monotonic() - begun > 3.7, (option, time.monotonic() - begun)
        assert error["code"] == "timeout" and value in error["message"], error
        assert about in error["message"] and "a line" in error["message"], error
        late = status(ws, "late")
        assert late["state"] == "failed" and about in late["stop_reason"], late
    error = refused(ws, "slow", "sleep 9804", "--ready-command", "sleep 9805",
                    "--ready-timeout-seconds", "1")
    assert error["code"] == "timeout" and "sleep 9805" in error["message"], error

    def hangs_after_answer():
        ws.sh("rm -f seen")
        return refused(ws, "slow", "sleep 9804", "--ready-timeout-seconds", "1", "--ready-command",
                       "test -e seen && sleep 9805; touch seen; echo not yet; exit 9")["message"]
    eventually(lambda: "exited with 9: not yet" in hangs_after_answer(), PATIENCE_S,
               "what is told is the answer, and not that there was no time for another")
    for option, value, form in (
            ("--ready-tcp", "nonsense", "HOST:PORT"), ("--ready-tcp", "::1:80", "[V6]:PORT"),
            ("--ready-http", "https://127.0.0.1/", "without TLS")):
        error = refused(ws, "wrong", "sleep 9806", option, value)
        assert error["code"] == "invalid_argument", error
        assert f"'{value}' is not " in error["message"] and form in error["message"], error
    error = refused(ws, "wrong", "sleep 9806", "--ready-command", "")
    assert "'' is not a command" in error["message"], error
    ws.delete()


test_never_ready.is_patient = True


def test_dies_before_ready(lab):
    """a service that ends while it is probed fails at once, with its last lines"""
    ws = lab.workspace()
    error = refused(ws, "web", "for i in 1 2 3; do echo line $i; done; sleep 0.5; exit 1",
                    "--ready-file", "never", "--ready-interval-ms", "60000")
    assert "'web' exited with 1 before it was ready" in error["message"], error
    assert "line 1 | line 2 | line 3" in error["message"], error
    service = status(ws, "web")
    assert (service["state"], service["exit_code"]) == ("failed", 1), service
    error = refused(ws, "web", "sleep 0.3", "--ready-file", "never")
    assert "exited with 0 before it was ready" in error["message"], error
    ws.delete()


# The end


def test_stop(lab):
    """stop is quick when the process obeys, and ends all that it started"""
    ws = lab.workspace()
    begin(ws, "web", "(setsid sleep 9810 &) ; sleep 9811 & trap 'echo bye; exit 5' TERM; "
          "echo hi; wait")
    printed(ws, "web", "hi\n")
    stopped = ws("service stop", "web")
    assert (stopped["state"], stopped["exit_code"]) == ("stopped", 5), stopped
    assert stopped["stop_reason"] and stopped["pid"] is None and stopped["ended_at"], stopped
    assert logs(ws, "web")["stdout"] == "hi\nbye\n" and logs(ws, "web")["state"] == "stopped"
    assert not ws.sh("pgrep -fx 'sleep 981[01]'; true"), "what it started is gone, too"
    assert ws("service stop", "web") == stopped, "a second stop is none"
    error = ws.error("service stop", "wep", about="'wep'")
    assert error["code"] == "not_found" and "'web'" in error["hint"], error
    assert ws.error("service status", "x")["code"] == "not_found"
    assert ws.error("service logs", "x")["code"] == "not_found"
    again = begin(ws, "web", "sleep 9812")
    assert again["state"] == "running" and again["stop_reason"] is None, again
    assert logs(ws, "web")["stdout"] == "", "a new start has new logs"
    ws.delete()


def test_stop_deaf(lab):
    """what ignores TERM is killed after ten seconds"""
    ws = lab.workspace()
    begin(ws, "deaf", "trap '' TERM; echo deaf; while :; do sleep 1; done")
    printed(ws, "deaf", "deaf\n")
    begun = time.monotonic()
    stopped = ws("service stop", "deaf")
    assert time.monotonic() - begun > 9, time.monotonic() - begun
    assert (stopped["state"], stopped["exit_code"]) == ("stopped", 137), stopped
    ws.delete()


test_stop_deaf.is_patient = True


def test_ends_by_itself(lab):
    """the end of a service is noticed at once, whatever it leaves: daemons, zombies"""
    ws = lab.workspace()
    begin(ws, "one", "while [ ! -e go ]; do sleep 0.1; done; echo last words; exit 7")
    ws.sh("sleep 1; touch go")
    service = ended(ws, "one")
    assert (service["state"], service["exit_code"], service["stop_reason"]) == \
        ("exited", 7, None), service
    assert service["ended_at"] - service["started_at"] > 1, service
    assert logs(ws, "one")["stdout"] == "last words\n"
    begin(ws, "killed", "exec sleep 9820")
    ws.sh("kill -9 $(pgrep -fx 'sleep 9820')")
    assert ended(ws, "killed")["exit_code"] == 137
    # Its first process is the service: a daemon goes with it.
    begin(ws, "daemon", "(setsid sh -c 'sleep 9821 & sleep 9822' &); "
                        "while [ ! -e gone ]; do sleep 0.1; done")
    ws.sh("touch gone")
    assert ended(ws, "daemon")["state"] == "exited"
    eventually(lambda: not ws.sh("pgrep -fx 'sleep 982[12]'; true"), 120, "all of it is gone")
    begin(ws, "zombies", "perl -e 'for (1..50) { fork or exit } sleep 9823'")
    ws("service stop", "zombies")
    eventually(lambda: ws.sh("ps -eo stat= | grep -c Z; true").strip() == "0", 120, "none is left")
    kinds = [(event["kind"], event["path"]) for event in ws("summary")["services"]["events"]]
    assert kinds == [("service_start", "one"), ("service_exit", "one"),
                     ("service_start", "killed"), ("service_exit", "killed"),
                     ("service_start", "daemon"), ("service_exit", "daemon"),
                     ("service_start", "zombies"), ("service_stop", "zombies")], kinds
    current = ws("summary")["services"]["current"]
    assert [s["state"] for s in current] == ["exited"] * 3 + ["stopped"], current
    ws.delete()


def test_logs(lab):
    """logs are the last lines of each stream, or all of the last MiB, also while it runs"""
    ws = lab.workspace()
    begin(ws, "web", "seq 1 300; seq 1 3 >&2; printf 'no end'; sleep 9830")
    text = eventually(lambda: "no end" in (t := logs(ws, "web"))["stdout"] and t, 120, "printed")
    assert text["stdout"].splitlines() == [*map(str, range(102, 301)), "no end"], text
    assert text["stderr"] == "1\n2\n3\n" and text["tail_lines"] == 200 and text["truncated"], text
    text = logs(ws, "web", "--tail-lines", "2")
    assert (text["stdout"], text["stderr"]) == ("300\nno end", "2\n3\n"), text
    text = logs(ws, "web", "--all")
    assert text["stdout"].startswith("1\n2\n") and not text["truncated"], text
    begin(ws, "long", "seq 1 1000000; printf '\\377\\n' >&2")  # 6.9 MB
    assert ended(ws, "long")["exit_code"] == 0
    text = logs(ws, "long", "--all")
    lines = text["stdout"].splitlines()
    assert text["truncated"] and lines[-1] == "1000000", lines[-1:]
    assert 1000000 < len(text["stdout"]) <= 1024 * 1024, len(text["stdout"])
    assert lines[1:] == [str(n) for n in range(int(lines[1]), 1000001)], "without a gap"
    assert text["stderr"] == "\ufffd\n", text["stderr"]
    size = sum(os.stat(f"{ws.dir()}/services/long.{end}").st_blocks * 512 for end in ("out", "err"))
    assert size < 3 * 1024 * 1024, f"{size} bytes on disk"
    ws.delete()


# What comes between


def test_client_dies(lab):
    """a client that is killed during start changes nothing; one that is interrupted ends it"""
    ws = lab.workspace()
    call = starting(lab, ws, "a", "sleep 9840")
    error = ws.error("service start", "a", "--", "true", about="is being started")
    assert error["code"] == "bad_state", error
    call.signal(signal.SIGKILL)
    call.end()
    ws.sh("touch ok")
    service = eventually(lambda: (s := status(ws, "a"))["ready_at"] and s, 120, "it is ready")
    assert service["state"] == "running", service
    ws.sh("rm ok")
    call = starting(lab, ws, "b", "sleep 9840")
    call.signal(signal.SIGINT)
    call.end()
    assert ended(ws, "b")["state"] == "stopped"
    assert ws.sh("pgrep -c -fx 'sleep 9840'").strip() == "1", "only the first"
    call = starting(lab, ws, "c", "sleep 9840")
    ws("service stop", "c")
    done = call.end()
    assert done.code == 125 and "stop" in done.err, done
    ws.delete()


def test_many(lab):
    """twenty services are started at once, and each is its own"""
    ws = lab.workspace()
    calls = [lab.start(*ws.words("service start", f"s{n}", "--ready-command", f"test -e r{n}",
                                 "--ready-timeout-seconds", str(PATIENCE_S), "--",
                                 f"echo I am {n}; touch r{n}; exec sleep 98{n + 50}"))
             for n in range(20)]
    for call in calls:
        done = call.end()
        assert done.code == 0, done
    assert ws("status")["running_service_count"] == 20
    for n in range(20):
        assert logs(ws, f"s{n}")["stdout"] == f"I am {n}\n", n
    assert ws("stop")["running_service_count"] == 0
    ws.delete()


def test_machine_ends(lab):
    """services end with their machine: stopped, failed, or vanished after a reset"""
    ws = lab.workspace()
    command = "trap 'echo flushed; exit 0' TERM; echo begun; sleep 9869 & wait"
    begin(ws, "web", command)
    printed(ws, "web", "begun\n")
    ws("stop")
    service = status(ws, "web")
    assert (service["state"], service["exit_code"], service["stop_reason"]) == \
        ("stopped", 0, "workspace stopped"), service
    assert logs(ws, "web")["stdout"] == "begun\nflushed\n", "it was asked to end"
    assert ws.error("service start", "web", "--", "true")["code"] == "bad_state"
    assert ws("service stop", "web") == service
    ws("start")
    assert status(ws, "web") == service and ws("service list")["running_count"] == 0
    begin(ws, "web", "trap '' TERM; echo again; while :; do sleep 0.1; done")
    printed(ws, "web", "again\n")
    ws("stop")
    ws("start")
    begin(ws, "web", "echo third; exec sleep 9870")
    ws("reset")
    assert ws("service list")["services"] == [] and ws("status")["service_count"] == 0
    assert not os.path.exists(f"{ws.dir()}/services")
    begin(ws, "web", "echo fourth; exec sleep 9871")
    printed(ws, "web", "fourth\n")
    kill(lab.qemu())
    service = ended(ws, "web")
    assert service["state"] == "failed" and service["stop_reason"], service
    assert logs(ws, "web")["stdout"] == "fourth\n"
    ws("start")
    begin(ws, "web", "echo fifth; exec sleep 9872")
    printed(ws, "web", "fifth\n")
    kill(lab.supervisor())
    lab.check_no_processes()
    service = status(ws, "web")
    assert service["state"] == "failed" and "supervisor" in service["stop_reason"], service
    assert logs(ws, "web")["stdout"] == "fifth\n"
    ws.delete()


def test_stop_meets_stop(lab):
    """a service that is being stopped when its workspace is stopped, or dies, is answered for"""
    ws = lab.workspace()
    for end in (lambda: ws("stop"), lambda: kill(lab.qemu())):
        begin(ws, "deaf", "trap '' TERM; echo deaf; while :; do sleep 1; done")
        printed(ws, "deaf", "deaf\n")
        call = lab.start(*ws.words("service stop", "deaf"))
        waiting = starting(lab, ws, "late",
                           "trap '' TERM; echo late; while :; do sleep 1; done")
        printed(ws, "late", "late\n")
        end()
        assert call.end().code in (0, 125) and waiting.end().code == 125
        lab.check_no_processes()
        assert [s["state"] for s in ws("service list")["services"]][0] == "stopped"
        ws("start")
    ws.delete()


def test_secrets(lab):
    """a service gets secrets by its environment, and shows none: log, record, probe, error"""
    value = 'hush "hush"'
    ws = lab.workspace("--secret", f"TOKEN={value}")
    begin(ws, "web", "printf %.7s \"$T\"; sleep 0.2; echo \"$T\" | tail -c +8; touch good; "
          "exec sleep 9880", "--secret-env", "TOKEN=T",
          "--ready-command", f"test \"$T\" = '{value}' && test -e good")
    error = fails(ws, "bad", "echo \"$T\" >&2; exit 1", "--secret-env", "TOKEN=T")
    assert "[REDACTED]" in error["message"] and "hush" not in error["message"], error
    assert ws.error("service start", "x", "--secret-env", "NO", "--", "true")["code"] == "not_found"
    assert logs(ws, "web")["stdout"] == "[REDACTED]\n", logs(ws, "web")
    for text in (str(ws("service list")), str(ws("summary"))):
        assert "hush" not in text, text
    ws("stop")
    rows = sqlite3.connect(f"{lab.state}/pyro/pyro.db").execute("SELECT * FROM service").fetchall()
    assert rows and "hush" not in str(rows), rows
    for name in os.listdir(f"{ws.dir()}/services"):
        with open(f"{ws.dir()}/services/{name}", "rb") as file:
            assert b"hush" not in file.read(), name
    ws.delete()


def test_secrets_cut(lab):
    """what a probe says shows no part of a secret, wherever it is cut, nor does the record"""
    value = "".join(f"secret{i:04}" for i in range(60))
    ws = lab.workspace("--secret", f"TOKEN={value}")
    for script in ('echo "it is $T"', 'head -c 200 /dev/zero | tr "\\0" x; echo "$T"'):
        error = ws.error("service start", "web", "--secret-env", "TOKEN=T", "--ready-command",
                         f"{script}; exit 1", "--ready-timeout-seconds", "1", "--", "sleep 9881")
        assert error["code"] == "timeout" and "cret0" not in error["message"], error
    rows = sqlite3.connect(f"{lab.state}/pyro/pyro.db").execute("SELECT * FROM service").fetchall()
    assert rows and "cret0" not in str(rows) + str(ws("summary")), rows
    ws.delete()
