"""A scripted model on loopback: it speaks the three protocols the chat hosts know (Anthropic's
messages, OpenAI's responses and chat completions; streamed) and answers from a plan.

A plan is a list of steps (tool, arguments); arguments may be a function of the results so far. How
far a conversation has come is read from the conversation itself: as many steps as it holds results
of tools. After the last step the model says FINAL. Requests that offer none of pyro's tools (hosts
ask for titles and such) get a word and are not recorded.
"""
import itertools
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FINAL = "All of it is done."
# The tools to find tools of Claude Code and Codex, which show those of servers to most models only so.
SEARCHES = ("ToolSearch", "tool_search")


def text_of(content):
    """The text of a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content or [])


class Anthropic:
    """POST /v1/messages"""

    @staticmethod
    def tools(request):
        return {tool["name"]: {"name": tool["name"], "description": tool["description"],
                               "schema": tool["input_schema"]}
                for tool in request.get("tools", []) if "input_schema" in tool}

    @staticmethod
    def results(request):
        return [text_of(block.get("content")) for message in request["messages"]
                if isinstance(message["content"], list)
                for block in message["content"] if block["type"] == "tool_result"
                and not block["tool_use_id"].startswith("search")]

    @staticmethod
    def answer(id_, _request, call, text):
        yield {"type": "message_start", "message": {
            "id": id_, "type": "message", "role": "assistant", "model": "scripted", "content": [],
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1}}}
        if call:
            block = {"type": "tool_use", "id": id_, "name": call[0], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
        else:
            block = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": text}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        yield {"type": "message_delta", "usage": {"output_tokens": 1}, "delta": {
            "stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}}
        yield {"type": "message_stop"}


class Responses:
    """POST /v1/responses"""

    @staticmethod
    def tools(request):
        """What is offered, and what the model has found by tool_search."""
        found = {}
        searched = [tool for item in request["input"] if item["type"] == "tool_search_output"
                    for tool in item["tools"]]
        for tool in request["tools"] + searched:
            if tool["type"] in SEARCHES:
                found[tool["type"]] = tool
            for part in tool["tools"] if tool["type"] == "namespace" else [tool]:
                if part["type"] == "function":
                    space = tool["name"] if tool["type"] == "namespace" else None
                    name = f"{space}__{part['name']}" if space else part["name"]
                    found[name] = {"name": part["name"], "space": space,
                                   "description": part["description"],
                                   "schema": part["parameters"]}
        return found

    @staticmethod
    def results(request):
        return [text_of(item["output"]) for item in request["input"]
                if item["type"] == "function_call_output"]

    @staticmethod
    def answer(id_, request, call, text):
        if call and call[0] in SEARCHES:
            item = {"type": "tool_search_call", "call_id": id_, "execution": "client",
                    "status": "completed", "arguments": call[1]}
        elif call:
            tool = Responses.tools(request)[call[0]]
            item = {"type": "function_call", "id": id_, "call_id": id_, "name": tool["name"],
                    "arguments": json.dumps(call[1])}
            if tool["space"]:
                item["namespace"] = tool["space"]
        else:
            item = {"type": "message", "id": id_, "role": "assistant",
                    "content": [{"type": "output_text", "text": text}]}
        yield {"type": "response.created", "response": {"id": id_}}
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": {"id": id_, "usage": {
            "input_tokens": 1, "input_tokens_details": None, "output_tokens": 1,
            "output_tokens_details": None, "total_tokens": 2}}}


class Chat:
    """POST /v1/chat/completions"""

    @staticmethod
    def tools(request):
        return {tool["function"]["name"]: {
            "name": tool["function"]["name"], "description": tool["function"]["description"],
            "schema": tool["function"]["parameters"]} for tool in request.get("tools", [])}

    @staticmethod
    def results(request):
        return [text_of(message["content"]) for message in request["messages"]
                if message["role"] == "tool"]

    @staticmethod
    def answer(id_, _request, call, text):
        chunk = {"id": id_, "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
        delta = {"role": "assistant", "content": text}
        if call:
            delta = {"role": "assistant", "tool_calls": [{
                "index": 0, "id": id_, "type": "function",
                "function": {"name": call[0], "arguments": json.dumps(call[1])}}]}
        yield {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**chunk, "choices": [{"index": 0, "delta": {},
                                     "finish_reason": "tool_calls" if call else "stop"}],
               "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


PROTOCOLS = {"messages": Anthropic, "responses": Responses, "completions": Chat}


class Model:
    """Answers one host. `tools` is what the host offers of pyro's, by the plain names; `results`
    the texts that the steps so far have come back with; `problem` why a step could not be asked. A
    tool that is not offered is searched for, once, by the words of its name."""

    def __init__(self, plan):
        self.plan, self.tools, self.results, self.problem = plan, {}, [], None
        self.searched = set()
        self.numbers = itertools.count(1)
        model = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def reply(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.reply("application/json", b'{"data": [], "models": []}')

            do_HEAD = do_GET

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                protocol = PROTOCOLS.get(self.path.split("?")[0].rsplit("/", 1)[1])
                if not protocol:
                    return self.reply("application/json", b'{"input_tokens": 1}')
                body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                               if "type" in event else f"data: {json.dumps(event)}\n\n"
                               for event in model.events(protocol, request))
                if protocol is Chat:
                    body += "data: [DONE]\n\n"
                return self.reply("text/event-stream", body.encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self, protocol, request):
        offered = protocol.tools(request)
        names = {re.sub("^(mcp__)?pyro_+", "", name): name for name in offered
                 if re.match("(mcp__)?pyro_", name)}
        searches = [name for name in offered if name in SEARCHES]
        call, text, id_ = None, "ok", f"call{next(self.numbers)}"
        if names or searches:
            self.tools = {plain: offered[name] for plain, name in names.items()}
            self.results = protocol.results(request)
            call, text = self.next_call(names, searches), FINAL
        return protocol.answer(f"search{id_}" if call and call[0] in searches else id_, request,
                               call, text)

    def next_call(self, names, searches):
        """What the plan says now; None at its end, or if it cannot go on."""
        if len(self.results) >= len(self.plan):
            return None
        tool, arguments = self.plan[len(self.results)]
        if tool not in names and searches and tool not in self.searched:
            self.searched.add(tool)
            return searches[0], {"query": tool.replace("_", " ")}
        try:
            return names[tool], arguments(self.results) if callable(arguments) else arguments
        except Exception as error:  # such as a result that is not what the plan builds upon
            self.problem = f"{tool}: {error!r}; results: {self.results}"
            return None

    def close(self):
        self.server.shutdown()
        self.server.server_close()
