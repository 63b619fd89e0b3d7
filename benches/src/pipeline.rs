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
use llmtap_benches::{records::records, traffic};

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
