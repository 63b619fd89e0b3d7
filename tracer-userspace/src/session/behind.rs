//! What capture's events go into: the stages behind it, or a file.
//! Takes events on the reading thread; gives what the summary tells.

use std::time::Duration;

use super::{Counts, Pipeline, Recorder, Status, recorder};
use crate::{
    capture::{ConnectionId, Event, ProcessId, Use},
    export::Tallies,
    recording::Finish,
};

/// How long the outputs may take to send what they hold when the run ends.
const FLUSH: Duration = Duration::from_secs(10);

/// Behind capture.
pub enum Behind {
    Pipeline(Box<Pipeline>),
    Recorder(Box<Recorder>),
}

/// What became of the events.
#[derive(Debug)]
pub enum Outcome {
    Traced { counts: Counts, outputs: Tallies },
    Recorded(recorder::Ended),
}

impl Behind {
    pub(super) fn on(&mut self, event: &Event<'_>) {
        match self {
            Self::Pipeline(pipeline) => pipeline.on(event),
            Self::Recorder(recorder) => recorder.on(event),
        }
    }

    /// A process was there before the run.
    pub(super) fn learn(&mut self, id: ProcessId) {
        match self {
            Self::Pipeline(pipeline) => {
                pipeline.processes().learn(id);
            }
            Self::Recorder(recorder) => recorder.learn(id),
        }
    }

    /// What a connection is used for; a recording does not ask.
    pub(super) fn usage(&self, connection: ConnectionId) -> Use {
        match self {
            Self::Pipeline(pipeline) => pipeline.usage(connection),
            Self::Recorder(_) => Use::Unknown,
        }
    }

    pub(super) fn hurry(&mut self, hurried: bool) {
        if let Self::Pipeline(pipeline) = self {
            pipeline.hurry(hurried);
        }
    }

    pub(super) fn fill(&self, status: &mut Status) {
        if let Self::Pipeline(pipeline) = self {
            pipeline.fill(status);
        }
    }

    /// How long [`Behind::settle`] may wait, if it has something to do.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self {
            Self::Pipeline(_) => None,
            Self::Recorder(recorder) => recorder.patience(),
        }
    }

    pub(super) fn settle(&mut self) {
        if let Self::Recorder(recorder) = self {
            recorder.settle();
        }
    }

    pub(super) fn finish(self, finish: &Finish) -> Outcome {
        match self {
            Self::Pipeline(mut pipeline) => {
                pipeline.stop(finish.time);
                let counts = pipeline.counts();
                Outcome::Traced { counts, outputs: pipeline.into_outputs().finish(FLUSH) }
            }
            Self::Recorder(recorder) => Outcome::Recorded(recorder.finish(finish)),
        }
    }
}
