//! What the running kernel, and what llmtap is allowed to do, is good for.
//! Takes nothing; gives [`Ability`]s in the order of their weight.
//! Asks `/proc`, `/sys` and the system call `bpf`, which makes what it asks for and drops it again.

use std::path::Path;

use aya::{
    maps::MapType,
    programs::ProgramType,
    sys::{is_map_supported, is_program_supported},
};

use super::{
    Ability,
    privileges::{self, Capability},
};
use crate::capture::{KERNEL_BTF, tells_probes_apart};

/// The first Linux that llmtap runs on: it has the ring of BPF.
const OLDEST: (u32, u32) = (5, 8);

pub(super) fn abilities() -> Vec<Ability> {
    let mut all = vec![linux()];
    all.extend(privileges::capabilities().into_iter().flatten().map(
        |Capability { name, purpose, held }| {
            ability(name, Some(held), format!("llmtap needs it {purpose}"))
        },
    ));
    all.extend([types(), uprobes(), ring(), tracepoints(), cookies(), holding(), lockdown()]);
    all
}

fn ability(name: &'static str, available: Option<bool>, meaning: impl Into<String>) -> Ability {
    Ability { name, available, meaning: meaning.into() }
}

fn linux() -> Ability {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let (major, minor) = OLDEST;
    ability(
        "Linux",
        version(&release).map(|version| version >= OLDEST),
        format!("{release}; llmtap needs {major}.{minor} or later"),
    )
}

/// `6.18.44-generic` is 6.18.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn types() -> Ability {
    let there = Path::new(KERNEL_BTF).exists();
    let meaning = "says where the kernel keeps what llmtap reads; without it (CONFIG_DEBUG_INFO_BTF) llmtap \
                   does not start";
    ability("type information (BTF)", Some(there), meaning)
}

fn uprobes() -> Ability {
    let there = Path::new("/sys/bus/event_source/devices/uprobe/type").exists();
    let meaning =
        "probes in programs and libraries; without them (CONFIG_UPROBE_EVENTS) nothing is seen";
    ability("uprobes", Some(there), meaning)
}

fn ring() -> Ability {
    let meaning = "what the kernel side says comes through it; without it llmtap does not start";
    ability("BPF ring buffer", is_map_supported(MapType::RingBuf).ok(), meaning)
}

fn tracepoints() -> Ability {
    let there = is_program_supported(ProgramType::RawTracePoint).ok();
    let meaning = "tell the life of processes; without them llmtap does not start";
    ability("raw tracepoints", there, meaning)
}

fn cookies() -> Ability {
    let there = tells_probes_apart();
    let meaning = "tell probes apart (Linux 5.15); without them rustls is not seen, and what was inferred \
                   from code cannot be proven by what flows";
    ability("BPF cookies", Some(there), meaning)
}

fn holding() -> Ability {
    let meaning = "holds a started command until its libraries were looked at (fanotify, CAP_SYS_ADMIN); \
                   without it the first calls of a library that is loaded late may be missed";
    ability("holding a command", privileges::may_hold_commands(), meaning)
}

fn lockdown() -> Ability {
    // Without the file there is no lockdown, or nobody may ask.
    let mode = std::fs::read_to_string("/sys/kernel/security/lockdown").ok();
    let open = mode.map(|mode| !mode.contains("[confidentiality]"));
    let meaning = "in lockdown's mode `confidentiality` BPF reads nothing, and llmtap sees nothing";
    ability("no lockdown", open, meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        assert_eq!(version("6.18.44-generic"), Some((6, 18)));
        assert_eq!(version("5.8"), Some((5, 8)));
        assert_eq!(version("5.4.0-150-generic"), Some((5, 4)));
        assert_eq!(version("next"), None);
    }

    #[test]
    fn every_ability_says_what_it_is_for() {
        let all = abilities();
        assert!(all.len() >= 8, "{all:?}");
        assert!(all.iter().all(|ability| !ability.meaning.is_empty()));
    }
}
