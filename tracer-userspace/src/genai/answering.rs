//! One answer on its way to its format, whole or event by event.
//! Takes documents with their times; gives what the answer said and when its chunks came.
//! Knows nothing of how a body or a message is framed.

use super::{
    formats::{Answer, Answered, Step},
    json::{Document, Fault},
    operation::{ChunkTimes, ProviderError, ServerTimes},
};
use crate::capture::Timestamp;

/// The answer so far.
#[derive(Debug)]
pub(super) struct Answering {
    answer: Box<dyn Answer>,
    times: Times,
    chunks: u64,
    error: Option<ProviderError>,
    /// A bound left a part of a text out.
    clipped: bool,
}

/// When a streamed answer came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// The first event of the answer.
    pub first_chunk: Option<Timestamp>,
    /// The first event with a piece of it.
    pub first_content: Option<Timestamp>,
    /// The last event with a piece of it so far.
    pub last_content: Option<Timestamp>,
    /// The last event so far.
    last_chunk: Option<Timestamp>,
    pub between: ChunkTimes,
    /// The stream's end mark.
    pub done: Option<Timestamp>,
}

/// What an answer said.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub answered: Answered,
    /// Events that carried a piece of the answer.
    pub chunks: u64,
    pub times: Times,
    /// By the server's account, in the body.
    pub server_times: ServerTimes,
    pub fault: Option<Fault>,
}

impl Answering {
    pub(super) fn new(answer: Box<dyn Answer>) -> Self {
        Self { answer, times: Times::default(), chunks: 0, error: None, clipped: false }
    }

    /// The answer is one value.
    pub(super) fn whole(&mut self, document: &mut Document) -> Option<Fault> {
        let fault = self.answer.whole(document);
        self.clipped |= document.is_clipped();
        fault
    }

    /// One event of a stream; its data is read and forgotten.
    pub(super) fn event(&mut self, name: &[u8], data: &mut Document, time: Timestamp) {
        let step = self.answer.event(name, data);
        self.clipped |= data.is_clipped();
        data.clear();
        self.chunks += u64::from(step == Step::Piece);
        self.times.step(step, time);
        if self.times.done.is_none() && self.answer.done() {
            self.times.done = Some(time);
        }
    }

    /// The provider said that it failed. The first failure stands.
    pub(super) fn failed(&mut self, error: ProviderError) {
        self.error.get_or_insert(error);
    }

    pub(super) fn is_done(&self) -> bool {
        self.times.done.is_some()
    }

    pub(super) fn finish(self, fault: Option<Fault>) -> Read {
        let server_times = self.answer.server_times();
        let mut answered = self.answer.finish();
        answered.error = self.error.or(answered.error);
        answered.truncated |= self.clipped;
        let fault = fault.or(answered.overflow.then_some(Fault::TooLarge));
        Read { answered, chunks: self.chunks, times: self.times, server_times, fault }
    }
}

impl Times {
    fn step(&mut self, step: Step, time: Timestamp) {
        if step == Step::Aside {
            return;
        }
        if let Some(last) = self.last_chunk.replace(time) {
            self.between.record(time.since(last));
        }
        self.first_chunk.get_or_insert(time);
        if step == Step::Piece {
            self.first_content.get_or_insert(time);
            self.last_content = Some(time);
        }
    }
}
