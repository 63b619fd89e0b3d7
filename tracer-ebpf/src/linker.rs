//! The dynamic linker's notice that a process's list of libraries changed (`dlopen` and start-up).
//! Takes the debugger hook `_dl_debug_state` of glibc and musl; gives a notice.
//! At that moment the new library is mapped and none of its code has run.

use aya_ebpf::{macros::uprobe, programs::ProbeContext};
use tracer_ebpf::Kind;

use crate::{
    processes::admit,
    records::{header, notify},
};

#[uprobe]
fn libraries_changed(_ctx: ProbeContext) -> u32 {
    if let Some(process) = admit() {
        notify(header(Kind::LibrariesChanged, process.pid_tgid, process.incarnation, 0), ());
    }
    0
}
