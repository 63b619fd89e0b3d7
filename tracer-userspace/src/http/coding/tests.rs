//! Each coding: every split, flushes, several in a row, damage, bombs.

use std::io::Write;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::splits;

const NAMES: [&str; 6] = ["gzip", "x-gzip", "deflate", "raw", "br", "zstd"];

/// `text` in the coding; `raw` stands for deflate without zlib's header.
pub(in crate::http) fn encode(name: &str, text: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let encoded = match name {
        "gzip" | "x-gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        "raw" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 18);
            encoder.write_all(text).map(|()| encoder.into_inner())
        }
        _ => zstd::encode_all(text, 3),
    };
    encoded.expect("writing to memory")
}

fn decoder(codings: &str) -> Decoder {
    let mut headers = HeaderMap::new();
    let codings = codings.replace("raw", "deflate");
    headers.insert(CONTENT_ENCODING, HeaderValue::from_str(&codings).expect("test's own"));
    Decoder::for_headers(&headers).expect("known").expect("not identity")
}

/// What came out, and how it ended.
fn decode<'a>(
    codings: &str,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<(), Unreadable>) {
    let mut decoder = decoder(codings);
    let mut out = Vec::new();
    for part in parts {
        if let Err(reason) = decoder.decode(part, &mut |bytes| out.extend_from_slice(bytes)) {
            return (out, Err(reason));
        }
    }
    (out, decoder.finish())
}

fn events(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| format!("data: {{\"n\":{}}}\n\n", n * 7919).into_bytes()).collect()
}

#[test]
fn every_split_decodes_the_same() {
    let text = events(20);
    for name in NAMES {
        let told =
            splits::check(&encode(name, &text), |pieces| decode(name, pieces.iter().copied()));
        assert_eq!(told, (text.clone(), Ok(())), "{name}");
    }
}

#[test]
fn codings_in_a_row_are_undone_in_reverse() {
    let text = events(8);
    for outer in NAMES {
        for inner in NAMES {
            let coded = encode(outer, &encode(inner, &text));
            let names = format!("{inner}, {outer}");
            let told = splits::check(&coded, |pieces| decode(&names, pieces.iter().copied()));
            assert_eq!(told, (text.clone(), Ok(())), "{names}");
        }
    }
}

#[test]
fn flushed_bytes_come_out_at_once() {
    // What an encoder flushed after each event must be told with that event's bytes.
    fn flushed<W: Write>(mut encoder: W, sink: impl Fn(&W) -> &Vec<u8>) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        let mut seen = 0;
        for event in events(50).split_inclusive(|byte| *byte == b'}') {
            encoder.write_all(event).and_then(|()| encoder.flush()).expect("writing to memory");
            parts.push(sink(&encoder)[seen..].to_vec());
            seen = sink(&encoder).len();
        }
        parts
    }
    let level = flate2::Compression::default();
    let all = [
        ("gzip", flushed(flate2::write::GzEncoder::new(Vec::new(), level), |e| e.get_ref())),
        ("deflate", flushed(flate2::write::ZlibEncoder::new(Vec::new(), level), |e| e.get_ref())),
        ("raw", flushed(flate2::write::DeflateEncoder::new(Vec::new(), level), |e| e.get_ref())),
        ("br", flushed(brotli::CompressorWriter::new(Vec::new(), 4096, 5, 18), |e| e.get_ref())),
        ("zstd", flushed(zstd::Encoder::new(Vec::new(), 3).expect("memory"), |e| e.get_ref())),
    ];
    for (name, parts) in all {
        let mut decoder = decoder(name);
        for (part, event) in parts.iter().zip(events(50).split_inclusive(|byte| *byte == b'}')) {
            let mut out = Vec::new();
            decoder.decode(part, &mut |bytes| out.extend_from_slice(bytes)).expect("sound");
            assert_eq!(out, event, "{name}");
        }
        // Never finished by the encoder.
        assert_eq!(decoder.finish(), Err(Unreadable::Truncated), "{name}");
    }
}

#[test]
fn truncation_keeps_what_came_before() {
    let text = events(300);
    for name in NAMES {
        let coded = encode(name, &text);
        for at in 1..coded.len() {
            let (out, end) = decode(name, [&coded[..at]]);
            assert!(text.starts_with(&out), "{name}");
            assert_eq!(end, Err(Unreadable::Truncated), "{name} cut at {at} of {}", coded.len());
        }
    }
}

