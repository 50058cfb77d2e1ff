"""`pyro host` with the hosts themselves: what they say of what pyro registered, and what pyro says
of what they, or their users, did."""
import functools
import json
import os
import re

import docs
from drivers import PYRO

COMMAND = [PYRO, "mcp", "serve"]
PLACE = {"claude-code": 0, "codex": 1, "opencode": 2}
QUIET = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
         "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1",
         "OPENCODE_DISABLE_LSP_DOWNLOAD": "1", "RUST_BACKTRACE": "0"}
LIMIT_S = 180


def run(lab, *words, code=0, **options):
    done = lab.program(*words, **options).end(LIMIT_S)
    assert done.code == code, (words, str(done))
    return done


def pyro(lab, *words, code=0):
    return json.loads(run(lab, PYRO, "host", *words, "--json", code=code).out)


def doctor(lab, host, *words, code=0):
    return pyro(lab, "doctor", *words, code=code)["hosts"][PLACE[host]]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# Claude Code

def claude_file(lab):
    return json.loads(read(f"{lab.home}/.claude.json"))


def claude_connects(lab):
    """claude connects to the server that was registered for the user, in every directory"""
    assert doctor(lab, "claude-code")["status"] == "missing"
    made = pyro(lab, "connect", "claude-code")
    assert made["action"] == "connected" and made["scope"] == "user", made
    said = run(lab, "claude", "mcp", "get", "pyro").out
    assert "Scope: User config" in said and "✔ Connected" in said, said
    made = pyro(lab, "connect", "claude-code")
    assert made["action"] == "already connected" and not made["changed"], made
    assert doctor(lab, "claude-code")["status"] == "ok"


def claude_options(lab):
    """options, a path with spaces, and what pyro reads from the environment reach claude"""
    project = f"{lab.dir}/a 'project'"
    os.mkdir(project)
    lab.env |= {"PYRO_ACCEL": "tcg", "XDG_STATE_HOME": f"{lab.home}/a state"}
    words = ("--mode", "inspect", "--network-policy", "egress", "--project-path", project)
    pyro(lab, "connect", "claude-code", *words)
    server = claude_file(lab)["mcpServers"]["pyro"]
    assert [server["command"], *server["args"]] == [*COMMAND, *words], server
    assert server["env"] == {"PYRO_ACCEL": "tcg", "XDG_STATE_HOME": f"{lab.home}/a state"}, server
    assert "✔ Connected" in run(lab, "claude", "mcp", "get", "pyro").out
    assert doctor(lab, "claude-code", *words)["status"] == "ok"
    found = doctor(lab, "claude-code", code=1)
    assert "--mode inspect" in found["details"], found
    run(lab, "bash", "-c", found["repair_command"].replace("pyro", PYRO, 1))
    assert claude_file(lab)["mcpServers"]["pyro"]["args"] == ["mcp", "serve"]


def claude_keeps(lab):
    """an entry of claude that is another is repaired with its other members, and other servers stay"""
    run(lab, "claude", "mcp", "add-json", "-s", "user", "pyro", json.dumps(
        {"type": "stdio", "command": "/nowhere/pyro", "args": ["mcp", "serve"], "env": {"A": "b"},
         "timeout": 90000}))
    run(lab, "claude", "mcp", "add", "-s", "user", "other", "--", "true")
    found = doctor(lab, "claude-code", code=1)
    assert "there is no program '/nowhere/pyro'" in found["details"], found
    made = pyro(lab, "connect", "claude-code")
    assert made["action"] == "repaired" and made["previous_command"][0] == "/nowhere/pyro", made
    servers = claude_file(lab)["mcpServers"]
    assert servers["pyro"] == {"type": "stdio", "command": PYRO, "args": ["mcp", "serve"],
                               "env": {"A": "b"}, "timeout": 90000}, servers
    assert servers["other"]["command"] == "true"


def claude_scopes(lab):
    """an entry of the project that hides the user's is found from below it, and repaired"""
    pyro(lab, "connect", "claude-code")
    run(lab, "claude", "mcp", "add", "pyro", "--", "other", "program")
    os.mkdir(f"{lab.project}/below")
    top, lab.project = lab.project, f"{lab.project}/below"
    found = doctor(lab, "claude-code", code=1)
    assert found["scope"] == "local" and found["configured_command"] == ["other", "program"], found
    made = pyro(lab, "repair", "claude-code")
    assert made["scope"] == "user" and made["status"] == "ok", made
    lab.project = top
    assert "Scope: User config" in run(lab, "claude", "mcp", "get", "pyro").out


