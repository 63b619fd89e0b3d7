//! Telemetry in OTLP's messages, by `opentelemetry-proto`.
//! Takes spans, points, events and resources; gives messages.
//! Both the wire and OTLP/JSON are written from these.

mod log;
mod metric;
mod span;

use opentelemetry::KeyValue;
use opentelemetry_proto::{
    tonic::{common::v1::InstrumentationScope, resource::v1::Resource},
    transform::common::tonic::Attributes,
};

use super::{SCOPE_NAME, SCOPE_VERSION};
pub(super) use log::{logs, resource_logs};
pub(super) use metric::{metrics, points, resource_metrics};
pub(super) use span::{resource_spans, span};

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: SCOPE_NAME.to_owned(),
        version: SCOPE_VERSION.to_owned(),
        ..InstrumentationScope::default()
    })
}

fn resource(attributes: &[KeyValue]) -> Option<Resource> {
    Some(Resource {
        attributes: Attributes::from(attributes.iter().cloned()).0,
        ..Resource::default()
    })
}
