//! What hostile and long input takes: memory at a time, and work by what is allocated for it, which
//! no clock of a busy machine blurs.

use llmtap::{
    capture::{ConnectionId, Data, Direction, Event, Segment, Timestamp},
    genai::{Calls, Operation, Options},
    http::{ExchangeEvent, Exchanges},
};
use llmtap_benches::{
    answers, hostile,
    traffic::{self, Part, received, sent},
};

mod counting;

use counting::{Taken, held, taken};

const MEBIBYTE: usize = 1 << 20;

/// Bytes of hostile input, and four times as many.
const SMALL: usize = 256 << 10;

/// Most that one connection may hold at a time, whatever passes on it: a few MiB, by the bounds of
/// `http` and `genai`.
const PEAK: usize = 8 * MEBIBYTE;

/// Bytes allocated for each byte that passes, one after the other. The smallest things that are told
/// take the most: an empty object in a list, an HTTP/2 frame of nothing.
const TOTAL_A_BYTE: usize = 256;

/// The same of the smallest bodies in a coding: a body and its two heads take a hundred bytes on the wire,
/// and have a decoder of their own, of some 65 KiB, which is given back with them.
const CODED_A_BYTE: usize = 1024;
const CODED: &str = " bodies of one byte";

/// A connection that bytes are fed to as they are made.
struct Connection {
    exchanges: Exchanges,
    calls: Calls,
    found: Vec<Operation>,
    offset: [u64; 2],
    time: u64,
}

impl Connection {
    fn new(capture_content: bool) -> Self {
        let calls = Calls::new(Options { capture_content });
        let mut new =
            Self { exchanges: Exchanges::new(), calls, found: Vec::new(), offset: [0; 2], time: 1 };
        new.on(&traffic::opened(ConnectionId(1)));
        new
    }

    fn on(&mut self, event: &Event<'_>) {
        let Self { exchanges, calls, found, .. } = self;
        exchanges.on(event, &mut |event: ExchangeEvent<'_>| found.extend(calls.on(&event)));
    }

    fn pass(&mut self, direction: Direction, bytes: &[u8]) {
        self.time += 1;
        let offset = &mut self.offset[usize::from(direction == Direction::Sent)];
        let at = *offset;
        *offset += bytes.len() as u64;
        self.on(&Event::Segment(Segment {
            connection: ConnectionId(1),
            direction,
            offset: at,
            time: Timestamp(self.time),
            data: Data::Bytes(bytes),
            caller: None,
        }));
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            for bytes in part.segments() {
                self.pass(part.direction, bytes);
            }
        }
    }

    /// So many bytes of one text.
    fn text(&mut self, direction: Direction, len: usize) {
        let segment = [b'x'; 16 << 10];
        for _ in 0..len / segment.len() {
            self.pass(direction, &segment);
        }
        self.pass(direction, &segment[..len % segment.len()]);
    }

    fn close(mut self) -> Vec<Operation> {
        self.on(&traffic::closed(ConnectionId(1)));
        self.found
    }
}

/// One test, since the counters are the program's.
#[test]
#[ignore = "minutes in a debug build: cargo test --release -p llmtap-benches --test bounds -- --ignored"]
fn memory_and_work_are_bounded() {
    hostile_input_is_bounded();
    long_texts_take_no_memory();
    streams_take_no_more_as_they_go_on();
}

fn hostile_input_is_bounded() {
    for (name, make) in hostile::cases() {
        let run = |size| {
            let parts = make(size);
            taken(|| drop(traffic::operations(&parts, true))).1
        };
        let (small, large) = (run(SMALL), run(4 * SMALL));
        for taken in [small, large] {
            assert!(taken.peak <= PEAK, "{name}: {taken:?}");
        }
        let each = if name.ends_with(CODED) { CODED_A_BYTE } else { TOTAL_A_BYTE };
        assert!(small.total <= each * SMALL, "{name}: {small:?}");
        // Work grows with the bytes, not with their square.
        assert!(large.total <= 5 * small.total.max(SMALL), "{name}: {small:?}, {large:?}");
        assert!(large.times <= 5 * small.times.max(1000), "{name}: {small:?}, {large:?}");
    }
}

const LONG: usize = 100_000_000;

