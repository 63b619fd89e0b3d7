//! Spans to the outside: OTLP over gRPC and HTTP, OTLP/JSON lines, the terminal.
//! Takes [`crate::trace::Span`]s; gives nothing back but counts of what could not be sent.
//! Knows the wire formats of the outside.
