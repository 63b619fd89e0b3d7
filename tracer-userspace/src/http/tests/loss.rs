//! Gaps, malformed bytes, connections joined late: what is told, what is counted.

use super::{Told::*, *};
use crate::http::{Counts, Passing};

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn ended(how: Ended, missing_request: u64, missing_response: u64) -> Told {
    End(super::End { how, missing_request, missing_response, joined_late: false })
}

/// The ends that a script gives, with their exchange's number, and what was counted.
fn ends(steps: &[Step]) -> (Vec<(u64, Told)>, Counts) {
    let mut exchanges = Exchanges::new();
    let lines = run_with(&mut exchanges, steps, &|_, _| Vec::new());
    let ends = lines
        .into_iter()
        .filter_map(|((_, index, told), _)| matches!(told, End(_)).then_some((index, told)))
        .collect();
    (ends, exchanges.counts())
}

#[test]
fn gap_in_length_keeps_framing() {
    let start = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01";
    let steps = [created(), sent(GET), received(start), ReceivedGap(1, 5), received("789")];
    let told: Vec<_> = run(&steps).into_iter().skip(2).map(|(_, _, told)| told).collect();
    let expected = [
        response(200, 1),
        response_body("01"),
        ResponseGap,
        response_body("789"),
        ResponseEnd,
        ended(Ended::Complete, 0, 5),
    ];
    assert_eq!(told, expected);
}

#[test]
fn gap_to_the_end_of_length_completes() {
    let start = "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n01";
    let (ends, _) = ends(&[created(), sent(start), SentGap(1, 8), received(OK)]);
    assert_eq!(ends, [(0, ended(Ended::Complete, 8, 0))]);
}

#[test]
fn gap_within_chunk_keeps_framing() {
    let start = [CHUNKED, "a\r\n01"].concat();
    let steps =
        [created(), sent(GET), received(start), ReceivedGap(1, 5), received("789\r\n0\r\n\r\n")];
    assert_eq!(ends(&steps).0, [(0, ended(Ended::Complete, 0, 5))]);
}

#[test]
fn gap_beyond_chunk_goes_on_at_the_next() {
    let start = [CHUNKED, "a\r\n01"].concat();
    let steps = [
        created(),
        sent(GET),
        received(start),
        ReceivedGap(1, 15),
        received("6789\r\n"),
        received("5\r\nhello\r\n3\r\nyou"),
        received("\r\n0\r\n\r\n"),
        sent(GET),
        received(OK),
    ];
    let (ends, counts) = ends(&steps);
    assert_eq!(ends, [(0, ended(Ended::Complete, 0, 21)), (1, complete())]);
    assert_eq!((counts.resynchronised, counts.skipped_bytes), (1, 6));
    let lines = run(&steps);
    assert!(lines.contains(&(1, 0, response_body("helloyou"))), "{lines:?}");
}

#[test]
fn gap_beyond_chunk_may_lose_the_rest() {
    let start = [CHUNKED, "a\r\n01"].concat();
    let lost = [created(), sent(GET), received(start), ReceivedGap(1, 15), received("0\r\n\r")];
    for (next, index) in [(sent(GET), 1), (closed(CloseCause::Freed), 0), (received(OK), 1)] {
        let (ends, _) = ends(&[&lost[..], &[next, received(OK)]].concat());
        assert_eq!(ends[0], (0, ended(Ended::Gap, 0, 19)), "{index}");
        assert!(ends.len() > index);
    }
}

#[test]
fn gap_in_response_head_loses_it() {
    let steps = [
        created(),
        sent(GET),
        received("HTTP/1.1 200"),
        ReceivedGap(1, 30),
        received("rest"),
        sent(GET),
        received(OK),
    ];
    assert_eq!(ends(&steps).0, [(0, ended(Ended::Gap, 0, 30)), (1, complete())]);
}

