//! Which processes are traced, and their life: fork, exec and exit.
//! Takes raw tracepoints and the filters in force; gives admission to the probes, and notices.
//! A process that does not pass is dropped here, before a byte of its memory is read.

use aya_ebpf::{
    helpers::generated::{
        bpf_get_current_ancestor_cgroup_id, bpf_get_current_pid_tgid, bpf_probe_read_kernel,
    },
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    Executed, Forked, Kind, Loss, MARK_PROGRAM, MARKS_PROGRAM, MAX_CGROUPS, Process, half,
};

use crate::{
    filters,
    maps::{CGROUPS, PROCESSES, setting},
    records::{count_loss, header, notify, unique},
};

/// The current process, which passes the filters.
pub(crate) struct Admitted {
    pub(crate) pid_tgid: u64,
    pub(crate) incarnation: u64,
    pub(crate) parent: u64,
    /// [`tracer_ebpf::Header::task`] of what passes.
    pub(crate) task: u64,
    /// [`tracer_ebpf::Cookie::finding`] of the probe that it ran into.
    pub(crate) finding: u32,
}

#[inline(always)]
pub(crate) fn pid_tgid() -> u64 {
    // SAFETY: the helper has no arguments and no effects.
    unsafe { bpf_get_current_pid_tgid() }
}

/// Lets the current process in, or not. Where no mark is required, it is entered at first sight.
#[inline(always)]
pub(crate) fn admit() -> Option<Admitted> {
    let pid_tgid = pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let (generation, filters) = filters::in_force()?;
    let required = filters.required_marks;
    match PROCESSES.get_ptr(tgid) {
        Some(process) => {
            // SAFETY: a pointer to a map value is valid while the program runs.
            let process = unsafe { *process };
            if process.marks & required != required || !in_cgroup(generation, filters.cgroups) {
                return None;
            }
            let Process { incarnation, parent, .. } = process;
            Some(Admitted { pid_tgid, incarnation, parent, task: 0, finding: 0 })
        }
        None if required == 0 && in_cgroup(generation, filters.cgroups) => enter(pid_tgid, tgid),
        None => None,
    }
}

/// As [`admit`], for what happens in every process at all times: none is entered by it.
#[inline(always)]
pub(crate) fn admit_known() -> Option<Admitted> {
    let pid_tgid = pid_tgid();
    let process = PROCESSES.get_ptr((pid_tgid >> 32) as u32)?;
    let (generation, filters) = filters::in_force()?;
    let required = filters.required_marks;
    // SAFETY: a pointer to a map value is valid while the program runs.
    let Process { incarnation, parent, marks, .. } = unsafe { *process };
    let passes = marks & required == required && in_cgroup(generation, filters.cgroups);
    passes.then_some(Admitted { pid_tgid, incarnation, parent, task: 0, finding: 0 })
}

#[inline(always)]
fn enter(pid_tgid: u64, tgid: u32) -> Option<Admitted> {
    let incarnation = unique();
    let process = Process { incarnation, parent: 0, marks: 0, reserved: 0 };
    if PROCESSES.insert(tgid, process, 0).is_err() {
        count_loss(Loss::MapFull, 0);
        return None;
    }
    notify(header(Kind::Appeared, pid_tgid, incarnation, 0), ());
    Some(Admitted { pid_tgid, incarnation, parent: 0, task: 0, finding: 0 })
}

#[inline(always)]
fn in_cgroup(generation: u32, wanted: u32) -> bool {
    if wanted == 0 {
        return true;
    }
    let first = half(generation) * MAX_CGROUPS;
    for index in 0..MAX_CGROUPS {
        if index >= wanted {
            break;
        }
        if let Some(cgroup) = CGROUPS.get(first + index) {
            // SAFETY: the helper reads the current task's cgroup at a level; 0 where there is none.
            let id = unsafe { bpf_get_current_ancestor_cgroup_id(cgroup.level as i32) };
            if id == cgroup.id {
                return true;
            }
        }
    }
    false
}

