"""Load from threads of one process, by primp (rustls): THREADS connections, CALLS calls on each.

usage: load_primp.py PORT THREADS CALLS CALL-JSON     (CALL-JSON: arguments of calls.Call)
"""

import json
import os
import sys
import threading

import primp

from calls import ANTHROPIC, OPENAI, Call


def worker(port, number, calls, options):
    client = primp.Client(ca_cert_file=os.environ["SSL_CERT_FILE"])
    for index in range(calls):
        n = number * calls + index
        call = Call(f"r{n}", n, path=ANTHROPIC if n % 2 else OPENAI, stream=n % 3 != 0, **options)
        call.started()
        response = client.post(
            f"https://localhost:{port}{call.path}",
            headers=call.headers,
            content=call.body,
            stream=True,
        )
        call.status(response.status_code)
        for data in response.iter_bytes():
            call.received(bytes(data))
        call.ended()


def main(port, threads, calls, options):
    workers = [
        threading.Thread(target=worker, args=(port, number, calls, options))
        for number in range(threads)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), json.loads(sys.argv[4]))
