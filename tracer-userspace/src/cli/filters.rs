//! Which processes and connections to trace, as flags, and what they mean together.
//! Takes flags; gives [`config::Filters`]. What a value must be is said where it is checked.

use std::{num::NonZeroU32, path::PathBuf};

use crate::{capture::PortRange, config};

/// Several kinds must all match; of one kind any.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filters (several kinds must all match, several of one kind any)")]
pub(super) struct FilterFlags {
    /// Trace this process and its children
    #[arg(long, value_name = "N")]
    pid: Vec<NonZeroU32>,

    /// Trace programs whose executable matches; a pattern without '/' is held against the file name
    #[arg(long, value_name = "GLOB")]
    exe: Vec<String>,

    /// Trace programs whose command line matches: the arguments with a space between
    #[arg(long, value_name = "GLOB")]
    cmdline: Vec<String>,

    /// Trace processes in this cgroup (version 2) or below it
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// Trace programs of this container: its id, or the first digits of it
    #[arg(long, value_name = "ID")]
    container: Vec<String>,

    /// Trace connections with this TCP port, or one of a range, at either end
    #[arg(long, value_name = "N[-N]")]
    port: Vec<PortRange>,

    /// Show calls to hosts that match; needs another filter or a command beside
    #[arg(long, value_name = "GLOB")]
    host: Vec<String>,

    /// Trace every process of this machine
    #[arg(long)]
    all: bool,
}

impl From<FilterFlags> for config::Filters {
    fn from(flags: FilterFlags) -> Self {
        let FilterFlags { pid, exe, cmdline, cgroup, container, port, host, all } = flags;
        Self { pid, exe, cmdline, cgroup, container, port, host, all }
    }
}
