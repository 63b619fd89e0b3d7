//! An OTLP receiver that can be down, slow and choosy: gRPC by tonic, HTTP by hyper, TLS by rustls.

use std::{
    convert::Infallible,
    io::Read,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tonic::{
    codec::CompressionEncoding,
    transport::{Identity, Server, ServerTlsConfig},
};

use crate::export::Protocol;

/// What the next request gets for an answer; without one it is accepted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Busy,
    Refuse,
    Reject(i64),
    /// To a page that a GET would find.
    Redirect(StatusCode),
    Page,
    Hang,
}

/// One signal's request; the others' are empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub headers: HeaderMap,
    pub message: ExportTraceServiceRequest,
    pub metrics: ExportMetricsServiceRequest,
    pub logs: ExportLogsServiceRequest,
}

impl Request {
    pub(super) fn coding(&self) -> Option<String> {
        let coding = self.headers.get("content-encoding").or(self.headers.get("grpc-encoding"));
        coding.map(|coding| coding.to_str().unwrap().to_owned())
    }
}

#[derive(Clone, Debug, Default)]
struct Log {
    requests: Arc<Mutex<Vec<Request>>>,
    replies: Arc<Mutex<Vec<Reply>>>,
}

impl Log {
    fn take(&self, request: Request) -> Option<Reply> {
        self.requests.lock().unwrap().push(request);
        self.replies.lock().unwrap().pop()
    }

    /// How many were rejected, if it was accepted at all.
    async fn answer_grpc(&self, request: Request) -> Result<i64, tonic::Status> {
        match self.take(request) {
            Some(Reply::Busy) => Err(tonic::Status::unavailable("later")),
            Some(Reply::Refuse) => Err(tonic::Status::permission_denied("no such tenant")),
            Some(Reply::Hang) => std::future::pending().await,
            Some(Reply::Reject(rejected)) => Ok(rejected),
            Some(Reply::Redirect(_) | Reply::Page) => panic!("not in gRPC"),
            None => Ok(0),
        }
    }
}

pub(super) struct Receiver {
    is_grpc: bool,
    tls: Option<Tls>,
    address: SocketAddr,
    log: Log,
    runtime: Option<Runtime>,
}

#[derive(Clone)]
struct Tls {
    authority: String,
    certificate: String,
    key: String,
}

impl Receiver {
    pub(super) fn grpc() -> Self {
        Self::new(true, None)
    }

    pub(super) fn http() -> Self {
        Self::new(false, None)
    }

    pub(super) fn grpc_tls() -> Self {
        Self::new(true, Some(Tls::new()))
    }

    pub(super) fn http_tls() -> Self {
        Self::new(false, Some(Tls::new()))
    }

    fn new(is_grpc: bool, tls: Option<Tls>) -> Self {
        // The port stays the same over stop and start, so nobody else may get it meanwhile.
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut receiver = Self { is_grpc, tls, address, log: Log::default(), runtime: None };
        receiver.start();
        receiver
    }

    pub(super) fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let socket = {
            let _inside = runtime.enter();
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(self.address).unwrap();
            socket.listen(64).unwrap()
        };
        let (log, tls) = (self.log.clone(), self.tls.clone());
        if self.is_grpc {
            runtime.spawn(serve_grpc(socket, log, tls));
        } else {
            runtime.spawn(serve_http(socket, log, tls));
        }
        self.runtime = Some(runtime);
    }

    /// Closes the listener and all connections.
    pub(super) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    pub(super) fn protocol(&self) -> Protocol {
        if self.is_grpc { Protocol::Grpc } else { Protocol::HttpProtobuf }
    }

    pub(super) fn authority(&self) -> Option<Vec<u8>> {
        self.tls.as_ref().map(|tls| tls.authority.clone().into_bytes())
    }

    pub(super) fn next(&self, reply: Reply) {
        self.log.replies.lock().unwrap().push(reply);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Tls {
    fn new() -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        Self {
            authority: authority.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate], key).unwrap()).into()
    }
}

