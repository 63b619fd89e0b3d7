//! Events as OTLP's log records.
//! Takes a [`Span`] with its events; gives `LogRecord` messages, and those of one process as
//! `ResourceLogs`. Message content is structured there, within a bound on its depth.

use std::time::UNIX_EPOCH;

use opentelemetry::KeyValue;
use opentelemetry_proto::{
    tonic::{
        common::v1::{AnyValue, ArrayValue, KeyValue as KeyValueMessage, KeyValueList, any_value},
        logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    },
    transform::common::tonic::Attributes,
};
use serde_json::Value;

use super::{resource, scope};
use crate::trace::{Span, semconv};

/// Levels of structured values; what is deeper is JSON text. Protobuf's decoders refuse a message
/// of more than 100 levels, a record with all that is in it, and each level here is three there.
const DEPTH: usize = 24;

/// The events of a span, at its end.
pub(in crate::export) fn logs(span: &Span) -> Vec<LogRecord> {
    let time = span.end.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let time = u64::try_from(time).unwrap_or(u64::MAX);
    let record = |event: &semconv::Event| {
        let mut attributes = Attributes::from(event.attributes.clone()).0;
        if let Some(content) = span.operation.content.as_ref().filter(|_| event.has_content) {
            let content = semconv::structured(content);
            attributes
                .extend(content.map(|(name, value)| pair(name.to_owned(), any(value, DEPTH))));
        }
        LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time,
            severity_number: event.kind.severity as i32,
            severity_text: event.kind.severity.as_str().to_owned(),
            attributes,
            flags: span.context.trace_flags().to_u8().into(),
            trace_id: span.context.trace_id().to_bytes().to_vec(),
            span_id: span.context.span_id().to_bytes().to_vec(),
            event_name: event.kind.name.to_owned(),
            ..LogRecord::default()
        }
    };
    span.events.iter().map(record).collect()
}

/// Log records of one process under its resource and llmtap's scope.
pub(in crate::export) fn resource_logs(
    attributes: &[KeyValue],
    log_records: Vec<LogRecord>,
) -> ResourceLogs {
    ResourceLogs {
        resource: resource(attributes),
        scope_logs: vec![ScopeLogs { scope: scope(), log_records, schema_url: String::new() }],
        schema_url: String::new(),
    }
}

fn pair(key: String, value: AnyValue) -> KeyValueMessage {
    KeyValueMessage { key, value: Some(value), ..KeyValueMessage::default() }
}

/// JSON as OTLP's values; `depth` levels of lists and objects are left.
fn any(value: &Value, depth: usize) -> AnyValue {
    use any_value::Value as Any;
    let value = match value {
        Value::Null => None,
        Value::Bool(flag) => Some(Any::BoolValue(*flag)),
        Value::Number(number) => Some(match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Any::IntValue(number),
            (None, Some(double)) if number.is_f64() => Any::DoubleValue(double),
            // As a double a larger integer would be another.
            _ => Any::StringValue(number.to_string()),
        }),
        Value::String(text) => Some(Any::StringValue(text.clone())),
        Value::Array(_) | Value::Object(_) if depth == 0 => {
            Some(Any::StringValue(value.to_string()))
        }
        Value::Array(list) => Some(Any::ArrayValue(ArrayValue {
            values: list.iter().map(|value| any(value, depth - 1)).collect(),
        })),
        Value::Object(fields) => {
            let fields = fields.iter();
            let values =
                fields.map(|(key, value)| pair(key.clone(), any(value, depth - 1))).collect();
            Some(Any::KvlistValue(KeyValueList { values }))
        }
    };
    AnyValue { value }
}
