//! Which socket an epoch's records pass: joined once, by the bytes that the kernel moved.
//! Takes what a thread received and sent, and what it encrypted or is to decrypt; ties epochs to sockets
//! where that is certain. What is not stays apart, and is counted in the end.
//!
//! Received: the ciphertext ends in the memory that the thread's last receive on a socket filled (or is a
//! copy of a record there). Sent: behind what the socket's known encrypter has yet to write, a record
//! begins that has the length of one that this thread encrypted, and no other has it that waits.

use tracer_ebpf::{
    Epoch, Layout, ObjectKey, Outgoing, Received, Sealed, WAITING as PLACES, Waiting,
};

use crate::{
    epochs,
    maps::{OUTGOING, RECEIVED, WAITING},
    messages::Inbound,
    processes::Admitted,
    user::read,
};

const RECORD_HEADER: u64 = 5;

/// Records of one receive, and pieces and records of one send, that are looked at.
const RECEIVED_LIMIT: u32 = 8;
const SENT_LIMIT: u32 = 24;
/// Bytes of a record behind its header at most (RFC 5246 §6.2.3).
const LARGEST: u64 = (1 << 14) + 2048;

/// A record's content type and version (RFC 8446 §5.1), and its length.
#[inline(always)]
fn record_len(header: [u8; 5]) -> Option<u64> {
    let [kind, 3, _, high, low] = header else { return None };
    (0x14..=0x17).contains(&kind).then(|| u64::from(u16::from_be_bytes([high, low])))
}

/// A record waits on this thread for the socket that it is written to.
#[inline(always)]
pub(crate) fn wait(thread: u64, object: u64, epoch: u64, before: u64, len: u64) {
    let record = Sealed { object, epoch, before, len };
    let Some(waiting) = WAITING.get_ptr_mut(thread) else {
        let mut waiting = Waiting::default();
        waiting.records[0] = record;
        // Without room it is not joined by this record.
        let _ = WAITING.insert(thread, waiting, 0);
        return;
    };
    // SAFETY: a pointer to a map value is valid while the program runs; only this thread has it.
    let records = unsafe { &mut (*waiting).records };
    // The first record of an epoch stands for those behind it.
    let mut free = PLACES;
    for (index, waits) in records.iter().enumerate() {
        if waits.object == object && waits.epoch == epoch {
            return;
        }
        if waits.object == 0 && free == PLACES {
            free = index;
        }
    }
    if free == PLACES {
        // The oldest makes room.
        for index in 1..PLACES {
            records[index - 1] = records[index];
        }
        records[PLACES - 1] = record;
        return;
    }
    for (index, place) in records.iter_mut().enumerate() {
        if index == free {
            *place = record;
        }
    }
}

/// A thread is to decrypt what it received last, if what lies there shows it.
#[inline(always)]
pub(crate) fn received(process: &Admitted, epoch: *mut Epoch, layout: Layout, input: &Inbound) {
    // SAFETY: the value is copied; only this thread has an entry of this key.
    let Some(last) = (unsafe { RECEIVED.get(process.pid_tgid).copied() }) else { return };
    let Received { socket, buffer, len, fd, .. } = last;
    let end = input.start.wrapping_add(input.len);
    let in_place = end > buffer && end <= buffer.wrapping_add(len);
    if in_place || (layout == Layout::Slice && is_copy(&last, input)) {
        epochs::join(process, epoch, socket, fd);
    }
}

/// Whether the input is one of the records that were received, as its length and first bytes say.
#[inline(always)]
fn is_copy(last: &Received, input: &Inbound) -> bool {
    let Some(first) = read::<[u64; 2]>(input.start) else { return false };
    let mut position = 0u64;
    for _ in 0..RECEIVED_LIMIT {
        let at = last.buffer + position;
        let Some(len) = read::<[u8; 5]>(at).and_then(record_len) else { return false };
        position += RECORD_HEADER + len;
        if position > last.len {
            return false;
        }
        if len == input.len && read::<[u64; 2]>(at + RECORD_HEADER) == Some(first) {
            return true;
        }
    }
    false
}

