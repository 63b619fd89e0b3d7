"""`litellm`: one function for the models of many providers, by the prefix of a model's name."""

import os

# Or it asks the network for prices and names while it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"

import litellm

from job import parts, settle

litellm.telemetry = False
litellm.suppress_debug_info = True
litellm.drop_params = True

# What it calls the providers, and what it appends to a base URL.
PROVIDERS = {
    "api.openai.com": ("openai", "/chat/completions"),
    "api.anthropic.com": ("anthropic", ""),
    "api.mistral.ai": ("mistral", "/chat/completions"),
    "api.groq.com": ("groq", "/chat/completions"),
    "localhost": ("openai", "/chat/completions"),
}

USAGE = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
}


def host(job):
    return job.url.partition("://")[2].partition(":")[0]


def arguments(job):
    prefix, end = PROVIDERS[host(job)]
    return {
        "model": f"{prefix}/{job.request['model']}",
        "api_base": job.base(end, "/embeddings") if end else job.url,
        "api_key": "none",
        "max_retries": job.retries,
    }


def passes_on(job):
    """For others than OpenAI's likes it makes up ids, and translates why an answer ended; of a
    stream it tells the model that was asked for."""
    return job.path.endswith("/chat/completions")


def failure(error):
    if isinstance(error, litellm.exceptions.MidStreamFallbackError):
        # That a stream has no reason to finish is its own judgement, no word of the server.
        return None if "before a finish_reason" in str(error) else {"status": 200}
    # Of its own failures it says that the connection failed.
    if isinstance(error, litellm.APIConnectionError):
        return None
    status = getattr(error, "status_code", None)
    return {"status": status} if status else None


async def chat(job, said):
    call = litellm.acompletion if job.asynchronous else litellm.completion
    wanted = {name: value for name, value in job.request.items() if name != "model"}
    if job.stream and PROVIDERS[host(job)][0] != "openai":
        # Others report tokens unasked; without this it would not tell them.
        wanted["stream_options"] = {"include_usage": True}
    answer = await settle(call(**arguments(job), **wanted))
    async for part in parts(job, answer):
        if passes_on(job):
            said.tell("response_id", part.id)
        if passes_on(job) and not job.stream:
            said.tell("response_model", part.model)
        for choice in part.choices:
            if passes_on(job):
                said.finish(choice.finish_reason, choice.index)
            message = choice.delta if job.stream else choice.message
            said.text(message.content)
            for at, call in enumerate(message.tool_calls or []):
                key = (choice.index, getattr(call, "index", at))
                said.tool(key, call.id, call.function.name, call.function.arguments)
        # Of a stream that reports no tokens it counts them itself.
        if not job.stream or wanted.get("stream_options"):
            said.usage(getattr(part, "usage", None), **USAGE)


async def embeddings(job, said):
    call = litellm.aembedding if job.asynchronous else litellm.embedding
    answer = await settle(call(**arguments(job), input=job.request["input"]))
    said.tell("response_model", answer.model)
    said.usage(answer.usage, input_tokens="prompt_tokens")


CALLS = {"chat": chat, "embeddings": embeddings}
