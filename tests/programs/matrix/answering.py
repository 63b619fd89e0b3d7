"""What the servers for agents share: answers over TLS, and a log of what each of them said."""

import http.server
import itertools
import json
import ssl
import threading


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers = itertools.count(1)
    lock = threading.Lock()
    log = None

    def log_message(self, *_):
        """Nobody reads it."""

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def said(self, told):
        """One JSON object a line."""
        with self.lock:
            self.log.write(json.dumps(told) + "\n")
            self.log.flush()

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def stream(self, events):
        """Each a JSON object with its type, as the data of a server-sent event."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that leaves is no fault."""


def serve(handler, certificate, key, log):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with open(log, "w", encoding="utf-8") as handler.log:
        server = Server(("127.0.0.1", 0), handler)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        print(server.server_address[1], flush=True)
        server.serve_forever()
