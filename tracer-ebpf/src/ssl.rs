//! Probes on the OpenSSL interface (OpenSSL, LibreSSL, BoringSSL): what was really read and written.
//! Takes calls and returns of `SSL_*`; gives data records and the life of connections.
//! Everything is reported when the call returns: a retry, a peek or a short write delivers only
//! what the library says was consumed.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_user,
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    CONNECTION_EXCLUDED, CONNECTION_PEER_ENDED, Call, CallKey, ConnectionState, FLAG_SENT, Kind,
    Loss, PeerEnded, SSL_ERROR_SSL, SSL_ERROR_SYSCALL, SSL_ERROR_ZERO_RETURN,
};

use crate::{
    connections, cookie,
    flow::{self, Passed},
    maps::CALLS,
    processes::{Admitted, admit, pid_tgid},
    records::{count_loss, header, notify, now},
};

/// `SSL_read` and `SSL_write`: the result is the count. The `_ex` forms: 1, and the count is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Ex,
}

/// Stack pointer as it is at the first instruction of the called function.
#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
mod frame {
    use super::{ProbeContext, RetProbeContext};

    pub(super) fn at_entry(ctx: &ProbeContext) -> u64 {
        // SAFETY: the context of a probe is its registers.
        unsafe { (*ctx.regs).rsp }
    }

    /// `ret` has taken the return address off the stack.
    pub(super) fn at_return(ctx: &RetProbeContext) -> u64 {
        // SAFETY: the context of a probe is its registers.
        unsafe { (*ctx.regs).rsp - 8 }
    }
}

#[cfg(any(bpf_target_arch = "aarch64", all(not(target_arch = "bpf"), target_arch = "aarch64")))]
mod frame {
    use super::{ProbeContext, RetProbeContext};

    pub(super) fn at_entry(ctx: &ProbeContext) -> u64 {
        // SAFETY: the context of a probe is its registers.
        unsafe { (*ctx.regs).sp }
    }

    pub(super) fn at_return(ctx: &RetProbeContext) -> u64 {
        // SAFETY: the context of a probe is its registers.
        unsafe { (*ctx.regs).sp }
    }
}

#[inline(always)]
pub(crate) fn enter(ctx: &ProbeContext, form: Form) -> Option<()> {
    let process = cookie::admit_at(ctx)?;
    let object = ctx.arg(0)?;
    if !cookie::fits(ctx, &process, object) {
        return None;
    }
    let count = if form == Form::Ex { ctx.arg(3)? } else { u64::from(ctx.arg::<u32>(2)?) };
    remember(ctx, &process, Call { object, buffer: ctx.arg(1)?, count, time: now() });
    Some(())
}

#[inline(always)]
pub(crate) fn key(pid_tgid: u64, stack: u64) -> CallKey {
    CallKey { tgid: (pid_tgid >> 32) as u32, reserved: 0, stack }
}

#[inline(always)]
pub(crate) fn remember(ctx: &ProbeContext, process: &Admitted, call: Call) {
    let key = key(process.pid_tgid, frame::at_entry(ctx));
    if CALLS.insert(key, call, 0).is_err() {
        count_loss(Loss::MapFull, 0);
    }
}

/// The call that this return belongs to; it is over with that.
#[inline(always)]
pub(crate) fn recall(ctx: &RetProbeContext) -> Option<Call> {
    let key = key(pid_tgid(), frame::at_return(ctx));
    // SAFETY: nothing else changes the entry of a frame that is alive.
    let call = unsafe { *CALLS.get(key)? };
    // It was there the line before, and only this thread removes it.
    let _ = CALLS.remove(key);
    Some(call)
}

/// Bytes that the call moved; 0 for none.
#[inline(always)]
fn moved(ctx: &RetProbeContext, call: &Call, form: Form) -> u64 {
    let result: i32 = ctx.ret();
    if result <= 0 {
        return 0;
    }
    match form {
        Form::Plain => result as u64,
        Form::Ex => {
            let mut count = 0u64;
            // SAFETY: the destination is eight bytes; the helper checks the source.
            let failed =
                unsafe { bpf_probe_read_user((&raw mut count).cast(), 8, call.count as *const _) };
            if failed != 0 {
                count_loss(Loss::Fault, 0);
                return 0;
            }
            count
        }
    }
}

#[inline(always)]
pub(crate) fn leave(ctx: &RetProbeContext, form: Form, flags: u32) -> Option<()> {
    let call = recall(ctx)?;
    let process = cookie::admit_at(ctx)?;
    let bytes = moved(ctx, &call, form);
    let sent = flags & FLAG_SENT != 0;
    if bytes == 0 {
        if !sent {
            let state = connections::known(&process, call.object)?;
            // SAFETY: a pointer to a map value is valid while the program runs.
            unsafe { (*state).last_empty_read = now() };
            // Where objects are held against a table of methods it is BoringSSL's `SSL_read`, which
            // gives 0 at the end alone.
            if form == Form::Plain
                && cookie::of(ctx).parameter() != 0
                && call.count != 0
                && ctx.ret::<i32>() == 0
            {
                peer_ended(&process, state, SSL_ERROR_ZERO_RETURN);
            }
        }
        return None;
    }
    let time = if sent { call.time } else { now() };
    flow::passed(
        ctx,
        &process,
        &Passed { object: call.object, buffer: call.buffer, bytes, time, flags },
    );
    Some(())
}

