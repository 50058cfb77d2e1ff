"""Workspaces as a chat host uses them, with real guests."""
import json
import os
import re
import signal
import subprocess
import time

from client import ENVIRONMENT, Server, conforms, eventually, structured
from network import World

CORE = ("--profile", "workspace-core")
FULL = ("--profile", "workspace-full")


def created(server, **arguments):
    return server.ask("workspace_create", environment=ENVIRONMENT, ttl_seconds=600,
                      **arguments)["workspace_id"]


def git(where, *words):
    return subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
                          cwd=where, check=True, capture_output=True, text=True).stdout


def checkout(lab, name="project"):
    """A Git checkout with a tracked file, an ignored one and one that nobody added."""
    where = f"{lab.dir}/{name}"
    os.makedirs(f"{where}/src")
    for path, text in (("src/hello.sh", "echo hello world\n"), (".gitignore", "out\n"),
                       ("out", "made\n"), ("stray", "x\n")):
        with open(f"{where}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
    git(where, "init", "-q")
    git(where, "add", "src", ".gitignore")
    git(where, "commit", "-qm", "first")
    return where


def test_loop(lab):
    """create, run, edit, patch, review, export, delete: every result fits its schema"""
    server = Server(lab, *CORE, cwd=checkout(lab))
    server.request(0, "tools/list")
    schemas = {tool["name"]: tool["outputSchema"] for tool in server.reply()["result"]["tools"]}

    def ask(tool, /, **arguments):
        result = server.ask(tool, **arguments)
        assert conforms(schemas[tool], result), (tool, result)
        return result
    made = ask("workspace_create", environment=ENVIRONMENT, name="loop", labels={"a": "b"})
    ws = made["workspace_id"]
    assert made["workspace_seed"]["origin_kind"] == "project_path", made
    entries = ask("workspace_file_list", workspace_id="loop", recursive=True)["entries"]
    assert {e["path"] for e in entries if e["artifact_type"] == "file"} == {
        "/workspace/.gitignore", "/workspace/src/hello.sh"}, entries
    ran = ask("workspace_exec", workspace_id=ws, command="sh src/hello.sh; exit 3")
    assert ran["stdout"] == "hello world\n" and ran["exit_code"] == 3 and ran["state"] == "finished"
    assert ran["next_step"] is None, ran
    killed = ask("workspace_exec", workspace_id=ws, command="sleep 1000", timeout_seconds=1)
    assert killed["timed_out"] and "longer timeout_seconds" in killed["next_step"], killed
    ask("workspace_file_write", workspace_id=ws, path="new/file", text="one\n")
    assert ask("workspace_file_read", workspace_id=ws, path="new/file")["content"] == "one\n"
    ask("workspace_patch_apply", workspace_id=ws, patch=(
        "--- a/src/hello.sh\n+++ b/src/hello.sh\n@@ -1 +1 @@\n-echo hello world\n+echo hello pyro\n"))
    diff = ask("workspace_diff", workspace_id=ws)
    assert diff["changed"] and diff["next_offset"] is None and "+echo hello pyro" in diff["patch"]
    assert "hello.sh" not in ask("workspace_diff", workspace_id=ws, path="new")["patch"]
    assert "hello.sh" not in ask("workspace_diff", workspace_id=ws, exclude=["*.sh"])["patch"]
    ask("workspace_export", workspace_id=ws, path="src", output_path=f"{lab.dir}/exported")
    with open(f"{lab.dir}/exported/hello.sh", encoding="utf-8") as text:
        assert text.read() == "echo hello pyro\n"
    ask("workspace_sync_push", workspace_id=ws, source_path=f"{lab.dir}/exported", dest="again")
    assert ask("workspace_logs", workspace_id=ws)["count"] == 2
    assert ask("workspace_summary", workspace_id=ws)["changes"]["changed"]
    ask("workspace_update", workspace_id=ws, name="other", clear_labels=["a"])
    assert ask("workspace_list")["workspaces"][0]["name"] == "other"
    assert "hint: there is 'baseline'" in server.fail("workspace_reset", workspace_id=ws, snapshot="x")
    assert ask("workspace_reset", workspace_id=ws)["reset_count"] == 1
    assert not ask("workspace_diff", workspace_id=ws)["changed"]
    assert ask("workspace_status", workspace_id=ws)["state"] == "started"
    assert ask("workspace_delete", workspace_id=ws)["deleted"]
    text = server.fail("workspace_exec", workspace_id=ws, command="true")
    assert text.endswith("time to live is over, or it never was: workspace_list"), text
    assert server.close() == []


def test_sources(lab):
    """what workspaces are filled with is said beforehand and afterwards, and can be chosen"""
    inside = checkout(lab)
    os.mkdir(f"{lab.dir}/plain")
    with open(f"{lab.dir}/plain/file", "w", encoding="utf-8") as file:
        file.write("x")
    for where, words, said, kind, count in (
            (f"{inside}/src", (), f"the Git-tracked files of {inside}", "project_path", 3),
            (lab.dir, (), "/workspace is empty", "empty", 0),
            (inside, ("--no-project-source",), "/workspace is empty", "empty", 0),
            (lab.dir, ("--project-path", f"{inside}/src"), f"{inside}/src", "project_path", 1),
            (lab.dir, ("--project-path", f"{lab.dir}/plain"), "plain", "project_path", 1),
            (lab.dir, ("--repo-url", inside), f"a clean clone of {inside}", "repo_url", 3)):
        server = Server(lab, *CORE, *words, cwd=where)
        server.request(0, "tools/list")
        [text] = [tool["description"] for tool in server.reply()["result"]["tools"]
                  if tool["name"] == "workspace_create"]
        assert said in text, (words, text)
        made = server.ask("workspace_create", environment=ENVIRONMENT)
        seed = made["workspace_seed"]
        assert (seed["origin_kind"], seed["entry_count"]) == (kind, count), (words, seed)
        server.ask("workspace_delete", workspace_id=made["workspace_id"])
        assert server.close() == []


def test_network(lab):
    """with --network-policy egress workspaces reach the network unasked, unless they are to have none"""
    with World(lab) as world:
        world.serve_world()
        server = Server(lab, *CORE, "--network-policy", "egress")
        ws = created(server)
        ran = server.ask("workspace_exec", workspace_id=ws, command="curl -sS http://somewhere.test/5")
        assert ran["exit_code"] == 0 and len(ran["stdout"]) == 5, ran
        server.ask("workspace_delete", workspace_id=ws)
        assert server.close() == []
        server = Server(lab, *FULL, "--network-policy", "egress")
        for given, policy in (({}, "egress"), ({"network_policy": "off"}, "off")):
            made = server.ask("workspace_create", environment=ENVIRONMENT, **given)
            assert made["network_policy"] == policy, made
            server.ask("workspace_delete", workspace_id=made["workspace_id"])
        assert server.close() == []


def test_source_fails(lab):
    """a source that cannot be used keeps the server up, and says the ways out"""
    server = Server(lab, *CORE, "--project-path", f"{lab.dir}/nowhere")
    server.ping()
    text = server.fail("workspace_create", environment=ENVIRONMENT)
    for way in ("nowhere", "--project-path", "--repo-url", "--no-project-source", "seed_path"):
        assert way in text, text
    ws = created(server, seed_path=checkout(lab))
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def initialize(server, capabilities):
    server.request("i", "initialize", {"protocolVersion": "2025-11-25",
                                       "capabilities": capabilities,
                                       "clientInfo": {"name": "t", "version": "1"}})
    server.reply()
    server.notify("notifications/initialized", {})


def test_roots(lab):
    """a root that the client offers is the source when there is no other"""
    project = checkout(lab, "a b")
    server = Server(lab, *CORE, cwd=lab.dir)
    initialize(server, {"roots": {"listChanged": True}})
    server.call(1, "workspace_create", environment=ENVIRONMENT)
    asked = server.next()
    assert asked["method"] == "roots/list", asked
    server.ping()
    server.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [
        {"uri": "https://example.org/"}, {"uri": f"file://{lab.dir}/a%20b"}]}})
    made = structured(server.reply())
    assert made["workspace_seed"]["origin_ref"] == project, made
    server.ask("workspace_delete", workspace_id=made["workspace_id"])
    ws = server.ask("workspace_create")["workspace_id"]  # known now: not asked again
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def test_roots_that_change(lab):
    """a client whose roots change while it is asked for them has its answer taken"""
    project = checkout(lab, "project")
    server = Server(lab, *CORE, cwd=lab.dir)
    initialize(server, {"roots": {"listChanged": True}})
    server.call(1, "workspace_create", environment=ENVIRONMENT)
    asked = server.next()
    server.notify("notifications/roots/list_changed", {})
    server.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [
        {"uri": f"file://{lab.dir}%00/x"}, {"uri": f"file://{project}"}]}})
    made = structured(server.reply())
    assert made["workspace_seed"]["origin_ref"] == project, made
    server.ask("workspace_delete", workspace_id=made["workspace_id"])
    assert server.close() == []


