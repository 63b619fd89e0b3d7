//! Probes in rustls: `encrypt` with what it is given, `decrypt` with what it gives back.
//! Takes registers at sites that `discover::tls::rustls` has found; gives application data, and the
//! keys that `joins` ties to sockets.
//!
//! Sent bytes are reported before they are encrypted; a record that is encrypted is sent, or the
//! connection is over.

use aya_ebpf::{bindings::pt_regs, macros::uprobe, programs::ProbeContext};
use tracer_ebpf::{
    Call, EPOCH_HANDSHAKE, EPOCH_SENDS, EPOCH_SUCCEEDED, Epoch, FLAG_SENT, Loss, ObjectKey,
    RustlsSite, SSL_ERROR_SSL, SSL_ERROR_ZERO_RETURN,
};

use crate::{
    connections, cookie, epochs, joins,
    maps::{CALLS, OUTGOING},
    messages::{ALERT, APPLICATION_DATA, Decrypted, HANDSHAKE, Inbound, Outbound},
    processes::Admitted,
    records::{count_loss, data},
    ssl,
    user::read,
};

/// Of a record before its payload (RFC 8446 §5.1).
const RECORD_HEADER: u64 = 5;

/// Handshake messages that only the first encrypted record of a connection begins with (RFC 8446
/// §4): EncryptedExtensions, Certificate, Finished.
const FIRST_OF_HANDSHAKE: [u8; 3] = [8, 11, 20];

/// `close_notify` and `user_canceled` (RFC 8446 §6.1).
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

#[inline(always)]
fn registers(ctx: &ProbeContext) -> &pt_regs {
    // SAFETY: the context of a probe is its registers, and they outlive it.
    unsafe { &*ctx.regs }
}

#[inline(always)]
fn begins_handshake(sequence: u64, kind: u8, first: Option<u8>) -> bool {
    sequence == 0
        && kind == HANDSHAKE
        && first.is_some_and(|first| FIRST_OF_HANDSHAKE.contains(&first))
}

/// `encrypt(&mut self, message, sequence)`.
#[uprobe]
fn rustls_encrypt(ctx: ProbeContext) -> u32 {
    encrypt(&ctx);
    0
}

#[inline(always)]
fn encrypt(ctx: &ProbeContext) -> Option<()> {
    let &pt_regs { rsi: object, rdx: message, rcx: sequence, .. } = registers(ctx);
    let process = cookie::admit_at(ctx)?;
    let site = RustlsSite::of(cookie::of(ctx).parameter())?;
    let Some(message) = Outbound::read(site.layout, message) else {
        cookie::doubt(&process);
        return None;
    };
    let epoch = epochs::at(&process, object, sequence, EPOCH_SENDS)?;
    let sealed = message.len + u64::from(site.added);
    // SAFETY: a pointer to a map value is valid while the program runs.
    unsafe {
        (*epoch).next = sequence + 1;
        if begins_handshake(sequence, message.kind, message.first()) {
            (*epoch).flags |= EPOCH_HANDSHAKE;
        }
    }
    outgoing(&process, epoch, object, sealed);
    if message.kind == APPLICATION_DATA && message.len > 0 {
        let header = epochs::place(&process, epoch, message.len, FLAG_SENT)?;
        message.copy(&header);
    }
    Some(())
}

/// A record of that length will be written: to the socket that is known, or to one that has to be.
#[inline(always)]
fn outgoing(process: &Admitted, epoch: *mut Epoch, object: u64, sealed: u64) {
    // SAFETY: a pointer to a map value is valid while the program runs.
    let Epoch { id, socket, wire, .. } = unsafe { *epoch };
    if socket != 0 {
        let key = ObjectKey { process: process.incarnation, object: socket };
        if let Some(state) = OUTGOING.get_ptr_mut(key) {
            // SAFETY: as above.
            unsafe {
                if (*state).owner == object {
                    (*state).outstanding += RECORD_HEADER + sealed;
                }
            }
        }
        return;
    }
    // SAFETY: as above.
    unsafe {
        (*epoch).wire = wire + RECORD_HEADER + sealed;
        (*epoch).thread = process.pid_tgid;
    }
    joins::wait(process.pid_tgid, object, id, wire, sealed);
}

