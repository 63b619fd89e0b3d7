"""What the client programs share: a request, and what came back of it, as one JSON line.

Times are seconds of CLOCK_REALTIME. Everything in the record is what this client itself
received; nothing is copied from what it asked for.
"""

import json
import os
import sys
import threading
import time

OPENAI = "/v1/chat/completions"
ANTHROPIC = "/v1/messages"


class Call:
    """One call, from its request to its record."""

    lock = threading.Lock()

    def __init__(
        self, id, n, path=OPENAI, stream=True, body_bytes=0, usage=True, headers=None, **plan
    ):
        self.path = path
        self.stream = stream
        self.headers = {
            "content-type": "application/json",
            "x-test": json.dumps({"id": id, "n": n, **plan}),
            **(headers or {}),
        }
        request = {
            "model": f"model-{n % 5}",
            "max_tokens": 100 + n,
            "messages": [{"role": "user", "content": ""}],
        }
        if stream:
            request["stream"] = True
            if path == OPENAI and usage:
                request["stream_options"] = {"include_usage": True}
        padding = body_bytes - len(json.dumps(request))
        request["messages"][0]["content"] = "p" * max(padding, 1)
        self.body = json.dumps(request).encode()
        self.record = {
            "id": id,
            "path": path,
            "stream": stream,
            "request_model": request["model"],
            "max_tokens": request["max_tokens"],
            "request_bytes": len(self.body),
            "chunks": 0,
            "pid": os.getpid(),
        }
        self.rest = b""

    def started(self):
        self.record["start"] = time.time()

    def status(self, status):
        self.record["status"] = status

    def received(self, data):
        """Takes body bytes as they come."""
        now = time.time()
        if not self.stream or self.record["status"] != 200:
            self.rest += data
            return
        *events, self.rest = (self.rest + data).split(b"\n\n")
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data: ") and line != b"data: [DONE]":
                    self.record.setdefault("first", now)
                    self.read(json.loads(line[6:]))

    def ended(self, error=None):
        """The response is over; `error` names how, if not in order."""
        self.record["end"] = time.time()
        if error:
            self.record["error"] = error
        elif self.rest:
            self.read(json.loads(self.rest))
        line = json.dumps(self.record) + "\n"
        with self.lock:
            sys.stdout.write(line)
            sys.stdout.flush()

    def read(self, value):
        """Takes one event of a stream, or a whole answer, of either provider."""
        record = self.record
        kind = value.get("type")
        if "error" in value:
            record["error_code"] = value["error"].get("code") or value["error"].get("type")
            return
        message = value.get("message", value)
        if "id" in message:
            record["response_id"] = message["id"]
            record["response_model"] = message["model"]
        for choice in value.get("choices", []):
            record["chunks"] += "delta" in choice
            if choice.get("finish_reason"):
                record["finish"] = choice["finish_reason"]
        if kind == "content_block_delta":
            record["chunks"] += 1
        reason = message.get("stop_reason") or value.get("delta", {}).get("stop_reason")
        if reason:
            record["finish"] = reason
        self.read_usage(message.get("usage") or value.get("usage") or {})

    def read_usage(self, usage):
        record = self.record
        if "prompt_tokens" in usage:
            record["input_tokens"] = usage["prompt_tokens"]
            record["output_tokens"] = usage["completion_tokens"]
            record["cached_tokens"] = usage["prompt_tokens_details"]["cached_tokens"]
            record["reasoning_tokens"] = usage["completion_tokens_details"]["reasoning_tokens"]
        if "input_tokens" in usage:
            record["cached_tokens"] = usage["cache_read_input_tokens"]
            # All that went in, as the semantic conventions count it.
            record["input_tokens"] = (
                usage["input_tokens"]
                + usage["cache_read_input_tokens"]
                + usage["cache_creation_input_tokens"]
            )
        if "output_tokens" in usage:
            record["output_tokens"] = usage["output_tokens"]
