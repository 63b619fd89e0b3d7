//! What processes that are traced receive, send and close, for `joins`: which socket, and where in memory.
//! Takes the raw tracepoints of all system calls; leaves at once where the process is not traced.
//! Of the moved bytes no more is read than the headers of records.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_ebpf::{ObjectKey, Received, SSL_ERROR_SSL, SSL_ERROR_SYSCALL};

use crate::{
    connections,
    joins::{self, Given},
    maps::{OUTGOING, RECEIVED, SYSCALLS},
    processes::{Admitted, admit_known, read_kernel},
    records::now,
    sockets, ssl,
    user::read,
};

/// Numbers of system calls (Linux `syscall_64.tbl`).
const READ: u64 = 0;
const WRITE: u64 = 1;
const CLOSE: u64 = 3;
const READV: u64 = 19;
const WRITEV: u64 = 20;
const SENDTO: u64 = 44;
const RECVFROM: u64 = 45;
const SENDMSG: u64 = 46;
const RECVMSG: u64 = 47;

/// Where in a `struct pt_regs` RDX is, with RSI, RDI and the number of the call behind it.
const ARGUMENTS: u32 = 96;
/// Where in a `struct msghdr` the list of pieces is, with their number behind it.
const PIECES: u64 = 16;

/// `EAGAIN` (Linux `errno.h`).
const TRY_AGAIN: i64 = -11;
/// Errors that end a connection: `EPIPE`, `ECONNABORTED`, `ECONNRESET`, `ETIMEDOUT`, `EHOSTUNREACH`.
const BROKEN: [i64; 5] = [-32, -103, -104, -110, -113];

/// `sys_enter(registers, number)`: descriptors are still there.
#[raw_tracepoint]
fn syscall_enter(ctx: RawTracePointContext) -> i32 {
    let number: u64 = ctx.arg(1);
    if number == CLOSE
        && let Some(process) = admit_known()
    {
        closes(&process, ctx.arg(0));
    }
    0
}

/// A socket's connection is over when its descriptor is closed.
#[inline(always)]
fn closes(process: &Admitted, registers: u64) -> Option<()> {
    let [_, _, fd, _] = read_kernel::<[u64; 4]>(registers, ARGUMENTS)?;
    let socket = sockets::number(fd as u32)?;
    let state = connections::known(process, socket)?;
    // SAFETY: a pointer to a map value is valid while the program runs.
    if unsafe { (*state).fd } != fd as u32 {
        return None; // another descriptor of it
    }
    connections::released(process, socket);
    // It was there or not.
    let _ = OUTGOING.remove(ObjectKey { process: process.incarnation, object: socket });
    Some(())
}

/// `sys_exit(registers, result)`.
#[raw_tracepoint]
fn syscall_exit(ctx: RawTracePointContext) -> i32 {
    if let Some(process) = admit_known() {
        let result: u64 = ctx.arg(1);
        moved(&ctx, &process, ctx.arg(0), result as i64);
    }
    0
}

#[inline(always)]
fn moved(
    ctx: &RawTracePointContext,
    process: &Admitted,
    registers: u64,
    result: i64,
) -> Option<()> {
    let [third, second, fd, number] = read_kernel::<[u64; 4]>(registers, ARGUMENTS)?;
    let fd = fd as u32;
    match number {
        READ | RECVFROM | READV | RECVMSG => {
            let socket = sockets::number(fd)?;
            if result <= 0 {
                let has_room = number == RECVMSG || third != 0;
                return if has_room { nothing_came(process, socket, result) } else { None };
            }
            let [buffer, room] = match number {
                READV => read(second)?,
                RECVMSG => read(read(second + PIECES)?)?,
                _ => [second, third],
            };
            let len = if room < result as u64 { room } else { result as u64 };
            let last = Received { socket, buffer, len, fd, reserved: 0 };
            // Without room what it decrypts is not joined by this.
            let _ = RECEIVED.insert(process.pid_tgid, last, 0);
        }
        WRITE | SENDTO | WRITEV | SENDMSG if result > 0 || result == TRY_AGAIN => {
            let socket = sockets::number(fd)?;
            let taken = if result > 0 { result as u64 } else { 0 };
            let given = match number {
                WRITEV => Given { list: second, count: third, start: 0, len: 0, taken },
                SENDMSG => {
                    let [list, count] = read(second + PIECES)?;
                    Given { list, count, start: 0, len: 0, taken }
                }
                _ => Given { list: 0, count: 0, start: second, len: third, taken },
            };
            if joins::sent(process, socket, fd, &given) {
                // The same again, for the records behind: the verifier follows the way once.
                // SAFETY: the map holds programs of this type only; a call that fails comes back.
                unsafe { SYSCALLS.tail_call(ctx, 0) };
                joins::written(ObjectKey { process: process.incarnation, object: socket }, taken);
            }
        }
        _ => {}
    }
    Some(())
}

/// A receive gave nothing: no data yet, the end of the stream, or an error.
#[inline(always)]
fn nothing_came(process: &Admitted, socket: u64, result: i64) -> Option<()> {
    let state = connections::known(process, socket)?;
    match result {
        // SAFETY: a pointer to a map value is valid while the program runs.
        TRY_AGAIN => unsafe { (*state).last_empty_read = now() },
        // In order it would have ended by an alert before.
        0 => ssl::peer_ended(process, state, SSL_ERROR_SSL),
        error if BROKEN.contains(&error) => ssl::peer_ended(process, state, SSL_ERROR_SYSCALL),
        _ => {}
    }
    Some(())
}
