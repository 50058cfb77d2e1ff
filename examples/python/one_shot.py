"""One command in a fresh VM, which is gone afterwards."""
import sys

from pyro_mcp import Pyro, PyroError

try:
    run = Pyro().run_in_vm(environment="debian:12", command=["git", "--version"])
except PyroError as error:
    sys.exit(str(error))
print(run["stdout"], end="")
sys.exit(run["exit_code"])
