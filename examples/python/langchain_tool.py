"""pyro as a tool of LangChain: needs the package langchain-core."""
from typing import Any

from langchain_core.tools import StructuredTool

from pyro_mcp import Pyro, PyroError

pyro = Pyro()


def vm_run(command: str, environment: str = "debian:12", timeout_seconds: int = 30,
           network: bool = False) -> dict[str, Any]:
    """Run one command in a fresh, disposable virtual machine; returns its exit code and output."""
    try:
        return dict(pyro.run_in_vm(environment=environment, command=command, network=network,
                                   timeout_seconds=timeout_seconds))
    except PyroError as error:
        return {"error": str(error)}


tool = StructuredTool.from_function(vm_run)

if __name__ == "__main__":
    print(tool.name, "-", tool.description)
    print(tool.invoke({"command": "cat /etc/debian_version"})["stdout"], end="")
