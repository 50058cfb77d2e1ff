"""`pyro host` where no chat host is installed: with the real library, which then only has files.
tests/hosts/config.py has the hosts themselves."""
import json
import os
import stat
import subprocess
import tempfile

BUILD = os.path.abspath(os.environ.get("PYRO_BUILD",
                                       os.path.join(os.path.dirname(__file__), "../../build")))
PYRO = f"{BUILD}/src/cli/pyro"
COMMAND = [PYRO, "mcp", "serve"]


class Home:
    """A home directory with a project in it, and a PATH that has pyro and nothing else."""

    def __init__(self, env):
        self.kept = tempfile.TemporaryDirectory(dir=env["HOME"])
        self.path = self.kept.name
        os.makedirs(f"{self.path}/project/.git")
        os.mkdir(f"{self.path}/bin")
        os.symlink(PYRO, f"{self.path}/bin/pyro")
        self.env = {**env, "HOME": self.path, "PATH": f"{self.path}/bin"}
        self.config = f"{self.path}/.config/opencode/opencode.json"

    def pyro(self, *words, code=0, shell=None, **more):
        done = subprocess.run(["/bin/sh", "-c", shell] if shell else [PYRO, *words], text=True,
                              env={**self.env, **more}, cwd=f"{self.path}/project", timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *words, code=0, **more):
        return json.loads(self.pyro(*words, "--json", code=code, **more).stdout)

    def doctor(self, *words, code=0, **more):
        """What doctor says of OpenCode."""
        return self.json("host", "doctor", *words, code=code, **more)["hosts"][2]

    def write(self, text, path=None):
        path = path or self.config
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, path=None):
        with open(path or self.config, encoding="utf-8") as file:
            return file.read()


def entry(command):
    return json.dumps({"mcp": {"pyro": {"type": "local", "command": command}}})


def test_unavailable(env):
    """hosts that are not installed are unavailable, which is no failure, and doctor says what brings them"""
    home = Home(env)
    listed = home.json("host", "doctor")
    assert listed["ok"] is True
    assert [(h["host"], h["status"]) for h in listed["hosts"]] == [
        (name, "unavailable") for name in ("claude-code", "codex", "opencode")]
    assert all("npm install -g " in h["details"] and h["expected_command"] == COMMAND
               for h in listed["hosts"])
    assert sorted(os.listdir(home.path)) == ["bin", "project"], os.listdir(home.path)


def test_connect_unavailable(env):
    """connecting a host that is not installed is an error with the command that installs it"""
    home = Home(env)
    for host, package in (("claude-code", "@anthropic-ai/claude-code"), ("codex", "@openai/codex")):
        for verb in ("connect", "repair"):
            done = home.pyro("host", verb, host, code=125)
            assert f"npm install -g {package}" in done.stderr and not done.stdout, done


def test_wrong_words(env):
    """a host that is not one, connect for OpenCode, and options that contradict each other are refused"""
    home = Home(env)
    for words, hint in ((("connect", "cursor"), "claude-code, codex and opencode"),
                        (("connect", "opencode"), "pyro host repair opencode"),
                        (("print-config", "codex"), "pyro host connect codex"),
                        (("repair", "codex", "--config-path", "x"), "leave the option out"),
                        (("repair", "opencode", "--repo-ref", "main"), "--repo-url"),
                        (("doctor", "--project-path", ".", "--no-project-source"), "one of them"),
                        (("doctor", "--project-path", "nowhere"), "--project-path"),
                        (("connect", "codex", "--network-policy", "all"), "egress"),
                        (("repair", "opencode", "--mode", "no-such-mode"), "")):
        done = home.pyro("host", *words, code=125 if "nowhere" in words else 2)
        assert hint in done.stderr.splitlines()[-1], done
    assert not os.path.exists(home.config)


def test_network(env):
    """a network policy is registered, and one that is missing or another is not what was meant"""
    home = Home(env)
    words = ("--network-policy", "egress")
    assert home.json("host", "repair", "opencode", *words)["command"] == [*COMMAND, *words]
    assert home.doctor(*words)["status"] == "ok"
    for other in ((), ("--network-policy", "off")):
        found = home.doctor(*other, code=1)
        assert found["status"] == "drifted" and "--network-policy egress" in found["details"], found


