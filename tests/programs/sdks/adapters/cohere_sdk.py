"""`cohere`: chat of both versions, embeddings, rankings."""

import cohere
from cohere.core.api_error import ApiError

from job import parts, settle


def client(job):
    kinds = {
        ("v1", False): cohere.Client,
        ("v1", True): cohere.AsyncClient,
        ("v2", False): cohere.ClientV2,
        ("v2", True): cohere.AsyncClientV2,
    }
    version = job.path.split("/")[1]
    return kinds[version, job.asynchronous](
        api_key="none", base_url=job.url, max_retries=job.retries
    )


def failure(error):
    return {"status": error.status_code} if isinstance(error, ApiError) else None


def arguments(job):
    """Streams have functions of their own."""
    return {name: value for name, value in job.request.items() if name != "stream"}


BILLED = {
    "input_tokens": "billed_units.input_tokens",
    "output_tokens": "billed_units.output_tokens",
}


def message(said, answer):
    """A whole answer of version 2."""
    said.tell("response_id", answer.id)
    said.finish(answer.finish_reason)
    for item in answer.message.content or []:
        if item.type == "text":
            said.text(item.text)
    for call in answer.message.tool_calls or []:
        said.tool(call.id, call.id, call.function.name, call.function.arguments)
    said.usage(answer.usage, **BILLED)


def event(said, part):
    """A part of an answer of version 2."""
    if part.type == "message-start":
        said.tell("response_id", part.id)
    elif part.type == "content-delta":
        said.text(part.delta.message.content.text)
    elif part.type in ("tool-call-start", "tool-call-delta"):
        call = part.delta.message.tool_calls
        said.tool(
            part.index,
            getattr(call, "id", None),
            getattr(call.function, "name", None),
            call.function.arguments,
        )
    elif part.type == "message-end":
        said.finish(part.delta.finish_reason)
        said.usage(part.delta.usage, **BILLED)


def first_version(said, answer):
    # The id of the answer; `response_id` is one of the service's own.
    said.tell("response_id", answer.generation_id)
    said.finish(answer.finish_reason)
    said.text(answer.text)
    for at, call in enumerate(answer.tool_calls or []):
        said.tool(at, None, call.name, call.parameters)
    said.usage(answer.meta, **BILLED)


async def chat(job, said):
    api = client(job)
    call = api.chat_stream if job.stream else api.chat
    answer = await settle(call(**arguments(job)))
    second = job.path.startswith("/v2")
    if not job.stream:
        (message if second else first_version)(said, answer)
        return
    async for part in parts(job, answer):
        if second:
            event(said, part)
        elif part.event_type == "stream-end":
            first_version(said, part.response)
            said.finish(part.finish_reason)


async def embed(job, said):
    api = client(job)
    answer = await settle(api.embed(**arguments(job)))
    said.tell("response_id", answer.id)
    said.usage(answer.meta, input_tokens="billed_units.input_tokens")


async def rerank(job, said):
    api = client(job)
    answer = await settle(api.rerank(**arguments(job)))
    said.tell("response_id", answer.id)


CALLS = {"chat": chat, "embed": embed, "rerank": rerank}
