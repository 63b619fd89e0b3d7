//! Target `coding`: bodies in content codings, one or several in a row, sound or not; and gRPC.
//! Takes a byte that says which, then the body; plays it as the answer of one exchange.
//! What another decoder reads to its end, ours must read to the same bytes.

use std::io::{self, Read as _, Write as _};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use llmtap::{
    capture::PeerEnd,
    http::{Kind, Unreadable},
};

use crate::{
    Input, h2,
    split::Split,
    wire::{self, Happening, connection, received, sent},
};

/// `Content-Encoding`, by the low bits of the first byte.
const CODINGS: [&str; 12] = [
    "gzip",
    "deflate",
    "br",
    "zstd",
    "gzip, gzip",
    "br, gzip",
    "zstd, br",
    "deflate, zstd",
    "gzip, deflate, br, zstd, gzip",
    "identity, x-gzip",
    "gzip, unheard-of",
    "gzip, gzip, gzip, gzip, gzip, gzip",
];

/// The body is coded here, so that what the decoder gets is sound.
const CODED: u8 = 0x80;
/// The body is gRPC's, in the first of the codings.
const GRPC: u8 = 0x40;

/// Decoded bytes whatever the coded ones' number, and for each of them.
const FREE_OUTPUT: usize = 32 << 20;
const MAX_RATIO: usize = 32;

/// Bytes of the heap: windows of five codings (16 MiB a br, 8 MiB a zstd) and what they work in.
const HEAP: usize = 96 << 20;

/// Bytes that the other decoders are asked for.
const REFERENCE_LIMIT: u64 = 1 << 20;

pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let coding = CODINGS[usize::from(first & 0x0f) % CODINGS.len()];
    let one = coding.split(',').next().unwrap_or_default();
    let body = if first & CODED != 0 { coded(one, body) } else { body.to_vec() };
    let happenings = if first & GRPC != 0 { grpc(one, &body) } else { answered(coding, &body) };
    let totals = wire::measured(&happenings, HEAP);
    assert!(totals.output <= FREE_OUTPUT + MAX_RATIO * body.len(), "{} bytes out", totals.output);
    wire::same_for_every_split(&happenings);
    if first & GRPC == 0 && coding == one {
        compare(one, &body, &happenings);
    }
}

/// The answer lasts until the close.
fn answered(coding: &str, body: &[u8]) -> Vec<Happening> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n");
    connection([
        sent("GET / HTTP/1.1\r\n\r\n"),
        received(head),
        received(body),
        Happening::PeerEnded(1, PeerEnd::CloseNotify),
    ])
}

fn grpc(coding: &str, body: &[u8]) -> Vec<Happening> {
    let mut block = b"\x88\x0f\x10\x10application/grpc\x00\x0dgrpc-encoding".to_vec();
    block.push(coding.len() as u8);
    block.extend(coding.as_bytes());
    let mut answer = h2::server_start();
    answer.extend(h2::frame(1, 4, 1, &block));
    for piece in body.chunks(16 << 10) {
        answer.extend(h2::frame(0, 0, 1, piece));
    }
    answer.extend(h2::frame(0, 1, 1, b""));
    let request = [h2::client_start(), h2::frame(1, 5, 1, b"\x83\x84")].concat();
    connection([sent(request), received(answer)])
}

pub fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = match coding {
        "gzip" | "identity" => GzEncoder::new(&mut out, Compression::fast()).write_all(body),
        "deflate" => flate2::write::ZlibEncoder::new(&mut out, Compression::fast()).write_all(body),
        "br" => brotli::CompressorWriter::new(&mut out, 4096, 1, 16).write_all(body),
        _ => zstd::stream::copy_encode(body, &mut out, 1),
    };
    out
}

/// Seven bits that stand for no window in RFC 7932 §9.1, and begin a "large window" stream.
const LARGE_WINDOW: u8 = 0x11;

