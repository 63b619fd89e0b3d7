"""Two calls over one connection: the second once a file is there.

usage: golang_waits.py PORT FILE     (says that it waits; the server is that of programs/go)
"""

import http.client
import json
import os
import sys
import time


def call(connection, number, name):
    plan = {
        "id": name,
        "number": number,
        "form": "chat",
        "status": 200,
        "pieces": 3,
        "size": 10,
        "coding": "identity",
        "hangs": False,
    }
    body = {"model": "model-1", "max_tokens": number, "user": name, "messages": []}
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), {"x-plan": json.dumps(plan)}
    )
    response = connection.getresponse()
    assert response.status == 200, response.status
    assert json.load(response)["id"] == f"chatcmpl-{name}"


def main(port, file):
    connection = http.client.HTTPSConnection("localhost", port)
    call(connection, 1, "before")
    print("waiting", flush=True)
    while not os.path.exists(file):
        time.sleep(0.01)
    call(connection, 2, "after")
    connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
