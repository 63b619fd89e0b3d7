//! The ring's records, as the kernel side writes them, to events and on to spans.
//! Takes traffic; gives rates of `capture` alone and of everything behind the ring.

use std::sync::Arc;

use criterion::{BatchSize, Throughput};
use llmtap::{
    capture::{Connections, Positions, Record},
    export::{Host, Outputs, Resources, Variables},
    genai::{Calls, Options},
    session::{Filters, Pipeline},
    trace::{Clock, Ids, Sampler, Spans},
};
use llmtap_benches::traffic::{self, Part};
use tracer_ebpf::{Closed, FLAG_SENT, HEADER_LEN, Header, Kind, Opened};

use crate::{Bench, rates};

/// Connections with a stream each.
const CONNECTIONS: u64 = 20;
const EVENTS: usize = 200;

pub(crate) fn rates(criterion: &mut Bench) {
    let parts = rates::chat(EVENTS);
    let records: Vec<_> = (1..=CONNECTIONS).flat_map(|id| records(id, &parts)).collect();
    let segments = CONNECTIONS * traffic::segments(&parts) as u64;

    let mut group = criterion.benchmark_group("records to events");
    group.throughput(Throughput::Elements(segments));
    assert_eq!(events(&records), segments + 2 * CONNECTIONS);
    group.bench_function("an event of 300 bytes a record", |bencher| {
        bencher.iter(|| events(&records));
    });
    group.finish();

    let mut group = criterion.benchmark_group("records to spans");
    group.throughput(Throughput::Elements(segments));
    let mut whole = pipeline();
    spans(&mut whole, &records);
    assert_eq!(whole.counts().calls, CONNECTIONS);
    assert_eq!(whole.counts().output_tokens, 400 * CONNECTIONS);
    group.bench_function("OpenAI chat chunks, an event of 300 bytes a record", |bencher| {
        bencher.iter_batched_ref(
            pipeline,
            |pipeline| spans(pipeline, &records),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// The records of one connection, from its opening to its close.
fn records(connection: u64, parts: &[Part]) -> Vec<Vec<u8>> {
    let header = Header { tgid: 1, process: 1, connection, time: 1, ..Header::default() };
    let opened = Opened { object: 16 * connection, ..Opened::default() };
    let mut all = vec![record(
        Header { kind: Kind::Opened as u32, ..header },
        &plain(&[opened.object, opened.parent, u64::from(opened.origin)]),
    )];
    let mut passed = Closed::default();
    let mut time = 1;
    for part in parts {
        let is_sent = part.direction == llmtap::capture::Direction::Sent;
        for bytes in part.segments() {
            time += 1;
            let position = if is_sent { &mut passed.sent } else { &mut passed.received };
            let header = Header {
                kind: Kind::Data as u32,
                flags: if is_sent { FLAG_SENT } else { 0 },
                offset: *position,
                time,
                ..header
            };
            *position += bytes.len() as u64;
            all.push(record(header, bytes));
        }
    }
    let closed = plain(&[passed.received, passed.sent, passed.last_empty_read]);
    all.push(record(Header { kind: Kind::Closed as u32, time: time + 1, ..header }, &closed));
    all
}

fn plain(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// As it stands in the ring: the header's fields in their order, then the payload.
fn record(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    for field in [header.kind, header.flags, header.tgid, header.tid] {
        bytes.extend(field.to_ne_bytes());
    }
    for field in [header.process, header.connection, header.time, header.offset] {
        bytes.extend(field.to_ne_bytes());
    }
    bytes.extend(u32::try_from(payload.len()).expect("a record's length").to_ne_bytes());
    bytes.extend(header.reserved.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn forget(_: tracer_ebpf::ObjectKey) -> Option<Positions> {
    None
}

fn events(records: &[Vec<u8>]) -> u64 {
    let mut connections = Connections::default();
    let mut count = 0;
    for bytes in records {
        if let Some(record) = Record::read(bytes) {
            connections.apply(&record, &mut forget, &mut |_| count += 1);
        }
    }
    count
}

/// Everything behind the ring but the outputs.
fn pipeline() -> Pipeline {
    let resources = Arc::new(Resources::of_host(Host::default(), &Variables::default()));
    let spans = Spans::new(Sampler::default(), Clock::Recorded { boot: 0 }, Ids::Seeded(1));
    let calls = Calls::new(Options::default());
    let outputs = Outputs::new(resources);
    Pipeline::new(Arc::new(Filters::default()), calls, spans, outputs)
}

fn spans(pipeline: &mut Pipeline, records: &[Vec<u8>]) {
    let mut connections = Connections::default();
    for bytes in records {
        if let Some(record) = Record::read(bytes) {
            connections.apply(&record, &mut forget, &mut |event| pipeline.on(event));
        }
    }
}
