"""`boto3`: Bedrock's Converse and InvokeModel, each whole and as a stream."""

import json
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError


def client(job):
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=job.url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1 + job.retries}),
    )


def model(job):
    """The path names it."""
    return unquote(job.path.partition("/model/")[2].rpartition("/")[0])


def failure(error):
    if isinstance(error, EventStreamError):
        return {"status": 200, "type": error.response["Error"]["Code"]}
    if isinstance(error, ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return {"status": status, "type": error.response["Error"]["Code"]}
    return None


def usage(said, read):
    said.usage(
        read,
        output_tokens="outputTokens",
        cached_tokens="cacheReadInputTokens",
        cache_written_tokens="cacheWriteInputTokens",
    )
    # All that went in, as the semantic conventions count it.
    names = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    said.tell("input_tokens", sum(read.get(name, 0) for name in names))


async def converse(job, said):
    api = client(job)
    if job.stream:
        for event in api.converse_stream(modelId=model(job), **job.request)["stream"]:
            piece(said, event)
        return
    answer = api.converse(modelId=model(job), **job.request)
    said.finish(answer["stopReason"])
    for block in answer["output"]["message"]["content"]:
        said.text(block.get("text"))
        if call := block.get("toolUse"):
            said.tool(call["toolUseId"], call["toolUseId"], call["name"], call["input"])
    usage(said, answer["usage"])


def piece(said, event):
    if start := event.get("contentBlockStart"):
        if call := start["start"].get("toolUse"):
            said.tool(start["contentBlockIndex"], call["toolUseId"], call["name"])
    elif delta := event.get("contentBlockDelta"):
        said.text(delta["delta"].get("text"))
        if call := delta["delta"].get("toolUse"):
            said.tool(delta["contentBlockIndex"], arguments=call["input"])
    elif stop := event.get("messageStop"):
        said.finish(stop["stopReason"])
    elif read := event.get("metadata"):
        usage(said, read["usage"])


async def invoke(job, said):
    """To the SDK the body is the model's own affair: what it says itself is the status and the
    counts in the header fields."""
    api = client(job)
    arguments = {"modelId": model(job), "body": json.dumps(job.request)}
    if job.stream:
        answer = api.invoke_model_with_response_stream(**arguments)
        for event in answer["body"]:
            assert event["chunk"]["bytes"]
    else:
        answer = api.invoke_model(**arguments)
        assert answer["body"].read()
    fields = answer["ResponseMetadata"]["HTTPHeaders"]
    # All that went in, as the semantic conventions count it.
    kinds = {"input_tokens": ("input", "cache-read-input", "cache-write-input")}
    for name, kinds in {**kinds, "output_tokens": ("output",)}.items():
        counts = [fields.get(f"x-amzn-bedrock-{kind}-token-count") for kind in kinds]
        if counts[0]:
            said.tell(name, sum(int(count or 0) for count in counts))


CALLS = {"converse": converse, "invoke": invoke}
