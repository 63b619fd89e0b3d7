"""A TLS server that answers as OpenAI and Anthropic do, and writes down what it did.

usage: server.py CERTIFICATE KEY LOG     (prints its port, then serves on 127.0.0.1)

What it does with a request is chosen by the header `x-test`, a JSON object; see `Plan`.
Every number in an answer is derived from the request, so that no two calls look alike.
"""

import asyncio
import dataclasses
import itertools
import json
import socket
import ssl
import struct
import sys
import time

import h11

CONTENT_CODE = {429: "rate_limit_exceeded", 400: "invalid_request_error", 500: "server_error"}


@dataclasses.dataclass
class Plan:
    """What the test wants of one answer."""

    id: str = ""  # becomes part of the response's id
    n: int = 0  # numbers derive from it
    chunks: int = 10  # pieces of the answer, where it is streamed
    delay_ms: float = 0  # before each piece
    wait_ms: float = 0  # before the head of the response
    bytes: int = 0  # length of the answer's text, where it is not streamed
    status: int = 200
    usage: bool = True  # report tokens (a stream: if the client asked as well)
    after: int = -1  # pieces after which `end` happens
    end: str = "complete"  # or: close (in order), reset (TCP), error (event in the stream), hang

    @property
    def input_tokens(self):
        return 1000 + self.n

    @property
    def output_tokens(self):
        return 2000 + 3 * self.n

    @property
    def cached_tokens(self):
        return self.n % 7

    @property
    def reasoning_tokens(self):
        return self.n % 5


class Gone(Exception):
    """The connection was ended on purpose, or by the client."""


