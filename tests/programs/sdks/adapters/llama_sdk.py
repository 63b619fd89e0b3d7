"""llama.cpp's own API, for which there is no SDK: `httpx`, and the fields that its documentation
names."""

import json

import httpx


async def completion(job, said):
    with httpx.stream("POST", job.url + job.path, json=job.request, timeout=60) as answer:
        if job.stream:
            lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
            pieces = [json.loads(line.removeprefix("data: ")) for line in lines]
        else:
            pieces = [json.loads(answer.read())]
    for piece in pieces:
        said.text(piece["content"])
    last = pieces[-1]
    said.tell("response_model", last["model"])
    said.finish(last["stop_type"])
    said.usage(last, input_tokens="tokens_evaluated", output_tokens="tokens_predicted")


CALLS = {"completion": completion}
