//! When the reading end is woken: at each record that came to it, a wake-up costs the traced program
//! more than the record.
//! Takes what a record tells of; gives the flags that it is submitted with.

use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use tracer_ebpf::{Kind, READER_LOOKS};

use crate::maps::{READER, setting};

/// Whether userspace has something to do at once: a program's files are to be looked at before it goes
/// on, or llmtap itself ends with the last process.
#[inline(always)]
pub(crate) fn is_urgent(kind: u32) -> bool {
    const URGENT: [Kind; 6] = [
        Kind::Forked,
        Kind::Executed,
        Kind::Exited,
        Kind::LibrariesChanged,
        Kind::Appeared,
        Kind::Doubted,
    ];
    let mut urgent = false;
    let mut next = 0;
    while next < URGENT.len() {
        urgent |= kind == URGENT[next] as u32;
        next += 1;
    }
    urgent
}

/// Flags of `bpf_ringbuf_submit` that wake it.
pub(crate) const NOW: u64 = BPF_RB_FORCE_WAKEUP as u64;

/// Those of a record that is not urgent, at a fill of the ring. Not the kernel's own choice (0), which
/// wakes a reader that has caught up: that is at nearly every record.
#[inline(always)]
pub(crate) fn flags(fill: u64) -> u64 {
    // SAFETY: a pointer to a map value is valid while the program runs.
    let looks = READER.get_ptr(0).is_some_and(|reader| unsafe { *reader } == READER_LOOKS);
    let may_wait = looks && fill < setting!(wake_bytes);
    if may_wait { u64::from(BPF_RB_NO_WAKEUP) } else { NOW }
}
