//! HTTP messages out of captured bytes: HTTP/1.1 with its framings and content codings.
//! Takes [`crate::capture::Event`]s; gives [`ExchangeEvent`]s.
//! Knows the RFCs; nothing of LLMs, eBPF or export.

mod exchange;

pub use exchange::*;
