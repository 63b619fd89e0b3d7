"""A TLS client that does what it is told on standard input, and says how long it took.

usage: bench_client.py PORT
input: lines of `NUMBER KIND CALLS`, KIND json or stream; for each, one JSON line with its number,
calls a second, and the median and 99th percentile of a call in milliseconds. Each line is done on
a new connection, which is made before the clock starts.
"""

import http.client
import json
import socket
import sys
import time

PATHS = {"json": "/v1/chat/completions", "stream": "/stream/chat/completions"}
HEADERS = {"content-type": "application/json", "authorization": "Bearer none"}


def one(connection, path, body):
    started = time.perf_counter()
    connection.request("POST", path, body, HEADERS)
    response = connection.getresponse()
    while response.read1(65536):
        pass
    response.close()
    return time.perf_counter() - started


def batch(port, kind, calls):
    body = json.dumps(
        {
            "model": "bench",
            "stream": kind == "stream",
            "messages": [{"role": "user", "content": "a short question"}],
        }
    )
    connection = http.client.HTTPSConnection("localhost", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(max(calls // 10, 1)):
        one(connection, PATHS[kind], body)
    started = time.perf_counter()
    times = sorted(one(connection, PATHS[kind], body) for _ in range(calls))
    seconds = time.perf_counter() - started
    connection.close()
    return {
        "rate": calls / seconds,
        "p50": times[len(times) // 2] * 1000,
        "p99": times[min(len(times) * 99 // 100, len(times) - 1)] * 1000,
    }


def main(port):
    print("up", flush=True)
    for line in sys.stdin:
        number, kind, calls = line.split()
        print(json.dumps({"number": int(number), **batch(port, kind, int(calls))}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
