//! Target `websocket`: frames of both directions behind the handshake, compressed or not.
//! Takes a script of frames; plays them as one connection that was upgraded.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};
use llmtap::capture::{Direction, PeerEnd};

use crate::{
    Input,
    script::{self, Step},
    wire::{self, Happening, connection, received, sent},
};

/// Kinds of steps: bytes as they are, and gaps of as many bytes as the first two say.
const SENT: u8 = 1;
const RECEIVED: u8 = 2;
const SENT_GAP: u8 = 3;
const RECEIVED_GAP: u8 = 4;
const PEER_ENDED: u8 = 5;
/// The first byte says what was agreed on: see [`EXTENSIONS`].
const AGREED: u8 = 6;
/// With an opcode below: a frame. First byte: [`FIN`], [`COMPRESSED`], [`DEFLATE`], [`MASKED`].
const SENT_FRAME: u8 = 0x10;
const RECEIVED_FRAME: u8 = 0x20;

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
/// The payload is compressed here, so that what the inflater gets is sound.
const DEFLATE: u8 = 0x01;
const MASKED: u8 = 0x02;

const EXTENSIONS: [&str; 4] = [
    "permessage-deflate",
    "x",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_no_context_takeover; client_max_window_bits=9",
];

/// Bytes of the heap: two windows of 32 KiB with their tables, and a step's output each.
const HEAP: usize = 1 << 20;

pub fn run(data: &[u8]) {
    let happenings = happenings(&script::read(data));
    wire::measured(&happenings, HEAP);
    wire::same_for_every_split(&happenings);
}

fn frame(opcode: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut payload = payload.to_vec();
    if flags & DEFLATE != 0 {
        payload = deflated(&payload);
    }
    let mut frame = vec![flags & (FIN | COMPRESSED) | opcode & 0x0f];
    let mask_bit = if flags & MASKED != 0 { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..126 => frame.push(mask_bit | len as u8),
        len @ 126..65_536 => {
            frame.push(mask_bit | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask_bit | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    if flags & MASKED != 0 {
        let mask = [1, 2, 3, 4];
        frame.extend(mask);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    frame.extend(payload);
    frame
}

/// RFC 7692 §7.2.1.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(payload).and_then(|()| encoder.flush());
    let mut bytes = encoder.get_ref().clone();
    bytes.truncate(bytes.len().saturating_sub(4));
    bytes
}

fn handshake(extension: &str) -> [Happening; 2] {
    let request = "GET /s HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let response = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: {extension}\r\n\r\n"
    );
    [sent(request), received(response)]
}

fn happenings(steps: &[Step]) -> Vec<Happening> {
    let agreed = steps.iter().find(|step| step.kind == AGREED);
    let agreed = agreed.and_then(|step| step.bytes.first()).map_or(0, |byte| usize::from(*byte));
    let mut all = handshake(EXTENSIONS[agreed % EXTENSIONS.len()]).to_vec();
    for Step { kind, bytes } in steps {
        let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
        let missing = u64::from(u16::from_le_bytes([at(0), at(1)])) + 1;
        let frame = || frame(*kind, at(0), bytes.get(1..).unwrap_or_default());
        all.push(match *kind {
            RECEIVED => received(bytes.clone()),
            SENT_GAP => Happening::Gap(1, Direction::Sent, missing),
            RECEIVED_GAP => Happening::Gap(1, Direction::Received, missing),
            PEER_ENDED => Happening::PeerEnded(1, PeerEnd::CloseNotify),
            AGREED => continue,
            kind if kind & 0xf0 == SENT_FRAME => sent(frame()),
            kind if kind & 0xf0 == RECEIVED_FRAME => received(frame()),
            _ if bytes.is_empty() => continue,
            _ => sent(bytes.clone()),
        });
    }
    connection(all)
}

pub fn seeds() -> Vec<Input> {
    let step = |kind: u8, flags: u8, payload: &[u8]| (kind, [&[flags], payload].concat());
    let text = |name: &str, steps: Vec<(u8, Vec<u8>)>| Input::new(name, script::write(steps));
    let talk = |agreed: u8, compression: u8| {
        vec![
            (AGREED, vec![agreed]),
            step(SENT_FRAME | 1, FIN | MASKED | compression, b"hello hello hello"),
            step(RECEIVED_FRAME | 1, compression, b"a fragment, "),
            step(RECEIVED_FRAME | 9, FIN, b"ping"),
            step(RECEIVED_FRAME, FIN, b"and its end"),
            step(RECEIVED_FRAME | 2, FIN | compression, b"a fragment, again"),
            step(SENT_FRAME | 8, FIN | MASKED, b"\x03\xe8bye"),
            step(RECEIVED_FRAME | 8, FIN, b"\x03\xe8"),
        ]
    };
    let mut seeds: Vec<_> = (0..4)
        .map(|agreed| text(&format!("compressed-{agreed}"), talk(agreed, COMPRESSED | DEFLATE)))
        .collect();
    seeds.push(text("plain", talk(1, 0)));
    seeds.push(text(
        "gap",
        vec![
            step(RECEIVED_FRAME | 1, FIN | COMPRESSED | DEFLATE, b"hello hello"),
            (RECEIVED, b"\x81\x0aabc".to_vec()),
            (RECEIVED_GAP, vec![6, 0]),
            step(RECEIVED_FRAME | 1, FIN, b"next"),
            (SENT_GAP, vec![6, 0]),
        ],
    ));
    seeds.push(text("raw", vec![(SENT, b"\x81\xfe\x00\x02\x01\x02\x03\x04hi".to_vec())]));
    seeds
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let all = |name: &str, one: &[u8]| {
        Input::new(name, script::write([(RECEIVED, one.repeat(SIZE / one.len()))]))
    };
    vec![
        all("empty-frames", b"\x81\x00"),
        all("empty-fragments", b"\x01\x00\x00\x00\x80\x00"),
        all("pings", b"\x89\x00"),
        all("one-byte-frames", b"\x81\x01a"),
        all("one-byte-masked", b"\x81\x81\x01\x02\x03\x04a"),
        all("empty-compressed", b"\xc1\x00"),
        all("one-byte-compressed", b"\xc1\x01\x00"),
        all("final-blocks", b"\xc1\x02\x03\x00"),
        all("masked-at-once", &frame(2, FIN | MASKED, &[b'a'; SIZE])),
        all("bomb", &frame(2, FIN | COMPRESSED | DEFLATE, &[b'a'; 1 << 16])),
    ]
}
