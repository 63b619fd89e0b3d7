//! Where and how to send OTLP, from the command line, the configuration and the standard variables.
//! Takes [`OtlpOptions`] and [`Variables`]; gives [`Receivers`], or a sentence saying what is wrong.
//! What the user gave to llmtap wins over the variables, and of these the form for the signal
//! (specification "OpenTelemetry Protocol Exporter").

use std::{
    collections::BTreeMap,
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use tracing::warn;

use super::signal::Signal;
use crate::{
    export::{
        Bounds,
        variables::{Variables, pairs},
    },
    meter::Temporality,
};

/// Ports that the specification gives to OTLP/gRPC and OTLP/HTTP.
const GRPC_PORT: u16 = 4317;
const GRPC_ENDPOINT: &str = "http://localhost:4317";
const HTTP_ENDPOINT: &str = "http://localhost:4318";

/// Defaults of the specification's batch processors of spans and log records, of its periodic
/// reader of metrics, and of its OTLP exporter.
const QUEUE_ITEMS: usize = 2048;
const BATCH_ITEMS: usize = 512;
const SPAN_DELAY: Duration = Duration::from_secs(5);
const LOG_DELAY: Duration = Duration::from_secs(1);
const METRIC_INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Data points that wait at most: the most that a meter has, four times over.
const QUEUE_POINTS: usize = 65_536;
const BATCH_POINTS: usize = 4096;

/// Encoded bytes that the queue holds at most: a bound on memory also where spans carry content.
const QUEUE_BYTES: usize = 32 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Protocol {
    #[serde(rename = "grpc")]
    Grpc,
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// An OTLP receiver. What is absent comes from the standard `OTEL_*` variables of llmtap's own
/// environment, else it is their default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct OtlpOptions {
    /// Base URL of the receiver, as `http://localhost:4318`. OTLP/HTTP appends `/v1/traces`,
    /// `/v1/metrics` or `/v1/logs`; where it ends with one of them, it is for that signal alone.
    /// Without an endpoint here or in `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is sent.
    pub endpoint: Option<String>,
    /// What is sent. Default: all, but for what `OTEL_METRICS_EXPORTER` or `OTEL_LOGS_EXPORTER`
    /// give to no `otlp`, and for traces where no endpoint is given here and
    /// `OTEL_TRACES_EXPORTER` is `none`.
    pub signals: Option<Vec<Signal>>,
    /// Default: `grpc` for port 4317, else `http/protobuf`.
    pub protocol: Option<Protocol>,
    /// Header names and values for each request, beside those of `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: BTreeMap<String, String>,
    /// Milliseconds that one request may take. Default: 10000.
    pub timeout_ms: Option<u64>,
    /// Default: `none`.
    pub compression: Option<Compression>,
    /// PEM file of the authorities to trust instead of the system's.
    pub certificate: Option<PathBuf>,
    /// PEM file of llmtap's own certificate, for receivers that ask for one.
    pub client_certificate: Option<PathBuf>,
    /// PEM file of the key to `client_certificate`.
    pub client_key: Option<PathBuf>,
    /// Spans that wait for the receiver at most, and as many log records; more are dropped and
    /// counted. Default: 2048.
    pub queue_spans: Option<NonZeroUsize>,
    /// Bytes, encoded, that wait for the receiver at most, of each signal. Default: 33554432.
    pub queue_bytes: Option<NonZeroUsize>,
    /// Milliseconds from one collection of metrics to the next. Default: 60000.
    pub metric_interval_ms: Option<NonZeroU64>,
    /// Whether the points of metrics tell of everything so far, or of what is new since the last.
    /// Default: `cumulative`.
    pub metric_temporality: Option<Temporality>,
}

/// A setting that cannot be used. The words are for the user.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error(
        "{origin}: {value:?} is not the URL of an OTLP receiver: {reason} \
         (such a URL looks like {HTTP_ENDPOINT})"
    )]
    Endpoint { origin: String, value: String, reason: String },
    #[error("OTLP header {0:?} cannot be sent: its name or its value is not valid in HTTP")]
    Header(String),
    #[error("{name}: cannot read {path}: {source}")]
    File { name: &'static str, path: PathBuf, source: std::io::Error },
    #[error("an OTLP client certificate needs its key, and a key its certificate")]
    HalfIdentity,
    #[error("cannot set up TLS to the OTLP receiver: {0}")]
    Tls(String),
    #[error("cannot start a thread that sends to the OTLP receiver: {0}")]
    Thread(std::io::Error),
}

