"""An LLM server over TLS for an agent that speaks Anthropic's Messages API: it is told to call a tool once.

usage: agent_server.py CERTIFICATE KEY LOG     (prints its port, then serves on 127.0.0.1)

Logs what each answer said, one JSON object a line. Every number derives from the answer's own.
"""

import http.server
import itertools
import json
import ssl
import sys
import threading

TOOL = "Bash"
COMMAND = {"command": "echo called by the tool", "description": "Says that it was called"}
PIECES = 20


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers = itertools.count(1)
    lock = threading.Lock()
    log = None

    def log_message(self, *_):
        """Nobody reads it."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.split("?")[0] != "/v1/messages":
            self.answer(404, {"type": "error", "error": {"type": "not_found_error", "message": ""}})
            return
        self.message(json.loads(body))

    def do_GET(self):
        self.answer(404, {"type": "error", "error": {"type": "not_found_error", "message": ""}})

    do_HEAD = do_GET

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

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
        with self.lock:
            self.log.write(json.dumps(told) + "\n")
            self.log.flush()
        if stream:
            self.stream(message)
        else:
            self.answer(200, message)

    def stream(self, message):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events(message):
            data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


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


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that leaves is no fault."""


def main(certificate, key, log):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with open(log, "w", encoding="utf-8") as Handler.log:
        server = Server(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
