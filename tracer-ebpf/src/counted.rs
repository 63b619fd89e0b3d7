//! Probes on GnuTLS and NSS: functions that take a session, a buffer and a length, and give a count.
//! Takes calls and returns; gives data records and the life of connections, by way of `ssl`, whose
//! functions these resemble. What differs is how they tell of the end and of what is to be sent later.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_user,
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    CONNECTION_SENDS_LATER, Call, FLAG_SENT, Loss, SSL_ERROR_SSL, SSL_ERROR_SYSCALL,
    SSL_ERROR_ZERO_RETURN,
};

use crate::{
    connections, cookie,
    flow::{self, Passed},
    processes::{Admitted, admit},
    records::{count_loss, now},
    ssl::{Form, enter, leave, peer_ended, recall, remember, with_object},
};

/// `GNUTLS_E_*` (`gnutls.h`) of calls that are to be made again, and of those that end a connection.
const AGAIN: i32 = -28;
const INTERRUPTED: i32 = -52;
const FATAL_ALERT: i32 = -12;
const PULL_ERROR: i32 = -54;
const PREMATURE_END: i32 = -110;

/// `PR_MSG_PEEK` (`prio.h`).
const PEEK: u64 = 2;

/// `ssize_t gnutls_record_recv(session, data, size)` and its kin.
#[uprobe]
fn gnutls_recv(ctx: ProbeContext) -> u32 {
    enter(&ctx, Form::Plain);
    0
}

#[uretprobe]
fn gnutls_recv_return(ctx: RetProbeContext) -> u32 {
    let end = match ctx.ret::<i32>() {
        0 => SSL_ERROR_ZERO_RETURN,
        FATAL_ALERT | PREMATURE_END => SSL_ERROR_SSL,
        PULL_ERROR => SSL_ERROR_SYSCALL,
        _ => 0,
    };
    received(&ctx, end);
    0
}

/// A call that receives returns. `end`: what it says of the connection's end, or 0.
#[inline(always)]
fn received(ctx: &RetProbeContext, end: u32) {
    if end == 0 {
        leave(ctx, Form::Plain, 0);
        return;
    }
    let Some(call) = recall(ctx) else { return };
    // Without room nothing can come, whatever there is.
    if call.count == 0 {
        return;
    }
    let Some(process) = admit() else { return };
    if let Some(state) = connections::known(&process, call.object) {
        // SAFETY: a pointer to a map value is valid while the program runs.
        unsafe { (*state).last_empty_read = now() };
        peer_ended(&process, state, end);
    }
}

/// `ssize_t gnutls_record_send(session, data, size)` and its kin.
#[uprobe]
fn gnutls_send(ctx: ProbeContext) -> u32 {
    enter(&ctx, Form::Plain);
    0
}

/// Without a length it goes on with what an earlier call was given: either that call has told it as
/// sent already (what is corked), or it has told that it could not send it yet. Then the bytes may
/// not be where they were.
#[uretprobe]
fn gnutls_send_return(ctx: RetProbeContext) -> u32 {
    let Some(call) = recall(&ctx) else { return 0 };
    let Some(process) = cookie::admit_at(&ctx) else { return 0 };
    let result: i32 = ctx.ret();
    let is_new = call.count != 0;
    if result <= 0 {
        if is_new && (result == AGAIN || result == INTERRUPTED) {
            later(&process, call.object, true);
        }
        return 0;
    }
    let was_later = later(&process, call.object, false);
    let buffer = match (is_new, was_later) {
        (true, _) => call.buffer,
        // Counted as what could not be read.
        (false, true) => 0,
        (false, false) => return 0,
    };
    let what = Passed {
        object: call.object,
        buffer,
        bytes: result as u64,
        time: call.time,
        flags: FLAG_SENT,
    };
    flow::passed(&ctx, &process, &what);
    0
}

/// Keeps whether the session has something that it could not send; gives what was kept before.
#[inline(always)]
fn later(process: &Admitted, object: u64, is_later: bool) -> bool {
    let Some(state) = connections::of_object(process, object) else { return false };
    // SAFETY: a pointer to a map value is valid while the program runs.
    let flags = unsafe { (*state).flags };
    let now = if is_later { CONNECTION_SENDS_LATER } else { 0 };
    // SAFETY: as above.
    unsafe { (*state).flags = (flags & !CONNECTION_SENDS_LATER) | now };
    flags & CONNECTION_SENDS_LATER != 0
}

/// `int gnutls_init(gnutls_session_t *session, unsigned flags)`.
#[uprobe]
fn gnutls_init(ctx: ProbeContext) -> u32 {
    if let Some(place) = ctx.arg(0)
        && let Some(process) = admit()
    {
        remember(&ctx, &process, Call { buffer: place, ..Call::default() });
    }
    0
}

#[uretprobe]
fn gnutls_init_return(ctx: RetProbeContext) -> u32 {
    let Some(call) = recall(&ctx) else { return 0 };
    let Some(process) = cookie::admit_at(&ctx) else { return 0 };
    if ctx.ret::<i32>() != 0 {
        return 0;
    }
    let mut object = 0u64;
    // SAFETY: the destination is eight bytes; the helper checks the source and fails rather than
    // faults.
    let failed =
        unsafe { bpf_probe_read_user((&raw mut object).cast(), 8, call.buffer as *const _) };
    if failed != 0 {
        count_loss(Loss::Fault, 0);
        return 0;
    }
    debug!(&ctx, "process {} made TLS object {:x}", process.pid_tgid >> 32, object);
    connections::created(&process, object);
    0
}

/// `void gnutls_transport_set_int2(session, recv_fd, send_fd)`: its arguments are those of
/// `SSL_set_fd`, if both are one.
#[uprobe]
fn gnutls_set_int2(ctx: ProbeContext) -> u32 {
    if ctx.arg::<i32>(1) == ctx.arg::<i32>(2) {
        with_object(&ctx, |process, object| {
            if let Some(fd) = ctx.arg::<i32>(1) {
                connections::has_descriptor(process, object, fd);
            }
        });
    }
    0
}

/// `PRInt32 ssl_Recv(PRFileDesc *, void *, PRInt32, PRIntn flags, PRIntervalTime)`: what is looked at
/// in advance is not received yet.
#[uprobe]
fn nss_recv(ctx: ProbeContext) -> u32 {
    if ctx.arg::<u64>(3).is_some_and(|flags| flags & PEEK == 0) {
        enter(&ctx, Form::Plain);
    }
    0
}

/// `PRInt32 ssl_Read(PRFileDesc *, void *, PRInt32)`.
#[uprobe]
fn nss_read(ctx: ProbeContext) -> u32 {
    enter(&ctx, Form::Plain);
    0
}

/// Of either: an error's kind is elsewhere, and may be that nothing is there yet.
#[uretprobe]
fn nss_received(ctx: RetProbeContext) -> u32 {
    received(&ctx, if ctx.ret::<i32>() == 0 { SSL_ERROR_ZERO_RETURN } else { 0 });
    0
}
