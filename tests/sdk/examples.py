"""The examples, and what docs/sdk.md shows, do what they say, with what is installed."""
import http.server
import json
import os
import re
import sys
import threading

import place

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = f"{place.ROOT}/examples"


def seed(lab):
    path = f"{lab.dir}/project"
    os.mkdir(path)
    for name, text in (("notes.txt", "one\n"), ("hello.sh", "echo hello world\n")):
        with open(f"{path}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    return path


def run_c(lab, name, *words):
    program = place.compile_c(f"{EXAMPLES}/c/{name}.c", f"{lab.dir}/{name}")
    return place.run(program, *words, env=place.installed_env(lab.env))


def run_python(lab, name, *words, **env):
    return place.run(sys.executable, f"{EXAMPLES}/python/{name}.py", *words,
                     env=place.installed_env(lab.env) | env)


def test_c_one_shot(lab):
    """examples/c/one_shot.c"""
    assert run_c(lab, "one_shot").startswith("git version ")


def test_c_life_cycle(lab):
    """examples/c/life_cycle.c"""
    out = run_c(lab, "life_cycle")
    assert "Linux\n2\n" in out and "phase=" in out, out


def test_c_workspace(lab):
    """examples/c/workspace.c"""
    out = run_c(lab, "workspace", seed(lab))
    assert "exit 0: 2 notes.txt" in out and "+more" in out, out


def test_c_shell(lab):
    """examples/c/shell.c"""
    assert "remembered in /tmp" in run_c(lab, "shell")


def test_one_shot(lab):
    """examples/python/one_shot.py"""
    assert run_python(lab, "one_shot").startswith("git version ")


def test_life_cycle(lab):
    """examples/python/life_cycle.py"""
    out = run_python(lab, "life_cycle")
    assert "started\n" in out and "Linux\n2\n" in out and "exit 0" in out, out


def test_workspace(lab):
    """examples/python/workspace.py"""
    out = run_python(lab, "workspace", seed(lab))
    assert "first try -> exit 1" in out and "second try -> exit 0" in out and "+second try" in out, out


def test_shell(lab):
    """examples/python/shell.py"""
    assert "remembered in /tmp" in run_python(lab, "shell")


def test_agent_tool(lab):
    """examples/python/agent_tool.py"""
    out = run_python(lab, "agent_tool")
    assert '"name": "vm_run"' in out and out.endswith("0 one\n0 two\n"), out


def test_langchain(lab):
    """examples/python/langchain_tool.py, with as much of LangChain as it uses"""
    path = f"{place.package_dir()}:{HERE}/stand_in"
    out = run_python(lab, "langchain_tool", PYTHONPATH=path)
    assert re.fullmatch(r"vm_run - Run one .*\n12\.\d+\n", out), out


class Model(http.server.ThreadingHTTPServer):
    """Stands in for OpenAI's Responses API: a model that makes the calls it is told, one a turn, and
    then answers with what the last one returned. A call may use what an earlier one returned."""

    def __init__(self, calls):
        super().__init__(("127.0.0.1", 0), Turn)
        self.calls, self.results, self.errors, self.tools = list(calls), [], [], set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def env(self):
        return {"OPENAI_BASE_URL": f"http://127.0.0.1:{self.server_port}/v1", "OPENAI_API_KEY": "k"}

    def turn(self, body):
        """The output for a request, after checking it."""
        self.tools = {tool["name"] for tool in body["tools"]}
        for tool in body["tools"]:
            assert tool["type"] == "function" and tool["description"], tool
            assert tool["parameters"]["type"] == "object", tool
        turns = len(self.results)
        said = body["input"]
        assert said[0]["role"] == "user" and len(said) == 1 + 2 * turns, said
        return self.next_item()

    def next_item(self):
        number = len(self.results)
        if number == len(self.calls):
            text = json.dumps(self.results[-1])
            return {"type": "message", "content": [{"type": "output_text", "text": text}]}
        name, arguments = self.calls[number]
        arguments = arguments(self.results) if callable(arguments) else arguments
        return {"type": "function_call", "call_id": f"call-{number}", "name": name,
                "arguments": json.dumps(arguments)}


class Turn(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        model, size = self.server, int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(size))
        try:
            assert self.path == "/v1/responses" and self.headers["Authorization"] == "Bearer k"
            last = body["input"][-1]
            if last.get("type") == "function_call_output":
                assert last["call_id"] == f"call-{len(model.results)}", last
                model.results.append(json.loads(last["output"]))
            output, status = {"id": "r", "output": [model.turn(body)]}, 200
        except (AssertionError, ValueError, KeyError) as error:
            output, status = {"error": {"message": repr(error)}}, 400
            model.errors.append(repr(error))
        data = json.dumps(output).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def converse(lab, calls, name, *words):
    """Runs an example with a model that makes these calls; returns their results."""
    with Model(calls) as model:
        try:
            run_python(lab, name, *words, **model.env())
        except AssertionError as error:
            raise AssertionError(f"{error}\n{model.errors}") from None
        model.shutdown()
    assert not model.errors and len(model.results) == len(calls), (model.errors, model.results)
    return model


def test_openai_vm_run(lab):
    """examples/python/openai_vm_run.py, with a model that runs the command"""
    model = converse(lab, [("vm_run", {"environment": "debian:12", "command": "git --version"})],
                     "openai_vm_run")
    assert model.results[0]["stdout"].startswith("git version"), model.results
    assert model.tools == {"vm_run"}


def test_openai_workspace(lab):
    """examples/python/openai_workspace.py, with a model that makes the change"""
    def of(more):
        return lambda results: {"workspace_id": results[0]["workspace_id"], **more}
    path = seed(lab)
    model = converse(lab, [
        ("workspace_create", {"environment": "debian:12"}),
        ("workspace_file_write", of({"path": "hello.sh", "text": "echo hello pyro\n"})),
        ("workspace_exec", of({"command": "sh hello.sh"})),
        ("workspace_diff", of({})),
        ("workspace_delete", of({}))], "openai_workspace", path)
    assert model.results[2]["stdout"] == "hello pyro\n", model.results
    assert "+echo hello pyro" in model.results[3]["patch"], model.results
    with open(f"{path}/hello.sh", encoding="utf-8") as file:
        assert file.read() == "echo hello world\n", "it reached the directory"


def blocks(language):
    """The blocks of code of that language in docs/sdk.md."""
    with open(f"{place.ROOT}/docs/sdk.md", encoding="utf-8") as file:
        return re.findall(rf"^```{language}\n(.*?)^```$", file.read(), re.M | re.S)


def test_docs_python(lab):
    """the Python in docs/sdk.md runs"""
    path = seed(lab)
    for code in blocks("python"):
        place.run(sys.executable, "-c", code, env=place.installed_env(lab.env), cwd=path)
    assert len(blocks("python")) >= 3


def test_docs_c(lab):
    """the program in docs/sdk.md compiles by the command there and runs"""
    [code] = blocks("c")
    with open(f"{lab.dir}/example.c", "w", encoding="utf-8") as file:
        file.write(code)
    commands = [command for block in blocks("sh") for command in block.splitlines()
                if "example" in command]
    assert len(commands) == 2, commands
    out = place.run("sh", "-ec", "\n".join(commands), env=place.installed_env(lab.env), cwd=lab.dir)
    assert "git version" in out, out
