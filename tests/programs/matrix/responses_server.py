"""An LLM server over TLS for an agent that speaks OpenAI's Responses API: it is told to call a tool once.

usage: responses_server.py CERTIFICATE KEY LOG     (prints its port, then serves on 127.0.0.1)

Logs what each answer said, one JSON object a line. Every number derives from the answer's own.
"""

import http.server
import itertools
import json
import ssl
import sys
import threading

# Names that the agent's tool for commands has had.
TOOLS = ("shell", "shell_command", "exec_command")
COMMAND = ["echo", "called by the tool"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers = itertools.count(1)
    lock = threading.Lock()
    log = None

    def log_message(self, *_):
        """Nobody reads it."""

    def do_GET(self):
        """Lists no models, and nothing else."""
        body = b'{"object": "list", "data": [], "models": []}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = next(self.numbers)
        tool = None if had_its_turn(request["input"]) else tool_of(request.get("tools", []))
        usage = {"input_tokens": 1000 + number, "output_tokens": 2000 + 3 * number}
        usage |= {"input_tokens_details": {"cached_tokens": number}}
        usage |= {"output_tokens_details": {"reasoning_tokens": 2 * number}}
        usage |= {"total_tokens": usage["input_tokens"] + usage["output_tokens"]}
        told = {"id": f"resp_{number}", "model": request["model"], "stream": True}
        told |= {"finish": "completed", "tool": tool and tool["name"]}
        told |= {name: usage[name] for name in ("input_tokens", "output_tokens")}
        with self.lock:
            self.log.write(json.dumps(told) + "\n")
            self.log.flush()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for kind, data in events(number, request["model"], tool, usage):
            event = f"event: {kind}\ndata: {json.dumps({'type': kind} | data)}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


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
    yield "response.created", {"response": answer}
    yield "response.output_item.added", {"output_index": 0, "item": started}
    yield delta[0], place | {"content_index": 0, "delta": delta[1]}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    answer |= {"status": "completed", "output": [item], "usage": usage}
    yield "response.completed", {"response": answer}


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
