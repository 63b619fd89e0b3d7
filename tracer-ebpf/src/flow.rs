//! Plaintext that passed on a connection, whichever library or system call moved it.
//! Takes an admitted process, the connection's object, and where the bytes are; gives records in
//! order, with their position. Filters by port, leaves out under overload, and counts what is lost.

use aya_ebpf::{EbpfContext, macros::uretprobe, programs::RetProbeContext};
use tracer_ebpf::{
    CONNECTION_EXCLUDED, CONNECTION_HAS_FD, CONNECTION_SKIPPED, CONNECTION_SOCKET_TOLD,
    ConnectionState, Copying, FLAG_SENT, Header, Kind, Loss, MAX_PORTS, Ports, RECORDS_PER_RUN,
    Skipped, Socket, TIERS, half,
};

use crate::{
    connections, filters,
    maps::{CONTINUATIONS, COPIES, PORTS},
    overload,
    processes::{Admitted, pid_tgid},
    records::{self, count_loss, header, notify},
    sockets,
};

/// Bytes of the largest record: what one step of a long copy moves.
const STEP: u64 = TIERS[TIERS.len() - 1] as u64;

/// Bytes that a call moved, once it is known how many.
pub(crate) struct Passed {
    /// What stands for the connection in its process: the address of its TLS object.
    pub(crate) object: u64,
    pub(crate) buffer: u64,
    /// More than none.
    pub(crate) bytes: u64,
    pub(crate) time: u64,
    /// [`FLAG_SENT`], or 0.
    pub(crate) flags: u32,
}

/// Finds the connection, moves its position on and copies the bytes.
#[inline(always)]
pub(crate) fn passed(ctx: &impl EbpfContext, process: &Admitted, what: &Passed) {
    let Some((connection, offset)) = advance(process, what.object, what.bytes, what.flags) else {
        return;
    };
    let copy = Copying {
        buffer: what.buffer,
        remaining: what.bytes,
        connection,
        process: process.incarnation,
        offset,
        time: what.time,
        task: process.task,
        flags: what.flags,
        reserved: 0,
    };
    start(ctx, process, &copy);
}

/// Moves a connection's position on by that many bytes; gives its id and the position before, if they
/// are to be copied.
#[inline(always)]
pub(crate) fn advance(
    process: &Admitted,
    object: u64,
    bytes: u64,
    flags: u32,
) -> Option<(u64, u64)> {
    let Some(state) = connections::of_object(process, object) else {
        count_loss(Loss::MapFull, bytes);
        return None;
    };
    if !included(process, object, state) {
        return None;
    }
    let sent = flags & FLAG_SENT != 0;
    // SAFETY: a pointer to a map value is valid while the program runs; a TLS object is used by one
    // thread at a time (its library demands that).
    let (connection, offset) = unsafe {
        (*state).last_empty_read = 0;
        let position = if sent { &raw mut (*state).sent } else { &raw mut (*state).received };
        let offset = *position;
        *position = offset + bytes;
        ((*state).id, offset)
    };
    if let Some(cause) = overload::cause(state, sent, offset) {
        count_loss(cause, bytes);
        // SAFETY: as above.
        unsafe { (*state).flags |= CONNECTION_SKIPPED };
        return None;
    }
    tell_skipped(process, state, sent, offset);
    Some((connection, offset))
}

/// Tells how far the connection came while its bytes were left out. `offset`: where those of the
/// direction that goes on now begin.
#[inline(always)]
fn tell_skipped(process: &Admitted, state: *mut ConnectionState, is_sent: bool, offset: u64) {
    // SAFETY: a pointer to a map value is valid while the program runs.
    let ConnectionState { id, received, sent, flags, .. } = unsafe { *state };
    if flags & CONNECTION_SKIPPED == 0 {
        return;
    }
    // SAFETY: as above.
    unsafe { (*state).flags = flags & !CONNECTION_SKIPPED };
    let skipped = if is_sent {
        Skipped { received, sent: offset }
    } else {
        Skipped { received: offset, sent }
    };
    notify(header(Kind::Skipped, process.pid_tgid, process.incarnation, id), skipped);
}

