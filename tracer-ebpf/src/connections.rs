//! TLS objects as connections: identity, byte positions, their beginning and end.
//! Takes the address of a TLS object in an admitted process; gives its state, and notices.
//! An object that is new at an address that was used before is a new connection.

use aya_ebpf::bindings::BPF_NOEXIST;
use tracer_ebpf::{
    CONNECTION_HAS_FD, CONNECTION_PEER_ENDED, CONNECTION_SHED, CONNECTION_SKIPPED,
    CONNECTION_SOCKET_TOLD, Closed, ConnectionState, Header, Kind, LEVEL_CONNECTIONS, Loss,
    ObjectKey, Opened, Origin,
};

use crate::{
    maps::CONNECTIONS,
    overload,
    processes::Admitted,
    records::{add, count_loss, header, notify, unique},
};

/// The state of a connection, which may be one never seen before. `None`: there is no room for it.
#[inline(always)]
pub(crate) fn of_object(process: &Admitted, object: u64) -> Option<*mut ConnectionState> {
    let key = ObjectKey { process: process.incarnation, object };
    if let Some(state) = CONNECTIONS.get_ptr_mut(key) {
        return Some(state);
    }
    match inherited(process, object) {
        Some(parent) => open(process, key, Origin::Inherited, parent.id, of_same_object(&parent)),
        None => open(process, key, Origin::JoinedLate, 0, ConnectionState::default()),
    }
}

/// The parent process's connection that a copy of came with the fork. One that the parent has made
/// at this address since then is another: ids of connections and processes come from one clock.
#[inline(always)]
fn inherited(process: &Admitted, object: u64) -> Option<ConnectionState> {
    if process.parent == 0 {
        return None;
    }
    let parent = CONNECTIONS.get_ptr(ObjectKey { process: process.parent, object })?;
    // SAFETY: a pointer to a map value is valid while the program runs.
    let parent = unsafe { *parent };
    (parent.id < process.incarnation).then_some(parent)
}

/// The state of a connection that was seen before.
#[inline(always)]
pub(crate) fn known(process: &Admitted, object: u64) -> Option<*mut ConnectionState> {
    CONNECTIONS.get_ptr_mut(ObjectKey { process: process.incarnation, object })
}

/// A TLS object was made at this address: what was there before is gone.
#[inline(always)]
pub(crate) fn created(process: &Admitted, object: u64) {
    freed(process, object);
    let key = ObjectKey { process: process.incarnation, object };
    if open(process, key, Origin::Created, 0, ConnectionState::default()).is_none() {
        count_loss(Loss::MapFull, 0);
    }
}

/// The object is cleared for another connection over the same descriptor. Before any data passed
/// this is a part of the handshake (OpenSSL's `state_machine` begins with it) and changes nothing,
/// unless a handshake has failed: then it is for another try.
#[inline(always)]
pub(crate) fn cleared(process: &Admitted, object: u64) {
    let key = ObjectKey { process: process.incarnation, object };
    let Some(state) = CONNECTIONS.get_ptr(key) else {
        return;
    };
    // SAFETY: a pointer to a map value is valid while the program runs.
    let state = unsafe { *state };
    let is_untouched = state.received | state.sent == 0;
    if is_untouched && state.flags & CONNECTION_PEER_ENDED == 0 {
        return;
    }
    freed(process, object);
    open(process, key, Origin::Created, 0, of_same_object(&state));
}

/// The state of a new connection of the object that `state` is of: its descriptor and references.
#[inline(always)]
fn of_same_object(state: &ConnectionState) -> ConnectionState {
    ConnectionState {
        fd: state.fd,
        flags: state.flags & CONNECTION_HAS_FD,
        references: state.references,
        ..ConnectionState::default()
    }
}

