//! Where and how to send OTLP, from the command line, the configuration and the standard variables.
//! Takes [`OtlpOptions`] and [`Variables`]; gives [`OtlpSettings`], or a sentence saying what is wrong.
//! What the user gave to llmtap wins over the variables, and of these the form for traces
//! (specification "OpenTelemetry Protocol Exporter").

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use tracing::warn;

use crate::export::{
    Bounds,
    variables::{Variables, pairs},
};

/// Ports that the specification gives to OTLP/gRPC and OTLP/HTTP.
const GRPC_PORT: u16 = 4317;
const GRPC_ENDPOINT: &str = "http://localhost:4317";
const HTTP_ENDPOINT: &str = "http://localhost:4318";

/// Path of traces below the base URL of a receiver.
const TRACES_PATH: &str = "v1/traces";

/// Defaults of the specification's batch span processor and OTLP exporter.
const QUEUE_ITEMS: usize = 2048;
const BATCH_ITEMS: usize = 512;
const SCHEDULE_DELAY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

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
    /// Base URL of the receiver, as `http://localhost:4318`. OTLP/HTTP appends `/v1/traces` unless
    /// it ends so. Without an endpoint here or in `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is sent.
    pub endpoint: Option<String>,
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
    /// Spans that wait for the receiver at most; more are dropped and counted. Default: 2048.
    pub queue_spans: Option<NonZeroUsize>,
    /// Bytes, encoded, that wait for the receiver at most. Default: 33554432.
    pub queue_bytes: Option<NonZeroUsize>,
}

/// A setting that cannot be used. The words are for the user.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error(
        "{origin}: {value:?} is not the URL of an OTLP receiver: {reason} \
         (such a URL looks like {HTTP_ENDPOINT})"
    )]
    Endpoint { origin: &'static str, value: String, reason: String },
    #[error("OTLP header {0:?} cannot be sent: its name or its value is not valid in HTTP")]
    Header(String),
    #[error("{name}: cannot read {path}: {source}")]
    File { name: &'static str, path: PathBuf, source: std::io::Error },
    #[error("an OTLP client certificate needs its key, and a key its certificate")]
    HalfIdentity,
    #[error("cannot set up TLS to the OTLP receiver: {0}")]
    Tls(String),
    #[error("cannot start the thread that sends spans: {0}")]
    Thread(std::io::Error),
}

/// Everything that sending needs, checked.
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
    /// variable, nor `OTEL_TRACES_EXPORTER` says `otlp`. (Where that says `none`, only the options
    /// count.) A traced program's terminal is no place to find out that nothing listens on 4318.
    ///
    /// Values of variables that are not understood are warned of and ignored, as the specification
    /// says, except for endpoints and files.
    ///
    /// # Errors
    ///
    /// If an option, an endpoint or a file of certificates cannot be used.
    pub fn resolve(
        options: &OtlpOptions,
        variables: &Variables,
    ) -> Result<Option<Self>, OtlpError> {
        let source = Source(variables);
        let exporter = variables.get("OTEL_TRACES_EXPORTER");
        let given = match (&options.endpoint, exporter) {
            (Some(endpoint), _) => Some(Given::Option(endpoint)),
            (None, Some("none")) => None,
            (None, _) => source.endpoint(),
        };
        if given.is_none() && exporter != Some("otlp") {
            return Ok(None);
        }
        let protocol = options.protocol.or_else(|| source.protocol());
        let (protocol, endpoint) = endpoint(given, protocol, &source)?;
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
                items: options
                    .queue_spans
                    .or_else(|| number(variables, "OTEL_BSP_MAX_QUEUE_SIZE"))
                    .map_or(QUEUE_ITEMS, NonZeroUsize::get),
                bytes: options.queue_bytes.map_or(QUEUE_BYTES, NonZeroUsize::get),
            },
            batch_items: number(variables, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
                .map_or(BATCH_ITEMS, NonZeroUsize::get),
            schedule_delay: number(variables, "OTEL_BSP_SCHEDULE_DELAY")
                .map_or(SCHEDULE_DELAY, Duration::from_millis),
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
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`: used as it is.
    Traces(&'a str),
}

/// The variables of the OTLP exporter, in their two forms.
struct Source<'a>(&'a Variables);

impl<'a> Source<'a> {
    fn endpoint(&self) -> Option<Given<'a>> {
        let traces = self.0.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(Given::Traces);
        traces.or_else(|| self.0.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(Given::General))
    }

    /// The form for traces wins.
    fn get(&self, name: &str) -> Option<&'a str> {
        let traces = self.0.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
        traces.or_else(|| self.0.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
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

/// The protocol is `http/protobuf` where none is given, as the specification says, except that a
/// receiver on port 4317 is spoken to by gRPC: that port is OTLP/gRPC's, and HTTP fails there always.
fn endpoint(
    given: Option<Given<'_>>,
    protocol: Option<Protocol>,
    source: &Source<'_>,
) -> Result<(Protocol, Url), OtlpError> {
    let (origin, text) = match given {
        Some(Given::Option(text)) => ("the OTLP endpoint", text),
        Some(Given::General(text)) => ("OTEL_EXPORTER_OTLP_ENDPOINT", text),
        Some(Given::Traces(text)) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text),
        None if protocol == Some(Protocol::Grpc) => ("", GRPC_ENDPOINT),
        None => ("", HTTP_ENDPOINT),
    };
    let error = |reason: String| OtlpError::Endpoint { origin, value: text.to_owned(), reason };
    // Only for gRPC's endpoint variables may the scheme be missing; `INSECURE` then says which.
    let is_bare = protocol == Some(Protocol::Grpc)
        && !matches!(given, Some(Given::Option(_)))
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
    let is_base = !matches!(given, Some(Given::Traces(_)));
    if protocol == Protocol::HttpProtobuf && is_base {
        let path = url.path().trim_end_matches('/');
        // A user who gives the whole URL of a receiver's traces to llmtap means just that.
        let is_whole = matches!(given, Some(Given::Option(_))) && path.ends_with(TRACES_PATH);
        let path = if is_whole { path.to_owned() } else { format!("{path}/{TRACES_PATH}") };
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
