"""Calls of Vertex AI over gRPC, by grpcio's generic stubs: whole, streamed, large, many at once.

usage: grpc_client.py PORT CONNECTIONS     (the server's authority: SSL_CERT_FILE)

Prints one JSON record a call: what came back, as calls.py describes it.
"""

import json
import os
import sys
from concurrent import futures

import grpc

import vertex

LARGE = 1 << 20


class Client:
    """One connection."""

    def __init__(self, port, root):
        # Channels to one server share their connection unless told otherwise.
        options = [("grpc.use_local_subchannel_pool", 1)]
        credentials = grpc.ssl_channel_credentials(root)
        self.channel = grpc.secure_channel(f"localhost:{port}", credentials, options)
        stem = f"/{vertex.SERVICE}/"
        self.whole = self.channel.unary_unary(stem + "GenerateContent")
        self.stream = self.channel.unary_stream(stem + "StreamGenerateContent")

    def call(self, number, streamed=False, size=10):
        model = f"gemini-test-{number}"
        message = vertex.request(model, "p" * size)
        record = {"request_model": model, "request_bytes": len(message), "stream": streamed}
        record |= {"pid": os.getpid(), "chunks": 0}
        answers = self.stream(message, timeout=60) if streamed else [self.whole(message, timeout=60)]
        for answer in answers:
            record["chunks"] += 1
            self.read(record, answer)
        return record

    @staticmethod
    def read(record, answer):
        found = vertex.fields(answer)
        record["response_model"], record["response_id"] = found[11].decode(), found[13].decode()
        if 4 in found:
            usage = vertex.fields(found[4])
            record["input_tokens"], record["output_tokens"] = usage[1], usage[2]
        if vertex.fields(found[2]).get(3) == vertex.STOP:
            record["finish"] = "STOP"


def connection(port, root, number):
    client = Client(port, root)
    records = [client.call(number), client.call(number + 1, streamed=True)]
    client.channel.close()
    return records


def main(port, connections):
    with open(os.environ["SSL_CERT_FILE"], "rb") as file:
        root = file.read()
    first = Client(port, root)
    records = [first.call(1), first.call(2, streamed=True), first.call(3, size=LARGE)]
    first.channel.close()
    with futures.ThreadPoolExecutor(int(connections)) as pool:
        numbers = range(10, 10 + 2 * int(connections), 2)
        for more in pool.map(lambda number: connection(port, root, number), numbers):
            records += more
    for record in records:
        print(json.dumps(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
