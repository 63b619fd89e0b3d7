//! `llmtap doctor`: what llmtap can see here, and why not the rest.
//! Takes flags; gives the report on standard output, and 0, or 2 for what was refused.

use std::{
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroU32,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use super::{inspection::InspectionFlags, outputs::may_colour, refuse, trace::SWEEP};
use crate::{
    capture::Limits,
    discover::{Inspector, OffsetsError},
    doctor::{self, Followed, PrivilegeError, Report, Style},
    session::{Behind, Filters, Session, SessionError, Settings},
};

/// Tell what llmtap can see on this machine, and why not the rest
///
/// Looks at the kernel, at what llmtap is allowed, and at each process that holds TCP connections: its
/// TLS libraries, how they were found, where probes would sit, what is not covered and what would
/// cover it. Attaches nothing, unless it is to watch. Without root, processes of others are counted and
/// not looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Look at this process alone, whether it holds connections or not
    #[arg(long, value_name = "N")]
    pid: Vec<NonZeroU32>,

    /// Trace the processes for so long, and tell how many of their connections are seen as plaintext.
    /// Only connections on which something passes meanwhile can be; none of it is kept
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    watch: Option<u32>,

    #[command(flatten)]
    inspection: InspectionFlags,

    /// How to write the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,

    /// Write the evidence for each library and every probe, too
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

const EXAMPLES: &str = "\
Examples:
  sudo llmtap doctor                       every process with TCP connections
  sudo llmtap doctor --pid 4242 -v         one process, with the evidence
  sudo llmtap doctor --pid 4242 --watch 10 which of its connections are seen as plaintext
  sudo llmtap doctor --output json | jq '.programs[] | select(.coverage != \"covered\") | .why'";

#[derive(Debug, thiserror::Error)]
enum DoctorError {
    #[error(
        "there is no process {0}, or it may not be looked at; `ps` lists processes, and root may look \
         at all of them"
    )]
    NoProcess(u32),
    #[error("the report cannot be written")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    #[error(transparent)]
    Offsets(#[from] OffsetsError),
    #[error("the processes cannot be watched")]
    Watch(#[from] SessionError),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match examine(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

fn examine(arguments: &Arguments) -> Result<(), DoctorError> {
    let pids: Vec<u32> = arguments.pid.iter().map(|pid| pid.get()).collect();
    let inspector = arguments.inspection.inspector()?;
    let watch = |seconds| watch(&pids, seconds, inspector.clone());
    let followed = arguments.watch.map(watch).transpose()?;
    let report = doctor::examine(&pids, followed.as_ref(), inspector);
    let is_told = |pid: &&u32| report.programs.iter().any(|program| program.pid == **pid);
    if let Some(missing) = pids.iter().find(|pid| !is_told(pid)) {
        return Err(DoctorError::NoProcess(*missing));
    }
    match write(&report, arguments) {
        // Who reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Traces the processes for a while; gives which of their connections are followed at its end.
fn watch(pids: &[u32], seconds: u32, inspector: Inspector) -> Result<Followed, DoctorError> {
    doctor::check_privileges()?;
    let pids = if pids.is_empty() { doctor::with_connections() } else { pids.to_vec() };
    if pids.is_empty() {
        return Ok(Followed::default());
    }
    let count = pids.len();
    let settings = Settings {
        filters: Arc::new(Filters { pids, ..Filters::default() }),
        behind: Behind::new(None, None),
        limits: Limits::default(),
        kernel_log: false,
        board: None,
        tell_coverage: false,
        inspector,
        sweep: SWEEP,
    };
    let session = Session::start(settings, None)?;
    eprintln!("llmtap: watching {count} processes for {seconds} s");
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let connections = session.seen().connections();
    session.finish();
    Ok(connections.into_iter().map(|(process, seen)| (process.pid, seen)).collect())
}

fn write(report: &Report, arguments: &Arguments) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match arguments.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut stdout, report)?;
            writeln!(stdout)
        }
        Format::Text => {
            let colours = stdout.is_terminal() && may_colour();
            let width = terminal_size::terminal_size().map_or(100, |(width, _)| width.0.into());
            let style = Style { colours, width, verbose: arguments.verbose };
            write!(stdout, "{}", report.in_style(style))
        }
    }
}