class OpenAi:
    """Chat completions, by https://platform.openai.com/docs/api-reference/chat."""

    finish_reasons = ("stop", "length", "tool_calls")

    def __init__(self, plan, request):
        self.plan = plan
        self.request = request
        self.response_id = f"chatcmpl-{plan.id}"
        self.finish = self.finish_reasons[plan.n % 3]
        self.usage_reported = plan.usage and (
            not request.get("stream")
            or bool((request.get("stream_options") or {}).get("include_usage"))
        )

    def usage(self):
        plan = self.plan
        return {
            "prompt_tokens": plan.input_tokens,
            "completion_tokens": plan.output_tokens,
            "total_tokens": plan.input_tokens + plan.output_tokens,
            "prompt_tokens_details": {"cached_tokens": plan.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": plan.reasoning_tokens},
        }

    def common(self, kind):
        return {
            "id": self.response_id,
            "object": kind,
            "created": int(time.time()),
            "model": self.request["model"] + "-snapshot",
        }

    def whole(self, text):
        message = {"role": "assistant", "content": text}
        body = self.common("chat.completion")
        body["choices"] = [{"index": 0, "message": message, "finish_reason": self.finish}]
        if self.usage_reported:
            body["usage"] = self.usage()
        return body

    def before(self):
        return []

    def piece(self, index):
        last = index == self.plan.chunks - 1
        delta = {"content": f"piece {index} "}
        if index == 0:
            delta["role"] = "assistant"
        event = self.common("chat.completion.chunk")
        event["choices"] = [
            {"index": 0, "delta": delta, "finish_reason": self.finish if last else None}
        ]
        return f"data: {json.dumps(event)}\n\n"

    def after(self):
        events = []
        if self.usage_reported:
            event = self.common("chat.completion.chunk")
            event["choices"] = []
            event["usage"] = self.usage()
            events.append(f"data: {json.dumps(event)}\n\n")
        return [*events, "data: [DONE]\n\n"]

    def error(self):
        code = CONTENT_CODE.get(self.plan.status, "server_error")
        return {"error": {"message": f"told to fail {self.plan.id}", "type": code, "code": code}}

    def error_event(self):
        return f"data: {json.dumps(self.error())}\n\n"


class Anthropic:
    """Messages, by https://docs.anthropic.com/en/api/messages-streaming."""

    finish_reasons = ("end_turn", "max_tokens", "stop_sequence")

    def __init__(self, plan, request):
        self.plan = plan
        self.request = request
        self.response_id = f"msg_{plan.id}"
        self.finish = self.finish_reasons[plan.n % 3]
        self.usage_reported = plan.usage

    def usage(self, output_tokens):
        # `input_tokens` leaves out what came from the cache, unlike OpenAI's.
        return {
            "input_tokens": self.plan.input_tokens - self.plan.cached_tokens,
            "cache_read_input_tokens": self.plan.cached_tokens,
            "cache_creation_input_tokens": 0,
            "output_tokens": output_tokens,
        }

    def message(self, content, finish, output_tokens):
        body = {
            "id": self.response_id,
            "type": "message",
            "role": "assistant",
            "model": self.request["model"] + "-snapshot",
            "content": content,
            "stop_reason": finish,
            "stop_sequence": None,
        }
        if self.usage_reported:
            body["usage"] = self.usage(output_tokens)
        return body

    def whole(self, text):
        content = [{"type": "text", "text": text}]
        return self.message(content, self.finish, self.plan.output_tokens)

    @staticmethod
    def event(name, body):
        return f"event: {name}\ndata: {json.dumps({'type': name, **body})}\n\n"

    def before(self):
        block = {"index": 0, "content_block": {"type": "text", "text": ""}}
        return [
            self.event("message_start", {"message": self.message([], None, 1)}),
            self.event("content_block_start", block),
        ]

    def piece(self, index):
        delta = {"type": "text_delta", "text": f"piece {index} "}
        return self.event("content_block_delta", {"index": 0, "delta": delta})

    def after(self):
        delta = {"delta": {"stop_reason": self.finish, "stop_sequence": None}}
        if self.usage_reported:
            delta["usage"] = {"output_tokens": self.plan.output_tokens}
        return [
            self.event("content_block_stop", {"index": 0}),
            self.event("message_delta", delta),
            self.event("message_stop", {}),
        ]

    def error(self):
        code = {429: "rate_limit_error", 529: "overloaded_error"}.get(self.plan.status, "api_error")
        return {"type": "error", "error": {"type": code, "message": f"told to fail {self.plan.id}"}}

    def error_event(self):
        return f"event: error\ndata: {json.dumps(self.error())}\n\n"


FORMATS = {"/v1/chat/completions": OpenAi, "/v1/messages": Anthropic}


class Connection:
    """One client connection; HTTP/1.1 with keep-alive, framed by h11."""

    def __init__(self, reader, writer, numbers, log):
        self.reader = reader
        self.writer = writer
        self.numbers = numbers
        self.log = log
        self.http = h11.Connection(h11.SERVER)

    async def next_event(self):
        while True:
            event = self.http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(await self.reader.read(65536))

    async def send(self, event):
        self.writer.write(self.http.send(event) or b"")
        await self.writer.drain()

    async def serve(self):
        try:
            while True:
                request = await self.next_event()
                if not isinstance(request, h11.Request):
                    return
                body = bytearray()
                while isinstance(event := await self.next_event(), h11.Data):
                    body += event.data
                await self.answer(request, bytes(body))
                if self.http.our_state is h11.MUST_CLOSE:
                    return
                self.http.start_next_cycle()
        except (Gone, OSError, asyncio.IncompleteReadError, h11.RemoteProtocolError):
            pass
        finally:
            self.writer.close()

    async def answer(self, request, body):
        headers = dict(request.headers)
        plan = Plan(**json.loads(headers.get(b"x-test", b"{}")))
        if not plan.id:
            plan.n = next(self.numbers)
            plan.id = f"unplanned-{plan.n}"
        path = request.target.decode().split("?")[0]
        form = FORMATS[path](plan, json.loads(body))
        truth = {
            "id": plan.id,
            "path": path,
            "model": form.request["model"],
            "response_model": form.request["model"] + "-snapshot",
            "stream": bool(form.request.get("stream")),
            "status": plan.status,
            "end": plan.end,
            "response_id": form.response_id,
            "request_bytes": len(body),
            "chunks": 0,
            "received": time.time(),
        }
        try:
            await asyncio.sleep(plan.wait_ms / 1000)
            if plan.status != 200:
                await self.whole(plan.status, form.error())
            elif form.request.get("stream"):
                await self.stream(form, truth)
            else:
                await self.whole(200, form.whole("x" * plan.bytes or f"answer {plan.n}"))
        finally:
            truth["sent"] = time.time()
            self.log.write(json.dumps(truth) + "\n")
            self.log.flush()

    async def whole(self, status, value):
        body = json.dumps(value).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        await self.send(h11.Response(status_code=status, headers=headers))
        await self.send(h11.Data(data=body))
        await self.send(h11.EndOfMessage())

    async def stream(self, form, truth):
        plan = form.plan
        headers = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        await self.send(h11.Response(status_code=200, headers=headers))
        for event in form.before():
            await self.send(h11.Data(data=event.encode()))
        for index in range(plan.chunks):
            if index == plan.after:
                await self.end_early(form)
            if plan.delay_ms:
                await asyncio.sleep(plan.delay_ms / 1000)
            await self.send(h11.Data(data=form.piece(index).encode()))
            truth["chunks"] += 1
        for event in form.after():
            await self.send(h11.Data(data=event.encode()))
        await self.send(h11.EndOfMessage())

    async def end_early(self, form):
        # What was sent must have been read before the connection breaks, or a reset discards it.
        await asyncio.sleep(0.1)
        how = form.plan.end
        if how == "error":
            await self.send(h11.Data(data=form.error_event().encode()))
            await self.send(h11.EndOfMessage())
            self.writer.close()
        elif how == "reset":
            linger = struct.pack("ii", 1, 0)
            plain = self.writer.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()
        elif how == "close":
            self.writer.close()
        elif how == "hang":
            while await self.reader.read(65536):
                pass
        raise Gone


async def main(certificate, key, log_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    numbers = itertools.count(1)
    with open(log_path, "w", encoding="utf-8") as log:
        server = await asyncio.start_server(
            lambda reader, writer: Connection(reader, writer, numbers, log).serve(),
            "127.0.0.1",
            0,
            ssl=context,
            backlog=1024,
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
