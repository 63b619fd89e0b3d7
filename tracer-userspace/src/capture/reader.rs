//! The reading end: takes records out of the ring as they come, and the counters of what was lost.
//! Takes the kernel's maps; gives [`Event`]s to a sink, in order.
//! Also writes what userspace decides about processes into the kernel's table.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya::maps::MapError;
use tracer_ebpf::{LEVELS, LOSSES, Loss, Process, READER_LOOKS, Verdict};

pub use super::connections::Captured;
use super::{
    apart::Apart,
    connections::{Connections, Positions},
    event::{ConnectionId, Event, ProcessId, Timestamp},
    kernel::Maps,
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
}

impl Reader {
    pub fn new(maps: Maps) -> Self {
        Self {
            maps,
            apart: Apart::default(),
            connections: Connections::default(),
            proof: Proof::default(),
            unreadable: 0,
            drained: true,
        }
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
        let mut forget = |key| {
            let state = table.get(&key, 0).ok()?;
            // Gone already is as good.
            let _ = table.remove(&key);
            Some(Positions { received: state.received, sent: state.sent })
        };
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
                        forget_calls(calls, record.header.tgid);
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
        for connection in self.connections.take_judged() {
            // Gone already is as good.
            let _ = self.maps.verdicts.remove(&connection.0);
        }
        taken
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

    /// Sets marks of a process, entering it if need be. `incarnation`: of one that is new.
    pub fn mark(&mut self, pid: u32, marks: u32, incarnation: u64) -> Result<ProcessId, MapError> {
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

    /// Takes a process out of the kernel's table, if it still is that program.
    pub fn unmark(&mut self, process: ProcessId) {
        let same = |known: Process| known.incarnation == process.incarnation;
        if self.maps.processes.get(&process.pid, 0).is_ok_and(same) {
            // Gone already is as good.
            let _ = self.maps.processes.remove(&process.pid);
        }
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

/// Removes the calls that a process never returned from: it was killed inside them.
fn forget_calls(
    calls: &mut aya::maps::HashMap<aya::maps::MapData, tracer_ebpf::CallKey, tracer_ebpf::Call>,
    tgid: u32,
) {
    let dead: Vec<_> = calls.keys().filter_map(Result::ok).filter(|key| key.tgid == tgid).collect();
    for key in dead {
        // Gone already is as good.
        let _ = calls.remove(&key);
    }
}
