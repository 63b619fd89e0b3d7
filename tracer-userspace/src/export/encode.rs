//! Spans in OTLP's messages, by `opentelemetry-proto`.
//! Takes [`Span`]s and resources; gives `Span` and `ResourceSpans` messages.
//! Both the wire and OTLP/JSON are written from these.

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::{
    tonic::{
        common::v1::InstrumentationScope as ScopeMessage,
        resource::v1::Resource,
        trace::v1::{ResourceSpans, ScopeSpans, Span as SpanMessage},
    },
    transform::common::tonic::Attributes,
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{SCOPE_NAME, SCOPE_VERSION};
use crate::trace::Span;

pub(super) fn span(span: &Span) -> SpanMessage {
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
        links: SpanLinks::default(),
        status: span.status.clone(),
        instrumentation_scope: InstrumentationScope::default(),
    })
}

/// Spans of one process under its resource and llmtap's scope.
pub(super) fn resource_spans(resource: &[KeyValue], spans: Vec<SpanMessage>) -> ResourceSpans {
    let scope = ScopeMessage {
        name: SCOPE_NAME.to_owned(),
        version: SCOPE_VERSION.to_owned(),
        ..ScopeMessage::default()
    };
    ResourceSpans {
        resource: Some(Resource {
            attributes: Attributes::from(resource.iter().cloned()).0,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }],
        schema_url: String::new(),
    }
}
