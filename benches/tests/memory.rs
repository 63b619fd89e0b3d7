//! Memory of connections, counted by the allocator: what 10,000 of them hold once they are idle, and
//! what a segment of an exchange under way takes.

use std::sync::Arc;

mod counting;

use counting::{asked, held as bytes_held};

use llmtap::{
    capture::{Connections, Record},
    export::{Host, Outputs, Resources, Variables},
    genai::{Calls, Options},
    session::{Filters, Pipeline},
    trace::{Clock, Ids, Sampler, Spans},
};
use llmtap_benches::{
    answers, h2,
    records::{readdress, records},
    traffic::{self, Part, received, sent},
};

const CONNECTIONS: u64 = 10_000;

/// Bytes that an idle connection may hold, its share of every map included.
const IDLE_LIMIT: usize = 4096;

/// Everything behind the ring.
struct Stages {
    connections: Connections,
    pipeline: Pipeline,
}

impl Stages {
    fn new() -> Self {
        let resources = Arc::new(Resources::of_host(Host::default(), &Variables::default()));
        let spans = Spans::new(Sampler::default(), Clock::Recorded { boot: 0 }, Ids::Seeded(1));
        let calls = Calls::new(Options::default());
        let filters = Arc::new(Filters::default());
        let pipeline = Pipeline::new(filters, calls, spans, Outputs::new(resources));
        Self { connections: Connections::default(), pipeline }
    }

    /// Gives a record to a connection, and takes it.
    fn take(&mut self, record: &mut [u8], connection: u64) {
        let Self { connections, pipeline } = self;
        readdress(record, connection);
        let record = Record::read(record).expect("a record");
        connections.apply(&record, &mut |_| None, &mut |event| pipeline.on(event));
    }
}

/// What each of many connections holds after these parts, and how many calls there were; `at_once`:
/// all begin before one ends.
fn held(parts: &[Part], at_once: bool) -> (usize, u64) {
    let mut records = records(0, parts);
    // All but the close.
    records.pop();
    let before = bytes_held();
    let mut stages = Stages::new();
    if at_once {
        for record in &mut records {
            (1..=CONNECTIONS).for_each(|id| stages.take(record, id));
        }
    } else {
        for id in 1..=CONNECTIONS {
            records.iter_mut().for_each(|record| stages.take(record, id));
        }
    }
    let held = bytes_held() - before;
    (held / CONNECTIONS as usize, stages.pipeline.counts().calls)
}

fn http1() -> Vec<Part> {
    let request = traffic::request("/v1/chat/completions", "", answers::CHAT_REQUEST.as_bytes());
    let head = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n";
    let chunks: Vec<u8> = answers::in_chunks(&answers::chat(3)).concat();
    vec![sent(request), received(traffic::response(head, &chunks))]
}

fn http2() -> Vec<Part> {
    let body = h2::frame(h2::DATA, h2::END_STREAM, 1, answers::CHAT_REQUEST.as_bytes());
    let events = answers::chat(3).concat();
    vec![
        sent([h2::preface(), h2::head(h2::REQUEST_FIELDS, true, 1, 0), body].concat()),
        received(h2::frame(h2::SETTINGS, 0, 0, &[])),
        received(h2::head(h2::RESPONSE_FIELDS, true, 1, 0)),
        received(h2::frame(h2::DATA, h2::END_STREAM, 1, events.as_bytes())),
    ]
}

/// Both tables filled to their 4,096 octets.
fn full_tables() -> Vec<Part> {
    let fields: Vec<(String, String)> =
        (0..40).map(|n| (format!("x-{n:030}"), "v".repeat(100))).collect();
    let block: Vec<u8> =
        fields.iter().flat_map(|(name, value)| h2::inserted(&[(name, value)])).collect();
    let head = h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &block);
    let status = [&[0x88][..], &block].concat();
    let answer = h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &status);
    let get = [&[0x82, 0x84, 0x87][..], &block].concat();
    let request = h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &get);
    assert_eq!(head.len() + 3, request.len());
    vec![sent([h2::preface(), request].concat()), received(answer)]
}

/// One test, since the counters are the program's.
#[test]
fn memory_of_connections_is_bounded() {
    let calls = CONNECTIONS;
    for (name, parts, at_once, calls, limit) in [
        ("HTTP/1.1 idle, called one after the other", http1(), false, calls, IDLE_LIMIT),
        ("HTTP/1.1 idle, called all at once", http1(), true, calls, IDLE_LIMIT),
        ("HTTP/2 idle, called one after the other", http2(), false, calls, IDLE_LIMIT),
        ("HTTP/2 idle, called all at once", http2(), true, calls, IDLE_LIMIT),
        ("HTTP/2 idle, both HPACK tables full", full_tables(), false, 0, 3 * IDLE_LIMIT),
    ] {
        let (held, counted) = held(&parts, at_once);
        println!("| {name} | {held} |");
        assert_eq!(counted, calls, "{name}");
        assert!(held < limit, "{name}: {held} bytes");
    }
    for (name, mut parts) in
        [("HTTP/1.1, a streamed call", http1()), ("HTTP/2, a streamed call", http2())]
    {
        if let Some(last) = parts.last_mut() {
            last.bytes.truncate(last.bytes.len() - 40);
        }
        let (held, operations) = held(&parts, true);
        println!("| {name} under way | {held} |");
        assert_eq!(operations, 0, "{name}");
        assert!(held < 4 * IDLE_LIMIT, "{name}: {held} bytes");
    }
    segments_of_bodies_take_nothing();
}

fn segments_of_bodies_take_nothing() {
    let head = traffic::response("Content-Length: 1000000\r\n", b"");
    let body = received(vec![b'x'; 900_000]).cut(300);
    let mut records = records(1, &[sent("GET / HTTP/1.1\r\n\r\n"), received(head), body]);
    records.pop();
    let mut stages = Stages::new();
    let (start, body) = records.split_at_mut(3);
    start.iter_mut().for_each(|record| stages.take(record, 1));
    let before = asked();
    body.iter_mut().for_each(|record| stages.take(record, 1));
    assert_eq!(asked(), before, "a body's segment allocates");
}
