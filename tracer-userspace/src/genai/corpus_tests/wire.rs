//! Recorded exchanges as they would pass on a wire: content codings, chunks, HTTP/2 frames.
//! Takes an exchange and a form; gives what becomes of it on its way through `http` and `genai`.
//! HTTP/2 is written here as plainly as it allows: no table of fields, no Huffman code.

use std::io::Write;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};

use super::{Message, Record};
use crate::{
    capture::{
        CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin, ProcessId,
        Security, Segment, Timestamp,
    },
    genai::{Calls, Operation, Options},
    http::{ExchangeEvent, Exchanges},
    splits::pieces,
};

pub(super) const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];

#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    /// The response in chunks.
    Http1,
    Http2,
}

/// Fields that say how a message is framed or coded, which the form decides here.
const FRAMING: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Largest frame that both ends take unasked (RFC 9113 §4.2).
const MAX_FRAME: usize = 16_384;

pub(super) fn run(
    record: &Record,
    coding: &str,
    framing: Framing,
    sizes: &[usize],
) -> Option<Operation> {
    let (sent, received) = match framing {
        Framing::Http1 => http1(record, coding, sizes),
        Framing::Http2 => http2(record, coding, sizes),
    };
    let mut exchanges = Exchanges::new();
    let mut calls = Calls::new(Options { capture_content: true });
    let mut operations = Vec::new();
    let connection = ConnectionId(1);
    let mut on = |event: Event<'_>| {
        exchanges.on(&event, &mut |event: ExchangeEvent<'_>| operations.extend(calls.on(&event)));
    };
    let process = ProcessId { pid: 1, incarnation: 1 };
    let (origin, security, time) = (Origin::Created, Security::Tls, Timestamp(0));
    on(Event::Opened(Opened { connection, process, time, origin, security }));
    let sent = pieces(&sent, sizes).into_iter().map(|piece| (Direction::Sent, piece));
    let received = pieces(&received, sizes).into_iter().map(|piece| (Direction::Received, piece));
    let mut time = Timestamp(0);
    for (direction, piece) in sent.chain(received) {
        time.0 += 1;
        let data = Data::Bytes(piece);
        on(Event::Segment(Segment { connection, direction, offset: 0, time, data, caller: None }));
    }
    let (cause, last_empty_read) = (CloseCause::Freed, None);
    on(Event::Closed(Closed { connection, time, cause, last_empty_read }));
    assert!(operations.len() <= 1, "one exchange was sent");
    operations.pop()
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let level = Compression::fast();
    let mut out = Vec::new();
    match coding {
        "gzip" => GzEncoder::new(&mut out, level).write_all(body),
        "deflate" => ZlibEncoder::new(&mut out, level).write_all(body),
        "br" => brotli::CompressorWriter::new(&mut out, 4096, 1, 16).write_all(body),
        "zstd" => zstd::stream::copy_encode(body, &mut out, 1),
        _ => out.write_all(body),
    }
    .unwrap();
    out
}

/// Authority, path and query.
fn target(record: &Record) -> (&str, &str) {
    let rest = record.url.split_once("://").unwrap().1;
    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
}

/// The fields of a message but those of its framing.
fn fields(message: &Message) -> Vec<(String, Vec<u8>)> {
    let headers = message.headers();
    let kept = headers.iter().filter(|(name, _)| !FRAMING.contains(&name.as_str()));
    kept.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

fn http1(record: &Record, coding: &str, sizes: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let (authority, path) = target(record);
    let body = record.request.body();
    let start = format!("{} {path} HTTP/1.1\r\nHost: {authority}\r\n", record.method);
    let mut sent = start.into_bytes();
    put(&mut sent, fields(&record.request));
    sent.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
    sent.extend(body);

    let mut received = format!("HTTP/1.1 {} \r\n", record.status).into_bytes();
    put(&mut received, fields(&record.response));
    received.extend(format!("Content-Encoding: {coding}\r\n").into_bytes());
    received.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    let body = coded(coding, &record.response.body());
    for chunk in pieces(&body, sizes).into_iter().filter(|chunk| !chunk.is_empty()) {
        received.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        received.extend(chunk);
        received.extend(b"\r\n");
    }
    received.extend(b"0\r\n\r\n");
    (sent, received)
}

fn put(out: &mut Vec<u8>, fields: Vec<(String, Vec<u8>)>) {
    for (name, value) in fields {
        out.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
    }
}

fn http2(record: &Record, coding: &str, sizes: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let (authority, path) = target(record);
    let pseudo = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut received = Vec::new();
    frame(&mut sent, SETTINGS, 0, 0, &[]);
    frame(&mut received, SETTINGS, 0, 0, &[]);
    let mut request = vec![
        pseudo(":method", &record.method),
        pseudo(":scheme", "https"),
        pseudo(":authority", authority),
        pseudo(":path", path),
    ];
    request.extend(fields(&record.request));
    message(&mut sent, &request, &record.request.body(), sizes);
    let mut response = vec![pseudo(":status", &record.status.to_string())];
    response.extend(fields(&record.response));
    response.push(pseudo("content-encoding", coding));
    message(&mut received, &response, &coded(coding, &record.response.body()), sizes);
    (sent, received)
}

/// Frame types and flags (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn message(out: &mut Vec<u8>, fields: &[(String, Vec<u8>)], body: &[u8], sizes: &[usize]) {
    let mut block = Vec::new();
    for (name, value) in fields {
        // Literal field without indexing, new name (RFC 7541 §6.2.2).
        block.push(0);
        for text in [name.as_bytes(), value] {
            length(&mut block, text.len());
            block.extend(text);
        }
    }
    let blocks: Vec<_> = block.chunks(MAX_FRAME).collect();
    for (at, part) in blocks.iter().enumerate() {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        let flags = if at + 1 == blocks.len() { END_HEADERS } else { 0 };
        frame(out, kind, flags, 1, part);
    }
    for piece in pieces(body, sizes) {
        for part in piece.chunks(MAX_FRAME) {
            frame(out, DATA, 0, 1, part);
        }
    }
    frame(out, DATA, END_STREAM, 1, &[]);
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1); its first bit says: no Huffman code.
fn length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return out.push(u8::try_from(length).unwrap());
    };
    out.push(127);
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}
