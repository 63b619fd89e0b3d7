//! What carried the call: `http.*`, `url.*`, `server.*`, `network.*`.
//! Takes facts of the HTTP messages and the transport; gives attributes.
//! Knows nothing of models.

use http::uri::Authority;
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use super::{
    list::Attributes,
    own::{PROVIDER_REQUEST_ID, RESEND_BASIS},
};
use crate::{
    capture::{Addresses, Security},
    genai::{HttpFacts, Operation},
    http::Role,
    trace::resends::{Basis, Resent},
};

/// The scheme of a URL, and the port of a server whose authority names none (RFC 9110 §4.2).
fn scheme(security: Security) -> (&'static str, u16) {
    match security {
        Security::Tls => ("https", 443),
        Security::Plain => ("http", 80),
    }
}

/// Methods that `http.request.method` may be; others are `_OTHER` (HTTP semantic conventions).
const METHODS: [&str; 10] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

/// Bytes of a URL that are told.
const MAX_URL: usize = 2048;

impl Attributes {
    pub(super) fn http(&mut self, http: &HttpFacts, role: Role, security: Option<Security>) {
        if METHODS.contains(&http.method.as_str()) {
            self.text("http.request.method", Some(&http.method));
        } else if !http.method.is_empty() {
            self.text("http.request.method", Some("_OTHER"));
            self.text("http.request.method_original", Some(&http.method));
        }
        self.text("url.path", Some(http.path.as_str()).filter(|path| !path.is_empty()));
        // A server's URL is told in parts: what the client had asked for, it need not know.
        match role {
            Role::Client => self.text("url.full", full_url(http, security).as_deref()),
            Role::Server => self.text("url.query", http.query.as_deref()),
        }
        self.text("user_agent.original", http.user_agent.as_deref());
        self.text("network.protocol.version", http.version);
        self.int("http.response.status_code", http.status);
        self.response_headers(http);
        self.text(PROVIDER_REQUEST_ID, http.request_id.as_deref());
        self.text("url.scheme", security.map(|security| scheme(security).0));
    }

    fn response_headers(&mut self, http: &HttpFacts) {
        for header in &http.response_headers {
            let key = Key::new(format!("http.response.header.{}", header.name));
            let values = header.values.iter().cloned().map(StringValue::from).collect();
            self.all.push(KeyValue::new(key, Value::Array(Array::String(values))));
        }
    }

    /// How often the call was sent before.
    pub(super) fn resent(&mut self, resent: Resent) {
        self.int("http.request.resend_count", Some(resent.count));
        let basis = match resent.basis {
            Basis::Header => "header",
            Basis::SameRequest => "same_request",
        };
        self.text(RESEND_BASIS, Some(basis));
    }

    pub(super) fn server(&mut self, operation: &Operation, security: Option<Security>) {
        if let Some((name, port)) = asked_server(operation, security) {
            self.set("server.address", name);
            self.int("server.port", port);
        }
    }

    pub(super) fn network(&mut self, addresses: Option<Addresses>) {
        if let Some(Addresses { local, peer }) = addresses {
            self.set("network.peer.address", peer.ip().to_canonical().to_string());
            self.set("network.peer.port", i64::from(peer.port()));
            self.set("network.local.address", local.ip().to_canonical().to_string());
            self.set("network.local.port", i64::from(local.port()));
        }
    }
}

/// Scheme, authority without user information, path and query (RFC 3986 §3); `None` where one of the
/// first two is not known.
fn full_url(http: &HttpFacts, security: Option<Security>) -> Option<String> {
    let (scheme, _) = scheme(security?);
    let authority = http.authority.as_deref()?;
    server(authority)?;
    let authority = authority.rsplit('@').next()?;
    let mut url = format!("{scheme}://{authority}{}", http.path);
    if let Some(query) = &http.query {
        url.push('?');
        url.push_str(query);
    }
    url.truncate(url.floor_char_boundary(MAX_URL));
    Some(url)
}

/// The port that the client asked for, if it is known.
pub fn asked_port(operation: &Operation, security: Option<Security>) -> Option<u16> {
    asked_server(operation, security)?.1
}

/// The server that the client asked for, with the port that it named or the scheme's.
pub(super) fn asked_server(
    operation: &Operation,
    security: Option<Security>,
) -> Option<(String, Option<u16>)> {
    let (name, port) = server(operation.http.authority.as_deref()?)?;
    Some((name, port.or(security.map(|security| scheme(security).1))))
}

/// Name and port of an authority, without user information; `None` where it is no authority. An
/// empty port is the scheme's own (RFC 3986 §3.2.3), as is one that is not there.
pub(super) fn server(authority: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = authority.parse().ok()?;
    let host = authority.host();
    let after_host = &authority.as_str()[authority.as_str().rfind(host)? + host.len()..];
    let port = match after_host.strip_prefix(':') {
        None | Some("") => None,
        Some(port) => Some(port.parse().ok()?),
    };
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    (!name.is_empty()).then(|| (name.to_owned(), port))
}
