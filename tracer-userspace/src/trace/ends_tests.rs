//! Every way a call can end, from the bytes on its connection to what its span says of it.

use std::collections::HashSet;

use opentelemetry::trace::Status;

use super::{Clock, Ids, Sampler, Span, Spans, sample};
use crate::{
    capture::{
        CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin, PeerEnd,
        ProcessId, Security, Segment, Timestamp,
    },
    genai::{Calls, Options},
    http::{ExchangeEvent, Exchanges},
};

const SECOND: u64 = 1_000_000_000;
const CONNECTION: ConnectionId = ConnectionId(1);

/// What happens to a client's connection, a second after what came before.
enum Step {
    Joined,
    Sent(Vec<u8>),
    Received(Vec<u8>),
    ReceivedGap(u64),
    Silence(u64),
    PeerEnded(PeerEnd),
    Closed,
    TracerStopped,
}

use Step::{PeerEnded, Received, Sent};

/// The spans that a script gives, each with the number of the step that gave it.
fn spans(steps: Vec<Step>) -> Vec<(usize, Span)> {
    let clock = Clock::Recorded { boot: sample::BOOT };
    let mut maker = Spans::new(Sampler::default(), clock, Ids::Random);
    let process = sample::process(1, "a");
    let (mut exchanges, mut calls) = (Exchanges::new(), Calls::new(Options::default()));
    let mut spans = Vec::new();
    let mut now = 0;
    for (number, step) in steps.into_iter().enumerate() {
        now += SECOND;
        let mut sink = |event: ExchangeEvent<'_>| {
            for operation in calls.on(&event) {
                let span =
                    maker.span(operation, &process, sample::TLS, clock.measure()).expect("sampled");
                spans.push((number, span));
            }
        };
        let (connection, time) = (CONNECTION, Timestamp(now));
        let opened = |origin| {
            let process = ProcessId { pid: 1, incarnation: 1 };
            let security = Security::Tls;
            Event::Opened(Opened { connection, process, time, origin, security })
        };
        if number == 0 && !matches!(step, Step::Joined) {
            exchanges.on(&opened(Origin::Created), &mut sink);
        }
        let passed = |direction, data| {
            Event::Segment(Segment { connection, direction, offset: 0, time, data, caller: None })
        };
        match &step {
            Step::Joined => exchanges.on(&opened(Origin::JoinedLate), &mut sink),
            Sent(bytes) => exchanges.on(&passed(Direction::Sent, Data::Bytes(bytes)), &mut sink),
            Received(bytes) => {
                exchanges.on(&passed(Direction::Received, Data::Bytes(bytes)), &mut sink);
            }
            Step::ReceivedGap(missing) => {
                exchanges.on(&passed(Direction::Received, Data::Gap(*missing)), &mut sink);
            }
            Step::Silence(nanos) => now += nanos,
            PeerEnded(how) => {
                exchanges.on(&Event::PeerEnded { connection, time, how: *how }, &mut sink);
            }
            Step::Closed => {
                let cause = CloseCause::Freed;
                let closed = Closed { connection, time, cause, last_empty_read: None };
                exchanges.on(&Event::Closed(closed), &mut sink);
            }
            Step::TracerStopped => exchanges.stop(time, &mut sink),
        }
    }
    spans
}

const HOST: &str = "api.openai.com";
const PATH: &str = "/v1/chat/completions";
const ASKED: &str = r#"{"model":"m","messages":[],"stream":true}"#;

fn request() -> Vec<u8> {
    let len = ASKED.len();
    format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len}\r\n\r\n{ASKED}").into()
}

fn head(fields: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{fields}\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .into()
}

/// One event of the answer's text.
const EVENT: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

fn chunk(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// A call up to the middle of its streamed answer, then the steps.
fn broken(last: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let begun = [Sent(request()), Received(head("")), Received(chunk(EVENT))];
    begun.into_iter().chain(last).collect()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("small").to_be_bytes();
    [&[0, len[0], len[1], kind, flags, 0, 0, 0, stream][..], payload].concat()
}

fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let field = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
    fields.iter().flat_map(field).collect()
}

