//! What to trace, checked and in the forms that the kernel side and the session compare.
//! Takes values from the command line or the configuration; gives [`Filters`].

use std::{
    collections::HashSet,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use tracer_ebpf::{Cgroup, MARK_PROGRAM, MARK_TREE, MAX_CGROUPS, MAX_PORTS};

use super::{Hosts, Programs, ProgramsError};
use crate::{
    capture::{KernelFilters, PortRange},
    config,
    discover::mappings,
};

/// Kinds that are given must all match; of one kind any value.
#[derive(Debug, Default)]
pub struct Filters {
    pub pids: Vec<u32>,
    /// A command is started and traced with its children.
    pub command: bool,
    pub programs: Programs,
    /// TCP, either end.
    pub ports: Vec<PortRange>,
    pub hosts: Hosts,
    pub cgroups: Vec<CgroupFilter>,
}

#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error(
        "nothing says what to trace; give a command (llmtap trace -- COMMAND), or a filter: \
         --pid N, --exe GLOB, --cmdline GLOB, --cgroup PATH, --container ID, --port N, --host GLOB, or \
         --all for every process of this machine"
    )]
    Nothing,
    #[error("there is no process {0}; `ps -e` lists those there are")]
    NoProcess(u32),
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error("the pattern for hosts is not understood: {0}")]
    BadHost(#[from] globset::Error),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error("{given} {kind} are given, and the kernel side compares {most} at most")]
    TooMany { kind: &'static str, given: usize, most: usize },
}

impl Filters {
    /// Checks what the user asked for against this machine.
    ///
    /// # Errors
    /// If nothing is asked for, or what is named does not exist or is not understood.
    pub fn check(wanted: config::Filters, command: bool) -> Result<Self, FilterError> {
        if wanted.is_empty() && !command {
            return Err(FilterError::Nothing);
        }
        if let Some(pid) = gone(&wanted).first() {
            return Err(FilterError::NoProcess(*pid));
        }
        Self::understood(wanted, command)
    }

    /// As [`Filters::check`], for a run under way: a process that is gone is no fault. Gives those
    /// beside.
    ///
    /// # Errors
    /// As [`Filters::check`].
    pub fn check_again(wanted: config::Filters) -> Result<(Self, Vec<u32>), FilterError> {
        if wanted.is_empty() {
            return Err(FilterError::Nothing);
        }
        let gone = gone(&wanted);
        Ok((Self::understood(wanted, false)?, gone))
    }

    fn understood(wanted: config::Filters, command: bool) -> Result<Self, FilterError> {
        let pids: Vec<u32> = wanted.pid.into_iter().map(Into::into).collect();
        at_most(MAX_PORTS, "ports", wanted.port.len())?;
        at_most(MAX_CGROUPS, "cgroups", wanted.cgroup.len())?;
        let cgroups = wanted.cgroup.iter().map(|path| CgroupFilter::open(path));
        Ok(Self {
            pids,
            command,
            programs: Programs::new(&wanted.exe, &wanted.cmdline, wanted.container)?,
            ports: wanted.port,
            hosts: Hosts::new(wanted.host)?,
            cgroups: cgroups.collect::<Result<_, _>>()?,
        })
    }

    /// Whether only what is named by pid or command is traced, and what descends from it.
    pub fn is_by_tree(&self) -> bool {
        self.command || !self.pids.is_empty()
    }

    /// What the kernel side compares.
    pub fn for_kernel(&self) -> KernelFilters {
        let tree = if self.is_by_tree() { MARK_TREE } else { 0 };
        let program = if self.programs.is_empty() { 0 } else { MARK_PROGRAM };
        KernelFilters {
            required_marks: tree | program,
            cgroups: self.cgroups.iter().map(|cgroup| cgroup.id).collect(),
            ports: self.ports.clone(),
        }
    }

    /// Whether a connection passes the port filter whose socket the kernel side does not know (a
    /// TLS object on memory buffers): by the port that the client asked for, which is the peer's.
    pub fn authority_passes(&self, port: Option<u16>) -> bool {
        self.ports.is_empty()
            || port.is_some_and(|port| self.ports.iter().any(|range| range.contains(port)))
    }
}

/// Processes that are named and not there.
fn gone(wanted: &config::Filters) -> Vec<u32> {
    let pids = wanted.pid.iter().map(|pid| pid.get());
    pids.filter(|pid| !mappings::is_alive(*pid)).collect()
}

fn at_most(most: u32, kind: &'static str, given: usize) -> Result<(), FilterError> {
    let most = most as usize;
    if given > most { Err(FilterError::TooMany { kind, given, most }) } else { Ok(()) }
}

/// A cgroup of the unified hierarchy.
#[derive(Clone, Debug)]
pub struct CgroupFilter {
    pub path: PathBuf,
    pub id: Cgroup,
}

#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error("there is no cgroup {path}: {source}")]
    Missing { path: PathBuf, source: io::Error },
    #[error(
        "{0} is no directory of a cgroup2 filesystem; llmtap compares cgroups of version 2 only \
         (`mount -t cgroup2` lists where they are)"
    )]
    NotUnified(PathBuf),
}

