"""Load from threads with blocking sockets: THREADS threads, one connection each, CALLS calls on it.

usage: load_threads.py PORT THREADS CALLS CALL-JSON     (CALL-JSON: arguments of calls.Call)
"""

import http.client
import json
import sys
import threading

from calls import ANTHROPIC, OPENAI, Call


def worker(port, number, calls, options):
    connection = http.client.HTTPSConnection("localhost", port)
    connection.connect()
    for index in range(calls):
        n = number * calls + index
        call = Call(f"t{n}", n, path=ANTHROPIC if n % 2 else OPENAI, **options)
        call.started()
        connection.request("POST", call.path, call.body, call.headers)
        response = connection.getresponse()
        call.status(response.status)
        while data := response.read1(65536):
            call.received(data)
        response.close()
        call.ended()
    connection.close()


def main(port, threads, calls, options):
    workers = [
        threading.Thread(target=worker, args=(port, number, calls, options))
        for number in range(threads)
    ]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), json.loads(sys.argv[4]))
