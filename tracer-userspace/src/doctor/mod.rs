//! What llmtap can see on this machine, and why not the rest.
//! Takes pids, or none for every process that holds TCP connections; gives a [`Report`].
//! Reads `/proc`, `/sys` and files; attaches nothing and changes nothing.

mod kernel;
mod privileges;
mod programs;
mod sockets;
mod text;
mod verdict;

use std::path::PathBuf;

use serde::Serialize;

pub use privileges::{PrivilegeError, check as check_privileges};
pub use programs::Programs;
pub use sockets::Connections;
pub use text::Style;
pub use verdict::Coverage;

use crate::discover::{Basis, Cost, Finding, Stack, mappings};

/// What was found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub kernel: Vec<Ability>,
    pub programs: Vec<Program>,
    /// Processes that may hold connections and could not be looked at.
    pub not_readable: u64,
}

/// Something that the kernel, or what llmtap is allowed, has or has not.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Ability {
    pub name: &'static str,
    /// `None`: it cannot be found out.
    pub available: Option<bool>,
    /// What it is good for, or what its absence costs.
    pub meaning: String,
}

/// A process.
#[derive(Debug, Serialize)]
pub struct Program {
    pub pid: u32,
    /// The file name of its executable, or the kernel's name of the process.
    pub name: String,
    pub executable: Option<PathBuf>,
    pub command: Vec<String>,
    pub container_id: Option<String>,
    /// `None`: they cannot be read.
    pub tcp_connections: Option<Connections>,
    pub libraries: Vec<Library>,
    pub coverage: Coverage,
    /// In a sentence: what is seen, or why not and what would cover it.
    pub why: String,
}

/// A TLS library in a file that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    pub path: PathBuf,
    pub stack: Stack,
    pub version: Option<String>,
    pub found_by: Basis,
    pub evidence: Vec<String>,
    pub probes: Vec<Probe>,
}

/// Where a probe would sit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    pub function: String,
    /// Bytes from the start of the file.
    pub offset: u64,
    pub cost: Cost,
    pub reason: &'static str,
}

impl Library {
    fn of(path: PathBuf, finding: &Finding) -> Self {
        let probes = finding.sites.iter().map(|site| Probe {
            function: format!("{:?}", site.function),
            offset: site.offset,
            cost: site.cost,
            reason: site.reason,
        });
        Self {
            path,
            stack: finding.stack,
            version: finding.version.clone(),
            found_by: finding.basis,
            evidence: finding.evidence.clone(),
            probes: probes.collect(),
        }
    }
}

/// Looks at these processes; without any, at all that hold TCP connections, but for llmtap itself.
pub fn examine(pids: &[u32]) -> Report {
    let mut known = Programs::default();
    let kernel = kernel::abilities();
    if !pids.is_empty() {
        let examine = |pid: &u32| {
            let connections = known.sockets(*pid);
            known.examine(*pid, connections)
        };
        let programs: Vec<_> = pids.iter().filter_map(examine).collect();
        let not_readable = (pids.len() - programs.len()) as u64;
        return Report { kernel, programs, not_readable };
    }
    let own = std::process::id();
    let (mut programs, mut not_readable) = (Vec::new(), 0);
    for pid in mappings::all_processes().into_iter().filter(|pid| *pid != own) {
        match known.sockets(pid) {
            Some(connections) if connections.is_empty() => {}
            connections @ Some(_) => programs.extend(known.examine(pid, connections)),
            None => not_readable += u64::from(sockets::may_hold(pid)),
        }
    }
    Report { kernel, programs, not_readable }
}
