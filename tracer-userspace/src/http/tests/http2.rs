//! HTTP/2 connections out of frames made by hand: what each frame does, splits, gaps, damage.

use proptest::prelude::*;

use super::{Told::*, *};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let len = u32::try_from(payload.len()).expect("small");
    let mut frame = len.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as literals that are not inserted (RFC 7541 §6.2.2), which need no table.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend(text.bytes());
        }
    }
    block
}

pub(super) fn post() -> Vec<u8> {
    block(&[(":method", "POST"), (":scheme", "https"), (":authority", "a"), (":path", "/p")])
}

pub(super) fn ok() -> Vec<u8> {
    block(&[(":status", "200"), ("x", "y")])
}

pub(super) fn server_settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 100])
}

pub(super) fn opening() -> Vec<Step> {
    let client = [PREFACE, &frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 100])].concat();
    vec![
        created(),
        sent(client),
        received(frame(SETTINGS, 0, 0, [])),
        sent(frame(SETTINGS, 1, 0, [])),
    ]
}

pub(super) fn script(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    opening().into_iter().chain(steps).collect()
}

pub(super) fn asked() -> Vec<Told> {
    vec![request("POST /p", 1), request_body("hello"), RequestEnd]
}

pub(super) fn request_frames(stream: u32) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, post());
    [head, frame(DATA, END_STREAM, stream, "hello")].concat()
}

pub(super) fn response_frames(stream: u32) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, ok());
    [head, frame(DATA, 0, stream, "wor"), frame(DATA, END_STREAM, stream, "ld")].concat()
}

pub(super) fn answered() -> Vec<Told> {
    vec![response(200, 1), response_body("world"), ResponseEnd, complete()]
}

/// What the frames of the server give behind the request of stream 1.
fn answers(frames: &[Vec<u8>], told: &[Told]) {
    let steps = script([sent(request_frames(1)), received(frames.concat())]);
    check(&steps, &[asked(), told.to_vec()].concat());
}

#[test]
fn stream_is_an_exchange() {
    answers(&[response_frames(1)], &answered());
}

/// The response's head announces `announced` bytes, of which "world" comes, and no END_STREAM.
fn left_after(announced: &str) -> Vec<Told> {
    let head = block(&[(":status", "200"), ("content-length", announced)]);
    let frames = [frame(HEADERS, END_HEADERS, 1, head), frame(DATA, 0, 1, "world")];
    let steps =
        script([sent(request_frames(1)), received(frames.concat()), closed(CloseCause::Freed)]);
    run(&steps).into_iter().map(|(_, _, told)| told).skip(asked().len()).collect()
}

#[test]
fn announced_length_makes_a_response_whole() {
    assert_eq!(left_after("5")[2..], [ResponseEnd, complete()]);
    assert_eq!(left_after("6")[2..], [end(Ended::ClientGone)]);
    assert_eq!(left_after("4")[2..], [end(Ended::ClientGone)]);
    assert_eq!(left_after("nonsense")[2..], [end(Ended::ClientGone)]);
}

#[test]
fn server_side_has_server_role() {
    let client = [PREFACE, &frame(SETTINGS, 0, 0, [])[..], &request_frames(1)].concat();
    let lines = run(&[created(), received(client), sent(response_frames(1))]);
    assert_eq!(lines[0].2, Request(Role::Server, "POST /p".to_owned(), 1));
    assert_eq!(lines.last(), Some(&(1, 0, complete())));
}

#[test]
fn server_settings_may_come_first() {
    let client = [PREFACE, &request_frames(1)].concat();
    let steps =
        [created(), received(server_settings()), sent(client), received(response_frames(1))];
    check(&steps, &[asked(), answered()].concat());
}

#[test]
fn padding_and_priority_are_removed() {
    let block = [&[3, 0, 0, 0, 0, 200][..], &ok(), &[0; 3]].concat();
    let flags = END_HEADERS | PADDED | PRIORITY;
    answers(
        &[
            frame(HEADERS, flags, 1, block),
            frame(DATA, PADDED, 1, b"\x04worl\0\0\0\0"),
            frame(DATA, PADDED, 1, b"\x00"),
            frame(DATA, PADDED | END_STREAM, 1, b"\x02d\0\0"),
        ],
        &answered(),
    );
}

