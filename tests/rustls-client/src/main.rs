//! The calls of a mixed load by reqwest over rustls, whose functions this program holds.
//! Takes a port, a job (one connection a line) and perhaps `1.2`, the newest TLS to speak; makes all
//! connections at once. Ends with an error if an answer's status is not the planned one.

use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::stream;
use reqwest::{Body, Certificate, Client, Method, Response, tls::Version};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

/// Calls at a time over HTTP/2.
const STREAMS: usize = 20;

#[derive(Deserialize)]
struct Connection {
    protocol: String,
    calls: Vec<Call>,
}

#[derive(Clone, Deserialize)]
struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    /// Base64 of the pieces in which the body is sent.
    body: Vec<String>,
    /// As it goes into the request's head.
    plan: Box<RawValue>,
}

/// What of the plan is the client's.
#[derive(Deserialize)]
struct Plan {
    id: String,
    status: u16,
    hangs: bool,
}

fn client(protocol: &str, newest: Option<&str>) -> Result<Client> {
    let root = env::var("SSL_CERT_FILE").context("SSL_CERT_FILE names no authority")?;
    let root = Certificate::from_pem(&fs::read(root)?)?;
    let mut builder = Client::builder().tls_built_in_root_certs(false).add_root_certificate(root);
    builder = match protocol {
        "http1" => builder.http1_only(),
        "http2" => builder.http2_prior_knowledge(),
        other => bail!("{other} is not made by this program"),
    };
    match newest {
        Some("1.2") => builder = builder.max_tls_version(Version::TLS_1_2),
        Some(other) => bail!("no version of TLS: {other}"),
        None => {}
    }
    Ok(builder.build()?)
}

async fn make(client: &Client, port: &str, call: &Call) -> Result<()> {
    let method: Method = call.method.parse()?;
    let mut request = client.request(method, format!("https://localhost:{port}{}", call.path));
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let mut pieces =
        call.body.iter().map(|piece| STANDARD.decode(piece)).collect::<Result<Vec<_>, _>>()?;
    request = match (pieces.pop(), pieces.is_empty()) {
        (None, _) => request,
        (Some(only), true) => request.body(only),
        (Some(last), false) => {
            pieces.push(last);
            request.body(Body::wrap_stream(stream::iter(pieces.into_iter().map(anyhow::Ok))))
        }
    };
    let response = request.header("x-plan", call.plan.get()).send().await?;
    take(serde_json::from_str(call.plan.get())?, response).await
}

/// Reads the answer to its end, or up to its first bytes.
async fn take(plan: Plan, mut response: Response) -> Result<()> {
    ensure!(response.status() == plan.status, "{}: {}", plan.id, response.status());
    while response.chunk().await?.is_some() {
        if plan.hangs {
            return Ok(());
        }
    }
    ensure!(!plan.hangs, "{}: ended, and should hang", plan.id);
    Ok(())
}

async fn connect(port: String, connection: Connection, newest: Option<String>) -> Result<()> {
    let client = client(&connection.protocol, newest.as_deref())?;
    let at_once = if connection.protocol == "http2" { STREAMS } else { 1 };
    for round in connection.calls.chunks(at_once) {
        let mut calls = JoinSet::new();
        for call in round {
            let (client, port, call) = (client.clone(), port.clone(), call.clone());
            calls.spawn(async move { make(&client, &port, &call).await });
        }
        while let Some(ended) = calls.join_next().await {
            ended??;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(port), Some(job)) = (arguments.next(), arguments.next()) else {
        bail!("usage: rustls-client PORT JOB [1.2]")
    };
    let newest = arguments.next();
    #[cfg(feature = "ring")]
    let provider = rustls::crypto::ring::default_provider();
    #[cfg(all(feature = "aws-lc", not(feature = "ring")))]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    if provider.install_default().is_err() {
        bail!("there is a provider already");
    }
    let mut connections = JoinSet::new();
    for line in fs::read_to_string(job)?.lines() {
        connections.spawn(connect(port.clone(), serde_json::from_str(line)?, newest.clone()));
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    Ok(())
}
