//! A recording through everything behind capture, with no privileges.
//! Takes a source of recorded events and a pipeline; gives what the source said at its end.
//! Nothing of this machine or of now enters: the same source gives the same spans.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::Pipeline;
use crate::{
    capture::{Event, ProcessEvent, Timestamp},
    recording::{Finish, Item, PlayError, Source},
};

/// Between two looks at whether to stop, while nothing is due.
const LOOK: Duration = Duration::from_millis(20);

/// How fast to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it goes.
    Full,
    /// With the pauses that were recorded.
    RealTime,
}

/// Feeds a source to the pipeline, until it ends or `stop` is set. What was under way when a
/// recording breaks off ends there, as for a tracer that stopped.
///
/// # Errors
/// If the source's rest is missing or not understood. What came before has gone through.
pub fn replay(
    source: &mut Source,
    pipeline: &mut Pipeline,
    pace: Pace,
    stop: &AtomicBool,
) -> Result<Option<Finish>, PlayError> {
    let mut latest = Timestamp::default();
    let mut finish = None;
    let mut metronome = Metronome { pace, begun: None };
    let result = source.play(&mut |item| {
        match item {
            Item::Process(process) => pipeline.processes().told(Arc::new(process)),
            Item::Event(event) => {
                let time = time(&event);
                metronome.wait_for(time, stop);
                latest = latest.max(time.unwrap_or_default());
                pipeline.on(&event);
                // Metrics are collected as in a run that took the time that was recorded.
                if let Some(time) = time {
                    pipeline.tick(time);
                }
            }
            Item::Finish(told) => {
                latest = latest.max(told.time);
                finish = Some(told);
            }
        }
        !stop.load(Ordering::Relaxed)
    });
    pipeline.stop(latest);
    result.map(|()| finish)
}

/// When it happened; addresses have no time of their own.
fn time(event: &Event<'_>) -> Option<Timestamp> {
    Some(match event {
        Event::Process(
            ProcessEvent::Appeared { time, .. }
            | ProcessEvent::Forked { time, .. }
            | ProcessEvent::Executed { time, .. }
            | ProcessEvent::Exited { time, .. }
            | ProcessEvent::LibrariesChanged { time, .. },
        )
        | Event::PeerEnded { time, .. } => *time,
        Event::Opened(opened) => opened.time,
        Event::Segment(segment) => segment.time,
        Event::Closed(closed) => closed.time,
        Event::Addresses { .. } => return None,
    })
}

struct Metronome {
    pace: Pace,
    /// The first event: when it happened, and when it was played.
    begun: Option<(Timestamp, Instant)>,
}

impl Metronome {
    fn wait_for(&mut self, time: Option<Timestamp>, stop: &AtomicBool) {
        let (Pace::RealTime, Some(time)) = (self.pace, time) else { return };
        let (first, begun) = *self.begun.get_or_insert_with(|| (time, Instant::now()));
        let due = Duration::from_nanos(time.since(first));
        while !stop.load(Ordering::Relaxed) {
            let left = due.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

#[cfg(test)]
mod tests;
