"""pyro: disposable microVM workspaces for coding agents.

    from pyro_mcp import Pyro

    pyro = Pyro()
    run = pyro.run_in_vm(environment="debian:12", command="git --version")
    print(run["stdout"], run["exit_code"])

Methods return plain dictionaries, the objects that `pyro --json` prints (their types are in
pyro_mcp.records), and raise PyroError. They call libpyro in this process, without the interpreter's
lock; a Pyro may be used by several threads at once. create_server() gives the tools that chat hosts
see.
"""
from . import errors, records
from ._methods import VERSION as __version__
from ._pyro import Pyro
from ._server import Server, create_server
from .errors import *  # noqa: F403

__all__ = ["Pyro", "Server", "create_server", "PyroError", "records", "__version__",
           *(error.__name__ for error in errors.BY_CODE.values())]