#[test]
fn continuations_join_a_block() {
    let block = ok();
    let (first, rest) = block.split_at(3);
    let (second, third) = rest.split_at(5);
    answers(
        &[
            frame(HEADERS, END_STREAM, 1, first),
            frame(CONTINUATION, 0, 1, second),
            frame(CONTINUATION, 0, 1, []),
            frame(CONTINUATION, END_HEADERS, 1, third),
        ],
        &[response(200, 1), ResponseEnd, complete()],
    );
}

#[test]
fn interim_responses_and_trailers_are_told_apart() {
    let trailers = block(&[("grpc-status", "0")]);
    answers(
        &[
            frame(HEADERS, END_HEADERS, 1, block(&[(":status", "103"), ("link", "x")])),
            frame(HEADERS, END_HEADERS, 1, ok()),
            frame(DATA, 0, 1, "world"),
            frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers),
        ],
        &[
            response(200, 1),
            response_body("world"),
            ResponseTrailers("{\"grpc-status\": \"0\"}".to_owned()),
            ResponseEnd,
            complete(),
        ],
    );
}

#[test]
fn other_frames_change_nothing() {
    answers(
        &[
            frame(PING, 0, 0, [0; 8]),
            frame(2, 0, 1, [0, 0, 0, 3, 9]),
            frame(8, 0, 0, [0, 0, 1, 0]),
            frame(0xaa, 0xff, 77, [1; 30]),
            frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2][..], &post()].concat()),
            frame(HEADERS, END_HEADERS, 2, ok()),
            frame(DATA, END_STREAM, 2, "pushed"),
            response_frames(1).clone(),
        ],
        &answered(),
    );
}

#[test]
fn reset_ends_with_its_code() {
    let start = frame(HEADERS, END_HEADERS, 1, ok());
    let reset = frame(RST_STREAM, 0, 1, [0, 0, 0, 2]);
    let ended = end(Ended::StreamReset(2));
    answers(&[start, reset, frame(DATA, 0, 1, "late")], &[response(200, 1), ended]);
}

#[test]
fn goaway_ends_streams_not_answered() {
    let goaway = frame(GOAWAY, 0, 0, [0, 0, 0, 1, 0, 0, 0, 0, b'x']);
    let steps = script([
        sent([request_frames(1), request_frames(3)].concat()),
        received([goaway, response_frames(1)].concat()),
    ]);
    let mut expected: Vec<Line> = Vec::new();
    for index in 0..2 {
        expected.extend(asked().into_iter().map(|told| (1, index, told)));
    }
    expected.push((1, 1, end(Ended::Refused)));
    expected.extend(answered().into_iter().map(|told| (1, 0, told)));
    check_lines(&steps, &expected);
}

#[test]
fn interleaved_streams_stay_apart() {
    let numbers: Vec<u32> = (0..250).map(|n| 2 * n + 1).collect();
    let all = |of: &dyn Fn(u32) -> Vec<u8>| numbers.iter().flat_map(|n| of(*n)).collect::<Vec<_>>();
    let text = |n: u32| format!("body {n}");
    let steps = script([
        sent(all(&|n| frame(HEADERS, END_HEADERS, n, post()))),
        sent(all(&|n| frame(DATA, END_STREAM, n, text(n)))),
        received(all(&|n| frame(HEADERS, END_HEADERS, n, ok()))),
        received(all(&|n| frame(DATA, 0, n, text(n)))),
        received(all(&|n| frame(DATA, END_STREAM, n, "."))),
    ]);
    let lines = run(&steps);
    for (index, number) in numbers.iter().enumerate() {
        let told: Vec<_> = lines
            .iter()
            .filter(|(_, i, _)| *i == index as u64)
            .map(|(_, _, t)| t.clone())
            .collect();
        let expected = [
            request("POST /p", 1),
            request_body(&text(*number)),
            RequestEnd,
            response(200, 1),
            response_body(&text(*number)),
            response_body("."),
            ResponseEnd,
            complete(),
        ];
        assert_eq!(told, expected);
    }
}

