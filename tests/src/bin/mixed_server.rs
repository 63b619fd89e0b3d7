//! The server of the mixed load: HTTP/1.1 and HTTP/2 over TLS, answering as each request's plan says.
//! Takes a certificate, a key and a log; prints its port, and logs what each exchange truly was.
//! Its TLS library is not OpenSSL, so no probe of the clients' library can see it.

use std::{
    fs::File,
    io::Write as _,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_ENCODING, HeaderMap, HeaderName},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use llmtap_tests::mixed::{Coding, Exchange, Form, Pieces, Plan, Print, answer, decode, encode};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const H2: &[u8] = b"h2";

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

async fn respond(request: Request<Incoming>, log: &Mutex<File>) -> Result<Response<Pieces>> {
    let (head, body) = request.into_parts();
    let plan = head.headers.get("x-plan").context("a request without a plan")?;
    let plan: Plan = serde_json::from_slice(plan.as_bytes())?;
    let encoded = body.collect().await?.to_bytes();
    let coding = Coding::of_name(text(&head.headers, CONTENT_ENCODING)).context("what coding?")?;
    let body = decode(coding, &encoded)?;
    let pieces = answer(&plan, head.method.as_str(), &body)?;
    let coding = if pieces.is_empty() { Coding::Identity } else { plan.coding };
    let told = Exchange {
        id: plan.id.clone(),
        method: head.method.to_string(),
        protocol: format!("{:?}", head.version),
        request: Print::of(&body),
        status: plan.status,
        coding: coding.name().map(str::to_owned),
        response: Print::of(&pieces.concat()),
    };
    let line = serde_json::to_string(&told)? + "\n";
    log.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())?;
    let kind = match plan.form {
        _ if plan.status != 200 => "application/json",
        Form::Events => "text/event-stream",
        Form::Chat if pieces.last().is_some_and(|piece| piece.starts_with(b"data:")) => {
            "text/event-stream"
        }
        Form::Chat | Form::Json => "application/json",
    };
    let mut response = Response::builder().status(plan.status).header("x-id", &plan.id);
    if !pieces.is_empty() {
        response = response.header("content-type", kind);
    }
    if let Some(name) = coding.name() {
        response = response.header(CONTENT_ENCODING, name);
    }
    let mut encoded = encode(coding, &pieces)?;
    if plan.hangs {
        // The end of the coding is not sent either.
        encoded.truncate(pieces.len());
    } else if plan.pieces == 1 {
        encoded = vec![encoded.concat()];
    }
    Ok(response.body(Pieces::new(encoded, plan.hangs))?)
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, log: Arc<Mutex<File>>) -> Result<()> {
    tcp.set_nodelay(true)?;
    let tls = tls.accept(tcp).await?;
    let is_http2 = tls.get_ref().1.alpn_protocol() == Some(H2);
    let service = service_fn(|request| {
        let log = Arc::clone(&log);
        async move {
            respond(request, &log).await.inspect_err(|error| eprintln!("mixed_server: {error:#}"))
        }
    });
    if is_http2 {
        let server = http2::Builder::new(TokioExecutor::new());
        server.serve_connection(TokioIo::new(tls), service).await?;
    } else {
        http1::Builder::new().serve_connection(TokioIo::new(tls), service).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [certificate, key, log] = arguments.as_slice() else {
        anyhow::bail!("usage: mixed_server CERTIFICATE KEY LOG");
    };
    let tls = acceptor(certificate.as_ref(), key.as_ref())?;
    let log = Arc::new(Mutex::new(File::create(log).context("can't make the log")?));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (tcp, _) = listener.accept().await?;
        // A client that leaves ends its connection with an error, as it is meant to.
        tokio::spawn(serve(tcp, tls.clone(), Arc::clone(&log)));
    }
}
