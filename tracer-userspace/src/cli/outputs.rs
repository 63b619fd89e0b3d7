//! Where spans go, as flags: the terminal, a file, an OTLP receiver.
//! Takes flags and the standard variables; gives started [`Outputs`], or a sentence on what is wrong.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
    sync::Arc,
};

use crate::export::{
    Format, Lines, Otlp, OtlpError, OtlpOptions, OtlpSettings, Outputs, Pretty, Resources,
    Variables,
};

/// Columns of a terminal that does not tell.
const DEFAULT_COLUMNS: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OutputKind {
    /// A line a call, for people
    Pretty,
    /// One OTLP/JSON TracesData a line, as the OpenTelemetry Collector's file exporter writes
    OtlpJson,
    /// Nothing
    None,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Outputs")]
pub(super) struct OutputFlags {
    /// What to write for each call
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "pretty")]
    output: OutputKind,

    /// Write there instead of standard output
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,

    /// Send spans to this OTLP receiver too (gRPC on port 4317, HTTP/protobuf elsewhere, unless
    /// OTEL_EXPORTER_OTLP_PROTOCOL says otherwise)
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// Keep prompts and completions in the spans; without it no text leaves the traced process
    #[arg(long, env = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value_parser = content,
          num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true,
          hide_default_value = true, hide_env_values = true, value_name = "BOOL")]
    pub(super) capture_content: bool,
}

/// Values of the standard variable: a truth value, or where the instrumentations of
/// OpenTelemetry put content (any place is "yes" here).
fn content(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "span_only" | "event_only" | "span_and_event" => Ok(true),
        "false" | "0" | "" | "no_content" => Ok(false),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    #[error("cannot write to {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot start the thread that writes spans: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// Outputs that were checked and hold nothing yet: no file is made and no thread started.
pub(super) struct CheckedOutputs {
    kind: OutputKind,
    file: Option<PathBuf>,
    otlp: Option<OtlpSettings>,
    resources: Arc<Resources>,
}

impl OutputFlags {
    pub(super) fn check(self, variables: &Variables) -> Result<CheckedOutputs, OutputError> {
        let options = OtlpOptions { endpoint: self.otlp_endpoint, ..OtlpOptions::default() };
        Ok(CheckedOutputs {
            kind: self.output,
            file: self.output_file,
            otlp: OtlpSettings::resolve(&options, variables)?,
            resources: Arc::new(Resources::new(variables)),
        })
    }
}

impl CheckedOutputs {
    /// Opens the file, starts the threads.
    pub(super) fn start(self) -> Result<Outputs, OutputError> {
        let mut outputs = Outputs::new(self.resources.clone());
        let colour = self.file.is_none()
            && io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let format = match self.kind {
            OutputKind::Pretty => Some(Format::Pretty(Box::new(Pretty::new(columns(), colour)))),
            OutputKind::OtlpJson => Some(Format::OtlpJson),
            OutputKind::None => None,
        };
        if let Some(format) = format {
            let lines = Lines::start("output", sink(self.file)?).map_err(OutputError::Thread)?;
            outputs = outputs.with_lines(format, lines);
        }
        if let Some(settings) = &self.otlp {
            outputs = outputs.with_otlp(Otlp::start(settings, self.resources)?);
        }
        Ok(outputs)
    }
}

fn sink(file: Option<PathBuf>) -> Result<Box<dyn Write + Send>, OutputError> {
    match file {
        Some(path) => match File::create(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(source) => Err(OutputError::File { path, source }),
        },
        None => Ok(Box::new(io::stdout())),
    }
}

/// Width of the terminal, if there is one.
fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal_size::terminal_size()
        .map(|(width, _)| usize::from(width.0))
        .or(told)
        .unwrap_or(DEFAULT_COLUMNS)
}
