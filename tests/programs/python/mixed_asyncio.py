"""The part of the mixed load that one asyncio process makes, by aiohttp: HTTP/1.1 and WebSockets.

usage: mixed_asyncio.py PORT SOCKET-PORT JOB     (JOB: a connection a line, see mixed/plan.rs)
"""

import asyncio
import base64
import json
import sys

import aiohttp


def fields(call):
    return dict(call["headers"]) | {"x-plan": json.dumps(call["plan"])}


def body_of(call):
    pieces = [base64.b64decode(piece) for piece in call["body"]]
    if len(pieces) < 2:
        return b"".join(pieces) or None

    async def chunks():
        for piece in pieces:
            yield piece

    return chunks()


async def exchange(session, port, call):
    url = f"https://localhost:{port}{call['path']}"
    async with session.request(
        call["method"], url, data=body_of(call), headers=fields(call)
    ) as response:
        assert response.status == call["plan"]["status"], (response.status, call["plan"])
        async for _ in response.content.iter_any():
            if call["plan"]["hangs"]:
                return
        assert not call["plan"]["hangs"], call["plan"]


async def socket(session, port, call):
    plan = call["plan"]
    url = f"https://localhost:{port}{call['path']}"
    compress = 15 if plan["coding"] == "deflate" else 0
    async with session.ws_connect(url, headers=fields(call), compress=compress) as messages:
        for index in range(plan["pieces"]):
            text = f"{plan['id']} {index} " + "w" * plan["size"]
            if index % 2:
                await messages.send_bytes(text.encode())
            else:
                await messages.send_str(text)
            if index % 5 == 0:
                await messages.ping(b"still there?")
            answer = await messages.receive()
            answered = answer.data if isinstance(answer.data, str) else answer.data.decode()
            assert answered == f"to {text}", answered


async def connection(port, socket_port, job):
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False
    ) as session:
        for call in job["calls"]:
            if job["protocol"] == "websocket":
                await socket(session, socket_port, call)
            else:
                await exchange(session, port, call)


async def main(port, socket_port, path):
    with open(path, encoding="utf-8") as lines:
        jobs = [json.loads(line) for line in lines]
    await asyncio.gather(*(connection(port, socket_port, job) for job in jobs))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
