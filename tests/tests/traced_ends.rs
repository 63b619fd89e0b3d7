//! How calls end before their response does: told apart, at the right time, while the tracer goes on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Attached, Lab, Record, Span, records};
use rustix::process::Signal;

/// A stream that would go on for long: 400 pieces, 20 ms apart.
const LONG: &str = r#""n": 21, "chunks": 400, "delay_ms": 20"#;
/// How far an end may lie from the moment at which the test saw it.
const TOLERANCE: f64 = 0.25;
const LIMIT: Duration = Duration::from_secs(10);

/// The span that comes out while the tracer is still attached, not because it stops.
fn span_of(tracer: &Attached) -> Result<Span> {
    let mut spans = tracer.wait_for_spans(1, LIMIT)?;
    ensure!(spans.len() == 1, "{spans:#?}");
    spans.pop().context("no span")
}

fn failed_with(span: &Span, kind: &str) -> Result<()> {
    ensure!(span.status == 2, "status {} of {span:#?}", span.status);
    ensure!(span.text("error.type") == Some(kind), "expected {kind}: {span:#?}");
    Ok(())
}

fn ended_at(span: &Span, seconds: f64) -> Result<()> {
    let end = span.end as f64 / 1e9;
    ensure!((end - seconds).abs() < TOLERANCE, "ends {} s off: {span:#?}", end - seconds);
    Ok(())
}

fn time(call: &Record, field: &str) -> Result<f64> {
    call[field].as_f64().with_context(|| format!("no {field} in {call}"))
}

/// Runs one case under the tracer, to its end.
fn traced(case: &str, call: &str) -> Result<(Span, Record)> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let command = lab.python("cases.py", &[case, &server.port.to_string(), call]);
    let trace = lab.tracer().run(&command)?;
    let call = records(&trace.output).pop().with_context(|| trace.errors.clone())?;
    ensure!(trace.spans.len() == 1, "{:#?}\n{}", trace.spans, trace.errors);
    let span = trace.spans.into_iter().next().context("no span")?;
    Ok((span, call))
}

#[test]
fn killed_client_ends_its_span() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let waits = lab.file("go");
    let call = format!(r#"{{"id": "killed", {LONG}}}"#);
    let mut command = lab.python("cases.py", &["waits", &server.port.to_string(), &call]);
    command.env("WAIT_FOR", &waits);
    let client = llmtap_tests::Running::start(command)?;
    client.errors.wait_for(LIMIT, |line| line == "waiting")?;
    let tracer = lab.tracer().arg("--pid").arg(client.pid().to_string()).attach()?;
    std::fs::write(&waits, "")?;
    client.errors.wait_for(LIMIT, |line| line == "chunk 5")?;
    client.signal(Signal::KILL)?;
    let killed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let span = span_of(&tracer)?;
    failed_with(&span, "cancelled")?;
    ended_at(&span, killed)?;
    ensure!(span.text("gen_ai.response.id") == Some("chatcmpl-killed"), "{span:#?}");
    ensure!(span.attribute("gen_ai.usage.output_tokens").is_none(), "guessed: {span:#?}");
    let chunks = span.number("llmtap.response.chunks").unwrap_or_default();
    ensure!((5..100).contains(&chunks), "{span:#?}");
    ensure!(tracer.stop()?.spans.len() == 1);
    Ok(())
}

#[test]
fn leaving_client_is_told() -> Result<()> {
    let (span, call) = traced("leave", &format!(r#"{{"id": "left", {LONG}}}"#))?;
    failed_with(&span, "cancelled")?;
    ended_at(&span, time(&call, "end")?)
}

#[test]
fn server_reset_is_told() -> Result<()> {
    let (span, call) = traced("plain", r#"{"id": "reset", "n": 22, "end": "reset", "after": 4}"#)?;
    failed_with(&span, "connection_reset")?;
    ensure!(span.number("llmtap.response.chunks") == Some(4), "{span:#?}");
    ended_at(&span, time(&call, "end")?)
}

#[test]
fn server_close_is_told() -> Result<()> {
    let (span, call) = traced("plain", r#"{"id": "close", "n": 23, "end": "close", "after": 4}"#)?;
    failed_with(&span, "connection_closed")?;
    ended_at(&span, time(&call, "end")?)
}

#[test]
fn error_event_fails_call() -> Result<()> {
    let (span, _) = traced("plain", r#"{"id": "event", "n": 24, "end": "error", "after": 4}"#)?;
    failed_with(&span, "server_error")?;
    ensure!(span.status_message == "told to fail event", "{span:#?}");
    Ok(())
}

#[test]
fn error_status_fails_call() -> Result<()> {
    let (span, _) = traced("plain", r#"{"id": "limit", "n": 25, "status": 429, "stream": false}"#)?;
    failed_with(&span, "rate_limit_exceeded")?;
    ensure!(span.number("http.response.status_code") == Some(429), "{span:#?}");
    Ok(())
}

#[test]
fn exec_ends_the_span() -> Result<()> {
    let (span, call) = traced("execute", &format!(r#"{{"id": "exec", {LONG}}}"#))?;
    failed_with(&span, "cancelled")?;
    ended_at(&span, time(&call, "end")?)
}

#[test]
fn child_reads_shared_connection() -> Result<()> {
    let (span, call) = traced("child_reads", r#"{"id": "shared", "n": 26, "delay_ms": 5}"#)?;
    ensure!(span.text("gen_ai.response.id") == Some("chatcmpl-shared"), "{span:#?}");
    ensure!(span.text("gen_ai.request.model") == call["request_model"].as_str(), "{span:#?}");
    ensure!(span.number("llmtap.response.chunks") == Some(10), "{span:#?}");
    ensure!(span.status == 0, "{span:#?}");
    ended_at(&span, time(&call, "end")?)
}

#[test]
fn idle_child_changes_nothing() -> Result<()> {
    let (span, call) = traced("child_idle", r#"{"id": "idle", "n": 27, "delay_ms": 20}"#)?;
    let wrong = llmtap_tests::differences(std::slice::from_ref(&span), std::slice::from_ref(&call));
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ended_at(&span, time(&call, "end")?)
}

#[test]
fn subprocess_changes_nothing() -> Result<()> {
    let (span, call) = traced("spawns", r#"{"id": "spawn", "n": 28, "delay_ms": 20}"#)?;
    let wrong = llmtap_tests::differences(std::slice::from_ref(&span), std::slice::from_ref(&call));
    ensure!(wrong.is_empty(), "{wrong:#?}");
    ended_at(&span, time(&call, "end")?)
}
