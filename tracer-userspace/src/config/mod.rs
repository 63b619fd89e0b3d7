//! The settings of a run, from a YAML file.
//! Takes the file of `llmtap run --config`; gives a [`Config`], or a sentence with line and column.
//! The command line fills the same [`Config`]; what each setting does is known where it is used.

mod filters;
mod watch;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    str::FromStr,
};

pub use filters::Filters;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
pub use watch::{Look, Watch};

use crate::{
    capture::{Limits, Thresholds},
    export::{OtlpOptions, Signal, Variables},
    genai::Named,
    trace::semconv::{self, ContentPlace, Conventions, Profile},
    yaml::{self, Fault},
};

/// Sizes that a ring between kernel and llmtap may have: powers of two, as the kernel asks.
const RING_BYTES: std::ops::RangeInclusive<u32> = 64 << 10..=1 << 30;

/// Everything that is set for a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub filters: Filters,
    pub output: Output,
    /// `None` as long as nobody says: [`Config::conventions`].
    pub capture_content: Option<ContentPlace>,
    /// `None` as long as nobody says: [`Config::conventions`].
    pub semconv: Option<Profile>,
    /// `None` as long as nobody says: [`Config::conventions`].
    pub events: Option<bool>,
    /// Bytes of the ring between kernel and llmtap: a power of two from 64 KiB to 1 GiB.
    pub ring_bytes: Option<u32>,
    /// TLS connections followed at a time.
    pub max_connections: Option<u32>,
    pub overload: Overload,
    pub metrics: Metrics,
    pub otlp: OtlpOptions,
    /// What hosts and paths speak that are not known.
    pub providers: Vec<Named>,
    /// Count tokens that providers do not report.
    pub estimate_tokens: bool,
    /// Price list.
    pub prices: Option<PathBuf>,
    /// Functions of TLS libraries, by build id.
    pub offsets: Option<PathBuf>,
    /// Where long inspections are kept.
    pub cache_folder: Option<PathBuf>,
}

/// What to leave out when llmtap does not keep up, and how full the ring is when each step is taken,
/// in percent. A step holds until the ring is less than half as full; 100: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Overload {
    /// The text of messages of calls that begin. Default: 50.
    #[cfg_attr(test, schemars(with = "Option<u8>"))]
    pub content: Option<Percent>,
    /// Bodies that belong to no LLM call (HTTP/1.1). Default: 75.
    #[cfg_attr(test, schemars(with = "Option<u8>"))]
    pub bodies: Option<Percent>,
    /// Connections that begin, and others without an LLM call under way. Default: 90.
    #[cfg_attr(test, schemars(with = "Option<u8>"))]
    pub connections: Option<Percent>,
}

impl Overload {
    /// `None`: a step would be taken before the one ahead of it.
    pub fn thresholds(self) -> Option<Thresholds> {
        let default = Thresholds::default();
        let or = |step: Option<Percent>, default| step.map_or(default, |percent| percent.0);
        let content = or(self.content, default.content);
        let bodies = or(self.bodies, default.bodies);
        let connections = or(self.connections, default.connections);
        let in_order = content <= bodies && bodies <= connections;
        in_order.then_some(Thresholds { content, bodies, connections })
    }
}

/// From 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Percent(u8);

impl TryFrom<i64> for Percent {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let percent = u8::try_from(number).ok().filter(|percent| *percent <= 100);
        percent.map(Self).ok_or_else(|| format!("{number} is no percentage from 0 to 100"))
    }
}

/// What llmtap tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port, or a port of loopback alone, to serve `/metrics` at (OpenMetrics, for
    /// Prometheus). Default: nowhere.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub listen: Option<Listen>,
}

