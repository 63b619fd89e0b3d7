"""Makes the calls of a job over HTTP/2 by primp, which brings rustls: a thread a connection.

usage: client_primp.py PORT JOB     (JOB: a connection a line, see mixed/plan.rs)
"""

import os
import sys

import primp

import jobs


def make_all(calls):
    client = primp.Client(ca_cert_file=os.environ["SSL_CERT_FILE"], http2_only=True, timeout=60)
    for call in calls:
        response = client.request(
            call.method, call.url, headers=call.headers, content=call.body, stream=True
        )
        for _ in response.iter_bytes():
            pass
        call.check(response.status_code)


if __name__ == "__main__":
    jobs.run(int(sys.argv[1]), sys.argv[2], make_all)
