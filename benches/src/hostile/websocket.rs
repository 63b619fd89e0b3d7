//! WebSocket and gRPC messages of the smallest kinds, and compressed ones.

use std::io::Write as _;

use crate::{
    h2::{self, frame},
    traffic::{LARGEST_SEGMENT, Part, received, sent},
};
use flate2::{Compression, write::DeflateEncoder};

use super::{Make, repeated};

pub(super) const CASES: &[(&str, Make)] = &[
    ("WebSocket empty messages", |size| socket("", repeated(&[0x81, 0], size), LARGEST_SEGMENT)),
    ("WebSocket messages of one masked byte", |size| {
        socket("", repeated(&[0x81, 0x81, 1, 2, 3, 4, 5], size), LARGEST_SEGMENT)
    }),
    ("WebSocket in segments of one byte", |size| {
        socket("", repeated(&[0x81, 0x81, 1, 2, 3, 4, 5], size), 1)
    }),
    ("WebSocket compressed messages of one byte", |size| {
        socket(KEEPS, compressed(size), LARGEST_SEGMENT)
    }),
    ("WebSocket compressed messages of one byte, each by itself", |size| {
        socket(FORGETS, compressed(size), LARGEST_SEGMENT)
    }),
    ("WebSocket bomb", |size| socket(KEEPS, bomb(size), LARGEST_SEGMENT)),
    ("gRPC empty messages", |size| grpc("identity", &[0; 5], size)),
    ("gRPC empty compressed messages", |size| grpc("gzip", &[1, 0, 0, 0, 0], size)),
    ("gRPC compressed messages of one byte", |size| grpc("deflate", &message(), size)),
];

const KEEPS: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
const FORGETS: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

fn socket(extension: &str, frames: Vec<u8>, segment: usize) -> Vec<Part> {
    let switch = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{extension}\r\n"
    );
    vec![
        sent(
            "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        received(switch),
        received(frames).cut(segment),
    ]
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).and_then(|()| encoder.flush()).expect("writes to memory");
    encoder.get_ref().clone()
}

/// Each ends in the empty block that the extension takes off (RFC 7692 §7.2.1).
fn compressed(size: usize) -> Vec<u8> {
    let payload = deflated(b"x");
    let payload = &payload[..payload.len() - 4];
    repeated(&[&[0xc1, payload.len() as u8], payload].concat(), size)
}

fn bomb(size: usize) -> Vec<u8> {
    let payload = deflated(&vec![b'x'; 1000 * size]);
    let payload = &payload[..payload.len() - 4];
    let len = (payload.len() as u64).to_be_bytes();
    let mut bytes = [&[0xc1, 127][..], &len, payload].concat();
    bytes.extend(repeated(&[0x89, 0], size.saturating_sub(bytes.len())));
    bytes
}

/// One byte by the zlib format, as a message.
fn message() -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"x").expect("writes to memory");
    let payload = encoder.finish().expect("writes to memory");
    [&[1, 0, 0, 0, payload.len() as u8][..], &payload].concat()
}

fn grpc(encoding: &str, message: &[u8], size: usize) -> Vec<Part> {
    let fields = [
        (":status", "200"),
        ("content-type", "application/grpc+proto"),
        ("grpc-encoding", encoding),
    ];
    let messages = repeated(message, size);
    let frames: Vec<u8> =
        messages.chunks(16 << 10).flat_map(|bytes| frame(h2::DATA, 0, 1, bytes)).collect();
    vec![
        sent([h2::preface(), h2::head(h2::REQUEST_FIELDS, true, 1, h2::END_STREAM)].concat()),
        received(h2::head(&fields, true, 1, 0)),
        received(frames),
    ]
}
