//! What is left out while userspace does not keep up: bodies of no LLM call, then whole connections.
//! Takes the fill of the ring, and what userspace said of a connection; gives the cause, if any.
//! The level is derived at each call that moved bytes; between calls nothing can overflow.

use aya_ebpf::bindings::BPF_RB_AVAIL_DATA;
use tracer_ebpf::{
    ANY_POSITION, CONNECTION_SHED, ConnectionState, LEVEL_BODIES, LEVEL_CONNECTIONS, LEVELS, Loss,
    Passage,
};

use crate::{
    maps::{OVERLOAD, RECORDS, VERDICTS, setting},
    records::add,
};

/// Bytes of the ring that are reserved or not yet read.
#[inline(always)]
pub(crate) fn fill() -> u64 {
    RECORDS.query(u64::from(BPF_RB_AVAIL_DATA))
}

/// A record of that many bytes may be written at that fill: the last part of the ring is for the
/// connections of LLM calls under way.
#[inline(always)]
pub(crate) fn may_take(fill: u64, bytes: u64, connection: u64) -> bool {
    fill + bytes <= setting!(common_bytes)
        || VERDICTS.get_ptr(connection).is_some_and(|verdict| {
            // SAFETY: a pointer to a map value is valid while the program runs.
            unsafe { (*verdict).call != 0 }
        })
}

/// The level now.
#[inline(always)]
pub(crate) fn level() -> u32 {
    let Some(state) = OVERLOAD.get_ptr_mut(0) else { return 0 };
    let (marks, fill) = (setting!(marks), fill());
    // SAFETY: a pointer to a map value is valid while the program runs. Processors that write at
    // the same moment write what each of them saw, and either is right.
    unsafe {
        let before = (*state).level;
        let level = tracer_ebpf::level(&marks, before, fill);
        (*state).fill = fill;
        if level != before {
            (*state).level = level;
            for index in 0..LEVELS {
                if (before..level).contains(&(index as u32)) {
                    add(&raw mut (*state).entered[index], 1);
                }
            }
        }
        level
    }
}

/// Why bytes at `offset` of one direction are not to be copied now.
#[inline(always)]
pub(crate) fn cause(state: *mut ConnectionState, sent: bool, offset: u64) -> Option<Loss> {
    let level = level();
    // SAFETY: a pointer to a map value is valid while the program runs.
    let ConnectionState { id, received, sent: wrote, flags, .. } = unsafe { *state };
    if flags & CONNECTION_SHED != 0 {
        if level > 0 {
            return Some(Loss::ShedConnection);
        }
        // SAFETY: as above.
        unsafe { (*state).flags = flags & !CONNECTION_SHED };
    }
    if level < LEVEL_BODIES {
        return None;
    }
    if let Some(verdict) = VERDICTS.get_ptr(id) {
        // SAFETY: as above.
        let verdict = unsafe { *verdict };
        let (passage, opposite) =
            if sent { (verdict.sent, received) } else { (verdict.received, wrote) };
        if verdict.call != 0 {
            return None;
        }
        if allows(&passage, offset, opposite) {
            return Some(Loss::ShedBody);
        }
    }
    (level >= LEVEL_CONNECTIONS).then_some(Loss::ShedConnection)
}

#[inline(always)]
fn allows(passage: &Passage, offset: u64, opposite: u64) -> bool {
    offset < passage.until && (passage.opposite == opposite || passage.opposite == ANY_POSITION)
}
