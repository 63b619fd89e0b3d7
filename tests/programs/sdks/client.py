"""Calls LLM SDKs as it is told, and prints what their own objects say of each answer.

usage: client.py JOBS     (a file with one job a line, see `job.py`; prints one JSON object a job)

A job whose call is synchronous runs without an event loop, as it would in an ordinary program.
"""

import asyncio
import importlib
import json
import os
import sys

from job import Job
from said import Said


def at_once(coroutine):
    """Runs what never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a synchronous call waited")


async def carry_out(job):
    said = Said()
    adapter = importlib.import_module(f"adapters.{job.sdk}_sdk")
    try:
        await adapter.CALLS[job.call](job, said)
    except Exception as error:
        failure = getattr(adapter, "failure", no_failure)(error)
        if failure is None:
            return {"case": job.case, "refused": f"{type(error).__name__}: {error}"[:500]}
        said.failed(**failure, message=f"{type(error).__name__}: {error}"[:500])
    return {"case": job.case, "pid": os.getpid(), **said.record()}


def no_failure(error):
    return None


def main(jobs):
    with open(jobs, encoding="utf-8") as lines:
        for line in lines:
            job = Job(**json.loads(line))
            run = asyncio.run if job.asynchronous else at_once
            print(json.dumps(run(carry_out(job)), default=str), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
