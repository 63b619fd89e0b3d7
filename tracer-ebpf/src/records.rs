//! Records into the ring: notices of a fixed form, and data of any length in records of four sizes.
//! Takes values and addresses in the traced process; gives records, or counts why there is none.
//! A record is reserved in the ring and filled there: no scratch memory that a preempted
//! program could find overwritten.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_probe_read_user,
};
use tracer_ebpf::{HEADER_LEN, Header, Kind, Loss, TIERS};

use crate::{
    maps::{LOST, RECORDS},
    overload, wake,
};

#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no arguments and no effects.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// A number that is never given twice: no two programs run on one processor at the same nanosecond.
#[inline(always)]
pub(crate) fn unique() -> u64 {
    // SAFETY: the helper has no arguments and no effects.
    (now() << 8) | (u64::from(unsafe { bpf_get_smp_processor_id() }) & 0xff)
}

#[inline(always)]
pub(crate) fn count_loss(cause: Loss, bytes: u64) {
    if let Some(count) = LOST.get_ptr_mut(cause as u32) {
        // SAFETY: a map value lives as long as the program; both fields are aligned u64 that are
        // only ever added to atomically.
        unsafe {
            add(&raw mut (*count).bytes, bytes);
            add(&raw mut (*count).records, 1);
        }
    }
}

/// Adds atomically: programs on all processors count in one place. `core` has no `fetch_add` for a
/// target without compare-and-swap; the instruction (`BPF_ATOMIC | BPF_ADD`) is there all the same.
///
/// # Safety
/// `counter` is valid, aligned, and only ever changed atomically.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, value: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's.
    unsafe {
        core::intrinsics::atomic_xadd::<u64, u64, { core::intrinsics::AtomicOrdering::Relaxed }>(
            counter, value,
        );
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller's.
    unsafe {
        use core::sync::atomic::{AtomicU64, Ordering};
        AtomicU64::from_ptr(counter).fetch_add(value, Ordering::Relaxed);
    }
}

/// A header with what every record says; `bpf_get_current_pid_tgid` is the caller's.
#[inline(always)]
pub(crate) fn header(kind: Kind, pid_tgid: u64, process: u64, connection: u64) -> Header {
    Header {
        kind: kind as u32,
        flags: 0,
        tgid: (pid_tgid >> 32) as u32,
        tid: pid_tgid as u32,
        process,
        connection,
        time: now(),
        offset: 0,
        task: 0,
        len: 0,
        finding: 0,
    }
}

#[repr(C)]
struct Notice<T> {
    header: Header,
    payload: T,
}

/// Writes a record of a fixed form. Without room it is counted and left out.
#[inline(always)]
pub(crate) fn notify<T: 'static>(mut header: Header, payload: T) {
    header.len = size_of::<T>() as u32;
    match RECORDS.reserve::<Notice<T>>(0) {
        Some(mut entry) => {
            entry.write(Notice { header, payload });
            let flags = if wake::is_urgent(header.kind) {
                wake::NOW
            } else {
                wake::flags(overload::fill())
            };
            entry.submit(flags);
        }
        None => count_loss(Loss::RingFull, 0),
    }
}

#[repr(C)]
struct DataRecord<const CAPACITY: usize> {
    header: Header,
    payload: [MaybeUninit<u8>; CAPACITY],
}

/// Copies at most [`TIERS`]' last of `len` bytes at `buffer` of the traced process into one record.
/// Returns how many bytes it accounted for: copied, or counted as lost.
#[inline(always)]
pub(crate) fn data(header: &Header, buffer: u64, len: u64) -> u64 {
    if len <= TIERS[0] as u64 {
        sized::<{ TIERS[0] }>(header, buffer, len)
    } else if len <= TIERS[1] as u64 {
        sized::<{ TIERS[1] }>(header, buffer, len)
    } else if len <= TIERS[2] as u64 {
        sized::<{ TIERS[2] }>(header, buffer, len)
    } else {
        sized::<{ TIERS[3] }>(header, buffer, len)
    }
}

/// Copies as many bytes as the largest record holds, which must be there; returns their number. For
/// loops: the verifier follows one way through it and not one a size.
#[inline(always)]
pub(crate) fn full(header: &Header, buffer: u64) -> u64 {
    sized::<{ TIERS[TIERS.len() - 1] }>(header, buffer, TIERS[TIERS.len() - 1] as u64)
}

