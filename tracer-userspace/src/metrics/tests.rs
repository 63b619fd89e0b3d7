use std::{collections::HashSet, fs, path::Path};

use super::{
    declarations::{Kind, METRICS, Metric, Source, Unit},
    process::Usage,
    text,
};
use crate::{
    capture::{Captured, LostCount},
    export::{Tallies, Tally},
    session::Status,
};

/// The name that a sample has.
fn name(metric: &Metric) -> String {
    let unit = match metric.unit {
        Some(Unit::Bytes) => "_bytes",
        Some(Unit::Seconds) => "_seconds",
        None => "",
    };
    let total = if metric.kind == Kind::Counter { "_total" } else { "" };
    format!("{}{unit}{total}", metric.name)
}

fn status() -> Status {
    let tally = Tally { sent: 11, queue_full: 12, refused: 13, unsent: 14, error: None };
    let mut status = Status {
        captured: Captured { bytes: 1 << 40, records: 2 },
        unreadable: 3,
        outputs: Tallies { lines: None, otlp: Some(tally) },
        ..Status::default()
    };
    status.lost.shed_body = LostCount { bytes: 4, records: 5 };
    status.strain.entered = [6, 7, 8];
    (status.calls.calls, status.calls.errors) = (9, 1);
    status
}

#[test]
fn numbers_are_in_the_text() {
    let text = text::of(&status(), &Usage::default()).unwrap();
    for line in [
        "llmtap_captured_bytes_total 1099511627776.0",
        "llmtap_lost_bytes_total{cause=\"shed_body\"} 4.0",
        "llmtap_lost_bytes_total{cause=\"ring_full\"} 0.0",
        "llmtap_lost_records_total{cause=\"shed_body\"} 5.0",
        "llmtap_lost_records_total{cause=\"not_understood\"} 3.0",
        "llmtap_degradations_total{step=\"bodies\"} 7.0",
        "llmtap_calls_total{result=\"success\"} 8.0",
        "llmtap_spans_total{output=\"otlp\",result=\"refused\"} 13.0",
        "llmtap_queued_spans{output=\"otlp\"} 14.0",
    ] {
        assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("output=\"lines\""), "there is no such output");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn declarations_are_sound() {
    let source = Source { status: status(), usage: Usage::default() };
    let mut names = HashSet::new();
    for metric in METRICS {
        let name = name(metric);
        assert!(names.insert(name.clone()), "{name} is declared twice");
        assert!(name.starts_with("llmtap_") || name.starts_with("process_"), "{name}");
        assert!(!metric.help.is_empty() && !metric.help.ends_with('.'), "{name}");
        let samples = (metric.read)(&source);
        let labels: HashSet<_> = samples.iter().map(|(values, _)| values).collect();
        assert_eq!(labels.len(), samples.len(), "{name} has samples with the same labels");
        assert!(labels.iter().all(|values| values.len() == metric.labels.len()), "{name}");
    }
}

fn page() -> String {
    let mut page = String::from(
        "# llmtap's own metrics\n\n\
         `llmtap run` serves them where `metrics.listen` of its configuration says, `llmtap trace` with\n\
         `--metrics-listen ADDR`: OpenMetrics text at `/metrics`. What they tell is at most half a second old. This\n\
         page is made from `tracer-userspace/src/metrics/declarations.rs` by\n\
         `LLMTAP_WRITE_DOCS=1 cargo test -p tracer-userspace metrics`.\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    let source = Source {
        status: Status {
            outputs: Tallies { lines: Some(Tally::default()), otlp: Some(Tally::default()) },
            ..Status::default()
        },
        usage: Usage::default(),
    };
    for metric in METRICS {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        let samples = (metric.read)(&source);
        let labels = metric.labels.iter().enumerate().map(|(index, label)| {
            let mut values: Vec<_> =
                samples.iter().map(|(values, _)| format!("`{}`", values[index])).collect();
            values.sort();
            values.dedup();
            format!("`{label}`: {}", values.join(", "))
        });
        let labels: Vec<_> = labels.collect();
        page +=
            &format!("| `{}` | {kind} | {} | {} |\n", name(metric), labels.join("; "), metric.help);
    }
    page
}

#[test]
fn reference_page_is_the_declarations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("LLMTAP_WRITE_DOCS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "docs/metrics.md is out of date: it says how to write it anew");
}
