//! The demo: a real LLM behind TLS, unmodified clients, and `llmtap` showing their calls as they happen.
//! Takes `--once`, else goes on until Ctrl-C; started by `cargo xtask demo`, which sets everything up.
//! Ends by holding what a receiver or a backend got by OTLP against what the clients received.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use llmtap_tests::{
    Lab, Model, Phoenix, Protocol, Receiver, Record, Span, differences, differences_of_attributes,
    records, tell,
};
use signal_hook::consts::SIGINT;

#[derive(Debug, Parser)]
struct Arguments {
    /// End after one round
    #[arg(long)]
    once: bool,
    /// The Python that has Arize Phoenix: the spans go there
    #[arg(long)]
    phoenix: Option<PathBuf>,
    /// The Chromium that takes pictures of its page
    #[arg(long, requires = "pictures")]
    browser: Option<PathBuf>,
    /// Folder for the pictures
    #[arg(long, requires_all = ["browser", "phoenix"])]
    pictures: Option<PathBuf>,
}

/// Where the spans go.
enum Destination {
    Receiver(Receiver),
    Phoenix(Phoenix),
}

impl Destination {
    fn open(lab: &Lab, arguments: &Arguments) -> Result<Self> {
        let Some(python) = &arguments.phoenix else {
            let receiver = tell("an OpenTelemetry receiver", || lab.receiver(Protocol::Http))?;
            return Ok(Self::Receiver(receiver));
        };
        let phoenix = tell("Arize Phoenix", || Phoenix::start(python, lab.folder()))?;
        eprintln!("• which will show the calls at {}", phoenix.url());
        Ok(Self::Phoenix(phoenix))
    }

    fn endpoint(&self) -> String {
        match self {
            Self::Receiver(receiver) => receiver.endpoint(),
            Self::Phoenix(phoenix) => phoenix.url(),
        }
    }

    /// What arrived of these calls, and of others.
    fn spans(&self, calls: &[Record]) -> Result<Vec<Span>> {
        match self {
            Self::Receiver(receiver) => receiver.spans(),
            Self::Phoenix(phoenix) => phoenix.spans(calls),
        }
    }

    fn differences(&self, spans: &[Span], records: &[Record]) -> Vec<String> {
        match self {
            Self::Receiver(_) => differences(spans, records),
            Self::Phoenix(_) => differences_of_attributes(spans, records),
        }
    }
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
    let model = tell("a real LLM: llama.cpp's server with SmolLM2-135M", || Model::start(&lab))?;
    let front = tell("nginx with TLS in front of it", || model.behind_tls(&lab))?;
    let destination = Destination::open(&lab, arguments)?;
    let records = lab.file("records.jsonl");
    eprintln!("• the clients, as `llmtap trace` sees them\n");
    let status = tracer(&lab, front.port, &destination, &records, arguments.once)
        .status()
        .context("can't start llmtap")?;
    if arguments.once {
        ensure!(status.success(), "llmtap or a client ended with {status}");
    }
    let agree = compare(&destination, &records, arguments.once)?;
    if let (Destination::Phoenix(phoenix), Some(browser), Some(folder)) =
        (&destination, &arguments.browser, &arguments.pictures)
    {
        tell("pictures of Phoenix's page", || phoenix.pictures(browser, folder))?;
    }
    Ok(agree)
}

/// `llmtap trace` around the clients, with this terminal as its output.
fn tracer(lab: &Lab, port: u16, destination: &Destination, records: &Path, once: bool) -> Command {
    let round = Model::ROUND;
    let rounds = if once { round.to_owned() } else { format!("while :; do {round} sleep 1; done") };
    let script = format!("set -e; trap 'exit 0' INT; {rounds}");
    let clients = Model::clients(lab, &script, &format!("https://localhost:{port}"), records);
    let mut command = lab.llmtap(&["trace", "--output", "pretty", "--otlp-endpoint"]);
    command.arg(destination.endpoint());
    if let Destination::Phoenix(_) = destination {
        // A page that can show conversations shall have some: the demo's own questions.
        command.arg("--capture-content").env("OTEL_RESOURCE_ATTRIBUTES", Phoenix::RESOURCE);
        // Phoenix takes nothing else.
        command.args(["--otlp-signals", "traces"]);
    }
    command.arg("--").arg(clients.get_program()).args(clients.get_args());
    command.envs(clients.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").stdin(Stdio::null());
    command
}

fn compare(destination: &Destination, file: &Path, once: bool) -> Result<bool> {
    let received: Vec<Record> = records(&fs::read_to_string(file).unwrap_or_default());
    let mut spans = destination.spans(&received)?;
    if !once {
        // What Ctrl-C cut short has no record of its client.
        spans.retain(|span| span.attribute("llmtap.ended").is_none() && span.status == 0);
    }
    let wrong = destination.differences(&spans, &received);
    eprintln!();
    if let Destination::Phoenix(_) = destination {
        show(&spans);
    }
    for difference in &wrong {
        eprintln!("✗ {difference}");
    }
    let enough = !once || received.len() == Model::CALLS;
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

/// What Phoenix answered, by the names under which its page shows it.
fn show(spans: &[Span]) {
    eprintln!("Phoenix has, asked through its REST interface:");
    for span in spans {
        eprintln!(
            "  {}: model {}, tokens {} in, {} out, {} in all, ended by {}",
            span.name,
            span.text("llm.model_name").unwrap_or("unknown"),
            count(span, "llm.token_count.prompt"),
            count(span, "llm.token_count.completion"),
            count(span, "llm.token_count.total"),
            span.text("llm.finish_reason").unwrap_or("unknown"),
        );
    }
}

fn count(span: &Span, attribute: &str) -> String {
    span.number(attribute).map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}