#[test]
fn corruption_is_told() {
    for name in ["gzip", "deflate", "br", "zstd"] {
        let (out, end) = decode(name, [&b"{\"this is\": \"plain JSON\"}"[..]]);
        assert_eq!(end, Err(Unreadable::Corrupt), "{name}");
        // Raw deflate has no header by which to refuse at once.
        assert!(out.is_empty() || name == "deflate", "{name}");
    }
    let mut coded = encode("gzip", b"some text");
    let sum = coded.len() - 8;
    coded[sum] ^= 1;
    assert_eq!(decode("gzip", [&coded[..]]), (b"some text".to_vec(), Err(Unreadable::Corrupt)));
}

/// A frame that says it has 174 bytes and has none (RFC 8878 §3.1.1): two empty blocks, and as the
/// last one a compressed block without a byte.
#[test]
fn fault_of_a_frame_is_the_same_in_pieces() {
    let frame = b"\x28\xb5\x2f\xfd\x20\xae\0\0\0\0\0\0\x05\0\0";
    for behind in [&b""[..], b"\0\0\0", &encode("zstd", b"more")] {
        let coded = [frame, behind].concat();
        // Whether that is a fault, the library says; it must say the same of every split.
        let _ = splits::check(&coded, |pieces| decode("zstd", pieces.iter().copied()));
    }
}

/// Behind a whole frame one whose first block is sound, of three bytes as they are, and whose second has
/// the type that none has (RFC 8878 §3.1.1.2).
#[test]
fn blocks_before_a_fault_are_kept() {
    let broken = b"\x28\xb5\x2f\xfd\x20\x06\x18\0\0abc\x0f\0\0x";
    let coded = [&encode("zstd", b"one "), &broken[..]].concat();
    let told = splits::check(&coded, |pieces| decode("zstd", pieces.iter().copied()));
    assert_eq!(told, (b"one abc".to_vec(), Err(Unreadable::Corrupt)));
}

#[test]
fn bytes_behind_the_end_are_ignored() {
    let text = events(3);
    for name in NAMES {
        // The last has what a frame of zstd might begin with, but not at its start.
        for garbage in
            [&b"\0\0\0\0\0"[..], b"\x1f", b"\x1f\x8bxx", b"garbage behind", b"\0[\x12\x28\xb5"]
        {
            let coded = [encode(name, &text), garbage.to_vec()].concat();
            assert_eq!(decode(name, [&coded[..]]), (text.clone(), Ok(())), "{name} {garbage:?}");
            assert_eq!(decode(name, coded.chunks(1)), (text.clone(), Ok(())), "{name}");
        }
    }
}

#[test]
fn members_and_frames_are_joined() {
    for name in ["gzip", "zstd"] {
        let coded = [encode(name, b"one "), encode(name, b"two")].concat();
        assert_eq!(decode(name, [&coded[..]]), (b"one two".to_vec(), Ok(())));
        assert_eq!(decode(name, coded.chunks(1)), (b"one two".to_vec(), Ok(())));
        let (out, end) = decode(name, [&coded[..coded.len() - 1]]);
        assert!(out.starts_with(b"one tw"), "{name}");
        assert_eq!(end, Err(Unreadable::Truncated), "{name}");
    }
}

/// RFC 1952 §2.3: every optional part of a member's header.
fn member_with_all_parts(text: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 255];
    member.extend(b"\x03\0abcname\0comment\0");
    let checksum = crc32fast::hash(&member) as u16;
    member.extend(checksum.to_le_bytes());
    member.extend(&encode("gzip", text)[10..]);
    member
}

#[test]
fn optional_parts_of_a_member_are_passed_over() {
    let coded = [member_with_all_parts(b"one "), member_with_all_parts(b"two")].concat();
    for at in 0..=coded.len() {
        let (first, last) = coded.split_at(at);
        assert_eq!(decode("gzip", [first, last]), (b"one two".to_vec(), Ok(())), "at {at}");
    }
    for damaged in [3, 15, coded.len() - 1, coded.len() - 5] {
        let mut coded = coded.clone();
        coded[damaged] ^= 0x80;
        let (_, end) = decode("gzip", [&coded[..]]);
        assert_eq!(end, Err(Unreadable::Corrupt), "{damaged}");
    }
}

#[test]
fn coding_in_a_coding_is_bounded_too() {
    let empty_members = encode("gzip", b"").repeat(200_000);
    let coded = encode("gzip", &empty_members);
    assert!(coded.len() < 64 << 10, "a bomb");
    let (out, end) = decode("gzip, gzip", [&coded[..]]);
    assert_eq!((out.len(), end), (0, Err(Unreadable::Bomb)));
}

