//! Against real receivers on the loopback interface, over both protocols.

mod receiver;

use std::collections::BTreeMap;

use ::http::StatusCode;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use receiver::{Receiver, Reply};

use super::*;
use crate::{
    export::{Bounds, Variables},
    meter::{self, Meter},
    trace::{sample, semconv},
};

const LONG: Duration = Duration::from_secs(30);

fn settings(receiver: &Receiver) -> OtlpSettings {
    let options = OtlpOptions {
        endpoint: Some(receiver.url()),
        protocol: Some(receiver.protocol()),
        ..OtlpOptions::default()
    };
    let settings =
        OtlpSettings::resolve(Signal::Traces, &options, &Variables::default()).unwrap().unwrap();
    OtlpSettings { schedule_delay: Duration::from_millis(5), ..settings }
}

/// Sends traces alone.
struct Traces(Otlp);

impl Traces {
    fn push(&self, span: &Span) {
        self.0.push(span);
    }

    fn tally(&self) -> Tally {
        self.0.tallies().traces.unwrap()
    }

    fn finish(self, time: Duration) -> Tally {
        self.0.finish(time).traces.unwrap()
    }
}

fn resources() -> Arc<Resources> {
    Arc::new(Resources::new(&Variables::default()))
}

fn start(settings: &OtlpSettings) -> Traces {
    let receivers = Receivers { traces: Some(settings.clone()), ..Receivers::default() };
    Traces(Otlp::start(&receivers, &resources()).unwrap())
}

/// Waits for what must come, and fails if it does not.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Span names by service, as received.
fn received(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let mut services: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in receiver.requests() {
        for group in request.message.resource_spans {
            let resource = group.resource.unwrap();
            let name = resource.attributes.iter().find(|pair| pair.key == "service.name").unwrap();
            let Some(Value::StringValue(name)) = &name.value.as_ref().unwrap().value else {
                panic!("service.name is no string")
            };
            let spans = group.scope_spans.into_iter().flat_map(|scope| {
                assert_eq!(scope.scope.unwrap().name, "llmtap");
                scope.spans
            });
            services.entry(name.clone()).or_default().extend(spans.map(|span| span.name));
        }
    }
    services
}

fn named(model: &str, pid: u32, service: &str) -> Span {
    let mut operation = sample::operation();
    operation.request.model = Some(model.to_owned());
    sample::span_of(operation, &sample::process(pid, service))
}

#[test]
fn services_keep_their_own_resources() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        let otlp = start(&OtlpSettings { schedule_delay: LONG, ..settings(&receiver) });
        for (model, pid, service) in [("a", 1, "shop"), ("b", 2, "bank"), ("c", 1, "shop")] {
            otlp.push(&named(model, pid, service));
        }
        let tally = otlp.finish(LONG);
        assert_eq!(tally, Tally { sent: 3, ..Tally::default() });
        let expected = BTreeMap::from([
            ("bank".to_owned(), vec!["chat b".to_owned()]),
            ("shop".to_owned(), vec!["chat a".to_owned(), "chat c".to_owned()]),
        ]);
        assert_eq!(received(&receiver), expected);
        assert_eq!(receiver.requests().len(), 1, "one batch is one request");
    }
}

#[test]
fn batches_have_their_bounds() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        let otlp =
            start(&OtlpSettings { batch_items: 10, schedule_delay: LONG, ..settings(&receiver) });
        for _ in 0..25 {
            otlp.push(&sample::span());
        }
        until("two full batches", || receiver.requests().len() == 2);
        assert_eq!(otlp.finish(LONG).sent, 25);
        let sizes: Vec<usize> = receiver
            .requests()
            .iter()
            .map(|request| request.message.resource_spans[0].scope_spans[0].spans.len())
            .collect();
        assert_eq!(sizes, [10, 10, 5]);
    }
}

#[test]
fn headers_and_codings_arrive() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        for (compression, coding) in [
            (Compression::None, None),
            (Compression::Gzip, Some("gzip")),
            (Compression::Zstd, Some("zstd")),
        ] {
            let mut settings = OtlpSettings { compression, ..settings(&receiver) };
            settings.headers.insert("x-api-key", "k".parse().unwrap());
            let otlp = start(&settings);
            otlp.push(&sample::span());
            assert_eq!(otlp.finish(LONG).sent, 1);
            let request = receiver.requests().pop().unwrap();
            assert_eq!(request.headers["x-api-key"], "k");
            assert!(request.headers["user-agent"].to_str().unwrap().starts_with("llmtap/"));
            assert_eq!(request.coding().as_deref(), coding);
            assert_eq!(request.message.resource_spans.len(), 1);
        }
    }
}

