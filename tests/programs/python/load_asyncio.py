"""Load from one asyncio process, by aiohttp: CONNECTIONS connections, CALLS calls on each.

usage: load_asyncio.py PORT CONNECTIONS CALLS CALL-JSON     (CALL-JSON: arguments of calls.Call)
"""

import asyncio
import json
import sys

import aiohttp

from calls import ANTHROPIC, OPENAI, Call


async def worker(port, number, calls, options):
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        for index in range(calls):
            n = number * calls + index
            call = Call(f"a{n}", n, path=ANTHROPIC if n % 2 else OPENAI, **options)
            call.started()
            url = f"https://localhost:{port}{call.path}"
            async with session.post(url, data=call.body, headers=call.headers) as response:
                call.status(response.status)
                async for data in response.content.iter_any():
                    call.received(data)
            call.ended()


async def main(port, connections, calls, options):
    await asyncio.gather(
        *(worker(port, number, calls, options) for number in range(connections))
    )


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4]), json.loads(sys.argv[4])))
