//! The part of the mixed load that is made by hyper over OpenSSL (through native-tls).
//! Takes a port and a job, one connection a line; makes all of them at once.
//! Ends with an error if an answer's status is not the planned one.

use std::{env, fs, net::Ipv4Addr};

use anyhow::{Context, Result, bail, ensure};
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use llmtap_tests::mixed::{Call, Connection, Pieces, Protocol};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_native_tls::{TlsConnector, TlsStream, native_tls};

/// `origin`: where the request goes; HTTP/2 says it in the target, HTTP/1.1 in a field.
fn request(call: &Call, origin: &str, is_http2: bool) -> Result<Request<Pieces>> {
    let mut request = Request::builder().method(call.method.as_str());
    request = if is_http2 {
        request.uri(format!("https://{origin}{}", call.path))
    } else {
        request.uri(&call.path).header("host", origin)
    };
    for (name, value) in call.fields()? {
        request = request.header(name, value);
    }
    Ok(request.body(Pieces::new(call.pieces()?, false))?)
}

/// Reads the answer to its end, or up to its first bytes.
async fn take(call: &Call, mut response: Response<Incoming>) -> Result<()> {
    ensure!(response.status() == call.plan.status, "{}: {}", call.plan.id, response.status());
    while let Some(frame) = response.frame().await {
        if frame?.is_data() && call.plan.hangs {
            return Ok(());
        }
    }
    ensure!(!call.plan.hangs, "{}: ended, and should hang", call.plan.id);
    Ok(())
}

async fn over_http1(tls: TlsStream<TcpStream>, port: u16, calls: Vec<Call>) -> Result<()> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
    let connection = tokio::spawn(connection);
    let origin = format!("localhost:{port}");
    for call in &calls {
        sender.ready().await?;
        let response = sender.send_request(request(call, &origin, false)?).await?;
        take(call, response).await?;
    }
    drop(sender);
    // An answer that was left ends it with an error.
    let _ = connection.await?;
    Ok(())
}

async fn over_http2(tls: TlsStream<TcpStream>, port: u16, calls: Vec<Call>) -> Result<()> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
    let connection = tokio::spawn(connection);
    let origin = format!("localhost:{port}");
    for round in calls.chunks(Connection::STREAMS) {
        let mut streams = JoinSet::new();
        for call in round {
            let (call, mut sender) = (call.clone(), sender.clone());
            let request = request(&call, &origin, true)?;
            streams.spawn(async move { take(&call, sender.send_request(request).await?).await });
        }
        while let Some(ended) = streams.join_next().await {
            ended??;
        }
    }
    drop(sender);
    connection.await??;
    Ok(())
}

async fn connect(port: u16, connection: Connection) -> Result<()> {
    let alpn = if connection.protocol == Protocol::Http2 { "h2" } else { "http/1.1" };
    let connector = native_tls::TlsConnector::builder().request_alpns(&[alpn]).build()?;
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let tls = TlsConnector::from(connector).connect("localhost", tcp).await?;
    match connection.protocol {
        Protocol::Http1 => over_http1(tls, port, connection.calls).await,
        Protocol::Http2 => over_http2(tls, port, connection.calls).await,
        Protocol::Pipelined | Protocol::WebSocket => bail!("not made by this program"),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [port, job] = arguments.as_slice() else { bail!("usage: mixed_client PORT JOB") };
    let port = port.parse().context("no port")?;
    let mut connections = JoinSet::new();
    for line in fs::read_to_string(job)?.lines() {
        connections.spawn(connect(port, serde_json::from_str(line)?));
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    Ok(())
}