def test_roots_unanswered(lab):
    """a client that does not say what its roots are gets an empty workspace"""
    for answers in (True, False):
        server = Server(lab, *CORE, cwd=lab.dir)
        initialize(server, {"roots": {}})
        server.call(1, "workspace_create", environment=ENVIRONMENT)
        asked = server.next()
        if answers:
            server.send({"jsonrpc": "2.0", "id": asked["id"],
                         "error": {"code": -32601, "message": "no"}})
        made = structured(server.reply())
        assert made["workspace_seed"]["mode"] == "empty", made
        server.ask("workspace_delete", workspace_id=made["workspace_id"])
        assert server.close() == []


def test_rest_of_output(lab):
    """of long output the beginning and the end are shown, and the middle is there to be asked for"""
    server = Server(lab, *CORE, cwd=lab.dir)
    ws = created(server)
    for command, whole in (("seq 40000; seq 3000 >&2", "".join(f"{n}\n" for n in range(1, 40001))),
                           # Bytes that are no text take three bytes each when they are shown.
                           ("head -c 30000 /dev/zero | tr '\\0' '\\377'", "\ufffd" * 30000)):
        ran = server.ask("workspace_exec", workspace_id=ws, command=command)
        head, note, tail = ran["stdout"].partition("\n[... ")
        assert note and whole.startswith(head) and ran["stdout_truncated"], ran
        assert whole.endswith(tail.split(" ...]\n")[1]), ran
        call = json.loads(tail[tail.index("{"):tail.index("}") + 1])
        assert "workspace_logs" in tail and call["sequence"] == ran["sequence"], tail[:200]
        output, offset = head, call["offset"]
        while offset is not None:
            [entry] = server.ask("workspace_logs", **{**call, "offset": offset})["entries"]
            output += entry["stdout"]
            offset = entry["next_offset"]
        assert output == whole, (len(output), len(whole))
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def test_sizes(lab):
    """no result is longer than hosts show, whatever is in it"""
    server = Server(lab, *FULL, cwd=lab.dir)
    ws = created(server)
    for command in ("head -c 100000 /dev/urandom; head -c 100000 /dev/urandom >&2",
                    "head -c 100000 /dev/zero", "yes '\"\\\\' | head -c 100000",
                    "yes é | head -c 100000; yes 𝄞 | head -c 99999 >&2",
                    "head -c 30000 /dev/zero > zero; seq 1000 | while read n; do echo $n > f-$n; done"):
        server.ask("workspace_exec", workspace_id=ws, command=command)
    for name, arguments in (("workspace_file_list", {}), ("workspace_logs", {}),
                            ("workspace_file_read", {"path": "zero"}), ("workspace_diff", {}),
                            ("workspace_summary", {}), ("workspace_file_list", {"offset": 500})):
        server.ask(name, workspace_id=ws, **arguments)
    for sequence in range(1, 5):
        server.ask("workspace_logs", workspace_id=ws, sequence=sequence)
    names, offset = [], 0
    while offset is not None:
        page = server.ask("workspace_file_list", workspace_id=ws, offset=offset)
        names += [entry["path"] for entry in page["entries"]]
        offset = page["next_offset"]
    assert len(names) == 1001 == len(set(names)) and names == sorted(names), len(names)
    content, offset = "", 0
    while offset is not None:
        page = server.ask("workspace_file_read", workspace_id=ws, path="zero", offset=offset)
        content += page["content"]
        offset = page["next_offset"]
    assert len(content) == 30000
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def test_escaped_sizes(lab):
    """names and output that are six times as long in JSON fit, and the rest is named to the byte"""
    server = Server(lab, *CORE, cwd=lab.dir)
    ws = created(server)
    server.ask("workspace_exec", workspace_id=ws,
               command="ln -s $(head -c 4000 /dev/zero | tr '\\0' '\\1') long")
    [entry] = server.ask("workspace_file_list", workspace_id=ws)["entries"]
    assert entry["link_target"].startswith("\x01" * 999) and "left out" in entry["link_target"], entry
    server.ask("workspace_diff", workspace_id=ws)
    ran = server.ask("workspace_exec", workspace_id=ws, command=(
        "yes $(printf 'a\\377\\303\\251') | head -c 60000; head -c 60000 /dev/zero | tr '\\0' '\\1' >&2"))
    assert ran["stdout_truncated"] and ran["stderr_truncated"], ran
    for name in ("stdout", "stderr"):
        head, note = re.match(r"(.*?)\n(\[\.\.\. .*? \.\.\.\])\n", ran[name], re.S).groups()
        call = json.loads(re.search(r"workspace_logs (\{.*?\})", note)[1])
        printed = sum(1 if c == "\ufffd" else len(c.encode()) for c in head)
        assert call == {"workspace_id": ws, "sequence": 2, "offset": printed}, (call, printed)
        [shown] = server.ask("workspace_logs", **call)["entries"]
        whole = ("a\ufffdé\n" * 15000 if name == "stdout" else "\x01" * 60000)
        assert whole.startswith(head + shown[name][:100]), (head[-9:], shown[name][:9])
    server.ask("workspace_update", workspace_id=ws,
               labels={f"{n:064}": "\"\\" * 128 for n in range(64)})
    server.ask("workspace_list")
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def test_outlast_call(lab):
    """a command that outlasts its call goes on, and is asked for again, also of another server"""
    server = Server(lab, *CORE, cwd=lab.dir)
    ws = created(server)
    ran = server.ask("workspace_exec", workspace_id=ws, wait_seconds=1, timeout_seconds=600,
                     command="echo begun; until [ -e go ]; do sleep 0.1; done; echo done; exit 7")
    assert ran["state"] == "running" and ran["exit_code"] is None, ran
    call = json.loads(ran["next_step"][ran["next_step"].index("{"):][:200].split("}")[0] + "}")
    assert ran["next_step"].startswith("workspace_exec ") and call == {
        "workspace_id": ws, "sequence": ran["sequence"]}, ran["next_step"]
    ran = eventually(lambda: (ran := server.ask("workspace_exec", **call, wait_seconds=1))["stdout"] and
                     ran, 120, "it prints")
    assert (ran["state"], ran["stdout"]) == ("running", "begun\n"), ran
    assert server.close() == []
    server = Server(lab, *CORE, cwd=lab.dir)
    assert server.ask("workspace_logs", workspace_id=ws)["entries"][0]["state"] == "running"
    server.call("wait", "workspace_exec", **call)
    server.call("go", "workspace_file_write", workspace_id=ws, path="go", text="")
    ran = structured(server.replies(2)["wait"])
    assert (ran["state"], ran["exit_code"], ran["stdout"]) == ("finished", 7, "begun\ndone\n"), ran
    assert server.ask("workspace_exec", **call)["exit_code"] == 7
    text = server.fail("workspace_exec", workspace_id=ws, sequence=99)
    assert "workspace_logs {" in text, text
    assert "exclude each other" in server.fail("workspace_exec", **call, command="true")
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def test_removed_soon(lab):
    """the result of a command in a workspace that is removed soon names the tool that keeps it"""
    server = Server(lab, *CORE, cwd=lab.dir)
    ws = server.ask("workspace_create", environment=ENVIRONMENT, ttl_seconds=100)["workspace_id"]
    warning = server.ask("workspace_exec", workspace_id=ws, command="true")["warning"]
    assert f'workspace_update {{"workspace_id": "{ws}", "ttl_seconds": 3600}}' in warning, warning
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def state_of(lab, ws):
    return lab.json("workspace", "logs", ws)["entries"][-1]["state"]


