//! HTTP/1.1 cut, framed and repeated as no honest peer does.

use crate::traffic::{self, Part, received, sent};

use super::{Make, repeated};

pub(super) const CASES: &[(&str, Make)] = &[
    ("HTTP/1.1 answer in segments of one byte", |size| vec![get(), received(length(size)).cut(1)]),
    ("HTTP/1.1 request in segments of one byte", |size| {
        vec![sent(traffic::request("/v1/things", "", &vec![b' '; size])).cut(1)]
    }),
    ("HTTP/1.1 chunks of one byte", |size| vec![get(), received(chunks(size))]),
    ("HTTP/1.1 chunks of one byte in segments of one byte", |size| {
        vec![get(), received(chunks(size)).cut(1)]
    }),
    ("HTTP/1.1 smallest messages", |size| messages(size, 1000, usize::MAX)),
    ("HTTP/1.1 smallest messages in segments of one byte", |size| messages(size, 1000, 1)),
    ("HTTP/1.1 smallest messages, a thousand always under way", under_way),
    ("HTTP/1.1 smallest requests, never answered", |size| vec![sent(repeated(REQUEST, size))]),
    ("HTTP/1.1 heads of many fields", |size| heads(size, usize::MAX)),
    ("HTTP/1.1 heads of many fields in segments of one byte", |size| heads(size, 1)),
    ("HTTP/1.1 head without end", |size| vec![sent(endless(size)).cut(1)]),
    ("HTTP/1.1 broken messages", |size| {
        let broken = b"GET / HTTP/1.1\r\n:\r\n\r\n";
        vec![sent(repeated(broken, size)).cut(broken.len())]
    }),
    ("bytes of no protocol", |size| vec![sent(vec![0xff; size]).cut(1)]),
    ("first lines without end, behind a broken message", |size| {
        vec![sent("GET / HTTP/1.1\r\n:\r\n\r\n"), sent(repeated(b"GET x", size)).cut(10)]
    }),
];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fn get() -> Part {
    sent(REQUEST)
}

fn length(size: usize) -> Vec<u8> {
    traffic::response(&format!("Content-Length: {size}\r\n"), &vec![b'x'; size])
}

fn chunks(size: usize) -> Vec<u8> {
    let chunks = traffic::chunked(&vec![b'x'; size / 6], 1);
    let head = "Transfer-Encoding: chunked\r\nTrailer: x\r\nExpires: 0\r\n";
    traffic::response(head, &chunks)
}

/// Requests sent `pipelined` at a time, then their answers.
fn messages(size: usize, pipelined: usize, segment: usize) -> Vec<Part> {
    let answer = b"HTTP/1.1 204 x\r\n\r\n";
    let rounds = size.div_ceil((REQUEST.len() + answer.len()) * pipelined);
    let round = [
        sent(REQUEST.repeat(pipelined)).cut(segment.min(traffic::LARGEST_SEGMENT)),
        received(answer.repeat(pipelined)).cut(segment.min(traffic::LARGEST_SEGMENT)),
    ];
    round.iter().cycle().take(2 * rounds).cloned().collect()
}

/// A thousand requests, then an answer and another request at a time.
fn under_way(size: usize) -> Vec<Part> {
    let round = [received("HTTP/1.1 204 x\r\n\r\n"), sent(REQUEST)];
    let rounds = (size / (2 * REQUEST.len())).saturating_sub(500);
    let rest = round.iter().cycle().take(2 * rounds).cloned();
    [sent(REQUEST.repeat(1000))].into_iter().chain(rest).collect()
}

fn heads(size: usize, segment: usize) -> Vec<Part> {
    let fields: String = (0..190).map(|n| format!("x{n}:\r\n")).collect();
    let exchange =
        [format!("GET / HTTP/1.1\r\n{fields}\r\n"), format!("HTTP/1.1 204 x\r\n{fields}\r\n")];
    let rounds = size.div_ceil(exchange[0].len() + exchange[1].len());
    let segment = segment.min(traffic::LARGEST_SEGMENT);
    let [request, answer] = exchange;
    let round = [sent(request).cut(segment), received(answer).cut(segment)];
    round.iter().cycle().take(2 * rounds).cloned().collect()
}

fn endless(size: usize) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\n".to_vec(), repeated(b"a: b\r\n", size)].concat()
}
