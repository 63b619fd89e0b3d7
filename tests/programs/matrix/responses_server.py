"""An LLM server over TLS for an agent that speaks OpenAI's Responses API: it is told to call a tool once.

usage: responses_server.py CERTIFICATE KEY LOG     (prints its port, then serves on 127.0.0.1)

Logs what each answer said, one JSON object a line. Every number derives from the answer's own.
"""

import json
import sys

from answering import Answering, serve

# Names that the agent's tool for commands has had.
TOOLS = ("shell", "shell_command", "exec_command")
COMMAND = ["echo", "called by the tool"]


class Handler(Answering):
    def do_GET(self):
        """Lists no models, and nothing else."""
        self.answer(200, {"object": "list", "data": [], "models": []})

    def do_POST(self):
        request = json.loads(self.body())
        number = next(self.numbers)
        tool = None if had_its_turn(request["input"]) else tool_of(request.get("tools", []))
        usage = {"input_tokens": 1000 + number, "output_tokens": 2000 + 3 * number}
        usage |= {"input_tokens_details": {"cached_tokens": number}}
        usage |= {"output_tokens_details": {"reasoning_tokens": 2 * number}}
        usage |= {"total_tokens": usage["input_tokens"] + usage["output_tokens"]}
        told = {"id": f"resp_{number}", "model": request["model"], "stream": True}
        told |= {"finish": "completed", "tool": tool and tool["name"]}
        told |= {name: usage[name] for name in ("input_tokens", "output_tokens")}
        self.said(told)
        self.stream(events(number, request["model"], tool, usage))


def had_its_turn(items):
    return any(item.get("type") == "function_call_output" for item in items)


def tool_of(tools):
    """The tool for commands, as the agent offers it."""
    return next((tool for tool in tools if tool.get("name") in TOOLS), None)


def arguments(tool):
    """By the tool's own schema: a command as a list or as a line, under one name or another."""
    properties = tool["parameters"]["properties"]
    name = next(name for name in ("command", "cmd") if name in properties)
    is_list = properties[name]["type"] == "array"
    return json.dumps({name: COMMAND if is_list else " ".join(COMMAND)})


def events(number, model, tool, usage):
    """By the reference of the Responses API's streams."""
    answer = {"id": f"resp_{number}", "object": "response", "created_at": 1, "model": model}
    answer |= {"status": "in_progress", "output": [], "usage": None}
    item = {"id": f"item_{number}", "status": "completed"}
    if tool:
        item |= {"type": "function_call", "call_id": f"call_{number}", "name": tool["name"]}
        item |= {"arguments": arguments(tool)}
        started = item | {"arguments": "", "status": "in_progress"}
        delta = ("response.function_call_arguments.delta", item["arguments"])
    else:
        text = {"type": "output_text", "text": "done", "annotations": []}
        item |= {"type": "message", "role": "assistant", "content": [text]}
        started = item | {"content": [], "status": "in_progress"}
        delta = ("response.output_text.delta", "done")
    place = {"output_index": 0, "item_id": item["id"]}
    yield {"type": "response.created", "response": answer}
    yield {"type": "response.output_item.added", "output_index": 0, "item": started}
    yield place | {"type": delta[0], "content_index": 0, "delta": delta[1]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    answer |= {"status": "completed", "output": [item], "usage": usage}
    yield {"type": "response.completed", "response": answer}


if __name__ == "__main__":
    serve(Handler, *sys.argv[1:])
