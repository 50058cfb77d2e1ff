"""What the documentation shows of a session is what happens. tests/agree/docs knows which page is
played here, and which elsewhere."""
import json
import os
import re
import subprocess
import sys

import lab as labs

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def blocks(page, kind):
    """The fenced blocks of that kind."""
    with open(f"{ROOT}/{page}", encoding="utf-8") as file:
        return re.findall(rf"^```{kind}\n(.*?)^```$", file.read(), re.M | re.S)


def transcript(page):
    """The steps of all transcripts of a page, which are one session."""
    return parse("".join(blocks(page, "console")).splitlines())


def parse(lines):
    """[(command, [lines that follow it])] of a transcript."""
    steps = []
    for line in lines:
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def matches(shown, got):
    """A line with … stands for whatever is there, and one that is only … for any lines, or none."""
    pattern = "".join("(.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + "\n"
                      for line in shown)
    return re.fullmatch(pattern, got and got + "\n")


class Shell:
    """A bash that runs one line after the other, as a reader would."""

    def __init__(self, env, cwd):
        self.bash = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, env=env, cwd=cwd)

    def run(self, command):
        """What a line prints; an assertion that it succeeds."""
        print(f"set -o pipefail; {{ {command}\n}} </dev/null; printf '\\0%s\\n' $?",
              file=self.bash.stdin, flush=True)
        output = ""
        for line in self.bash.stdout:
            output += line
            if "\0" in line:
                break
        output, _, status = output.partition("\0")
        assert status.strip() == "0", (command, output, status)
        return output

    def close(self):
        self.bash.stdin.close()
        self.bash.wait(labs.PATIENCE_S)


def environment(lab):
    """With pyro in PATH."""
    return lab.env | {"PATH": f"{os.path.dirname(lab.pyro[-1])}:{lab.env['PATH']}"}


def play(lab, steps, directory):
    """Types a transcript into a shell."""
    shell = Shell(environment(lab), directory)
    try:
        for command, shown in steps:
            got = shell.run(command)
            assert matches(shown, got.strip("\n")), (command, got)
    finally:
        shell.close()


def make_project(lab):
    project = f"{lab.dir}/project"
    os.mkdir(project)
    subprocess.run("git init -q . && echo 'echo hello world' >hello.sh && echo s3cr3t >../token && "
                   "git add hello.sh && git -c user.name=a -c user.email=a commit -qm first",
                   shell=True, check=True, cwd=project, env=lab.env)
    return project


def test_readme(lab):
    """the README's sessions go as they are shown"""
    why_not = labs.ensure_environment("debian:12-build")
    assert not why_not, why_not
    play(lab, transcript("README.md"), make_project(lab))


def test_host_requirements(lab):
    """doctor says what docs/host-requirements.md shows"""
    play(lab, transcript("docs/host-requirements.md"), make_project(lab))


def test_install(lab):
    """demo, install and uninstall go as docs/install.md shows"""
    with open(f"{labs.BUILD}/meson-info/intro-buildoptions.json", encoding="utf-8") as file:
        [prefix] = [option["value"] for option in json.load(file) if option["name"] == "prefix"]
    if prefix != "/usr/local":
        raise labs.Skip(f"this build is for {prefix}")
    lab.env["BUILD"] = os.path.relpath(labs.BUILD, ROOT)
    with labs.installing():
        play(lab, transcript("docs/install.md"), ROOT)
    left = [name for _, _, files in os.walk(f"{lab.env['HOME']}/staged") for name in files]
    assert not [name for name in left if not name.endswith(".pyc")], left


def test_other_hosts(lab):
    """the configuration in docs/integrations/other-hosts.md starts the server"""
    [config] = blocks("docs/integrations/other-hosts.md", "json")
    entry = json.loads(config)["mcpServers"]["pyro"]
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}}
    done = subprocess.run([entry["command"], *entry["args"]], input=json.dumps(hello) + "\n", text=True,
                          env=environment(lab), cwd=make_project(lab), check=True,
                          timeout=labs.PATIENCE_S, stdout=subprocess.PIPE)
    assert json.loads(done.stdout)["result"]["serverInfo"]["name"] == "pyro", done.stdout


def test_other_agents(lab):
    """the program in docs/integrations/other-hosts.md runs"""
    [code] = blocks("docs/integrations/other-hosts.md", "python")
    env = lab.env | {"PYTHONPATH": f"{ROOT}/python", "PYTHONDONTWRITEBYTECODE": "1",
                     "PYRO_LIBRARY": f"{labs.BUILD}/src/api/libpyro.so.0"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=make_project(lab), text=True,
                          timeout=labs.PATIENCE_S, check=True, stdout=subprocess.PIPE)
    assert done.stdout == "hello world\n", done.stdout


def test_first_run(lab):
    """the page of the first run and its picture show what happens"""
    done = subprocess.run([f"{ROOT}/tools/first-run", "check"], timeout=400, check=False, text=True,
                          env=lab.env | {"PYRO_BUILD": labs.BUILD, "TMPDIR": lab.dir},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
