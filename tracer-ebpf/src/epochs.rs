//! The keys of rustls' connections: each encrypter and decrypter from its record 0 on.
//! Takes addresses and sequence numbers; gives the state of an epoch, which is not a connection yet.
//! An address is used anew, at once after a handshake: record 0 begins another epoch.

use tracer_ebpf::{
    CONNECTION_HAS_FD, EPOCH_HANDSHAKE, EPOCH_SENDS, Epoch, FLAG_APART, FLAG_SENT, Header, Joined,
    Kind, Loss, ObjectKey,
};

use crate::{
    connections, flow,
    maps::EPOCHS,
    processes::Admitted,
    records::{count_loss, header, notify, unique},
};

/// The state of the epoch that uses record `sequence` now; `None`: there is no room for it.
#[inline(always)]
pub(crate) fn at(process: &Admitted, object: u64, sequence: u64, flags: u32) -> Option<*mut Epoch> {
    let key = ObjectKey { process: process.incarnation, object };
    if let Some(epoch) = EPOCHS.get_ptr_mut(key) {
        // SAFETY: a pointer to a map value is valid while the program runs; an encrypter or decrypter
        // is used by one thread at a time (they are borrowed mutably).
        let Epoch { next, flags: before, .. } = unsafe { *epoch };
        if sequence != 0 && next == sequence && before & EPOCH_SENDS == flags {
            return Some(epoch);
        }
        abandon(process, epoch);
    }
    let epoch =
        Epoch { id: unique(), next: sequence, flags, finding: process.finding, ..Epoch::default() };
    if EPOCHS.insert(key, epoch, 0).is_err() {
        count_loss(Loss::MapFull, 0);
        return None;
    }
    EPOCHS.get_ptr_mut(key)
}

/// The epoch of an object, if it still is the one of that number.
#[inline(always)]
pub(crate) fn known(process: &Admitted, object: u64) -> Option<*mut Epoch> {
    EPOCHS.get_ptr_mut(ObjectKey { process: process.incarnation, object })
}

/// The object is another epoch's: what this one told apart stays without a connection.
#[inline(always)]
fn abandon(process: &Admitted, epoch: *mut Epoch) {
    // SAFETY: a pointer to a map value is valid while the program runs.
    let Epoch { id, socket, apart, .. } = unsafe { *epoch };
    if socket == 0 && apart > 0 {
        count_loss(Loss::Unjoined, apart);
        let head = header(Kind::Joined, process.pid_tgid, process.incarnation, 0);
        notify(head, Joined { epoch: id, offset: 0 });
    }
}

/// A socket is this epoch's, for good. What it told apart is its connection's.
#[inline(always)]
pub(crate) fn join(process: &Admitted, epoch: *mut Epoch, socket: u64, fd: u32) {
    // SAFETY: a pointer to a map value is valid while the program runs.
    unsafe {
        (*epoch).socket = socket;
        (*epoch).fd = fd;
    }
    // SAFETY: as above.
    let Epoch { id, flags, apart, finding, .. } = unsafe { *epoch };
    let process = Admitted { finding, ..*process };
    if flags & EPOCH_HANDSHAKE != 0 {
        began(&process, socket, fd);
    }
    if apart == 0 {
        return;
    }
    let Some(state) = connections::of_object(&process, socket) else {
        count_loss(Loss::MapFull, apart);
        return;
    };
    // SAFETY: as above.
    unsafe {
        if (*state).flags & CONNECTION_HAS_FD == 0 {
            (*state).fd = fd;
            (*state).flags |= CONNECTION_HAS_FD;
        }
    }
    // The filter of ports leaves it out, or not.
    let is_included = flow::included(&process, socket, state);
    // SAFETY: as above.
    let (connection, offset) = unsafe {
        let sends = flags & EPOCH_SENDS != 0;
        let position = if sends { &raw mut (*state).sent } else { &raw mut (*state).received };
        let offset = *position;
        *position = offset + apart;
        ((*state).id, offset)
    };
    let connection = if is_included { connection } else { 0 };
    let head = header(Kind::Joined, process.pid_tgid, process.incarnation, connection);
    let sent = if flags & EPOCH_SENDS != 0 { FLAG_SENT } else { 0 };
    notify(Header { flags: sent, ..head }, Joined { epoch: id, offset });
}

/// A handshake was seen on a socket: its connection is complete from its first byte.
#[inline(always)]
pub(crate) fn began(process: &Admitted, socket: u64, fd: u32) {
    if connections::known(process, socket).is_some() {
        return;
    }
    connections::created(process, socket);
    if let Some(state) = connections::known(process, socket) {
        // SAFETY: a pointer to a map value is valid while the program runs.
        unsafe {
            (*state).fd = fd;
            (*state).flags |= CONNECTION_HAS_FD;
        }
    }
}

/// Where bytes of an epoch go: the header of their records, if they are to be copied.
#[inline(always)]
pub(crate) fn place(
    process: &Admitted,
    epoch: *mut Epoch,
    bytes: u64,
    flags: u32,
) -> Option<Header> {
    // SAFETY: a pointer to a map value is valid while the program runs.
    let Epoch { id, socket, fd, apart, .. } = unsafe { *epoch };
    if socket == 0 {
        // SAFETY: as above.
        unsafe { (*epoch).apart = apart + bytes };
        let head = header(Kind::Data, process.pid_tgid, process.incarnation, id);
        return Some(Header { flags: flags | FLAG_APART, offset: apart, ..head });
    }
    if let Some(state) = connections::of_object(process, socket) {
        // SAFETY: as above.
        unsafe {
            if (*state).flags & CONNECTION_HAS_FD == 0 {
                (*state).fd = fd;
                (*state).flags |= CONNECTION_HAS_FD;
            }
        }
    }
    let (connection, offset) = flow::advance(process, socket, bytes, flags)?;
    let head = header(Kind::Data, process.pid_tgid, process.incarnation, connection);
    Some(Header { flags, offset, ..head })
}
