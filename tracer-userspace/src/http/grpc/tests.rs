//! Messages split anywhere, compressed, damaged, with gaps.

use std::io::Write;

use ::base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::{http::coding, splits};

fn reader(coding: Option<&'static str>) -> Reader {
    reader_of("application/grpc+proto", coding)
}

fn reader_of(content_type: &'static str, coding: Option<&'static str>) -> Reader {
    let content_type = (CONTENT_TYPE, HeaderValue::from_static(content_type));
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
            Part::Trailers { fields, unknown } => {
                messages.push(format!("{fields:?} {unknown}").into_bytes());
            }
        });
        if result.is_err() {
            return (messages, result);
        }
    }
    (messages, reader.finish())
}

const TEXTS: [&[u8]; 4] = [b"first", b"", b"a second, longer message", b""];

/// Every other message compressed, as each message's flag says.
fn coded(coding: &str) -> Vec<u8> {
    let one = |(n, text): (usize, &&[u8])| match n % 2 {
        0 => message(1, &coding::tests::encode(coding, text)),
        _ => message(0, text),
    };
    TEXTS.iter().enumerate().flat_map(one).collect()
}

#[test]
fn every_split_gives_the_same_messages() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let expected = (TEXTS.map(<[u8]>::to_vec).to_vec(), Ok(()));
        let told = splits::check(&coded(coding), |pieces| {
            read(reader(Some(coding)), pieces.iter().copied())
        });
        assert_eq!(told, expected, "{coding}");
    }
}

const STATUS: &[u8] = b"grpc-status:5\r\ngrpc-message: not found\r\n";

#[test]
fn web_trailers_come_in_the_last_frame() {
    let fields = r#"{"grpc-status": "5", "grpc-message": "not found"} 0"#;
    let expected = [TEXTS.map(<[u8]>::to_vec).to_vec(), vec![fields.as_bytes().to_vec()]].concat();
    for (flag, trailer) in [(0x80, STATUS.to_vec()), (0x81, gzip(STATUS))] {
        let body = [coded("gzip"), message(flag, &trailer)].concat();
        for content_type in ["application/grpc-web", "application/grpc-web+proto; charset=utf-8"] {
            let told = splits::check(&body, |pieces| {
                read(reader_of(content_type, Some("gzip")), pieces.iter().copied())
            });
            assert_eq!(told, (expected.clone(), Ok(())), "{content_type}");
        }
        // As text: whole, or padded wherever the server flushed.
        for flush in [usize::MAX, 7, 2] {
            let text: Vec<u8> = body
                .chunks(flush.min(body.len()))
                .flat_map(|part| BASE64_STANDARD.encode(part).into_bytes())
                .collect();
            let told = splits::check(&text, |pieces| {
                let reader = reader_of("application/grpc-web-text+proto", Some("gzip"));
                read(reader, pieces.iter().copied())
            });
            assert_eq!(told, (expected.clone(), Ok(())), "flushed at {flush}");
        }
    }
}

#[test]
fn broken_web_bodies_end_the_reading() {
    let good = message(0, b"good");
    let text = BASE64_STANDARD.encode(&good).into_bytes();
    let long = message(0x80, &vec![b'x'; TRAILER_LIMIT + 1]);
    for (content_type, body, reason) in [
        ("application/grpc", [&good[..], &message(0x80, STATUS)].concat(), Unreadable::Corrupt),
        ("application/grpc-web", [&good[..], &message(2, b"x")].concat(), Unreadable::Corrupt),
        ("application/grpc-web", [&good[..], &long].concat(), Unreadable::Corrupt),
        ("application/grpc-web-text", [&text[..], b"AA=A"].concat(), Unreadable::Corrupt),
        ("application/grpc-web-text", [&text[..], b"\n"].concat(), Unreadable::Truncated),
        ("application/grpc-web-text", [&text[..], b"AAA="].concat(), Unreadable::Truncated),
    ] {
        let told = splits::check(&body, |pieces| {
            read(reader_of(content_type, None), pieces.iter().copied())
        });
        assert_eq!(told, (vec![b"good".to_vec()], Err(reason)), "{content_type} {body:.40x?}");
    }
}

#[test]
fn gap_in_text_form_is_no_place_to_go_on() {
    let mut reader = reader_of("application/grpc-web-text", None);
    let text = BASE64_STANDARD.encode(message(0, b"0123456789"));
    reader.read(&text.as_bytes()[..12], &mut |_| {}).expect("sound");
    assert_eq!(reader.skip(4, &mut |_| {}), Err(Unreadable::Gap));
}

#[test]
fn other_content_types_are_none() {
    for other in ["application/json", "application/grpc-webx", "application/grpcx"] {
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
        Part::Trailers { .. } => got.push(b'T'),
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
