//! OTLP/gRPC.
//! Takes a message; gives the receiver's [`Answer`].
//! Knows which answers may be retried (OTLP specification, "OTLP/gRPC Response" and "Throttling").

use std::{error::Error, time::Duration};

use ::http::uri::PathAndQuery;
use tonic::{
    Code, Status,
    client::Grpc as Client,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use super::{
    settings::{Compression, OtlpError, OtlpSettings},
    signal::Item,
    transport::{Answer, USER_AGENT, accepted, chain, shown},
};

#[derive(Debug)]
pub(super) struct Grpc {
    endpoint: Endpoint,
    client: Client<Channel>,
    coding: Option<CompressionEncoding>,
    metadata: MetadataMap,
    timeout: Duration,
}

impl Grpc {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, OtlpError> {
        let tls_error = |error: tonic::transport::Error| OtlpError::Tls(chain(&error));
        let mut endpoint = Endpoint::from_shared(settings.receiver())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(tls_error)?
            .connect_timeout(settings.timeout);
        if settings.endpoint.scheme() == "https" {
            let mut tls = match &settings.authorities {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            if let Some(identity) = &settings.identity {
                let (certificate, key) = (&identity.certificate, &identity.key);
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(tls_error)?;
        }
        let coding = match settings.compression {
            Compression::None => None,
            Compression::Gzip => Some(CompressionEncoding::Gzip),
            Compression::Zstd => Some(CompressionEncoding::Zstd),
        };
        Ok(Self {
            client: connected(&endpoint, coding),
            endpoint,
            coding,
            metadata: MetadataMap::from_headers(settings.headers.clone()),
            timeout: settings.timeout,
        })
    }

    pub(super) async fn send<M: Item>(&mut self, message: &M::Request) -> Answer {
        match tokio::time::timeout(self.timeout, self.call::<M>(message)).await {
            Ok(Ok(response)) => accepted::<M>(response),
            Ok(Err(status)) => grpc_answer(&status),
            Err(_) => {
                // A connection whose other end vanished would swallow the next request as well.
                self.client = connected(&self.endpoint, self.coding);
                let reason = format!("no answer within {:?}", self.timeout);
                Answer::Later { after: None, reason }
            }
        }
    }

    async fn call<M: Item>(&mut self, message: &M::Request) -> Result<M::Response, Status> {
        let mut request = tonic::Request::new(message.clone());
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(self.timeout);
        self.client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let codec = ProstCodec::<M::Request, M::Response>::default();
        let method = PathAndQuery::from_static(M::METHOD);
        Ok(self.client.unary(request, method, codec).await?.into_inner())
    }
}

/// Connects when it is first used, and again after a connection ended.
fn connected(endpoint: &Endpoint, coding: Option<CompressionEncoding>) -> Client<Channel> {
    let client = Client::new(endpoint.connect_lazy());
    match coding {
        Some(coding) => client.send_compressed(coding).accept_compressed(coding),
        None => client,
    }
}

fn grpc_answer(status: &Status) -> Answer {
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
