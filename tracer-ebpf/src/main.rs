//! The BPF programs: probes on TLS libraries, and tracepoints for the life of processes.
//! They filter and copy; whatever needs thought happens in userspace.
//! Takes the settings and filter maps; gives records in one ring and counters of what was lost.
#![no_std]
#![no_main]
// aya's macros hand each program its context by value.
#![allow(clippy::needless_pass_by_value)]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics), allow(internal_features))]

mod connections;
mod cookie;
mod counted;
#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
mod epochs;
mod filters;
mod flow;
#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
mod golang;
#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
mod joins;
mod linker;
mod maps;
#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
mod messages;
mod overload;
mod processes;
mod records;
#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
mod rustls;
mod sockets;
mod ssl;
#[cfg(any(bpf_target_arch = "x86_64", all(not(target_arch = "bpf"), target_arch = "x86_64")))]
mod syscalls;
mod user;
mod wake;

// Also on the host, where clippy reads this.
#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some helpers (`bpf_probe_read_kernel` and others) are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
