//! The demo: a real LLM behind TLS, unmodified clients, and `llmtap` showing their calls as they happen.
//! Takes `--once`, else goes on until Ctrl-C; started by `cargo xtask demo`, which sets everything up.
//! Ends by holding what a receiver got by OTLP against what the clients themselves received.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use llmtap_tests::{
    Lab, Nginx, Parts, Protocol, Receiver, Record, Running, differences, records, tell,
};
use signal_hook::consts::SIGINT;

/// The clients run one after another; `set -e`: one that fails ends the demo.
const ROUND: &str = r#"
    "$1" "$2/openai_client.py"
    "$1" "$2/anthropic_client.py"
    "$3" "$4/openai_client.cjs"
"#;
/// Calls of a round: four by each Python client, two by Node's.
const CALLS: usize = 10;

#[derive(Debug, Parser)]
struct Arguments {
    /// End after one round
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives whether everything agrees.
fn run(arguments: &Arguments) -> Result<bool> {
    // Ctrl-C reaches every process of the foreground; this one lives on to compare and clean up.
    signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false)))
        .context("can't take Ctrl-C")?;
    let lab = Lab::open()?;
    let model = tell("a real LLM: llama.cpp's server with SmolLM2-135M", || {
        let mut server = Command::new(&lab.parts.python);
        server.arg(Parts::program("python/llama.py")).arg("0");
        let server = Running::start(server)?;
        let port = server.port()?;
        Ok((server, port))
    })?;
    let front = tell("nginx with TLS in front of it", || {
        Nginx::before(lab.folder(), &lab.authority, model.1)
    })?;
    let receiver = tell("an OpenTelemetry receiver", || lab.receiver(Protocol::Http))?;
    let records = lab.file("records.jsonl");
    eprintln!("• the clients, as `llmtap trace` sees them\n");
    let status = tracer(&lab, front.port, &receiver, &records, arguments.once)
        .status()
        .context("can't start llmtap")?;
    if arguments.once {
        ensure!(status.success(), "llmtap or a client ended with {status}");
    }
    compare(&receiver, &records, arguments.once)
}

/// `llmtap trace` around the clients, with this terminal as its output.
fn tracer(lab: &Lab, port: u16, receiver: &Receiver, records: &PathBuf, once: bool) -> Command {
    let rounds = if once { ROUND.to_owned() } else { format!("while :; do {ROUND} sleep 1; done") };
    let mut command = lab.llmtap(&["trace", "--output", "pretty", "--otlp-endpoint"]);
    command
        .arg(receiver.endpoint())
        .args(["--", "sh", "-c", &format!("set -e; trap 'exit 0' INT; {rounds}"), "clients"])
        .arg(&lab.parts.python)
        .arg(Parts::program("python"))
        .arg(&lab.parts.node)
        .arg(Parts::program("node"))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OPENAI_BASE_URL", format!("https://localhost:{port}/v1"))
        .env("ANTHROPIC_BASE_URL", format!("https://localhost:{port}"))
        .env("OPENAI_API_KEY", "none-needed")
        .env("ANTHROPIC_API_KEY", "none-needed")
        .env("NODE_PATH", &lab.parts.node_modules)
        .env("RECORDS", records)
        .stdin(Stdio::null());
    lab.authority.trust(&mut command);
    command
}

fn compare(receiver: &Receiver, file: &Path, once: bool) -> Result<bool> {
    let received: Vec<Record> = records(&fs::read_to_string(file).unwrap_or_default());
    let mut spans = receiver.spans()?;
    if !once {
        // What Ctrl-C cut short has no record of its client.
        spans.retain(|span| span.attribute("llmtap.ended").is_none() && span.status == 0);
    }
    let wrong = differences(&spans, &received);
    eprintln!();
    for difference in &wrong {
        eprintln!("✗ {difference}");
    }
    let enough = !once || received.len() == CALLS;
    if wrong.is_empty() && enough && !received.is_empty() {
        eprintln!(
            "✓ {} calls received by the clients, {} spans received over OTLP: ids, models, tokens \
             and finish reasons all agree",
            received.len(),
            spans.len()
        );
        return Ok(true);
    }
    eprintln!(
        "✗ {} calls received by the clients, {} spans received over OTLP, {} differences",
        received.len(),
        spans.len(),
        wrong.len()
    );
    Ok(false)
}