/// Copies a buffer. One that is larger than a record is left to [`copy_on`]: the verifier follows
/// its loop once, not once for each program that copies.
#[inline(always)]
fn start(ctx: &impl EbpfContext, process: &Admitted, copy: &Copying) {
    if copy.remaining <= STEP {
        records::data(&data_header(process, copy), copy.buffer, copy.remaining);
    } else {
        go_on(ctx, process, copy);
    }
}

#[inline(always)]
fn data_header(process: &Admitted, copy: &Copying) -> Header {
    let mut head = header(Kind::Data, process.pid_tgid, copy.process, copy.connection);
    head.flags = copy.flags;
    head.time = copy.time;
    head.offset = copy.offset;
    head.task = copy.task;
    head
}

/// Leaves the rest of a buffer to another run; a thread has one at a time.
#[inline(always)]
fn go_on(ctx: &impl EbpfContext, process: &Admitted, copy: &Copying) {
    if COPIES.insert(process.pid_tgid, copy, 0).is_err() {
        count_loss(Loss::MapFull, copy.remaining);
        return;
    }
    // SAFETY: the map holds programs of this type only; a call that fails comes back.
    unsafe { CONTINUATIONS.tail_call(ctx, 0) };
    // It was put there above.
    let _ = COPIES.remove(process.pid_tgid);
    count_loss(Loss::Oversize, copy.remaining);
}

/// Copies a large buffer in order, and leaves what one run may not do to the next. Uprobes and
/// uretprobes are of one type to the kernel: it goes on for either.
#[uretprobe]
fn copy_on(ctx: RetProbeContext) -> u32 {
    let thread = pid_tgid();
    // SAFETY: only this thread has an entry of this key.
    let Some(mut copy) = (unsafe { COPIES.get(thread).copied() }) else { return 0 };
    // It was there the line before.
    let _ = COPIES.remove(thread);
    let (incarnation, task) = (copy.process, copy.task);
    let process = Admitted { pid_tgid: thread, incarnation, parent: 0, task, finding: 0 };
    let mut steps = 0;
    while copy.remaining > STEP && steps < RECORDS_PER_RUN {
        let done = records::full(&data_header(&process, &copy), copy.buffer);
        copy.buffer += done;
        copy.offset += done;
        copy.remaining -= done;
        steps += 1;
    }
    start(&ctx, &process, &copy);
    0
}

/// Finds the socket if a descriptor was set, and says whether the port filter lets it pass. Where the
/// filters were changed the answer may be another than before.
#[inline(always)]
pub(crate) fn included(process: &Admitted, object: u64, state: *mut ConnectionState) -> bool {
    let Some((generation, filters)) = filters::in_force() else { return false };
    // SAFETY: a pointer to a map value is valid while the program runs.
    let ConnectionState { id, flags, fd, generation: judged, .. } = unsafe { *state };
    let was_included = flags & CONNECTION_EXCLUDED == 0;
    let is_told = flags & CONNECTION_SOCKET_TOLD != 0;
    if flags & CONNECTION_HAS_FD == 0 || (is_told && judged == generation) {
        return was_included;
    }
    let Some(socket) = sockets::of_descriptor(fd) else { return was_included };
    let passes = passes(&socket, generation, filters.ports);
    let excluded = if passes { 0 } else { CONNECTION_EXCLUDED };
    // SAFETY: as above.
    unsafe {
        (*state).flags = (flags & !CONNECTION_EXCLUDED) | CONNECTION_SOCKET_TOLD | excluded;
        (*state).generation = generation;
    }
    let head = header(Kind::Excluded, process.pid_tgid, process.incarnation, id);
    match (is_told && was_included, passes) {
        (true, false) => notify(head, ()),
        (false, true) => {
            let id = if was_included { id } else { connections::rejoin(process, object, state) };
            notify(Header { kind: Kind::Socket as u32, connection: id, ..head }, socket);
        }
        (true, true) | (false, false) => {}
    }
    passes
}

#[inline(always)]
fn passes(socket: &Socket, generation: u32, wanted: u32) -> bool {
    if wanted == 0 {
        return true;
    }
    let start = half(generation) * MAX_PORTS;
    for index in 0..MAX_PORTS {
        if index >= wanted {
            break;
        }
        if let Some(Ports { first, last }) = PORTS.get(start + index)
            && [socket.local_port, socket.peer_port]
                .into_iter()
                .any(|port| *first <= port && port <= *last)
        {
            return true;
        }
    }
    false
}
