"""pyro demo ollama: a model's calls of vm_run, right and wrong, with a scripted model."""
import json
import os
import signal
import sys

from lab import eventually

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../http"))
from standin import serving  # noqa: E402  (it is in a folder beside this one)

GOOD = ("vm_run", '{"environment": "debian:12", "command": "git --version"}')


def converse(lab, script, *words):
    """Runs the demo with a scripted model; returns its result and the requests."""
    with serving(script) as server:
        demo = lab.json("demo", "ollama", "--base-url", server.url, "--model", "m", *words)
        return demo, [body for _, body in server.requests]


def results(body):
    """What the model was told its calls came to."""
    return [json.loads(m["content"]) for m in body["messages"] if m["role"] == "tool"]


def repeats(handler, _):
    """Calls the tool, and says what it printed."""
    said = [m for m in handler.server.requests[-1][1]["messages"] if m["role"] == "tool"]
    if said:
        handler.say("It says " + json.loads(said[-1]["content"])["stdout"])
    else:
        handler.say(None, GOOD)


def test_good_call(lab):
    """a model's call runs in a VM, its result is told to it, and its answer ends it"""
    demo, requests = converse(lab, repeats)
    assert demo["answer"].startswith("It says git version 2."), demo
    assert demo["rounds"] == 2 and demo["tool_calls"] == 1 and demo["rejected_calls"] == 0, demo
    assert not demo["fallback_used"] and demo["executed"]["exit_code"] == 0, demo
    assert demo["executed"]["execution_mode"] == "guest_serial", demo
    call, told = requests[1]["messages"][2:]
    assert call["tool_calls"][0]["id"] == told["tool_call_id"] == "c0", requests
    assert call["tool_calls"][0]["function"]["arguments"] == GOOD[1], requests


def test_people_see_it(lab):
    """people see each step, every payload with -v, and a summary last; the variables count"""
    with serving(repeats) as server:
        env = {"OLLAMA_BASE_URL": server.url, "OLLAMA_MODEL": "from-env"}
        done = lab.call("demo", "ollama", env=env, code=0)
        loud = lab.call("demo", "ollama", "-v", env=env, code=0)
    assert done.out.splitlines()[-1].startswith("[summary] model=from-env rounds=2 tool_calls=1"), done
    assert "fallback_used=false" in done.out and "exit_code=0" in done.out, done
    for step in ("phase=ask model=from-env round=2", 'phase=tool_call {"name":"vm_run"',
                 "[run] phase=execute", "phase=tool_result exit_code=0", "phase=answer"):
        assert step in done.err, done
    assert "payload=" not in done.err, done
    assert 'phase=request payload={"model":"from-env"' in loud.err, loud
    assert 'phase=response payload={"choices"' in loud.err, loud
    assert loud.err.count("payload=") == 4, loud


def arguments(**more):
    return ("vm_run", json.dumps({"environment": "debian:12", "command": "true", **more}))


WRONG = [
    ("vm_run", ""), ("vm_run", "{"), ("vm_run", "git --version"), ("vm_run", "[]"),
    ("vm_run", "{}"), ("vm_run", {"environment": "debian:12"}), ("vm_run", 5),
    ("vm_run", None), ("vm_run", '{"a":' * 3000), ("rm_rf", GOOD[1]), ("", GOOD[1]),
    (None, GOOD[1]), ("ä" * 1000 + "\x1b", GOOD[1]), arguments(command=5), arguments(command=[]),
    arguments(timeout_seconds="30"), arguments(timeout_seconds=86400),
    arguments(mem_mib=32768), arguments(ttl_seconds=1), arguments(environment="ubuntu:24.04"),
    arguments(network=True, unknown=1), arguments(network=True), arguments(allow_host_compat=True),
    ("vm_run", json.dumps({"environment": "debian:12", "command": "true"})[:-1] + ',"command":"x"}'),
]


def test_wrong_calls(lab):
    """a wrong call of any kind is told to the model and runs nothing; then the command runs without it"""
    demo, requests = converse(lab, lambda h, n: h.say("", *WRONG[4 * n - 4:4 * n]))
    assert len(WRONG) == 4 * 6 == demo["rejected_calls"], demo
    assert demo["rounds"] == 6 and demo["tool_calls"] == 0 and demo["answer"] is None, demo
    assert demo["fallback_used"] and "git version" in demo["executed"]["stdout"], demo
    told = results(requests[-1])
    assert "there is no tool 'ää" in told[12]["error"]["message"], told[12]
    assert len(told) == 20 and all(t["error"]["message"] for t in told), told
    for request in requests:  # a server can read what it is told of them again
        for message in request["messages"]:
            for call in message.get("tool_calls", ()):
                json.loads(call["function"]["arguments"])


def test_odd_calls(lab):
    """calls that are no calls at all are wrong ones, and more than a few in one round are not taken"""
    odd = [None, 5, "vm_run", [], {}, {"function": 1}, {"function": {}}, {"id": 7, "function": None}]
    demo, _ = converse(lab, lambda h, n: h.say_raw({"tool_calls": odd}) if n == 1 else
                       h.say_raw({"tool_calls": odd[4:]}) if n == 2 else h.say("no"))
    assert demo["rejected_calls"] == 8 and demo["answer"] == "no" and demo["fallback_used"], demo


def test_recovers(lab):
    """a model that was told what is wrong may do it right, and fails as its command fails"""
    calls = [("vm_run", "{"), arguments(command="echo $((20 * 3)) >&2; exit 3"), None]
    script = lambda h, n: h.say("", calls[n - 1]) if calls[n - 1] else h.say("done")
    with serving(script) as server:
        demo = lab.json("demo", "ollama", "--base-url", server.url, code=1)
        told = results(server.requests[-1][1])
    assert demo["tool_calls"] == 1 == demo["rejected_calls"] and not demo["fallback_used"], demo
    assert told[1]["stderr"] == "60\n" and told[1]["exit_code"] == 3, told


def test_no_call(lab):
    """an empty answer, or words without a call, make the command run without the model"""
    for content, answer in ((None, None), ("", None), ("2.30, I guess", "2.30, I guess")):
        demo, _ = converse(lab, lambda h, n: h.say(content))
        assert demo["fallback_used"] and demo["rounds"] == 1 and demo["answer"] == answer, demo
        assert demo["executed"]["stdout"].startswith("git version 2."), demo


def test_long_output(lab):
    """of long output the model is told the beginning"""
    calls = [arguments(command="yes pyro-ä | head -c 300000"), None]
    _, requests = converse(lab, lambda h, n: h.say("", calls[n - 1]) if calls[n - 1] else h.say("ok"))
    [told] = results(requests[-1])
    assert 3900 < len(told["stdout"].encode()) < 4100 and told["stdout"].endswith("[cut]"), told


def test_interrupt(lab):
    """an interrupt while the model's command runs removes its VM"""
    with serving(lambda h, n: h.say("", arguments(command="sleep 60", timeout_seconds=60))) as server:
        call = lab.start("demo", "ollama", "--base-url", server.url)
        call.await_text("phase=execute")
        eventually(lambda: lab.pids("qemu-system"), 120, "QEMU runs")
        call.signal(signal.SIGINT)
        assert call.end().code == 130
    lab.check_clean()
