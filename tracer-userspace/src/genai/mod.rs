//! LLM operations out of HTTP exchanges: recognition, providers' formats, streams.
//! Takes [`crate::http::ExchangeEvent`]s; gives [`Operation`]s.
//! Knows the providers' wire formats; nothing of eBPF or OTLP.

mod operation;

pub use operation::*;
