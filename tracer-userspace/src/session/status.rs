//! How a run is doing: every count of every stage, what is seen of each program, and a board where the
//! latest is to be read.
//! Takes both from the threads that know, now and then; gives them to whoever asks, at any time.
//! Who reads never makes the reading thread do anything.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::Counts;
use crate::{
    capture::{Captured, Lost, Strain},
    doctor::Program,
    export::Tallies,
    http,
    meter::Overflow,
};

/// How old what the board tells may be, while the reading thread is not in the middle of a batch.
const FRESH: Duration = Duration::from_millis(500);

/// Every count of a run, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub captured: Captured,
    pub lost: Lost,
    /// Records of the ring that were not understood.
    pub unreadable: u64,
    pub strain: Strain,
    pub ring_bytes: u32,
    pub processes: usize,
    pub connections: usize,
    pub http: http::Counts,
    /// Exchanges under way that may be LLM calls.
    pub open_calls: usize,
    pub calls: Counts,
    /// `unsent` of each: what waits in its queue.
    pub outputs: Tallies,
    /// Measurements of metrics that had no place of their own.
    pub overflow: Overflow,
    pub reloads: Reloads,
}

/// What became of changes of the configuration while the run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    pub applied: u64,
    pub refused: u64,
    /// When one was last applied.
    pub last_applied: Option<SystemTime>,
}

/// The latest [`Status`] of a run.
#[derive(Clone, Debug)]
pub struct Board {
    status: Arc<Mutex<Status>>,
    programs: Arc<Mutex<Vec<Program>>>,
    /// Told by another thread than the rest.
    reloads: Arc<Mutex<Reloads>>,
    /// When it was last written.
    written: Instant,
}

impl Board {
    pub fn new() -> Self {
        Self {
            status: Arc::default(),
            programs: Arc::default(),
            reloads: Arc::default(),
            written: Instant::now(),
        }
    }

    /// What was last written.
    pub fn read(&self) -> Status {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Status { reloads: *self.reloads(), ..status }
    }

    /// A change of the configuration was applied, or refused.
    pub fn reloaded(&self, is_applied: bool) {
        let mut reloads = self.reloads();
        if is_applied {
            reloads.applied += 1;
            reloads.last_applied = Some(SystemTime::now());
        } else {
            reloads.refused += 1;
        }
    }

    fn reloads(&self) -> MutexGuard<'_, Reloads> {
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The traced processes that held TCP connections when they were last looked at.
    pub fn programs(&self) -> Vec<Program> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn put_programs(&self, programs: Vec<Program>) {
        *self.programs.lock().unwrap_or_else(PoisonError::into_inner) = programs;
    }

    /// How long what is there may stay.
    pub(super) fn patience(&self) -> Duration {
        FRESH.saturating_sub(self.written.elapsed())
    }

    pub(super) fn write(&mut self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        self.written = Instant::now();
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}
