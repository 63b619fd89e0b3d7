//! One request to an OTLP receiver, over gRPC or HTTP, and what its answer means.
//! Takes an `ExportTraceServiceRequest`; gives an [`Answer`].
//! Knows which answers may be retried (OTLP specification 1.x, "OTLP/gRPC Throttling", "OTLP/HTTP
//! Response").
//!
//! `opentelemetry-otlp`'s own exporter is not used: it sends under one resource at a time, and tells
//! its caller neither how many spans a receiver rejected nor whether a failure may be retried.

use std::{error::Error, io::Write, time::Duration};

use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, trace_service_client::TraceServiceClient,
};
use prost::Message;
use reqwest::{Certificate, Url};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tonic::{
    Code,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt;

use super::settings::{Compression, OtlpError, OtlpSettings, Protocol};

const USER_AGENT: &str = concat!("llmtap/", env!("CARGO_PKG_VERSION"));
const PROTOBUF: &str = "application/x-protobuf";

/// Bytes of an answer's body that are read: it is a few numbers and a sentence.
const ANSWER_LIMIT: usize = 64 << 10;

/// Characters of a receiver's words that are shown.
const WORDS_LIMIT: usize = 200;

/// What a receiver made of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Taken, except for as many spans; with the receiver's words.
    Accepted { rejected: u64, words: String },
    /// Not taken, and never will be.
    Refused(String),
    /// Not taken now; to be tried again, after that long if the receiver said so.
    Later { after: Option<Duration>, reason: String },
}

#[derive(Debug)]
pub(super) enum Transport {
    Http(Http),
    Grpc(Grpc),
}

impl Transport {
    /// Must be called inside a tokio runtime. Connects when the first request is sent.
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, OtlpError> {
        // Another part of the process may have chosen already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if let Some(authorities) = &settings.authorities {
            check_authorities(authorities)?;
        }
        match settings.protocol {
            Protocol::HttpProtobuf => Ok(Self::Http(Http::new(settings)?)),
            Protocol::Grpc => Ok(Self::Grpc(Grpc::new(settings)?)),
        }
    }

    pub(super) async fn send(&self, request: &ExportTraceServiceRequest) -> Answer {
        match self {
            Self::Http(http) => http.send(request).await,
            Self::Grpc(grpc) => grpc.send(request).await,
        }
    }
}

/// The clients pass over what is no certificate, and would then trust nobody.
fn check_authorities(pem: &[u8]) -> Result<(), OtlpError> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| OtlpError::Tls(error.to_string()))?;
        authorities.add(certificate).map_err(|error| OtlpError::Tls(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(OtlpError::Tls("the file of authorities has no certificate".to_owned()));
    }
    Ok(())
}

#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Url,
    /// What is the same for every request.
    headers: HeaderMap,
    compression: Compression,
}

impl Http {
    fn new(settings: &OtlpSettings) -> Result<Self, OtlpError> {
        let tls = |error: reqwest::Error| OtlpError::Tls(chain(&error));
        let mut client =
            reqwest::Client::builder().user_agent(USER_AGENT).timeout(settings.timeout);
        if let Some(authorities) = &settings.authorities {
            client = client.tls_certs_only(Certificate::from_pem_bundle(authorities).map_err(tls)?);
        }
        if let Some(identity) = &settings.identity {
            let pem = [&identity.key[..], b"\n", &identity.certificate].concat();
            client = client.identity(reqwest::Identity::from_pem(&pem).map_err(tls)?);
        }
        let mut headers = settings.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        let coding = match settings.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Ok(Self {
            client: client.build().map_err(tls)?,
            endpoint: settings.endpoint.clone(),
            headers,
            compression: settings.compression,
        })
    }

    async fn send(&self, message: &ExportTraceServiceRequest) -> Answer {
        let body = match compressed(message.encode_to_vec(), self.compression) {
            Ok(body) => body,
            Err(error) => return Answer::Refused(format!("cannot compress: {error}")),
        };
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone());
        match request.body(body).send().await {
            Ok(response) => http_answer(response).await,
            Err(error) => Answer::Later { after: None, reason: chain(&error.without_url()) },
        }
    }
}

