//! The test programs themselves, without a tracer: what the other tests compare with must be right.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use llmtap_tests::{Lab, Nginx, Record, Running, records};

const LIMIT: Duration = Duration::from_secs(60);
const LOAD: &str = r#"{"chunks": 10, "delay_ms": 10, "body_bytes": 20000}"#;

fn run(command: Command) -> Result<Vec<Record>> {
    Ok(records(&Running::start(command)?.finish(LIMIT)?.success()?.output))
}

/// What client and server say of the same calls must agree, and differ from call to call.
fn agree(clients: &[Record], servers: &[Record]) -> Result<()> {
    ensure!(clients.len() == servers.len(), "{} and {}", clients.len(), servers.len());
    for client in clients {
        let server = servers.iter().find(|server| server["response_id"] == client["response_id"]);
        let server = server.unwrap_or(&Record::Null);
        for (ours, theirs) in
            [("chunks", "chunks"), ("request_bytes", "request_bytes"), ("request_model", "model")]
        {
            ensure!(client[ours] == server[theirs], "{ours}: {client} and {server}");
        }
    }
    let mut tokens: Vec<_> = clients.iter().map(|client| client["input_tokens"].as_u64()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    ensure!(tokens.len() == clients.len(), "calls with equal numbers would hide a mix-up");
    Ok(())
}

#[test]
fn asyncio_load_agrees_with_server() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let port = server.port.to_string();
    let clients = run(lab.python("load_asyncio.py", &[&port, "20", "3", LOAD]))?;
    ensure!(clients.len() == 60 && clients.iter().all(|call| call["chunks"] == 10));
    agree(&clients, &server.answers()?)
}

#[test]
fn thread_load_agrees_with_server() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let port = server.port.to_string();
    let clients = run(lab.python("load_threads.py", &[&port, "10", "3", LOAD]))?;
    ensure!(clients.len() == 30 && clients.iter().all(|call| call["chunks"] == 10));
    agree(&clients, &server.answers()?)
}

#[test]
fn node_load_agrees_with_server() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let port = server.port.to_string();
    let clients = run(lab.node("load.cjs", &[&port, "20", "3", LOAD]))?;
    ensure!(clients.len() == 60 && clients.iter().all(|call| call["chunks"] == 10));
    agree(&clients, &server.answers()?)
}

#[test]
fn broken_streams_break_where_told() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let port = server.port.to_string();
    for end in ["reset", "close", "error"] {
        let call = format!(r#"{{"id": "{end}", "n": 1, "end": "{end}", "after": 4}}"#);
        let calls = run(lab.python("cases.py", &["plain", &port, &call]))?;
        ensure!(calls.len() == 1 && calls[0]["chunks"] == 4, "{calls:?}");
        ensure!(calls[0]["error"].is_string() || calls[0]["error_code"].is_string(), "{calls:?}");
    }
    Ok(())
}

#[test]
fn nginx_front_streams_unbuffered() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    // nginx as a TLS client of the TLS server: only its buffering matters here.
    let locations = format!(
        "location / {{ proxy_pass https://127.0.0.1:{}; proxy_http_version 1.1;
           proxy_buffering off; }}",
        server.port
    );
    let front = Nginx::start(lab.folder(), &lab.authority, &locations)?;
    let call = r#"{"id": "front", "n": 1, "chunks": 10, "delay_ms": 50}"#;
    let calls = run(lab.python("cases.py", &["plain", &front.port.to_string(), call]))?;
    ensure!(calls[0]["chunks"] == 10, "{calls:?}");
    let seconds = |field: &str| calls[0][field].as_f64().unwrap_or_default();
    ensure!(seconds("end") - seconds("first") > 0.3, "held back: {calls:?}");
    Ok(())
}

#[test]
fn c_program_calls_either_way() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    for late in [false, true] {
        let mut command = Command::new(lab.compile(late)?);
        command.args([&server.port.to_string(), "7"]);
        let answers = run(command)?;
        ensure!(answers[0]["id"] == "chatcmpl-c7", "{answers:?}");
    }
    Ok(())
}
