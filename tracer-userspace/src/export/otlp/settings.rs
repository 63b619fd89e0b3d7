//! Where and how to send OTLP, from the command line, the configuration and the standard variables.
//! Takes [`OtlpOptions`] and [`Variables`]; gives [`OtlpSettings`], or a sentence saying what is wrong.
//! What the user gave to llmtap wins over the variables, and of these the form for traces
//! (specification "OpenTelemetry Protocol Exporter").

use std::{path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProtobuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
}

/// What the user asked of llmtap itself; what is absent comes from the standard variables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtlpOptions {
    /// Base URL of the receiver, to which OTLP/HTTP appends `/v1/traces` if it does not end so.
    pub endpoint: Option<String>,
    /// `grpc` or `http/protobuf`.
    pub protocol: Option<String>,
    pub headers: Vec<(String, String)>,
    /// For one request.
    pub timeout: Option<Duration>,
    /// `gzip`, `zstd` or `none`.
    pub compression: Option<String>,
    /// PEM file of the authorities to trust instead of the system's.
    pub certificate: Option<PathBuf>,
    /// PEM files of the client's own certificate and its key.
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// Spans that the queue holds.
    pub queue_items: Option<usize>,
    /// Encoded bytes that the queue holds.
    pub queue_bytes: Option<usize>,
}

/// A setting that cannot be used. The words are for the user.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error(
        "{origin}: {value:?} is not the URL of an OTLP receiver: {reason} \
         (such a URL looks like {HTTP_ENDPOINT})"
    )]
    Endpoint { origin: &'static str, value: String, reason: String },
    #[error("OTLP protocol {0:?} is unknown (known: grpc, http/protobuf)")]
    Protocol(String),
    #[error("OTLP compression {0:?} is unknown (known: gzip, zstd, none)")]
    Compression(String),
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
    pub(super) compression: Option<Compression>,
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
        let protocol = protocol(options, &source)?;
        let (protocol, endpoint) = endpoint(given, protocol, &source)?;
        Ok(Some(Self {
            endpoint,
            protocol,
            headers: headers(options, &source)?,
            timeout: options.timeout.or_else(|| source.milliseconds("TIMEOUT")).unwrap_or(TIMEOUT),
            compression: compression(options, &source)?,
            authorities: source.file("CERTIFICATE", options.certificate.as_ref())?,
            identity: identity(options, &source)?,
            queue: Bounds {
                items: options
                    .queue_items
                    .or_else(|| number(variables, "OTEL_BSP_MAX_QUEUE_SIZE"))
                    .unwrap_or(QUEUE_ITEMS),
                bytes: options.queue_bytes.unwrap_or(QUEUE_BYTES),
            },
            batch_items: number(variables, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(BATCH_ITEMS),
            schedule_delay: number(variables, "OTEL_BSP_SCHEDULE_DELAY")
                .map_or(SCHEDULE_DELAY, |delay: u32| Duration::from_millis(delay.into())),
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

    fn milliseconds(&self, name: &str) -> Option<Duration> {
        let text = self.get(name)?;
        match text.parse() {
            Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
            Err(_) => ignored(&format!("OTEL_EXPORTER_OTLP_{name}"), text),
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

fn number<T: std::str::FromStr + PartialEq + From<u8>>(
    variables: &Variables,
    name: &str,
) -> Option<T> {
    let text = variables.get(name)?;
    match text.parse() {
        Ok(number) if number != T::from(0) => Some(number),
        _ => ignored(name, text),
    }
}

fn protocol(options: &OtlpOptions, source: &Source<'_>) -> Result<Option<Protocol>, OtlpError> {
    let parse = |text: &str| match text {
        "grpc" => Some(Protocol::Grpc),
        "http/protobuf" => Some(Protocol::HttpProtobuf),
        _ => None,
    };
    match (&options.protocol, source.get("PROTOCOL")) {
        (Some(text), _) => match parse(text) {
            Some(protocol) => Ok(Some(protocol)),
            None => Err(OtlpError::Protocol(text.clone())),
        },
        (None, Some(text)) => {
            Ok(parse(text).or_else(|| ignored("OTEL_EXPORTER_OTLP_PROTOCOL", text)))
        }
        (None, None) => Ok(None),
    }
}

fn compression(
    options: &OtlpOptions,
    source: &Source<'_>,
) -> Result<Option<Compression>, OtlpError> {
    let parse = |text: &str| match text {
        "none" => Some(None),
        "gzip" => Some(Some(Compression::Gzip)),
        "zstd" => Some(Some(Compression::Zstd)),
        _ => None,
    };
    match (&options.compression, source.get("COMPRESSION")) {
        (Some(text), _) => parse(text).ok_or_else(|| OtlpError::Compression(text.clone())),
        (None, Some(text)) => {
            Ok(parse(text).or_else(|| ignored("OTEL_EXPORTER_OTLP_COMPRESSION", text)).flatten())
        }
        (None, None) => Ok(None),
    }
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