/// Where each signal is sent; `None`: nowhere.
#[derive(Clone, Debug, Default)]
pub struct Receivers {
    pub traces: Option<OtlpSettings>,
    pub metrics: Option<OtlpSettings>,
    pub logs: Option<OtlpSettings>,
}

impl Receivers {
    /// # Errors
    ///
    /// As [`OtlpSettings::resolve`].
    pub fn resolve(options: &OtlpOptions, variables: &Variables) -> Result<Self, OtlpError> {
        Ok(Self {
            traces: OtlpSettings::resolve(Signal::Traces, options, variables)?,
            metrics: OtlpSettings::resolve(Signal::Metrics, options, variables)?,
            logs: OtlpSettings::resolve(Signal::Logs, options, variables)?,
        })
    }

    /// Nothing is sent.
    pub fn is_empty(&self) -> bool {
        self.traces.is_none() && self.metrics.is_none() && self.logs.is_none()
    }
}

/// How metrics are collected for whom they are pushed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsReading {
    pub interval: Duration,
    pub temporality: Temporality,
}

impl MetricsReading {
    /// As the options say, else `OTEL_METRIC_EXPORT_INTERVAL` and
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`. All instruments here are synchronous, so
    /// that `lowmemory` is `delta`.
    pub fn resolve(options: &OtlpOptions, variables: &Variables) -> Self {
        const PREFERENCE: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let preferred = || {
            let word = variables.get(PREFERENCE)?;
            match word.to_ascii_lowercase().as_str() {
                "cumulative" => Some(Temporality::Cumulative),
                "delta" | "lowmemory" => Some(Temporality::Delta),
                _ => ignored(PREFERENCE, word),
            }
        };
        let interval = || number(variables, "OTEL_METRIC_EXPORT_INTERVAL").map(NonZeroU64::get);
        Self {
            interval: options
                .metric_interval_ms
                .map(NonZeroU64::get)
                .or_else(interval)
                .map_or(METRIC_INTERVAL, Duration::from_millis),
            temporality: options.metric_temporality.or_else(preferred).unwrap_or_default(),
        }
    }
}

/// Everything that sending a signal needs, checked.
#[derive(Clone, Debug)]
pub struct OtlpSettings {
    /// For OTLP/HTTP with the path; for gRPC scheme, host and port count.
    pub(super) endpoint: Url,
    pub(super) protocol: Protocol,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) compression: Compression,
    /// PEM texts.
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) identity: Option<Identity>,
    pub(super) queue: Bounds,
    pub(super) batch_items: usize,
    pub(super) schedule_delay: Duration,
}

/// PEM texts of the client's certificate and key.
#[derive(Clone)]
pub(super) struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Identity(..)")
    }
}

impl OtlpSettings {
    /// `None` where nobody asked for OTLP: neither an endpoint is given, in the options or a
    /// variable, nor the signal's exporter variable says `otlp`; or where the signal was excluded.
    /// A traced program's terminal is no place to find out that nothing listens on 4318.
    ///
    /// Values of variables that are not understood are warned of and ignored, as the specification
    /// says, except for endpoints and files.
    ///
    /// # Errors
    ///
    /// If an option, an endpoint or a file of certificates cannot be used.
    pub fn resolve(
        signal: Signal,
        options: &OtlpOptions,
        variables: &Variables,
    ) -> Result<Option<Self>, OtlpError> {
        let source = Source { signal, variables };
        let Some(given) = source.given(options) else { return Ok(None) };
        let protocol = options.protocol.or_else(|| source.protocol());
        let (protocol, endpoint) = endpoint(given, protocol, &source)?;
        let (queue_items, batch_items, schedule_delay) = source.batching(options);
        Ok(Some(Self {
            endpoint,
            protocol,
            headers: headers(options, &source)?,
            timeout: options
                .timeout_ms
                .or_else(|| source.number("TIMEOUT"))
                .map_or(TIMEOUT, Duration::from_millis),
            compression: options
                .compression
                .or_else(|| source.compression())
                .unwrap_or(Compression::None),
            authorities: source.file("CERTIFICATE", options.certificate.as_ref())?,
            identity: identity(options, &source)?,
            queue: Bounds {
                items: queue_items,
                bytes: options.queue_bytes.map_or(QUEUE_BYTES, NonZeroUsize::get),
            },
            batch_items,
            schedule_delay,
        }))
    }

    /// The receiver, to be named to the user: without credentials and query.
    pub(super) fn receiver(&self) -> String {
        let host = self.endpoint.host_str().unwrap_or_default();
        let port = self.endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", self.endpoint.scheme())
    }
}

/// An endpoint and where it is from.
#[derive(Clone, Copy)]
enum Given<'a> {
    Option(&'a str),
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: a base URL.
    General(&'a str),
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and its like: used as it is.
    Own(&'a str),
    /// The protocol's own.
    Default,
}

/// The variables of the OTLP exporter, in their two forms.
struct Source<'a> {
    signal: Signal,
    variables: &'a Variables,
}

impl<'a> Source<'a> {
    /// Where to send, if anybody asked for it.
    fn given(&self, options: &'a OtlpOptions) -> Option<Given<'a>> {
        let option = options.endpoint.as_deref();
        let is_listed = options.signals.as_ref().map(|signals| signals.contains(&self.signal));
        // The whole URL of another signal's receiver.
        let is_others = option.and_then(path_signal).is_some_and(|other| other != self.signal);
        if is_listed == Some(false) || (is_others && is_listed.is_none()) {
            return None;
        }
        let exporter = self.exporter();
        // The option for an endpoint is older than that for signals, and means traces always.
        let by_option = is_listed.is_some() || self.signal == Signal::Traces;
        match option {
            Some(endpoint) if by_option || exporter != Some(false) => Some(Given::Option(endpoint)),
            _ if exporter == Some(false) && is_listed.is_none() => None,
            _ => self.endpoint().or_else(|| (exporter == Some(true)).then_some(Given::Default)),
        }
    }

    /// Whether `OTEL_TRACES_EXPORTER` or its like says `otlp`; `None`: it says nothing.
    fn exporter(&self) -> Option<bool> {
        let name = format!("OTEL_{}_EXPORTER", self.signal.word());
        let list = self.variables.get(&name)?;
        let mut says = None;
        for word in list.split(',').map(str::trim) {
            let is_otlp = match word.to_ascii_lowercase().as_str() {
                "otlp" => true,
                "none" => false,
                "prometheus" if self.signal == Signal::Metrics => false,
                _ => {
                    ignored::<()>(&name, word);
                    continue;
                }
            };
            says = Some(says.unwrap_or(false) || is_otlp);
        }
        says
    }

    fn endpoint(&self) -> Option<Given<'a>> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", self.signal.word());
        let own = self.variables.get(&own).map(Given::Own);
        own.or_else(|| self.variables.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(Given::General))
    }

    /// Items that wait, items of a request, and how long the first of them waits for the others.
    fn batching(&self, options: &OtlpOptions) -> (usize, usize, Duration) {
        let (prefix, delay) = match self.signal {
            Signal::Traces => ("OTEL_BSP", SPAN_DELAY),
            Signal::Logs => ("OTEL_BLRP", LOG_DELAY),
            // They come all at once.
            Signal::Metrics => return (QUEUE_POINTS, BATCH_POINTS, Duration::ZERO),
        };
        let number = |name: &str| number(self.variables, &format!("{prefix}_{name}"));
        let queue = options.queue_spans.or_else(|| number("MAX_QUEUE_SIZE"));
        let batch = number("MAX_EXPORT_BATCH_SIZE");
        let delay = self::number(self.variables, &format!("{prefix}_SCHEDULE_DELAY"))
            .map_or(delay, Duration::from_millis);
        (
            queue.map_or(QUEUE_ITEMS, NonZeroUsize::get),
            batch.map_or(BATCH_ITEMS, NonZeroUsize::get),
            delay,
        )
    }

    /// The form for the signal wins.
    fn get(&self, name: &str) -> Option<&'a str> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal.word());
        let own = self.variables.get(&own);
        own.or_else(|| self.variables.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn number(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?;
        text.parse().ok().or_else(|| ignored(&format!("OTEL_EXPORTER_OTLP_{name}"), text))
    }

    fn protocol(&self) -> Option<Protocol> {
        match self.get("PROTOCOL")? {
            "grpc" => Some(Protocol::Grpc),
            "http/protobuf" => Some(Protocol::HttpProtobuf),
            other => ignored("OTEL_EXPORTER_OTLP_PROTOCOL", other),
        }
    }

    fn compression(&self) -> Option<Compression> {
        match self.get("COMPRESSION")? {
            "none" => Some(Compression::None),
            "gzip" => Some(Compression::Gzip),
            "zstd" => Some(Compression::Zstd),
            other => ignored("OTEL_EXPORTER_OTLP_COMPRESSION", other),
        }
    }

    /// Contents of the file that the option or the variable names.
    fn file(
        &self,
        name: &'static str,
        option: Option<&PathBuf>,
    ) -> Result<Option<Vec<u8>>, OtlpError> {
        let Some(path) = option.cloned().or_else(|| self.get(name).map(PathBuf::from)) else {
            return Ok(None);
        };
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(source) => Err(OtlpError::File { name, path, source }),
        }
    }
}

/// A value of a variable that is not understood is ignored, not fatal.
fn ignored<T>(name: &str, value: &str) -> Option<T> {
    warn!("{name}: {value:?} is not understood and ignored");
    None
}

fn number<T: std::str::FromStr>(variables: &Variables, name: &str) -> Option<T> {
    let text = variables.get(name)?;
    text.parse().ok().or_else(|| ignored(name, text))
}

/// The signal whose path below a receiver's base URL this URL ends with.
fn path_signal(url: &str) -> Option<Signal> {
    let url = Url::parse(url).ok()?;
    let path = url.path().trim_end_matches('/');
    Signal::ALL.into_iter().find(|signal| path.ends_with(signal.path()))
}

/// The protocol is `http/protobuf` where none is given, as the specification says, except that a
/// receiver on port 4317 is spoken to by gRPC: that port is OTLP/gRPC's, and HTTP fails there always.
fn endpoint(
    given: Given<'_>,
    protocol: Option<Protocol>,
    source: &Source<'_>,
) -> Result<(Protocol, Url), OtlpError> {
    let (origin, text) = match given {
        Given::Option(text) => ("the OTLP endpoint".to_owned(), text),
        Given::General(text) => ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), text),
        Given::Own(text) => (format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", source.signal.word()), text),
        Given::Default if protocol == Some(Protocol::Grpc) => (String::new(), GRPC_ENDPOINT),
        Given::Default => (String::new(), HTTP_ENDPOINT),
    };
    let error = |reason: String| OtlpError::Endpoint {
        origin: origin.clone(),
        value: text.to_owned(),
        reason,
    };
    // Only for gRPC's endpoint variables may the scheme be missing; `INSECURE` then says which.
    let is_bare = protocol == Some(Protocol::Grpc)
        && !matches!(given, Given::Option(_))
        && !text.contains("://");
    let insecure = source.get("INSECURE").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let mut url = match (is_bare, insecure) {
        (false, _) => Url::parse(text),
        (true, true) => Url::parse(&format!("http://{text}")),
        (true, false) => Url::parse(&format!("https://{text}")),
    }
    .map_err(|reason| error(reason.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !text.contains("://") && !is_bare {
        return Err(error("it must begin with http:// or https://".to_owned()));
    }
    if url.port() == Some(0) {
        return Err(error("its port is 0".to_owned()));
    }
    let by_port =
        || if url.port() == Some(GRPC_PORT) { Protocol::Grpc } else { Protocol::HttpProtobuf };
    let protocol = protocol.unwrap_or_else(by_port);
    let is_base = !matches!(given, Given::Own(_));
    if protocol == Protocol::HttpProtobuf && is_base {
        let path = url.path().trim_end_matches('/');
        // A user who gives the whole URL of a signal's receiver to llmtap means just that.
        let is_whole = matches!(given, Given::Option(_)) && path_signal(text).is_some();
        let whole = Signal::ALL.iter().find_map(|signal| path.strip_suffix(signal.path()));
        let base = whole.filter(|_| is_whole).unwrap_or(path).trim_end_matches('/');
        let path = format!("{base}/{}", source.signal.path());
        url.set_path(&path);
    }
    Ok((protocol, url))
}

fn headers(options: &OtlpOptions, source: &Source<'_>) -> Result<HeaderMap, OtlpError> {
    let mut headers = HeaderMap::new();
    let variable = source.get("HEADERS");
    match variable.map(pairs) {
        Some(Ok(pairs)) => {
            for (name, value) in pairs {
                match header(&name, &value) {
                    Some((name, value)) => drop(headers.insert(name, value)),
                    None => warn!("OTEL_EXPORTER_OTLP_HEADERS: {name:?} is no header and ignored"),
                }
            }
        }
        Some(Err(error)) => warn!("OTEL_EXPORTER_OTLP_HEADERS is ignored: {error}"),
        None => {}
    }
    for (name, value) in &options.headers {
        let (name, value) = header(name, value).ok_or_else(|| OtlpError::Header(name.clone()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}

fn identity(options: &OtlpOptions, source: &Source<'_>) -> Result<Option<Identity>, OtlpError> {
    let certificate = source.file("CLIENT_CERTIFICATE", options.client_certificate.as_ref())?;
    let key = source.file("CLIENT_KEY", options.client_key.as_ref())?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(Identity { certificate, key })),
        (None, None) => Ok(None),
        _ => Err(OtlpError::HalfIdentity),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
