//! How much each stage takes in a second, alone and with those behind it.
//! Takes criterion; each benchmark first sees that its work is done, so that nothing empty is measured.
//! What is timed is one connection from its opening to its close.

use criterion::{BenchmarkGroup, Throughput};
use llmtap_benches::{
    answers, h2,
    traffic::{self, LARGEST_SEGMENT, Part, Told, received, sent},
};

use crate::{Bench, cpu::CpuTime, pipeline};

/// Bytes of a body that no one inspects.
const BODY: usize = 4 << 20;
const SEGMENTS: [usize; 4] = [256, 1024, 4096, LARGEST_SEGMENT];
/// Events of a streamed answer.
const EVENTS: usize = 2000;
/// Exchanges on one connection.
const EXCHANGES: usize = 500;

pub(crate) fn all(criterion: &mut Bench) {
    segments(criterion);
    bodies(criterion);
    streams(criterion);
    pipeline::rates(criterion);
}

type Group<'a> = BenchmarkGroup<'a, CpuTime>;

/// Segments to exchange events.
fn segments(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("segments to exchanges");
    let exchange = [
        sent(traffic::request("/v1/things", "", b"{\"a\":1}")),
        received(traffic::response("Content-Length: 8\r\n", b"{\"b\":22}")),
    ];
    let small = exchange.iter().cycle().take(2 * EXCHANGES).cloned().collect::<Vec<_>>();
    measure(&mut group, "HTTP/1.1, a message a segment", &small, EXCHANGES);
    measure(&mut group, "HTTP/1.1, a chunk of 300 bytes a segment", &chat(EVENTS), 1);
    measure(&mut group, "HTTP/2, a message a segment", &h2_messages(EXCHANGES), EXCHANGES);
    measure(&mut group, "HTTP/2, a DATA frame of 300 bytes a segment", &h2_stream(EVENTS), 1);
    group.finish();
}

fn measure(group: &mut Group<'_>, name: &str, parts: &[Part], exchanges: usize) {
    assert_eq!(traffic::exchanges(parts).ends, exchanges as u64, "{name}");
    group.throughput(Throughput::Elements(traffic::segments(parts) as u64));
    group.bench_function(name, |bencher| bencher.iter(|| traffic::exchanges(parts)));
}

/// Bodies that no one looks at: nothing but framing.
fn bodies(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("bodies that no one inspects");
    let body = vec![b'x'; BODY];
    let request = || sent("GET /file HTTP/1.1\r\nHost: files.example\r\n\r\n");
    let length = traffic::response(&format!("Content-Length: {BODY}\r\n"), &body);
    let chunked = |size| {
        let chunks = traffic::chunked(&body, size);
        traffic::response("Transfer-Encoding: chunked\r\n", &chunks)
    };
    let framings: [(&str, Vec<Part>); 4] = [
        ("HTTP/1.1, Content-Length", vec![request(), received(length)]),
        ("HTTP/1.1, chunks of 1 KiB", vec![request(), received(chunked(1 << 10))]),
        ("HTTP/1.1, chunks of 16 KiB", vec![request(), received(chunked(16 << 10))]),
        ("HTTP/2, DATA frames of 16 KiB", h2_body(&body)),
    ];
    for (name, parts) in framings {
        for segment in SEGMENTS {
            let parts: Vec<_> = parts.iter().map(|part| part.clone().cut(segment)).collect();
            let told = Told { body_bytes: BODY as u64, ends: 1 };
            assert_eq!(traffic::exchanges(&parts), told, "{name}");
            group.throughput(Throughput::Bytes(BODY as u64));
            let id = format!("{name}, segments of {segment} bytes");
            group.bench_function(id, |bencher| bencher.iter(|| traffic::exchanges(&parts)));
        }
    }
    group.finish();
}

