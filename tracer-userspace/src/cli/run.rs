//! `llmtap run`: the daemon, with its settings from a file, whose filters change as it is edited.
//! Takes the configuration; gives 0 after SIGTERM or SIGINT, or 2 for what was refused.

use std::{path::PathBuf, process::ExitCode};

use super::{
    refuse,
    trace::{Inner, RecordingFlags, Run},
};
use crate::config::Watch;

/// Trace what a configuration file says, until SIGTERM
///
/// Every setting of `llmtap trace` is there; docs/configuration.md lists them. Filters that are edited
/// there are applied while llmtap runs: when the file has stayed the same for a second or two, or on SIGHUP.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// YAML file with the settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let run = Watch::open(&arguments.config).map_err(Into::into).and_then(|(config, watch)| {
        Run::prepare(&config, RecordingFlags::default(), Vec::new(), Inner::default())?
            .following(watch, config)
    });
    match run {
        Ok(run) => run.carry_out(),
        Err(error) => refuse(&*error),
    }
}