fn compressed(body: Vec<u8>, compression: Compression) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(&body, 0),
    }
}

async fn http_answer(mut response: reqwest::Response) -> Answer {
    let status = response.status();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    // A body that breaks off changes nothing of what the status says.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_LIMIT - body.len())]);
        if body.len() == ANSWER_LIMIT {
            break;
        }
    }
    let is_protobuf = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROTOBUF);
    if status.is_success() {
        // A receiver that answers with an empty body, or in JSON, rejected nothing that we know of.
        let answer = is_protobuf.then(|| ExportTraceServiceResponse::decode(&body[..]));
        return accepted(answer.and_then(Result::ok).unwrap_or_default());
    }
    let words = match tonic_types::Status::decode(&body[..]) {
        Ok(status) if is_protobuf => shown(&status.message),
        _ => shown(&String::from_utf8_lossy(&body)),
    };
    let reason = if words.is_empty() { status.to_string() } else { format!("{status}: {words}") };
    // "All other 4xx or 5xx response status codes MUST NOT be retried."
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Later { after: retry_after(&headers), reason },
        _ => Answer::Refused(reason),
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(std::time::SystemTime::now()).ok()
}

fn accepted(response: ExportTraceServiceResponse) -> Answer {
    let partial = response.partial_success.unwrap_or_default();
    Answer::Accepted {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        words: shown(&partial.error_message),
    }
}

#[derive(Debug)]
pub(super) struct Grpc {
    client: TraceServiceClient<Channel>,
    metadata: MetadataMap,
    timeout: Duration,
}

impl Grpc {
    fn new(settings: &OtlpSettings) -> Result<Self, OtlpError> {
        let tls_error = |error: tonic::transport::Error| OtlpError::Tls(chain(&error));
        let mut endpoint = Endpoint::from_shared(settings.receiver())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(tls_error)?
            .connect_timeout(settings.timeout);
        if settings.endpoint.scheme() == "https" {
            let mut tls = match &settings.authorities {
                Some(pem) => ClientTlsConfig::new()
                    .ca_certificate(tonic::transport::Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            if let Some(identity) = &settings.identity {
                let (certificate, key) = (&identity.certificate, &identity.key);
                tls = tls.identity(tonic::transport::Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(tls_error)?;
        }
        let mut client = TraceServiceClient::new(endpoint.connect_lazy());
        let coding = match settings.compression {
            Compression::None => None,
            Compression::Gzip => Some(CompressionEncoding::Gzip),
            Compression::Zstd => Some(CompressionEncoding::Zstd),
        };
        if let Some(coding) = coding {
            client = client.send_compressed(coding).accept_compressed(coding);
        }
        let metadata = MetadataMap::from_headers(settings.headers.clone());
        Ok(Self { client, metadata, timeout: settings.timeout })
    }

    async fn send(&self, message: &ExportTraceServiceRequest) -> Answer {
        let mut request = tonic::Request::new(message.clone());
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(self.timeout);
        let mut client = self.client.clone();
        match tokio::time::timeout(self.timeout, client.export(request)).await {
            Ok(Ok(response)) => accepted(response.into_inner()),
            Ok(Err(status)) => grpc_answer(&status),
            Err(_) => Answer::Later {
                after: None,
                reason: format!("no answer within {:?}", self.timeout),
            },
        }
    }
}

fn grpc_answer(status: &tonic::Status) -> Answer {
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    // With a source the status was made here, of a connection that failed.
    let is_local = status.source().is_some();
    let reason = match status.source() {
        Some(source) => chain(source),
        None => format!("{:?}: {}", status.code(), shown(status.message())),
    };
    let may_be_retried = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // "Only if the server signals that recovery from resource exhaustion is possible."
        Code::ResourceExhausted => after.is_some(),
        _ => is_local,
    };
    if may_be_retried { Answer::Later { after, reason } } else { Answer::Refused(reason) }
}

/// An error and what caused it, each part once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !words.ends_with(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        next = cause.source();
    }
    words
}

/// A receiver's words on one line of bounded length, without control characters.
fn shown(words: &str) -> String {
    let line: String = words
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(WORDS_LIMIT)
        .collect();
    line.trim().to_owned()
}
