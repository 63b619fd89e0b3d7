//! The command line: what users type, checked before anything is touched.
//! Takes arguments; gives an exit status. Every refusal is a sentence and exit status 2.
//! A command is one file here.

mod doctor;
mod filters;
mod inspection;
mod outputs;
mod record;
mod reload;
mod replay;
mod run;
mod stages;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit status for what the user has to change: arguments, privileges, a kernel without what is needed.
pub(crate) const REFUSED: u8 = 2;

/// Shows every LLM call that unmodified programs make or serve.
///
/// llmtap reads the plaintext where a program hands it to its TLS library, with eBPF. Programs are
/// not changed, and prompts and completions stay on the machine unless --capture-content is given.
#[derive(Debug, Parser)]
#[command(name = "llmtap", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sudo llmtap trace -- python agent.py             trace a program and its children
  sudo llmtap trace --pid 4242                     trace a running process, until Ctrl-C
  sudo llmtap trace --exe 'python*' --port 443     every Python that talks to port 443
  sudo llmtap trace --output otlp-json --output-file calls.jsonl -- node app.js
  sudo llmtap trace --otlp-endpoint http://localhost:4317 -- ./agent
  sudo llmtap run --config llmtap.yaml             the daemon
  sudo llmtap record -o calls.rec -- ./agent       keep what passes, for later
  llmtap replay calls.rec                          and look at it again
  sudo llmtap doctor                               what is seen here, and why not the rest";

#[derive(Debug, Subcommand)]
enum Command {
    Trace(Box<trace::Arguments>),
    Run(run::Arguments),
    Record(Box<record::Arguments>),
    Replay(Box<replay::Arguments>),
    Doctor(doctor::Arguments),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    match arguments.command {
        Command::Trace(arguments) => trace::run(*arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Record(arguments) => record::run(*arguments),
        Command::Replay(arguments) => replay::run(*arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
    }
}

/// Prints a refusal the way all of them look.
pub(crate) fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("llmtap: {}", sentence(error));
    ExitCode::from(REFUSED)
}

/// An error with its causes, in one line.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Warnings and errors; more with `LLMTAP_LOG` (the `tracing` crate's filter syntax).
fn log_to_stderr() {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_from_env("LLMTAP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,llmtap=info"));
    let colour = std::io::stderr().is_terminal() && outputs::may_colour();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_env_filter(filter)
        .with_target(false)
        .init();
}
