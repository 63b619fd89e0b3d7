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
        Format, Host, Lines, Otlp, OtlpError, Outputs, Pretty, Receivers, Resources, Signal,
        Variables,
    },
    trace::semconv::{ContentPlace, Profile},
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

    /// Send spans, metrics and events to this OTLP receiver: gRPC on port 4317, HTTP/protobuf elsewhere, unless
    /// OTEL_EXPORTER_OTLP_PROTOCOL says otherwise
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// What --output otlp-json writes: with metrics and logs also MetricsData and LogsData
    #[arg(
        long,
        value_name = "SIGNALS",
        value_enum,
        value_delimiter = ',',
        default_value = "traces"
    )]
    output_signals: Vec<Signal>,

    /// What is sent to the OTLP receiver [default: all that OTEL_METRICS_EXPORTER and
    /// OTEL_LOGS_EXPORTER do not exclude]
    #[arg(long, value_name = "SIGNALS", value_enum, value_delimiter = ',')]
    otlp_signals: Option<Vec<Signal>>,

    /// Keep the text of prompts and answers, in the spans or where WHERE says (span_only,
    /// event_only, span_and_event, no_content); without it only numbers and names are kept
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true,
          default_missing_value = "span_only", value_parser = content_place)]
    capture_content: Option<ContentPlace>,

    /// Names of attributes and metrics [default: latest, or what OTEL_SEMCONV_STABILITY_OPT_IN says]
    #[arg(long, value_name = "EDITION", value_enum)]
    semconv: Option<Profile>,

    /// Tell an event with the details of each inference beside its span
    #[arg(long)]
    events: bool,

    /// Tell what each call cost, by this price list (docs/prices.md)
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,

    /// Estimate tokens that a provider does not report, by the model's tokenizer where it is known
    #[arg(long)]
    estimate_tokens: bool,
}

fn content_place(word: &str) -> Result<ContentPlace, String> {
    ContentPlace::from_word(word)
        .ok_or_else(|| "give span_only, event_only, span_and_event or no_content".to_owned())
}

impl OutputFlags {
    pub(super) fn fill(self, config: &mut Config) {
        config.output = config::Output {
            format: self.output,
            signals: Some(self.output_signals),
            file: self.output_file,
        };
        config.otlp.endpoint = self.otlp_endpoint;
        config.otlp.signals = self.otlp_signals;
        config.capture_content = self.capture_content;
        config.semconv = self.semconv;
        config.events = self.events.then_some(true);
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
    otlp: Receivers,
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
            otlp: Receivers::resolve(&config.otlp, variables)?,
            resources: Arc::new(Resources::of_host(host, variables)),
        })
    }

    /// Content that is asked for on events alone goes nowhere where nothing takes events.
    pub(super) fn tell_of_unheard(&self, content: ContentPlace) {
        if content == ContentPlace::Events && !self.takes_events() {
            tracing::warn!(
                "prompts and answers are asked for on events, which no output takes: they are told \
                 nowhere; give an OTLP endpoint, or --output otlp-json with logs among --output-signals"
            );
        }
    }

    fn takes_events(&self) -> bool {
        let lines = match self.format() {
            Some(Format::OtlpJson(signals)) => signals.contains(&Signal::Logs),
            _ => false,
        };
        lines || self.otlp.logs.is_some()
    }

    /// Opens the file, starts the threads.
    pub(super) fn start(self) -> Result<Outputs, OutputError> {
        let mut outputs = Outputs::new(self.resources.clone());
        if let Some(format) = self.format() {
            let sink = sink(self.output.file)?;
            outputs = outputs
                .with_lines(format, Lines::start("output", sink).map_err(OutputError::Thread)?);
        }
        if !self.otlp.is_empty() {
            outputs = outputs.with_otlp(Otlp::start(&self.otlp, &self.resources)?);
        }
        Ok(outputs)
    }

    fn format(&self) -> Option<Format> {
        let terminal = self.output.file.is_none() && io::stdout().is_terminal();
        let seen = terminal || self.output.file.is_some() || self.otlp.traces.is_none();
        let default = if seen { OutputFormat::Pretty } else { OutputFormat::None };
        match self.output.format.unwrap_or(default) {
            OutputFormat::Pretty => {
                let colour = terminal && may_colour();
                Some(Format::Pretty(Box::new(Pretty::new(columns(), colour))))
            }
            OutputFormat::OtlpJson => {
                let signals = self.output.signals.clone();
                Some(Format::OtlpJson(signals.unwrap_or_else(|| vec![Signal::Traces])))
            }
            OutputFormat::None => None,
        }
    }
}

/// `NO_COLOR` is not set, or empty (no-color.org).
pub(super) fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_where_logs_go() {
        let takes = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            CheckedOutputs::new(&config, &Variables::default()).unwrap().takes_events()
        };
        assert!(!takes(|_| {}));
        assert!(!takes(|config| config.output.format = Some(OutputFormat::OtlpJson)));
        assert!(takes(|config| {
            config.output.format = Some(OutputFormat::OtlpJson);
            config.output.signals = Some(vec![Signal::Logs]);
        }));
        assert!(takes(|config| config.otlp.endpoint = Some("http://h".into())));
        assert!(!takes(|config| config.otlp.endpoint = Some("http://h/v1/traces".into())));
    }
}