def claude_server_elsewhere(lab):
    """an entry of claude for a server elsewhere is repaired"""
    run(lab, "claude", "mcp", "add", "-s", "user", "-t", "http", "pyro", "http://127.0.0.1:9/mcp")
    assert "server elsewhere" in doctor(lab, "claude-code", code=1)["details"]
    pyro(lab, "repair", "claude-code")
    assert "✔ Connected" in run(lab, "claude", "mcp", "get", "pyro").out


def claude_shared(lab):
    """an entry that a project shares with others is left to it: pyro is registered for the user"""
    with open(f"{lab.project}/.mcp.json", "w", encoding="utf-8") as file:
        json.dump({"mcpServers": {"pyro": {"command": "touch", "args": ["started"]}}}, file)
    assert doctor(lab, "claude-code")["status"] == "missing"
    assert not os.path.exists(f"{lab.project}/started")
    before = read(f"{lab.project}/.mcp.json")
    pyro(lab, "connect", "claude-code")
    assert read(f"{lab.project}/.mcp.json") == before
    assert "Scope: User config" in run(lab, "claude", "mcp", "get", "pyro").out


def claude_corrupt(lab):
    """a file of claude that nobody can read is reported and left as it is"""
    lab.write(".claude.json", '{"projects": {')
    found = doctor(lab, "claude-code", code=1)
    assert ".claude.json' is no JSON" in found["details"] and not found["repair_command"], found
    run(lab, PYRO, "host", "repair", "claude-code", code=2)
    assert read(f"{lab.home}/.claude.json") == '{"projects": {'


def claude_off(lab):
    """a server that the user switched off in a project of claude is named, and stays off"""
    pyro(lab, "connect", "claude-code")
    config = claude_file(lab)
    config.setdefault("projects", {})[lab.project] = {"disabledMcpServers": ["pyro"]}
    lab.write(".claude.json", json.dumps(config))
    assert "isabled" in run(lab, "claude", "mcp", "get", "pyro").out
    found = doctor(lab, "claude-code", code=1)
    assert "/mcp enable pyro" in found["details"] and found["repair_command"] is None, found
    made = pyro(lab, "repair", "claude-code")
    assert not made["changed"] and "/mcp enable pyro" in made["warning"], made


def claude_elsewhere(lab):
    """CLAUDE_CONFIG_DIR is where pyro looks, too"""
    lab.env["CLAUDE_CONFIG_DIR"] = f"{lab.home}/other"
    made = pyro(lab, "connect", "claude-code")
    assert made["config_path"] == f"{lab.home}/other/.claude.json", made
    assert doctor(lab, "claude-code")["status"] == "ok"


# Codex

def codex_get(lab):
    return json.loads(run(lab, "codex", "mcp", "get", "pyro", "--json").out)


def codex_connects(lab):
    """codex has what was registered, with what it would strip from the environment"""
    assert doctor(lab, "codex")["status"] == "missing"
    lab.env["XDG_STATE_HOME"] = f"{lab.home}/a state"
    words = ("--repo-url", "https://x.invalid/a b.git", "--repo-ref", "main")
    made = pyro(lab, "connect", "codex", *words)
    assert made["action"] == "connected" and made["config_path"] == f"{lab.home}/.codex/config.toml"
    found = codex_get(lab)["transport"]
    assert [found["command"], *found["args"]] == [*COMMAND, *words], found
    assert found["env"] == {"XDG_STATE_HOME": f"{lab.home}/a state"}, found
    assert doctor(lab, "codex", *words)["status"] == "ok"
    assert pyro(lab, "connect", "codex", *words)["action"] == "already connected"


def codex_keeps(lab):
    """an entry of codex is repaired with every other byte of its file kept"""
    text = """# top
model = "x" # mine
[mcp_servers."pyro"] # comment
command = 'pyro' # old
args = [ "mcp", # first
  "serve" ]
startup_timeout_sec = 60
enabled = false

[mcp_servers.pyro.env]
A = "b" # it
[mcp_servers.pyro.tools.vm_run]
approval_mode = "approve"
[mcp_servers.other]
command = "y"
"""
    lab.write(".codex/config.toml", text)
    os.chmod(f"{lab.home}/.codex/config.toml", 0o600)
    lab.env["PYRO_ACCEL"] = "tcg"
    found = doctor(lab, "codex", code=1)
    assert re.match("it is switched off; it runs 'pyro mcp serve', .*lacks PYRO_ACCEL=tcg$",
                    found["details"]), found
    made = pyro(lab, "repair", "codex")
    assert made["action"] == "repaired" and made["backup_path"] is None, made
    now = read(f"{lab.home}/.codex/config.toml")
    assert now == text.replace("'pyro' # old", f'"{PYRO}" # old').replace(
        '[ "mcp", # first\n  "serve" ]', '["mcp", "serve"]').replace("false", "true").replace(
        ".env]\n", '.env]\nPYRO_ACCEL = "tcg"\n'), now
    assert os.stat(f"{lab.home}/.codex/config.toml").st_mode & 0o777 == 0o600
    assert codex_get(lab)["transport"]["env"] == {"A": "b", "PYRO_ACCEL": "tcg"}


