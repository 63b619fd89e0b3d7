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
pub(crate) enum PrivilegeError {
    #[error(
        "llmtap needs privileges that it does not have: {}; run it as root (sudo llmtap …) or give \
         it these capabilities",
        .0.join(", ")
    )]
    Missing(Vec<String>),
}

/// Checks the capabilities in effect.
pub(crate) fn check() -> Result<(), PrivilegeError> {
    // A kernel that does not say is asked by trying.
    let Some(effective) = effective_capabilities() else { return Ok(()) };
    let has = |bit: u32| effective & (1 << bit) != 0;
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|(bit, ..)| {
            let included = *bit >= CAP_PERFMON && has(CAP_SYS_ADMIN);
            !has(*bit) && !included
        })
        .map(|(_, name, purpose)| format!("{name} ({purpose})"))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(PrivilegeError::Missing(missing)) }
}

fn effective_capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}
