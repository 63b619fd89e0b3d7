//! Which processes and connections to trace, as flags, and what they mean together.
//! Takes flags; gives [`config::Filters`]. What a value must be is said where it is checked.

use std::{
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use crate::config;

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

    /// Trace connections with this TCP port at either end
    #[arg(long, value_name = "N")]
    port: Vec<NonZeroU16>,

    /// Trace processes in this cgroup (version 2) or below it
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// Trace every process of this machine
    #[arg(long)]
    all: bool,
}

impl From<FilterFlags> for config::Filters {
    fn from(flags: FilterFlags) -> Self {
        let FilterFlags { pid, exe, port, cgroup, all } = flags;
        Self { pid, exe, port, cgroup, all }
    }
}