def codex_other_forms(lab):
    """an entry of codex in a form that cannot be changed in place is replaced, and the file copied"""
    for text in ('[mcp_servers]\npyro = { command = "x", startup_timeout_sec = 9 }\n',
                 'mcp_servers.pyro.command = "x"\nmcp_servers.pyro.env.A = "b"\n',
                 '[mcp_servers.pyro]\nurl = "http://127.0.0.1:9/"\n'):
        lab.write(".codex/config.toml", text)
        made = pyro(lab, "connect", "codex")
        assert read(made["backup_path"]) == text, made
        assert doctor(lab, "codex")["status"] == "ok"
        if '"b"' in text:
            assert codex_get(lab)["transport"]["env"] == {"A": "b"}


def codex_corrupt(lab):
    """a file of codex that nobody can read is reported with its line, and left as it is"""
    lab.write(".codex/config.toml", "a = 1\n[mcp_servers.pyro\n")
    found = doctor(lab, "codex", code=1)
    assert "config.toml:2:" in found["details"] and not found["repair_command"], found
    for verb in ("connect", "repair"):
        done = run(lab, PYRO, "host", verb, "codex", code=2)
        assert "config.toml:2:" in done.err and "by hand" in done.err, done
    assert read(f"{lab.home}/.codex/config.toml") == "a = 1\n[mcp_servers.pyro\n"


# OpenCode

def opencode_config(lab):
    return json.loads(run(lab, "opencode", "debug", "config").out)["mcp"]["pyro"]


def opencode_connects(lab):
    """opencode connects to the server that repair registered, and says the same of its files as doctor"""
    made = pyro(lab, "repair", "opencode")
    assert made["action"] == "connected", made
    said = run(lab, "opencode", "mcp", "list").out
    assert re.search(r"pyro.*connected", said), said
    assert opencode_config(lab) == {"type": "local", "command": COMMAND}
    with open(f"{lab.project}/opencode.json", "w", encoding="utf-8") as file:
        file.write('{ "mcp": { "pyro": { "enabled": false, /* not here */ } } }')
    assert opencode_config(lab) == {"type": "local", "command": COMMAND, "enabled": False}
    found = doctor(lab, "opencode", code=1)
    assert "switched off" in found["details"] and f"{lab.project}/opencode.json" in found["details"]
    run(lab, "bash", "-c", found["repair_command"].replace("pyro", PYRO, 1))
    assert opencode_config(lab) == {"type": "local", "command": COMMAND, "enabled": True}


def opencode_files(lab):
    """of several files with an entry doctor means the one that opencode means"""
    lab.write(".config/opencode/opencode.json", json.dumps(
        {"mcp": {"pyro": {"type": "local", "command": ["a"], "timeout": 5}}}))
    lab.write(".config/opencode/opencode.jsonc",
              '{ "mcp": { "servers": { "pyro": { "type": "local", "command": ["b"], "disabled": true } } } }')
    found = doctor(lab, "opencode", code=1)
    assert found["configured_command"] == ["b"] and "switched off" in found["details"], found
    assert found["configured_command"] == opencode_config(lab)["command"]
    pyro(lab, "repair", "opencode")
    entry = opencode_config(lab)
    assert entry["command"] == COMMAND and entry["enabled"] is True, entry
    lab.write("more.json", '{ "mcp": { "pyro": { "type": "local", "command": ["c"] } } }')
    lab.env["OPENCODE_CONFIG"] = f"{lab.home}/more.json"
    found = doctor(lab, "opencode", code=1)
    assert found["configured_command"] == ["c"] == opencode_config(lab)["command"], found


# docs/integrations

def shown(page):
    def test(lab):
        docs.play(lab, docs.transcript(f"docs/integrations/{page}.md"), lab.project)
    test.__doc__ = f"{page} goes as docs/integrations shows"
    return test


def bound(check):
    def test(lab):
        lab.env |= QUIET
        check(lab)
    functools.update_wrapper(test, check)
    test.part = "core"
    return test


def tests():
    """(name, function of a lab)"""
    for check in (claude_connects, claude_options, claude_keeps, claude_scopes,
                  claude_server_elsewhere, claude_shared, claude_corrupt, claude_off, claude_elsewhere,
                  codex_connects, codex_keeps, codex_other_forms, codex_corrupt,
                  opencode_connects, opencode_files, *map(shown, PLACE)):
        yield check.__doc__, bound(check)