#[test]
fn receiver_that_comes_back_is_used_again() {
    for mut receiver in [Receiver::grpc(), Receiver::http()] {
        receiver.stop();
        let otlp = start(&settings(&receiver));
        otlp.push(&named("first", 1, "shop"));
        until("a failed attempt", || otlp.tally().error.is_some());
        otlp.push(&named("second", 1, "shop"));
        assert_eq!(otlp.tally().unsent, 2);
        receiver.start();
        until("delivery", || otlp.tally().sent == 2);
        receiver.stop();
        otlp.push(&named("third", 1, "shop"));
        std::thread::sleep(Duration::from_millis(50));
        receiver.start();
        until("delivery after another stop", || otlp.tally().sent == 3);
        let tally = otlp.finish(LONG);
        assert_eq!((tally.sent, tally.lost()), (3, 0));
        assert_eq!(received(&receiver)["shop"], ["chat first", "chat second", "chat third"]);
    }
}

#[test]
fn receiver_that_is_down_costs_a_full_queue() {
    for mut receiver in [Receiver::grpc(), Receiver::http()] {
        receiver.stop();
        let bounds = Bounds { items: 10, bytes: 1 << 20 };
        let otlp = start(&OtlpSettings { queue: bounds, ..settings(&receiver) });
        for _ in 0..100 {
            otlp.push(&sample::span());
        }
        let start = Instant::now();
        let tally = otlp.finish(Duration::from_millis(300));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!((tally.sent, tally.queue_full, tally.unsent), (0, 90, 10));
        assert!(tally.error.unwrap().contains("refused"));
    }
}

#[test]
fn bytes_bound_the_queue_too() {
    let mut receiver = Receiver::http();
    receiver.stop();
    let size = encode::span(&sample::span()).encoded_len();
    let bounds = Bounds { items: 1000, bytes: 5 * size };
    let otlp = start(&OtlpSettings { queue: bounds, ..settings(&receiver) });
    for _ in 0..8 {
        otlp.push(&sample::span());
    }
    let tally = otlp.finish(Duration::ZERO);
    assert_eq!((tally.queue_full, tally.unsent), (3, 5));
}

#[test]
fn busy_receiver_is_asked_again() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        receiver.next(Reply::Busy);
        let otlp = start(&settings(&receiver));
        otlp.push(&sample::span());
        until("delivery", || otlp.tally().sent == 1);
        assert_eq!(otlp.finish(LONG).lost(), 0);
        assert_eq!(receiver.requests().len(), 2);
    }
}

#[test]
fn refusals_are_counted_not_retried() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        receiver.next(Reply::Refuse);
        let otlp = start(&settings(&receiver));
        otlp.push(&sample::span());
        until("the refusal", || otlp.tally().refused == 1);
        otlp.push(&sample::span());
        let tally = otlp.finish(LONG);
        assert_eq!((tally.sent, tally.refused, tally.unsent), (1, 1, 0));
        assert!(tally.error.unwrap().contains("no such tenant"));
        assert_eq!(receiver.requests().len(), 2);
    }
}

#[test]
fn redirections_that_repeat_the_request_are_followed() {
    let receiver = Receiver::http();
    receiver.next(Reply::Redirect(StatusCode::TEMPORARY_REDIRECT));
    let otlp = start(&settings(&receiver));
    otlp.push(&sample::span());
    assert_eq!(otlp.finish(LONG).sent, 1);
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn answers_of_no_receiver_count_as_refusals() {
    for (reply, word) in [
        (Reply::Redirect(StatusCode::FOUND), "302"),
        (Reply::Redirect(StatusCode::MOVED_PERMANENTLY), "301"),
        (Reply::Page, "web page"),
    ] {
        let receiver = Receiver::http();
        receiver.next(reply);
        let otlp = start(&settings(&receiver));
        otlp.push(&sample::span());
        let tally = otlp.finish(Duration::from_secs(5));
        assert_eq!((tally.sent, tally.refused), (0, 1), "{tally}");
        assert!(tally.error.as_ref().is_some_and(|error| error.contains(word)), "{tally}");
    }
}

#[test]
fn partly_rejected_spans_are_counted() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        receiver.next(Reply::Reject(2));
        let otlp = start(&OtlpSettings { schedule_delay: LONG, ..settings(&receiver) });
        for _ in 0..5 {
            otlp.push(&sample::span());
        }
        let tally = otlp.finish(LONG);
        assert_eq!((tally.sent, tally.refused), (3, 2));
        assert!(tally.error.unwrap().contains("too old"));
    }
}

#[test]
fn slow_receiver_does_not_hold_the_end() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        receiver.next(Reply::Hang);
        let otlp = start(&settings(&receiver));
        otlp.push(&sample::span());
        until("the request", || receiver.requests().len() == 1);
        let start = Instant::now();
        let tally = otlp.finish(Duration::from_millis(100));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!((tally.sent, tally.unsent), (0, 1));
    }
}

#[test]
fn slow_receiver_times_out_and_is_asked_again() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        receiver.next(Reply::Hang);
        let otlp =
            start(&OtlpSettings { timeout: Duration::from_millis(100), ..settings(&receiver) });
        otlp.push(&sample::span());
        until("delivery", || otlp.tally().sent == 1);
        assert_eq!(receiver.requests().len(), 2);
    }
}

