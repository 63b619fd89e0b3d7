"""Makes the calls that it is told on standard input, one a line, over connections that it keeps.

usage: told.py NAME     (NAME tells its command line from others')

A line is a JSON object: `port`, `call` (arguments of calls.Call), `fresh` if over a new connection.
A line `chunk N` on stderr follows each chunk of a stream that was read.
"""

import http.client
import json
import sys

from calls import Call


def connect(port):
    connection = http.client.HTTPSConnection("localhost", port)
    connection.connect()
    return connection


def main():
    connections = {}
    print("waiting", file=sys.stderr, flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        port, call = told["port"], Call(**told["call"])
        if told.get("fresh") and port in connections:
            connections.pop(port).close()
        connection = connections.get(port) or connections.setdefault(port, connect(port))
        call.started()
        connection.request("POST", call.path, call.body, call.headers)
        response = connection.getresponse()
        call.status(response.status)
        while data := response.read1(65536):
            call.received(data)
            print("chunk", call.record["chunks"], file=sys.stderr, flush=True)
        call.ended()


if __name__ == "__main__":
    main()
