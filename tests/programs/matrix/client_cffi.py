"""Makes the calls of a job by curl_cffi, which brings a libcurl over BoringSSL: a thread a connection.

usage: client_cffi.py PORT JOB     (JOB: a connection a line, see mixed/plan.rs)
"""

import os
import sys

from curl_cffi import CurlHttpVersion, requests

import jobs


def make_all(calls):
    version = CurlHttpVersion.V2TLS if calls[0].is_http2 else CurlHttpVersion.V1_1
    with requests.Session(http_version=version, verify=os.environ["SSL_CERT_FILE"]) as session:
        for call in calls:
            response = session.request(
                call.method, call.url, data=call.body, headers=call.headers, timeout=60, stream=True
            )
            for _ in response.iter_content():
                pass
            call.check(response.status_code)
            response.close()


if __name__ == "__main__":
    jobs.run(int(sys.argv[1]), sys.argv[2], make_all)