#[inline(always)]
fn sized<const CAPACITY: usize>(header: &Header, buffer: u64, len: u64) -> u64 {
    let len = if len > CAPACITY as u64 { CAPACITY as u64 } else { len };
    let unread = overload::fill();
    if !overload::may_take(unread, size_of::<DataRecord<CAPACITY>>() as u64, header.connection) {
        count_loss(Loss::RingFull, len);
        return len;
    }
    let Some(mut entry) = RECORDS.reserve::<DataRecord<CAPACITY>>(0) else {
        count_loss(Loss::RingFull, len);
        return len;
    };
    let record = entry.as_mut_ptr();
    // The verifier must see the bound on the very value that goes to the helper: read anew, so that
    // the compiler cannot hand over a copy that it knows to be small and the verifier does not.
    // SAFETY: a value of this function.
    let size = unsafe { core::ptr::read_volatile(&raw const len) };
    let failed = if size > CAPACITY as u64 {
        -1
    } else {
        // SAFETY: the reservation is `HEADER_LEN + CAPACITY` bytes and `size` is at most CAPACITY;
        // the helper checks the user address and fails rather than faults.
        unsafe {
            (&raw mut (*record).header).write(Header { len: size as u32, ..*header });
            let payload = record.cast::<u8>().add(HEADER_LEN);
            bpf_probe_read_user(payload.cast(), size as u32, buffer as *const _)
        }
    };
    if failed == 0 {
        entry.submit(wake::flags(unread));
    } else {
        entry.discard(0);
        count_loss(Loss::Fault, len);
    }
    len
}

/// A record that is filled by several pieces, which have at most as many bytes in all as the largest.
pub(crate) struct Gather {
    record: *mut DataRecord<ROOM>,
    /// Bytes of all pieces that are wanted.
    wanted: u64,
}

const LARGEST: usize = TIERS[TIERS.len() - 1];
/// As much again as is wanted, so that the verifier need not add an offset and a length.
const ROOM: usize = 2 * LARGEST;

impl Gather {
    /// Copies the next piece, or as much of it as is wanted; false where that was all, or failed.
    #[inline(always)]
    pub(crate) fn add(&self, buffer: u64, len: u64) -> bool {
        // SAFETY: the reservation lives while this does. Kept there and read anew, so that the
        // verifier knows no bounds that differ with each way through the loop.
        let filled = unsafe { &raw mut (*self.record).header.len };
        // SAFETY: as above.
        let done = u64::from(unsafe { filled.read_volatile() });
        if done >= self.wanted || done > LARGEST as u64 {
            return false;
        }
        let rest = self.wanted - done;
        let len = if len < rest { len } else { rest };
        // SAFETY: a value of this function, as in `sized`.
        let size = unsafe { core::ptr::read_volatile(&raw const len) };
        if size > LARGEST as u64 {
            return false;
        }
        // SAFETY: `done` and `size` are at most half of the room each; the helper checks the source.
        unsafe {
            let payload = self.record.cast::<u8>().add(HEADER_LEN + done as usize);
            if bpf_probe_read_user(payload.cast(), size as u32, buffer as *const _) != 0 {
                return false;
            }
            filled.write_volatile((done + size) as u32);
        }
        true
    }
}

/// Writes `len` bytes, of at most one record of the largest, piece by piece as `fill` gives them.
#[inline(always)]
pub(crate) fn gathered(header: &Header, len: u64, fill: impl FnOnce(&Gather)) {
    let unread = overload::fill();
    if !overload::may_take(unread, size_of::<DataRecord<ROOM>>() as u64, header.connection) {
        count_loss(Loss::RingFull, len);
        return;
    }
    let Some(mut entry) = RECORDS.reserve::<DataRecord<ROOM>>(0) else {
        count_loss(Loss::RingFull, len);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the reservation has room for it.
    unsafe { (&raw mut (*record).header).write(Header { len: 0, ..*header }) };
    fill(&Gather { record, wanted: len });
    // SAFETY: as above.
    let done = u64::from(unsafe { (&raw const (*record).header.len).read_volatile() });
    entry.submit(wake::flags(unread));
    if done < len {
        count_loss(Loss::Fault, len - done);
    }
}
