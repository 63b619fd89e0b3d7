"""The WebSocket server of the mixed load, by aiohttp: sends every message back with a word before it.

usage: mixed_sockets.py CERTIFICATE KEY LOG     (prints its port; LOG: see mixed/exchange.rs)
"""

import asyncio
import json
import ssl
import sys
import zlib

from aiohttp import WSMsgType, web


def seen(data):
    return {"bytes": len(data), "crc": zlib.crc32(data)}


async def handle(request):
    plan = json.loads(request.headers["x-plan"])
    socket = web.WebSocketResponse(compress=plan["coding"] == "deflate")
    socket.headers["x-id"] = plan["id"]
    await socket.prepare(request)
    received, sent = bytearray(), bytearray()
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            answer = f"to {message.data}"
            received += message.data.encode()
            sent += answer.encode()
            await socket.send_str(answer)
        elif message.type is WSMsgType.BINARY:
            answer = b"to " + message.data
            received += message.data
            sent += answer
            await socket.send_bytes(answer)
    told = {
        "id": plan["id"],
        "method": request.method,
        "protocol": "HTTP/1.1",
        "request": seen(received),
        "status": socket.status,
        "coding": None,
        "response": seen(sent),
    }
    request.app["log"].write(json.dumps(told) + "\n")
    request.app["log"].flush()
    return socket


async def main(certificate, key, log_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_get("/socket", handle)
    with open(log_path, "w", encoding="utf-8") as app["log"]:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
