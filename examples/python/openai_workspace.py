"""openai_workspace.py DIRECTORY: a model that works on a copy of the directory (OpenAI Responses
API). What it changed is shown, and nothing of it reaches the directory."""
import asyncio
import sys

from pyro_mcp import create_server
from responses import converse


async def main() -> None:
    async with create_server(profile="workspace-core", environment="debian:12",
                             project_path=sys.argv[1]) as server:
        print(await converse(server, "Create a workspace, make hello.sh greet pyro, run it, show "
                                     "the diff, delete the workspace, and say what you changed."))


asyncio.run(main())
