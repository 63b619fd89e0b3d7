"""An ordinary program with the `anthropic` package: sync and async, streamed and not.

Where the server is comes from ANTHROPIC_BASE_URL, as always. For the comparison at the demo's end
it adds what it received to the file that RECORDS names.
"""

import asyncio
import sys

import anthropic

from received import Received

MODEL = "smollm2-135m-instruct"


def request(question, **more):
    messages = [{"role": "user", "content": question}]
    return {"model": MODEL, "messages": messages, "max_tokens": 40, **more}


def plain(client):
    arguments = request("Name two rivers.")
    answer = client.messages.create(**arguments)
    Received("/v1/messages", arguments).anthropic(answer).write()


def streamed(client):
    arguments = request("What is a mountain?", stream=True)
    received = Received("/v1/messages", arguments)
    for event in client.messages.create(**arguments):
        received.anthropic(event)
    received.write()


async def at_once(client):
    """Two calls at the same time on one event loop."""

    async def plain_one():
        arguments = request("Say hello in Spanish.")
        answer = await client.messages.create(**arguments)
        Received("/v1/messages", arguments).anthropic(answer).write()

    async def streamed_one():
        arguments = request("List three animals.", stream=True)
        received = Received("/v1/messages", arguments)
        async for event in await client.messages.create(**arguments):
            received.anthropic(event)
        received.write()

    await asyncio.gather(plain_one(), streamed_one())


if __name__ == "__main__":
    try:
        with anthropic.Anthropic() as sync_client:
            plain(sync_client)
            streamed(sync_client)

        async def main():
            async with anthropic.AsyncAnthropic() as async_client:
                await at_once(async_client)

        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