def test_cancel_command(lab):
    """a cancelled call kills its command in the guest, and the workspace goes on"""
    server = Server(lab, *CORE, cwd=lab.dir)
    ws = created(server)
    server.call(7, "workspace_exec", workspace_id=ws, command="sleep 1000", timeout_seconds=2000)
    eventually(lambda: lab.json("workspace", "logs", ws)["count"] == 1, 120, "the command runs")
    server.notify("notifications/cancelled", {"requestId": 7})
    eventually(lambda: state_of(lab, ws) == "cancelled", 120, "the command is cancelled")
    ran = server.ask("workspace_exec", workspace_id=ws,
                     command="for p in /proc/[0-9]*; do cat $p/comm; done | grep -c '^sleep$'")
    assert ran["stdout"] == "0\n", ran
    server.ask("workspace_delete", workspace_id=ws)
    assert server.close() == []


def test_end_leaves_commands(lab):
    """whatever ends the server, a workspace and the command in it go on"""
    with Workspace(lab) as ws:
        for end in ("input", signal.SIGINT, signal.SIGTERM, signal.SIGKILL, "group"):
            server = Server(lab, *CORE, cwd=lab.dir, start_new_session=True)
            count = lab.json("workspace", "logs", ws)["count"]
            server.call(1, "workspace_exec", workspace_id=ws, timeout_seconds=600,
                        command="until [ -e go ]; do sleep 0.1; done; rm go; echo went on")
            eventually(lambda n=count: lab.json("workspace", "logs", ws)["count"] == n + 1, 120,
                       "the command runs")
            if end == "input":
                assert server.close() == []
            elif end == "group":
                os.killpg(server.pid, signal.SIGTERM)
                server.wait()
            else:
                os.kill(server.pid, end)
                server.wait()
            time.sleep(0.2)
            assert state_of(lab, ws) == "running", end
            lab.call("workspace", "file", "write", ws, "go", "--text", "", code=0)
            eventually(lambda: state_of(lab, ws) == "finished", 120, "it ends by itself")
            entry = lab.json("workspace", "logs", ws)["entries"][-1]
            assert entry["stdout"] == "went on\n", (end, entry)


