//! How far the tracer's times are from the client's own clock.
//! Takes nothing; started by `cargo xtask bench accuracy`, best on an idle machine.
//! Time to first chunk and duration of streamed calls, compared one by one.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use llmtap_tests::{Lab, Record, Span, records};

const CALLS: usize = 400;
const CALL: &str = r#"{"chunks": 10, "delay_ms": 5, "wait_ms": 5}"#;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("accuracy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let arguments = [&server.port.to_string(), "1", &CALLS.to_string(), CALL];
    let trace = lab.tracer().run(&lab.python("load_threads.py", &arguments))?;
    let calls = records(&trace.output);
    ensure!(calls.len() == CALLS, "{} calls: {}", calls.len(), trace.errors);
    let mut first = Vec::new();
    let mut whole = Vec::new();
    for call in &calls {
        let span = trace.span(call["response_id"].as_str().unwrap_or_default())?;
        let (to_first, duration) = seconds(span);
        first.push((to_first - between(call, "start", "first")).abs() * 1000.0);
        whole.push((duration - between(call, "start", "end")).abs() * 1000.0);
    }
    println!("{CALLS} streamed calls; difference between span and client, in milliseconds:");
    println!("time to first chunk  {}", spread(first));
    println!("duration             {}", spread(whole));
    Ok(())
}

fn seconds(span: &Span) -> (f64, f64) {
    let first = span.attribute("gen_ai.response.time_to_first_chunk");
    (first.and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN), span.duration())
}

fn between(call: &Record, from: &str, to: &str) -> f64 {
    call[to].as_f64().unwrap_or(f64::NAN) - call[from].as_f64().unwrap_or(f64::NAN)
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part) as usize];
    format!("median {:.3}  p99 {:.3}  most {:.3}", at(0.5), at(0.99), at(1.0))
}
