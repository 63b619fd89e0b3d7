//! Spans as a receiver that is not ours gets them, over both protocols, also when it is not there.

use std::{collections::BTreeMap, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{CLIENT, Lab, Protocol, Receiver, Trace, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const LINKED: &str = "e457b5a2e4d86bd1";
/// The same, as Protobuf's JSON form writes bytes.
const TRACE_BASE64: &str = "S/kvNXezTaajzpKdDg5HNg==";
const PARENT_BASE64: &str = "APBnqgupArc=";
const LINKED_BASE64: &str = "5Fe1ouTYa9E=";

/// Attributes of a span or resource: name to `{kind: value}`.
fn attributes(owner: &Value) -> BTreeMap<String, Value> {
    owner["attributes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| (one["key"].as_str().unwrap_or_default().to_owned(), one["value"].clone()))
        .collect()
}

/// Every span that arrived, with its resource.
fn received(receiver: &Receiver) -> Result<Vec<(Value, Value)>> {
    let mut all = Vec::new();
    for request in receiver.requests()? {
        for group in request["request"]["resourceSpans"].as_array().into_iter().flatten() {
            for scope in group["scopeSpans"].as_array().into_iter().flatten() {
                for span in scope["spans"].as_array().into_iter().flatten() {
                    all.push((span.clone(), group["resource"].clone()));
                }
            }
        }
    }
    Ok(all)
}

/// Two services, one call each, one of them with a parent.
fn two_services(lab: &Lab, port: u16) -> Command {
    let call = |service: &str, call: &str| {
        let python = lab.python("cases.py", &["plain", &port.to_string(), call]);
        let words: Vec<_> = std::iter::once(python.get_program())
            .chain(python.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        format!("OTEL_SERVICE_NAME={service} {}", words.join(" "))
    };
    let headers = json!({
        "traceparent": format!("00-{TRACE}-{PARENT}-01"),
        // Another span of that trace, as where a mesh adds headers of its own.
        "b3": format!("{TRACE}-{LINKED}-1"),
    });
    let first = call("first", &json!({"id": "p", "n": 41, "headers": headers}).to_string());
    let second = call("second", r#"{"id": "q", "n": 42, "path": "/v1/messages"}"#);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first}; {second}")]);
    lab.authority.trust(&mut shell);
    shell
}

fn right_at_receiver(protocol: Protocol, protocol_name: &str) -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let receiver = lab.receiver(protocol)?;
    let trace = lab
        .tracer()
        .arg("--otlp-endpoint")
        .arg(receiver.endpoint())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol_name)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .run(&two_services(&lab, server.port))?;
    let spans = received(&receiver)?;
    ensure!(spans.len() == 2, "{spans:#?}\n{}", trace.errors);
    ensure!(receiver.requests()?[0]["headers"]["x-tenant"] == "a b", "{:?}", receiver.requests());
    let of = |service: &str| {
        spans
            .iter()
            .find(|(_, resource)| {
                attributes(resource).get("service.name") == Some(&json!({"stringValue": service}))
            })
            .with_context(|| format!("no span of {service}: {spans:#?}"))
    };
    let (first, resource) = of("first")?;
    ensure!(first["name"] == "chat model-1" && first["kind"] == CLIENT, "{first:#?}");
    ensure!(
        first["traceId"] == TRACE_BASE64 && first["parentSpanId"] == PARENT_BASE64,
        "{first:#?}"
    );
    let link = &first["links"][0];
    ensure!(link["traceId"] == TRACE_BASE64 && link["spanId"] == LINKED_BASE64, "{first:#?}");
    let resource = attributes(resource);
    ensure!(resource["deployment.environment.name"] == json!({"stringValue": "test"}));
    for (name, kind) in [
        ("process.pid", "intValue"),
        ("process.executable.name", "stringValue"),
        ("host.name", "stringValue"),
    ] {
        ensure!(
            resource.get(name).is_some_and(|value| value[kind].is_string()),
            "{name}: {resource:#?}"
        );
    }
    types_are_right(first)?;
    let (second, _) = of("second")?;
    ensure!(second["name"] == "chat model-2" && second["traceId"] != TRACE_BASE64, "{second:#?}");
    ensure!(second["parentSpanId"].as_str().unwrap_or_default().is_empty(), "{second:#?}");
    Ok(())
}

fn types_are_right(span: &Value) -> Result<()> {
    let attributes = attributes(span);
    let expected = [
        ("gen_ai.operation.name", json!({"stringValue": "chat"})),
        ("gen_ai.provider.name", json!({"stringValue": "openai"})),
        ("gen_ai.request.model", json!({"stringValue": "model-1"})),
        ("gen_ai.request.stream", json!({"boolValue": true})),
        ("gen_ai.request.max_tokens", json!({"intValue": "141"})),
        ("gen_ai.usage.input_tokens", json!({"intValue": "1041"})),
        ("gen_ai.usage.output_tokens", json!({"intValue": "2123"})),
        (
            "gen_ai.response.finish_reasons",
            json!({"arrayValue": {"values": [{"stringValue": "tool_calls"}]}}),
        ),
        ("server.address", json!({"stringValue": "localhost"})),
    ];
    for (name, value) in expected {
        ensure!(attributes.get(name) == Some(&value), "{name}: {attributes:#?}");
    }
    let first_chunk = &attributes["gen_ai.response.time_to_first_chunk"]["doubleValue"];
    ensure!(first_chunk.as_f64().is_some_and(|seconds| seconds > 0.0), "{first_chunk}");
    Ok(())
}

#[test]
fn grpc_receiver_finds_all_right() -> Result<()> {
    right_at_receiver(Protocol::Grpc, "grpc")
}

#[test]
fn http_receiver_finds_all_right() -> Result<()> {
    right_at_receiver(Protocol::Http, "http/protobuf")
}

/// Traces three calls towards the endpoint.
fn three_calls(lab: &Lab, endpoint: &str) -> Result<Trace> {
    let server = lab.server()?;
    let load = lab.python("load_threads.py", &[&server.port.to_string(), "1", "3", "{}"]);
    lab.tracer()
        .arg("--otlp-endpoint")
        .arg(endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .run(&load)
}

#[test]
fn refused_spans_are_counted() -> Result<()> {
    let lab = Lab::open()?;
    let log = lab.file("receiver.jsonl");
    let receiver = Receiver::start(&lab.parts, Protocol::Http, 0, "refuse", log)?;
    let trace = three_calls(&lab, &receiver.endpoint())?;
    ensure!(trace.status.success(), "{}", trace.status);
    ensure!(trace.spans.len() == 3, "the file has its own: {:#?}", trace.spans);
    trace.summary("not exported 3 spans: 3 refused")?;
    Ok(())
}

#[test]
fn slow_receiver_gets_all() -> Result<()> {
    let lab = Lab::open()?;
    let log = lab.file("receiver.jsonl");
    let receiver = Receiver::start(&lab.parts, Protocol::Http, 0, "slow", log)?;
    three_calls(&lab, &receiver.endpoint())?;
    ensure!(received(&receiver)?.len() == 3);
    Ok(())
}

#[test]
fn receiver_is_used_again() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let log = lab.file("receiver.jsonl");
    // A port that a receiver had, so that it is likely to be free when it comes back.
    let start = |port: u16| Receiver::start(&lab.parts, Protocol::Http, port, "ok", log.clone());
    let port = start(0)?.port;
    let go = lab.file("go");
    let mut client =
        lab.python("cases.py", &["waits", &server.port.to_string(), r#"{"id": "b", "n": 43}"#]);
    client.env("WAIT_FOR", &go);
    let client = llmtap_tests::Running::start(client)?;
    client.errors.wait_for(LIMIT, |line| line == "waiting")?;
    let tracer = lab
        .tracer()
        .arg("--pid")
        .arg(client.pid().to_string())
        .arg("--otlp-endpoint")
        .arg(format!("http://127.0.0.1:{port}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .attach()?;
    std::fs::write(&go, "")?;
    client.finish(LIMIT)?.success()?;
    tracer.process().errors.wait_for(LIMIT, |line| line.contains(&port.to_string()))?;
    let receiver = start(port)?;
    wait_until("the span at the receiver that came back", LIMIT, || {
        received(&receiver).ok().filter(|spans| spans.len() == 1)
    })?;
    tracer.stop()?;
    Ok(())
}

/// Nobody listens, and the queue has room for few: memory stays bounded, each dropped span is counted.
#[test]
fn absent_receiver_drops_are_counted() -> Result<()> {
    const CALLS: usize = 600;
    let lab = Lab::open()?;
    let server = lab.server()?;
    let log = lab.file("receiver.jsonl");
    let port = Receiver::start(&lab.parts, Protocol::Http, 0, "ok", log)?.port;
    let load = lab.python("load_threads.py", &[&server.port.to_string(), "4", "150", "{}"]);
    let trace = lab
        .tracer()
        .arg("--otlp-endpoint")
        .arg(format!("http://127.0.0.1:{port}"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "50")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
        .run(&load)?;
    ensure!(trace.spans.len() == CALLS, "the file has all: {}", trace.spans.len());
    trace.summary(&format!("not exported {CALLS} spans"))?;
    let reports = trace.errors.lines().filter(|line| line.contains("takes no spans")).count();
    ensure!(reports == 1, "reported once, not at each attempt: {}", trace.errors);
    Ok(())
}
