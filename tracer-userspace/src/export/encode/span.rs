//! Spans as OTLP's messages.
//! Takes a [`Span`]; gives a `Span` message, and those of one process as `ResourceSpans`.

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as SpanMessage};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{resource, scope};
use crate::trace::Span;

pub(in crate::export) fn span(span: &Span) -> SpanMessage {
    let mut links = SpanLinks::default();
    links.links.clone_from(&span.links);
    SpanMessage::from(SpanData {
        span_context: span.context.clone(),
        parent_span_id: span.parent,
        parent_span_is_remote: span.parent_is_remote,
        span_kind: span.kind.clone(),
        name: span.name.clone().into(),
        start_time: span.start,
        end_time: span.end,
        attributes: span.attributes.clone(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: span.status.clone(),
        instrumentation_scope: InstrumentationScope::default(),
    })
}

/// Spans of one process under its resource and llmtap's scope.
pub(in crate::export) fn resource_spans(
    attributes: &[KeyValue],
    spans: Vec<SpanMessage>,
) -> ResourceSpans {
    ResourceSpans {
        resource: resource(attributes),
        scope_spans: vec![ScopeSpans { scope: scope(), spans, schema_url: String::new() }],
        schema_url: String::new(),
    }
}
