//! A finished span: an operation with its place in a trace and the process it belongs to.
//! What `trace` gives and `export` takes. Names, kinds and attributes come from `trace::semconv`.

use std::{sync::Arc, time::SystemTime};

use opentelemetry::{
    KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, Status},
};

use crate::{
    capture::{Addresses, Security},
    discover::Process,
    genai::Operation,
    trace::semconv::Event,
};

/// What carried an operation, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    pub security: Option<Security>,
    pub addresses: Option<Addresses>,
}

#[derive(Clone, Debug)]
pub struct Span {
    /// Trace id, span id, flags and trace state.
    pub context: SpanContext,
    /// The span named by the request's headers, else [`SpanId::INVALID`].
    pub parent: SpanId,
    /// The parent came from another process's header.
    pub parent_is_remote: bool,
    pub name: String,
    pub kind: SpanKind,
    pub start: SystemTime,
    pub end: SystemTime,
    pub status: Status,
    /// Spans that the request's other headers name, where they differ.
    pub links: Vec<Link>,
    pub attributes: Vec<KeyValue>,
    /// What is told beside it, as log records.
    pub events: Vec<Event>,
    pub process: Arc<Process>,
    /// What the span was made of, for views that show more than attributes.
    pub operation: Arc<Operation>,
}
