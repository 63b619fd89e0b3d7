//! `llmtap trace`: traces a command, or what the filters say, until it ends or Ctrl-C.
//! Takes flags; gives the command's exit status, or 0, or 2 for what was refused.
//! Nothing is attached before everything that can be checked was checked.

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    filters::FilterFlags,
    inspection::{self, InspectionFlags},
    outputs::{CheckedOutputs, OutputFlags},
    record, refuse,
    reload::Reload,
    stages::stages,
};
use crate::{
    capture::Limits,
    config::{self, Config, Listen, Watch},
    discover::Inspector,
    doctor,
    export::{MetricsReading, Variables},
    metrics::Metrics,
    session::{
        Alive, Behind, Board, Filters, Pipeline, Session, Settings,
        command::{self, Held},
    },
    trace::{Clock, Ids},
};

/// Trace a command and its children, or running programs
///
/// With a command: probes are in place before it starts, its input and output are left alone, and
/// llmtap ends with its exit status when the last process it left has ended. Without: until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    filters: FilterFlags,

    #[command(flatten)]
    outputs: OutputFlags,

    #[command(flatten)]
    recording: RecordingFlags,

    #[command(flatten)]
    inspection: InspectionFlags,

    #[command(flatten)]
    kernel: KernelFlags,

    /// Serve metrics, of calls and of llmtap itself, at http://ADDR/metrics; a port alone is one of loopback
    #[arg(long, value_name = "ADDR", help_heading = "Outputs")]
    metrics_listen: Option<Listen>,

    /// The command to run, with its arguments
    #[arg(last = true, value_name = "COMMAND", help_heading = "Command")]
    command: Vec<OsString>,
}

/// A recording beside the spans.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Recording")]
pub(super) struct RecordingFlags {
    /// Keep what passes in this file as well: `llmtap replay` gives the same spans again, with the
    /// same ids. It holds prompts and answers, without credentials; only its owner may read it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Replace no credentials in the recording and leave nothing out
    #[arg(long, requires = "record")]
    keep_credentials: bool,
}

/// How the kernel side is set up.
#[derive(Debug, clap::Args)]
pub(super) struct KernelFlags {
    /// Size of the buffer between kernel and llmtap
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024),
          help_heading = "Limits")]
    ring_size: u32,

    /// Log what the programs in the kernel say
    #[arg(long, hide = true)]
    kernel_log: bool,

    /// Seconds from one look for files that have no use any more to the next
    #[arg(long, hide = true, default_value_t = SWEEP.as_secs())]
    sweep_seconds: u64,
}

/// From one look for files that have no use any more to the next: their probes cost nothing meanwhile.
pub(super) const SWEEP: Duration = Duration::from_secs(60);

/// What only those who work on llmtap set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner {
    pub(super) kernel_log: bool,
    pub(super) sweep: Duration,
}

impl Default for Inner {
    fn default() -> Self {
        Self { kernel_log: false, sweep: SWEEP }
    }
}

impl KernelFlags {
    /// A ring is a power of two.
    pub(super) fn ring_bytes(&self) -> u32 {
        self.ring_size.next_power_of_two() * MIB
    }

    pub(super) fn inner(&self) -> Inner {
        Inner { kernel_log: self.kernel_log, sweep: Duration::from_secs(self.sweep_seconds) }
    }
}

const EXAMPLES: &str = "\
Examples:
  sudo llmtap trace -- python agent.py
  sudo llmtap trace --output otlp-json --output-file calls.jsonl -- node app.js
  sudo llmtap trace --record calls.rec -- python agent.py
  sudo llmtap trace --pid 4242 --pid 4243
  sudo llmtap trace --exe 'python*' --port 443 --otlp-endpoint http://localhost:4317

Environment:
  OTEL_EXPORTER_OTLP_*, OTEL_{TRACES,METRICS,LOGS}_EXPORTER, OTEL_METRIC_EXPORT_INTERVAL,
  OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER(_ARG), OTEL_SEMCONV_STABILITY_OPT_IN,
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT:
  as OpenTelemetry defines them
  NO_COLOR: no colours    LLMTAP_LOG: log filter, such as debug";

const MIB: u32 = 1 << 20;

