//! Which connections' plaintext is seen, by process, while a run goes on.
//! Takes capture's events on the reading thread; gives what is there now to whoever asks.
//! Holds what lives and is open, and no more.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::capture::{Addresses, ConnectionId, Event, ProcessEvent, ProcessId};

/// Shared by the reading thread and those who ask.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    processes: HashSet<ProcessId>,
    connections: HashMap<ConnectionId, (ProcessId, Option<Addresses>)>,
}

impl Seen {
    /// Traced processes that live.
    pub fn processes(&self) -> Vec<ProcessId> {
        self.lock().processes.iter().copied().collect()
    }

    /// The connections of each process, with their addresses where they are known.
    pub fn connections(&self) -> HashMap<ProcessId, Vec<Option<Addresses>>> {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (process, addresses) in self.lock().connections.values() {
            all.entry(*process).or_default().push(*addresses);
        }
        all
    }

    pub(super) fn on(&self, event: &Event<'_>) {
        match event {
            Event::Process(event) => self.process(event),
            Event::Opened(opened) => {
                self.lock().connections.insert(opened.connection, (opened.process, None));
            }
            Event::Addresses { connection, addresses } => {
                if let Some((_, known)) = self.lock().connections.get_mut(connection) {
                    *known = Some(*addresses);
                }
            }
            Event::Closed(closed) => {
                self.lock().connections.remove(&closed.connection);
            }
            _ => {}
        }
    }

    /// A process was there before the run.
    pub(super) fn began(&self, process: ProcessId) {
        self.lock().processes.insert(process);
    }

    /// A process is no longer traced.
    pub(super) fn ended(&self, process: ProcessId) {
        self.lock().processes.remove(&process);
    }

    fn process(&self, event: &ProcessEvent) {
        match *event {
            ProcessEvent::Appeared { process, .. } => self.began(process),
            ProcessEvent::Forked { child, .. } => self.began(child),
            ProcessEvent::Executed { previous, process, .. } => {
                self.ended(previous);
                self.began(process);
            }
            ProcessEvent::Exited { process, .. } => self.ended(process),
            ProcessEvent::LibrariesChanged { .. } => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each step leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
