"""A loop over OpenAI's Responses API with the tools of a pyro server; openai_*.py use it.

OPENAI_API_KEY must be set; OPENAI_BASE_URL and OPENAI_MODEL may be.
"""
import json
import os
import urllib.request
from typing import Any

from pyro_mcp import PyroError, Server

URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
TURNS = 30


def respond(body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{URL}/responses", data=json.dumps({"model": MODEL, **body}).encode(),
        headers={"Content-Type": "application/json",
                 "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"})
    with urllib.request.urlopen(request, timeout=600) as reply:
        return json.load(reply)


async def answer(server: Server, call: dict[str, Any]) -> dict[str, Any]:
    """The output of one function call, for the model; an error is for it to mend."""
    try:
        content, _ = await server.call_tool(call["name"], json.loads(call["arguments"]))
        output = content[0].text
    except PyroError as error:
        output = str(error)
    return {"type": "function_call_output", "call_id": call["call_id"], "output": output}


async def converse(server: Server, task: str) -> str:
    """Lets the model use the tools until it answers; returns its text."""
    tools = [{"type": "function", "strict": False, "name": tool.name,
              "description": tool.description, "parameters": tool.inputSchema}
             for tool in await server.list_tools()]
    said: list[dict[str, Any]] = [{"role": "user", "content": task}]
    for _ in range(TURNS):
        reply = respond({"tools": tools, "input": said})
        said += reply["output"]
        calls = [item for item in reply["output"] if item["type"] == "function_call"]
        if not calls:
            return "".join(part["text"] for item in reply["output"] if item["type"] == "message"
                           for part in item["content"] if part["type"] == "output_text")
        said += [await answer(server, call) for call in calls]
    raise TimeoutError(f"no answer after {TURNS} turns")