/// `decrypt(&mut self, message, sequence)`.
#[uprobe]
fn rustls_decrypt(ctx: ProbeContext) -> u32 {
    decrypt(&ctx);
    0
}

#[inline(always)]
fn decrypt(ctx: &ProbeContext) -> Option<()> {
    let &pt_regs { rsi: object, rdx: message, rcx: sequence, rsp: stack, .. } = registers(ctx);
    let process = cookie::admit_at(ctx)?;
    let site = RustlsSite::of(cookie::of(ctx).parameter())?;
    let Some(input) = Inbound::read(site.layout, message) else {
        cookie::doubt(&process);
        return None;
    };
    let epoch = epochs::at(&process, object, sequence, 0)?;
    // SAFETY: a pointer to a map value is valid while the program runs.
    if unsafe { (*epoch).socket } == 0 {
        joins::received(&process, epoch, site.layout, &input);
    }
    let call = Call { object, buffer: input.start, count: input.len, time: sequence };
    if CALLS.insert(ssl::key(process.pid_tgid, stack), call, 0).is_err() {
        count_loss(Loss::MapFull, 0);
    }
    Some(())
}

/// The return of `decrypt`, which gives the address of its result.
#[uprobe]
fn rustls_decrypt_return(ctx: ProbeContext) -> u32 {
    decrypted(&ctx);
    0
}

#[inline(always)]
fn decrypted(ctx: &ProbeContext) -> Option<()> {
    let &pt_regs { rax: result, rsp: stack, .. } = registers(ctx);
    let process = cookie::admit_at(ctx)?;
    let key = ssl::key(process.pid_tgid, stack);
    // SAFETY: nothing else changes the entry of a frame that is alive.
    let Call { object, buffer, count, time: sequence } = unsafe { *CALLS.get(key)? };
    // It was there the line before, and only this thread removes it.
    let _ = CALLS.remove(key);
    let site = RustlsSite::of(cookie::of(ctx).parameter())?;
    let input = Inbound { start: buffer, len: count };
    let output = Decrypted::read(site.layout, result, &input)?;
    let epoch = epochs::known(&process, object)?;
    // SAFETY: a pointer to a map value is valid while the program runs.
    let Epoch { flags, success, socket, fd, .. } = unsafe { *epoch };
    // An error leaves the rest of the result as it was before the call.
    if flags & EPOCH_SUCCEEDED != 0 && success != u32::from(output.variant) {
        return None;
    }
    let first = if output.len > 0 { read::<u8>(output.start) } else { None };
    let handshake = begins_handshake(sequence, output.kind, first);
    // SAFETY: as above.
    unsafe {
        (*epoch).next = sequence + 1;
        (*epoch).success = u32::from(output.variant);
        (*epoch).flags = flags | EPOCH_SUCCEEDED | if handshake { EPOCH_HANDSHAKE } else { 0 };
    }
    if handshake && socket != 0 {
        epochs::began(&process, socket, fd);
    }
    if output.kind == ALERT && socket != 0 {
        alert(&process, socket, output.start);
    }
    if output.kind == APPLICATION_DATA && output.len > 0 {
        let header = epochs::place(&process, epoch, output.len, 0)?;
        data(&header, output.start, output.len);
    }
    Some(())
}

/// The peer says that it ends the connection.
#[inline(always)]
fn alert(process: &Admitted, socket: u64, address: u64) {
    let Some([_, description]) = read::<[u8; 2]>(address) else { return };
    if description == USER_CANCELED {
        return;
    }
    if let Some(state) = connections::known(process, socket) {
        let in_order = description == CLOSE_NOTIFY;
        ssl::peer_ended(
            process,
            state,
            if in_order { SSL_ERROR_ZERO_RETURN } else { SSL_ERROR_SSL },
        );
    }
}
