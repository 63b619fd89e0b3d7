//! WebSockets over HTTP/1.1 and HTTP/2: masks, fragments, compression, ends, damage.

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use crate::{
    capture::{
        ConnectionId, Data, Direction, Event, Opened, Origin, ProcessId, Security, Segment,
        Timestamp,
    },
    http::{Counts, ExchangeEvent, Exchanges, Kind},
    splits,
};

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => frame.push(bit | len as u8),
        len @ 126..=65535 => {
            frame.push(bit | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(bit | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    let mask_bytes = mask.unwrap_or_default();
    frame.extend(mask.into_iter().flatten());
    frame.extend(payload.iter().zip(mask_bytes.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

const MASK: Option<[u8; 4]> = Some([1, 2, 0xf3, 0x84]);

fn handshake(extensions: &str) -> (Vec<u8>, Vec<u8>) {
    let request = "GET /realtime HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Extensions: {extensions}\r\n\r\n"
    );
    (request.into(), response.into())
}

/// What is told behind the handshake, one line an event, body bytes joined.
fn told(parts: &[(Direction, Data<'_>)], extensions: &str, cut: usize) -> (String, Counts) {
    let (request, response) = handshake(extensions);
    let opening =
        [(Direction::Sent, Data::Bytes(&request)), (Direction::Received, Data::Bytes(&response))];
    let mut exchanges = Exchanges::new();
    let mut text = String::new();
    let mut sink = |event: ExchangeEvent<'_>| {
        let line = match event.kind {
            Kind::RequestBody(bytes) => format!("> {}", String::from_utf8_lossy(bytes)),
            Kind::ResponseBody(bytes) => format!("< {}", String::from_utf8_lossy(bytes)),
            Kind::End(end) => {
                format!("{:?} {} {}", end.how, end.missing_request, end.missing_response)
            }
            Kind::Request { .. } | Kind::Response { .. } => "head".to_owned(),
            kind => format!("{kind:?}"),
        };
        // Pieces of a body go on in the line before.
        let last = text.rsplit('\n').next().unwrap_or("");
        match line.get(..2) {
            Some(mark @ ("> " | "< ")) if last.starts_with(mark) => text.push_str(&line[2..]),
            _ => {
                text.push('\n');
                text.push_str(&line);
            }
        }
    };
    let (connection, time) = (ConnectionId(1), Timestamp(1));
    let (process, origin) = (ProcessId { pid: 1, incarnation: 1 }, Origin::Created);
    let security = Security::Tls;
    exchanges.on(&Event::Opened(Opened { connection, process, time, origin, security }), &mut sink);
    for (direction, data) in opening.iter().chain(parts) {
        let pieces: Vec<Data<'_>> = match data {
            Data::Bytes(bytes) => bytes.chunks(cut).map(Data::Bytes).collect(),
            Data::Gap(_) => vec![*data],
        };
        for data in pieces {
            let segment = Segment { connection, direction: *direction, offset: 0, time, data };
            exchanges.on(&Event::Segment(segment), &mut sink);
        }
    }
    let text = text.strip_prefix("\nhead\nRequestEnd\nhead").expect("the handshake").trim();
    (text.to_owned(), exchanges.counts())
}

fn sent(bytes: &[u8]) -> (Direction, Data<'_>) {
    (Direction::Sent, Data::Bytes(bytes))
}

fn received(bytes: &[u8]) -> (Direction, Data<'_>) {
    (Direction::Received, Data::Bytes(bytes))
}

#[test]
fn messages_of_both_directions_are_told() {
    let long = "x".repeat(70_000);
    let client = [
        frame(FIN | TEXT, MASK, b"hello"),
        frame(FIN | BINARY, MASK, &[b'y'; 300]),
        frame(FIN | TEXT, MASK, b""),
    ]
    .concat();
    let server = [
        frame(TEXT, None, b"frag"),
        frame(FIN | PING, None, b"are you there"),
        frame(CONTINUATION, None, b"men"),
        frame(FIN | CONTINUATION, None, b"ts"),
        frame(FIN | BINARY, None, long.as_bytes()),
        frame(FIN | CLOSE, None, b"\x03\xe8bye"),
        b"ignored".to_vec(),
    ]
    .concat();
    let close = frame(FIN | CLOSE, MASK, b"\x03\xe9");
    let expected = [
        "> hello",
        "RequestMessageEnd(Text)",
        &format!("> {}", "y".repeat(300)),
        "RequestMessageEnd(Binary)",
        "RequestMessageEnd(Text)",
        "< fragments",
        "ResponseMessageEnd(Text)",
        &format!("< {long}"),
        "ResponseMessageEnd(Binary)",
        "ResponseClose(Some(1000))",
        "ResponseEnd",
        "RequestClose(Some(1001))",
        "RequestEnd",
        "Complete 0 0",
    ]
    .join("\n");
    for cut in [usize::MAX, 4096, 3, 1] {
        let (text, counts) = told(&[sent(&client), received(&server), sent(&close)], "", cut);
        assert!(text == expected, "cut {cut}: {text:.300}");
        assert_eq!((counts.exchanges, counts.skipped_bytes), (1, 7));
    }
}

/// Each message compressed as RFC 7692 §7.2.1 says.
fn compress(messages: &[&[u8]], keep_context: bool) -> Vec<Vec<u8>> {
    let mut compress = Compress::new(Compression::default(), false);
    let one = |message: &&[u8]| {
        let mut out = Vec::with_capacity(message.len() + 100);
        compress.compress_vec(message, &mut out, FlushCompress::Sync).expect("room enough");
        assert_eq!(out[out.len() - 4..], [0, 0, 0xff, 0xff]);
        out.truncate(out.len() - 4);
        if !keep_context {
            compress.reset();
        }
        out
    };
    messages.iter().map(one).collect()
}

const EVENTS: [&[u8]; 3] =
    [b"{\"type\":\"delta\",\"n\":1}", b"{\"type\":\"delta\",\"n\":2}", b"{\"type\":\"delta\"}"];

fn expected_events() -> String {
    let lines = EVENTS
        .map(|event| format!("< {}\nResponseMessageEnd(Text)", String::from_utf8_lossy(event)));
    lines.join("\n")
}

#[test]
fn compressed_messages_keep_or_drop_context() {
    for (extensions, keep) in [
        ("permessage-deflate", true),
        ("permessage-deflate; client_no_context_takeover; server_max_window_bits=15", true),
        ("permessage-deflate; server_no_context_takeover", false),
    ] {
        let messages = compress(&EVENTS, keep);
        let mut bytes = Vec::new();
        for message in &messages {
            // In two fragments; only the first is marked.
            let (first, rest) = message.split_at(message.len() / 2);
            bytes.extend(frame(RSV1 | TEXT, None, first));
            bytes.extend(frame(FIN | CONTINUATION, None, rest));
        }
        for cut in [usize::MAX, 5, 1] {
            let (text, _) = told(&[received(&bytes)], extensions, cut);
            assert_eq!(text, expected_events(), "{extensions}, cut {cut}");
        }
    }
}

/// Both directions compressed, each with or without its context, control frames between fragments.
#[test]
fn both_directions_are_decompressed_however_split() {
    for (extension, [client, server]) in [
        ("permessage-deflate; client_max_window_bits=10; server_max_window_bits=9", [true, true]),
        ("permessage-deflate; client_no_context_takeover", [false, true]),
        ("permessage-deflate; server_no_context_takeover", [true, false]),
        (
            "x-other, permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            [false, false],
        ),
    ] {
        let frames = |keep, mask| {
            let mut bytes = Vec::new();
            for message in compress(&EVENTS, keep) {
                let (first, rest) = message.split_at(message.len() / 3);
                let (second, third) = rest.split_at(rest.len() / 2);
                bytes.extend(frame(RSV1 | BINARY, mask, first));
                bytes.extend(frame(FIN | PING, mask, b"ping"));
                bytes.extend(frame(CONTINUATION, mask, second));
                bytes.extend(frame(CONTINUATION, mask, b""));
                bytes.extend(frame(FIN | PONG, mask, b""));
                bytes.extend(frame(FIN | CONTINUATION, mask, third));
            }
            bytes
        };
        let expected = |mark: &str, side: &str| {
            let lines = EVENTS.map(|event| {
                let text = String::from_utf8_lossy(event);
                format!("{mark} {text}\n{side}MessageEnd(Binary)")
            });
            lines.join("\n")
        };
        let sent = splits::check(&frames(client, MASK), |pieces| {
            let parts: Vec<_> = pieces.iter().map(|piece| sent(piece)).collect();
            told(&parts, extension, usize::MAX).0
        });
        assert_eq!(sent, expected(">", "Request"), "{extension}");
        let received = splits::check(&frames(server, None), |pieces| {
            let parts: Vec<_> = pieces.iter().map(|piece| received(piece)).collect();
            told(&parts, extension, usize::MAX).0
        });
        assert_eq!(received, expected("<", "Response"), "{extension}");
    }
}

#[test]
fn uncompressed_messages_stand_between() {
    let messages = compress(&EVENTS, true);
    let bytes = [
        frame(FIN | RSV1 | TEXT, None, &messages[0]),
        frame(FIN | TEXT, None, EVENTS[1]),
        frame(FIN | RSV1 | TEXT, None, &messages[1]),
    ]
    .concat();
    let (text, _) = told(&[received(&bytes)], "permessage-deflate", 9);
    assert_eq!(text.matches("\"n\":2").count(), 2);
}

#[test]
fn gap_in_compressed_message_spoils_the_context() {
    let extension = ["permessage-deflate; server_no_context_takeover", "permessage-deflate"];
    for (extension, recovers) in extension.into_iter().zip([true, false]) {
        let frames: Vec<_> = compress(&EVENTS, !recovers)
            .iter()
            .map(|message| frame(FIN | RSV1 | TEXT, None, message))
            .collect();
        let gap = Data::Gap(frames[0].len() as u64 - 4);
        let parts = [
            received(&frames[0][..4]),
            (Direction::Received, gap),
            received(&frames[1]),
            received(&frames[2]),
        ];
        let (text, counts) = told(&parts, extension, usize::MAX);
        assert!(text.contains("ResponseGap\nResponseUnreadable(Gap)\nResponseMessageEnd(Text)"));
        assert_eq!(text.contains("\"n\":2"), recovers, "{text}");
        assert_eq!(text.matches("MessageEnd").count(), 3);
        // None is told as empty that was not.
        let unreadable = if recovers { 1 } else { 3 };
        assert_eq!(text.matches("ResponseUnreadable(Gap)").count(), unreadable, "{text}");
        assert_eq!(counts.unreadable_bodies, unreadable as u64);
    }
}

#[test]
fn gap_in_masked_payload_keeps_the_mask() {
    let bytes = frame(FIN | TEXT, MASK, b"0123456789");
    let parts = [sent(&bytes[..8]), (Direction::Sent, Data::Gap(5)), sent(&bytes[13..])];
    let (text, _) = told(&parts, "", usize::MAX);
    assert_eq!(text, "> 01\nRequestGap\n> 789\nRequestMessageEnd(Text)");
}

#[test]
fn gap_beyond_a_frame_loses_the_direction() {
    let bytes = frame(FIN | TEXT, None, b"hello");
    let close = frame(FIN | CLOSE, MASK, b"");
    let parts = [received(&bytes[..4]), (Direction::Received, Data::Gap(9)), sent(&close)];
    let (text, _) = told(&parts, "", usize::MAX);
    assert_eq!(text, "< he\nResponseGap\nRequestClose(None)\nRequestEnd\nGap 0 9");
}

#[test]
fn malformed_frames_lose_the_direction() {
    for bad in [
        frame(FIN | 3, None, b"x"),
        frame(FIN | 0x20 | TEXT, None, b"x"),
        frame(PING, None, b"x"),
        frame(FIN | PING, None, &[0; 126]),
        frame(FIN | CONTINUATION, None, b"x"),
        [frame(TEXT, None, b""), frame(FIN | TEXT, None, b"x")].concat(),
        frame(FIN | RSV1 | TEXT, None, b"x"),
        [&[FIN | TEXT, 127, 0x80][..], &[0; 7]].concat(),
    ] {
        let close = frame(FIN | CLOSE, MASK, b"");
        let (text, counts) = told(&[received(&bad), sent(&close)], "", usize::MAX);
        assert_eq!(text, "RequestClose(None)\nRequestEnd\nMalformed 0 0", "{bad:x?}");
        assert_eq!(counts.malformed_messages, 1);
    }
}

#[test]
fn bomb_is_bounded_over_messages() {
    let message = compress(&[&vec![0; 4 << 20]], false).remove(0);
    let bytes = frame(FIN | RSV1 | TEXT, None, &message).repeat(32);
    let (text, counts) =
        told(&[received(&bytes)], "permessage-deflate; server_no_context_takeover", usize::MAX);
    assert!(text.len() < 64 << 20);
    assert!(counts.unreadable_bodies > 0);
}

proptest! {
    #[test]
    fn random_frames_never_panic(
        parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..12),
        deflate in any::<bool>(),
    ) {
        let parts: Vec<_> = parts
            .iter()
            .map(|(is_sent, bytes)| if *is_sent { sent(bytes) } else { received(bytes) })
            .collect();
        told(&parts, if deflate { "permessage-deflate" } else { "" }, 11);
    }

    #[test]
    fn any_split_gives_the_same(
        texts in prop::collection::vec("[a-z ]{0,300}", 1..6),
        mask in any::<[u8; 4]>(),
        cut in 1usize..50,
    ) {
        let bytes: Vec<u8> =
            texts.iter().flat_map(|text| frame(FIN | TEXT, Some(mask), text.as_bytes())).collect();
        let expected: Vec<String> = texts
            .iter()
            .flat_map(|text| {
                let body = (!text.is_empty()).then(|| format!("> {text}"));
                body.into_iter().chain(["RequestMessageEnd(Text)".to_owned()])
            })
            .collect();
        let (text, _) = told(&[sent(&bytes)], "", cut);
        prop_assert_eq!(text, expected.join("\n"));
    }
}