pub(super) fn run(arguments: Arguments) -> ExitCode {
    let (config, recording, command, inner) = arguments.config();
    match Run::prepare(&config, recording, command, inner) {
        Ok(run) => run.carry_out(),
        Err(error) => refuse(&*error),
    }
}

impl Arguments {
    fn config(self) -> (Config, RecordingFlags, Vec<OsString>, Inner) {
        let mut config = Config {
            filters: self.filters.into(),
            ring_bytes: Some(self.kernel.ring_bytes()),
            metrics: config::Metrics { listen: self.metrics_listen },
            ..Config::default()
        };
        self.outputs.fill(&mut config);
        self.inspection.fill(&mut config);
        (config, self.recording, self.command, self.kernel.inner())
    }
}

/// How the side of the run that reads from the kernel is set up.
pub(super) struct KernelSide {
    pub(super) limits: Limits,
    pub(super) board: Option<Board>,
    /// Tell of each program whether it is covered.
    pub(super) tell_coverage: bool,
    pub(super) inspector: Inspector,
    pub(super) inner: Inner,
}

/// A run that was checked as far as it can be without touching anything.
pub(super) struct Run {
    settings: Settings,
    command: Vec<OsString>,
    /// Signals are caught from here on, so that none ends llmtap half-attached.
    signals: Signals,
    runtime: tokio::runtime::Runtime,
    reload: Option<Reload>,
}

impl Run {
    pub(super) fn prepare(
        config: &Config,
        recording: RecordingFlags,
        command: Vec<OsString>,
        inner: Inner,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let variables = Variables::of_this_process();
        let filters = Filters::check(config.filters.clone(), !command.is_empty())?;
        let outputs = CheckedOutputs::new(config, &variables)?;
        let reading = MetricsReading::resolve(&config.otlp, &variables);
        let recording = recording.record.map(|path| {
            let start = record::start(&filters, recording.keep_credentials);
            (path, start)
        });
        // A replay has one clock and one seed, so a run that is recorded has them as well.
        let (clock, ids) = recording.as_ref().map_or_else(Default::default, |(_, start)| {
            (Clock::Recorded { boot: start.boot }, Ids::Seeded(start.seed))
        });
        let (calls, spans) = stages(config, &variables, clock, ids)?;
        outputs.tell_of_unheard(spans.conventions().content);
        let metrics = config.metrics_listen(&variables).map(Metrics::bind).transpose()?;
        let scrape = metrics.as_ref().map(|metrics| metrics.calls().clone());
        let board = metrics.as_ref().map(|metrics| metrics.board().clone());
        let tell_coverage = command.is_empty();
        let inspector = inspection::inspector(config)?;
        let limits = config.limits();
        let kernel = KernelSide { limits, board, tell_coverage, inspector, inner };
        let behind = |filters: &Arc<Filters>| {
            let recorder =
                recording.map(|(path, start)| record::create(path, &start)).transpose()?;
            let pipeline = Pipeline::new(Arc::clone(filters), calls, spans, outputs.start()?)
                .measured(reading, scrape);
            Ok(Behind::new(Some(pipeline), recorder))
        };
        let run = Self::checked(filters, command, kernel, behind)?;
        if let Some(metrics) = metrics {
            eprintln!("llmtap: metrics at http://{}/metrics", metrics.address());
            metrics.serve()?;
        }
        Ok(run)
    }

    /// `behind` is made last, when everything else was checked.
    pub(super) fn checked(
        filters: Filters,
        command: Vec<OsString>,
        kernel: KernelSide,
        behind: impl FnOnce(&Arc<Filters>) -> Result<Behind, Box<dyn std::error::Error>>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        doctor::check_privileges()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::catch()?
        };
        let filters = Arc::new(filters);
        let behind = behind(&filters)?;
        let KernelSide { limits, board, tell_coverage, inspector, inner } = kernel;
        let Inner { kernel_log, sweep } = inner;
        let settings = Settings {
            filters,
            behind,
            limits,
            kernel_log,
            board,
            tell_coverage,
            inspector,
            sweep,
        };
        Ok(Self { settings, command, signals, runtime, reload: None })
    }

    /// Follows the file that the configuration was read from.
    pub(super) fn following(
        self,
        watch: Watch,
        config: Config,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let reload = {
            let _inside = self.runtime.enter();
            Reload::new(watch, config, self.settings.board.clone())?
        };
        Ok(Self { reload: Some(reload), ..self })
    }
}

