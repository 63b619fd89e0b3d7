//! What a run saw and what it lost, for people: the last lines on stderr.
//! Takes counts of all stages; gives text. Loss is told by cause, also where it is zero.

use std::fmt;

use super::{Counts, Outcome, Refuted, Traced, recorder};
use crate::{
    capture::{Captured, Lost, Strain},
    export::Tallies,
    http,
    meter::Overflow,
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
        if let Some(Traced { http, outputs, overflow, .. }) = traced {
            write_http(text, http)?;
            write_outputs(text, outputs)?;
            write_overflow(text, overflow)?;
        }
        write!(text, "llmtap: bytes lost:")?;
        for (index, (cause, count)) in self.lost.by_cause().into_iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(text, "{separator} {} {}", cause.replace('_', " "), count.bytes)?;
            if count.bytes == 0 && count.records > 0 {
                write!(text, " ({} notices)", count.records)?;
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

/// What was captured and not read, by cause.
fn write_http(text: &mut fmt::Formatter<'_>, counts: &http::Counts) -> fmt::Result {
    let http::Counts { skipped_bytes, foreign_bytes, stray_bytes, .. } = counts;
    write!(text, "llmtap: bytes of no message: out of step {skipped_bytes}, ")?;
    writeln!(text, "no HTTP {foreign_bytes}, no connection {stray_bytes}")?;
    let causes = [
        (counts.malformed_messages, "malformed messages"),
        (counts.resynchronised, "times the next message was found"),
        (counts.given_up_connections, "connections given up"),
        (counts.foreign_connections, "connections without HTTP"),
        (counts.unreadable_bodies, "bodies whose coding could not be removed"),
        (counts.untracked_streams, "HTTP/2 streams beyond the bound"),
        (counts.pushed_streams, "HTTP/2 streams pushed"),
        (counts.unasked_exchanges, "responses whose request was not seen"),
        (counts.headless_exchanges, "exchanges without a head"),
    ];
    let met: Vec<_> = causes.iter().filter(|(count, _)| *count > 0).collect();
    for (index, (count, what)) in met.iter().enumerate() {
        let lead = if index == 0 { "llmtap: not all could be followed: " } else { ", " };
        write!(text, "{lead}{count} {what}")?;
    }
    if met.is_empty() { Ok(()) } else { writeln!(text) }
}

fn write_outputs(text: &mut fmt::Formatter<'_>, outputs: &Tallies) -> fmt::Result {
    let Tallies { lines, otlp } = outputs;
    for (what, tally, items) in [
        ("not written", lines, "lines"),
        ("not exported", &otlp.traces, "spans"),
        ("not exported", &otlp.metrics, "data points"),
        ("not exported", &otlp.logs, "log records"),
    ] {
        if let Some(tally) = tally.as_ref().filter(|tally| tally.lost() > 0) {
            write!(text, "llmtap: {what} {} {items}: ", tally.lost())?;
            tally.write_causes(text)?;
            writeln!(text)?;
        }
    }
    Ok(())
}

/// Calls that were measured among others, or not at all, since there were too many series.
fn write_overflow(text: &mut fmt::Formatter<'_>, overflow: &Overflow) -> fmt::Result {
    let Overflow { without_attributes, lost } = overflow;
    for (what, count) in [("without attributes", without_attributes), ("not", lost)] {
        if *count > 0 {
            writeln!(text, "llmtap: measured {what} {count} times")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Tally;

    fn told(traced: Traced) -> String {
        let outcome = Some(Outcome { traced: Some(traced), recorded: None });
        Summary { outcome, ..Summary::default() }.to_string()
    }

    fn traced() -> Traced {
        let (counts, http, outputs, overflow) = Default::default();
        Traced { counts, http, outputs, overflow }
    }

    #[test]
    fn loss_is_told_by_cause_where_it_is_none() {
        let expected = "llmtap: 0 calls, 0 errors, 0 input tokens, 0 output tokens\n\
            llmtap: bytes of no message: out of step 0, no HTTP 0, no connection 0\n\
            llmtap: bytes lost: ring full 0, memory fault 0, oversize 0, map full 0, shed body 0, \
            shed connection 0, after close 0, unjoined 0";
        assert_eq!(told(traced()), expected);
    }

    #[test]
    fn what_was_not_followed_is_told_by_cause() {
        let mut traced = traced();
        traced.http = http::Counts {
            skipped_bytes: 10,
            foreign_bytes: 20,
            stray_bytes: 30,
            malformed_messages: 1,
            resynchronised: 2,
            given_up_connections: 3,
            foreign_connections: 4,
            unreadable_bodies: 5,
            untracked_streams: 6,
            pushed_streams: 7,
            unasked_exchanges: 8,
            headless_exchanges: 9,
            exchanges: 99,
        };
        let told = told(traced);
        let bytes = "llmtap: bytes of no message: out of step 10, no HTTP 20, no connection 30\n";
        assert!(told.contains(bytes), "{told}");
        let causes = told.lines().find(|line| line.contains("not all could be followed"));
        let (_, causes) = causes.unwrap().split_once("followed: ").unwrap();
        let first = |cause: &str| cause.split(' ').next().unwrap().parse::<u64>().unwrap();
        let counts: Vec<_> = causes.split(", ").map(first).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9], "{told}");
    }

    #[test]
    fn spans_that_were_lost_are_told_by_cause() {
        let mut traced = traced();
        let error = Some("nobody listens".to_owned());
        traced.outputs.otlp.traces =
            Some(Tally { sent: 1, queue_full: 2, refused: 3, unsent: 4, error });
        let line = "llmtap: not exported 9 spans: 2 did not fit the queue, 3 refused, \
            4 not sent in time (nobody listens)\n";
        let told = told(traced);
        assert!(told.contains(line), "{told}");
    }
}
