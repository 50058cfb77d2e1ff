"""What README.md shows of a session is what happens."""
import os
import re
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def transcript(name):
    """[(command, [lines that follow it])] of the marked part."""
    with open(f"{ROOT}/README.md", encoding="utf-8") as readme:
        lines = readme.read().split(f"<!-- transcript: {name} -->")[1].strip().splitlines()[1:-1]
    steps = []
    for line in lines:
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def matches(shown, got):
    """A line with … stands for whatever is there, and one that is only … for any lines."""
    pattern = "\n".join(shown)
    return re.fullmatch(re.escape(pattern).replace("…", "(.|\n)*" if pattern == "…" else ".*"), got)


def test_readme_workspaces(lab):
    """the README's session with a workspace goes as it is shown"""
    project = f"{lab.dir}/project"
    os.mkdir(project)
    subprocess.run("git init -q . && echo 'echo hello world' >hello.sh", shell=True, check=True,
                   cwd=project, env=lab.env)
    env = lab.env | {"PATH": f"{os.path.dirname(lab.pyro[-1])}:{os.environ['PATH']}"}
    for command, shown in transcript("workspaces"):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=project, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, (command, done)
        assert matches(shown, done.stdout.strip()), (command, done)
    with open(f"{project}/hello.sh", encoding="utf-8") as file:
        assert file.read() == "echo hello pyro\n"
