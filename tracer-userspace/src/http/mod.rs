//! HTTP messages out of captured bytes: HTTP/1.1, HTTP/2, WebSocket and gRPC, content codings.
//! Takes [`crate::capture::Event`]s; gives [`ExchangeEvent`]s.
//! Knows the RFCs; nothing of LLMs, eBPF or export.

mod coding;
mod connection;
mod connections;
mod credentials;
mod exchange;
mod grpc;
mod h1;
mod h2;
mod open;
mod output;
mod sniff;
mod trailers;
mod ws;

pub use connections::{Counts, Exchanges};
pub(crate) use credentials::{
    FieldName, NAME_LIMIT, UrlPart, credentials_in_url, names_credential, names_url,
};
pub use exchange::*;
pub(crate) use h2::redact::{Redactor, Secrecy};
pub(crate) use sniff::settings_header;
#[cfg(test)]
mod tests;