#[test]
fn own_authority_is_trusted_alone() {
    for receiver in [Receiver::grpc_tls(), Receiver::http_tls()] {
        let trusting = OtlpSettings { authorities: receiver.authority(), ..settings(&receiver) };
        let otlp = start(&trusting);
        otlp.push(&sample::span());
        assert_eq!(otlp.finish(LONG).sent, 1);
        let otlp = start(&settings(&receiver));
        otlp.push(&sample::span());
        let tally = otlp.finish(Duration::from_millis(500));
        assert_eq!((tally.sent, tally.unsent), (0, 1));
        let error = tally.error.unwrap().to_lowercase();
        assert!(error.contains("certificate"), "{error}");
    }
}

#[test]
fn broken_certificates_are_an_error() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let options =
            OtlpOptions { endpoint: Some("https://localhost".into()), ..OtlpOptions::default() };
        let settings = OtlpSettings::resolve(Signal::Traces, &options, &Variables::default())
            .unwrap()
            .unwrap();
        for pem in ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no PEM", ""]
        {
            let authorities = Some(pem.as_bytes().to_vec());
            let settings = OtlpSettings { protocol, authorities, ..settings.clone() };
            let receivers = Receivers { traces: Some(settings), ..Receivers::default() };
            let result = Otlp::start(&receivers, &resources());
            assert!(matches!(result, Err(OtlpError::Tls(_))), "{pem:?}");
        }
    }
}

#[test]
fn each_signal_has_its_own_way() {
    for receiver in [Receiver::grpc(), Receiver::http()] {
        let options = OtlpOptions {
            endpoint: Some(receiver.url()),
            protocol: Some(receiver.protocol()),
            ..OtlpOptions::default()
        };
        let receivers = Receivers::resolve(&options, &Variables::default()).unwrap();
        let otlp = Otlp::start(&receivers, &resources()).unwrap();
        let mut operation = sample::operation();
        operation.http.status = Some(500);
        let span = sample::span_of(operation, &sample::process(42, "shop"));
        let (collected, time) = measured(&span);
        otlp.push_metrics(&collected, time, Temporality::Cumulative);
        otlp.push(&span);
        let tallies = otlp.finish(LONG);
        assert_eq!(tallies.traces.map(|tally| (tally.sent, tally.lost())), Some((1, 0)));
        assert_eq!(tallies.logs.map(|tally| (tally.sent, tally.lost())), Some((1, 0)));
        let points = collected.metrics.iter().map(|(_, points)| points.len() as u64).sum();
        assert_eq!(tallies.metrics.map(|tally| (tally.sent, tally.lost())), Some((points, 0)));
        let requests = receiver.requests();
        assert_eq!(requests.len(), 3, "a signal is one request");
        let records = requests.iter().flat_map(|one| &one.logs.resource_logs);
        let records: Vec<_> = records.flat_map(|one| &one.scope_logs[0].log_records).collect();
        assert_eq!(records[0].event_name, "gen_ai.client.operation.exception");
        let metrics = requests.iter().flat_map(|one| &one.metrics.resource_metrics);
        let names: Vec<_> = metrics
            .flat_map(|one| &one.scope_metrics[0].metrics)
            .map(|metric| metric.name.as_str())
            .collect();
        assert!(names.contains(&"gen_ai.client.inference.duration"), "{names:?}");
    }
}

/// What a meter collects of the span's operation.
fn measured(span: &Span) -> (Collected<ProcessId, Arc<Process>>, SystemTime) {
    let list = semconv::measurements(&span.operation, sample::TLS, semconv::Profile::Latest);
    let mut meter = Meter::new(meter::Bounds::default(), Temporality::Cumulative);
    meter.record((span.process.id, || span.process.clone()), span.start, &list);
    (meter.collect(span.end, |_| true).remove(0), span.end)
}

#[test]
fn refused_points_are_counted_one_by_one() {
    let receiver = Receiver::http();
    receiver.next(Reply::Refuse);
    let options = OtlpOptions { endpoint: Some(receiver.url()), ..OtlpOptions::default() };
    let receivers = Receivers::resolve(&options, &Variables::default()).unwrap();
    let metrics_alone = Receivers { metrics: receivers.metrics, ..Receivers::default() };
    let otlp = Otlp::start(&metrics_alone, &resources()).unwrap();
    let (collected, time) = measured(&sample::span());
    otlp.push_metrics(&collected, time, Temporality::Cumulative);
    otlp.push(&sample::span());
    let tallies = otlp.finish(LONG);
    let points = collected.metrics.iter().map(|(_, points)| points.len() as u64).sum::<u64>();
    assert!(points > 1);
    assert_eq!(tallies.metrics.map(|tally| (tally.sent, tally.refused)), Some((0, points)));
    assert_eq!((tallies.traces, tallies.logs), (None, None));
}
