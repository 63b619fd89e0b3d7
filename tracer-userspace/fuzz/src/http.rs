//! Target `http`: connections of any kind, their segments, gaps, ends and forks, in any order.
//! Takes a script; plays it to [`llmtap::http::Exchanges`].

use llmtap::capture::{CloseCause, Direction, Origin, PeerEnd};

use crate::{
    Input,
    script::{self, Step},
    wire::{self, Happening},
};

/// Kinds of steps. Their first byte says more, where there is more to say.
const SENT: u8 = 1;
const RECEIVED: u8 = 2;
/// Two bytes: how many passed.
const SENT_GAP: u8 = 3;
const RECEIVED_GAP: u8 = 4;
const PEER_ENDED: u8 = 5;
const CLOSED: u8 = 6;
const OPENED: u8 = 7;
/// The steps that follow are of this connection.
const GO_TO: u8 = 8;

/// Bytes of the heap that the connections of a script may hold beside what their input asks for.
const HEAP: usize = 16 << 20;

pub fn run(data: &[u8]) {
    let happenings = happenings(&script::read(data));
    wire::measured(&happenings, HEAP);
    wire::same_for_every_split(&happenings);
}

fn happenings(steps: &[Step]) -> Vec<Happening> {
    // Ids are never used again.
    let (mut now, mut newest) = (1, 1);
    let mut all = Vec::with_capacity(steps.len() + 1);
    // A script without any opening is one connection, known from its first byte.
    if !steps.iter().any(|step| step.kind == OPENED) {
        all.push(Happening::Opened(now, Origin::Created));
    }
    for Step { kind, bytes } in steps {
        let first = bytes.first().copied().unwrap_or(0);
        let number = u64::from(first) | u64::from(bytes.get(1).copied().unwrap_or(0)) << 8;
        all.push(match *kind {
            RECEIVED => Happening::Bytes(now, Direction::Received, bytes.clone()),
            SENT_GAP => Happening::Gap(now, Direction::Sent, number + 1),
            RECEIVED_GAP => Happening::Gap(now, Direction::Received, number + 1),
            PEER_ENDED => Happening::PeerEnded(now, peer_end(first)),
            CLOSED => Happening::Closed(now, close_cause(first)),
            OPENED => {
                newest += 1;
                now = newest;
                let parent = llmtap::capture::ConnectionId(number / 4 % newest + 1);
                Happening::Opened(
                    now,
                    match first % 4 {
                        0 | 1 => Origin::Created,
                        2 => Origin::JoinedLate,
                        _ => Origin::Inherited(parent),
                    },
                )
            }
            GO_TO => {
                now = u64::from(first) % newest + 1;
                continue;
            }
            _ if bytes.is_empty() => continue,
            _ => Happening::Bytes(now, Direction::Sent, bytes.clone()),
        });
    }
    all
}

fn peer_end(byte: u8) -> PeerEnd {
    [PeerEnd::CloseNotify, PeerEnd::Broken, PeerEnd::SystemCall][usize::from(byte % 3)]
}

fn close_cause(byte: u8) -> CloseCause {
    use CloseCause::{Freed, ProcessExecuted, ProcessExited, TracerStopped, Unseen};
    [Freed, ProcessExited, ProcessExecuted, TracerStopped, Unseen][usize::from(byte % 5)]
}

