//! What the kernel must allow llmtap, asked before anything is attached.
//! Takes nothing; gives a sentence that names what is missing.

use std::fs;

/// Linux `capability.h`, with why llmtap needs each.
const NEEDED: [(u32, &str, &str); 4] = [
    (39, "CAP_BPF", "to load its BPF programs"),
    (CAP_PERFMON, "CAP_PERFMON", "to attach them to functions"),
    (19, "CAP_SYS_PTRACE", "to see what other processes have mapped"),
    (2, "CAP_DAC_READ_SEARCH", "to read the files they have mapped"),
];
const CAP_PERFMON: u32 = 38;
/// Includes the first two; kernels before 5.8 have nothing finer.
const CAP_SYS_ADMIN: u32 = 21;

#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    #[error(
        "llmtap needs privileges that it does not have: {}; run it as root (sudo llmtap …) or give \
         it these capabilities",
        .0.join(", ")
    )]
    Missing(Vec<String>),
}

/// A capability that llmtap needs, and whether it has it.
pub(super) struct Capability {
    pub(super) name: &'static str,
    pub(super) purpose: &'static str,
    pub(super) held: bool,
}

/// `None`: the kernel does not say which are in effect.
pub(super) fn capabilities() -> Option<Vec<Capability>> {
    let effective = effective_capabilities()?;
    let has = |bit: u32| effective & (1 << bit) != 0;
    let held = |bit: u32| has(bit) || (bit >= CAP_PERFMON && has(CAP_SYS_ADMIN));
    let each = NEEDED.map(|(bit, name, purpose)| Capability { name, purpose, held: held(bit) });
    Some(each.into())
}

/// Whether a started command can be held while its libraries are looked at.
pub(super) fn may_hold_commands() -> Option<bool> {
    Some(effective_capabilities()? & (1 << CAP_SYS_ADMIN) != 0)
}

/// Checks the capabilities in effect; a kernel that does not say is asked by trying.
///
/// # Errors
/// One is missing.
pub fn check() -> Result<(), PrivilegeError> {
    let missing: Vec<String> = capabilities()
        .into_iter()
        .flatten()
        .filter(|capability| !capability.held)
        .map(|Capability { name, purpose, .. }| format!("{name} ({purpose})"))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(PrivilegeError::Missing(missing)) }
}

fn effective_capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}
