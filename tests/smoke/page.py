"""The pages of docs/use-cases, and how they are played.

A page holds one fenced block of each kind: `sh` registers the server, `tools` are an agent's calls,
`console` is a transcript of the command line, `python` a program, and `text` what it prints. A call is
the tool's name and its arguments; after an arrow stand members of its result. In all of them "…" stands
for anything. The project that all of them work on is made by the block of the index.
"""
import json
import re
import subprocess
import sys

import docs
import place
from client import Server, structured

WAIT_S = 300


def blocks(name):
    """The fenced blocks of a page, by kind."""
    with open(f"{docs.ROOT}/docs/use-cases/{name}.md", encoding="utf-8") as page:
        found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read(), re.M | re.S)
    kinds = [kind for kind, _ in found]
    assert len(set(kinds)) == len(kinds), f"{name}: {kinds}"
    return dict(found)


def set_up(lab):
    """Makes the project as the index says; returns its directory."""
    docs.play(lab, docs.parse(blocks("README")["console"].splitlines()), docs.ROOT)
    return f"{lab.env['HOME']}/pyro-try/tally"


def lab_of(lab, name):
    """The daily loop begins with its proof, which is of one's own templates."""
    if name == "daily-loop":
        lab.own_templates()
    return set_up(lab)


def calls(text):
    """[(tool, arguments, expected members)] of a `tools` block."""
    decoder, found, at = json.JSONDecoder(strict=False), [], 0
    while head := re.compile(r"\s*(\w+|→)\s+").match(text, at):
        value, at = decoder.raw_decode(text, head.end())
        if head[1] == "→":
            found[-1] = (*found[-1][:2], value)
        else:
            found.append((head[1], value, {}))
    assert not text[at:].strip(), f"not a call: {text[at:]}"
    return found


def fits(expected, got):
    """Whether a value is as shown: members may be missing, and … stands for any text."""
    if isinstance(expected, dict):
        return isinstance(got, dict) and all(
            name in got and fits(value, got[name]) for name, value in expected.items())
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) == len(expected) and all(map(fits, expected, got))
    if isinstance(expected, str) and isinstance(got, str):
        return re.fullmatch(re.escape(expected).replace("…", "(.|\n)*"), got)
    return expected == got


def registered(lab, project, line):
    """The words that a chat host starts the server with after the page's `pyro host connect`."""
    shown = re.sub(r"^pyro host connect [\w-]+", "pyro host print-config opencode --json", line)
    assert shown != line, line
    shell = docs.Shell(docs.environment(lab), project)
    try:
        config = json.loads(json.loads(shell.run(shown))["config"])
    finally:
        shell.close()
    pyro, *words = config["mcp"]["pyro"]["command"]
    assert pyro == lab.pyro[-1] and words[:2] == ["mcp", "serve"], config
    return words[2:] or ["--profile", "workspace-core"]


def play_tools(name, lab):
    """an agent's calls return what the page shows"""
    project, page = lab_of(lab, name), blocks(name)
    server = Server(lab, *registered(lab, project, page["sh"].strip()), cwd=project)
    for number, (tool, arguments, expected) in enumerate(calls(page["tools"])):
        server.call(number, tool, **arguments)
        result = structured(server.reply(WAIT_S))
        assert fits(expected, result), (tool, arguments, expected, result)
    assert server.close() == []


def play_console(name, lab):
    """the command line goes as the page shows"""
    docs.play(lab, docs.parse(blocks(name)["console"].splitlines()), lab_of(lab, name))


def play_python(name, lab):
    """the program in Python prints what the page shows"""
    project, page = lab_of(lab, name), blocks(name)
    done = subprocess.run([sys.executable, "-c", page["python"]], env=place.python_env(lab.env),
                          cwd=project, text=True, timeout=WAIT_S, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert docs.matches(page["text"].strip("\n").split("\n"), done.stdout.strip("\n")), done.stdout
