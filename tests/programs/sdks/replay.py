"""A TLS server that gives back answers that were written down before, to the byte.

usage: replay.py CERTIFICATE KEY PLAN LOG

PLAN has one case a line: {"case": NAME, "answers": [{"status", "headers", "body"}, …]}, with
bodies in base64 and without content coding. Each case has a port of its own on 127.0.0.1; a JSON
object of all of them is printed when they listen. The first request at a port gets the first
answer, and so on; a request too many gets status 599. LOG has a line for each request.

How an answer is framed and cut into TLS records follows from the case's name alone: gzip where the
client takes it, chunks or a length, one piece or many.
"""

import asyncio
import base64
import json
import random
import ssl
import sys
import zlib

import h11

# Of the recorded connection and of the recorded body's coding, which are not this connection's.
NOT_SERVED = {
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class Case:
    """What is answered at one port."""

    def __init__(self, case, answers):
        self.name = case
        self.answers = answers
        self.served = 0
        # Seeded with a string, so the same in every run.
        self.choices = random.Random(case)

    def next(self):
        self.served += 1
        if self.served > len(self.answers):
            return {"status": 599, "headers": [], "body": ""}
        return self.answers[self.served - 1]


class Connection:
    """One client connection; HTTP/1.1 with keep-alive, framed by h11."""

    def __init__(self, reader, writer, case, log):
        self.reader = reader
        self.writer = writer
        self.case = case
        self.log = log
        self.http = h11.Connection(h11.SERVER)

    async def next_event(self):
        while (event := self.http.next_event()) is h11.NEED_DATA:
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(await self.reader.read(65536))
        return event

    async def send(self, event):
        self.writer.write(self.http.send(event) or b"")
        await self.writer.drain()

    async def serve(self):
        try:
            while isinstance(request := await self.next_event(), h11.Request):
                body = bytearray()
                while isinstance(event := await self.next_event(), h11.Data):
                    body += event.data
                await self.answer(request, bytes(body))
                if self.http.our_state is h11.MUST_CLOSE:
                    return
                self.http.start_next_cycle()
        except (OSError, h11.RemoteProtocolError):
            pass  # The client left.
        finally:
            self.writer.close()

    async def answer(self, request, body):
        headers = dict(request.headers)
        answer = self.case.next()
        accepts = headers.get(b"accept-encoding", b"").decode()
        framing = Framing(self.case.choices, answer, accepts)
        told = {
            "case": self.case.name,
            "path": request.target.decode(),
            "status": answer["status"],
            "request": base64.b64encode(body).decode(),
            "retry": headers.get(b"x-stainless-retry-count", b"").decode(),
            "coding": framing.coding,
            "pieces": len(framing.pieces),
        }
        self.log.write(json.dumps(told) + "\n")
        self.log.flush()
        await self.send(h11.Response(status_code=answer["status"], headers=framing.headers))
        for piece in framing.pieces:
            await self.send(h11.Data(data=piece))
        await self.send(h11.EndOfMessage())


class Framing:
    """How one answer passes: its header fields, and its body in pieces, each a TLS record."""

    def __init__(self, choices, answer, accepts):
        body = base64.b64decode(answer["body"])
        pieces = list(cut(choices, body))
        zipped = "gzip" in accepts and choices.randrange(3) == 0
        self.coding = "gzip" if zipped else "identity"
        self.pieces = list(gzip(pieces)) if zipped else pieces
        self.headers = [
            (name, value) for name, value in answer["headers"] if name.lower() not in NOT_SERVED
        ]
        if zipped:
            self.headers.append(("content-encoding", "gzip"))
        if is_stream(answer) or choices.randrange(2):
            self.headers.append(("transfer-encoding", "chunked"))
        else:
            self.headers.append(("content-length", str(sum(map(len, self.pieces)))))


def is_stream(answer):
    kinds = [value for name, value in answer["headers"] if name.lower() == "content-type"]
    return any("stream" in kind or "ndjson" in kind for kind in kinds)


def cut(choices, body):
    """The body whole, or in up to 40 pieces of any size."""
    most = 1 if choices.randrange(4) == 0 else max(1, len(body) // 40)
    if most == 1:
        most = len(body)
    at = 0
    while at < len(body):
        size = choices.randint(1, 2 * most)
        yield body[at : at + size]
        at += size


def gzip(pieces):
    """As servers compress a stream: what was written is flushed, so that it can be read at once."""
    compressor = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.flush()


async def main(certificate, key, plan, log_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with open(plan, encoding="utf-8") as lines:
        cases = [Case(**json.loads(line)) for line in lines]
    with open(log_path, "w", encoding="utf-8") as log:
        ports = {}
        for case in cases:

            async def connected(reader, writer, case=case):
                await Connection(reader, writer, case, log).serve()

            server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
            ports[case.name] = server.sockets[0].getsockname()[1]
        print(json.dumps(ports), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
