//! Metrics and events as a receiver and a parser that are not ours get them.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{
    Attached, Event, Lab, Point, Protocol, Receiver, Record, Running, Span, Value, records,
    wait_until,
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// Metrics are collected at the end alone, however long that takes.
const ONCE: (&str, &str) = ("OTEL_METRIC_EXPORT_INTERVAL", "86400000");

/// Of the conventions.
const DURATIONS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Programs one after the other, each a service: its name and the arguments of its call.
fn services(lab: &Lab, port: u16, calls: &[(&str, &str)]) -> Command {
    let line = |(service, call): &(&str, &str)| {
        let python = lab.python("cases.py", &["plain", &port.to_string(), call]);
        let words: Vec<_> = std::iter::once(python.get_program())
            .chain(python.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        format!("OTEL_SERVICE_NAME={service} {}", words.join(" "))
    };
    let lines: Vec<_> = calls.iter().map(line).collect();
    let mut shell = Command::new("sh");
    shell.args(["-c", &lines.join("; ")]);
    lab.authority.trust(&mut shell);
    shell
}

/// A stream with its usage, one of a second service without, and one that fails.
const CALLS: [(&str, &str); 3] = [
    ("first", r#"{"id": "p", "n": 41, "delay_ms": 2}"#),
    ("second", r#"{"id": "q", "n": 42, "usage": false}"#),
    ("second", r#"{"id": "r", "n": 42, "status": 429}"#),
];

fn only<'a>(points: &'a [Point], service: &str, metric: &str) -> Result<&'a Point> {
    let of = |point: &&Point| point.service() == Some(service) && point.metric == metric;
    let mut found = points.iter().filter(of);
    let point = found.next().with_context(|| format!("no {metric} of {service}: {points:#?}"))?;
    ensure!(found.next().is_none(), "several {metric} of {service}: {points:#?}");
    Ok(point)
}

fn of_service<'a>(spans: &'a [Span], service: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.service() == Some(service)).collect()
}

fn right_at_receiver(protocol: Protocol, protocol_name: &str) -> Result<()> {
    let lab = Lab::open()?;
    let (server, receiver) = (lab.server()?, lab.receiver(protocol)?);
    let trace = lab
        .tracer()
        .arg("--otlp-endpoint")
        .arg(receiver.endpoint())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol_name)
        .env(ONCE.0, ONCE.1)
        .run(&services(&lab, server.port, &CALLS))?;
    ensure!(!trace.errors.contains("not exported"), "{}", trace.errors);
    let (spans, points) = (receiver.spans()?, receiver.points()?);
    ensure!(spans.len() == 3, "{spans:#?}");
    let [span] = of_service(&spans, "first")[..] else { anyhow::bail!("{spans:#?}") };
    measured_as_traced(span, &points)?;
    // Nothing says what the second service's calls used: one told nothing, one failed.
    for metric in ["input_tokens", "output_tokens"] {
        let usage = format!("gen_ai.client.inference.usage.{metric}");
        let counts = points
            .iter()
            .filter(|point| point.service() == Some("second") && point.metric == usage);
        for point in counts {
            ensure!(point.value == Value::Sum(0), "{point:#?}");
            ensure!(point.text("gen_ai.token.modality") == Some("unknown"), "{point:#?}");
        }
        let histogram = format!("gen_ai.client.inference.operation.{metric}");
        ensure!(only(&points, "second", &histogram).is_err(), "{points:#?}");
    }
    let failed = points.iter().find(|point| point.text("error.type").is_some());
    let failed = failed.context("no failure is measured")?;
    ensure!(failed.text("error.type") == Some("rate_limit_exceeded"), "{failed:#?}");
    failure_is_an_event(&of_service(&spans, "second"), &receiver.events()?)
}

