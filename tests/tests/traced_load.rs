//! Many calls at once from one process: each span right, each chunk seen, nothing lost, memory bounded.

use std::{env, process::Command};

use anyhow::{Result, ensure};
use llmtap_tests::{Lab, differences, records};

/// In all of them each call is answered by a stream of this many pieces, 10 ms apart.
const LOAD: &str = r#"{"chunks": 10, "delay_ms": 10, "body_bytes": 20000}"#;
const CALLS: usize = 600;
/// KiB that the tracer may have resident at most.
const MEMORY: u64 = 150 * 1024;

/// Rounds in a row: ten by `cargo xtask test --full`.
fn rounds() -> u32 {
    if env::var_os("LLMTAP_FULL").is_some() { 10 } else { 2 }
}

fn every_call_is_right(client: impl Fn(&Lab, &str) -> Command) -> Result<()> {
    let lab = Lab::open()?;
    for round in 1..=rounds() {
        let server = lab.server()?;
        let trace = lab.tracer().run(&client(&lab, &server.port.to_string()))?;
        let calls = records(&trace.output);
        ensure!(calls.len() == CALLS, "round {round}: {} calls: {}", calls.len(), trace.errors);
        let wrong = differences(&trace.spans, &calls);
        ensure!(
            wrong.is_empty(),
            "round {round}: {} of {CALLS} calls have differences, the first: {:#?}\n{}",
            wrong.len(),
            &wrong[..wrong.len().min(10)],
            trace.errors
        );
        trace.nothing_lost()?;
        ensure!(trace.peak_memory < MEMORY, "{} KiB resident", trace.peak_memory);
    }
    Ok(())
}

#[test]
fn asyncio_connections_lose_nothing() -> Result<()> {
    every_call_is_right(|lab, port| lab.python("load_asyncio.py", &[port, "200", "3", LOAD]))
}

#[test]
fn blocking_threads_lose_nothing() -> Result<()> {
    every_call_is_right(|lab, port| lab.python("load_threads.py", &[port, "50", "12", LOAD]))
}

#[test]
fn node_connections_lose_nothing() -> Result<()> {
    every_call_is_right(|lab, port| lab.node("load.cjs", &[port, "200", "3", LOAD]))
}
