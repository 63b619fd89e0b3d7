"""`mistralai`: chat and embeddings."""

from mistralai.client import Mistral
from mistralai.client.errors import MistralError
from mistralai.client.utils import BackoffStrategy, RetryConfig

from job import known, parts, settle

USAGE = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}


def client(job):
    backoff = BackoffStrategy(
        initial_interval=1, max_interval=10, exponent=1.0, max_elapsed_time=60_000
    )
    retry = RetryConfig("backoff" if job.retries else "none", backoff, False)
    return Mistral(api_key="none", server_url=job.url, retry_config=retry)


def failure(error):
    # What it can't read is of this class too.
    is_told = isinstance(error, MistralError) and error.status_code >= 400
    return {"status": error.status_code} if is_told else None


async def chat(job, said):
    api = client(job).chat
    name = "stream" if job.stream else "complete"
    call = getattr(api, f"{name}_async" if job.asynchronous else name)
    answer = await settle(call(**known(call, job.request)))
    async for part in parts(job, answer):
        part = part.data if job.stream else part
        said.answer(part.id, part.model)
        for choice in part.choices:
            message = choice.delta if job.stream else choice.message
            said.finish(choice.finish_reason, choice.index)
            said.text(message.content or "")
            for call in message.tool_calls or []:
                key = (choice.index, call.index)
                said.tool(key, call.id, call.function.name, call.function.arguments)
        said.usage(part.usage, **USAGE)


async def embeddings(job, said):
    api = client(job).embeddings
    call = api.create_async if job.asynchronous else api.create
    arguments = {"inputs": job.request.get("input"), **job.request}
    answer = await settle(call(**known(call, arguments)))
    said.answer(answer.id, answer.model)
    said.usage(answer.usage, input_tokens="prompt_tokens")


CALLS = {"chat": chat, "embeddings": embeddings}