/// What is measured of a call is what its span tells.
fn measured_as_traced(span: &Span, points: &[Point]) -> Result<()> {
    let of = |metric: &str| only(points, "first", metric);
    let duration = of("gen_ai.client.inference.duration")?;
    ensure!(duration.unit == "s" && duration.temporality == 2, "{duration:#?}");
    let Value::Histogram { count: 1, sum, bounds, .. } = &duration.value else {
        anyhow::bail!("{duration:#?}")
    };
    ensure!(bounds == &DURATIONS, "{bounds:?}");
    ensure!((sum - span.duration()).abs() < 1e-6, "{sum} and {}", span.duration());
    ensure!(duration.start <= span.start && span.end <= duration.time, "{duration:#?}");
    for name in [
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "server.address",
        "server.port",
    ] {
        let told = span.attribute(name);
        ensure!(told.is_some() && duration.attributes.get(name) == told, "{name}: {duration:#?}");
    }
    ensure!(duration.attributes.len() == 6, "{duration:#?}");
    ensure!(duration.resource == span.resource, "{:#?}", duration.resource);
    let (count, first) = of("gen_ai.client.inference.time_to_first_chunk")?.histogram()?;
    let told = span.attribute("gen_ai.response.time_to_first_chunk").context("no stream")?;
    ensure!(count == 1 && told.as_f64() == Some(first), "{first} and {told}");
    let (count, between) = of("gen_ai.client.inference.time_per_output_chunk")?.histogram()?;
    // Ten pieces, each after a pause.
    ensure!(count >= 9 && between < span.duration() && between > 0.0, "{count} in {between} s");
    for (metric, attribute) in [
        ("input_tokens", "gen_ai.usage.input_tokens"),
        ("output_tokens", "gen_ai.usage.output_tokens"),
        ("cache_read.input_tokens", "gen_ai.usage.cache_read.input_tokens"),
        ("reasoning.output_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ] {
        let point = of(&format!("gen_ai.client.inference.usage.{metric}"))?;
        let told = span.number(attribute).with_context(|| format!("no {attribute}"))?;
        ensure!(point.value == Value::Sum(told) && point.unit == "{token}", "{point:#?}");
    }
    Ok(())
}

/// The one that failed, of two spans.
fn failure_is_an_event(spans: &[&Span], events: &[Event]) -> Result<()> {
    let [event] = events else { anyhow::bail!("{events:#?}") };
    ensure!(
        event.name == "gen_ai.client.operation.exception" && event.severity == 13,
        "{event:#?}"
    );
    let span = spans.iter().find(|span| span.span_id == event.span_id);
    let span = span.with_context(|| format!("no span of {event:#?} in {spans:#?}"))?;
    ensure!(span.trace_id == event.trace_id && span.end == event.time, "{event:#?}");
    ensure!(span.status == 2 && span.resource == event.resource, "{span:#?}");
    let kind = span.attribute("error.type");
    ensure!(kind.is_some() && event.attributes.get("exception.type") == kind, "{event:#?}");
    ensure!(event.attributes["exception.message"] == json!(span.status_message), "{event:#?}");
    Ok(())
}

#[test]
fn grpc_receiver_gets_metrics_and_events() -> Result<()> {
    right_at_receiver(Protocol::Grpc, "grpc")
}

#[test]
fn http_receiver_gets_metrics_and_events() -> Result<()> {
    right_at_receiver(Protocol::Http, "http/protobuf")
}

/// The profile, the temporality and the sampler are those of the standard variables; what is not
/// sampled is measured all the same.
#[test]
fn older_conventions_are_spoken_where_asked_for() -> Result<()> {
    let lab = Lab::open()?;
    let (server, receiver) = (lab.server()?, lab.receiver(Protocol::Http)?);
    lab.tracer()
        .arg("--otlp-endpoint")
        .arg(receiver.endpoint())
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .env("OTEL_SEMCONV_STABILITY_OPT_IN", "http,gen_ai/v1.41")
        .env("OTEL_TRACES_SAMPLER", "always_off")
        .env(ONCE.0, ONCE.1)
        .run(&services(&lab, server.port, &CALLS[..1]))?;
    ensure!(receiver.spans()?.is_empty() && receiver.events()?.is_empty());
    let points = receiver.points()?;
    let mut names: Vec<_> = points.iter().map(|point| point.metric.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.client.token.usage",
    ];
    ensure!(names == expected, "{names:?}");
    ensure!(points.iter().all(|point| point.temporality == 1), "{points:#?}");
    for (kind, count) in [("input", 1041.0), ("output", 2123.0)] {
        let point = points.iter().find(|point| point.text("gen_ai.token.type") == Some(kind));
        ensure!(point.context(kind)?.histogram()? == (1, count), "{point:#?}");
    }
    Ok(())
}

/// Content is structured on events, and stays off the span.
#[test]
fn content_goes_on_events() -> Result<()> {
    let lab = Lab::open()?;
    let (server, receiver) = (lab.server()?, lab.receiver(Protocol::Grpc)?);
    let call = r#"{"id": "p", "n": 41, "chunks": 2, "stream": true}"#;
    let trace = lab
        .tracer()
        .arg("--capture-content=event_only")
        .arg("--output-signals=traces,metrics,logs")
        .arg("--otlp-endpoint")
        .arg(receiver.endpoint())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env(ONCE.0, ONCE.1)
        .run(&services(&lab, server.port, &[("first", call)]))?;
    let (spans, events) = (receiver.spans()?, receiver.events()?);
    let ([span], [event]) = (&spans[..], &events[..]) else {
        anyhow::bail!("{spans:#?} {events:#?}")
    };
    ensure!(event.name == "gen_ai.client.inference.operation.details", "{event:#?}");
    ensure!((event.severity, event.time) == (9, span.end), "{event:#?}");
    ensure!(span.attribute("gen_ai.input.messages").is_none(), "{span:#?}");
    let asked = json!([{"role": "user", "parts": [{"type": "text", "content": "p"}]}]);
    ensure!(event.attributes["gen_ai.input.messages"] == asked, "{event:#?}");
    // The schema's word for what the provider calls `tool_calls`.
    let told = json!([{"role": "assistant", "finish_reason": "tool_call",
        "parts": [{"type": "text", "content": "piece 0 piece 1 "}]}]);
    ensure!(event.attributes["gen_ai.output.messages"] == told, "{event:#?}");
    for name in ["gen_ai.request.model", "gen_ai.response.id", "gen_ai.usage.input_tokens"] {
        ensure!(event.attributes.get(name) == span.attribute(name), "{name}: {event:#?}");
    }
    // The lines tell the same.
    let lines = records(&trace.lines);
    let events = lines.iter().map(Event::all).collect::<Result<Vec<_>>>()?.concat();
    ensure!(events.len() == 1 && events[0].attributes == event.attributes, "{events:#?}");
    let points = lines.iter().map(Point::all).collect::<Result<Vec<_>>>()?.concat();
    let sent = receiver.points()?;
    ensure!(points.len() == sent.len() && !points.is_empty(), "{points:#?}");
    for (line, sent) in points.iter().zip(&sent) {
        ensure!(line.metric == sent.metric && line.value == sent.value, "{line:#?} {sent:#?}");
    }
    Ok(())
}

/// A tracer at a client that calls when it is told to.
struct Watched {
    lab: Lab,
    client: Running,
    tracer: Attached,
    _server: llmtap_tests::Server,
}

fn watched(arguments: &[&str], receiver: Option<&Receiver>, lab: Lab) -> Result<Watched> {
    let server = lab.server()?;
    let go = lab.folder().join("go");
    let port = server.port.to_string();
    let mut client = lab.python("cases.py", &["waits", &port, CALLS[0].1]);
    client.env("WAIT_FOR", &go).env("OTEL_SERVICE_NAME", "first");
    let client = Running::start(client)?;
    client.errors.wait_for(LIMIT, |line| line == "waiting")?;
    let mut tracer = lab.tracer().arg("--pid").arg(client.pid().to_string());
    for argument in arguments {
        tracer = tracer.arg(argument);
    }
    if let Some(receiver) = receiver {
        tracer = tracer
            .arg("--otlp-endpoint")
            .arg(receiver.endpoint())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100");
    }
    let tracer = tracer.attach()?;
    std::fs::write(go, "")?;
    Ok(Watched { lab, client, tracer, _server: server })
}

/// They come while the run goes on.
#[test]
fn metrics_come_now_and_then() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = lab.receiver(Protocol::Http)?;
    let watched = watched(&[], Some(&receiver), lab)?;
    watched.client.finish(LIMIT)?.success()?;
    let duration = |receiver: &Receiver| -> Option<Vec<Point>> {
        let mut points = receiver.points().ok()?;
        points.retain(|point| point.metric == "gen_ai.client.inference.duration");
        (!points.is_empty()).then_some(points)
    };
    wait_until("metrics", LIMIT, || duration(&receiver))?;
    watched.tracer.stop()?;
    let all = duration(&receiver).context("no metrics")?;
    ensure!(all.iter().all(|point| point.histogram().is_ok_and(|(count, _)| count == 1)));
    ensure!(all.is_sorted_by(|one, next| one.time < next.time && one.start == next.start));
    Ok(())
}