/// The program gave the object a descriptor, unless it is none.
#[inline(always)]
pub(crate) fn has_descriptor(process: &Admitted, object: u64, fd: i32) {
    if fd >= 0
        && let Some(state) = of_object(process, object)
    {
        // SAFETY: a pointer to a map value is valid while the program runs.
        unsafe {
            (*state).fd = fd as u32;
            (*state).flags = ((*state).flags & !CONNECTION_SOCKET_TOLD) | CONNECTION_HAS_FD;
        }
    }
}

/// The program keeps another reference to the object, which outlives one `SSL_free` by that.
#[inline(always)]
pub(crate) fn shared(process: &Admitted, object: u64) {
    if let Some(state) = of_object(process, object) {
        // SAFETY: a pointer to a map value is valid while the program runs; the field is aligned.
        unsafe { add(&raw mut (*state).references, 1) };
    }
}

/// The program gave a reference up, perhaps the last.
#[inline(always)]
pub(crate) fn released(process: &Admitted, object: u64) {
    if let Some(state) = known(process, object) {
        // SAFETY: a pointer to a map value is valid while the program runs; the field is aligned.
        // Two threads that give up one each at the same instant may both leave it to the other:
        // then the connection ends with its process, or when its address is used anew.
        unsafe {
            if (&raw const (*state).references).read_volatile() as i64 > 0 {
                add(&raw mut (*state).references, u64::MAX);
                return;
            }
        }
    }
    freed(process, object);
}

/// A TLS object was freed, or made anew for another connection.
#[inline(always)]
fn freed(process: &Admitted, object: u64) {
    let key = ObjectKey { process: process.incarnation, object };
    let Some(state) = CONNECTIONS.get_ptr(key) else {
        return;
    };
    // SAFETY: a pointer to a map value is valid while the program runs.
    let state = unsafe { *state };
    if CONNECTIONS.remove(key).is_ok() {
        notify(
            header(Kind::Closed, process.pid_tgid, process.incarnation, state.id),
            Closed {
                received: state.received,
                sent: state.sent,
                last_empty_read: state.last_empty_read,
            },
        );
    }
}

/// `None`: there is no room for it.
#[inline(always)]
fn open(
    process: &Admitted,
    key: ObjectKey,
    origin: Origin,
    parent: u64,
    state: ConnectionState,
) -> Option<*mut ConnectionState> {
    // One that a fork took over may be in the middle of a call.
    let shed = !matches!(origin, Origin::Inherited) && overload::level() >= LEVEL_CONNECTIONS;
    let flags = state.flags | if shed { CONNECTION_SHED } else { 0 };
    let state = ConnectionState { id: unique(), flags, ..state };
    if CONNECTIONS.insert(key, state, u64::from(BPF_NOEXIST)).is_err() {
        // Two threads may see the object first at the same time: one of them is.
        return CONNECTIONS.get_ptr_mut(key);
    }
    let opened = Opened { object: key.object, parent, origin: origin as u32, reserved: 0 };
    tell_opened(process, state.id, opened);
    CONNECTIONS.get_ptr_mut(key)
}

#[inline(always)]
fn tell_opened(process: &Admitted, id: u64, opened: Opened) {
    let head = header(Kind::Opened, process.pid_tgid, process.incarnation, id);
    notify(Header { finding: process.finding, ..head }, opened);
}

/// A connection that was left out is followed from here on. What it carried before is unknown, so that it
/// is another one, whose id this gives.
#[inline(always)]
pub(crate) fn rejoin(process: &Admitted, object: u64, state: *mut ConnectionState) -> u64 {
    let id = unique();
    // SAFETY: a pointer to a map value is valid while the program runs.
    unsafe {
        (*state).id = id;
        (*state).received = 0;
        (*state).sent = 0;
        (*state).last_empty_read = 0;
        (*state).flags &= !CONNECTION_SKIPPED;
    }
    let origin = Origin::JoinedLate as u32;
    tell_opened(process, id, Opened { object, parent: 0, origin, reserved: 0 });
    id
}
