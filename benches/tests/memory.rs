//! Memory of connections, counted by the allocator: what 10,000 of them hold once they are idle, and
//! what a segment of an exchange under way takes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use llmtap::{
    capture::{ConnectionId, Event},
    genai::{Calls, Options},
    http::{ExchangeEvent, Exchanges},
};
use llmtap_benches::{
    answers, h2,
    traffic::{self, Part, received, sent},
};

/// Counts what is held, and how often something was asked for.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator, which keeps the trait's rules.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of this same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of this same function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONNECTIONS: u64 = 10_000;

/// Bytes that an idle connection may hold, its share of every map included.
const IDLE_LIMIT: usize = 4096;

struct Stages {
    exchanges: Exchanges,
    calls: Calls,
    operations: usize,
}

impl Stages {
    fn on(&mut self, event: &Event<'_>) {
        let Self { exchanges, calls, operations } = self;
        exchanges.on(event, &mut |event: ExchangeEvent<'_>| {
            *operations += calls.on(&event).len();
        });
    }
}

/// What each of many connections holds after these parts; `at_once`: all begin before one ends.
fn held(parts: &[Part], at_once: bool) -> (usize, usize) {
    let before = HELD.load(Ordering::Relaxed);
    let (exchanges, calls) = (Exchanges::new(), Calls::new(Options::default()));
    let mut stages = Stages { exchanges, calls, operations: 0 };
    let ids = || (1..=CONNECTIONS).map(ConnectionId);
    if at_once {
        ids().for_each(|id| stages.on(&traffic::opened(id)));
        for part in parts {
            let part = std::slice::from_ref(part);
            ids().for_each(|id| traffic::pass(id, part, &mut |event| stages.on(event)));
        }
    } else {
        for id in ids() {
            stages.on(&traffic::opened(id));
            traffic::pass(id, parts, &mut |event| stages.on(event));
        }
    }
    let held = HELD.load(Ordering::Relaxed) - before;
    (held / CONNECTIONS as usize, stages.operations)
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
    for (name, parts, calls, limit) in [
        ("HTTP/1.1 idle", http1(), CONNECTIONS as usize, IDLE_LIMIT),
        ("HTTP/2 idle", http2(), CONNECTIONS as usize, IDLE_LIMIT),
        ("HTTP/2 idle, both tables full", full_tables(), 0, 4 * IDLE_LIMIT),
    ] {
        for (how, at_once) in [("one after the other", false), ("all at once", true)] {
            let (held, operations) = held(&parts, at_once);
            println!("| {name}, {how} | {held} |");
            assert_eq!(operations, calls, "{name}");
            assert!(held < limit, "{name}, {how}: {held} bytes");
        }
    }
    for (name, mut parts) in [("HTTP/1.1 in a stream", http1()), ("HTTP/2 in a stream", http2())] {
        if let Some(last) = parts.last_mut() {
            last.bytes.truncate(last.bytes.len() - 40);
        }
        let (held, operations) = held(&parts, true);
        println!("| {name}, a call under way | {held} |");
        assert_eq!(operations, 0, "{name}");
        assert!(held < 4 * IDLE_LIMIT, "{name}: {held} bytes");
    }
    segments_of_bodies_take_nothing();
}

fn segments_of_bodies_take_nothing() {
    let head = traffic::response("Content-Length: 1000000\r\n", b"");
    let start = [sent("GET / HTTP/1.1\r\n\r\n"), received(head)];
    let body = received(vec![b'x'; 900_000]).cut(300);
    let (exchanges, calls) = (Exchanges::new(), Calls::new(Options::default()));
    let mut stages = Stages { exchanges, calls, operations: 0 };
    let id = ConnectionId(1);
    stages.on(&traffic::opened(id));
    traffic::pass(id, &start, &mut |event| stages.on(event));
    let before = ASKED.load(Ordering::Relaxed);
    traffic::pass(id, &[body], &mut |event| stages.on(event));
    assert_eq!(ASKED.load(Ordering::Relaxed), before, "a body's segment allocates");
}
