//! What llmtap itself takes of the machine.
//! Takes nothing; gives its processor time and its resident memory, as the kernel counts them.

use std::{fs, time::Duration};

use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike as _,
    },
    unistd::{SysconfVar, sysconf},
};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Of all threads, in user and kernel mode.
    pub(super) processor: Duration,
    pub(super) resident_bytes: u64,
}

pub(super) fn usage() -> Usage {
    let processor = getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let micros = (usage.user_time() + usage.system_time()).num_microseconds();
        Duration::from_micros(micros.unsigned_abs())
    });
    Usage { processor, resident_bytes: resident_bytes().unwrap_or(0) }
}

/// The second number of `statm` (proc_pid_statm(5)), in pages.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * page.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_process_takes_time_and_memory() {
        let Usage { processor, resident_bytes } = usage();
        assert!(processor > Duration::ZERO);
        assert!((1 << 20..1 << 40).contains(&resident_bytes), "{resident_bytes}");
    }
}
