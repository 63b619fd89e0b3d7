"""`openai`: chat completions, completions, responses, embeddings; also of its likes."""

import openai

from job import closing, fitting, parts, settle

USAGE = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cached_tokens": "prompt_tokens_details.cached_tokens",
    "reasoning_tokens": "completion_tokens_details.reasoning_tokens",
}


def client(job, *ends):
    make = openai.AsyncOpenAI if job.asynchronous else openai.OpenAI
    return make(
        api_key="sk-none",
        base_url=job.base(*ends),
        default_query=job.query,
        max_retries=job.retries,
    )


def failure(error):
    """What the SDK has of an error that the server told, before or within a stream."""
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        return {
            "status": getattr(error, "status_code", 200),
            "code": error.code,
            "type": error.type,
        }
    return None


def tools(said, choice, message):
    for at, call in enumerate(message.tool_calls or []):
        index = getattr(call, "index", at)
        said.tool((choice, index), call.id, call.function.name, call.function.arguments)
    # As it was before there could be several.
    if message.function_call:
        said.tool(choice, None, message.function_call.name, message.function_call.arguments)


async def chat(job, said):
    async with closing(client(job, "/chat/completions")) as api:
        create = api.chat.completions.create
        answer = await settle(create(**fitting(create, job.request)))
        async for part in parts(job, answer):
            said.answer(part.id or None, part.model or None)
            for choice in part.choices or []:
                said.finish(choice.finish_reason, choice.index)
                message = choice.delta if job.stream else choice.message
                if message:
                    said.text(message.content)
                    tools(said, choice.index, message)
            said.usage(part.usage, **USAGE)


async def completions(job, said):
    async with closing(client(job, "/completions")) as api:
        create = api.completions.create
        answer = await settle(create(**fitting(create, job.request)))
        async for part in parts(job, answer):
            said.answer(part.id, part.model)
            for choice in part.choices or []:
                said.finish(choice.finish_reason, choice.index)
                said.text(choice.text)
            said.usage(part.usage, **USAGE)


async def responses(job, said):
    async with closing(client(job, "/responses")) as api:
        create = api.responses.create
        answer = await settle(create(**fitting(create, job.request)))
        if job.stream:
            async for event in parts(job, answer):
                answer = getattr(event, "response", answer)
    said.answer(answer.id, answer.model)
    # This API has a status where others have a reason to finish.
    said.finish(answer.status)
    said.text(answer.output_text)
    for item in answer.output:
        if item.type == "function_call":
            said.tool(item.id, item.call_id, item.name, item.arguments)
    said.usage(
        answer.usage,
        input_tokens="input_tokens",
        output_tokens="output_tokens",
        cached_tokens="input_tokens_details.cached_tokens",
        reasoning_tokens="output_tokens_details.reasoning_tokens",
    )


async def embeddings(job, said):
    async with closing(client(job, "/embeddings")) as api:
        create = api.embeddings.create
        answer = await settle(create(**fitting(create, job.request)))
    said.tell("response_model", answer.model)
    said.usage(answer.usage, input_tokens="prompt_tokens")


CALLS = {
    "chat": chat,
    "completions": completions,
    "responses": responses,
    "embeddings": embeddings,
}
