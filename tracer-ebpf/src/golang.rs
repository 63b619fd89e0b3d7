//! Probes in Go's `crypto/tls`: what is handed over, where it is handed over.
//! Takes registers at instructions that `discover::tls::golang` has proven; gives data records and the
//! life of connections. Nothing is remembered between probes: goroutines move from thread to thread,
//! and their stacks in memory.
//!
//! Sent bytes are reported before they are encrypted, since another goroutine may have read the answer
//! before `Write` returns. A `Write` that fails has its bytes reported too: it fails once, and the
//! connection is of no use from then on.

use aya_ebpf::{bindings::pt_regs, macros::uprobe, programs::ProbeContext};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    CONNECTION_EXCLUDED, CONNECTION_HAS_FD, CONNECTION_PEER_ENDED, CONNECTION_RENEGOTIATES,
    CONNECTION_SOUGHT, ConnectionState, END_OF_STREAM, FLAG_SENT, Kind, Loss, ObjectKey, PeerEnded,
    SSL_ERROR_SSL, SSL_ERROR_SYSCALL,
};

use crate::{
    connections,
    flow::{self, Passed},
    maps::CLOSED,
    processes::{Admitted, admit},
    records::{count_loss, header, notify, now},
    sockets,
    user::read,
};

/// `recordTypeApplicationData` (RFC 8446 §5.1).
const APPLICATION_DATA: u8 = 23;

/// Carry and zero in the flags register: a `jbe` that sees one of them branches.
const BELOW_OR_EQUAL: u64 = 0x41;

/// From RBP, in a frame, to the home of the first argument; from RSP, at a return.
const HOME_IN_FRAME: u64 = 16;
const HOME_AT_RETURN: u64 = 8;

/// Where a goroutine's `atomicstatus` is, with `goid` behind it: until Go 1.22 and since 1.25, and
/// between. What is there in the other layout is an aligned pointer, or the id of a goroutine of the
/// runtime's own, which never is the status.
const STATUS: [u64; 2] = [144, 152];
/// `_Grunning`, and the flag `_Gscan` (`src/runtime/runtime2.go`).
const RUNNING: u32 = 2;
const SCAN: u32 = 0x1000;

#[inline(always)]
fn registers(ctx: &ProbeContext) -> &pt_regs {
    // SAFETY: the context of a probe is its registers, and they outlive it.
    unsafe { &*ctx.regs }
}

/// The current process and goroutine, if they pass the filters.
#[inline(always)]
fn admit_goroutine(ctx: &ProbeContext) -> Option<Admitted> {
    let process = admit()?;
    Some(Admitted { task: goroutine(registers(ctx).r14), ..process })
}

/// The id of the goroutine at an address; 0 if it is not where it was in any version that is known.
#[inline(always)]
fn goroutine(address: u64) -> u64 {
    let is_running = |status: u64| status as u32 & !SCAN == RUNNING;
    let Some([first, second, third]) = read::<[u64; 3]>(address + STATUS[0]) else { return 0 };
    if is_running(first) {
        second
    } else if is_running(second) {
        third
    } else {
        0
    }
}

/// A function begins: its stack is large enough, and each argument in its register.
#[inline(always)]
fn begins(ctx: &ProbeContext) -> bool {
    registers(ctx).eflags & BELOW_OR_EQUAL == 0
}

/// Bytes that passed, unless the program had closed the connection.
#[inline(always)]
fn passed(ctx: &ProbeContext, process: &Admitted, what: &Passed) {
    let key = ObjectKey { process: process.incarnation, object: what.object };
    if CLOSED.get_ptr(key).is_some() {
        count_loss(Loss::AfterClose, what.bytes);
        return;
    }
    if let Some(state) = connections::of_object(process, what.object) {
        seek_descriptor(state, what.object);
    }
    flow::passed(ctx, process, what);
}

