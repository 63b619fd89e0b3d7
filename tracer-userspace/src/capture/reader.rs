//! The reading end: takes records out of the ring as they come, and the counters of what was lost.
//! Takes the kernel's maps; gives [`Event`]s to a sink, in order.
//! Also writes what userspace decides about processes into the kernel's table.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    time::Duration,
};

use aya::maps::{HashMap, MapData, MapError};
use tracer_ebpf::{
    ConnectionState, LEVELS, LOSSES, Loss, MARK_PROGRAM, MARK_TREE, ObjectKey, Process,
    READER_LOOKS, Verdict,
};

pub use super::connections::Captured;
use super::{
    apart::Apart,
    connections::{Connections, Positions},
    event::{CloseCause, ConnectionId, Event, ProcessEvent, ProcessId, Timestamp},
    filters::{Generation, KernelFilters},
    kernel::{Maps, wait_for_programs},
    overload::Use,
    proof::{FindingId, Proof, Refutation},
    record::{Body, Record},
};

/// Bytes that passed and were not captured, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub ring_full: LostCount,
    pub fault: LostCount,
    pub oversize: LostCount,
    pub map_full: LostCount,
    /// Left out under overload: bodies that belong to no LLM call.
    pub shed_body: LostCount,
    /// Left out under overload: connections without an LLM call under way.
    pub shed_connection: LostCount,
    /// Passed on a connection that the program had closed.
    pub after_close: LostCount,
    /// Whose connection could not be told for certain.
    pub unjoined: LostCount,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostCount {
    pub bytes: u64,
    /// Records not delivered, or calls not followed.
    pub records: u64,
}

impl Lost {
    /// Every cause with its name, in a fixed order.
    pub fn by_cause(&self) -> [(&'static str, LostCount); LOSSES] {
        [
            ("ring_full", self.ring_full),
            ("memory_fault", self.fault),
            ("oversize", self.oversize),
            ("map_full", self.map_full),
            ("shed_body", self.shed_body),
            ("shed_connection", self.shed_connection),
            ("after_close", self.after_close),
            ("unjoined", self.unjoined),
        ]
    }
}

/// How hard it is to keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strain {
    /// Step of degradation, from 0 to [`LEVELS`].
    pub level: u32,
    /// Bytes of the ring that were unread when a program last moved bytes; 0 once all was read.
    pub unread: u64,
    /// How often each step was entered.
    pub entered: [u64; LEVELS],
}

pub struct Reader {
    maps: Maps,
    apart: Apart,
    connections: Connections,
    proof: Proof,
    unreadable: u64,
    /// The ring was empty when it was last looked into.
    drained: bool,
    /// Of the filters in force.
    generation: Generation,
}

/// A process in the kernel's table, and what it has to do with filters.
#[derive(Clone, Copy, Debug)]
pub struct Entered {
    pub process: ProcessId,
    marks: u32,
}

impl Entered {
    /// Whether it has all of these `MARK_*` for the filters of a generation.
    pub fn has(&self, marks: u32, generation: Generation) -> bool {
        let marks = generation.marks(marks);
        self.marks & marks == marks
    }
}

/// Of `bpf_map_update_elem` (Linux `bpf.h`): the key must be there.
const BPF_EXIST: u64 = 2;

/// For programs to end where the kernel can't tell when they have: they take microseconds.
const PROGRAMS_PAUSE: Duration = Duration::from_millis(100);

impl Reader {
    pub fn new(maps: Maps) -> Self {
        Self {
            maps,
            apart: Apart::default(),
            connections: Connections::default(),
            proof: Proof::default(),
            unreadable: 0,
            drained: true,
            generation: Generation::NONE,
        }
    }

    /// Of the filters in force.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Writes the filters that are to be in force next; gives the generation that processes are to be
    /// marked for. `kept`: who has one of these `MARK_*` has it for these filters too.
    ///
    /// # Errors
    /// The kernel does not take them. Those in force stay.
    pub fn prepare(&mut self, filters: &KernelFilters, kept: u32) -> Result<Generation, MapError> {
        let (now, next) = (self.generation, self.generation.next());
        let processes: Vec<u32> = self.maps.processes.keys().filter_map(Result::ok).collect();
        for pid in processes {
            let Ok(process) = self.maps.processes.get(&pid, 0) else { continue };
            // In the next half are marks for filters that were in force before these.
            let mut marks = process.marks & now.marks(MARK_TREE | MARK_PROGRAM);
            for mark in [MARK_TREE, MARK_PROGRAM] {
                if kept & mark != 0 && marks & now.marks(mark) != 0 {
                    marks |= next.marks(mark);
                }
            }
            if marks != process.marks {
                // Gone already is as good.
                let _ = self.maps.processes.insert(pid, Process { marks, ..process }, BPF_EXIST);
            }
        }
        self.maps.filters.write(filters, next)?;
        Ok(next)
    }

