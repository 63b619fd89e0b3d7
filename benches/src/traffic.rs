//! What passes on one connection, and the stages that it is fed to.
//! Takes bytes with their direction and how they are cut; gives what the stages made of them.
//! Each run opens a connection of its own and closes it.

use llmtap::{
    capture::{
        CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin, ProcessId,
        Security, Segment, Timestamp,
    },
    genai::{Calls, Operation, Options},
    http::{ExchangeEvent, Exchanges, Kind},
};

/// What the kernel side puts into one record at most.
pub const LARGEST_SEGMENT: usize = 16 << 10;

/// Bytes of one direction, in segments of one size.
#[derive(Clone, Debug)]
pub struct Part {
    pub direction: Direction,
    pub bytes: Vec<u8>,
    pub segment: usize,
}

pub fn sent(bytes: impl Into<Vec<u8>>) -> Part {
    Part { direction: Direction::Sent, bytes: bytes.into(), segment: LARGEST_SEGMENT }
}

pub fn received(bytes: impl Into<Vec<u8>>) -> Part {
    Part { direction: Direction::Received, bytes: bytes.into(), segment: LARGEST_SEGMENT }
}

impl Part {
    #[must_use]
    pub fn cut(self, segment: usize) -> Self {
        Self { segment, ..self }
    }

    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.segment)
    }
}

pub fn segments(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.segments().count()).sum()
}

pub fn bytes(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.bytes.len()).sum()
}

pub const PROCESS: ProcessId = ProcessId { pid: 1, incarnation: 1 };

pub fn opened(connection: ConnectionId) -> Event<'static> {
    let (process, time, origin) = (PROCESS, Timestamp(1), Origin::Created);
    Event::Opened(Opened { connection, process, time, origin, security: Security::Tls })
}

pub fn closed(connection: ConnectionId) -> Event<'static> {
    let (time, cause) = (Timestamp(u64::MAX), CloseCause::Freed);
    Event::Closed(Closed { connection, time, cause, last_empty_read: None })
}

/// Gives each segment of the parts.
pub fn pass(connection: ConnectionId, parts: &[Part], sink: &mut dyn FnMut(&Event<'_>)) {
    let (mut time, mut offset) = (1, 0);
    for part in parts {
        for bytes in part.segments() {
            time += 1;
            let (direction, data) = (part.direction, Data::Bytes(bytes));
            let time = Timestamp(time);
            sink(&Event::Segment(Segment {
                connection,
                direction,
                offset,
                time,
                data,
                caller: None,
            }));
            offset += bytes.len() as u64;
        }
    }
}

/// What a run gave, so that a benchmark can see that the work was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub body_bytes: u64,
    pub ends: u64,
}

/// One connection through `http` alone.
pub fn exchanges(parts: &[Part]) -> Told {
    let mut exchanges = Exchanges::new();
    let mut told = Told::default();
    let connection = ConnectionId(1);
    let mut on = |event: &Event<'_>| {
        exchanges.on(event, &mut |event: ExchangeEvent<'_>| match event.kind {
            Kind::RequestBody(bytes) | Kind::ResponseBody(bytes) => {
                told.body_bytes += bytes.len() as u64;
            }
            Kind::End(_) => told.ends += 1,
            _ => {}
        });
    };
    on(&opened(connection));
    pass(connection, parts, &mut on);
    on(&closed(connection));
    told
}

/// One connection through `http` and `genai`.
pub fn operations(parts: &[Part], capture_content: bool) -> Vec<Operation> {
    let mut exchanges = Exchanges::new();
    let mut calls = Calls::new(Options { capture_content });
    let mut found = Vec::new();
    let connection = ConnectionId(1);
    let mut on = |event: &Event<'_>| {
        exchanges.on(event, &mut |event: ExchangeEvent<'_>| found.extend(calls.on(&event)));
    };
    on(&opened(connection));
    pass(connection, parts, &mut on);
    on(&closed(connection));
    found
}

pub fn request(target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {target} HTTP/1.1\r\nHost: llm.example\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// `headers`: whole lines, those of the framing among them.
pub fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A body in chunks of one size, the last one included.
pub fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 16 * body.len().div_ceil(size));
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}