/// What a thread gave to a socket: one piece, or a list of them.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    /// Of the list, or 0.
    pub(crate) list: u64,
    pub(crate) count: u64,
    /// Of the one piece.
    pub(crate) start: u64,
    pub(crate) len: u64,
    /// Bytes that the kernel took; none where it will be tried again.
    pub(crate) taken: u64,
}

/// A thread wrote to a socket, or tried to. Joins one epoch at most; true if there may be more to join in
/// what was given.
#[inline(always)]
pub(crate) fn sent(process: &Admitted, socket: u64, fd: u32, given: &Given) -> bool {
    let key = ObjectKey { process: process.incarnation, object: socket };
    // SAFETY: the value is copied; a connection is written to by one thread at a time.
    let before = unsafe { OUTGOING.get(key).copied() };
    let position = before.map_or(0, |state| state.outstanding);
    if let Some(waiting) = WAITING.get_ptr_mut(process.pid_tgid) {
        // SAFETY: a pointer to a map value is valid while the program runs.
        let waiting = unsafe { &mut *waiting };
        if let Some((at, len)) = fitting(waiting, position, given) {
            if let Some((record, epoch)) = owner(process, waiting, len) {
                epochs::join(process, epoch, socket, fd);
                // SAFETY: as above.
                let wire = unsafe { (*epoch).wire };
                let outstanding = at + wire.wrapping_sub(record.before);
                // Without room no later key of this connection is joined.
                let _ = OUTGOING.insert(key, Outgoing { owner: record.object, outstanding }, 0);
            }
            return true;
        }
    }
    written(key, given.taken);
    false
}

/// So many bytes of what is outstanding were written.
#[inline(always)]
pub(crate) fn written(key: ObjectKey, taken: u64) {
    if let Some(state) = OUTGOING.get_ptr_mut(key) {
        // SAFETY: a pointer to a map value is valid while the program runs; a connection is written
        // to by one thread at a time.
        unsafe { (*state).outstanding = (*state).outstanding.saturating_sub(taken) };
    }
}

/// The position and length of the first record from a position on, behind what is the known
/// encrypter's, that has the length of one that waits.
#[inline(always)]
fn fitting(waiting: &Waiting, position: u64, given: &Given) -> Option<(u64, u64)> {
    let lens = waiting.records.map(|record| record.len);
    let (mut start, mut len, mut index) = (given.start, given.len, 0u64);
    // Positions in all that was given: of the piece, and of the next record.
    let (mut piece, mut next) = (0u64, position);
    for _ in 0..SENT_LIMIT {
        if given.list != 0 && (len == 0 || next >= piece.wrapping_add(len)) {
            piece = piece.wrapping_add(len);
            if index >= given.count {
                return None;
            }
            [start, len] = read::<[u64; 2]>(given.list + 16 * index)?;
            index += 1;
            continue;
        }
        let inside = next.wrapping_sub(piece);
        if inside.wrapping_add(RECORD_HEADER) > len {
            return None;
        }
        let sealed = record_len(read::<[u8; 5]>(start + inside)?)?;
        if sealed > LARGEST {
            return None;
        }
        // Zero if one is the same: no branches for the verifier to follow, and all of them are small.
        let [first, second, third, fourth] = lens.map(|len| len.wrapping_sub(sealed));
        if first.wrapping_mul(second).wrapping_mul(third.wrapping_mul(fourth)) == 0 {
            return Some((next, sealed));
        }
        next += RECORD_HEADER + sealed;
    }
    None
}

/// The one epoch of those that wait on this thread which has a record of that length.
#[inline(always)]
fn owner(process: &Admitted, waiting: &mut Waiting, len: u64) -> Option<(Sealed, *mut Epoch)> {
    let (mut found, mut fits) = (Sealed::default(), 0u32);
    for record in &mut waiting.records {
        if record.object != 0 && record.len == len {
            found = *record;
            fits += 1;
            // Of several none is known: each has its later records to be joined by.
            *record = Sealed::default();
        }
    }
    if fits != 1 {
        return None;
    }
    let epoch = epochs::known(process, found.object)?;
    // SAFETY: a pointer to a map value is valid while the program runs.
    let Epoch { id, socket, thread, .. } = unsafe { *epoch };
    // Encrypted on elsewhere, it may be written there too.
    let is_here = id == found.epoch && socket == 0 && thread == process.pid_tgid;
    is_here.then_some((found, epoch))
}