    /// Puts the filters of a generation in force that was prepared; after that no program runs any more
    /// that goes by those before.
    ///
    /// # Errors
    /// The kernel does not take it. Those in force stay.
    pub fn enforce(&mut self, generation: Generation) -> Result<(), MapError> {
        self.maps.filters.enforce(generation)?;
        let is_first = self.generation == Generation::NONE;
        self.generation = generation;
        if !is_first && let Err(error) = wait_for_programs() {
            tracing::debug!(%error, "the kernel does not tell when its programs have ended");
            std::thread::sleep(PROGRAMS_PAUSE);
        }
        Ok(())
    }

    /// The processes in the kernel's table. One that comes or goes meanwhile may be missed.
    pub fn entered(&self) -> Vec<Entered> {
        let entered = |(pid, process): (u32, Process)| Entered {
            process: ProcessId { pid, incarnation: process.incarnation },
            marks: process.marks,
        };
        self.maps.processes.iter().filter_map(Result::ok).map(entered).collect()
    }

    pub fn captured(&self) -> Captured {
        self.connections.captured()
    }

    /// Connections that live.
    pub fn open_connections(&self) -> usize {
        self.connections.len()
    }

    /// Becomes readable when the kernel side wakes the reading end: at what is urgent, at an eighth of the
    /// ring, and at everything after [`Reader::wake_at_all`].
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.maps.records.as_fd()
    }

    /// Whether every record wakes the reading end, or it will look by itself.
    ///
    /// # Errors
    /// The kernel side can't be told.
    pub fn wake_at_all(&mut self, all: bool) -> Result<(), MapError> {
        self.maps.reader.set(0, if all { 0 } else { READER_LOOKS }, 0)
    }

    /// Records of the ring that no version of the kernel side writes.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Takes at most `limit` records; returns how many there were.
    pub fn read(&mut self, limit: usize, sink: &mut dyn FnMut(&Event<'_>)) -> usize {
        let Maps { records, connections: table, calls, .. } = &mut self.maps;
        let mut forget = |key| forget(table, key);
        let mut taken = 0;
        self.drained = false;
        while taken < limit {
            let Some(item) = records.next() else {
                self.drained = true;
                break;
            };
            taken += 1;
            match Record::read(&item) {
                Some(record) => {
                    if matches!(record.body, Body::Exited) {
                        forget_calls(calls, &|pid| pid == record.header.tgid);
                    }
                    let (proof, connections) = (&mut self.proof, &mut self.connections);
                    self.apart.pass(&record, &mut |record| {
                        proof.apply(record);
                        connections.apply(record, &mut forget, sink);
                    });
                }
                None => self.unreadable += 1,
            }
        }
        self.forget_verdicts();
        taken
    }

    fn forget_verdicts(&mut self) {
        for connection in self.connections.take_judged() {
            // Gone already is as good.
            let _ = self.maps.verdicts.remove(&connection.0);
        }
    }

    /// Findings that turned out wrong since the last call.
    pub fn take_refuted(&mut self) -> Vec<(FindingId, Refutation)> {
        self.proof.take_refuted()
    }

    /// Tells the kernel side what a connection is used for, now that everything read so far is known.
    pub fn judge(&mut self, connection: ConnectionId, usage: Use) {
        let Some(verdict) = self.connections.judge(connection, usage) else { return };
        let verdicts = &mut self.maps.verdicts;
        let result = if verdict == Verdict::default() {
            verdicts.remove(&connection.0)
        } else {
            verdicts.insert(connection.0, verdict, 0)
        };
        if let Err(error) = result {
            // What the kernel side does not know it treats as any connection.
            tracing::debug!(%error, "a connection's use could not be told to the kernel side");
        }
    }

    /// How hard it is to keep up, now.
    pub fn strain(&self) -> Result<Strain, MapError> {
        let state = self.maps.overload.get(&0, 0)?;
        let unread = if self.drained { 0 } else { state.fill };
        Ok(Strain { level: state.level, unread, entered: state.entered })
    }

    /// Ends what is under way, since the tracer stops.
    pub fn stop(&mut self, time: Timestamp, sink: &mut dyn FnMut(&Event<'_>)) {
        self.apart.stop();
        self.connections.stop(time, sink);
    }

    /// Sets marks of a process for the filters of a generation, entering it if need be. `incarnation`:
    /// of one that is new.
    pub fn mark(
        &mut self,
        pid: u32,
        marks: u32,
        generation: Generation,
        incarnation: u64,
    ) -> Result<ProcessId, MapError> {
        let marks = generation.marks(marks);
        let known = self.maps.processes.get(&pid, 0).ok();
        let process = Process {
            incarnation: known.map_or(incarnation, |known| known.incarnation),
            parent: known.map_or(0, |known| known.parent),
            marks: known.map_or(0, |known| known.marks) | marks,
            reserved: 0,
        };
        self.maps.processes.insert(pid, process, 0)?;
        Ok(ProcessId { pid, incarnation: process.incarnation })
    }

    /// Takes a process out of the kernel's table, if it still is that program, and tells its end: it is not
    /// traced any more.
    pub fn release(
        &mut self,
        process: ProcessId,
        time: Timestamp,
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        let same = |known: Process| known.incarnation == process.incarnation;
        let is_there = self.maps.processes.get(&process.pid, 0).is_ok_and(same);
        // Of one that is gone the kernel side tells the end.
        if is_there && self.maps.processes.remove(&process.pid).is_ok() {
            self.end_connections(process, time, sink);
            sink(&Event::Process(ProcessEvent::Exited { process, time }));
        }
    }

    /// Ends the connections of a process as the tracer's end does; the process stays in the table.
    pub fn end_connections(
        &mut self,
        process: ProcessId,
        time: Timestamp,
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        let Self { maps, apart, connections, proof, .. } = self;
        apart.end_process(process.incarnation);
        proof.end_process(process.incarnation);
        let mut forget = |key| forget(&mut maps.connections, key);
        let cause = CloseCause::TracerStopped;
        connections.end_process(process, time, cause, &mut forget, sink);
        self.forget_verdicts();
    }

    /// Forgets the calls under way of processes that are not traced: how they end is not told.
    pub fn forget_calls(&mut self, of: &dyn Fn(u32) -> bool) {
        forget_calls(&mut self.maps.calls, of);
    }

    /// The kernel side's counters, now.
    pub fn lost(&self) -> Result<Lost, MapError> {
        let count = |cause: Loss| {
            let count = self.maps.lost.get(&(cause as u32), 0)?;
            Ok::<_, MapError>(LostCount { bytes: count.bytes, records: count.records })
        };
        let (unjoined, held) = (count(Loss::Unjoined)?, self.apart.lost());
        Ok(Lost {
            ring_full: count(Loss::RingFull)?,
            fault: count(Loss::Fault)?,
            oversize: count(Loss::Oversize)?,
            map_full: count(Loss::MapFull)?,
            shed_body: count(Loss::ShedBody)?,
            shed_connection: count(Loss::ShedConnection)?,
            after_close: count(Loss::AfterClose)?,
            unjoined: LostCount {
                bytes: unjoined.bytes + held.bytes,
                records: unjoined.records + held.records,
            },
        })
    }
}

/// Removes a connection; gives how far it came.
fn forget(
    table: &mut HashMap<MapData, ObjectKey, ConnectionState>,
    key: ObjectKey,
) -> Option<Positions> {
    let state = table.get(&key, 0).ok()?;
    // Gone already is as good.
    let _ = table.remove(&key);
    Some(Positions { received: state.received, sent: state.sent })
}

/// Removes the calls that a process never returned from: it was killed inside them.
fn forget_calls(
    calls: &mut HashMap<MapData, tracer_ebpf::CallKey, tracer_ebpf::Call>,
    of: &dyn Fn(u32) -> bool,
) {
    let dead: Vec<_> = calls.keys().filter_map(Result::ok).filter(|key| of(key.tgid)).collect();
    for key in dead {
        // Gone already is as good.
        let _ = calls.remove(&key);
    }
}
