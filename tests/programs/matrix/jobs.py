"""What the Python clients of the matrix share: the calls of a job, and a thread for each connection."""

import base64
import json
import threading


class Call:
    """One call, as the plan has it (see mixed/plan.rs)."""

    def __init__(self, port, protocol, call):
        self.method = call["method"]
        self.url = f"https://localhost:{port}{call['path']}"
        self.headers = dict(call["headers"]) | {"x-plan": json.dumps(call["plan"])}
        self.body = b"".join(base64.b64decode(piece) for piece in call["body"])
        self.is_http2 = protocol == "http2"
        self.id = call["plan"]["id"]
        self.status = call["plan"]["status"]

    def check(self, status):
        if status != self.status:
            raise RuntimeError(f"{self.id}: status {status}")


def run(port, path, make_all):
    """`make_all` makes the calls of one connection after each other; fails if one of them does."""
    with open(path, encoding="utf-8") as lines:
        jobs = [json.loads(line) for line in lines]
    failures = []

    def worker(job):
        try:
            make_all([Call(port, job["protocol"], call) for call in job["calls"]])
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=worker, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raise SystemExit(bool(failures))
