"""A TLS server that costs as little as Python can: prebuilt answers, a thread a connection.

usage: bench_server.py CERTIFICATE KEY      (prints its port)

A POST below /stream/ gets 200 SSE chunks, each in a TLS record of its own; any other a small JSON answer.
"""

import json
import socket
import ssl
import sys
import threading

CHUNKS = 200


def chunk(text):
    data = text.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer():
    body = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a short answer"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16},
    }
    body = json.dumps(body).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return (head % len(body)).encode() + body


def stream():
    common = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "model": "bench"}
    pieces = [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"]
    pieces[0] += b"transfer-encoding: chunked\r\n\r\n"
    for index in range(CHUNKS):
        finish = "stop" if index == CHUNKS - 1 else None
        choice = {"index": 0, "delta": {"content": f"word{index} "}, "finish_reason": finish}
        pieces.append(chunk(f"data: {json.dumps({**common, 'choices': [choice]})}\n\n"))
    pieces.append(chunk("data: [DONE]\n\n") + b"0\r\n\r\n")
    return pieces


def serve(plain, context, answers):
    with context.wrap_socket(plain, server_side=True) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = connection.makefile("rb")
        while line := reader.readline():
            length = 0
            while (header := reader.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header[15:])
            reader.read(length)
            for piece in answers[b" /stream/" in line]:
                connection.sendall(piece)


def guarded(*arguments):
    try:
        serve(*arguments)
    except OSError:
        pass  # the client went away


def main(certificate, key):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    answers = {False: [answer()], True: stream()}
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=guarded, args=(plain, context, answers), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