/// Reads a value of the kernel at `base + offset`.
#[inline(always)]
pub(crate) fn read_kernel<T: Copy + Default>(base: u64, offset: u32) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the destination is a value of that size; the helper checks the source and fails
    // rather than faults.
    let failed = unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            (base + u64::from(offset)) as *const _,
        )
    };
    (failed == 0).then_some(value)
}

/// `sched_process_fork(parent, child)`: the child of a traced process is traced from its first step.
#[raw_tracepoint]
fn process_fork(ctx: RawTracePointContext) -> i32 {
    let pid_tgid = pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let Some(parent) = PROCESSES.get_ptr(tgid) else {
        return 0;
    };
    // SAFETY: a pointer to a map value is valid while the program runs.
    let parent = unsafe { *parent };
    let child: u64 = ctx.arg(1);
    let Some(child_tgid) = read_kernel::<u32>(child, setting!(offsets.task_tgid)) else {
        count_loss(Loss::Fault, 0);
        return 0;
    };
    if child_tgid == tgid {
        return 0; // a thread
    }
    debug!(&ctx, "process {} made process {}", tgid, child_tgid);
    let incarnation = unique();
    let process =
        Process { incarnation, parent: parent.incarnation, marks: parent.marks, reserved: 0 };
    if PROCESSES.insert(child_tgid, process, 0).is_err() {
        count_loss(Loss::MapFull, 0);
        return 0;
    }
    notify(
        header(Kind::Forked, pid_tgid, parent.incarnation, 0),
        Forked { child_tgid, reserved: 0, child_process: incarnation },
    );
    0
}

/// `sched_process_exec`: a new program, none of the old one's TLS objects.
#[raw_tracepoint]
fn process_exec(_ctx: RawTracePointContext) -> i32 {
    let pid_tgid = pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let Some((generation, filters)) = filters::in_force() else { return 0 };
    let previous = match PROCESSES.get_ptr(tgid) {
        // SAFETY: a pointer to a map value is valid while the program runs.
        Some(process) => unsafe { *process },
        // Userspace must see every program start to compare it with `--exe` and the like. (What must
        // be in a tree as well is known already.)
        None if filters.required_marks == tracer_ebpf::marks(MARK_PROGRAM, generation) => {
            Process::default()
        }
        None => return 0,
    };
    let incarnation = unique();
    // Whether the new program is wanted is for userspace to say, now and by filters to come.
    let marks = previous.marks & !MARKS_PROGRAM;
    let process = Process { incarnation, parent: 0, marks, reserved: 0 };
    if PROCESSES.insert(tgid, process, 0).is_err() {
        count_loss(Loss::MapFull, 0);
        return 0;
    }
    notify(
        header(Kind::Executed, pid_tgid, incarnation, 0),
        Executed { previous: previous.incarnation },
    );
    0
}

/// `sched_process_exit(task)`, for each thread; the process is over with the last one.
#[raw_tracepoint]
fn process_exit(ctx: RawTracePointContext) -> i32 {
    let pid_tgid = pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let Some(process) = PROCESSES.get_ptr(tgid) else {
        return 0;
    };
    // SAFETY: a pointer to a map value is valid while the program runs.
    let incarnation = unsafe { (*process).incarnation };
    let task: u64 = ctx.arg(0);
    let live = read_kernel::<u64>(task, setting!(offsets.task_signal))
        .and_then(|signal| read_kernel::<i32>(signal, setting!(offsets.signal_live)));
    if live != Some(0) {
        return 0;
    }
    debug!(&ctx, "process {} ended", tgid);
    // It was there a moment ago; were it gone already, its end was told already.
    if PROCESSES.remove(tgid).is_ok() {
        notify(header(Kind::Exited, pid_tgid, incarnation, 0), ());
    }
    0
}
