"""`groq`: chat completions; a stream's usage is in a field of Groq's own."""

import groq

from job import closing, fitting, parts, settle

USAGE = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cached_tokens": "prompt_tokens_details.cached_tokens",
    "reasoning_tokens": "completion_tokens_details.reasoning_tokens",
}


def client(job):
    make = groq.AsyncGroq if job.asynchronous else groq.Groq
    return make(api_key="none", base_url=job.url, max_retries=job.retries)


def failure(error):
    if isinstance(error, groq.APIStatusError):
        told = error.body.get("error", {}) if isinstance(error.body, dict) else {}
        return {"status": error.status_code, "code": told.get("code"), "type": told.get("type")}
    return None


async def chat(job, said):
    async with closing(client(job)) as api:
        create = api.chat.completions.create
        answer = await settle(create(**fitting(create, job.request)))
        async for part in parts(job, answer):
            said.answer(part.id, part.model)
            for choice in part.choices:
                message = choice.delta if job.stream else choice.message
                said.finish(choice.finish_reason, choice.index)
                said.text(message.content)
                for at, call in enumerate(message.tool_calls or []):
                    key = (choice.index, getattr(call, "index", at))
                    said.tool(key, call.id, call.function.name, call.function.arguments)
            own = getattr(part, "x_groq", None)
            said.usage(part.usage or (own and own.usage), **USAGE)


CALLS = {"chat": chat}