/// Texts of 100 MB, of which two ends are kept; the numbers behind them are right.
fn long_texts_take_no_memory() {
    let (operation, request) = taken(|| {
        let (head, tail) = (
            r#"{"messages":[{"role":"user","content":""#,
            r#""}],"model":"gpt-4o-mini","max_tokens":7}"#,
        );
        let length = head.len() + LONG + tail.len();
        let mut connection = Connection::new(true);
        let lines = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: llm.example\r\nContent-Length: {length}\r\n\r\n{head}"
        );
        connection.pass(Direction::Sent, lines.as_bytes());
        connection.text(Direction::Sent, LONG);
        connection.pass(Direction::Sent, tail.as_bytes());
        let answer = answers::CHAT_ANSWER;
        let lines = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
        connection.pass(Direction::Received, lines.as_bytes());
        connection.close().remove(0)
    });
    assert_eq!(operation.request.model.as_deref(), Some("gpt-4o-mini"));
    assert_eq!((operation.request.max_tokens, operation.usage.input_tokens), (Some(7), Some(20)));
    assert!(operation.content.is_some_and(|content| content.truncated));
    is_small("request", request);

    let whole = (
        "application/json",
        r#"{"id":"c","choices":[{"index":0,"message":{"content":""#,
        r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":9007199254740993}}"#,
    );
    let event = (
        "text/event-stream",
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":""#,
        "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":9007199254740993}}\n\ndata: [DONE]\n\n",
    );
    for (kind, head, tail) in [whole, event] {
        let (operation, response) = taken(|| {
            let mut connection = Connection::new(true);
            let asked =
                traffic::request("/v1/chat/completions", "", answers::CHAT_REQUEST.as_bytes());
            connection.pass(Direction::Sent, &asked);
            let length = head.len() + LONG + tail.len();
            let lines = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{head}"
            );
            connection.pass(Direction::Received, lines.as_bytes());
            connection.text(Direction::Received, LONG);
            connection.pass(Direction::Received, tail.as_bytes());
            connection.close().remove(0)
        });
        assert_eq!(operation.response.finish_reasons, ["stop"], "{kind}");
        // No double could be this number.
        assert_eq!(operation.usage.output_tokens, Some(9_007_199_254_740_993), "{kind}");
        is_small(kind, response);
    }
}

fn is_small(name: &str, taken: Taken) {
    assert!(taken.peak <= 2 * MEBIBYTE, "{name}: {taken:?}");
    // No part of what passes is allocated anew.
    assert!(taken.total <= LONG / 10, "{name}: {taken:?}");
}

/// What a stream holds after 200 events it holds after 20,000, with and without content.
fn streams_take_no_more_as_they_go_on() {
    const FEW: usize = 200;
    const MANY: usize = 20_000;
    let head = received(traffic::response(
        "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
        b"",
    ));
    for (name, target, request, events) in [
        ("chat", "/v1/chat/completions", answers::CHAT_REQUEST, answers::chat(MANY)),
        ("messages", "/v1/messages", answers::MESSAGES_REQUEST, answers::messages(MANY)),
    ] {
        let chunks = answers::in_chunks(&events);
        for capture_content in [false, true] {
            let mut connection = Connection::new(capture_content);
            let asked = sent(traffic::request(target, "", request.as_bytes()));
            connection.parts(&[asked, head.clone()]);
            let pass = |connection: &mut Connection, range: std::ops::Range<usize>| {
                for chunk in &chunks[range] {
                    connection.pass(Direction::Received, chunk);
                }
            };
            // With content the two ends of the text are full by then.
            let full = if capture_content { MANY / 2 } else { FEW };
            pass(&mut connection, 0..full);
            let before = held();
            let ((), taken) = taken(|| pass(&mut connection, full..MANY));
            let after = held();
            let slack = if capture_content { 64 << 10 } else { 0 };
            assert!(after <= before + slack, "{name}: from {before} to {after} bytes");
            let a_event = taken.times as f64 / (MANY - full) as f64;
            println!("| {name}, content kept: {capture_content} | {a_event:.2} |");
            assert!(taken.peak <= (32 << 10) + slack, "{name}: {taken:?}");
            pass(&mut connection, MANY..chunks.len());
            let operation = connection.close().remove(0);
            assert_eq!(operation.response.chunks, MANY as u64, "{name}");
        }
    }
}
