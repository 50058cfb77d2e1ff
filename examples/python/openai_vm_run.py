"""A model with one tool: one command in a fresh VM (OpenAI Responses API)."""
import asyncio

from pyro_mcp import create_server
from responses import converse


async def main() -> None:
    async with create_server(profile="vm-run") as server:
        print(await converse(server, "Which version of git does debian:12 have? Run it."))


asyncio.run(main())
