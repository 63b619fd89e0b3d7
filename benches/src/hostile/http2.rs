//! HTTP/2 frames and header blocks of the smallest and the costliest kinds.

use crate::{
    h2::{self, frame},
    traffic::{LARGEST_SEGMENT, Part, received, sent},
};

use super::{Make, repeated};

pub(super) const CASES: &[(&str, Make)] = &[
    ("HTTP/2 DATA in segments of one byte", |size| answer(data(size, 16 << 10), 1)),
    ("HTTP/2 DATA frames of one byte", |size| answer(data(size / 10, 1), LARGEST_SEGMENT)),
    ("HTTP/2 DATA frames of one byte in segments of one byte", |size| {
        answer(data(size / 10, 1), 1)
    }),
    ("HTTP/2 empty DATA frames", |size| {
        answer(repeated(&frame(h2::DATA, 0, 1, &[]), size), LARGEST_SEGMENT)
    }),
    ("HTTP/2 DATA frames that are padding", |size| {
        let padded = frame(h2::DATA, h2::PADDED, 1, &[0]);
        answer(repeated(&padded, size), LARGEST_SEGMENT)
    }),
    ("HTTP/2 PING, PRIORITY and WINDOW_UPDATE", |size| {
        let frames = [
            frame(h2::PING, 0, 0, &[0; 8]),
            frame(h2::PRIORITY, 0, 3, &[0; 5]),
            frame(h2::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        ];
        answer(repeated(&frames.concat(), size), LARGEST_SEGMENT)
    }),
    ("HTTP/2 streams reset at once", |size| begun(rapid_resets(size), LARGEST_SEGMENT)),
    ("HTTP/2 streams never answered", |size| {
        begun(streams(size / 13, h2::END_STREAM), LARGEST_SEGMENT)
    }),
    ("HTTP/2 CONTINUATION frames of one byte", |size| {
        let first = frame(h2::HEADERS, 0, 1, &[0x82]);
        let more = repeated(&frame(h2::CONTINUATION, 0, 1, &[0x82]), size);
        begun([first, more].concat(), LARGEST_SEGMENT)
    }),
    ("HTTP/2 header blocks of references", |size| blocks(size, &[0xbe])),
    ("HTTP/2 header blocks of references to what is not known", |size| blocks(size, &[0xfe])),
    ("HTTP/2 header blocks of insertions", |size| blocks(size, &[0x40, 1, b'k', 1, b'w'])),
    ("HTTP/2 header blocks of insertions into a large table", |size| {
        let mut parts = blocks(size, &[0x40, 1, b'k', 0]);
        // The table's size, 64 KiB, before the first of them.
        parts[0].bytes.extend(frame(h2::HEADERS, 5, 1, &[0x3f, 0xe1, 0xff, 0x03]));
        parts
    }),
    ("HTTP/2 header blocks of Huffman codes", |size| {
        // `0` has the shortest code, 5 bits: eight of them in five octets of zeros.
        let code = [&[0x00, 1, b'k', 0xff, 0x80 | 0x49, 0x00][..], &[0; 200]].concat();
        blocks(size, &code)
    }),
    ("HTTP/2 header blocks of table sizes", |size| blocks(size, &[0x20, 0x3f, 0xe1, 0x1f])),
    ("HTTP/2 header blocks of empty fields", |size| blocks(size, &[0x00, 0, 0])),
    ("HTTP/2 broken again and again, with 2,000 streams open", |size| {
        let mut parts = begun(streams(2000, 0), LARGEST_SEGMENT);
        let broken = frame(h2::CONTINUATION, h2::END_HEADERS, 1, &[]);
        parts.push(sent(repeated(&broken, size)).cut(broken.len()));
        parts
    }),
    ("HTTP/2 joined late, never in step", |size| {
        let almost = [frame(h2::PING, 0, 0, &[0; 8]).repeat(900), vec![0xff; 9]].concat();
        let mut parts = begun(frame(h2::CONTINUATION, 0, 1, &[]), LARGEST_SEGMENT);
        let len = almost.len();
        parts.push(sent(repeated(&almost, size)).cut(len));
        parts
    }),
];

fn begun(frames: Vec<u8>, segment: usize) -> Vec<Part> {
    vec![sent(h2::preface()), sent(frames).cut(segment)]
}

/// Frames of the answer to a request.
fn answer(frames: Vec<u8>, segment: usize) -> Vec<Part> {
    vec![
        sent([h2::preface(), h2::head(h2::REQUEST_FIELDS, true, 1, h2::END_STREAM)].concat()),
        received(frame(h2::SETTINGS, 0, 0, &[])),
        received(h2::head(h2::RESPONSE_FIELDS, true, 1, 0)),
        received(frames).cut(segment),
    ]
}

fn data(size: usize, each: usize) -> Vec<u8> {
    vec![b'x'; size].chunks(each).flat_map(|bytes| frame(h2::DATA, 0, 1, bytes)).collect()
}

/// `:method GET`, `:path /`, `:scheme https`, of the static table.
const GET: [u8; 3] = [0x82, 0x84, 0x87];

fn streams(count: usize, flags: u8) -> Vec<u8> {
    (0..count as u32)
        .flat_map(|n| frame(h2::HEADERS, h2::END_HEADERS | flags, 2 * n + 1, &GET))
        .collect()
}

fn rapid_resets(size: usize) -> Vec<u8> {
    (0..size as u32 / 25)
        .flat_map(|n| {
            let stream = 2 * n + 1;
            let head = frame(h2::HEADERS, h2::END_HEADERS, stream, &GET);
            [head, frame(h2::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        })
        .collect()
}

/// Requests of 16 KiB of one kind of field each, behind an entry of 4,000 octets in the table.
fn blocks(size: usize, field: &[u8]) -> Vec<Part> {
    let large = h2::inserted(&[("k", &"x".repeat(4000))]);
    let first = frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &large);
    let block = repeated(field, (16 << 10) - field.len() + 1);
    let frames: Vec<u8> = (1..=(size / block.len() + 1) as u32)
        .flat_map(|n| frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 2 * n + 1, &block))
        .collect();
    vec![sent([h2::preface(), first].concat()), sent(frames)]
}