impl CgroupFilter {
    pub fn open(path: &Path) -> Result<Self, CgroupError> {
        let missing = |source| CgroupError::Missing { path: path.to_owned(), source };
        let path = fs::canonicalize(path).map_err(missing)?;
        let metadata = fs::metadata(&path).map_err(missing)?;
        if !metadata.is_dir() || !is_cgroup2(&path) {
            return Err(CgroupError::NotUnified(path));
        }
        // The root of the hierarchy is where the filesystem ends.
        let level = path.ancestors().skip(1).take_while(|ancestor| is_cgroup2(ancestor)).count();
        let id = Cgroup { id: metadata.ino(), level: level as u32, reserved: 0 };
        Ok(Self { path, id })
    }
}

/// Processes that are now in one of the cgroups, or below; `None`: none is asked for.
pub(super) fn within(cgroups: &[CgroupFilter]) -> Option<HashSet<u32>> {
    if cgroups.is_empty() {
        return None;
    }
    let mut folders: Vec<PathBuf> = cgroups.iter().map(|cgroup| cgroup.path.clone()).collect();
    let mut pids = HashSet::new();
    while let Some(folder) = folders.pop() {
        // One that is gone has none; nor has one of threads alone, which the one above has.
        let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
        let below = fs::read_dir(folder).into_iter().flatten().flatten();
        folders.extend(
            below
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    Some(pids)
}

/// `CGROUP2_SUPER_MAGIC` (Linux `magic.h`).
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

fn is_cgroup2(path: &Path) -> bool {
    nix::sys::statfs::statfs(path.as_os_str().as_bytes())
        .is_ok_and(|filesystem| filesystem.filesystem_type().0 == CGROUP2_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_trace_is_refused() {
        let nothing = config::Filters::default;
        assert!(matches!(Filters::check(nothing(), false), Err(FilterError::Nothing)));
        assert!(Filters::check(nothing(), true).is_ok());
        assert!(Filters::check(config::Filters { all: true, ..nothing() }, false).is_ok());
    }

    #[test]
    fn unknown_process_is_refused() {
        // Above the largest value of the kernel's pid_max (2^22).
        let pid = vec![std::num::NonZeroU32::new(1 << 23).unwrap()];
        let wanted = config::Filters { pid, ..config::Filters::default() };
        assert!(matches!(Filters::check(wanted, false), Err(FilterError::NoProcess(_))));
    }

    /// It must not become a wider filter.
    #[test]
    fn process_that_is_gone_stays_required_in_a_run() {
        let pid = vec![std::num::NonZeroU32::new(1 << 23).unwrap()];
        let wanted = config::Filters { pid, ..config::Filters::default() };
        let (filters, gone) = Filters::check_again(wanted).unwrap();
        assert_eq!(gone, [1 << 23]);
        assert_eq!(filters.for_kernel().required_marks, MARK_TREE);
        let nothing = Filters::check_again(config::Filters::default());
        assert!(matches!(nothing, Err(FilterError::Nothing)));
    }

    #[test]
    fn kinds_that_are_given_are_required() {
        let marks = |filters: &Filters| filters.for_kernel().required_marks;
        assert_eq!(marks(&Filters::default()), 0);
        assert_eq!(marks(&Filters { pids: vec![1], ..Filters::default() }), MARK_TREE);
        let programs = Programs::new(&["sh".into()], &[], Vec::new()).unwrap();
        let filters = Filters { command: true, programs, ..Filters::default() };
        assert_eq!(marks(&filters), MARK_TREE | MARK_PROGRAM);
    }

    #[test]
    fn unknown_port_does_not_pass_a_filter() {
        let ports = vec!["443".parse().unwrap(), "8000-8100".parse().unwrap()];
        let filters = Filters { ports, ..Filters::default() };
        assert!(filters.authority_passes(Some(443)) && filters.authority_passes(Some(8080)));
        assert!(!filters.authority_passes(Some(8443)));
        assert!(!filters.authority_passes(None));
        assert!(Filters::default().authority_passes(None));
    }

    #[test]
    fn ordinary_directory_is_no_cgroup() {
        assert!(matches!(CgroupFilter::open(Path::new("/tmp")), Err(CgroupError::NotUnified(_))));
        let missing = CgroupFilter::open(Path::new("/no/such/cgroup"));
        assert!(matches!(missing, Err(CgroupError::Missing { .. })));
    }
}