#[test]
fn coding_without_bytes_is_whole() {
    // The outer coding's end comes, and nothing of the inner one ever did.
    for name in NAMES {
        let coded = encode("br", b"");
        assert_eq!(decode(&format!("{name}, br"), [&coded[..]]), (Vec::new(), Ok(())), "{name}");
    }
}

#[test]
fn empty_body_is_whole() {
    for name in NAMES {
        assert_eq!(decode(name, []), (Vec::new(), Ok(())));
        assert_eq!(decode(name, [&encode(name, b"")[..]]), (Vec::new(), Ok(())), "{name}");
    }
}

#[test]
fn bombs_are_stopped_at_the_bound() {
    let zeros = vec![0; 48 << 20];
    for name in ["gzip", "br", "zstd"] {
        let coded = encode(name, &zeros);
        assert!(coded.len() < 64 << 10, "a bomb");
        let mut given = 0;
        let mut bomb = decoder(name);
        let end = bomb.decode(&coded, &mut |bytes| given += bytes.len() as u64);
        assert_eq!(end, Err(Unreadable::Bomb), "{name}");
        assert!(given <= FREE_OUTPUT + MAX_RATIO * coded.len() as u64);
    }
}

#[test]
fn repetitive_body_of_20_mib_passes() {
    let text = vec![b'x'; 20 << 20];
    for name in ["gzip", "br", "zstd"] {
        let (out, end) = decode(name, [&encode(name, &text)[..]]);
        assert!(out == text && end == Ok(()), "{name}");
    }
}

#[test]
fn unknown_and_too_many_codings_are_refused() {
    let refused = |codings: &'static str| {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(codings))]);
        Decoder::for_headers(&headers).map(|decoder| decoder.is_some())
    };
    assert_eq!(refused("identity"), Ok(false));
    assert_eq!(refused("GZip ,, Identity"), Ok(true));
    assert_eq!(refused("gzip, rot13"), Err(Unreadable::UnknownCoding));
    assert_eq!(refused("br,br,br,br,br"), Ok(true));
    assert_eq!(refused("br,br,br,br,br,br"), Err(Unreadable::TooManyCodings));
}

/// The library for br asks for more input though it has more to give than a step takes.
#[test]
fn all_that_has_come_is_given_at_once() {
    let text = events(3000);
    for name in NAMES {
        let coded = encode(name, &text);
        let (out, end) = decode(name, [&coded[..coded.len() - 1]]);
        let in_pieces = decode(name, coded[..coded.len() - 1].chunks(1));
        assert_eq!((out.len(), end), (in_pieces.0.len(), in_pieces.1), "{name}");
        assert_eq!(end, Err(Unreadable::Truncated), "{name}");
    }
}

proptest! {
    #[test]
    fn random_parts_decode_the_same(
        text in prop::collection::vec(any::<u8>(), 0..2000),
        sizes in prop::collection::vec(1usize..200, 1..40),
        name in prop::sample::select(&NAMES[..]),
    ) {
        let coded = encode(name, &text);
        let mut rest = &coded[..];
        let mut parts = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, tail) = rest.split_at((*size).min(rest.len()));
            parts.push(part);
            rest = tail;
        }
        prop_assert_eq!(decode(name, parts), (text, Ok(())));
    }

    #[test]
    fn damaged_bytes_are_met_at_the_same_place(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        name in prop::sample::select(&NAMES[..]),
        // More than a step gives.
        count in prop::sample::select(&[30, 1000][..]),
    ) {
        let text = events(count);
        let mut coded = encode(name, &text);
        for (at, byte) in damage {
            let at = at.index(coded.len());
            coded[at] = byte;
        }
        let whole = decode(name, [&coded[..]]);
        for size in [1, 13, 300] {
            let (out, end) = decode(name, coded.chunks(size));
            prop_assert_eq!(end, whole.1, "in pieces of {}", size);
            // Of what stands before a fault, br's library gives what has come in an earlier piece.
            let is_less = name == "br" && end == Err(Unreadable::Corrupt);
            let len = if is_less { out.len().min(whole.0.len()) } else { out.len() };
            prop_assert_eq!(&out[..len], &whole.0[..len.min(whole.0.len())]);
            prop_assert!(is_less || len == whole.0.len(), "in pieces of {}", size);
        }
    }
}