/// `(*Conn).clientHandshake` and `serverHandshake`: called once on each object, but to renegotiate.
#[uprobe]
fn go_handshake(ctx: ProbeContext) -> u32 {
    let object = registers(&ctx).rax;
    if !begins(&ctx) {
        return 0;
    }
    let Some(process) = admit() else { return 0 };
    if let Some(state) = connections::known(&process, object) {
        // SAFETY: a pointer to a map value is valid while the program runs.
        let flags = unsafe { (*state).flags };
        if flags & CONNECTION_RENEGOTIATES != 0 {
            // SAFETY: as above.
            unsafe { (*state).flags = flags & !CONNECTION_RENEGOTIATES };
            return 0;
        }
    }
    debug!(&ctx, "process {} made TLS object {:x}", process.pid_tgid >> 32, object);
    // It was there or not.
    let _ = CLOSED.remove(ObjectKey { process: process.incarnation, object });
    connections::created(&process, object);
    0
}

/// `(*Conn).handleRenegotiation`.
#[uprobe]
fn go_renegotiation(ctx: ProbeContext) -> u32 {
    if begins(&ctx)
        && let Some(process) = admit()
        && let Some(state) = connections::known(&process, registers(&ctx).rax)
    {
        // SAFETY: a pointer to a map value is valid while the program runs.
        unsafe { (*state).flags |= CONNECTION_RENEGOTIATES };
    }
    0
}

/// `(*Conn).Close`, perhaps while another goroutine reads.
#[uprobe]
fn go_close(ctx: ProbeContext) -> u32 {
    let object = registers(&ctx).rax;
    if begins(&ctx)
        && let Some(process) = admit()
        && connections::known(&process, object).is_some()
    {
        debug!(&ctx, "process {} closed TLS object {:x}", process.pid_tgid >> 32, object);
        // The map makes room for it.
        let _ = CLOSED.insert(ObjectKey { process: process.incarnation, object }, 1, 0);
        connections::released(&process, object);
    }
    0
}

/// `(*Conn).writeRecordLocked(typ recordType, data []byte)`, with the lock of the sending half.
#[uprobe]
fn go_write(ctx: ProbeContext) -> u32 {
    let &pt_regs { rax: object, rbx: kind, rcx: buffer, rdi: bytes, .. } = registers(&ctx);
    if kind as u8 == APPLICATION_DATA
        && bytes > 0
        && begins(&ctx)
        && let Some(process) = admit_goroutine(&ctx)
    {
        let what = Passed { object, buffer, bytes, time: now(), flags: FLAG_SENT };
        passed(&ctx, &process, &what);
    }
    0
}

/// The call in `(*Conn).Read` of `memmove(to, from, n)`, with the lock of the receiving half. What it
/// copies from is not on a stack.
#[uprobe]
fn go_read(ctx: ProbeContext) -> u32 {
    let &pt_regs { rbx: buffer, rcx: bytes, rbp: frame, .. } = registers(&ctx);
    if bytes > 0
        && let Some(process) = admit_goroutine(&ctx)
    {
        let Some(object) = read(frame + HOME_IN_FRAME) else {
            count_loss(Loss::Fault, bytes);
            return 0;
        };
        let what = Passed { object, buffer, bytes, time: now(), flags: 0 };
        passed(&ctx, &process, &what);
    }
    0
}

/// The branch in `(*Conn).Read` on whether reading a record returned an error.
#[uprobe]
fn go_record_read(ctx: ProbeContext) -> u32 {
    let &pt_regs { rax: is_error, rbx: error, rbp: frame, .. } = registers(&ctx);
    if is_error != 0
        && let Some(process) = admit()
        && let Some(object) = read(frame + HOME_IN_FRAME)
    {
        failed(&process, object, error);
    }
    0
}

/// A return of `(*Conn).Read`: the count and the error. A buffer that was on the stack while that was
/// moved is where the home of the argument says, as long as the function still used it.
#[uprobe]
fn go_read_return(ctx: ProbeContext) -> u32 {
    let &pt_regs { rax: bytes, rbx: is_error, rcx: error, rsp: stack, .. } = registers(&ctx);
    if (bytes as i64) < 0 || (bytes | is_error) == 0 {
        return 0;
    }
    let Some(process) = admit_goroutine(&ctx) else { return 0 };
    let Some([object, buffer]) = read::<[u64; 2]>(stack + HOME_AT_RETURN) else {
        count_loss(Loss::Fault, bytes);
        return 0;
    };
    if bytes > 0 {
        let what = Passed { object, buffer, bytes, time: now(), flags: 0 };
        passed(&ctx, &process, &what);
    }
    if is_error != 0 {
        failed(&process, object, error);
    }
    0
}

