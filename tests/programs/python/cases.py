"""Single cases that a tracer can get wrong, one a sub-command.

usage: cases.py CASE PORT CALL-JSON     (CALL-JSON: arguments of calls.Call)

A line `chunk N` on stderr follows each chunk of a stream that was read.
"""

import http.client
import json
import os
import subprocess
import sys
import time

from calls import Call

FAILURES = (OSError, http.client.HTTPException)


def send(port, call):
    connection = http.client.HTTPSConnection("localhost", port)
    connection.connect()
    call.started()
    connection.request("POST", call.path, call.body, call.headers)
    return connection


def read(connection, call, chunks=None):
    """Reads the response, or only that many chunks of it."""
    try:
        response = connection.getresponse()
        call.status(response.status)
        rest(response, call, chunks)
    except FAILURES as error:
        call.ended(type(error).__name__)
        return None
    return response


def rest(response, call, chunks=None):
    while data := response.read1(65536):
        call.received(data)
        print("chunk", call.record["chunks"], file=sys.stderr, flush=True)
        if chunks and call.record["chunks"] >= chunks:
            return
    call.ended()


def plain(port, call):
    """One call, read to its end."""
    connection = send(port, call)
    read(connection, call)
    connection.close()


def waits(port, call):
    """As `plain`, once the file named by WAIT_FOR is there; TLS is loaded long before."""
    print("waiting", file=sys.stderr, flush=True)
    while not os.path.exists(os.environ["WAIT_FOR"]):
        time.sleep(0.01)
    plain(port, call)


def leave(port, call):
    """The client closes in the middle of the stream and lives on."""
    connection = send(port, call)
    response = read(connection, call, chunks=3)
    response.close()
    connection.close()
    call.ended("left")
    time.sleep(1)


def execute(port, call):
    """The process becomes another program in the middle of the stream."""
    connection = send(port, call)
    read(connection, call, chunks=3)
    call.ended("exec")
    os.execv("/bin/sleep", ["sleep", "1"])


def child_reads(port, call):
    """The request is sent by the parent, its response is read by a child."""
    connection = send(port, call)
    child = os.fork()
    if child == 0:
        read(connection, call)
        os._exit(0)
    os.waitpid(child, 0)
    connection.close()


def child_idle(port, call):
    """A child that shares the connection ends without touching it; the parent reads on."""
    connection = send(port, call)
    response = read(connection, call, chunks=3)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    rest(response, call)
    connection.close()


def spawns(port, call):
    """Another program is run in the middle of the stream."""
    connection = send(port, call)
    response = read(connection, call, chunks=3)
    subprocess.run(["/bin/true"], check=True)
    rest(response, call)
    connection.close()


CASE_LIST = (plain, waits, leave, execute, child_reads, child_idle, spawns)
CASES = {case.__name__: case for case in CASE_LIST}

if __name__ == "__main__":
    CASES[sys.argv[1]](int(sys.argv[2]), Call(**json.loads(sys.argv[3])))