def test_first(env):
    """repair makes OpenCode's configuration where there is none; once more changes nothing"""
    home = Home(env)
    made = home.json("host", "repair", "opencode", "--mode", "inspect", "--project-path", ".")
    words = [*COMMAND, "--mode", "inspect", "--project-path", f"{home.path}/project"]
    assert made["action"] == "connected" and made["changed"] and made["command"] == words, made
    config = json.loads(home.read())
    assert config["mcp"]["pyro"] == {"type": "local", "command": words}, config
    before = os.stat(home.config)
    again = home.json("host", "repair", "opencode", "--mode", "inspect", "--project-path", ".")
    assert again["action"] == "already connected" and not again["changed"], again
    assert os.stat(home.config).st_ino == before.st_ino
    assert home.doctor("--mode", "inspect", "--project-path", ".")["status"] == "ok"
    found = home.doctor(code=1)
    assert found["status"] == "drifted" and "--mode inspect" in found["details"], found
    assert found["repair_command"] == "pyro host repair opencode", found


def test_kept(env):
    """what else a configuration says stays, with its comments, mode and symbolic link"""
    home = Home(env)
    text = ('{\n  // mine\n  "theme": "x", /* , */\n  "mcp": {\n    "pyro": {\n      "type": "local",\n'
            '      "command": ["old", "serve"], // was\n      "timeout": 9000,\n      "enabled": false,\n'
            '    },\n    "other": { "type": "local", "command": ["y"] }, // last\n  },\n}\n')
    where = f"{home.path}/dotfiles/oc.jsonc"
    home.write(text, where)
    os.chmod(where, 0o640)
    config = home.config + "c"
    os.makedirs(os.path.dirname(config))
    os.symlink(where, config)
    home.write('{"theme": "y"}')  # OpenCode reads it too, but the other one counts
    found = home.doctor(code=1)
    assert found["details"].startswith("it is switched off; it runs 'old serve', expected "), found
    assert found["configured_command"] == ["old", "serve"] and found["config_path"] == config, found
    made = home.json("host", "repair", "opencode")
    assert made["action"] == "repaired" and made["previous_command"] == ["old", "serve"], made
    assert made["backup_path"] is None
    array = json.dumps(COMMAND, indent=2).replace("\n", "\n      ")
    assert home.read(where) == text.replace('["old", "serve"]', array).replace("false", "true")
    assert os.path.islink(config) and stat.S_IMODE(os.stat(where).st_mode) == 0o640
    assert home.doctor()["status"] == "ok"
    assert home.read() == '{"theme": "y"}'


def test_corrupt(env):
    """a configuration that cannot be read is kept beside the new one, each time, and pyro says so"""
    home = Home(env)
    kept = []
    for text in ('{"mcp": {', "[1, 2]", '{"provider": {"x": 1}', "\0" * 10):
        home.write(text)
        found = home.doctor(code=1)
        assert found["status"] == "drifted" and home.config in found["details"], found
        assert found["repair_command"] == "pyro host repair opencode", found
        made = home.json("host", "repair", "opencode")
        assert made["backup_path"] not in kept and home.read(made["backup_path"]) == text, made
        kept.append(made["backup_path"])
        assert json.loads(home.read())["mcp"]["pyro"]["command"] == COMMAND
    shown = home.pyro("host", "print-config", "opencode", "--output", home.config).stdout
    assert "is right already" in shown and "Kept" not in shown, shown
    home.write("{")
    shown = home.pyro("host", "print-config", "opencode", "--output", home.config).stdout
    assert f"{home.config}.bak-" in shown, shown


