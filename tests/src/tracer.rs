//! `llmtap trace` as a test runs it.
//! Takes arguments and perhaps a command; gives the spans, the summary and what the command printed.
//! Spans come through `--output-file`, so the command's own output stays as it is.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{Finished, Running, Span, wait_until};

/// From Ctrl-C to the end.
const FLUSH: Duration = Duration::from_secs(30);
/// The longest that any traced command may take.
const COMMAND: Duration = Duration::from_secs(600);

/// A tracer that is not started yet.
#[derive(Debug)]
pub struct Tracer {
    command: Command,
    spans: PathBuf,
}

/// A tracer whose probes are in place.
#[derive(Debug)]
pub struct Attached {
    process: Running,
    spans: PathBuf,
}

/// What a tracer that ended has told.
#[derive(Debug)]
pub struct Trace {
    pub spans: Vec<Span>,
    /// The same as they were written.
    pub lines: String,
    pub status: ExitStatus,
    /// Standard output: that of the traced command.
    pub output: String,
    /// Standard error: the tracer's logs and its summary, and that of the traced command.
    pub errors: String,
    /// Most memory the tracer had resident (`VmHWM`), in KiB.
    pub peak_memory: u64,
}

impl Tracer {
    /// `llmtap`: the command that its arguments are appended to.
    pub(crate) fn new(llmtap: Command, spans: PathBuf) -> Self {
        let mut command = llmtap;
        command.args(["trace", "--output", "otlp-json", "--output-file"]).arg(&spans);
        // Beside the spans, in a folder that goes with the test: nothing of another run is used.
        command.env("CACHE_DIRECTORY", spans.with_file_name("cache"));
        Self { command, spans }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until probes are in place.
    ///
    /// # Errors
    /// It could not be started or did not get ready.
    pub fn attach(self) -> Result<Attached> {
        let process = Running::start(self.command)?;
        process
            .errors
            .wait_for(Attached::READY, |line| line.starts_with("llmtap: ready"))
            .context("llmtap did not get ready")?;
        Ok(Attached { process, spans: self.spans })
    }

    /// Starts it with `-- program arguments`, without waiting for anything.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(mut self, program: &Command) -> Result<Attached> {
        self.command.arg("--").arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                self.command.env(name, value);
            }
        }
        Ok(Attached { process: Running::start(self.command)?, spans: self.spans })
    }

    /// Traces a command from its start to its end.
    ///
    /// # Errors
    /// The tracer could not be started, did not end, or wrote what can't be read.
    pub fn run(self, program: &Command) -> Result<Trace> {
        self.start(program)?.wait()
    }
}

impl Attached {
    /// How long it may take until probes are in place.
    pub const READY: Duration = Duration::from_secs(30);

    pub fn process(&self) -> &Running {
        &self.process
    }

    /// Spans that are out so far.
    ///
    /// # Errors
    /// What was written can't be read.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let text = fs::read_to_string(&self.spans).unwrap_or_default();
        // The last line may be half written.
        Span::parse(text.rfind('\n').map_or("", |end| &text[..end]))
    }

    /// Waits until that many spans are out.
    ///
    /// # Errors
    /// They did not come within `limit`.
    pub fn wait_for_spans(&self, count: usize, limit: Duration) -> Result<Vec<Span>> {
        let what = format!("{count} spans");
        wait_until(&what, limit, || self.spans().ok().filter(|spans| spans.len() >= count))
            .with_context(|| format!("there are {:?}", self.spans().map(|spans| spans.len())))
    }

    /// Ctrl-C, then as [`Attached::wait`].
    ///
    /// # Errors
    /// As [`Attached::wait`].
    pub fn stop(self) -> Result<Trace> {
        self.end_with(Signal::INT)
    }

    /// A signal to the tracer alone, then as [`Attached::wait`].
    ///
    /// # Errors
    /// As [`Attached::wait`].
    pub fn end_with(self, signal: Signal) -> Result<Trace> {
        self.process.signal(signal)?;
        finish(self.process, &self.spans, FLUSH)
    }

    /// Waits for the end of the traced command.
    ///
    /// # Errors
    /// The tracer did not end, or wrote what can't be read.
    pub fn wait(self) -> Result<Trace> {
        finish(self.process, &self.spans, COMMAND)
    }
}

fn finish(process: Running, spans: &Path, limit: Duration) -> Result<Trace> {
    let Finished { status, output, errors, peak_memory } = process.finish(limit)?;
    let lines = fs::read_to_string(spans).unwrap_or_default();
    let spans = Span::parse(&lines).context("the tracer's output file")?;
    Ok(Trace { spans, lines, status, output, errors, peak_memory })
}

impl Trace {
    /// The span of the answer with this id.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn span(&self, response_id: &str) -> Result<&Span> {
        let mut found =
            self.spans.iter().filter(|span| span.text("gen_ai.response.id") == Some(response_id));
        let span = found.next().with_context(|| {
            format!("no span of {response_id}; there are:\n{:#?}\n{}", self.spans, self.errors)
        })?;
        anyhow::ensure!(found.next().is_none(), "several spans of {response_id}");
        Ok(span)
    }

    /// A line of the summary at the end of standard error.
    ///
    /// # Errors
    /// There is none that contains `what`.
    pub fn summary(&self, what: &str) -> Result<&str> {
        summary(&self.errors, what)
    }

    /// # Errors
    /// As [`no_bytes_lost`], or a span tells of loss.
    pub fn nothing_lost(&self) -> Result<()> {
        no_bytes_lost(&self.errors)?;
        for span in &self.spans {
            for (name, value) in &span.attributes {
                anyhow::ensure!(
                    !name.starts_with("llmtap.capture.") && name != "llmtap.ended",
                    "{name} is {value} in {span:#?}"
                );
            }
        }
        Ok(())
    }
}

/// The last line of `errors`, a tracer's standard error, that is its own and contains `what`.
fn summary<'a>(errors: &'a str, what: &str) -> Result<&'a str> {
    errors
        .lines()
        .rfind(|line| line.starts_with("llmtap: ") && line.contains(what))
        .with_context(|| format!("no summary with {what:?}: {errors}"))
}

/// # Errors
/// The summary in `errors` tells of lost bytes, or does not say that there were none.
pub fn no_bytes_lost(errors: &str) -> Result<()> {
    no_bytes_lost_but(errors, 0)
}

/// As [`no_bytes_lost`]; but so many may have come on connections that the program had closed.
///
/// # Errors
/// As [`no_bytes_lost`].
pub fn no_bytes_lost_but(errors: &str, after_close: u64) -> Result<()> {
    let line = summary(errors, "bytes lost:")?;
    let (_, causes) = line.split_once("bytes lost: ").context(line.to_owned())?;
    for cause in causes.split(", ") {
        let (name, bytes) = cause.rsplit_once(' ').with_context(|| line.to_owned())?;
        let bytes: u64 = bytes.parse().with_context(|| line.to_owned())?;
        let most = if name == "after close" { after_close } else { 0 };
        anyhow::ensure!(bytes <= most, "{line}");
    }
    Ok(())
}
