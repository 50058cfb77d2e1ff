"""An MCP client for tests: the server as a child process, its lines as JSON, and the checks that
every reply undergoes."""
import json
import os
import queue
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../vm"))
from lab import ENVIRONMENT, PATIENCE_S, Lab, eventually  # noqa: E402,F401

MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {}}
RESULT_MAX = 24000  # bytes that every host shows
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "number": (int, float), "null": type(None)}


def is_type(name, value):
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def conforms(schema, value):
    """Whether the value is as the schema says, for the words that our schemas use."""
    if "anyOf" in schema:
        return any(conforms(choice, value) for choice in schema["anyOf"])
    if "type" not in schema:
        return True
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(is_type(name, value) for name in types):
        return False
    if isinstance(value, list):
        return all(conforms(schema.get("items", {}), item) for item in value)
    if isinstance(value, dict) and "properties" in schema:
        missing = set(schema["properties"]) - set(value)
        extra = set(value) - set(schema["properties"]) - {"omitted"}
        return not extra and all(
            schema["properties"][m].get("type") == "object" for m in missing) and all(
            conforms(schema["properties"].get(name, {}), item) for name, item in value.items())
    return True


class HostLab(Lab):
    """Commands run on the host: there is no QEMU in PATH, and nothing is installed."""

    arguments = {"allow_host_compat": True}
    mode = "host_compat"

    def __init__(self):
        super().__init__()
        self.empty_cache()
        os.mkdir(f"{self.dir}/bin")
        for name in ("cat", "echo", "seq", "sleep"):
            os.symlink(f"/usr/bin/{name}", f"{self.dir}/bin/{name}")
        self.env["PATH"] = f"{self.dir}/bin"


class GuestLab(Lab):
    arguments = {}
    mode = "guest_serial"


class Server:
    def __init__(self, lab, *words, profile="vm-run", stdin=subprocess.PIPE, **options):
        words = words or ("--profile", profile)
        self.lab = lab
        self.process = subprocess.Popen([*lab.pyro, "mcp", "serve", *words], env=lab.env,
                                        stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, **options)
        self.pid = self.process.pid
        self.lines, self.notes = queue.Queue(), []
        self.err = b""
        threading.Thread(target=self.read_out, daemon=True).start()
        threading.Thread(target=self.read_err, daemon=True).start()

    def read_out(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def read_err(self):
        for line in self.process.stderr:
            self.err += line

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        self.write(json.dumps(message).encode() + b"\n")

    def request(self, id_, method, params=None):
        self.send({"jsonrpc": "2.0", "id": id_, "method": method,
                   **({} if params is None else {"params": params})})

    def notify(self, method, params):
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def call(self, id_, tool, /, token=None, meta=None, **arguments):
        meta = {**(meta or {}), **({} if token is None else {"progressToken": token})}
        self.request(id_, "tools/call", {"name": tool, "arguments": arguments,
                                         **({"_meta": meta} if meta else {})})

    def run(self, id_, command, token=None, meta=None, **more):
        self.call(id_, "vm_run", token, meta, environment=ENVIRONMENT, command=command,
                  **self.lab.arguments, **more)

    def ask(self, tool, /, **arguments):
        """Calls a tool and returns what it said; nothing else may be under way."""
        self.call("ask", tool, **arguments)
        return structured(self.reply())

    def fail(self, tool, /, **arguments):
        """Calls a tool that fails, and returns the text that the model reads."""
        self.call("fail", tool, **arguments)
        reply = self.reply()
        failure(reply)
        return reply["result"]["content"][0]["text"]

    def next(self, seconds=PATIENCE_S):
        """The next message; None at the end of the stream."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"nothing within {seconds} s; stderr: {self.err}") from None
        if line is None:
            return None
        assert line.endswith(b"\n"), line
        return json.loads(line.decode("utf-8", "strict"))

    def reply(self, seconds=PATIENCE_S):
        """The next message that is a reply; notifications are kept in `notes`."""
        while True:
            message = self.next(seconds)
            assert message is not None, f"the server ended; stderr: {self.err}"
            if isinstance(message, list) or "method" not in message:
                return message
            self.notes.append(message)

    def replies(self, count):
        found = [self.reply() for _ in range(count)]
        return {reply["id"]: reply for reply in found}

    def ping(self, id_="ping"):
        self.request(id_, "ping")
        reply = self.reply()
        assert reply == {"jsonrpc": "2.0", "id": id_, "result": {}}, reply

    def await_phase(self, token, phase):
        """Waits for a progress notification of that phase."""
        while True:
            message = self.next()
            assert message and "id" not in message, message
            self.notes.append(message)
            params = message["params"]
            if params["progressToken"] == token and f"phase={phase}" in params["message"]:
                return

    def rest(self):
        """Waits for the end; returns what was still said."""
        found = []
        while (message := self.next()) is not None:
            found.append(message)
        return found

    def wait(self):
        return self.process.wait(PATIENCE_S)

    def close(self, code=0):
        """Ends the input; the server must end at once. Returns what it still said."""
        self.process.stdin.close()
        assert self.wait() == code, self.err
        return self.rest()


def structured(reply):
    """The result of a call that worked, after checking both of its forms."""
    result = reply["result"]
    assert result["isError"] is False, result
    [block] = result["content"]
    assert block["type"] == "text" and json.loads(block["text"]) == result["structuredContent"]
    assert len(block["text"].encode()) <= RESULT_MAX, len(block["text"].encode())
    return result["structuredContent"]


def failure(reply):
    """The error of a call that did not, after checking that the model can read it."""
    result = reply["result"]
    assert result["isError"] is True and "structuredContent" not in result, result
    [block] = result["content"]
    error = result["_meta"]["pyro/error"]
    hint = f"\nhint: {error['hint']}" if error["hint"] else ""
    assert block["text"] == error["message"] + hint, result
    return error