def test_not_files(env):
    """what is no file where the configuration belongs is refused and stays as it is"""
    home = Home(env)
    os.makedirs(os.path.dirname(home.config))
    os.mkfifo(f"{home.path}/pipe")
    os.mkdir(f"{home.path}/directory")
    for path in ("/dev/null", f"{home.path}/pipe", f"{home.path}/directory"):
        before = os.lstat(path)
        os.symlink(path, home.config)
        for words in (("repair", "opencode"), ("repair", "opencode", "--config-path", path),
                      ("print-config", "opencode", "--output", path)):
            assert "is not a file" in home.pyro("host", *words, code=2).stderr, words
        after = os.lstat(path)
        assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode), path
        assert os.listdir(os.path.dirname(home.config)) == ["opencode.json"]
        os.unlink(home.config)


def test_repair_command(env):
    """the repair command that doctor names makes right what it examined, with options and odd paths"""
    home = Home(env)
    config = f"{home.path}/it's here/my config.json"
    home.write(entry(["/nowhere/pyro", "mcp", "serve"]), config)
    words = ("--config-path", config, "--profile", "vm-run", "--no-project-source")
    found = home.doctor(*words, code=1)
    assert "there is no program '/nowhere/pyro'" in found["details"], found
    home.pyro(shell=found["repair_command"])
    assert home.doctor(*words)["status"] == "ok"
    assert json.loads(home.read(config))["mcp"]["pyro"]["command"] == [
        *COMMAND, "--profile", "vm-run", "--no-project-source"]
    assert not os.path.exists(home.config)


def test_config_path_missing(env):
    """a configuration file that was named and is not there is missing, and repair makes it"""
    home = Home(env)
    config = f"{home.path}/new/dir/opencode.json"
    found = home.doctor("--config-path", config)
    assert found["status"] == "missing", found
    home.pyro(shell=found["repair_command"])
    assert home.doctor("--config-path", config)["status"] == "ok"


def test_project(env):
    """a project's own configuration that hides the user's is named, and its repair command mends it"""
    home = Home(env)
    home.pyro("host", "repair", "opencode")
    project = f"{home.path}/project/.opencode/opencode.jsonc"
    home.write('{"mcp": {"pyro": {"enabled": false}}}', project)
    found = home.doctor(code=1)
    assert project in found["details"] and "switched off" in found["details"], found
    assert found["config_path"] == project, found
    made = home.json("host", "repair", "opencode")
    assert made["status"] == "drifted" and project in made["warning"], made
    home.pyro(shell=found["repair_command"])
    assert home.doctor()["status"] == "ok"


def test_build_tree(env):
    """who connects the program of a build tree is told that it has to stay"""
    made = Home(env).json("host", "repair", "opencode")
    assert made["status"] == "ok" and "build tree" in made["warning"], made


def test_project_only(env):
    """an entry that only a project has is said to be there"""
    home = Home(env)
    home.pyro("host", "print-config", "opencode", "--output", "opencode.json")
    project = f"{home.path}/project/opencode.json"
    found, again = home.doctor(), home.json("host", "repair", "opencode")
    assert found["status"] == "ok" and found["config_path"] == project, found
    assert again["action"] == "already connected" and again["config_path"] == project, again


def test_project_corrupt(env):
    """a project's file with which OpenCode does not start is named and left alone"""
    home = Home(env)
    project = f"{home.path}/project/opencode.json"
    home.write('{ "mcp": ', project)
    made = home.json("host", "repair", "opencode")
    assert made["action"] == "connected" and project in made["warning"], made
    found = home.doctor(code=1)
    assert found["status"] == "drifted" and project in found["details"], found
    assert found["repair_command"] is None and home.read(project) == '{ "mcp": ', found


def test_directory(env):
    """a directory in the place of a configuration file stays, and what to name instead is said"""
    home = Home(env)
    for words in (("print-config", "opencode", "--output", "."),
                  ("repair", "opencode", "--config-path", home.path)):
        done = home.pyro("host", *words, code=2)
        assert "is not a file" in done.stderr and "/opencode.json'" in done.stderr, done
    assert sorted(os.listdir(home.path)) == ["bin", "project"], os.listdir(home.path)
    assert os.listdir(f"{home.path}/project") == [".git"]


