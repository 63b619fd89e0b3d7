//! What capture's events go into: the stages behind it, a recording, or both.
//! Takes events on the reading thread; gives what the summary tells.
//! Processes are described here, once, so that the pipeline and the recording are told the same.

use std::{sync::Arc, time::Duration};

use super::{Counts, Filters, Pipeline, Processes, Recorder, Status, recorder};
use crate::{
    capture::{ConnectionId, Event, ProcessId, Timestamp, Use},
    discover::Process,
    export::Tallies,
    http,
    meter::Overflow,
    recording::Finish,
};

/// How long the outputs may take to send what they hold when the run ends.
const FLUSH: Duration = Duration::from_secs(10);

/// Behind capture.
pub struct Behind {
    processes: Processes,
    pipeline: Option<Pipeline>,
    recorder: Option<Recorder>,
}

/// What became of the events.
#[derive(Debug, Default)]
pub struct Outcome {
    pub traced: Option<Traced>,
    pub recorded: Option<recorder::Ended>,
}

/// What became of them in the pipeline.
#[derive(Debug)]
pub struct Traced {
    pub counts: Counts,
    pub http: http::Counts,
    pub outputs: Tallies,
    pub overflow: Overflow,
}

impl Behind {
    /// The processes are this machine's, and run now.
    pub fn new(pipeline: Option<Pipeline>, recorder: Option<Recorder>) -> Self {
        Self { processes: Processes::live(), pipeline, recorder }
    }

    pub(super) fn on(&mut self, event: &Event<'_>) {
        let described = match event {
            Event::Process(event) => self.processes.on(event),
            Event::Opened(opened) => self.processes.needed(opened.process),
            _ => None,
        };
        self.describe(described);
        if let Some(recorder) = &mut self.recorder {
            recorder.on(event);
        }
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.on(event);
        }
    }

    /// A process was there before the run.
    pub(super) fn learn(&mut self, id: ProcessId) {
        let described = self.processes.learn(id);
        self.describe(described);
    }

    fn describe(&mut self, described: Option<Arc<Process>>) {
        let Some(process) = described else { return };
        if let Some(recorder) = &mut self.recorder {
            recorder.describe(&process);
        }
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.processes().told(process);
        }
    }

    /// What a connection is used for; a recording does not ask.
    pub(super) fn usage(&self, connection: ConnectionId) -> Use {
        self.pipeline.as_ref().map_or(Use::Unknown, |pipeline| pipeline.usage(connection))
    }

    /// Other filters, for calls that end from now on.
    pub(super) fn filter(&mut self, filters: &Arc<Filters>) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.filter(Arc::clone(filters));
        }
    }

    /// Under overload no text is kept of calls that begin.
    pub(super) fn hurry(&mut self, hurried: bool) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.hurry(hurried);
        }
    }

    pub(super) fn fill(&self, status: &mut Status) {
        if let Some(pipeline) = &self.pipeline {
            pipeline.fill(status);
        }
    }

    /// How long [`Behind::settle`] may wait, if it has something to do.
    pub(super) fn patience(&self, now: Timestamp) -> Option<Duration> {
        let recorder = self.recorder.as_ref().and_then(Recorder::patience);
        let pipeline = self.pipeline.as_ref().and_then(|pipeline| pipeline.patience(now));
        recorder.into_iter().chain(pipeline).min()
    }

    /// What is to be done now and then.
    pub(super) fn settle(&mut self, now: Timestamp) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.tick(now);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.settle();
        }
    }

    pub(super) fn finish(self, finish: &Finish) -> Outcome {
        // The recording first: outputs may wait for a receiver.
        let recorded = self.recorder.map(|recorder| recorder.finish(finish));
        let traced = self.pipeline.map(|mut pipeline| {
            pipeline.stop(finish.time);
            let (counts, http) = (pipeline.counts(), pipeline.http_counts());
            let overflow = pipeline.overflow();
            Traced { counts, http, outputs: pipeline.into_outputs().finish(FLUSH), overflow }
        });
        Outcome { traced, recorded }
    }
}