#[test]
fn lost_request_keeps_its_response() {
    for request in [vec![SentGap(1, 99)], vec![sent("POST / HT"), SentGap(1, 60), SentGap(1, 39)]] {
        let steps = [
            vec![created(), sent(GET), received(OK)],
            request,
            vec![received(OK), sent(POST), received(OK)],
        ];
        let (ends, counts) = ends(&steps.concat());
        let expected = [(0, complete()), (1, ended(Ended::Gap, 99, 0)), (2, complete())];
        assert_eq!(ends, expected);
        assert_eq!(counts.headless_exchanges, 0);
    }
}

#[test]
fn gap_over_two_messages_never_mispairs() {
    // The gap swallows the rest of one response and the whole of the next.
    let start = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01";
    let steps = [
        created(),
        sent(GET),
        received(start),
        ReceivedGap(1, 90),
        sent(GET),
        sent(GET),
        received("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"),
    ];
    let (ends, counts) = ends(&steps);
    // Two requests in a row without any response between: pipelining, so no pairing is certain.
    assert_eq!(ends[0], (0, ended(Ended::Complete, 0, 8)));
    assert_eq!(ends[1..], [(1, ended(Ended::Gap, 0, 0))]);
    assert_eq!((counts.given_up_connections, counts.headless_exchanges), (1, 0));
}

#[test]
fn pipelining_that_loses_step_is_given_up() {
    let steps = [created(), sent([GET, GET].concat()), ReceivedGap(1, 10), received(OK)];
    let (ends, counts) = ends(&steps);
    assert_eq!(ends, [(0, ended(Ended::Gap, 0, 10)), (1, ended(Ended::Gap, 0, 0))]);
    assert_eq!((counts.given_up_connections, counts.skipped_bytes), (1, OK.len() as u64));
}

#[test]
fn malformed_messages_are_counted_and_left() {
    let get = ["GET / HTTP/1.1\r\n", "bad header\r\n\r\n"].concat();
    for bad in [
        get.as_str(),
        "POST / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, x\r\n\r\n",
        "POST / HTTP/2.7\r\n\r\n",
    ] {
        let steps = [created(), sent(bad), received(OK), sent(POST), received(OK)];
        let (ends, counts) = ends(&steps);
        assert_eq!(ends, [(0, ended(Ended::Malformed, 0, 0)), (1, complete())], "{bad}");
        assert_eq!((counts.malformed_messages, counts.resynchronised), (1, 1));
    }
}

#[test]
fn malformed_chunks_end_the_exchange() {
    for bad in ["x\r\n", ";\r\n", "00000000000000001\r\n", "1\r\nabc", "1 1\r\n", "0\r\n\rx"] {
        let bad = [CHUNKED, bad].concat();
        let (ends, counts) = ends(&[created(), sent(GET), received(bad), sent(GET), received(OK)]);
        assert_eq!(ends, [(0, ended(Ended::Malformed, 0, 0)), (1, complete())]);
        assert_eq!(counts.malformed_messages, 1);
    }
}

#[test]
fn endless_heads_chunks_and_trailers_are_bounded() {
    let long = |start: &str| [start, &"a".repeat(300 * 1024)].concat();
    for bad in [
        long("HTTP/1.1 200 OK\r\nX: "),
        long(&[CHUNKED, "1;"].concat()),
        long(&[CHUNKED, "0\r\n"].concat()),
        ["HTTP/1.1 200 OK\r\n", &"a: b\r\n".repeat(201), "\r\n"].concat(),
    ] {
        let (ends, counts) = ends(&[created(), sent(GET), received(bad)]);
        assert_eq!(ends, [(0, ended(Ended::Malformed, 0, 0))]);
        assert_eq!(counts.malformed_messages, 1);
    }
}

#[test]
fn joined_late_waits_for_message() {
    let late = Open(1, Origin::JoinedLate);
    let steps =
        [late, received("I am text of a body"), received("HTTP is nice"), sent(GET), received(OK)];
    let (ends, counts) = ends(&steps);
    assert_eq!(ends, [(0, complete())]);
    assert_eq!(counts.skipped_bytes, 31);
}