pub fn seeds() -> Vec<Input> {
    let chunked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
    let answer =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        6;e=1\r\ndata: \r\n12\r\n012345678901234567\r\n0\r\nTrailer: t\r\n\r\n";
    let two = b"\r\nGET /b HTTP/1.1\nHost: x\n\nHEAD /c HTTP/1.1\r\n\r\n";
    let two_answers = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 204 No\r\n\r\n";
    let until_close = b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b";
    let upgrade = b"GET /s HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let switched = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n\x81\x02hi\x88\x02\x03\xe8";
    let text = |name: &str, steps: Vec<(u8, &[u8])>| Input::new(name, script::write(steps));
    vec![
        text("chunked", vec![(SENT, chunked), (RECEIVED, answer), (CLOSED, b"\0")]),
        text("pipelined", vec![(SENT, two), (RECEIVED, two_answers), (PEER_ENDED, b"\0")]),
        text(
            "until-close",
            vec![
                (SENT, b"GET /d HTTP/1.0\r\n\r\n"),
                (RECEIVED, until_close),
                (PEER_ENDED, b"\x01"),
            ],
        ),
        text("websocket", vec![(SENT, upgrade), (RECEIVED, switched), (CLOSED, b"\x01")]),
        text(
            "other-upgrade",
            vec![
                (SENT, b"GET / HTTP/1.1\r\nUpgrade: foo\r\n\r\n"),
                (RECEIVED, b"HTTP/1.1 101 x\r\nUpgrade: foo\r\n\r\nanything"),
            ],
        ),
        text(
            "tunnel",
            vec![
                (SENT, b"CONNECT h:443 HTTP/1.1\r\n\r\n"),
                (RECEIVED, b"HTTP/1.1 200 x\r\n\r\n"),
                (SENT, b"GET / HTTP/1.1\r\n\r\n"),
            ],
        ),
        text(
            "gap-in-chunks",
            vec![
                (SENT, b"GET / HTTP/1.1\r\n\r\n"),
                (RECEIVED, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab"),
                (RECEIVED_GAP, b"\x09\0"),
                (RECEIVED, b"5\r\nhello\r\n0\r\n\r\n"),
                (SENT, b"GET /2 HTTP/1.1\r\n\r\n"),
                (SENT_GAP, b"\x09\0"),
            ],
        ),
        text(
            "late-and-forked",
            vec![
                (OPENED, b"\x02"),
                (SENT, b"xxxxx"),
                (SENT, b"GET / HTTP/1.1\r\n\r\n"),
                (RECEIVED, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
                (OPENED, b"\x07"),
                (RECEIVED, b"defghi"),
                (GO_TO, b"\x01"),
                (CLOSED, b"\x01"),
            ],
        ),
        text(
            "http2",
            vec![
                (SENT, &crate::h2::client_start()),
                (RECEIVED, &crate::h2::server_start()),
                (OPENED, b"\x02"),
                (SENT, &crate::h2::frame(1, 5, 1, b"\x82\x84\x86\x41\x01h")),
                (RECEIVED, &crate::h2::frame(1, 4, 1, b"\x88")),
                (RECEIVED_GAP, b"\x20\0"),
                (RECEIVED, &crate::h2::frame(0, 1, 1, b"body")),
            ],
        ),
    ]
}

/// One mebibyte each, made to cost as much as they can.
pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let request = b"GET / HTTP/1.1\r\n\r\n".as_slice();
    let head = b"HTTP/1.1 200 OK\r\n".as_slice();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    let answered = |name: &str, first: &[u8], rest: &[u8]| {
        let mut response = first.to_vec();
        response.extend(rest.iter().cycle().take(SIZE));
        Input::new(name, script::write([(SENT, request), (RECEIVED, &response)]))
    };
    // The queue of requests stays full: each answer and each request looks through it.
    let mut full = vec![(SENT, request.repeat(1023)), (RECEIVED, chunked.to_vec())];
    full.push((RECEIVED, b"1\r\na\r\n".repeat(SIZE / 6)));
    let mut pipelined = vec![(SENT, request.repeat(1000))];
    for _ in 0..SIZE / 37 {
        pipelined.push((RECEIVED, b"HTTP/1.1 204 x\r\n\r\n".to_vec()));
        pipelined.push((SENT, request.to_vec()));
    }
    let gaps = |first: &[u8]| {
        let mut steps = vec![(SENT, request.repeat(64)), (RECEIVED, first.to_vec())];
        for _ in 0..SIZE / 8 {
            steps.extend([(RECEIVED_GAP, vec![1]), (RECEIVED, b"1\r\n".to_vec())]);
        }
        script::write(steps)
    };
    vec![
        answered("one-byte-chunks", chunked, b"1\r\na\r\n"),
        answered("long-extensions", chunked, b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n"),
        answered("many-tiny-fields", head, b"a:\r\n"),
        answered("endless-field", head, b"a"),
        answered("empty-lines", b"", b"\r\n"),
        answered("interim-answers", b"", b"HTTP/1.1 100 \r\n\r\n"),
        answered("empty-answers", b"", b"HTTP/1.1 204 x\r\n\r\n"),
        Input::new("requests", script::write([(SENT, request.repeat(SIZE / request.len()))])),
        Input::new("queue-full-of-chunks", script::write(full)),
        Input::new("queue-full-of-answers", script::write(pipelined)),
        Input::new("gaps-in-chunks", gaps(chunked)),
        Input::new("one-byte-segments", {
            let mut response = chunked.to_vec();
            response.extend(b"1\r\na\r\n".repeat(SIZE / 64));
            let steps = response.iter().map(|byte| (RECEIVED, vec![*byte]));
            script::write([(SENT, request.to_vec())].into_iter().chain(steps))
        }),
        Input::new("late-without-beginning", {
            let steps = (0..SIZE / 1024).map(|_| (RECEIVED, b"GET /aaaaaaaaaaaaa".repeat(56)));
            script::write([(OPENED, vec![2])].into_iter().chain(steps))
        }),
    ]
}