#[test]
fn prometheus_reads_the_metrics_of_calls() -> Result<()> {
    let watched = watched(&["--metrics-listen", "0"], None, Lab::open()?)?;
    let at = "llmtap: metrics at ";
    let line = watched.tracer.process().errors.wait_for(LIMIT, |line| line.starts_with(at))?;
    watched.client.finish(LIMIT)?.success()?;
    let [span] = &watched.tracer.wait_for_spans(1, LIMIT)?[..] else { anyhow::bail!("no span") };
    let script = watched.lab.python("metrics.py", &[line.trim_start_matches(at)]);
    let output = Running::start(script)?.finish(LIMIT)?.success()?.output;
    let samples = records(&output).pop().context("no metrics")?;
    let model = "gen_ai_request_model=model-1,gen_ai_response_model=model-1-snapshot";
    let version = env!("CARGO_PKG_VERSION");
    let port = span.number("server.port").context("no port")?;
    let rest = format!(
        "job=first,otel_scope_name=llmtap,otel_scope_version={version},\
         server_address=localhost,server_port={port}"
    );
    let common = format!("gen_ai_operation_name=chat,gen_ai_provider_name=openai,{model}");
    let number = |name: &str, labels: &str| -> Result<f64> {
        let key = format!("{name}{{{labels}}}");
        samples[&key].as_f64().with_context(|| format!("no {key} in {samples:#}"))
    };
    let labels = format!("{common},{rest}");
    let duration = "gen_ai_client_inference_duration_seconds";
    ensure!(number(&format!("{duration}_count"), &labels)? == 1.0);
    let sum = number(&format!("{duration}_sum"), &labels)?;
    ensure!((sum - span.duration()).abs() < 1e-6, "{sum} and {}", span.duration());
    let bounds: Vec<f64> = bounds_of(&samples, &format!("{duration}_bucket"));
    ensure!(bounds == [&DURATIONS[..], &[f64::INFINITY]].concat(), "{bounds:?}");
    let with = format!("{common},gen_ai_token_modality=unknown,{rest}");
    let name = "gen_ai_client_inference_usage_input_tokens_total";
    ensure!(number(name, &with)? == 1041.0);
    let target = samples.as_object().and_then(|all| {
        all.keys().find(|key| key.starts_with("target_info{") && key.contains("job=first"))
    });
    ensure!(target.is_some(), "{samples:#}");
    watched.tracer.stop()?;
    Ok(())
}

