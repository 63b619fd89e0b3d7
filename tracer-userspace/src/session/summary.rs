//! What a run saw and what it lost, for people: the last lines on stderr.
//! Takes counts of all stages; gives text. Loss is told by cause, also where it is zero.

use std::fmt;

use super::{Counts, Outcome, Refuted, Traced, recorder};
use crate::{
    capture::{Captured, Lost, Strain},
    export::{Tallies, Tally},
    recording::Withheld,
};

#[derive(Debug, Default)]
pub struct Summary {
    /// `None` where the reading thread failed.
    pub outcome: Option<Outcome>,
    /// `None` for what was captured by another run.
    pub captured: Option<Captured>,
    pub lost: Lost,
    pub strain: Strain,
    /// Records of the ring that were not understood.
    pub unreadable: u64,
    /// What was inferred, wrongly.
    pub refuted: Vec<Refuted>,
}

impl fmt::Display for Summary {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = Outcome::default();
        let Outcome { traced, recorded } = match &self.outcome {
            Some(outcome) => outcome,
            None => {
                writeln!(text, "llmtap: the run failed")?;
                &none
            }
        };
        if let Some(Traced { counts, .. }) = traced {
            write_calls(text, counts)?;
        }
        if let Some(ended) = recorded {
            write_recording(text, ended)?;
        }
        for refuted in &self.refuted {
            writeln!(text, "llmtap: {refuted}")?;
        }
        self.overload(text)?;
        if let Some(Captured { bytes, records }) = self.captured {
            writeln!(text, "llmtap: bytes captured: {bytes}, in {records} records")?;
        }
        write!(text, "llmtap: bytes lost:")?;
        for (index, (cause, count)) in self.lost.by_cause().into_iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(text, "{separator} {} {}", cause.replace('_', " "), count.bytes)?;
            if count.bytes == 0 && count.records > 0 {
                write!(text, " ({} notices)", count.records)?;
            }
        }
        if let Some(Traced { outputs: Tallies { lines, otlp }, .. }) = traced {
            for (what, tally) in [("not written", lines), ("not exported", otlp)] {
                let lost = tally.as_ref().map_or(0, Tally::lost);
                if lost > 0 {
                    write!(text, "; {what} {lost} spans")?;
                }
            }
        }
        if self.unreadable > 0 {
            write!(text, ", not understood {} records", self.unreadable)?;
        }
        Ok(())
    }
}

impl Summary {
    /// Whether it was hard to keep up, and what was done about it.
    fn overload(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [content, bodies, connections] = self.strain.entered;
        if content + bodies + connections == 0 {
            return Ok(());
        }
        write!(text, "llmtap: did not keep up: left out the text of messages {content} times, ")?;
        write!(text, "bodies of no LLM call {bodies} times, connections {connections} times")?;
        let traced = self.outcome.as_ref().and_then(|outcome| outcome.traced.as_ref());
        let shed = traced.map_or(0, |traced| traced.counts.shed_contents);
        if shed > 0 {
            write!(text, "; {shed} calls without their text")?;
        }
        writeln!(text)
    }
}

fn write_calls(text: &mut fmt::Formatter<'_>, counts: &Counts) -> fmt::Result {
    let Counts {
        calls, mcp_calls, errors, input_tokens, output_tokens, incomplete, unsampled, ..
    } = counts;
    write!(text, "llmtap: {calls} calls, {errors} errors, ")?;
    write!(text, "{input_tokens} input tokens, {output_tokens} output tokens")?;
    if *mcp_calls > 0 {
        write!(text, ", {mcp_calls} MCP calls")?;
    }
    if *incomplete > 0 {
        write!(text, ", {incomplete} calls incomplete")?;
    }
    if *unsampled > 0 {
        write!(text, ", {unsampled} calls not sampled")?;
    }
    writeln!(text)
}

fn write_recording(text: &mut fmt::Formatter<'_>, ended: &recorder::Ended) -> fmt::Result {
    let recorded = &ended.recorded;
    write!(text, "llmtap: {} bytes of plaintext recorded in ", recorded.bytes)?;
    write!(text, "{} ({} bytes)", ended.path.display(), recorded.file)?;
    if recorded.replaced > 0 {
        write!(text, ", {} bytes of credentials replaced", recorded.replaced)?;
    }
    if let Some(error) = &ended.error {
        write!(text, "; it breaks off ({error}), {} events are missing", ended.unwritten)?;
    }
    let Withheld { http2, foreign, after_gap } = recorded.withheld;
    write!(text, "\nllmtap: bytes left out, as they may hold credentials: ")?;
    write!(text, "broken HTTP/2 {http2}, no HTTP {foreign}, behind gaps {after_gap}")?;
    if recorded.withheld.all() > 0 {
        write!(text, " (--keep-credentials records them)")?;
    }
    writeln!(text)
}