/// Streamed answers, through `http` and `genai` to the operation.
fn streams(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("server-sent events of 300 bytes to operations");
    for (name, parts) in
        [("OpenAI chat chunks", chat(EVENTS)), ("Anthropic deltas", messages(EVENTS))]
    {
        let joined = join(&parts);
        let bytes = traffic::bytes(&parts);
        for (cut, parts) in [("an event a segment", parts), ("segments of 16 KiB", joined)] {
            for (kept, content) in [("", false), (", content kept", true)] {
                let operations = traffic::operations(&parts, content);
                assert_eq!(operations.len(), 1, "{name}");
                assert_eq!(operations[0].response.chunks, EVENTS as u64, "{name}");
                assert_eq!(operations[0].usage.output_tokens, Some(400), "{name}");
                group.throughput(Throughput::Bytes(bytes as u64));
                group.bench_function(format!("{name}, {cut}{kept}"), |bencher| {
                    bencher.iter(|| traffic::operations(&parts, content));
                });
            }
        }
    }
    group.finish();
}

const SSE: &str = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n";

/// A streamed chat, each event a segment.
pub(crate) fn chat(events: usize) -> Vec<Part> {
    let request = traffic::request("/v1/chat/completions", "", answers::CHAT_REQUEST.as_bytes());
    stream(request, &answers::chat(events))
}

pub(crate) fn messages(events: usize) -> Vec<Part> {
    let request = traffic::request("/v1/messages", "", answers::MESSAGES_REQUEST.as_bytes());
    stream(request, &answers::messages(events))
}

/// A chat that is not streamed.
pub(crate) fn asked(body: &str) -> Vec<Part> {
    let request = traffic::request("/v1/chat/completions", "", body.as_bytes());
    let answer = answers::CHAT_ANSWER.as_bytes();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", answer.len());
    vec![sent(request), received(traffic::response(&headers, answer))]
}

fn stream(request: Vec<u8>, events: &answers::Events) -> Vec<Part> {
    let head = received(traffic::response(SSE, b""));
    let chunks = answers::in_chunks(events).into_iter().map(received);
    [sent(request), head].into_iter().chain(chunks).collect()
}

/// The same bytes with neighbours of one direction in one part, so that they are cut anew.
fn join(parts: &[Part]) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.direction == part.direction => last.bytes.extend(&part.bytes),
            _ => joined.push(part.clone()),
        }
    }
    joined
}

fn h2_messages(exchanges: usize) -> Vec<Part> {
    let mut parts = vec![sent(h2::preface()), received(h2::frame(h2::SETTINGS, 0, 0, &[]))];
    for n in 0..exchanges {
        let stream = 2 * n as u32 + 1;
        let body = h2::frame(h2::DATA, h2::END_STREAM, stream, b"{\"a\":1}");
        parts.push(sent([h2::head(h2::REQUEST_FIELDS, n == 0, stream, 0), body.clone()].concat()));
        parts.push(received([h2::head(h2::RESPONSE_FIELDS, n == 0, stream, 0), body].concat()));
    }
    parts
}

/// One exchange whose answer is these frames.
fn h2_answer(frames: Vec<Part>) -> Vec<Part> {
    let mut parts = vec![
        sent([h2::preface(), h2::head(h2::REQUEST_FIELDS, true, 1, h2::END_STREAM)].concat()),
        received(h2::frame(h2::SETTINGS, 0, 0, &[])),
        received(h2::head(h2::RESPONSE_FIELDS, true, 1, 0)),
    ];
    parts.extend(frames);
    parts.push(received(h2::frame(h2::DATA, h2::END_STREAM, 1, b"")));
    parts
}

fn h2_stream(events: usize) -> Vec<Part> {
    let frame = |event: &String| received(h2::frame(h2::DATA, 0, 1, event.as_bytes()));
    h2_answer(answers::chat(events).iter().map(frame).collect())
}

fn h2_body(body: &[u8]) -> Vec<Part> {
    let frames: Vec<u8> =
        body.chunks(16 << 10).flat_map(|bytes| h2::frame(h2::DATA, 0, 1, bytes)).collect();
    h2_answer(vec![received(frames)])
}
