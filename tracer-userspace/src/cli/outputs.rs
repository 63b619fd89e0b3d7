//! Where spans go: flags, and outputs that are started only when everything else was checked.
//! Takes flags or the configuration, and the standard variables; gives [`Outputs`], or a sentence
//! on what is wrong.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    config::{self, Config, OutputFormat},
    export::{
        Format, Host, Lines, Otlp, OtlpError, OtlpSettings, Outputs, Pretty, Resources, Variables,
    },
};

/// Columns of a terminal that does not tell.
const DEFAULT_COLUMNS: usize = 120;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Outputs")]
pub(super) struct OutputFlags {
    /// What to write for each call: lines for people, OTLP/JSON (one TracesData a line, as the
    /// OpenTelemetry Collector's file exporter writes), or nothing [default: pretty, or none where
    /// spans are sent to a receiver and standard output is no terminal]
    #[arg(long, value_name = "FORMAT", value_enum)]
    output: Option<OutputFormat>,

    /// Write there instead of standard output
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,

    /// Send spans to this OTLP receiver: gRPC on port 4317, HTTP/protobuf elsewhere, unless
    /// OTEL_EXPORTER_OTLP_PROTOCOL says otherwise
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// Keep the text of prompts and answers in the spans; without it only numbers and names are kept
    #[arg(long)]
    capture_content: bool,

    /// Tell what each call cost, by this price list (docs/prices.md)
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,

    /// Estimate tokens that a provider does not report, by the model's tokenizer where it is known
    #[arg(long)]
    estimate_tokens: bool,
}

impl OutputFlags {
    pub(super) fn fill(self, config: &mut Config) {
        config.output = config::Output { format: self.output, file: self.output_file };
        config.otlp.endpoint = self.otlp_endpoint;
        config.capture_content = self.capture_content.then_some(true);
        config.prices = self.prices;
        config.estimate_tokens = self.estimate_tokens;
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
    output: config::Output,
    otlp: Option<OtlpSettings>,
    resources: Arc<Resources>,
}

impl CheckedOutputs {
    pub(super) fn new(config: &Config, variables: &Variables) -> Result<Self, OutputError> {
        Self::for_host(Host::this(), config, variables)
    }

    /// For processes of another machine.
    pub(super) fn for_host(
        host: Host,
        config: &Config,
        variables: &Variables,
    ) -> Result<Self, OutputError> {
        Ok(Self {
            output: config.output.clone(),
            otlp: OtlpSettings::resolve(&config.otlp, variables)?,
            resources: Arc::new(Resources::of_host(host, variables)),
        })
    }

    /// Opens the file, starts the threads.
    pub(super) fn start(self) -> Result<Outputs, OutputError> {
        let mut outputs = Outputs::new(self.resources.clone());
        if let Some(format) = self.format() {
            let sink = sink(self.output.file)?;
            outputs = outputs
                .with_lines(format, Lines::start("output", sink).map_err(OutputError::Thread)?);
        }
        if let Some(settings) = &self.otlp {
            outputs = outputs.with_otlp(Otlp::start(settings, self.resources)?);
        }
        Ok(outputs)
    }

    fn format(&self) -> Option<Format> {
        let terminal = self.output.file.is_none() && io::stdout().is_terminal();
        let seen = terminal || self.output.file.is_some() || self.otlp.is_none();
        let default = if seen { OutputFormat::Pretty } else { OutputFormat::None };
        match self.output.format.unwrap_or(default) {
            OutputFormat::Pretty => {
                // Any value but the empty one (no-color.org).
                let colour =
                    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
                Some(Format::Pretty(Box::new(Pretty::new(columns(), colour))))
            }
            OutputFormat::OtlpJson => Some(Format::OtlpJson),
            OutputFormat::None => None,
        }
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
