"""What README.md and docs/first-run.md show of a session is what happens."""
import os
import re
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def transcript(name):
    """The steps of the marked part."""
    with open(f"{ROOT}/README.md", encoding="utf-8") as readme:
        return parse(readme.read().split(f"<!-- transcript: {name} -->")[1].strip().splitlines()[1:-1])


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
        self.bash.wait(10)


def environment(lab):
    """With pyro in PATH."""
    return lab.env | {"PATH": f"{os.path.dirname(lab.pyro[-1])}:{os.environ['PATH']}"}


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
    subprocess.run("git init -q . && echo 'echo hello world' >hello.sh && echo s3cr3t >token",
                   shell=True, check=True, cwd=project, env=lab.env)
    return project


def test_readme_workspaces(lab):
    """the README's session with a workspace goes as it is shown"""
    project = make_project(lab)
    play(lab, transcript("workspaces"), project)
    with open(f"{project}/hello.sh", encoding="utf-8") as file:
        assert file.read() == "echo hello pyro\n"


def test_readme_sessions(lab):
    """the README's session with a shell, a service, a port and a secret goes as it is shown"""
    project = make_project(lab)
    subprocess.run("git add hello.sh && git -c user.name=a -c user.email=a commit -qm first",
                   shell=True, check=True, cwd=project, env=lab.env)
    play(lab, transcript("sessions"), project)


def test_first_run(lab):
    """the page of the first run and its picture show what happens"""
    build = os.path.abspath(f"{os.path.dirname(lab.pyro[-1])}/../..")
    done = subprocess.run([f"{ROOT}/tools/first-run", "check"], timeout=200, check=False, text=True,
                          env=lab.env | {"PYRO_BUILD": build, "TMPDIR": lab.dir},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
