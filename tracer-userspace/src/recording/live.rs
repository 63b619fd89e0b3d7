//! What lives at a moment of a recording, so that no file can make a reader hold more than stated.
//! Takes each item in order; gives the bound that it breaks, if it breaks one.
//! Nothing else is held against an item: a recording of a fault of ours is one to replay.

use std::collections::{HashMap, HashSet};

use super::{
    format::{CONNECTION_LIMIT, DESCRIPTIONS_LIMIT, PROCESS_LIMIT},
    item::Item,
};
use crate::{
    capture::{ConnectionId, Event, ProcessEvent, ProcessId},
    discover::Process,
};

/// Bytes that a recording tells of in all, captured or missing: 4 EiB. Sums stay in 64 bits.
const WIRE_LIMIT: u64 = 1 << 62;

/// Connections and processes that were told of and not ended.
#[derive(Debug, Default)]
pub(super) struct Live {
    connections: HashSet<ConnectionId>,
    /// With the size of what describes each.
    processes: HashMap<ProcessId, usize>,
    descriptions: usize,
    wire: u64,
}

/// A bound of the format that a file breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("more connections are open at a time than {CONNECTION_LIMIT}")]
    TooManyConnections,
    #[error("more processes live at a time than {PROCESS_LIMIT}")]
    TooManyProcesses,
    #[error("processes are described at more length than {DESCRIPTIONS_LIMIT} bytes in all")]
    TooMuchDescribed,
    #[error("more bytes are told of than can have passed")]
    TooManyBytes,
}

impl Live {
    pub(super) fn follow(&mut self, item: &Item<'_>) -> Result<(), Broken> {
        match item {
            Item::Process(process) => self.described(process.id, size(process)),
            Item::Event(event) => self.event(event),
            Item::Finish(_) => Ok(()),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), Broken> {
        match event {
            Event::Process(event) => self.process(event),
            Event::Opened(opened) => {
                self.connections.insert(opened.connection);
                let fits = self.connections.len() <= CONNECTION_LIMIT;
                if fits { Ok(()) } else { Err(Broken::TooManyConnections) }
            }
            Event::Segment(segment) => {
                let wire = self.wire.checked_add(segment.data.wire_len());
                self.wire = wire.filter(|wire| *wire <= WIRE_LIMIT).ok_or(Broken::TooManyBytes)?;
                Ok(())
            }
            Event::Closed(closed) => {
                self.connections.remove(&closed.connection);
                Ok(())
            }
            Event::Addresses { .. } | Event::PeerEnded { .. } => Ok(()),
        }
    }

    fn process(&mut self, event: &ProcessEvent) -> Result<(), Broken> {
        match event {
            ProcessEvent::Forked { parent, child, .. } => match self.processes.get(parent) {
                Some(size) => self.described(*child, *size),
                None => Ok(()),
            },
            // The new program's description is told before.
            ProcessEvent::Executed { previous: gone, process, .. } if gone != process => {
                self.forget(*gone);
                Ok(())
            }
            ProcessEvent::Exited { process, .. } => {
                self.forget(*process);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn described(&mut self, id: ProcessId, size: usize) -> Result<(), Broken> {
        self.forget(id);
        if self.processes.len() == PROCESS_LIMIT {
            return Err(Broken::TooManyProcesses);
        }
        if self.descriptions + size > DESCRIPTIONS_LIMIT {
            return Err(Broken::TooMuchDescribed);
        }
        self.descriptions += size;
        self.processes.insert(id, size);
        Ok(())
    }

    fn forget(&mut self, id: ProcessId) {
        self.descriptions -= self.processes.remove(&id).unwrap_or(0);
    }
}

/// Bytes that a description holds in memory, about.
fn size(process: &Process) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let executable = process.executable.as_ref().map_or(0, |path| path.as_os_str().len());
    let command: usize = process.command.iter().map(|one| size_of::<String>() + one.len()).sum();
    let variables = text(&process.otel_service_name) + text(&process.otel_resource_attributes);
    size_of::<Process>() + executable + command + variables
}
