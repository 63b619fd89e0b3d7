//! Which calls are sent again: how often before.
//! Takes operations in the order of their ends, each with its process; gives a number and how it is known.
//! Knows an attempt by its fingerprint, within one process and a short time, and only behind one that failed.

use std::collections::VecDeque;

use crate::{
    capture::{ProcessId, Timestamp},
    genai::Operation,
};

/// Failed attempts that are remembered, of all processes.
const MAX_FAILED: usize = 256;

/// A request that comes later behind the failed attempt is one of its own, in nanoseconds: two
/// minutes, twice what servers usually ask for in `retry-after`.
const WINDOW: u64 = 120_000_000_000;

/// `http.request.resend_count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resent {
    pub count: u32,
    pub basis: Basis,
}

/// How it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// The client says it.
    Header,
    /// The process had sent the same request, and that attempt had failed.
    SameRequest,
}

/// A failed attempt behind which none came yet.
#[derive(Clone, Copy, Debug)]
struct Failed {
    process: ProcessId,
    fingerprint: u64,
    /// Attempts before this one.
    count: u32,
    end: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Resends {
    /// The oldest first.
    failed: VecDeque<Failed>,
}

impl Resends {
    /// `None`: it is the first attempt, or nothing shows that it is another.
    pub(super) fn of(&mut self, operation: &Operation, process: ProcessId) -> Option<Resent> {
        if let Some(count) = operation.http.resent {
            return (count > 0).then_some(Resent { count, basis: Basis::Header });
        }
        let fingerprint = operation.fingerprint?;
        let before = self.take(process, fingerprint, operation.timing.start);
        // Several attempts of equal calls that failed at different stages: which of them this one
        // follows is not known, nor then what follows this one.
        let count = before?;
        if operation.may_be_sent_again() {
            if self.failed.len() == MAX_FAILED {
                self.failed.pop_front();
            }
            self.failed.push_back(Failed {
                process,
                fingerprint,
                count,
                end: operation.timing.end,
            });
        }
        (count > 0).then_some(Resent { count, basis: Basis::SameRequest })
    }

    /// How many attempts went before one that began at `start`, the last of which is forgotten: one
    /// attempt follows each. `None` where that is not one number.
    fn take(&mut self, process: ProcessId, fingerprint: u64, start: Timestamp) -> Option<u32> {
        let precedes = |failed: &Failed| {
            failed.process == process
                && failed.fingerprint == fingerprint
                && failed.end <= start
                && start.since(failed.end) <= WINDOW
        };
        let Some(place) = self.failed.iter().position(precedes) else { return Some(0) };
        let counts = self.failed.iter().filter(|failed| precedes(failed));
        let mut counts = counts.map(|failed| failed.count);
        let first = counts.next()?;
        let same = counts.all(|count| count == first);
        self.failed.remove(place);
        same.then(|| first.saturating_add(1))
    }
}

#[cfg(test)]
mod tests;