#[test]
fn response_without_seen_request_joins_late() {
    let (ends, _) = ends(&[Open(1, Origin::JoinedLate), received(OK), sent(GET), received(OK)]);
    let late = super::End {
        how: Ended::Complete,
        missing_request: 0,
        missing_response: 0,
        joined_late: true,
    };
    assert_eq!(ends, [(0, End(late)), (1, complete())]);
}

#[test]
fn foreign_connections_are_counted() {
    for foreign in ["220 mail.example ESMTP\r\n", "\x16\x03\x01", "get / HTTP/1.1\r\n", "POST\t"] {
        let (ends, counts) = ends(&[created(), received(foreign), sent("EHLO a\r\n")]);
        assert_eq!(ends, []);
        let bytes = foreign.len() as u64 + 8;
        assert_eq!((counts.foreign_connections, counts.foreign_bytes), (1, bytes), "{foreign}");
    }
}

/// Empty lines may stand before a request line alone; a fuzzer had them swallowed as a frame's header.
#[test]
fn empty_lines_are_no_part_of_http2() {
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9];
    for cut in [0, 1, 2, 3, 8] {
        let mut bytes = b"\r\n".to_vec();
        bytes.extend(settings);
        let (first, rest) = bytes.split_at(cut);
        let steps = [created(), sent(first), sent(rest)];
        let (ends, counts) = ends(&steps);
        assert_eq!(ends, []);
        assert_eq!((counts.foreign_connections, counts.foreign_bytes), (1, 17), "cut at {cut}");
    }
}

#[test]
fn first_bytes_that_tell_nothing_are_counted() {
    let (_, counts) = ends(&[created(), sent("\r\nPO"), received("HT"), received("220 mail")]);
    assert_eq!((counts.foreign_bytes, counts.skipped_bytes), (14, 0));
    for end in [closed(CloseCause::Freed), SentGap(1, 5)] {
        let (_, counts) = ends(&[created(), sent("PO"), end]);
        assert_eq!((counts.foreign_bytes, counts.skipped_bytes), (0, 2));
    }
}

/// No capture gives an id twice; a recording can say anything.
#[test]
fn connection_that_is_opened_again_ends_what_was_under_way() {
    let again = [created(), sent(GET), created(), sent(GET), received(OK)];
    let (ends, _) = ends(&again);
    assert_eq!(ends, [(0, end(Ended::ClientGone)), (0, complete())]);
    let forked = [created(), Open(2, Origin::Inherited(ConnectionId(1))), created()];
    let used = [Step::Sent(2, GET.into()), Step::Closed(2, CloseCause::Freed)];
    run(&[&forked[..], &used].concat());
}

#[test]
fn bytes_of_unknown_connections_are_counted() {
    let (ends, counts) = ends(&[received(OK), ReceivedGap(1, 10)]);
    assert_eq!((ends, counts.stray_bytes), (Vec::new(), OK.len() as u64 + 10));
}

#[test]
fn endless_pipeline_is_bounded() {
    let mut exchanges = Exchanges::new();
    let steps = [created(), sent(GET.repeat(2000))];
    run_with(&mut exchanges, &steps, &|_, _| Vec::new());
    assert_eq!(exchanges.counts().given_up_connections, 1);
    assert_eq!(exchanges.counts().exchanges, 1024);
}

#[test]
fn opaque_upgrade_ends_with_its_connection() {
    let get = "GET / HTTP/1.1\r\nUpgrade: other\r\n\r\n";
    let switch = "HTTP/1.1 101 x\r\nUpgrade: other\r\n\r\nbytes";
    for (how, expected) in
        [(PeerEnd::CloseNotify, Ended::Complete), (PeerEnd::SystemCall, Ended::ServerReset)]
    {
        let steps = [created(), sent(get), received(switch), PeerEnded(1, how)];
        let (ends, counts) = ends(&steps);
        assert_eq!(ends, [(0, ended(expected, 0, 0))]);
        assert_eq!(counts.skipped_bytes, 5);
    }
}