/// The bounds of a histogram's buckets, in order.
fn bounds_of(samples: &Record, bucket: &str) -> Vec<f64> {
    let keys = samples.as_object().into_iter().flat_map(|all| all.keys());
    let bounds = keys.filter(|key| key.starts_with(bucket)).filter_map(|key| {
        let bound = key.split("le=").nth(1)?.split([',', '}']).next()?;
        if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() }
    });
    let mut bounds: Vec<f64> = bounds.collect();
    bounds.sort_by(f64::total_cmp);
    bounds
}

#[test]
fn points_that_are_refused_are_counted() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let log = lab.file("receiver.jsonl");
    let receiver = Receiver::start(&lab.parts, Protocol::Http, 0, "refuse", log)?;
    let trace = lab
        .tracer()
        .args(["--otlp-signals", "metrics", "--otlp-endpoint", &receiver.endpoint()])
        .env(ONCE.0, ONCE.1)
        .run(&services(&lab, server.port, &CALLS[..1]))?;
    let summary = trace.summary("not exported")?;
    // Duration, two times of chunks, two histograms and four counters of tokens.
    ensure!(summary.contains("not exported 9 data points"), "{summary}");
    ensure!(!summary.contains("spans") && !summary.contains("log records"), "{summary}");
    ensure!(trace.errors.contains("OTEL_METRICS_EXPORTER=none"), "{}", trace.errors);
    Ok(())
}
