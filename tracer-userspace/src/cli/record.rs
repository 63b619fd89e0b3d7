//! `llmtap record`: keeps what passes in a file, in place of looking at it.
//! Takes filters or a command, and a file; gives the command's exit status, or 0, 1 where the file
//! could not be written to its end, or 2 for what was refused.

use std::{
    ffi::OsString,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io,
    path::PathBuf,
    process::ExitCode,
};

use super::{
    filters::FilterFlags,
    inspection::InspectionFlags,
    refuse,
    trace::{KernelFlags, KernelSide, Run},
};
use crate::{
    capture::{Limits, Thresholds},
    export::Host,
    recording::Start,
    session::{Behind, Filters, Recorder},
    trace::measured_boot,
};

/// Keep what programs send and receive in a file, for `llmtap replay`
///
/// The file holds prompts and answers. Credentials in headers and request targets are replaced before
/// anything is written, and connections that are no HTTP are left out; bodies are kept as they are.
/// docs/record-format.md tells what exactly.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// File to write; only its owner may read it
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Replace nothing and leave nothing out: the file holds API keys and cookies
    #[arg(long)]
    keep_credentials: bool,

    #[command(flatten)]
    filters: FilterFlags,

    #[command(flatten)]
    inspection: InspectionFlags,

    #[command(flatten)]
    kernel: KernelFlags,

    /// The command to run, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  sudo llmtap record -o calls.rec -- python agent.py
  sudo llmtap record -o calls.rec --pid 4242        until Ctrl-C
  llmtap replay calls.rec";

#[derive(Debug, thiserror::Error)]
#[error("cannot write to {path}: {source}")]
pub(super) struct CannotWrite {
    path: PathBuf,
    source: io::Error,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    match prepare(arguments) {
        Ok(run) => run.carry_out(),
        Err(error) => refuse(&*error),
    }
}

fn prepare(arguments: Arguments) -> Result<Run, Box<dyn std::error::Error>> {
    let Arguments { output, keep_credentials, filters, inspection, kernel, command } = arguments;
    let filters = Filters::check(filters.into(), !command.is_empty())?;
    let start = start(&filters, keep_credentials);
    // What belongs to an LLM call a recording does not know: nothing is left out but what has no room.
    let thresholds = Thresholds::NEVER;
    let limits = Limits { ring_bytes: kernel.ring_bytes(), thresholds, ..Limits::default() };
    let inner = kernel.inner();
    let inspector = inspection.inspector()?;
    let kernel = KernelSide { limits, board: None, tell_coverage: false, inspector, inner };
    Run::checked(filters, command, kernel, |_| Ok(Behind::new(None, Some(create(output, &start)?))))
}

/// What a recording that begins now says of itself.
pub(super) fn start(filters: &Filters, credentials_kept: bool) -> Start {
    let host = Host::this();
    Start {
        boot: measured_boot(),
        // Keys of the standard library's hash tables are random.
        seed: RandomState::new().build_hasher().finish(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host_name: host.name,
        machine: host.machine,
        ports: filters.ports.clone(),
        hosts: filters.hosts.patterns().to_vec(),
        credentials_kept,
    }
}

pub(super) fn create(path: PathBuf, start: &Start) -> Result<Recorder, CannotWrite> {
    Recorder::create(&path, start).map_err(|source| CannotWrite { path, source })
}
