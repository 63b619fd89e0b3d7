//! All outputs of one run, behind one call.
//! Takes each [`Span`] once, and what meters collect; gives the [`Tally`] of each output at the end.
//! No output makes the pipeline wait, and none another, unless the run itself can wait.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tracing::warn;

use super::{Lines, Otlp, OtlpTallies, Pretty, Resources, Signal, Tally, json};
use crate::{
    capture::ProcessId,
    discover::Process,
    meter::{Collected, Temporality},
    trace::Span,
};

/// How long a run that can wait does so for one span, before it goes on without waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the lines of the main output are.
#[derive(Debug)]
pub enum Format {
    Pretty(Box<Pretty>),
    /// OTLP/JSON, of these signals.
    OtlpJson(Vec<Signal>),
}

/// Where spans go.
#[derive(Debug)]
pub struct Outputs {
    resources: Arc<Resources>,
    lines: Option<(Format, Lines)>,
    otlp: Option<Otlp>,
    patient: bool,
}

impl Outputs {
    /// Nowhere, to begin with.
    pub fn new(resources: Arc<Resources>) -> Self {
        Self { resources, lines: None, otlp: None, patient: false }
    }

    #[must_use]
    pub fn with_lines(self, format: Format, lines: Lines) -> Self {
        Self { lines: Some((format, lines)), ..self }
    }

    #[must_use]
    pub fn with_otlp(self, otlp: Otlp) -> Self {
        Self { otlp: Some(otlp), ..self }
    }

    /// Waits for slow outputs rather than drop spans: nothing is lost by waiting where the events
    /// come from a file.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { patient: true, ..self }
    }

    /// Gives the span to every output.
    pub fn push(&mut self, span: &Span) {
        self.patient = self.patient && self.wait_for_room();
        if let Some((format, lines)) = &mut self.lines {
            match format {
                Format::Pretty(pretty) => lines.push(pretty.render(span).into_bytes()),
                Format::OtlpJson(signals) => {
                    if signals.contains(&Signal::Traces) {
                        write(lines, json::span(span, &self.resources).map(|line| vec![line]));
                    }
                    if signals.contains(&Signal::Logs) {
                        write(lines, json::events(span, &self.resources));
                    }
                }
            }
        }
        if let Some(otlp) = &self.otlp {
            otlp.push(span);
        }
    }

    /// Whether any output takes metrics.
    pub fn wants_metrics(&self) -> bool {
        let lines = match &self.lines {
            Some((Format::OtlpJson(signals), _)) => signals.contains(&Signal::Metrics),
            _ => false,
        };
        lines || self.otlp.as_ref().is_some_and(Otlp::wants_metrics)
    }

    /// Gives the points of each process at `time` to every output that takes metrics.
    pub fn push_metrics(
        &mut self,
        collected: &[Collected<ProcessId, Arc<Process>>],
        time: SystemTime,
        temporality: Temporality,
    ) {
        for collected in collected {
            self.patient = self.patient && self.wait_for_room();
            match &self.lines {
                Some((Format::OtlpJson(signals), lines)) if signals.contains(&Signal::Metrics) => {
                    let line = json::metrics(collected, (time, temporality), &self.resources);
                    write(lines, line.map(|line| vec![line]));
                }
                _ => {}
            }
            if let Some(otlp) = &self.otlp {
                otlp.push_metrics(collected, time, temporality);
            }
        }
    }

    /// What stands over all that is told of a process.
    pub fn resources(&self) -> &Arc<Resources> {
        &self.resources
    }

    fn wait_for_room(&self) -> bool {
        self.lines.as_ref().is_none_or(|(_, lines)| lines.wait_for_room(PATIENCE))
            && self.otlp.as_ref().is_none_or(|otlp| otlp.wait_for_room(PATIENCE))
    }

    /// What became of the spans so far; what waits is unsent.
    pub fn tallies(&self) -> Tallies {
        Tallies {
            lines: self.lines.as_ref().map(|(_, lines)| lines.tally()),
            otlp: self.otlp.as_ref().map(Otlp::tallies).unwrap_or_default(),
        }
    }

    /// Sends and writes what is left, for as long as `time` in all.
    pub fn finish(self, time: Duration) -> Tallies {
        let start = std::time::Instant::now();
        let lines = self.lines.map(|(_, lines)| lines.finish(time));
        let left = time.saturating_sub(start.elapsed());
        Tallies { lines, otlp: self.otlp.map(|otlp| otlp.finish(left)).unwrap_or_default() }
    }
}

fn write(lines: &Lines, written: serde_json::Result<Vec<Vec<u8>>>) {
    match written {
        Ok(all) => all.into_iter().for_each(|line| lines.push(line)),
        Err(error) => {
            warn!("a call cannot be written as JSON: {error}");
            lines.refuse();
        }
    }
}

/// What became of what was told, by output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// In lines: a span is one, an event too, and the metrics of a process.
    pub lines: Option<Tally>,
    pub otlp: OtlpTallies,
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File};

    use super::*;
    use crate::{export::Variables, trace::sample};

    #[test]
    fn every_span_is_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spans.jsonl");
        let lines = Lines::start("test", Box::new(File::create(&path).unwrap())).unwrap();
        let resources = Arc::new(Resources::new(&Variables::default()));
        let mut outputs =
            Outputs::new(resources).with_lines(Format::OtlpJson(Signal::ALL.to_vec()), lines);
        let spans = [sample::span(), sample::span()];
        spans.iter().for_each(|span| outputs.push(span));
        let tallies = outputs.finish(Duration::from_secs(30));
        assert_eq!(tallies.lines.map(|tally| (tally.sent, tally.lost())), Some((2, 0)));
        assert_eq!(tallies.otlp, OtlpTallies::default());
        let written = fs::read_to_string(path).unwrap();
        for (line, span) in written.lines().zip(&spans) {
            assert!(line.contains(&span.context.span_id().to_string()));
        }
        assert_eq!(written.lines().count(), 2);
    }
}
