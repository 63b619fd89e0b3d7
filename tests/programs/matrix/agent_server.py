"""An LLM server over TLS for an agent that speaks Anthropic's Messages API: it is told to call a tool once.

usage: agent_server.py CERTIFICATE KEY LOG     (prints its port, then serves on 127.0.0.1)

Logs what each answer said, one JSON object a line. Every number derives from the answer's own.
"""

import json
import sys

from answering import Answering, serve

TOOL = "Bash"
COMMAND = {"command": "echo called by the tool", "description": "Says that it was called"}
PIECES = 20


class Handler(Answering):
    def do_POST(self):
        body = self.body()
        if self.path.split("?")[0] == "/v1/messages":
            self.message(json.loads(body))
        else:
            self.do_GET()

    def do_GET(self):
        self.answer(404, {"type": "error", "error": {"type": "not_found_error", "message": ""}})

    do_HEAD = do_GET

    def message(self, request):
        number = next(self.numbers)
        has_tool = any(tool.get("name") == TOOL for tool in request.get("tools", []))
        calls = has_tool and not had_its_turn(request["messages"])
        content = {"type": "text", "text": "done "}
        if calls:
            content = {"type": "tool_use", "id": f"toolu_{number}", "name": TOOL, "input": COMMAND}
        usage = {"input_tokens": 1000 + number, "cache_creation_input_tokens": number}
        usage |= {"cache_read_input_tokens": 2 * number, "output_tokens": 2000 + 3 * number}
        message = {"id": f"msg_{number}", "type": "message", "role": "assistant"}
        message |= {"model": request["model"], "content": [content], "stop_sequence": None}
        message |= {"stop_reason": "tool_use" if calls else "end_turn", "usage": usage}
        stream = bool(request.get("stream"))
        told = {"id": message["id"], "model": request["model"], "stream": stream}
        told |= {"finish": message["stop_reason"], "tool": TOOL if calls else None}
        told |= {"input_tokens": sum(usage.values()) - usage["output_tokens"]}
        told |= {"output_tokens": usage["output_tokens"]}
        self.said(told)
        if stream:
            self.stream(events(message))
        else:
            self.answer(200, message)


def had_its_turn(messages):
    contents = [message["content"] for message in messages if isinstance(message["content"], list)]
    return any(part.get("type") == "tool_result" for content in contents for part in content)


def events(message):
    """A message as the events of its stream."""
    [content] = message["content"]
    usage = message["usage"]
    begun = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    empty = content | ({"input": {}} if content["type"] == "tool_use" else {"text": ""})
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    if content["type"] == "tool_use":
        text = json.dumps(content["input"])
        for start in range(0, len(text), 10):
            delta = {"type": "input_json_delta", "partial_json": text[start : start + 10]}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
    else:
        for _ in range(PIECES):
            delta = {"type": "text_delta", "text": content["text"]}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


if __name__ == "__main__":
    serve(Handler, *sys.argv[1:])