#[test]
fn gap_within_data_keeps_framing() {
    let head = frame(HEADERS, END_HEADERS, 1, ok());
    let data = frame(DATA, END_STREAM, 1, "0123456789");
    let steps = script([
        sent(request_frames(1)),
        received([&head[..], &data[..11]].concat()),
        ReceivedGap(1, 5),
        received(&data[16..]),
    ]);
    let told: Vec<_> = run(&steps).into_iter().skip(3).map(|(_, _, told)| told).collect();
    let missing = super::End {
        how: Ended::Complete,
        missing_request: 0,
        missing_response: 5,
        joined_late: false,
    };
    let expected = [
        response(200, 1),
        response_body("01"),
        ResponseGap,
        response_body("789"),
        ResponseEnd,
        End(missing),
    ];
    assert_eq!(told, expected);
}

#[test]
fn gap_over_frames_is_found_out_of() {
    let steps = script([
        sent([request_frames(1), request_frames(3)].concat()),
        received(frame(HEADERS, END_HEADERS, 1, ok())),
        received(frame(HEADERS, END_HEADERS, 3, ok())),
        ReceivedGap(1, 100),
        received("rest of a frame"),
        received(frame(DATA, END_STREAM, 1, "end")),
        closed(CloseCause::Freed),
    ]);
    let mut exchanges = Exchanges::new();
    let lines = run_with(&mut exchanges, &steps, &|_, _| Vec::new());
    let ends: Vec<_> = lines
        .into_iter()
        .filter_map(|((_, index, told), _)| matches!(told, End(_)).then_some((index, told)))
        .collect();
    let ended = |how| {
        End(super::End { how, missing_request: 0, missing_response: 100, joined_late: false })
    };
    assert_eq!(ends, [(0, ended(Ended::Complete)), (1, ended(Ended::Gap))]);
    assert_eq!((exchanges.counts().resynchronised, exchanges.counts().skipped_bytes), (1, 15));
}

#[test]
fn lost_header_block_loses_its_message_only() {
    let head = frame(HEADERS, END_HEADERS, 1, ok());
    let steps = script([
        sent([request_frames(1), request_frames(3)].concat()),
        received(&head[..12]),
        ReceivedGap(1, head.len() as u64 - 12),
        received([frame(DATA, END_STREAM, 1, "x"), response_frames(3)].concat()),
    ]);
    let lines = run(&steps);
    let ends: Vec<_> = lines.iter().filter(|(_, _, told)| matches!(told, End(_))).collect();
    let lost = super::End {
        how: Ended::Gap,
        missing_request: 0,
        missing_response: head.len() as u64 - 12,
        joined_late: false,
    };
    assert_eq!(ends, [&(1, 0, End(lost)), &(1, 1, complete())]);
}

#[test]
fn joined_late_tells_what_it_knows() {
    // An indexed :authority that was inserted before; the rest is in the static table.
    let head = [&[0x83, 0x87, 0xc1][..], &block(&[(":path", "/p")])].concat();
    let steps = [
        Open(1, Origin::JoinedLate),
        received(frame(DATA, 0, 5, "of a stream begun before")),
        sent(frame(HEADERS, END_HEADERS | END_STREAM, 7, head)),
        received([frame(DATA, END_STREAM, 5, "end"), response_frames(7)].concat()),
    ];
    let told: Vec<_> = run(&steps).into_iter().map(|(_, _, told)| told).collect();
    let asked = [request("POST /p", 0), RequestFieldsUnknown(1), RequestEnd];
    let mut answered = answered();
    answered[1] = response_body("world");
    assert_eq!(told, [asked.to_vec(), answered].concat());
}

#[test]
fn response_to_unseen_request_joins_late() {
    let steps = [Open(1, Origin::JoinedLate), received(response_frames(9))];
    let lines = run(&steps);
    let late = super::End {
        how: Ended::Complete,
        missing_request: 0,
        missing_response: 0,
        joined_late: true,
    };
    assert_eq!(lines.first(), Some(&(1, 0, response(200, 1))));
    assert_eq!(lines.last(), Some(&(1, 0, End(late))));
}

