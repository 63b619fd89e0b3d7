"""`google-genai`: generated content and embeddings, of the Gemini API and of Vertex AI."""

import contextlib

from google.genai import Client, errors, types
from google.oauth2.credentials import Credentials

from job import parts, settle


@contextlib.asynccontextmanager
async def models(job):
    """The part of a client that generates; closed at the end."""
    options = types.HttpOptions(
        base_url=job.url,
        api_version=job.path.split("/")[1],
        retry_options=types.HttpRetryOptions(
            attempts=1 + job.retries, initial_delay=0.001, jitter=0.001
        ),
    )
    if "/projects/" in job.path:
        vertex = {"project": "p", "location": "us-central1", "vertexai": True}
        api = Client(credentials=Credentials(token="none"), http_options=options, **vertex)
    else:
        api = Client(api_key="none", http_options=options)
    try:
        yield (api.aio if job.asynchronous else api).models
    finally:
        await api.aio.aclose() if job.asynchronous else api.close()


def model(job):
    """The path names it."""
    return job.path.partition("/models/")[2].partition(":")[0]


def config(job):
    outside = ("safetySettings", "systemInstruction", "tools", "toolConfig")
    fields = {name: job.request[name] for name in outside if name in job.request}
    fields.update(job.request.get("generationConfig", {}))
    return types.GenerateContentConfig.model_validate(fields)


def failure(error):
    if isinstance(error, errors.APIError):
        return {"status": error.code, "type": error.status}
    return None


async def generate(job, said):
    async with models(job) as api:
        call = api.generate_content_stream if job.stream else api.generate_content
        contents = job.request["contents"]
        answer = await settle(call(model=model(job), contents=contents, config=config(job)))
        async for part in parts(job, answer):
            said.answer(part.response_id, part.model_version)
            for at, candidate in enumerate(part.candidates or []):
                tell(said, candidate.index or at, candidate)
            usage(said, part.usage_metadata)


def tell(said, choice, candidate):
    said.finish(candidate.finish_reason, choice)
    said.text("")
    for piece in (candidate.content and candidate.content.parts) or []:
        if piece.text and not piece.thought:
            said.text(piece.text)
        if call := piece.function_call:
            said.tool(len(said.calls), call.id, call.name, call.args)


def usage(said, read):
    said.usage(
        read,
        cached_tokens="cached_content_token_count",
        reasoning_tokens="thoughts_token_count",
    )
    if read:
        # As the semantic conventions count them: the sums are of what was told.
        said.tell(
            "input_tokens", total(read.prompt_token_count, read.tool_use_prompt_token_count)
        )
        said.tell("output_tokens", total(read.candidates_token_count, read.thoughts_token_count))


def total(*numbers):
    told = [number for number in numbers if number is not None]
    return sum(told) if told else None


async def embed(job, said):
    wanted = job.request.get("requests", [job.request])
    contents = [part["content"]["parts"][0]["text"] for part in wanted]
    async with models(job) as api:
        await settle(api.embed_content(model=model(job), contents=contents))


CALLS = {"generate": generate, "embed": embed}
