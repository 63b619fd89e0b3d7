//! Every metric, declared once: name, unit, labels, meaning, and where its numbers are.
//! Takes a status and llmtap's own usage; gives numbers by label values.
//! `docs/metrics.md` is made of these declarations.

use std::{
    borrow::Cow,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{process::Usage, programs};
use crate::{doctor::Program, export::Tally, session::Status};

/// What all numbers are taken from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) status: Status,
    /// What is seen of the traced programs.
    pub(super) programs: Vec<Program>,
    pub(super) usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows; its name gets `_total`.
    Counter,
    Gauge,
}

/// What is counted, where it is no number of things; the name gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Seconds,
}

/// Values of the labels, and the number.
pub(super) type Sample = (Vec<Cow<'static, str>>, f64);

pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Option<Unit>,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    pub(super) read: fn(&Source) -> Vec<Sample>,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    read: fn(&Source) -> Vec<Sample>,
) -> Metric {
    Metric { name, kind: Kind::Counter, unit: None, labels: &[], help, read }
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Source) -> Vec<Sample>) -> Metric {
    Metric { kind: Kind::Gauge, ..counter(name, help, read) }
}

impl Metric {
    const fn of(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }
}

fn one(number: u64) -> Vec<Sample> {
    vec![(Vec::new(), number as f64)]
}

