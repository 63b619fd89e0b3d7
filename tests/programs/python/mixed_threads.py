"""The part of the mixed load that threads with blocking sockets make: HTTP/1.1, some of it pipelined.

usage: mixed_threads.py PORT JOB     (JOB: a connection a line, see mixed/plan.rs)
"""

import base64
import http.client
import json
import socket
import ssl
import sys
import threading

failures = []


def fields(call):
    return dict(call["headers"]) | {"x-plan": json.dumps(call["plan"])}


def pieces(call):
    return [base64.b64decode(piece) for piece in call["body"]]


def take(response, call):
    """Reads an answer to its end; False if it was left before that, as planned."""
    assert response.status == call["plan"]["status"], (response.status, call["plan"])
    while response.read1(65536):
        if call["plan"]["hangs"]:
            return False
    response.close()
    assert not call["plan"]["hangs"], call["plan"]
    return True


def one_by_one(port, calls):
    connection = http.client.HTTPSConnection("localhost", port)
    for call in calls:
        body = pieces(call)
        connection.request(
            call["method"],
            call["path"],
            b"".join(body) if len(body) < 2 else iter(body),
            fields(call),
            encode_chunked=len(body) > 1,
        )
        if not take(connection.getresponse(), call):
            break
    connection.close()


def wire(port, call):
    """A request as bytes, chunked if its body has several pieces."""
    body = pieces(call)
    head = {"host": f"localhost:{port}"} | fields(call)
    if len(body) > 1:
        head["transfer-encoding"] = "chunked"
        body = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body] + [b"0\r\n\r\n"]
    elif body:
        head["content-length"] = len(body[0])
    lines = [f"{call['method']} {call['path']} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + b"".join(body)


class Stream:
    """What HTTPResponse takes for a socket; all answers of a connection are read from one buffer."""

    def __init__(self, file):
        self.file = file

    def makefile(self, _mode):
        return self

    def __getattr__(self, name):
        return getattr(self.file, name)

    def close(self):
        """The next answer is read from it too."""


def pipelined(port, calls):
    context = ssl.create_default_context()
    plain = socket.create_connection(("localhost", port))
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        requests = b"".join(wire(port, call) for call in calls)
        sender = threading.Thread(target=connection.sendall, args=(requests,))
        sender.start()
        stream = Stream(connection.makefile("rb"))
        for call in calls:
            response = http.client.HTTPResponse(stream, method=call["method"])
            response.begin()
            take(response, call)
        sender.join()


def worker(port, job):
    try:
        make = pipelined if job["protocol"] == "pipelined" else one_by_one
        make(port, job["calls"])
    except Exception as error:
        failures.append(error)
        raise


def main(port, path):
    with open(path, encoding="utf-8") as lines:
        jobs = [json.loads(line) for line in lines]
    workers = [threading.Thread(target=worker, args=(port, job)) for job in jobs]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    sys.exit(bool(failures))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
