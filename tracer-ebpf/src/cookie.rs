//! What a probe was attached with: the finding that its site belongs to, and the site's parameter.
//! Takes a probe's context; gives them, and tells of a finding whose functions get other objects
//! than they would if they were what they were found to be. Kernels before 5.15 have no cookies.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_attach_cookie, bpf_probe_read_user},
    programs::ProbeContext,
};
use tracer_ebpf::{Cookie, DOUBTS as LIMIT, Header, Kind};

use crate::{
    maps::{DOUBTS, setting},
    processes::{Admitted, admit},
    records::{header, notify},
};

/// `is_dtls`, the first word of BoringSSL's table of methods.
const DTLS: u64 = 1;

#[inline(always)]
pub(crate) fn of(ctx: &impl EbpfContext) -> Cookie {
    if setting!(cookies) == 0 {
        return Cookie::default();
    }
    // SAFETY: the context is the program's own; the helper has no effects.
    Cookie(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) })
}

/// Lets the current process in, or not; what it opens is told with the probe's finding.
#[inline(always)]
pub(crate) fn admit_at(ctx: &impl EbpfContext) -> Option<Admitted> {
    let process = admit()?;
    Some(Admitted { finding: of(ctx).finding(), ..process })
}

/// Whether the object at `address` begins with a pointer to the table that the parameter of this site
/// says: its distance from the probed instruction, which is the same wherever the file is loaded. A
/// site without parameter takes every object.
#[inline(always)]
pub(crate) fn fits(ctx: &ProbeContext, process: &Admitted, object: u64) -> bool {
    let distance = of(ctx).parameter();
    if distance == 0 {
        return true;
    }
    let Some(table) = word(object) else { return false };
    if table == instruction(ctx).wrapping_add(distance as u64) {
        return true;
    }
    if word(table) != Some(DTLS) {
        doubt(process);
    }
    false
}

/// Counts; tells once.
#[inline(always)]
pub(crate) fn doubt(process: &Admitted) {
    let finding = process.finding;
    // SAFETY: the count is copied; two at the same instant may count as one.
    let count = unsafe { DOUBTS.get(finding).copied().unwrap_or(0) } + 1;
    // Without room the finding keeps being trusted: nothing of another object is read.
    let _ = DOUBTS.insert(finding, count, 0);
    if count == LIMIT {
        let head = header(Kind::Doubted, process.pid_tgid, process.incarnation, 0);
        notify(Header { finding, ..head }, ());
    }
}

#[inline(always)]
pub(crate) fn word(address: u64) -> Option<u64> {
    let mut word = 0u64;
    // SAFETY: the destination is eight bytes; the helper checks the source and fails rather than
    // faults.
    let failed = unsafe { bpf_probe_read_user((&raw mut word).cast(), 8, address as *const _) };
    (failed == 0).then_some(word)
}

#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
#[inline(always)]
fn instruction(ctx: &ProbeContext) -> u64 {
    // SAFETY: the context of a probe is its registers.
    unsafe { (*ctx.regs).rip }
}

#[cfg(any(bpf_target_arch = "aarch64", all(not(target_arch = "bpf"), target_arch = "aarch64")))]
#[inline(always)]
fn instruction(ctx: &ProbeContext) -> u64 {
    // SAFETY: the context of a probe is its registers.
    unsafe { (*ctx.regs).pc }
}
