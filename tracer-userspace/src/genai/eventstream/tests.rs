use proptest::prelude::*;

use super::{EventStream, Item};
use crate::splits;

/// One message with string headers.
pub(in crate::genai) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut section = Vec::new();
    for (name, value) in headers {
        section.push(name.len() as u8);
        section.extend_from_slice(name.as_bytes());
        section.push(7);
        section.extend_from_slice(&(value.len() as u16).to_be_bytes());
        section.extend_from_slice(value.as_bytes());
    }
    let mut message = Vec::new();
    message.extend_from_slice(&((16 + section.len() + payload.len()) as u32).to_be_bytes());
    message.extend_from_slice(&(section.len() as u32).to_be_bytes());
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&section);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}

/// An event of that name.
pub(in crate::genai) fn event(name: &str, payload: &str) -> Vec<u8> {
    message(&[(":event-type", name), (":message-type", "event")], payload.as_bytes())
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, Vec<u8>)> {
    let mut stream = EventStream::default();
    let mut payload = Vec::new();
    let mut messages = Vec::new();
    for piece in pieces {
        stream.push(piece, |item| match item {
            Item::Data(data) => payload.extend_from_slice(data),
            Item::Event(name) => messages.push((name.to_owned(), std::mem::take(&mut payload))),
            Item::Exception(name, _) => {
                messages.push((format!("!{name}"), std::mem::take(&mut payload)));
            }
            Item::Corrupt => {
                payload.clear();
                messages.push(("corrupt".to_owned(), Vec::new()));
            }
        });
    }
    messages
}

#[test]
fn published_message_is_read() {
    // smithy.io's first example: no headers, no payload, `00000010 00000000 05c248eb 7d98c8ff`.
    let empty = [0, 0, 0, 0x10, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    assert_eq!(read([&empty[..]]), [(String::new(), Vec::new())]);
}

#[test]
fn events_and_exceptions_are_told_apart() {
    let mut body = event("chunk", "{}");
    body.extend(message(
        &[(":exception-type", "throttlingException"), (":message-type", "exception")],
        b"slow",
    ));
    body.extend(event("last", ""));
    let expected = [
        ("chunk".to_owned(), b"{}".to_vec()),
        ("!throttlingException".to_owned(), b"slow".to_vec()),
        ("last".to_owned(), Vec::new()),
    ];
    assert_eq!(splits::check(&body, |pieces| read(pieces.iter().copied())), expected);
}

#[test]
fn every_damaged_byte_is_found() {
    let body = event("chunk", "{\"a\":1}");
    for at in 0..body.len() {
        let mut damaged = body.clone();
        damaged[at] ^= 0x10;
        damaged.extend(event("next", ""));
        let messages = splits::check(&damaged, |pieces| read(pieces.iter().copied()));
        assert_eq!(messages, [("corrupt".to_owned(), Vec::new())], "byte {at}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_harmless(body in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..40) {
        prop_assert_eq!(read([&body[..]]), read(body.chunks(size)));
    }

    #[test]
    fn splits_make_no_difference(
        payloads in prop::collection::vec("[a-z]{0,30}", 0..6), size in 1usize..40,
    ) {
        let body: Vec<u8> = payloads.iter().flat_map(|payload| event("e", payload)).collect();
        let expected: Vec<_> =
            payloads.iter().map(|payload| ("e".to_owned(), payload.clone().into_bytes())).collect();
        prop_assert_eq!(read(body.chunks(size)), expected);
    }
}