/// Tells of an error that ends the receiving half. Others, as a deadline, leave it as it is.
#[inline(always)]
fn failed(process: &Admitted, object: u64, error: u64) {
    let Some(state) = connections::known(process, object) else { return };
    let Some(error) = meaning(error) else {
        // SAFETY: a pointer to a map value is valid while the program runs.
        unsafe { (*state).last_empty_read = now() };
        return;
    };
    // SAFETY: as above.
    let (flags, id) = unsafe { ((*state).flags, (*state).id) };
    if flags & (CONNECTION_PEER_ENDED | CONNECTION_EXCLUDED) != 0 {
        return;
    }
    // SAFETY: as above.
    unsafe { (*state).flags = flags | CONNECTION_PEER_ENDED };
    notify(
        header(Kind::PeerEnded, process.pid_tgid, process.incarnation, id),
        PeerEnded { error, reserved: 0 },
    );
}

/// The data of the errors that end a connection begins with a text: that of `errors.New`, or the `Op` of
/// a `*net.OpError`, whose cause at [`CAUSE`] may be an `*os.SyscallError` with the call's name.
#[inline(always)]
fn meaning(error: u64) -> Option<u32> {
    if is_text(error, b"EOF") {
        return Some(END_OF_STREAM);
    }
    // An alert that came, or one that was sent because of what came.
    if is_text(error, b"unexpected EOF")
        || is_text(error, b"remote error")
        || is_text(error, b"local error")
    {
        return Some(SSL_ERROR_SSL);
    }
    if is_text(error, b"read") && is_text(read(error + CAUSE)?, b"read") {
        return Some(SSL_ERROR_SYSCALL);
    }
    None
}

/// From the start of a `net.OpError` to the data of its `Err`, behind two texts and three interfaces.
const CAUSE: u64 = 72;

/// Whether a pointer and a length at an address are those of the text.
#[inline(always)]
fn is_text<const LEN: usize>(address: u64, text: &[u8; LEN]) -> bool
where
    [u8; LEN]: Default,
{
    let Some([start, len]) = read::<[u64; 2]>(address) else { return false };
    len == LEN as u64 && read::<[u8; LEN]>(start).is_some_and(|bytes| bytes == *text)
}

/// Where the parts of `netFD` are that tell what it is (`src/net/fd_posix.go`, behind a `poll.FD` of 56
/// bytes in every version): descriptor, address family, type of the socket.
const DESCRIPTOR: u64 = 16;
const FAMILY: u64 = 56;
/// `SOCK_STREAM`.
const STREAM: u64 = 1;

/// Finds the descriptor of a connection: `Conn` begins with the interface of what is below, which is a
/// `*net.TCPConn` most of the time, and that begins with a pointer to a `netFD`.
#[inline(always)]
fn seek_descriptor(state: *mut ConnectionState, object: u64) {
    // SAFETY: a pointer to a map value is valid while the program runs.
    let flags = unsafe { (*state).flags };
    if flags & (CONNECTION_HAS_FD | CONNECTION_SOUGHT) != 0 {
        return;
    }
    let found = descriptor(object);
    // SAFETY: as above.
    unsafe {
        (*state).fd = found.unwrap_or_default();
        let known = if found.is_some() { CONNECTION_HAS_FD } else { 0 };
        (*state).flags = flags | CONNECTION_SOUGHT | known;
    }
}

/// `None` for whatever does not say of itself what the kernel says of the descriptor.
#[inline(always)]
fn descriptor(object: u64) -> Option<u32> {
    let below: u64 = read(object + 8)?;
    let netfd: u64 = read(below)?;
    let fd = u32::try_from(read::<u64>(netfd + DESCRIPTOR)?).ok()?;
    let [family, kind] = read::<[u64; 2]>(netfd + FAMILY)?;
    let socket = sockets::of_descriptor(fd)?;
    (kind == STREAM && family == u64::from(socket.family)).then_some(fd)
}