/// The response came first, and of the request's head not all was captured.
#[test]
fn request_lost_behind_its_response_is_the_same_exchange() {
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 9, post());
    let steps = [
        Open(1, Origin::JoinedLate),
        received(frame(HEADERS, END_HEADERS, 9, ok())),
        sent(&head[..12]),
        SentGap(1, head.len() as u64 - 12),
        received(frame(DATA, END_STREAM, 9, "world")),
    ];
    let told: Vec<_> = run(&steps).into_iter().map(|(_, _, told)| told).collect();
    let late = super::End {
        how: Ended::Complete,
        missing_request: head.len() as u64 - 12,
        missing_response: 0,
        joined_late: true,
    };
    let body = response_body("world");
    assert_eq!(told, [response(200, 1), RequestGap, body, ResponseEnd, End(late)]);
}

#[test]
fn frames_taken_for_http1_are_mended() {
    let steps = [
        Open(1, Origin::JoinedLate),
        received(frame(DATA, 0, 5, "looks like one")),
        sent("GET / HTTP/1.1\r\n\r\n"),
        received("HTTP/1.1 204 No\r\n\r\n"),
    ];
    let told: Vec<_> = run(&steps).into_iter().map(|(_, _, told)| told).collect();
    assert_eq!(told, [request("GET /", 0), RequestEnd, response(204, 0), ResponseEnd, complete()]);
}

#[test]
fn malformed_frames_lose_the_direction() {
    for bad in [
        frame(CONTINUATION, END_HEADERS, 1, ok()),
        [frame(HEADERS, 0, 1, ok()), frame(DATA, 0, 1, "x")].concat(),
        frame(HEADERS, END_HEADERS | PADDED, 1, [200, 0]),
        frame(DATA, PADDED, 1, [5, 0]),
        frame(DATA, 0, 0, "x"),
        frame(RST_STREAM, 0, 1, [0; 3]),
        frame(HEADERS, END_HEADERS, 1, [0x80]),
    ] {
        let steps = script([sent(request_frames(1)), received(&bad), closed(CloseCause::Freed)]);
        let mut exchanges = Exchanges::new();
        let lines = run_with(&mut exchanges, &steps, &|_, _| Vec::new());
        assert_eq!(lines.last().map(|(line, _)| &line.2), Some(&end(Ended::Malformed)), "{bad:x?}");
        assert_eq!(exchanges.counts().malformed_messages, 1);
        assert_eq!(exchanges.connections(), 0);
    }
}

#[test]
fn endless_blocks_and_streams_are_bounded() {
    let mut endless = frame(HEADERS, 0, 1, []);
    for _ in 0..20 {
        endless.extend(frame(CONTINUATION, 0, 1, vec![0; 16384]));
    }
    let mut exchanges = Exchanges::new();
    run_with(&mut exchanges, &script([sent(endless)]), &|_, _| Vec::new());
    assert_eq!(exchanges.counts().malformed_messages, 1);

    let many: Vec<u8> =
        (0..3000).flat_map(|n| frame(HEADERS, END_HEADERS, 2 * n + 1, post())).collect();
    let mut exchanges = Exchanges::new();
    run_with(&mut exchanges, &script([sent(many)]), &|_, _| Vec::new());
    assert_eq!(exchanges.counts().untracked_streams, 3000 - 2048);
}

#[test]
fn connection_end_ends_all_streams() {
    let requests: Vec<u8> = (0..3).flat_map(|n| request_frames(2 * n + 1)).collect();
    let steps = script([sent(requests), PeerEnded(1, PeerEnd::CloseNotify)]);
    let lines = run(&steps);
    let ends = lines.iter().filter(|(_, _, told)| *told == end(Ended::ServerClosed)).count();
    assert_eq!(ends, 3);
}

