//! What llmtap can see on this machine, and why not the rest.
//! Takes pids, or none for every process that holds TCP connections; gives a [`Report`].
//! Reads `/proc`, `/sys` and files; attaches nothing, and changes nothing but what its inspector keeps. What a
//! run follows it is told.

mod kernel;
mod plaintext;
mod privileges;
mod programs;
mod sockets;
mod text;
mod verdict;

use std::{borrow::Cow, collections::HashMap, path::PathBuf};

use serde::Serialize;

pub use plaintext::Plaintext;
pub use privileges::{PrivilegeError, check as check_privileges};
pub use programs::{Held, Programs};
pub use sockets::{Connections, Sockets};
pub use text::Style;
pub use verdict::Coverage;

use crate::{
    capture::Addresses,
    discover::{Basis, Cost, Finding, Inspector, Stack, mappings},
};

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
#[derive(Clone, Debug, Serialize)]
pub struct Program {
    pub pid: u32,
    /// The file name of its executable, or the kernel's name of the process.
    pub name: String,
    pub executable: Option<PathBuf>,
    pub command: Vec<String>,
    pub container_id: Option<String>,
    /// `None`: they cannot be read.
    pub tcp_connections: Option<Connections>,
    /// `None`: nothing was traced.
    pub plaintext: Option<Plaintext>,
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
    pub reason: Cow<'static, str>,
}

impl Library {
    fn of(path: PathBuf, finding: &Finding) -> Self {
        let probes = finding.sites.iter().map(|site| Probe {
            function: format!("{:?}", site.function),
            offset: site.offset,
            cost: site.cost,
            reason: site.reason.clone(),
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

/// The connections of each process that are followed, with their addresses where they are known.
pub type Followed = HashMap<u32, Vec<Option<Addresses>>>;

/// Looks at these processes; without any, at all that hold TCP connections, but for llmtap itself.
/// `followed`: of a run that traces them.
pub fn examine(pids: &[u32], followed: Option<&Followed>, inspector: Inspector) -> Report {
    let mut known = Programs::new(inspector);
    let kernel = kernel::abilities();
    let held = |pid: u32, sockets: Option<Sockets>| {
        let established = sockets.as_ref().map_or(&[][..], |sockets| &sockets.established);
        let seen = |all: &Followed| all.get(&pid).cloned().unwrap_or_default();
        let plaintext = followed.map(|all| Plaintext::compare(&seen(all), established));
        Held { sockets, plaintext }
    };
    if !pids.is_empty() {
        let examine = |pid: &u32| {
            let sockets = known.sockets(*pid);
            known.examine(*pid, held(*pid, sockets))
        };
        let programs: Vec<_> = pids.iter().filter_map(examine).collect();
        let not_readable = (pids.len() - programs.len()) as u64;
        return Report { kernel, programs, not_readable };
    }
    let own = std::process::id();
    let (mut programs, mut not_readable) = (Vec::new(), 0);
    for pid in mappings::all_processes().into_iter().filter(|pid| *pid != own) {
        match known.sockets(pid) {
            Some(sockets) if sockets.is_empty() => {}
            sockets @ Some(_) => programs.extend(known.examine(pid, held(pid, sockets))),
            None => not_readable += u64::from(sockets::may_hold(pid)),
        }
    }
    Report { kernel, programs, not_readable }
}

/// The processes that hold TCP connections, but for llmtap itself.
pub fn with_connections() -> Vec<u32> {
    let (own, mut known) = (std::process::id(), Programs::default());
    let holds =
        |pid: &u32| *pid != own && known.sockets(*pid).is_some_and(|sockets| !sockets.is_empty());
    mappings::all_processes().into_iter().filter(holds).collect()
}