impl Run {
    pub(super) fn carry_out(self) -> ExitCode {
        if self.command.is_empty() { self.until_interrupted() } else { self.with_command() }
    }

    fn until_interrupted(mut self) -> ExitCode {
        let session = match Session::start(self.settings, None) {
            Ok(session) => session,
            Err(error) => return refuse(&error),
        };
        eprintln!(
            "llmtap: ready, tracing {} processes, probes in {} TLS libraries (Ctrl-C ends)",
            session.alive().count(),
            session.libraries().len()
        );
        self.runtime.block_on(async {
            let follow = async {
                match &mut self.reload {
                    Some(reload) => reload.follow(&session).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.signals.next() => {}
                () = follow => {}
            }
        });
        finish(session, ExitCode::SUCCESS)
    }

    fn with_command(mut self) -> ExitCode {
        if let Err(error) = self.command.first().map_or(Ok(()), |program| command::find(program)) {
            return not_started(&self.command, &error);
        }
        let held = match command::hold(&self.command) {
            Ok(held) => held,
            Err(error) => return not_started(&self.command, &error),
        };
        let pid = held.pid;
        let session = match Session::start(self.settings, Some(pid)) {
            Ok(session) => session,
            // The command that waits sees that nobody will let it go, and ends.
            Err(error) => return refuse(&error),
        };
        // Its libraries get their probes as it opens them.
        eprintln!("llmtap: ready, starting {}", self.command[0].to_string_lossy());
        let code = match self.runtime.block_on(attend(held, session.alive(), &mut self.signals)) {
            Ok(code) => ExitCode::from(code),
            Err(error) => not_started(&self.command, &error),
        };
        finish(session, code)
    }
}

/// Ends the session, tells its summary; `code` unless a recording is not whole.
fn finish(session: Session, code: ExitCode) -> ExitCode {
    let summary = session.finish();
    eprintln!("{summary}");
    let recorded = summary.outcome.and_then(|outcome| outcome.recorded);
    if recorded.is_some_and(|ended| ended.error.is_some()) { ExitCode::FAILURE } else { code }
}

fn not_started(command: &[OsString], error: &io::Error) -> ExitCode {
    let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    eprintln!("llmtap: cannot run {name}: {error}");
    ExitCode::from(command::start_failure_code(error))
}

/// Lets the command go, waits for it and for what it left behind; gives its exit status.
async fn attend(held: Held, alive: &Alive, signals: &mut Signals) -> io::Result<u8> {
    let pid = held.pid;
    let mut child = held.release()?;
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    let status = loop {
        tokio::select! {
            status = &mut ended => break status.map_err(io::Error::other)??,
            caught = signals.next() => forward(caught, pid),
        }
    };
    let code = command::exit_code(status);
    left_behind(alive, signals).await;
    Ok(code)
}

/// Ctrl-C reaches the command by itself, being sent to the terminal's whole process group; a
/// signal sent to llmtap alone is passed on.
fn forward(caught: SignalKind, pid: u32) {
    if caught == SignalKind::terminate() {
        // It is our child and not waited for yet, so the pid is still its own.
        let child = nix::unistd::Pid::from_raw(pid.cast_signed());
        if let Err(error) = nix::sys::signal::kill(child, nix::sys::signal::SIGTERM) {
            tracing::warn!(%error, "SIGTERM could not be passed on to the command");
        }
    }
}

/// Waits for processes that outlive the command, as `strace -f` does; a signal ends the wait.
async fn left_behind(alive: &Alive, signals: &mut Signals) {
    const STEP: Duration = Duration::from_millis(20);
    // The command's own end may be told by the ring a moment after it was reaped.
    for _ in 0..10 {
        if alive.count() == 0 {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
    eprintln!(
        "llmtap: the command ended; tracing the {} processes that it left, until Ctrl-C",
        alive.count()
    );
    while alive.count() > 0 {
        tokio::select! {
            _ = signals.next() => return,
            () = tokio::time::sleep(STEP) => {}
        }
    }
}

/// SIGINT and SIGTERM, caught.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        }
    }
}
