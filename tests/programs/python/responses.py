"""A TLS server that answers as OpenAI's Responses API does, with one streamed answer for each request.

usage: responses.py CERTIFICATE KEY LOG     (prints its port, then serves on 127.0.0.1)

The number of an answer is in its id and in its tokens; the log has the bytes of each request.
"""

import http.server
import itertools
import json
import ssl
import sys
import threading

NUMBERS = itertools.count(1)
LOCK = threading.Lock()


def events(number):
    """By https://platform.openai.com/docs/api-reference/responses-streaming."""
    content = [{"type": "output_text", "text": "done", "annotations": []}]
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    answer = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "model": "model-1-snapshot",
        "status": "in_progress",
        "output": [],
        "usage": None,
    }
    usage = {
        "input_tokens": 1000 + number,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 2000 + number,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 3000 + 2 * number,
    }
    whole = {**item, "content": content}
    started = {**item, "status": "in_progress", "content": []}
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    completed = {**answer, "status": "completed", "output": [whole], "usage": usage}
    yield "response.created", {"response": answer}
    yield "response.output_item.added", {"output_index": 0, "item": started}
    yield "response.output_text.delta", {**place, "delta": "done"}
    yield "response.output_item.done", {"output_index": 0, "item": whole}
    yield "response.completed", {"response": completed}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        """Lists no models, and nothing else."""
        body = b'{"object": "list", "data": [], "models": []}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with LOCK:
            number = next(NUMBERS)
            record = {"response_id": f"resp_{number}", "number": number, "request_bytes": len(body)}
            self.server.log.write(json.dumps({"path": self.path, **record}) + "\n")
            self.server.log.flush()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for kind, data in events(number):
            event = f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")


def main(certificate, key, log):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.log = open(log, "w", encoding="utf-8")
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
