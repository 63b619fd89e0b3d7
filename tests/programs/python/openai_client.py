"""An ordinary program with the `openai` package: sync and async, streamed and not.

Where the server is comes from OPENAI_BASE_URL, as always. For the comparison at the demo's end it
adds what it received to the file that RECORDS names.
"""

import asyncio
import sys

import openai

from received import Received

MODEL = "smollm2-135m-instruct"


def request(question, **more):
    messages = [{"role": "user", "content": question}]
    return {"model": MODEL, "messages": messages, "max_tokens": 40, **more}


STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def whole(arguments, answer):
    Received("/v1/chat/completions", arguments).openai(answer).write()


def plain(client):
    arguments = request("Name three colours.")
    whole(arguments, client.chat.completions.create(**arguments))


def streamed(client):
    arguments = request("What is the sea?", **STREAMED)
    received = Received("/v1/chat/completions", arguments)
    for chunk in client.chat.completions.create(**arguments):
        received.openai(chunk)
    received.write()


async def at_once(client):
    """Two calls at the same time on one event loop."""

    async def plain_one():
        arguments = request("Say hello in French.", temperature=0.2)
        whole(arguments, await client.chat.completions.create(**arguments))

    async def streamed_one():
        arguments = request("Count to five.", **STREAMED)
        received = Received("/v1/chat/completions", arguments)
        async for chunk in await client.chat.completions.create(**arguments):
            received.openai(chunk)
        received.write()

    await asyncio.gather(plain_one(), streamed_one())


if __name__ == "__main__":
    try:
        with openai.OpenAI() as sync_client:
            plain(sync_client)
            streamed(sync_client)

        async def main():
            async with openai.AsyncOpenAI() as async_client:
                await at_once(async_client)

        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
