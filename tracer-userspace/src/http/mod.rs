//! HTTP messages out of captured bytes: HTTP/1.1, HTTP/2, WebSocket and gRPC, content codings.
//! Takes [`crate::capture::Event`]s; gives [`ExchangeEvent`]s.
//! Knows the RFCs; nothing of LLMs, eBPF or export.

mod coding;
mod connection;
mod connections;
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
pub use exchange::*;
pub(crate) use h2::redact::{Redactor, Secrecy};
#[cfg(test)]
mod tests;