macro_rules! calls {
    ($($enter:ident, $leave:ident: $form:expr, $flags:expr;)*) => {$(
        #[uprobe]
        fn $enter(ctx: ProbeContext) -> u32 {
            enter(&ctx, $form);
            0
        }

        #[uretprobe]
        fn $leave(ctx: RetProbeContext) -> u32 {
            leave(&ctx, $form, $flags);
            0
        }
    )*};
}

calls! {
    ssl_read, ssl_read_return: Form::Plain, 0;
    ssl_read_ex, ssl_read_ex_return: Form::Ex, 0;
    ssl_write, ssl_write_return: Form::Plain, FLAG_SENT;
    ssl_write_ex, ssl_write_ex_return: Form::Ex, FLAG_SENT;
}

/// `SSL *SSL_new(SSL_CTX *)`.
#[uretprobe]
fn ssl_new_return(ctx: RetProbeContext) -> u32 {
    let object: u64 = ctx.ret();
    if object != 0
        && let Some(process) = cookie::admit_at(&ctx)
    {
        debug!(&ctx, "process {} made TLS object {:x}", process.pid_tgid >> 32, object);
        connections::created(&process, object);
    }
    0
}

/// BoringSSL's `tls_new(SSL *)`, of its table of methods: the object is made, or cleared for another
/// connection.
#[uprobe]
fn tls_new(ctx: ProbeContext) -> u32 {
    if let Some(object) = ctx.arg(0)
        && let Some(process) = cookie::admit_at(&ctx)
        // `dtls1_new` calls it too.
        && cookie::fits(&ctx, &process, object)
    {
        debug!(&ctx, "process {} made TLS object {:x}", process.pid_tgid >> 32, object);
        connections::created(&process, object);
    }
    0
}

/// BoringSSL's `tls_free(SSL *)`, of its table of methods: the object is over. Whether the peer ended
/// it otherwise than in order, before that, `SSL_get_error` would tell, which is not known where this
/// is probed.
#[uprobe]
fn tls_free(ctx: ProbeContext) -> u32 {
    with_object(&ctx, |process, object| {
        if let Some(state) = connections::known(process, object) {
            peer_ended(process, state, SSL_ERROR_SSL);
        }
        connections::released(process, object);
    });
    0
}

/// `void SSL_free(SSL *)`.
#[uprobe]
fn ssl_free(ctx: ProbeContext) -> u32 {
    with_object(&ctx, |process, object| {
        debug!(&ctx, "process {} freed TLS object {:x}", process.pid_tgid >> 32, object);
        connections::released(process, object);
    });
    0
}

/// `int SSL_up_ref(SSL *)`.
#[uprobe]
fn ssl_up_ref(ctx: ProbeContext) -> u32 {
    with_object(&ctx, connections::shared);
    0
}

/// `int SSL_clear(SSL *)`: the object is used for another connection.
#[uprobe]
fn ssl_clear(ctx: ProbeContext) -> u32 {
    with_object(&ctx, connections::cleared);
    0
}

/// `int SSL_set_fd(SSL *, int)`. The socket may not be connected yet: it is read with the first data.
#[uprobe]
fn ssl_set_fd(ctx: ProbeContext) -> u32 {
    with_object(&ctx, |process, object| {
        if let Some(fd) = ctx.arg::<i32>(1) {
            connections::has_descriptor(process, object, fd);
        }
    });
    0
}

#[inline(always)]
pub(crate) fn with_object(ctx: &ProbeContext, act: impl FnOnce(&Admitted, u64)) {
    if let Some(object) = ctx.arg(0)
        && let Some(process) = admit()
    {
        act(&process, object);
    }
}

/// `int SSL_get_error(const SSL *, int)`: programs call it after each read that gave nothing.
#[uprobe]
fn ssl_get_error(ctx: ProbeContext) -> u32 {
    with_object(&ctx, |process, object| {
        remember(&ctx, process, Call { object, ..Call::default() });
    });
    0
}

#[uretprobe]
fn ssl_get_error_return(ctx: RetProbeContext) -> u32 {
    let Some(call) = recall(&ctx) else { return 0 };
    let error: u32 = ctx.ret();
    if error != SSL_ERROR_SSL && error != SSL_ERROR_SYSCALL && error != SSL_ERROR_ZERO_RETURN {
        return 0;
    }
    let Some(process) = admit() else { return 0 };
    if let Some(state) = connections::known(&process, call.object) {
        peer_ended(&process, state, error);
    }
    0
}

/// Tells once that nothing more will come. `error`: as `SSL_get_error` says it.
#[inline(always)]
pub(crate) fn peer_ended(process: &Admitted, state: *mut ConnectionState, error: u32) {
    // SAFETY: a pointer to a map value is valid while the program runs.
    let (flags, id) = unsafe { ((*state).flags, (*state).id) };
    if flags & (CONNECTION_PEER_ENDED | CONNECTION_EXCLUDED) == 0 {
        // SAFETY: as above.
        unsafe { (*state).flags = flags | CONNECTION_PEER_ENDED };
        notify(
            header(Kind::PeerEnded, process.pid_tgid, process.incarnation, id),
            PeerEnded { error, reserved: 0 },
        );
    }
}
