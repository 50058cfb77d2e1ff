"""Whole turns of the chat hosts: the scripted model asks, the host calls pyro, and what the model is
shown, what is in the project and what is left behind must be right."""
import functools
import json
import re
import signal
import subprocess

from drivers import HOSTS, Claude, Codex, OpenCode
from lab import ENVIRONMENT, eventually, shape
from model import FINAL, Model

TURN_S = 240

PATCH = """--- a/hello.txt
+++ b/hello.txt
@@ -1 +1 @@
-hello
+goodbye
"""
TEXT = "a \"quoted\" line,\n\ta n\u00e4xt one\n"


class Turn:
    """A host at work on a plan. Arguments that are a function get the results so far as objects."""

    def __init__(self, lab, host, plan, words=(), **entry):
        self.host, self.plan = host, plan
        self.model = Model([(tool, self.reading(arguments)) for tool, arguments in plan])
        host.configure(lab, self.model.url, words, **entry)
        self.call = lab.program(*host.argv)

    def reading(self, arguments):
        if not callable(arguments):
            return arguments
        return lambda texts: arguments([json.loads(self.host.shown(text)) for text in texts])

    def end(self):
        """Waits until the host is done with the whole plan; returns the texts that the model was
        shown for each step."""
        done = self.call.end(TURN_S)
        self.model.close()
        assert self.model.problem is None, self.model.problem
        assert done.code == 0 and FINAL in done.out, f"{done}\n{self.model.results}"
        assert len(self.model.results) == len(self.plan), self.model.results
        return [self.host.shown(text) for text in self.model.results]

    def results(self):
        """As end(), for a plan in which every call must succeed and be shown whole."""
        return [json.loads(text) for text in self.end()]


def core(test):
    test.part = "core"
    return test


def on(index=0, **more):
    """Arguments about the workspace that a step created."""
    return lambda results: {"workspace_id": results[index]["workspace_id"], **more}


CREATE = ("workspace_create", {"environment": ENVIRONMENT})
DELETE = ("workspace_delete", on())


@core
def test_whole_turn(lab, host):
    """makes a workspace of the project, changes it, reviews, exports and deletes it"""
    out = f"{lab.project}/out"
    turn = Turn(lab, host, [
        CREATE,
        ("workspace_exec", on(command="ls -A; cat hello.txt; exit 3")),
        ("workspace_patch_apply", on(patch=PATCH)),
        ("workspace_file_write", on(path="/workspace/new/one.txt", text=TEXT)),
        ("workspace_file_read", on(path="/workspace/new/one.txt")),
        ("workspace_diff", on()),
        ("workspace_export", on(path="/workspace", output_path=out)),
        DELETE,
    ])
    created, ran, _, _, read, diff, _, deleted = turn.results()
    assert created["state"] == "started" and created["execution_mode"] == "guest_serial", created
    assert ran["stdout"] == ".gitignore\nhello.txt\nhello\n" and ran["exit_code"] == 3, ran
    assert read["content"] == TEXT, read
    assert deleted["deleted"] is True, deleted
    names = shape(out)
    assert sorted(names) == [b".gitignore", b"hello.txt", b"new", b"new/one.txt"], names
    with open(f"{out}/new/one.txt", encoding="utf-8") as file:
        assert file.read() == TEXT
    subprocess.run(["git", "apply", "-"], input=diff["patch"], text=True, cwd=lab.project,
                   env=lab.env, check=True)
    for name in ("hello.txt", "new/one.txt"):
        with open(f"{out}/{name}", encoding="utf-8") as one, \
                open(f"{lab.project}/{name}", encoding="utf-8") as other:
            assert one.read() == other.read(), name


def test_one_command(lab, host):
    """runs one command in a VM and shows the model the whole result"""
    turn = Turn(lab, host, [
        ("vm_run", {"environment": ENVIRONMENT, "command": "echo hello; echo more >&2; exit 3"}),
    ], ["--profile", "vm-run"])
    [result] = turn.results()
    assert result["stdout"] == "hello\n" and result["stderr"] == "more\n", result
    assert result["exit_code"] == 3 and result["execution_mode"] == "guest_serial", result
    assert list(turn.model.tools) == ["vm_run"]


def test_mode(lab, host):
    """shows the model the tools and the texts of the mode that it was connected with"""
    turn = Turn(lab, host, [
        CREATE, ("workspace_file_read", on(path="hello.txt")), DELETE,
    ], ["--mode", "inspect"])
    _, read, _ = turn.results()
    assert read["content"] == "hello\n", read
    tools = turn.model.tools
    assert {"workspace_exec", "workspace_file_read"} < set(tools), tools.keys()
    assert not {"workspace_file_write", "workspace_patch_apply", "vm_run"} & set(tools), tools.keys()
    assert "isolated" in tools["workspace_create"]["description"], tools["workspace_create"]


test_mode.hosts = [OpenCode]  # the one that shows its model every tool


