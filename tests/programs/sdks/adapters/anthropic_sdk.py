"""`anthropic`: messages; a stream is put together by the SDK itself."""

import anthropic

from job import closing, fitting, settle


def client(job):
    make = anthropic.AsyncAnthropic if job.asynchronous else anthropic.Anthropic
    return make(api_key="sk-none", base_url=job.base("/v1/messages"), max_retries=job.retries)


def failure(error):
    if isinstance(error, anthropic.APIError) and not isinstance(
        error, anthropic.APIConnectionError
    ):
        told = (error.body or {}).get("error") or {}
        return {"status": getattr(error, "status_code", 200), "type": told.get("type")}
    return None


async def messages(job, said):
    arguments = {name: value for name, value in job.request.items() if name != "stream"}
    async with closing(client(job)) as api:
        kind = api.beta.messages if "beta" in job.query else api.messages
        make = kind.stream if job.stream else kind.create
        answer = await settle(make(**fitting(make, arguments)))
        if job.stream:
            answer = await whole(answer)
    tell(said, answer)


async def whole(manager):
    """The message that the SDK itself puts together."""
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            return await stream.get_final_message()
    with manager as stream:
        return stream.get_final_message()


def tell(said, answer):
    said.answer(answer.id, answer.model)
    said.finish(answer.stop_reason)
    said.text("")
    for block in answer.content:
        if block.type == "text":
            said.text(block.text)
        elif block.type == "tool_use":
            said.tool(block.id, block.id, block.name, block.input)
    usage = answer.usage
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    # All that went in, as the semantic conventions count it.
    said.tell("input_tokens", usage.input_tokens + (read or 0) + (written or 0))
    said.usage(
        usage,
        output_tokens="output_tokens",
        cached_tokens="cache_read_input_tokens",
        cache_written_tokens="cache_creation_input_tokens",
    )


CALLS = {"messages": messages}
