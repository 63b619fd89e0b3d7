//! The descriptions of the processes of one run, for as long as they live.
//! Takes capture's process events; gives each process's [`Process`], and tells when one is new.
//! Reads `/proc` where a run is live; behind that, and in a replay, it knows what it was told.

use std::{collections::HashMap, sync::Arc};

use crate::{
    capture::{ProcessEvent, ProcessId},
    discover::Process,
};

/// The processes that live, described.
#[derive(Debug)]
pub struct Processes {
    known: HashMap<ProcessId, Arc<Process>>,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// `/proc` of this machine, now.
    Proc,
    /// [`Processes::told`] alone: the pids may be another time's or another machine's.
    Told,
}

impl Processes {
    /// Of this machine, read from `/proc` as they appear.
    pub fn live() -> Self {
        Self { known: HashMap::new(), source: Source::Proc }
    }

    /// Known as far as they are told of.
    pub fn told_of() -> Self {
        Self { known: HashMap::new(), source: Source::Told }
    }

    /// Follows the life of processes; gives the description that was read because of the event.
    pub fn on(&mut self, event: &ProcessEvent) -> Option<Arc<Process>> {
        match *event {
            ProcessEvent::Appeared { process, .. } => return self.learn(process),
            ProcessEvent::Executed { previous, process, .. } => {
                self.known.remove(&previous);
                return self.learn(process);
            }
            ProcessEvent::Forked { parent, child, .. } => {
                // Until it executes another program it is what its parent is.
                if let Some(parent) = self.known.get(&parent) {
                    let process = Process {
                        id: child,
                        parent_pid: Some(parent.id.pid),
                        ..Process::clone(parent)
                    };
                    self.known.insert(child, Arc::new(process));
                }
            }
            ProcessEvent::Exited { process, .. } => {
                self.known.remove(&process);
            }
            ProcessEvent::LibrariesChanged { .. } => {}
        }
        None
    }

    /// Something of this process is about to be told; gives its description if it was read now.
    pub fn needed(&mut self, id: ProcessId) -> Option<Arc<Process>> {
        if self.known.contains_key(&id) { None } else { self.learn(id) }
    }

    /// Reads what `/proc` says of a process while it is there.
    pub fn learn(&mut self, id: ProcessId) -> Option<Arc<Process>> {
        if self.source == Source::Told {
            return None;
        }
        match Process::read(id) {
            Ok(process) => {
                let process = Arc::new(process);
                self.known.insert(id, Arc::clone(&process));
                Some(process)
            }
            Err(error) => {
                tracing::debug!(pid = id.pid, %error, "a process ended before it could be described");
                None
            }
        }
    }

    /// A description that was made elsewhere.
    pub fn told(&mut self, process: Arc<Process>) {
        self.known.insert(process.id, process);
    }

    pub fn get(&self, id: ProcessId) -> Option<Arc<Process>> {
        self.known.get(&id).cloned()
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Timestamp;

    fn id(pid: u32) -> ProcessId {
        ProcessId { pid, incarnation: u64::from(pid) }
    }

    #[test]
    fn told_processes_never_touch_proc() {
        let own = ProcessId { pid: std::process::id(), incarnation: 1 };
        let time = Timestamp(1);
        let mut told = Processes::told_of();
        assert_eq!(told.on(&ProcessEvent::Appeared { process: own, time }), None);
        assert_eq!(told.needed(own), None);
        assert!(told.is_empty());
        assert!(Processes::live().needed(own).is_some());
    }

    #[test]
    fn forked_child_is_what_its_parent_is() {
        let time = Timestamp(1);
        let mut processes = Processes::told_of();
        processes.told(crate::trace::sample::process(1, "shop"));
        let parent = crate::trace::sample::process(1, "shop").id;
        processes.on(&ProcessEvent::Forked { parent, child: id(2), time });
        processes.on(&ProcessEvent::Exited { process: parent, time });
        let child = processes.get(id(2)).unwrap();
        assert_eq!(child.parent_pid, Some(1));
        assert_eq!(child.otel_service_name.as_deref(), Some("shop"));
        assert_eq!(processes.get(parent), None);
    }
}
