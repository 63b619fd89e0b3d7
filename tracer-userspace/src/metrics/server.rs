//! The HTTP server of metrics, on a thread of its own.
//! Takes requests from anyone who can connect; gives text, within bounds on connections, heads and time.
//! Health and readiness belong here too, beside `/metrics` in [`answer`].

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use ::http::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{declarations::Source, process, text};
use crate::session::{Board, Scrape};

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 16;
/// Bytes of a request's head.
const HEAD: usize = 8 << 10;
/// Header fields of a request.
const FIELDS: usize = 64;
/// One connection carries one request; all of it must be over by then.
const TIME: Duration = Duration::from_secs(10);
/// After a connection could not be taken, as when there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("cannot serve metrics at {address}: {source}; choose another address or port")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot start the thread that serves metrics: {0}")]
    Thread(#[from] io::Error),
}

/// A server that has its address and answers nothing yet.
#[derive(Debug)]
pub struct Metrics {
    listener: std::net::TcpListener,
    address: SocketAddr,
    shown: Shown,
}

/// What there is to show.
#[derive(Clone, Debug, Default)]
struct Shown {
    board: Board,
    calls: Scrape,
}

impl Metrics {
    /// # Errors
    /// If the address can't be had.
    pub fn bind(address: SocketAddr) -> Result<Self, MetricsError> {
        let bind = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address, shown: Shown::default() })
        };
        bind().map_err(|source| MetricsError::Bind { address, source })
    }

    /// Where it listens, the port told by the kernel if none was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it will show of the run.
    pub fn board(&self) -> &Board {
        &self.shown.board
    }

    /// What it will show of calls.
    pub fn calls(&self) -> &Scrape {
        &self.shown.calls
    }

    /// Answers from now on, until the process ends.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn serve(self) -> Result<(), MetricsError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("metrics".into()).spawn(move || {
            runtime.block_on(async {
                match TcpListener::from_std(self.listener) {
                    Ok(listener) => accept(&listener, &self.shown).await,
                    Err(error) => tracing::error!(%error, "metrics are not served"),
                }
            });
        })?;
        Ok(())
    }
}

async fn accept(listener: &TcpListener, shown: &Shown) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shown = shown.clone();
                tokio::spawn(async move {
                    // Who is too slow is left.
                    let _ = tokio::time::timeout(TIME, connection(stream, shown)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, shown: Shown) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = answer(request.method(), request.uri().path(), &shown);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD)
        .max_headers(FIELDS)
        .timer(TokioTimer::new())
        .header_read_timeout(TIME)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a request for metrics broke off");
    }
}

fn answer(method: &Method, path: &str, shown: &Shown) -> Response<Full<Bytes>> {
    let refuse = |status: StatusCode| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        response
    };
    if path != "/metrics" {
        return refuse(StatusCode::NOT_FOUND);
    }
    if method != Method::GET && method != Method::HEAD {
        let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, ::http::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let source = Source {
        status: shown.board.read(),
        programs: shown.board.programs(),
        usage: process::usage(),
    };
    match text::of(source, &shown.calls) {
        Ok(text) => {
            let mut response = Response::new(Full::new(Bytes::from(text)));
            let kind = ::http::HeaderValue::from_static(text::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            refuse(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    use super::*;

    fn server() -> SocketAddr {
        let metrics = Metrics::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = metrics.address();
        metrics.serve().unwrap();
        address
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        // A server that refused may have closed already.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn metrics_are_at_their_path_alone() {
        let address = server();
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"));
        assert!(answer.ends_with("# EOF\n"), "{answer}");
        let head = ask(address, "HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let other = ask(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
        let post = ask(address, "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    }

    #[test]
    fn large_heads_are_refused() {
        let address = server();
        let long = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(2 * HEAD));
        assert!(!ask(address, &long).contains("200 OK"));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS + 1));
        assert!(!ask(address, &many).contains("200 OK"));
        assert!(ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").contains("200 OK"));
    }

    #[test]
    fn idle_connections_give_way_in_time() {
        let address = server();
        let _idle: Vec<_> =
            (0..2 * CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }

    #[test]
    fn taken_address_is_told() {
        let first = Metrics::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Metrics::bind(first.address()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot serve metrics at {}: ", first.address())));
    }
}
