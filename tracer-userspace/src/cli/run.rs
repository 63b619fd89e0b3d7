//! `llmtap run`: the daemon, with its settings from a file.
//! Takes the configuration; gives 0 after SIGTERM or SIGINT, or 2 for what was refused.

use std::{path::PathBuf, process::ExitCode};

use super::{
    refuse,
    trace::{RecordingFlags, Run},
};
use crate::config::Config;

/// Trace what a configuration file says, until SIGTERM
///
/// Every setting of `llmtap trace` is there; docs/configuration.md lists them.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// YAML file with the settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let run = Config::read(&arguments.config)
        .map_err(Into::into)
        .and_then(|config| Run::prepare(&config, RecordingFlags::default(), Vec::new(), false));
    match run {
        Ok(run) => run.carry_out(),
        Err(error) => refuse(&*error),
    }
}
