"""What a client of the demo received through its SDK, as one JSON line in the file RECORDS.

The fields are those of calls.py; a value that the SDK's object does not have stays out.
"""

import json
import os


class Received:
    def __init__(self, path, request):
        self.record = {
            "path": path,
            "request_model": request["model"],
            "max_tokens": request["max_tokens"],
            "stream": request.get("stream", False),
            "status": 200,
            "pid": os.getpid(),
        }

    def take(self, field, value):
        if value is not None:
            self.record[field] = value

    def openai(self, answer):
        """A chat completion, or one chunk of it."""
        self.take("response_id", answer.id)
        self.take("response_model", answer.model)
        for choice in answer.choices:
            self.take("finish", choice.finish_reason)
        if answer.usage:
            self.take("input_tokens", answer.usage.prompt_tokens)
            self.take("output_tokens", answer.usage.completion_tokens)
            if details := answer.usage.prompt_tokens_details:
                self.take("cached_tokens", details.cached_tokens)
            if details := answer.usage.completion_tokens_details:
                self.take("reasoning_tokens", details.reasoning_tokens)
        return self

    def anthropic(self, answer):
        """A message, or one event of its stream."""
        if answer.type == "message_start":
            answer = answer.message
        if answer.type == "message":
            self.take("response_id", answer.id)
            self.take("response_model", answer.model)
            self.take("finish", answer.stop_reason)
            self.anthropic_usage(answer.usage)
        elif answer.type == "message_delta":
            self.take("finish", answer.delta.stop_reason)
            self.anthropic_usage(answer.usage)
        return self

    def anthropic_usage(self, usage):
        if usage.input_tokens is not None:
            # The semantic conventions count all that went in; Anthropic counts the cached apart.
            cached = (usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0)
            self.take("input_tokens", usage.input_tokens + sum(cached))
            self.take("cached_tokens", usage.cache_read_input_tokens)
        self.take("output_tokens", usage.output_tokens)

    def write(self):
        with open(os.environ["RECORDS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(self.record) + "\n")