proptest! {
    #[test]
    fn hostile_frames_end_every_exchange_once(
        damage in prop::collection::vec((0usize..400, any::<u8>()), 0..8),
        gap in prop::option::of((any::<bool>(), 1u64..60)),
        cuts in prop::collection::vec(0usize..400, 0..6),
        late in any::<bool>(),
    ) {
        let mut steps = script([
            sent([request_frames(1), request_frames(3)].concat()),
            received([response_frames(1), response_frames(3)].concat()),
        ]);
        for (at, byte) in damage {
            if let Step::Sent(_, bytes) | Step::Received(_, bytes) = &mut steps[4 + at % 2] {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
        }
        if let Some((is_sent, missing)) = gap {
            steps.insert(5, if is_sent { SentGap(1, missing) } else { ReceivedGap(1, missing) });
        }
        if late {
            steps[0] = Open(1, Origin::JoinedLate);
        }
        steps.push(closed(CloseCause::Freed));
        let mut exchanges = Exchanges::new();
        let told = run_with(&mut exchanges, &steps, &|_, len| {
            let mut cuts: Vec<_> = cuts.iter().map(|at| at % (len + 1)).collect();
            cuts.sort_unstable();
            cuts
        });
        prop_assert_eq!(exchanges.connections(), 0);
        let mut ended = std::collections::HashMap::new();
        for ((_, index, told), _) in &told {
            prop_assert!(!ended.get(index).is_some_and(|ended| *ended), "event after the end");
            ended.insert(*index, matches!(told, End(_)));
        }
        prop_assert!(ended.values().all(|ended| *ended), "exchange without end: {:?}", told);
    }
}

#[test]
fn grpc_messages_are_told_apart() {
    let grpc =
        |first: &[(&str, &str)]| block(&[first, &[("content-type", "application/grpc")]].concat());
    let message = |text: &str| {
        [&[0, 0, 0, 0, u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat()
    };
    let call = grpc(&[(":method", "POST"), (":path", "/s/m"), ("te", "trailers")]);
    let steps = script([
        sent(frame(HEADERS, END_HEADERS, 1, call)),
        sent(frame(DATA, END_STREAM, 1, message("ask"))),
        received(frame(HEADERS, END_HEADERS, 1, grpc(&[(":status", "200")]))),
        received(frame(DATA, 0, 1, [message("one"), message("two")].concat())),
        received(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(&[("grpc-status", "5")]))),
    ]);
    check(
        &steps,
        &[
            request("POST /s/m", 2),
            request_body("ask"),
            RequestMessageEnd(MessageKind::Grpc),
            RequestEnd,
            response(200, 1),
            response_body("one"),
            ResponseMessageEnd(MessageKind::Grpc),
            response_body("two"),
            ResponseMessageEnd(MessageKind::Grpc),
            ResponseTrailers("{\"grpc-status\": \"5\"}".to_owned()),
            ResponseEnd,
            complete(),
        ],
    );
}

#[test]
fn extended_connect_carries_a_websocket() {
    let connect = block(&[(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/rt")]);
    let hello = b"\x81\x85\x01\x01\x01\x01idmmn";
    let steps = script([
        sent(frame(HEADERS, END_HEADERS, 1, connect)),
        received(frame(HEADERS, END_HEADERS, 1, ok())),
        sent(frame(DATA, 0, 1, &hello[..4])),
        sent(frame(DATA, 0, 1, &hello[4..])),
        received(frame(DATA, END_STREAM, 1, b"\x01\x02wo\x80\x03rld\x88\x02\x03\xe8")),
        sent(frame(DATA, END_STREAM, 1, b"\x88\x80\0\0\0\0")),
    ]);
    check(
        &steps,
        &[
            request("CONNECT /rt", 1),
            response(200, 1),
            request_body("hello"),
            RequestMessageEnd(MessageKind::Text),
            response_body("world"),
            ResponseMessageEnd(MessageKind::Text),
            ResponseClose(Some(1000)),
            ResponseEnd,
            RequestClose(None),
            RequestEnd,
            complete(),
        ],
    );
}

#[test]
fn trailers_of_unseen_messages_are_no_exchange() {
    let trailers = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, block(&[("a", "b")]));
    let steps = [
        Open(1, Origin::JoinedLate),
        sent(request_frames(1)),
        received([trailers(5), response_frames(1)].concat()),
        sent(trailers(7)),
        closed(CloseCause::Freed),
    ];
    let mut exchanges = Exchanges::new();
    let lines = run_with(&mut exchanges, &steps, &|_, _| Vec::new());
    assert!(lines.iter().all(|((_, index, _), _)| *index == 0));
    let counts = exchanges.counts();
    assert_eq!((counts.exchanges, counts.malformed_messages, counts.headless_exchanges), (1, 0, 0));
}
