//! Messages split anywhere, compressed, damaged, with gaps.

use std::io::Write;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn reader(coding: Option<&'static str>) -> Reader {
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
    let coding = coding.map(|coding| (GRPC_ENCODING, HeaderValue::from_static(coding)));
    let headers = HeaderMap::from_iter([content_type].into_iter().chain(coding));
    Reader::for_headers(&headers).expect("gRPC")
}

fn message(flag: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("short");
    [&[flag][..], &len.to_be_bytes(), bytes].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("writing to memory")
}

/// The whole messages, and how it ended.
fn read<'a>(
    mut reader: Reader,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Vec<u8>>, Result<(), Unreadable>) {
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    for part in parts {
        let result = reader.read(part, &mut |part| match part {
            Part::Bytes(bytes) => message.extend_from_slice(bytes),
            Part::MessageEnd => messages.push(std::mem::take(&mut message)),
        });
        if result.is_err() {
            return (messages, result);
        }
    }
    (messages, reader.finish())
}

#[test]
fn every_split_gives_the_same_messages() {
    let texts = [&b"first"[..], b"", b"a second, longer message", b""];
    let coded: Vec<u8> = texts
        .iter()
        .enumerate()
        .flat_map(|(n, text)| match n % 2 {
            0 => message(1, &gzip(text)),
            _ => message(0, text),
        })
        .collect();
    let expected: Vec<_> = texts.map(<[u8]>::to_vec).to_vec();
    for at in 0..=coded.len() {
        let (first, last) = coded.split_at(at);
        assert_eq!(read(reader(Some("gzip")), [first, last]), (expected.clone(), Ok(())));
    }
    assert_eq!(read(reader(Some("gzip")), coded.chunks(1)), (expected, Ok(())));
}

#[test]
fn other_content_types_are_none() {
    for other in ["application/json", "application/grpc-web", "application/grpcx"] {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(other))]);
        assert!(Reader::for_headers(&headers).is_none(), "{other}");
    }
}

#[test]
fn broken_messages_end_the_reading() {
    let good = message(0, b"good");
    for (coding, bad, reason) in [
        (None, message(2, b"x"), Unreadable::Corrupt),
        (None, message(1, b"x"), Unreadable::UnknownCoding),
        (Some("snappy"), message(1, b"x"), Unreadable::UnknownCoding),
        (Some("gzip"), message(1, b"plain text, no gzip"), Unreadable::Corrupt),
        (Some("gzip"), message(1, &gzip(b"x")[..9]), Unreadable::Truncated),
        (None, message(0, b"cut")[..7].to_vec(), Unreadable::Truncated),
        (None, vec![0, 0], Unreadable::Truncated),
    ] {
        let bytes = [&good[..], &bad].concat();
        let expected = (vec![b"good".to_vec()], Err(reason));
        assert_eq!(read(reader(coding), [&bytes[..]]), expected, "{bad:x?}");
    }
}

#[test]
fn many_small_bombs_are_bounded() {
    let bomb = message(1, &gzip(&vec![0; 4 << 20]));
    let bytes = bomb.repeat(64);
    let (messages, end) = read(reader(Some("gzip")), [&bytes[..]]);
    assert_eq!(end, Err(Unreadable::Bomb));
    assert!(messages.len() < 16);
}

#[test]
fn gap_within_a_message_is_passed_over() {
    let mut reader = reader(None);
    let bytes = [message(0, b"0123456789"), message(0, b"next")].concat();
    let mut got = Vec::new();
    let mut sink = |part: Part<'_>| match part {
        Part::Bytes(bytes) => got.extend_from_slice(bytes),
        Part::MessageEnd => got.push(b'|'),
    };
    reader.read(&bytes[..7], &mut sink).expect("sound");
    reader.skip(8, &mut sink).expect("within the message");
    reader.read(&bytes[15..], &mut sink).expect("sound");
    assert_eq!(reader.skip(1, &mut sink), Err(Unreadable::Gap));
    assert_eq!(got, b"01|next|");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10)) {
        let _ = read(reader(Some("gzip")), parts.iter().map(Vec::as_slice));
    }
}
