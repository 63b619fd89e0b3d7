"""A gRPC server over TLS that answers as Vertex AI does, in grpcio's own HTTP/2 and TLS.

usage: grpc_server.py CERTIFICATE KEY LOG     (prints its port, then serves on 127.0.0.1)

Every number in an answer derives from the number at the end of the request's model.
"""

import json
import sys
from concurrent import futures

import grpc

import vertex

PIECES = 5
# Number of the call whose answer has many pieces, and how many.
LONG, MANY = 2, 200


class Service(grpc.GenericRpcHandler):
    def __init__(self, log):
        self.log = log
        stem = f"/{vertex.SERVICE}/"
        self.methods = {
            stem + "GenerateContent": grpc.unary_unary_rpc_method_handler(self.whole),
            stem + "StreamGenerateContent": grpc.unary_stream_rpc_method_handler(self.stream),
        }

    def service(self, details):
        return self.methods.get(details.method)

    def plan(self, message):
        model = vertex.fields(message)[5].decode()
        number = int(model.rsplit("-", 1)[1])
        self.log.write(json.dumps({"model": model, "request_bytes": len(message)}) + "\n")
        self.log.flush()
        return f"vertex-{number}", model + "-snapshot", (1000 + number, 2000 + 3 * number)

    def whole(self, message, _context):
        name, model, usage = self.plan(message)
        return vertex.response(name, model, "x" * 3000, usage, vertex.STOP)

    def stream(self, message, _context):
        name, model, usage = self.plan(message)
        pieces = MANY if name == f"vertex-{LONG}" else PIECES
        for piece in range(pieces - 1):
            yield vertex.response(name, model, f"piece {piece} ")
        yield vertex.response(name, model, "end", usage, vertex.STOP)


def main(certificate, key, log_path):
    pair = tuple(open(path, "rb").read() for path in (key, certificate))
    with open(log_path, "w", encoding="utf-8") as log:
        server = grpc.server(futures.ThreadPoolExecutor(32), handlers=(Service(log),))
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        server.start()
        print(port, flush=True)
        server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
