//! Which processes and connections to trace, as flags, and what they mean together.
//! Takes flags; gives checked [`session::Filters`](crate::session::Filters), or a sentence that says what is wrong.

use std::path::PathBuf;

use crate::session::{self, CgroupFilter, Executables};

/// Several kinds must all match; of one kind any.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filters (several kinds must all match, several of one kind any)")]
pub(super) struct FilterFlags {
    /// Trace this process and its children
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Vec<u32>,

    /// Trace programs whose executable matches; a pattern without '/' is held against the file name
    #[arg(long, value_name = "GLOB")]
    exe: Vec<String>,

    /// Trace connections with this TCP port at either end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,

    /// Trace processes in this cgroup (version 2) or below it
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// Trace every process of this machine
    #[arg(long)]
    all: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    #[error(
        "nothing says what to trace; give a command (llmtap trace -- COMMAND), or a filter: \
         --pid N, --exe GLOB, --port N, --cgroup PATH, or --all for every process of this machine"
    )]
    Nothing,
    #[error("there is no process {0}; `ps -e` lists those there are")]
    NoProcess(u32),
    #[error("--exe: {0}")]
    BadGlob(#[from] globset::Error),
    #[error(transparent)]
    Cgroup(#[from] session::CgroupError),
    #[error("{given} values of {flag} are more than the {most} that the kernel side compares")]
    TooMany { flag: &'static str, given: usize, most: usize },
}

impl FilterFlags {
    pub(super) fn check(self, command: bool) -> Result<session::Filters, FilterError> {
        let none = self.pid.is_empty()
            && self.exe.is_empty()
            && self.port.is_empty()
            && self.cgroup.is_empty();
        if none && !self.all && !command {
            return Err(FilterError::Nothing);
        }
        for pid in &self.pid {
            if !PathBuf::from(format!("/proc/{pid}")).exists() {
                return Err(FilterError::NoProcess(*pid));
            }
        }
        let within = |flag, given: usize, most: u32| {
            let most = most as usize;
            if given > most { Err(FilterError::TooMany { flag, given, most }) } else { Ok(()) }
        };
        within("--port", self.port.len(), tracer_ebpf::MAX_PORTS)?;
        within("--cgroup", self.cgroup.len(), tracer_ebpf::MAX_CGROUPS)?;
        Ok(session::Filters {
            pids: self.pid,
            command,
            executables: Executables::new(&self.exe)?,
            ports: self.port,
            cgroups: self
                .cgroup
                .iter()
                .map(|path| CgroupFilter::open(path))
                .collect::<Result<_, _>>()?,
        })
    }
}