/// What another decoder gives, if it finds nothing wrong up to the body's end.
fn reference(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let read = |mut reader: Box<dyn io::Read + '_>| {
        let mut out = Vec::new();
        let len = reader.by_ref().take(REFERENCE_LIMIT).read_to_end(&mut out).ok()?;
        ((len as u64) < REFERENCE_LIMIT).then_some(out)
    };
    match coding {
        "gzip" => read(Box::new(MultiGzDecoder::new(body))),
        // Windows beyond RFC 7932 §9.1, which this decoder knows and `br` has not.
        "br" if body.first().is_some_and(|byte| byte & 0x7f == LARGE_WINDOW) => None,
        "br" => read(Box::new(brotli::Decompressor::new(body, 4096))),
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(body).ok()?;
            decoder.window_log_max(23).ok()?;
            read(Box::new(decoder))
        }
        _ => None,
    }
}

fn compare(coding: &str, body: &[u8], happenings: &[Happening]) {
    let Some(expected) = reference(coding, body).filter(|_| !body.is_empty()) else { return };
    let (mut found, mut wrong) = (Vec::new(), None);
    wire::play(happenings, Split::Whole, &mut |event| match event.kind {
        Kind::ResponseBody(bytes) => found.extend_from_slice(bytes),
        Kind::ResponseUnreadable(reason) => wrong = Some(reason),
        _ => {}
    });
    assert_eq!(wrong, None::<Unreadable>, "{coding}: {} bytes are sound", body.len());
    assert!(found == expected, "{coding}: {} bytes, not {}", found.len(), expected.len());
}

pub fn seeds() -> Vec<Input> {
    let text = b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello, hello\"}}]}\n\n".repeat(3);
    let mut seeds = Vec::new();
    for (number, coding) in CODINGS.iter().enumerate() {
        let first = number as u8;
        let input = |kind: &str, first: u8, body: &[u8]| {
            Input::new(format!("{kind}-{number}"), [&[first], body].concat())
        };
        seeds.push(input("coded-here", first | CODED, &text));
        let body = coding
            .split(',')
            .filter(|coding| coding.trim() != "identity")
            .fold(text.clone(), |body, coding| coded(coding.trim(), &body));
        seeds.push(input("coded", first, &body));
        let one = coded(coding.split(',').next().unwrap_or_default(), &text);
        let mut message = vec![1];
        message.extend((one.len() as u32).to_be_bytes());
        message.extend(&one);
        message.extend(b"\0\0\0\0\x02hi");
        seeds.push(input("grpc", first | GRPC, &message));
    }
    let one = coded("gzip", &text);
    seeds.push(Input::new("gzip-members", [&[0], &one[..], &one, &one].concat()));
    let one = coded("zstd", &text);
    seeds.push(Input::new(
        "zstd-frames",
        [&[3], &one[..], b"\x50\x2a\x4d\x18\x01\0\0\0x", &one].concat(),
    ));
    seeds
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let many = |name: &str, first: u8, one: &[u8]| {
        Input::new(name, [&[first], &one.repeat(SIZE / one.len())[..]].concat())
    };
    let bomb = |name: &str, first: u8, coding: &str, len: usize| {
        Input::new(name, [&[first], &coded(coding, &vec![b'a'; len])[..]].concat())
    };
    // Members in a member: a few bytes that say millions of times that a new one begins.
    let members = coded("gzip", &coded("gzip", b"").repeat(1_500_000));
    vec![
        many("gzip-empty-members", 0, &coded("gzip", b"")),
        many("zstd-empty-frames", 3, &coded("zstd", b"")),
        many("zstd-skipped-frames", 3, b"\x50\x2a\x4d\x18\0\0\0\0"),
        many("grpc-empty", GRPC, b"\0\0\0\0\0"),
        many("grpc-empty-compressed", GRPC, b"\x01\0\0\0\0"),
        many("grpc-tiny-gzip", GRPC, &[&b"\x01\0\0\0\x14"[..], &coded("gzip", b"")].concat()),
        many("grpc-tiny-br", GRPC | 2, b"\x01\0\0\0\x01\x06"),
        many("grpc-tiny-zstd", GRPC | 3, b"\x01\0\0\0\x09\x28\xb5\x2f\xfd\x00\x00\x01\x00\x00"),
        bomb("gzip-bomb", 0, "gzip", 100 << 20),
        bomb("br-bomb", 2, "br", 100 << 20),
        bomb("zstd-bomb", 3, "zstd", 100 << 20),
        Input::new("gzip-in-gzip", [&[4], &members[..]].concat()),
        Input::new("incompressible", [&[CODED], &noise(SIZE)[..]].concat()),
    ]
}

/// Bytes without a pattern.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
