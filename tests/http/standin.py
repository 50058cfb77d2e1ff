"""A stand-in for a model's server: HTTP on loopback, with scripted answers."""
import contextlib
import functools
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, json.loads(body)))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.server.script(self, len(self.server.requests))

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Length", len(data)), *headers):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def say(self, content, *calls):
        """A chat completion: words, and calls (name, arguments as text)."""
        self.say_raw({"role": "assistant", "content": content, **({"tool_calls": [
            {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": text}}
            for i, (name, text) in enumerate(calls)]} if calls else {})})

    def say_raw(self, message):
        self.answer(200, {"choices": [{"index": 0, "message": message}]})

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(script):
    """script(handler, n) answers the n-th request. Yields the server: its url and requests."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.script, server.requests = script, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.is_over = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()


@functools.cache
def taken():
    """A port that nobody listens on, and nobody can."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def nobody():
    """The URL of a port that nobody listens on."""
    return f"http://127.0.0.1:{taken().getsockname()[1]}/v1"