def test_end_undoes_creation(lab):
    """a server that ends while a workspace is created leaves none"""
    for number, pause in ((signal.SIGINT, 0.02), (signal.SIGTERM, 0.1), (signal.SIGTERM, 0.25)):
        server = Server(lab, *CORE, cwd=lab.dir)
        server.ping()  # from now on it hears signals
        server.call(1, "workspace_create", environment=ENVIRONMENT)
        time.sleep(pause)
        os.kill(server.pid, number)
        assert server.wait() == 128 + number
        for ws in lab.json("workspace", "list")["workspaces"]:  # it was complete already
            lab.call("workspace", "delete", ws["workspace_id"])
    eventually(lambda: not lab.vm_dirs(), 120, "nothing is left")


def test_next_tool(lab):
    """what to do next is said as a tool of the profile, or as a command where it has none"""
    full = Server(lab, *FULL, cwd=lab.dir)
    ws = created(full)
    full.ask("workspace_stop", workspace_id=ws)
    text = full.fail("workspace_exec", workspace_id=ws, command="true")
    assert text.endswith(f'hint: workspace_start {{"workspace_id": "{ws}"}}'), text
    step = full.ask("workspace_status", workspace_id=ws)["next_step"]
    assert step.startswith("workspace_start {"), step
    core = Server(lab, *CORE, cwd=lab.dir)
    text = core.fail("workspace_exec", workspace_id=ws, command="true")
    assert text.endswith(f"hint: pyro workspace start {ws}"), text
    core.ask("workspace_delete", workspace_id=ws)
    assert core.close() == full.close() == []


class Workspace:
    """One that is made and removed on the command line."""

    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        self.id = self.lab.json("workspace", "create", ENVIRONMENT)["workspace_id"]
        return self.id

    def __exit__(self, *exc):
        self.lab.call("workspace", "delete", self.id)