fn each<const COUNT: usize>(numbers: [(&'static str, u64); COUNT]) -> Vec<Sample> {
    numbers.map(|(value, number)| (vec![value.into()], number as f64)).to_vec()
}

pub(super) const METRICS: &[Metric] = &[
    counter("llmtap_captured", "Plaintext that passed and was captured", |source| {
        one(source.status.captured.bytes)
    })
    .of(Unit::Bytes),
    counter("llmtap_captured_records", "Records read from the ring", |source| {
        one(source.status.captured.records)
    }),
    counter("llmtap_lost", "Plaintext that passed and was not captured", |source| {
        let lost = source.status.lost.by_cause();
        lost.map(|(cause, count)| (vec![cause.into()], count.bytes as f64)).to_vec()
    })
    .of(Unit::Bytes)
    .by(&["cause"]),
    counter("llmtap_lost_records", "Records that were not delivered or not understood", |source| {
        let lost = source.status.lost.by_cause();
        let mut all: Vec<_> =
            lost.map(|(cause, count)| (vec![cause.into()], count.records as f64)).to_vec();
        all.push((vec!["not_understood".into()], source.status.unreadable as f64));
        all
    })
    .by(&["cause"]),
    gauge("llmtap_ring", "Size of the ring between the kernel and llmtap", |source| {
        one(source.status.ring_bytes.into())
    })
    .of(Unit::Bytes),
    gauge("llmtap_ring_unread", "What waits in the ring", |source| {
        one(source.status.strain.unread)
    })
    .of(Unit::Bytes),
    gauge(
        "llmtap_degradation_level",
        "Step of degradation under overload: 0 none, 1 no text of messages, 2 no bodies of other calls, \
         3 no other connections",
        |source| one(source.status.strain.level.into()),
    ),
    counter("llmtap_degradations", "Times that a step of degradation was taken", |source| {
        let [content, bodies, connections] = source.status.strain.entered;
        each([("content", content), ("bodies", bodies), ("connections", connections)])
    })
    .by(&["step"]),
    gauge("llmtap_processes", "Traced processes that live", |source| {
        one(source.status.processes as u64)
    }),
    gauge("llmtap_connections", "TLS connections that are open", |source| {
        one(source.status.connections as u64)
    }),
    counter("llmtap_exchanges", "HTTP exchanges that ended", |source| {
        let http = &source.status.http;
        each([
            ("with_request", http.exchanges.saturating_sub(http.unasked_exchanges)),
            ("without_request", http.unasked_exchanges),
            ("without_head", http.headless_exchanges),
        ])
    })
    .by(&["kind"]),
    counter("llmtap_malformed_messages", "Messages that break their protocol's rules", |source| {
        one(source.status.http.malformed_messages)
    }),
    counter(
        "llmtap_resynchronisations",
        "Times that a message's start was found again",
        |source| one(source.status.http.resynchronised),
    ),
    counter("llmtap_skipped", "Captured plaintext that no message could be made of", |source| {
        let http = &source.status.http;
        each([
            ("out_of_step", http.skipped_bytes),
            ("no_http", http.foreign_bytes),
            ("no_connection", http.stray_bytes),
        ])
    })
    .of(Unit::Bytes)
    .by(&["cause"]),
    counter("llmtap_unreadable_bodies", "Bodies whose coding could not be removed", |source| {
        one(source.status.http.unreadable_bodies)
    }),
    counter("llmtap_untracked_streams", "HTTP/2 streams that were not followed", |source| {
        let http = &source.status.http;
        each([("bound", http.untracked_streams), ("pushed", http.pushed_streams)])
    })
    .by(&["cause"]),
    counter("llmtap_unfollowed_connections", "Connections that are no longer read", |source| {
        let http = &source.status.http;
        each([("given_up", http.given_up_connections), ("no_http", http.foreign_connections)])
    })
    .by(&["cause"]),
    gauge("llmtap_open_calls", "Exchanges under way that may be LLM calls", |source| {
        one(source.status.open_calls as u64)
    }),
    counter("llmtap_calls", "LLM calls that ended", |source| {
        let calls = &source.status.calls;
        each([("success", calls.calls.saturating_sub(calls.errors)), ("error", calls.errors)])
    })
    .by(&["result"]),
    counter("llmtap_incomplete_calls", "LLM calls with bytes missing or joined late", |source| {
        one(source.status.calls.incomplete)
    }),
    counter("llmtap_shed_contents", "LLM calls without their text, under overload", |source| {
        one(source.status.calls.shed_contents)
    }),
    counter("llmtap_tokens", "Tokens of LLM calls", |source| {
        let calls = &source.status.calls;
        each([("input", calls.input_tokens), ("output", calls.output_tokens)])
    })
    .by(&["type"]),
    counter("llmtap_unsampled_calls", "LLM calls that sampling left out", |source| {
        one(source.status.calls.unsampled)
    }),
    counter("llmtap_spans", "Spans (of lines: lines) by output and what became of them", |source| {
        results(outputs(source))
    })
    .by(&["output", "result"]),
    gauge("llmtap_queued_spans", "Spans that wait for an output", |source| {
        waiting(outputs(source))
    })
    .by(&["output"]),
    counter("llmtap_data_points", "Data points of metrics and what became of them", |source| {
        results(one_output("otlp", source.status.outputs.otlp.metrics.as_ref()))
    })
    .by(&["output", "result"]),
    counter("llmtap_log_records", "Events and what became of them", |source| {
        results(one_output("otlp", source.status.outputs.otlp.logs.as_ref()))
    })
    .by(&["output", "result"]),
    counter(
        "llmtap_overflowed_measurements",
        "Measurements of calls' metrics beyond the bounds: counted without their attributes, or lost",
        |source| {
            let overflow = source.status.overflow;
            each([("without_attributes", overflow.without_attributes), ("lost", overflow.lost)])
        },
    )
    .by(&["result"]),
    gauge(
        "llmtap_program_processes",
        "Traced processes that hold TCP connections, by program and whether its TLS is seen, and why; \
         those beyond 256 programs together without names",
        programs::processes,
    )
    .by(&programs::LABELS),
    gauge(
        "llmtap_program_connections",
        "Their connections: `followed`, those whose plaintext is seen; `other`, established sockets that \
         none of these is known to be on",
        programs::connections,
    )
    .by(&programs::CONNECTION_LABELS),
    counter("llmtap_reloads", "Changes of the configuration's file while running", |source| {
        let reloads = source.status.reloads;
        each([("applied", reloads.applied), ("refused", reloads.refused)])
    })
    .by(&["result"]),
    gauge(
        "llmtap_last_reload_timestamp",
        "When a change of the configuration was last applied, since 1970; absent before",
        |source| {
            let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
            let last = source.status.reloads.last_applied.map(since);
            last.map(|since| (Vec::new(), since.as_secs_f64())).into_iter().collect()
        },
    )
    .of(Unit::Seconds),
    counter("process_cpu", "Processor time of llmtap", |source| {
        vec![(Vec::new(), source.usage.processor.as_secs_f64())]
    })
    .of(Unit::Seconds),
    gauge("process_resident_memory", "Resident memory of llmtap", |source| {
        one(source.usage.resident_bytes)
    })
    .of(Unit::Bytes),
];

type Outputs<'a> = Vec<(&'static str, &'a Tally)>;

fn outputs(source: &Source) -> Outputs<'_> {
    let tallies = &source.status.outputs;
    let all = [("lines", &tallies.lines), ("otlp", &tallies.otlp.traces)];
    all.into_iter().filter_map(|(output, tally)| Some((output, tally.as_ref()?))).collect()
}

fn one_output<'a>(name: &'static str, tally: Option<&'a Tally>) -> Outputs<'a> {
    tally.into_iter().map(|tally| (name, tally)).collect()
}

fn results(outputs: Outputs<'_>) -> Vec<Sample> {
    let results = |(output, tally): (&'static str, &Tally)| {
        [("exported", tally.sent), ("queue_full", tally.queue_full), ("refused", tally.refused)]
            .map(|(result, count)| (vec![Cow::from(output), Cow::from(result)], count as f64))
    };
    outputs.into_iter().flat_map(results).collect()
}

fn waiting(outputs: Outputs<'_>) -> Vec<Sample> {
    let waiting =
        |(output, tally): (&'static str, &Tally)| (vec![Cow::from(output)], tally.unsent as f64);
    outputs.into_iter().map(waiting).collect()
}