/// Where to listen: `ADDRESS:PORT`, or `PORT` for loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        port.or_else(|_| text.parse()).map(Self).map_err(|_| {
            format!("{text:?} is no address to listen at; give ADDRESS:PORT, or PORT for loopback")
        })
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where calls are written, beside the OTLP receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Lines for people, OTLP/JSON (one `TracesData` a line), or nothing. Default: `pretty`, or
    /// `none` where spans are sent to a receiver and standard output is no terminal.
    pub format: Option<OutputFormat>,
    /// What OTLP/JSON has lines of: `MetricsData` and `LogsData` beside `TracesData`. Default:
    /// traces alone.
    pub signals: Option<Vec<Signal>>,
    /// File to write to. Default: standard output.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    Pretty,
    OtlpJson,
    None,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Raw {
    filters: Filters,
    output: Output,
    /// Where the text of prompts and answers goes: `span_only`, `event_only`, `span_and_event` or
    /// `no_content`; `true` is `span_only`, `false` is `no_content`. Default: as
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` says with the same words, else nowhere.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    capture_content: Option<Place>,
    /// Names of attributes and metrics: those of semantic-conventions-genai (`latest`), of
    /// semantic-conventions `v1.41`, or both. Default: as `OTEL_SEMCONV_STABILITY_OPT_IN` says
    /// (`gen_ai_latest_experimental`, `gen_ai/v1.41`, `gen_ai/dup`), else `latest`.
    semconv: Option<Profile>,
    /// An event with the details of each inference beside its span. Default: as
    /// `OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT` says, else where content goes on events.
    events: Option<bool>,
    /// Bytes of the ring between kernel and llmtap: a power of two from 65536 to 1073741824.
    /// Default: 33554432.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    ring_bytes: Option<Spanned<u32>>,
    /// TLS connections followed at a time; what passes on more is counted as lost. Default: 65536.
    max_connections: Option<NonZeroU32>,
    overload: Overload,
    metrics: Metrics,
    otlp: OtlpOptions,
    providers: Vec<Named>,
    /// Estimate tokens that a provider did not report, by the model's own tokenizer, where it is known
    /// (`llmtap.estimate.*`; takes some 100 MB of memory). Default: false.
    estimate_tokens: bool,
    /// File with what tokens cost (docs/prices.md); each call then tells its cost
    /// (`llmtap.cost.*`). Default: none.
    prices: Option<PathBuf>,
    /// File that says where functions of TLS libraries are that llmtap does not find itself, by build
    /// id (docs/offsets.md). Default: none.
    offsets: Option<PathBuf>,
    /// Where inspections of files that took long are kept for the next start; only the user that llmtap
    /// runs as may write there. Default: the first of `CACHE_DIRECTORY`, else `/var/cache/llmtap`.
    cache_folder: Option<PathBuf>,
}

/// A configuration that cannot be used. The words are for the user.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// `place` is `LINE:COLUMN`, from 1, or empty where it is the file as a whole.
    #[error("{path}:{place} {words}")]
    Value { path: PathBuf, place: String, words: String },
}

impl Config {
    /// What else than filters differs in `new`, by the keys of the file: such changes need a new start.
    pub fn fixed_changes(&self, new: &Self) -> Vec<&'static str> {
        // All of them, so that none is forgotten.
        let Self {
            filters: _,
            output,
            capture_content,
            semconv,
            events,
            ring_bytes,
            max_connections,
            overload,
            metrics,
            otlp,
            providers,
            estimate_tokens,
            prices,
            offsets,
            cache_folder,
        } = self;
        let differs = [
            ("output", *output != new.output),
            ("capture_content", *capture_content != new.capture_content),
            ("semconv", *semconv != new.semconv),
            ("events", *events != new.events),
            ("ring_bytes", *ring_bytes != new.ring_bytes),
            ("max_connections", *max_connections != new.max_connections),
            ("overload", *overload != new.overload),
            ("metrics", *metrics != new.metrics),
            ("otlp", *otlp != new.otlp),
            ("providers", *providers != new.providers),
            ("estimate_tokens", *estimate_tokens != new.estimate_tokens),
            ("prices", *prices != new.prices),
            ("offsets", *offsets != new.offsets),
            ("cache_folder", *cache_folder != new.cache_folder),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// Checks what a file says.
    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let fault = |Fault { place, words }: Fault| ConfigError::Value {
            path: path.to_owned(),
            place,
            words,
        };
        let error = |place: Location, words: &str| fault(Fault::at(place, words));
        let raw: Raw = yaml::read(text).map_err(fault)?;
        if raw.filters.is_empty() {
            let words = "filters: nothing says what to trace; give at least one of \
                         pid, exe, cmdline, cgroup, container, port or all: true";
            return Err(error(Location::UNKNOWN, words));
        }
        let ring_bytes = match raw.ring_bytes {
            Some(size) if !size.value.is_power_of_two() || !RING_BYTES.contains(&size.value) => {
                let words = "ring_bytes: a power of two from 65536 to 1073741824 is needed";
                return Err(error(size.defined, words));
            }
            size => size.map(|size| size.value),
        };
        if raw.overload.thresholds().is_none() {
            let words = "overload: content, bodies and connections are taken in this order; \
                         none may have a smaller number than the one before";
            return Err(error(Location::UNKNOWN, words));
        }
        Ok(Self {
            filters: raw.filters,
            output: raw.output,
            capture_content: raw.capture_content.map(|place| place.0),
            semconv: raw.semconv,
            events: raw.events,
            ring_bytes,
            max_connections: raw.max_connections.map(NonZeroU32::get),
            overload: raw.overload,
            metrics: raw.metrics,
            otlp: raw.otlp,
            providers: raw.providers,
            estimate_tokens: raw.estimate_tokens,
            prices: raw.prices,
            offsets: raw.offsets,
            cache_folder: raw.cache_folder,
        })
    }

    /// How much the kernel side may hold.
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            ring_bytes: self.ring_bytes.unwrap_or(default.ring_bytes),
            connections: self.max_connections.unwrap_or(default.connections),
            // Checked where it was read.
            thresholds: self.overload.thresholds().unwrap_or_default(),
        }
    }

    /// What is told of calls: as the user says, else as the standard variables say.
    pub fn conventions(&self, variables: &Variables) -> Conventions {
        let content = self.capture_content.or_else(|| {
            let word = variables.get(CAPTURE_CONTENT)?;
            ContentPlace::from_word(word).or_else(|| ignored(CAPTURE_CONTENT, word))
        });
        let content = content.unwrap_or_default();
        let details = self.events.or_else(|| {
            let word = variables.get(EMIT_EVENT)?;
            match word.to_ascii_lowercase().as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => ignored(EMIT_EVENT, word),
            }
        });
        let profile = self.semconv.or_else(|| {
            let (profile, unknown) = Profile::from_opt_in(variables.get(semconv::OPT_IN)?);
            for member in unknown {
                ignored::<()>(semconv::OPT_IN, &member);
            }
            profile
        });
        Conventions {
            profile: profile.unwrap_or_default(),
            content,
            details: details.unwrap_or(content.on_events()),
        }
    }

    /// Where `/metrics` is served: as the user says, else where `OTEL_METRICS_EXPORTER` names
    /// `prometheus`, with its host and port.
    pub fn metrics_listen(&self, variables: &Variables) -> Option<SocketAddr> {
        let exporters = variables.get("OTEL_METRICS_EXPORTER").unwrap_or_default();
        let is_named = || exporters.split(',').any(|one| one.trim() == "prometheus");
        let by_variables = || {
            let host = variables.get("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or("localhost");
            let port = variables.get("OTEL_EXPORTER_PROMETHEUS_PORT").unwrap_or("9464");
            let host = if host == "localhost" { "127.0.0.1" } else { host };
            let address = host.parse().ok().zip(port.parse().ok());
            address.map(|(host, port): (IpAddr, u16)| SocketAddr::new(host, port)).or_else(|| {
                ignored("OTEL_EXPORTER_PROMETHEUS_HOST and _PORT", &format!("{host}:{port}"))
            })
        };
        let listen = self.metrics.listen.map(|listen| listen.0);
        listen.or_else(|| is_named().then(by_variables).flatten())
    }
}

const CAPTURE_CONTENT: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
const EMIT_EVENT: &str = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT";

/// A variable's value that is not understood is ignored, not fatal.
fn ignored<T>(name: &str, value: &str) -> Option<T> {
    tracing::warn!("{name}: {value:?} is not understood and ignored");
    None
}

/// [`ContentPlace`] as it is written in the file.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "one of true, false, span_only, event_only, span_and_event, no_content"
)]
enum PlaceText {
    Flag(bool),
    Word(String),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "PlaceText")]
struct Place(ContentPlace);

impl TryFrom<PlaceText> for Place {
    type Error = String;

    fn try_from(text: PlaceText) -> Result<Self, String> {
        match text {
            PlaceText::Flag(true) => Ok(Self(ContentPlace::Spans)),
            PlaceText::Flag(false) => Ok(Self(ContentPlace::Nowhere)),
            PlaceText::Word(word) => ContentPlace::from_word(&word).map(Self).ok_or_else(|| {
                format!(
                    "{word:?} is no place for content; give one of true, false, span_only, \
                     event_only, span_and_event, no_content"
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests;