def test_error(lab, host):
    """shows the model what went wrong and what to do, and goes on"""
    turn = Turn(lab, host, [
        ("workspace_exec", {"workspace_id": "nothing-of-mine", "command": "true"}),
        ("workspace_list", {}),
    ])
    error, listed = turn.end()
    assert "nothing-of-mine" in error and "workspace_list" in error, error
    assert json.loads(listed)["workspaces"] == [], listed


def test_long_output(lab, host):
    """shows the model a long output's beginning and end, cut by nobody but pyro, and then the rest"""
    def rest(results):
        """The call that stands in the place of what is left out."""
        return json.loads(re.search(r"workspace_logs (\{.*?\}) shows", results[1]["stdout"])[1])
    turn = Turn(lab, host, [
        CREATE, ("workspace_exec", on(command="seq -f %06géé 50000")), ("workspace_logs", rest),
        DELETE])
    _, ran, logs, _ = turn.results()
    whole = "".join(f"{number:06}éé\n" for number in range(1, 50001))
    head, tail = re.split(r"\n\[[.]{3} .* [.]{3}\]\n", ran["stdout"])
    assert whole.startswith(head) and whole.endswith(tail) and len(head) > 1000, ran
    [entry] = logs["entries"]
    assert whole.startswith(head + entry["stdout"]) and len(entry["stdout"]) > 5000, entry
    assert entry["next_offset"] == len((head + entry["stdout"]).encode()), entry


def test_patience(lab, host):
    """gets the rest of a command that outlasts its call by the next call"""
    turn = Turn(lab, host, [
        CREATE,
        ("workspace_exec", on(command="echo one; sleep 12; echo two", wait_seconds=4)),
        ("workspace_exec", lambda results: {"workspace_id": results[0]["workspace_id"],
                                            "sequence": results[1]["sequence"]}),
        DELETE,
    ])
    _, first, second, _ = turn.results()
    assert first["state"] == "running" and first["exit_code"] is None, first
    assert first["stdout"] == "one\n", first
    assert second["state"] == "finished" and second["exit_code"] == 0, second
    assert second["stdout"].endswith("two\n"), second


def test_progress(lab, host):
    """is kept waiting by progress beyond its own patience"""
    turn = Turn(lab, host, [
        CREATE, ("workspace_exec", on(command="sleep 25; echo done", timeout_seconds=100)), DELETE,
    ], timeout=20000)
    _, ran, _ = turn.results()
    assert ran["stdout"] == "done\n", ran


test_progress.hosts = [OpenCode]


def end_amidst(lab, host, number, command):
    """Ends a host in the middle of a command, which is to make the file `begun`: its server goes,
    the workspace stays. Returns the workspace's identity."""
    turn = Turn(lab, host, [
        CREATE, ("workspace_exec", on(command=f"touch begun; {command}", timeout_seconds=600))])

    def has_begun():
        listed = lab.json("workspace", "list")["workspaces"] if lab.records() else []
        return listed and lab.call("workspace", "exec", listed[0]["workspace_id"], "--", "test",
                                   "-e", "begun").code == 0 and listed[0]["workspace_id"]
    workspace = eventually(has_begun, 120, "the command runs")
    turn.call.signal(number)
    turn.call.end()
    turn.model.close()
    eventually(lambda: not lab.pids("pyro-mcp"), 120, f"the server is gone: {lab.processes()}")
    assert lab.json("workspace", "status", workspace)["state"] == "started"
    return workspace


def check_end(lab, host, number):
    workspace = end_amidst(lab, host, number, "sleep 1000")
    done = lab.json("workspace", "exec", workspace, "--", "ls")
    assert done["stdout"] == "begun\nhello.txt\n", done
    lab.json("workspace", "delete", workspace)


def test_interrupt(lab, host):
    """ends its server when it is interrupted, and the workspace lives"""
    check_end(lab, host, signal.SIGINT)


def test_termination(lab, host):
    """ends its server when it is terminated, and the workspace lives"""
    check_end(lab, host, signal.SIGTERM)


def test_death(lab, host):
    """leaves no server behind when it is killed, and the workspace lives"""
    check_end(lab, host, signal.SIGKILL)


def test_handover(lab, host):
    """is terminated during a command, and another host goes on with it"""
    end_amidst(lab, host, signal.SIGTERM, "until [ -e go ]; do sleep 0.1; done; echo done")

    def running(results):
        [found] = [entry for entry in results[1]["entries"] if entry["state"] == "running"]
        return {"workspace_id": results[1]["workspace_id"], "sequence": found["sequence"]}
    turn = Turn(lab, Codex, [
        ("workspace_list", {}),
        ("workspace_logs", lambda results: on()(results[0]["workspaces"])),
        ("workspace_file_write", on(1, path="go", text="")),
        ("workspace_exec", running),
        ("workspace_delete", on(1)),
    ])
    _, _, _, ran, _ = turn.results()
    assert ran["state"] == "finished" and ran["stdout"] == "done\n", ran


test_handover.hosts = [Claude]


def tests():
    """Every test with every host: (name, function of a lab)."""
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            for host in getattr(test, "hosts", HOSTS):
                bound = functools.partial(test, host=host)
                bound.part = getattr(test, "part", "slow")
                yield f"{host.name} {test.__doc__}", bound
