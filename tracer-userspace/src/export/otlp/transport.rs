//! One request to an OTLP receiver and what its answer means, whatever the protocol.
//! Takes a signal's request; gives an [`Answer`].
//!
//! `opentelemetry-otlp`'s own exporter is not used: it sends under one resource at a time, and tells
//! its caller neither how much a receiver rejected nor whether a failure may be retried.

use std::{error::Error, time::Duration};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    grpc::Grpc,
    http::Http,
    settings::{OtlpError, OtlpSettings, Protocol},
    signal::Item,
};

pub(super) const USER_AGENT: &str = concat!("llmtap/", env!("CARGO_PKG_VERSION"));

/// Characters of a receiver's words that are shown.
const WORDS_LIMIT: usize = 200;

/// What a receiver made of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Taken, except for as many items; with the receiver's words.
    Accepted { rejected: u64, words: String },
    /// Not taken, and never will be.
    Refused(String),
    /// Not taken now; to be tried again, after that long if the receiver said so.
    Later { after: Option<Duration>, reason: String },
}

#[derive(Debug)]
pub(super) enum Transport {
    Http(Http),
    Grpc(Box<Grpc>),
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
            Protocol::Grpc => Ok(Self::Grpc(Box::new(Grpc::new(settings)?))),
        }
    }

    pub(super) async fn send<M: Item>(&mut self, request: &M::Request) -> Answer {
        match self {
            Self::Http(http) => http.send::<M>(request).await,
            Self::Grpc(grpc) => grpc.send::<M>(request).await,
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

/// A receiver's answer to a request that it took.
pub(super) fn accepted<M: Item>(response: M::Response) -> Answer {
    let (rejected, words) = M::rejected(response);
    Answer::Accepted { rejected: u64::try_from(rejected).unwrap_or(0), words: shown(&words) }
}

/// An error and what caused it, each part once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
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
pub(super) fn shown(words: &str) -> String {
    let line: String = words
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(WORDS_LIMIT)
        .collect();
    line.trim().to_owned()
}
