//! What a run saw and what it lost, for people: the last lines on stderr.
//! Takes counts of all stages; gives text. Loss is told by cause, also where it is zero.

use std::fmt;

use super::Counts;
use crate::{
    capture::Lost,
    export::{Tallies, Tally},
};

#[derive(Debug, Default)]
pub struct Summary {
    pub counts: Counts,
    pub lost: Lost,
    /// Records of the ring that were not understood.
    pub unreadable: u64,
    pub outputs: Tallies,
}

impl fmt::Display for Summary {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { calls, errors, input_tokens, output_tokens, incomplete, unsampled } =
            self.counts;
        write!(text, "llmtap: {calls} calls, {errors} errors, ")?;
        write!(text, "{input_tokens} input tokens, {output_tokens} output tokens")?;
        if incomplete > 0 {
            write!(text, ", {incomplete} calls incomplete")?;
        }
        if unsampled > 0 {
            write!(text, ", {unsampled} calls not sampled")?;
        }
        write!(text, "\nllmtap: bytes lost:")?;
        for (index, (cause, count)) in self.lost.by_cause().into_iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(text, "{separator} {cause} {}", count.bytes)?;
            if count.bytes == 0 && count.records > 0 {
                write!(text, " ({} notices)", count.records)?;
            }
        }
        let outputs = [("not written", &self.outputs.lines), ("not exported", &self.outputs.otlp)];
        for (what, tally) in outputs {
            let lost = tally.as_ref().map_or(0, Tally::lost);
            if lost > 0 {
                write!(text, "; {what} {lost} spans")?;
            }
        }
        if self.unreadable > 0 {
            write!(text, ", not understood {} records", self.unreadable)?;
        }
        Ok(())
    }
}