#[test]
fn bytes_behind_a_response_cost_no_other() {
    let steps = [created(), sent(GET), received([OK, "surplus"].concat()), sent(GET), received(OK)];
    let (ends, counts) = ends(&steps);
    assert_eq!(ends, [(0, complete()), (1, complete())]);
    assert_eq!((counts.malformed_messages, counts.skipped_bytes), (1, 7));
}

/// What may be passed over once the script is over.
fn passing(steps: &[Step]) -> Option<Passing> {
    let mut exchanges = Exchanges::new();
    run_with(&mut exchanges, steps, &|_, _| Vec::new());
    exchanges.passing(ConnectionId(1))
}

#[test]
fn only_body_under_way_may_be_passed_over() {
    let body = |direction, left| Some(Passing::Body { direction, left });
    let upload = "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n01";
    let download = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01";
    let until_close = "HTTP/1.1 200 OK\r\n\r\n01";
    let in_chunks = [CHUNKED, "a\r\n01"].concat();
    let cases = [
        (vec![sent(upload)], body(Direction::Sent, Some(8))),
        (vec![sent(GET), received(download)], body(Direction::Received, Some(8))),
        (vec![received(GET), sent(download)], body(Direction::Sent, Some(8))),
        (vec![sent(GET), received(until_close)], body(Direction::Received, None)),
        (vec![sent(GET), received(&in_chunks)], body(Direction::Received, None)),
        // Behind what was passed over it is the same body still.
        (
            vec![sent(GET), received(&in_chunks), ReceivedGap(1, 999)],
            body(Direction::Received, None),
        ),
        // Between messages, and within a head, the next bytes may be of any call.
        (vec![], None),
        (vec![sent(GET)], None),
        (vec![sent(GET), received(OK)], None),
        (vec![sent(&upload[..20])], None),
        (vec![sent(GET), received(&download[..20])], None),
        // How a request in chunks ends is not known before it is read.
        (vec![sent("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")], None),
        // Behind the answer to the first there may be one to an LLM call.
        (vec![sent([GET, POST].concat()), received(download)], None),
        (vec![sent("no HTTP, whatever it may be")], Some(Passing::Nothing)),
    ];
    for (steps, expected) in cases {
        assert_eq!(passing(&[vec![created()], steps.clone()].concat()), expected, "{steps:?}");
    }
}

#[test]
fn next_call_is_whole_behind_what_was_passed_over() {
    for start in [[CHUNKED, "a\r\n01"].concat(), [CHUNKED, "5\r\nhello\r\n"].concat()] {
        let steps = [
            created(),
            sent(GET),
            received(&start),
            ReceivedGap(1, 4321),
            sent(POST),
            received(OK),
        ];
        let (ends, _) = ends(&steps);
        assert_eq!(ends.last(), Some(&(1, ended(Ended::Complete, 0, 0))), "{ends:?}");
        assert_eq!(ends.len(), 2);
    }
}

/// Positions of a recording may be anything.
#[test]
fn missing_bytes_beyond_all_numbers_are_as_many_as_can_be_told() {
    let start = "HTTP/1.1 200 OK\r\n\r\nendless";
    let gap = ReceivedGap(1, u64::MAX - 1);
    let steps = [created(), sent(GET), received(start), gap.clone(), gap];
    let (_, counts) = ends(&steps);
    assert_eq!(counts.exchanges, 0);
    let stray = [ReceivedGap(2, u64::MAX - 1), ReceivedGap(2, u64::MAX - 1)];
    assert_eq!(ends(&stray).1.stray_bytes, u64::MAX);
    let steps = [&steps[..], &[closed(CloseCause::TracerStopped)]].concat();
    assert_eq!(ends(&steps).0, [(0, ended(Ended::TracerStopped, 0, u64::MAX))]);
}
