//! All outputs of one run, behind one call.
//! Takes each [`Span`] once; gives the [`Tally`] of each output at the end.
//! No output makes the pipeline wait, and none another, unless the run itself can wait.

use std::{sync::Arc, time::Duration};

use tracing::warn;

use super::{Lines, Otlp, Pretty, Resources, Tally, json};
use crate::trace::Span;

/// How long a run that can wait does so for one span, before it goes on without waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the lines of the main output are.
#[derive(Debug)]
pub enum Format {
    Pretty(Box<Pretty>),
    /// One OTLP/JSON `TracesData` a line.
    OtlpJson,
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
                Format::OtlpJson => match json::line(span, &self.resources) {
                    Ok(line) => lines.push(line),
                    Err(error) => {
                        warn!("a span cannot be written as JSON: {error}");
                        lines.refuse();
                    }
                },
            }
        }
        if let Some(otlp) = &self.otlp {
            otlp.push(span);
        }
    }

    fn wait_for_room(&self) -> bool {
        self.lines.as_ref().is_none_or(|(_, lines)| lines.wait_for_room(PATIENCE))
            && self.otlp.as_ref().is_none_or(|otlp| otlp.wait_for_room(PATIENCE))
    }

    /// What became of the spans so far; what waits is unsent.
    pub fn tallies(&self) -> Tallies {
        Tallies {
            lines: self.lines.as_ref().map(|(_, lines)| lines.tally()),
            otlp: self.otlp.as_ref().map(Otlp::tally),
        }
    }

    /// Sends and writes what is left, for as long as `time` in all.
    pub fn finish(self, time: Duration) -> Tallies {
        let start = std::time::Instant::now();
        let lines = self.lines.map(|(_, lines)| lines.finish(time));
        let left = time.saturating_sub(start.elapsed());
        Tallies { lines, otlp: self.otlp.map(|otlp| otlp.finish(left)) }
    }
}

/// What became of the spans, by output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    pub lines: Option<Tally>,
    pub otlp: Option<Tally>,
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
        let mut outputs = Outputs::new(resources).with_lines(Format::OtlpJson, lines);
        let spans = [sample::span(), sample::span()];
        spans.iter().for_each(|span| outputs.push(span));
        let tallies = outputs.finish(Duration::from_secs(30));
        assert_eq!(tallies.lines.map(|tally| (tally.sent, tally.lost())), Some((2, 0)));
        assert_eq!(tallies.otlp, None);
        let written = fs::read_to_string(path).unwrap();
        for (line, span) in written.lines().zip(&spans) {
            assert!(line.contains(&span.context.span_id().to_string()));
        }
        assert_eq!(written.lines().count(), 2);
    }
}
