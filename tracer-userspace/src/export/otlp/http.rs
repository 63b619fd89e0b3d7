//! OTLP/HTTP with Protobuf.
//! Takes a message; gives the receiver's [`Answer`].
//! Knows which answers may be retried (OTLP specification, "OTLP/HTTP Response").

use std::{io::Write, time::Duration};

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use flate2::write::GzEncoder;
use prost::Message;
use reqwest::{Certificate, Url, redirect};

use super::{
    settings::{Compression, OtlpError, OtlpSettings},
    signal::Item,
    transport::{Answer, USER_AGENT, accepted, chain, shown},
};

const PROTOBUF: &str = "application/x-protobuf";

/// Redirections that are followed.
const REDIRECTS: usize = 3;

/// Bytes of an answer's body that are read: it is a few numbers and a sentence.
const ANSWER_LIMIT: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Url,
    /// What is the same for every request.
    headers: HeaderMap,
    compression: Compression,
}

impl Http {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, OtlpError> {
        let tls = |error: reqwest::Error| OtlpError::Tls(chain(&error));
        let mut client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .timeout(settings.timeout)
            .redirect(redirects());
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

    pub(super) async fn send<M: Item>(&self, message: &M::Request) -> Answer {
        let body = match compressed(message.encode_to_vec(), self.compression) {
            Ok(body) => body,
            Err(error) => return Answer::Refused(format!("cannot compress: {error}")),
        };
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone());
        match request.body(body).send().await {
            Ok(response) => http_answer::<M>(response).await,
            Err(error) => Answer::Later { after: None, reason: chain(&error.without_url()) },
        }
    }
}

/// Only redirections that repeat the request as it is (RFC 9110 §15.4.8 and §15.4.9): after the others
/// a GET would be answered, and what was sent be lost in silence.
fn redirects() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let repeats = matches!(
            attempt.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        if repeats && attempt.previous().len() <= REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
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

async fn http_answer<M: Item>(mut response: reqwest::Response) -> Answer {
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
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_protobuf = kind == Some(PROTOBUF);
    if status.is_success() && kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return Answer::Refused("the answer is a web page: this is no OTLP receiver".to_owned());
    }
    if status.is_success() {
        // A receiver that answers with an empty body, or in JSON, rejected nothing that we know of.
        let answer = is_protobuf.then(|| M::Response::decode(&body[..]));
        return accepted::<M>(answer.and_then(Result::ok).unwrap_or_default());
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