/// HEADERS and DATA of the request on stream 1, with `more` in front of the header block.
fn request_frames(more: &[u8]) -> Vec<u8> {
    let fields = [(":method", "POST"), (":path", PATH), (":authority", HOST)];
    let head = [more, &literals(&fields)].concat();
    [frame(1, 4, 1, &head), frame(0, 1, 1, ASKED.as_bytes())].concat()
}

fn response_head() -> Vec<u8> {
    frame(1, 4, 1, &literals(&[(":status", "200"), ("content-type", "text/event-stream")]))
}

/// An HTTP/2 call, then what the server does.
fn http2(last: Vec<u8>) -> Vec<Step> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    vec![
        Sent([&preface[..], &frame(4, 0, 0, &[]), &request_frames(&[])].concat()),
        Received([frame(4, 0, 0, &[]), last].concat()),
    ]
}

fn gzipped(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// A way of ending, what happens, and what the span says: the status' words, and attributes.
type Row = (&'static str, Vec<Step>, Option<&'static str>, &'static [(&'static str, &'static str)]);

/// Attributes by which ends differ.
const KEYS: [&str; 6] = [
    "error.type",
    "llmtap.ended",
    "llmtap.capture.missing_response_bytes",
    "llmtap.capture.missing_request_bytes",
    "llmtap.capture.unknown_fields",
    "llmtap.capture.unreadable",
];

fn ends_of_the_connection() -> Vec<Row> {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"choices\":[],\"usage\":{}}\n";
    let half = |last| {
        let start = request()[..request().len() - 5].to_vec();
        vec![Sent(start), Received(answer.into()), last]
    };
    vec![
        ("complete", broken([Received(b"0\r\n\r\n".to_vec())]), None, &[]),
        (
            "answered before the request's end",
            half(PeerEnded(PeerEnd::CloseNotify)),
            None,
            &[("llmtap.ended", "answered_early"), ("llmtap.capture.unreadable", "json-truncated")],
        ),
        (
            "client gone",
            broken([Step::Closed]),
            Some("the client ended the call before the response was complete"),
            &[("error.type", "cancelled"), ("llmtap.ended", "cancelled")],
        ),
        (
            "server gone",
            broken([PeerEnded(PeerEnd::CloseNotify)]),
            Some("the server closed the connection before the response was complete"),
            &[("error.type", "connection_closed"), ("llmtap.ended", "connection_closed")],
        ),
        (
            "reset",
            broken([PeerEnded(PeerEnd::SystemCall)]),
            Some("the connection broke before the response was complete"),
            &[("error.type", "connection_reset"), ("llmtap.ended", "connection_reset")],
        ),
        (
            "lost, by whom is not known",
            broken([PeerEnded(PeerEnd::Broken)]),
            Some("the connection ended before the response was complete"),
            &[("error.type", "connection_lost"), ("llmtap.ended", "connection_lost")],
        ),
        (
            "stream reset",
            http2([response_head(), frame(3, 0, 1, &[0, 0, 0, 2])].concat()),
            Some("HTTP/2 stream reset: INTERNAL_ERROR"),
            &[("error.type", "stream_reset"), ("llmtap.ended", "stream_reset")],
        ),
        (
            "stream reset with another code",
            http2([response_head(), frame(3, 0, 1, &[0, 0, 0, 8])].concat()),
            Some("HTTP/2 stream reset: CANCEL"),
            &[("error.type", "stream_reset"), ("llmtap.ended", "stream_reset")],
        ),
        (
            "refused",
            http2(frame(7, 0, 0, &[0; 8])),
            Some("the server went away without taking the request up"),
            &[("error.type", "refused"), ("llmtap.ended", "refused")],
        ),
    ]
}

fn ends_of_the_capture() -> Vec<Row> {
    let zipped = gzipped(EVENT);
    // A call whose answer is all in one piece, compressed.
    let coded = |data: &[u8]| {
        let head = head("Content-Encoding: gzip\r\n");
        vec![Sent(request()), Received([head, chunk(data), b"0\r\n\r\n".to_vec()].concat())]
    };
    vec![
        (
            "no HTTP any more",
            broken([Received(b"no chunk\r\n".to_vec()), Step::Closed]),
            Some("the bytes on the connection stopped being the protocol they began as"),
            &[("error.type", "protocol_error"), ("llmtap.ended", "protocol_error")],
        ),
        (
            "gap over the end",
            broken([Step::ReceivedGap(100), PeerEnded(PeerEnd::CloseNotify)]),
            None,
            &[
                ("llmtap.ended", "capture_gap"),
                ("llmtap.capture.missing_response_bytes", "100"),
                ("llmtap.capture.unreadable", "gap"),
            ],
        ),
        (
            "gap within a whole answer",
            broken([
                Received(b"64\r\n".to_vec()),
                Step::ReceivedGap(100),
                Received([b"\r\n".to_vec(), chunk(EVENT), b"0\r\n\r\n".to_vec()].concat()),
            ]),
            None,
            &[
                ("llmtap.capture.missing_response_bytes", "100"),
                ("llmtap.capture.unreadable", "gap"),
            ],
        ),
        (
            "attached late",
            // The last entry of a table whose beginning was not seen.
            vec![
                Step::Joined,
                Sent(request_frames(&[0x80 | 62])),
                Received([response_head(), frame(0, 1, 1, EVENT.as_bytes())].concat()),
            ],
            None,
            &[("llmtap.capture.unknown_fields", "1")],
        ),
        (
            "tracer stopped",
            broken([Step::TracerStopped]),
            None,
            &[("llmtap.ended", "tracer_stopped")],
        ),
        (
            "content coding that ends early",
            coded(&zipped[..zipped.len() - 6]),
            None,
            &[("llmtap.capture.unreadable", "coding-truncated")],
        ),
        (
            "content coding that is none",
            coded(EVENT.as_bytes()),
            None,
            &[("llmtap.capture.unreadable", "coding-corrupt")],
        ),
    ]
}

#[test]
fn every_end_is_told_apart_on_the_span() {
    let mut said = HashSet::new();
    for (name, steps, words, expected) in
        ends_of_the_connection().into_iter().chain(ends_of_the_capture())
    {
        let spans = spans(steps);
        assert_eq!(spans.len(), 1, "{name}");
        let span = &spans[0].1;
        let status = words.map_or(Status::Unset, Status::error);
        assert_eq!(span.status, status, "{name}");
        let attribute = |key: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
            found.map(|attribute| attribute.value.to_string())
        };
        let got: Vec<_> = KEYS.iter().filter_map(|key| Some((*key, attribute(key)?))).collect();
        let expected: Vec<_> = KEYS
            .iter()
            .filter_map(|key| expected.iter().find(|(name, _)| name == key))
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        assert_eq!(got, expected, "{name}");
        assert!(said.insert((words, got)), "{name} looks like another end");
    }
}

/// Nothing ends a call while its connection lives, however long it is silent.
#[test]
fn stream_with_long_silences_is_one_span() {
    const SILENCE: u64 = 600 * SECOND;
    const EVENTS: u64 = 100;
    let silent = || [Step::Silence(SILENCE), Received(chunk(EVENT))];
    let mut steps = vec![Sent(request()), Received(head(""))];
    steps.extend((0..EVENTS).flat_map(|_| silent()));
    steps.extend([Step::Silence(SILENCE), Received(chunk("data: [DONE]\n\n"))]);
    steps.extend([Step::Silence(SILENCE), Received(b"0\r\n\r\n".to_vec())]);
    let last = steps.len() - 1;
    let spans = spans(steps);
    assert_eq!(spans.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [last]);
    let span = &spans[0].1;
    assert_eq!(span.status, Status::Unset);
    assert_eq!(span.operation.response.chunks, EVENTS);
    // Two steps of a second each for every silence and for its end.
    let seconds = (EVENTS + 2) * (600 + 2) + 1;
    let took = span.end.duration_since(span.start).expect("not reversed");
    assert_eq!(took.as_secs(), seconds);
    let first = span.operation.timing.first_chunk.expect("a stream");
    assert_eq!(first.since(span.operation.timing.start), (600 + 2 + 1) * SECOND);
}
