use std::{
    collections::HashSet,
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use super::{
    calls,
    declarations::{Kind, METRICS, Metric, Source, Unit},
    process::Usage,
    programs::tests::program,
    text,
};
use crate::{
    capture::{Captured, LostCount},
    export::{OtlpTallies, Tallies, Tally},
    meter::Overflow,
    session::{Reloads, Scrape, Status},
    trace::semconv::{INSTRUMENTS, InstrumentKind},
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
        outputs: Tallies {
            lines: None,
            otlp: OtlpTallies { traces: Some(tally.clone()), metrics: Some(tally), logs: None },
        },
        overflow: Overflow { without_attributes: 15, lost: 16 },
        reloads: Reloads {
            applied: 17,
            refused: 18,
            last_applied: Some(UNIX_EPOCH + Duration::from_millis(19_500)),
        },
        ..Status::default()
    };
    status.lost.shed_body = LostCount { bytes: 4, records: 5 };
    status.strain.entered = [6, 7, 8];
    (status.calls.calls, status.calls.errors) = (9, 1);
    status
}

#[test]
fn numbers_are_in_the_text() {
    let programs = vec![program("sh", "it has \"none\"")];
    let source = Source { status: status(), programs, usage: Usage::default() };
    let text = text::of(source, &Scrape::new()).unwrap();
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
        "llmtap_data_points_total{output=\"otlp\",result=\"exported\"} 11.0",
        "llmtap_overflowed_measurements_total{result=\"lost\"} 16.0",
        "llmtap_program_processes{program=\"sh\",container=\"0123456789ab\",coverage=\"not_covered\",\
         why=\"it has \\\"none\\\"\"} 1.0",
        "llmtap_reloads_total{result=\"applied\"} 17.0",
        "llmtap_reloads_total{result=\"refused\"} 18.0",
        "llmtap_last_reload_timestamp_seconds 19.5",
    ] {
        assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("output=\"lines\""), "there is no such output");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn declarations_are_sound() {
    let programs = vec![program("sh", "none"), program("sh", "other")];
    let source = Source { status: status(), programs, usage: Usage::default() };
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
        "# Metrics at `/metrics`\n\n\
         `llmtap run` serves them where `metrics.listen` of its configuration says, `llmtap trace` with\n\
         `--metrics-listen ADDR`, both where `OTEL_METRICS_EXPORTER` names `prometheus`: OpenMetrics text. This\n\
         page is made from `tracer-userspace/src/metrics/declarations.rs` and `trace/semconv/instruments.rs` by\n\
         `LLMTAP_WRITE_DOCS=1 cargo test -p tracer-userspace metrics`.\n\n\
         ## llmtap's own\n\n\
         What they tell is at most half a second old.\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    let source = Source {
        status: Status {
            outputs: Tallies {
                lines: Some(Tally::default()),
                otlp: OtlpTallies {
                    traces: Some(Tally::default()),
                    metrics: Some(Tally::default()),
                    logs: Some(Tally::default()),
                },
            },
            ..Status::default()
        },
        programs: Vec::new(),
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
            // The values of some are the machine's.
            if values.is_empty() {
                return format!("`{label}`");
            }
            format!("`{label}`: {}", values.join(", "))
        });
        let labels: Vec<_> = labels.collect();
        page +=
            &format!("| `{}` | {kind} | {} | {} |\n", name(metric), labels.join("; "), metric.help);
    }
    page + &calls_page()
}

fn calls_page() -> String {
    let mut page = String::from(
        "\n## Of calls\n\n\
         `docs/telemetry.md` tells what they are; here they have Prometheus' names, by the rules of\n\
         OpenTelemetry. Dots of attributes' names are `_`. Each has the labels `job` (the service's name, its\n\
         namespace before it) and `instance` (its `service.instance.id`, where it has one), `otel_scope_name` and\n\
         `otel_scope_version`; `target_info` has the other attributes of the service, but for its processes' own.\n\
         All processes of a service are added up, those that ended too.\n\n\
         | metric | OpenTelemetry's name |\n|---|---|\n",
    );
    for instrument in INSTRUMENTS {
        let suffix = match instrument.kind {
            InstrumentKind::Counter => "_total",
            InstrumentKind::Histogram(_) => "",
        };
        let unit = calls::unit(instrument).map(|unit| format!("_{}", unit.as_str()));
        let name = format!("{}{}{suffix}", calls::name(instrument), unit.unwrap_or_default());
        page += &format!("| `{name}` | `{}` |\n", instrument.name);
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
