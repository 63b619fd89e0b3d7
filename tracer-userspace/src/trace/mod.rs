//! Spans out of operations: ids, parents, sampling, names and attributes by the conventions.
//! Takes [`crate::genai::Operation`]s and the process of each; gives [`Span`]s.
//! Knows W3C trace context; nothing of OTLP.

mod span;

pub use span::*;
