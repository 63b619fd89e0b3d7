//! `llmtap replay`: what was recorded, through everything behind capture.
//! Takes a recording or a packet capture; gives spans, and 0, 1 where the file breaks off, or 2 for
//! what was refused. Needs no privileges.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    outputs::{CheckedOutputs, OutputFlags},
    refuse, sentence,
    stages::stages,
};
use crate::{
    config::Config,
    export::{Host, MetricsReading, Variables},
    recording::{OpenError, Source},
    session::{Filters, Hosts, Outcome, Pace, Pipeline, Summary, Traced, replay},
    trace::{Clock, Ids},
};

/// How long the outputs may take to send what they hold at the end.
const FLUSH: Duration = Duration::from_secs(60);

/// Show the calls of a recording, or of a packet capture (pcap, pcapng) of plain HTTP
///
/// Each time with the same spans, ids and times included. Ends with status 1 where the file breaks
/// off; what came before is shown all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Recording or packet capture
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Take the time that it took when it was recorded
    #[arg(long)]
    real_time: bool,

    #[command(flatten)]
    outputs: OutputFlags,
}

const EXAMPLES: &str = "\
Examples:
  llmtap replay calls.rec
  llmtap replay --real-time calls.rec
  llmtap replay --output otlp-json --output-file calls.jsonl traffic.pcapng";

#[derive(Debug, thiserror::Error)]
#[error("cannot replay {path}: {source}")]
struct CannotReplay {
    path: PathBuf,
    source: OpenError,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    let (file, real_time) = (arguments.file.clone(), arguments.real_time);
    let (source, pipeline, stop) = match prepare(arguments) {
        Ok(prepared) => prepared,
        Err(error) => return refuse(&*error),
    };
    let pace = if real_time { Pace::RealTime } else { Pace::Full };
    carry_out(&file, source, pipeline, pace, &stop)
}

type Prepared = (Source, Pipeline, Arc<AtomicBool>);

fn prepare(arguments: Arguments) -> Result<Prepared, Box<dyn std::error::Error>> {
    let variables = Variables::of_this_process();
    let mut config = Config::default();
    arguments.outputs.fill(&mut config);
    let path = arguments.file;
    let source = Source::open(&path).map_err(|source| CannotReplay { path, source })?;
    let start = source.start();
    let host = Host { name: start.host_name.clone(), machine: start.machine.clone() };
    let outputs = CheckedOutputs::for_host(host, &config, &variables)?;
    let hosts = Hosts::new(start.hosts.clone())?;
    let filters = Filters { ports: start.ports.clone(), hosts, ..Filters::default() };
    let clock = Clock::Recorded { boot: start.boot };
    let (calls, spans) = stages(&config, &variables, clock, Ids::Seeded(start.seed))?;
    outputs.tell_of_unheard(spans.conventions().content);
    let stop = stopped_by_signals()?;
    let outputs = outputs.start()?.patient();
    let reading = MetricsReading::resolve(&config.otlp, &variables);
    let pipeline = Pipeline::new(Arc::new(filters), calls, spans, outputs).measured(reading, None);
    Ok((source, pipeline, stop))
}

/// Set by SIGINT and SIGTERM; the second of them ends llmtap at once.
fn stopped_by_signals() -> std::io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let wait = async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if told.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(wait))?;
    Ok(stop)
}

fn carry_out(
    path: &Path,
    mut source: Source,
    mut pipeline: Pipeline,
    pace: Pace,
    stop: &AtomicBool,
) -> ExitCode {
    let result = replay(&mut source, &mut pipeline, pace, stop);
    let (counts, http) = (pipeline.counts(), pipeline.http_counts());
    let overflow = pipeline.overflow();
    let outputs = pipeline.into_outputs().finish(FLUSH);
    let finish = result.as_ref().ok().copied().flatten().unwrap_or_default();
    let traced = Some(Traced { counts, http, outputs, overflow });
    let outcome = Some(Outcome { traced, recorded: None });
    let summary =
        Summary { outcome, lost: finish.lost, unreadable: finish.unreadable, ..Summary::default() };
    eprintln!("{summary}");
    for passed in source.passed_over() {
        eprintln!("llmtap: passed over: {passed}");
    }
    if finish.withheld > 0 {
        eprintln!("llmtap: {} bytes were left out when it was recorded", finish.withheld);
    }
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llmtap: {} was replayed in part: {}", path.display(), sentence(&error));
            ExitCode::FAILURE
        }
    }
}