async fn serve_grpc(listener: TcpListener, log: Log, tls: Option<Tls>) {
    let mut server = Server::builder();
    if let Some(tls) = tls {
        let identity = Identity::from_pem(tls.certificate, tls.key);
        server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
    }
    let codings = [CompressionEncoding::Gzip, CompressionEncoding::Zstd];
    let [gzip, zstd] = codings;
    let traces = TraceServiceServer::new(log.clone());
    let metrics = MetricsServiceServer::new(log.clone());
    let logs = LogsServiceServer::new(log);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    server
        .add_service(traces.accept_compressed(gzip).accept_compressed(zstd))
        .add_service(metrics.accept_compressed(gzip).accept_compressed(zstd))
        .add_service(logs.accept_compressed(gzip).accept_compressed(zstd))
        .serve_with_incoming(incoming)
        .await
        .unwrap();
}

#[tonic::async_trait]
impl TraceService for Log {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        let message = request.into_inner();
        let rejected = self.answer_grpc(Request { headers, message, ..Request::default() }).await?;
        Ok(tonic::Response::new(ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: rejected,
                error_message: words(rejected),
            }),
        }))
    }
}

#[tonic::async_trait]
impl MetricsService for Log {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        let metrics = request.into_inner();
        let rejected = self.answer_grpc(Request { headers, metrics, ..Request::default() }).await?;
        Ok(tonic::Response::new(ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points: rejected,
                error_message: words(rejected),
            }),
        }))
    }
}

#[tonic::async_trait]
impl LogsService for Log {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        let logs = request.into_inner();
        let rejected = self.answer_grpc(Request { headers, logs, ..Request::default() }).await?;
        Ok(tonic::Response::new(ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: rejected,
                error_message: words(rejected),
            }),
        }))
    }
}

fn words(rejected: i64) -> String {
    if rejected > 0 { "too old".to_owned() } else { String::new() }
}

/// The responses of all signals are the same on the wire.
fn partial(rejected_spans: i64) -> Vec<u8> {
    let error_message = words(rejected_spans);
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

async fn serve_http(listener: TcpListener, log: Log, tls: Option<Tls>) {
    let acceptor = tls.as_ref().map(Tls::acceptor);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let log = log.clone();
        let service = service_fn(move |request| answer(request, log.clone()));
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            // A client that does not trust us ends the connection: no concern of this side.
            let _ = match acceptor {
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
                None => http.serve_connection(TokioIo::new(stream), service).await,
            };
        });
    }
}

async fn answer(
    request: http::Request<Incoming>,
    log: Log,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.method(), "POST");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let (head, body) = request.into_parts();
    let body = decoded(&head.headers, &body.collect().await.unwrap().to_bytes());
    let mut request = Request { headers: head.headers, ..Request::default() };
    let path = head.uri.path().to_owned();
    match path.as_str() {
        "/v1/traces" => request.message = Message::decode(&body[..]).unwrap(),
        "/v1/metrics" => request.metrics = Message::decode(&body[..]).unwrap(),
        "/v1/logs" => request.logs = Message::decode(&body[..]).unwrap(),
        other => panic!("{other}"),
    }
    let response = Response::builder().header("content-type", "application/x-protobuf");
    let (response, body) = match log.take(request) {
        Some(Reply::Busy) => (response.status(StatusCode::SERVICE_UNAVAILABLE), Vec::new()),
        Some(Reply::Refuse) => {
            let message = "no such tenant".to_owned();
            let status = tonic_types::Status { code: 7, message, details: vec![] };
            (response.status(StatusCode::FORBIDDEN), status.encode_to_vec())
        }
        Some(Reply::Hang) => std::future::pending().await,
        Some(Reply::Reject(rejected)) => (response, partial(rejected)),
        Some(Reply::Redirect(status)) => {
            (response.status(status).header("location", path), Vec::new())
        }
        Some(Reply::Page) => {
            let page = Response::builder().header("content-type", "text/html; charset=utf-8");
            (page, b"<html>".to_vec())
        }
        None => (response, Vec::new()),
    };
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}

fn decoded(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    match headers.get("content-encoding").map(|coding| coding.to_str().unwrap()) {
        None => body.to_vec(),
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
            plain
        }
        Some("zstd") => zstd::decode_all(body).unwrap(),
        Some(other) => panic!("coding {other}"),
    }
}