def test_odd_files(env):
    """what a project puts where its configuration belongs is named and cannot make doctor wait"""
    home = Home(env)
    home.pyro("host", "repair", "opencode")
    os.mkfifo(f"{home.path}/project/opencode.json")
    os.symlink("/dev/zero", f"{home.path}/project/opencode.jsonc")
    os.mkdir(f"{home.path}/project/.opencode")
    os.mkdir(f"{home.path}/project/.opencode/opencode.json")
    deep = f"{home.path}/project/.opencode/opencode.jsonc"
    home.write("[" * 100000, deep)
    found = home.doctor(code=1)
    assert found["status"] == "drifted" and deep in found["details"], found
    home.write('{"mcp": {"pyro": 5, "servers": [{}]}}', f"{home.path}/project/.opencode/opencode.jsonc")
    assert home.doctor(code=1)["status"] == "drifted"


def test_environment(env):
    """what pyro reads from the environment is registered, the user's own entries stay, a lack is drift"""
    home = Home(env)
    home.write('{"mcp": {"pyro": {"type": "local", "environment": {"A": "b"}, "command": %s}}}'
               % json.dumps(COMMAND))
    assert home.doctor()["status"] == "ok"
    more = {"XDG_STATE_HOME": "/some where", "PYRO_ACCEL": "tcg"}
    found = home.doctor(code=1, **more)
    assert "lacks XDG_STATE_HOME=/some where" in found["details"], found
    assert found["expected_environment"] == more, found
    home.pyro("host", "repair", "opencode", **more)
    written = json.loads(home.read())["mcp"]["pyro"]["environment"]
    assert written == {"A": "b", **more}, written
    assert home.doctor(**more)["status"] == "ok"
    found = home.doctor(code=1, **{**more, "PYRO_ACCEL": "kvm"})
    assert "PYRO_ACCEL=tcg, expected kvm" in found["details"], found


def test_print_config(env):
    """print-config prints one JSON file and nothing else on stdout, and merges into a file if told to"""
    home = Home(env)
    done = home.pyro("host", "print-config", "opencode", "--repo-url", "https://x.invalid/y.git")
    assert json.loads(done.stdout) == {
        "$schema": "https://opencode.ai/config.json",
        "mcp": {"pyro": {"type": "local",
                         "command": [*COMMAND, "--repo-url", "https://x.invalid/y.git"]}}}
    assert done.stderr.startswith("next: "), done
    assert json.loads(home.json("host", "print-config", "opencode")["config"])["mcp"]["pyro"]
    output = f"{home.path}/project/opencode.jsonc"
    home.write('{ "a": 1, // one\n}\n', output)
    done = home.pyro("host", "print-config", "opencode", "--output", "opencode.jsonc")
    assert "opencode.jsonc written\n" in done.stdout and not done.stderr, done
    assert home.read(output).startswith('{ "a": 1, // one\n  "mcp": {\n    "pyro": {\n'), home.read(output)
    assert home.doctor()["status"] == "ok" and not os.path.exists(home.config)


def test_installed_package(env):
    """--installed-package registers plain pyro, but not one that nobody would find"""
    home = Home(env)
    home.pyro("host", "repair", "opencode", "--installed-package")
    assert json.loads(home.read())["mcp"]["pyro"]["command"] == ["pyro", "mcp", "serve"]
    assert home.doctor("--installed-package")["status"] == "ok"
    assert home.doctor(code=1)["status"] == "drifted"
    nowhere = {"PATH": f"{home.path}/project"}
    found = home.doctor("--installed-package", code=1, **nowhere)
    assert "'pyro' is not in PATH" in found["details"], found
    done = home.pyro("host", "repair", "opencode", "--installed-package", code=125, **nowhere)
    assert "--installed-package" in done.stderr, done


def test_people(env):
    """people see each host's state, what it runs, and the command that mends it"""
    home = Home(env)
    home.write(entry(["a b", "mcp"]))
    shown = home.pyro("host", "doctor", code=1).stdout
    assert "opencode     drifted\n" in shown and "  runs:     'a b' mcp\n" in shown, shown
    assert "  repair:   pyro host repair opencode\n" in shown, shown
    shown = home.pyro("host", "repair", "opencode").stdout
    assert "Ran before: 'a b' mcp\n" in shown and "\nNext:       npm install -g " in shown, shown
