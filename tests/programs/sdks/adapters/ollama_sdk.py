"""`ollama`: chat, generate and embeddings, in Ollama's own API."""

import ollama

from job import closing, known, parts, settle


def client(job):
    make = ollama.AsyncClient if job.asynchronous else ollama.Client
    return closing(make(host=job.url))


def failure(error):
    return {"status": error.status_code} if isinstance(error, ollama.ResponseError) else None


def tell(said, part):
    said.tell("response_model", part.model)
    said.finish(part.done_reason)
    said.usage(part, input_tokens="prompt_eval_count", output_tokens="eval_count")


async def chat(job, said):
    async with client(job) as api:
        answer = await settle(api.chat(**known(api.chat, job.request)))
        async for part in parts(job, answer):
            tell(said, part)
            said.text(part.message.content)
            for call in part.message.tool_calls or []:
                arguments = dict(call.function.arguments)
                said.tool(len(said.calls), None, call.function.name, arguments)


async def generate(job, said):
    async with client(job) as api:
        answer = await settle(api.generate(**known(api.generate, job.request)))
        async for part in parts(job, answer):
            tell(said, part)
            said.text(part.response)


async def embed(job, said):
    async with client(job) as api:
        answer = await settle(api.embed(**known(api.embed, job.request)))
        said.tell("response_model", answer.model)
        said.usage(answer, input_tokens="prompt_eval_count")


async def embeddings(job, said):
    """The older API, which reports no tokens."""
    async with client(job) as api:
        await settle(api.embeddings(**known(api.embeddings, job.request)))


CALLS = {"chat": chat, "generate": generate, "embed": embed, "embeddings": embeddings}
