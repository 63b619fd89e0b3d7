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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        genai::Content,
        trace::{
            Clock, Ids, Sampler, Spans,
            sample::{self, BOOT, TLS},
            semconv::{ContentPlace, Conventions, Profile},
        },
    };

    fn recorded(content: Content) -> (Span, Vec<LogRecord>) {
        let mut operation = sample::operation();
        operation.content = Some(content);
        let conventions =
            Conventions { profile: Profile::Latest, content: ContentPlace::Events, details: true };
        let clock = Clock::Recorded { boot: BOOT };
        let span = Spans::new(Sampler::default(), clock, Ids::Random)
            .speaking(conventions)
            .span(operation, &sample::process(42, "shop"), TLS, clock.measure())
            .unwrap();
        let records = logs(&span);
        (span, records)
    }

    fn value<'a>(record: &'a LogRecord, name: &str) -> Option<&'a AnyValue> {
        let found = record.attributes.iter().find(|one| one.key == name);
        found.and_then(|one| one.value.as_ref())
    }

    /// Back to JSON, by the definition of `AnyValue`.
    fn plain(value: &AnyValue) -> Value {
        match &value.value {
            None => Value::Null,
            Some(any_value::Value::StringValue(text)) => json!(text),
            Some(any_value::Value::BoolValue(flag)) => json!(flag),
            Some(any_value::Value::IntValue(number)) => json!(number),
            Some(any_value::Value::DoubleValue(number)) => json!(number),
            Some(any_value::Value::ArrayValue(list)) => list.values.iter().map(plain).collect(),
            Some(any_value::Value::KvlistValue(fields)) => {
                let fields = fields.values.iter();
                fields.map(|one| (one.key.clone(), plain(one.value.as_ref().unwrap()))).collect()
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn record_stands_beside_its_span() {
        let (span, records) = recorded(Content::default());
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.event_name, "gen_ai.client.inference.operation.details");
        assert_eq!((record.severity_number, record.severity_text.as_str()), (9, "INFO"));
        assert_eq!(record.trace_id, span.context.trace_id().to_bytes());
        assert_eq!(record.span_id, span.context.span_id().to_bytes());
        assert_eq!(record.flags, 1);
        // The sample's end, 2.5 s after boot.
        assert_eq!(record.time_unix_nano, 1_700_000_002_500_000_000);
        assert_eq!(record.observed_time_unix_nano, record.time_unix_nano);
    }

    #[test]
    fn content_keeps_its_structure() {
        let messages = json!([{"role": "user", "parts": [
            {"type": "text", "content": "hé\n"},
            {"type": "tool_call", "name": "f", "arguments":
                {"a": 1, "b": -2.5, "c": null, "d": true, "e": [], "f": {}}}]}]);
        let content = Content { input_messages: Some(messages.clone()), ..Content::default() };
        let (_, records) = recorded(content);
        assert_eq!(plain(value(&records[0], "gen_ai.input.messages").unwrap()), messages);
        assert!(value(&records[0], "gen_ai.output.messages").is_none());
    }

    #[test]
    fn large_integers_stay_what_they_are() {
        let large = json!(u64::MAX);
        assert_eq!(plain(&any(&large, DEPTH)), json!("18446744073709551615"));
        assert_eq!(plain(&any(&json!(i64::MIN), DEPTH)), json!(i64::MIN));
    }

    #[test]
    fn deep_content_ends_in_text() {
        let nested = |levels: usize| (0..levels).fold(json!("x"), |inner, _| json!({"a": inner}));
        assert_eq!(plain(&any(&nested(DEPTH), DEPTH)), nested(DEPTH));
        let mut inner = &plain(&any(&nested(DEPTH + 2), DEPTH));
        for _ in 0..DEPTH {
            inner = &inner["a"];
        }
        assert_eq!(inner, &json!(r#"{"a":{"a":"x"}}"#));
    }

    /// What receivers decode must not be deeper than they allow: `prost` has the bound of
    /// Protobuf's own libraries.
    #[test]
    fn deepest_content_is_decoded() {
        use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
        use prost::Message;
        let deep = (0..1000).fold(json!("x"), |inner, level| match level % 2 {
            0 => json!({"a": inner}),
            _ => json!([inner]),
        });
        let objects = (0..1000).fold(json!("x"), |inner, _| json!({"a": inner}));
        for content in [deep, objects] {
            let (_, records) =
                recorded(Content { input_messages: Some(content), ..Content::default() });
            let request =
                ExportLogsServiceRequest { resource_logs: vec![resource_logs(&[], records)] };
            let bytes = request.encode_to_vec();
            assert_eq!(ExportLogsServiceRequest::decode(&bytes[..]).unwrap(), request);
        }
    }
}
