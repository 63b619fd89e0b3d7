//! Times of an answer beside the conventions' own: as they passed, and as the server tells them.
//! Takes an operation's timing and usage; gives attributes in seconds, under `llmtap.`.
//! A rate is told only where the provider told the tokens.

use std::time::Duration;

use super::{list::Attributes, own};
use crate::genai::{Operation, ServerTimes, Timing, Usage};

impl Attributes {
    pub(super) fn times(&mut self, operation: &Operation) {
        let Timing { start, first_content, output_chunk_times, .. } = operation.timing;
        self.time(
            own::TIME_TO_FIRST_CONTENT,
            first_content.map(|content| Duration::from_nanos(content.since(start))),
        );
        if let Some(mean) = output_chunk_times.sum.checked_div(output_chunk_times.count()) {
            self.time(own::TIME_PER_CHUNK, Some(Duration::from_nanos(mean)));
            let longest = Duration::from_nanos(output_chunk_times.longest);
            self.time(own::TIME_PER_CHUNK_MAX, Some(longest));
        }
        self.double(own::TOKENS_PER_SECOND, tokens_per_second(operation));
        self.double(own::TIME_PER_TOKEN, time_per_token(operation.timing, operation.usage));
        self.server_times(operation.server_times);
    }

    fn server_times(&mut self, times: ServerTimes) {
        for (key, time) in [
            (own::SERVER_TOTAL, times.total),
            (own::SERVER_QUEUE, times.queue),
            (own::SERVER_LOAD, times.load),
            (own::SERVER_PROMPT, times.prompt),
            (own::SERVER_COMPLETION, times.completion),
            (own::SERVER_INFERENCE, times.inference),
            (own::SERVER_FIRST_TOKEN, times.first_token),
        ] {
            self.time(key, time);
        }
    }

    fn time(&mut self, key: &'static str, time: Option<Duration>) {
        self.double(key, time.map(|time| time.as_secs_f64()));
    }
}

/// Of the whole call: no part of it is taken for the time in which tokens were made.
fn tokens_per_second(operation: &Operation) -> Option<f64> {
    let Timing { start, end, .. } = operation.timing;
    let tokens = operation.usage.output_tokens.filter(|tokens| *tokens > 0)?;
    let seconds = Duration::from_nanos(end.since(start)).as_secs_f64();
    (seconds > 0.0).then(|| tokens as f64 / seconds)
}

/// Between the first chunk with content and the last all tokens but the first chunk's came, which
/// are taken for one, as the conventions' `gen_ai.server.time_per_output_token` does.
fn time_per_token(timing: Timing, usage: Usage) -> Option<f64> {
    if usage.reasoning_output_tokens.is_some_and(|tokens| tokens > 0) {
        return None;
    }
    let behind = usage.output_tokens?.checked_sub(1).filter(|tokens| *tokens > 0)?;
    let nanos = timing.last_content?.since(timing.first_content?);
    (nanos > 0).then(|| Duration::from_nanos(nanos).as_secs_f64() / behind as f64)
}
