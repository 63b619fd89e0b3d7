//! OTLP/JSON, one `TracesData`, `MetricsData` or `LogsData` a line, as the Collector's file exporter
//! writes it. Takes messages by resource; gives lines.
//! Field names, hex ids and numbers as strings are `opentelemetry-proto`'s (OTLP specification,
//! "JSON Protobuf Encoding"); what differs from the Collector's form is mended in [`compact`].

use std::{sync::Arc, time::SystemTime};

use opentelemetry_proto::tonic::{
    logs::v1::LogsData, metrics::v1::MetricsData, trace::v1::TracesData,
};
use serde::Serialize;
use serde_json::Value;

use super::{Resources, encode};
use crate::{
    capture::ProcessId,
    discover::Process,
    meter::{Collected, Temporality},
    trace::Span,
};

/// Lines, each with its line feed.
type Lines = serde_json::Result<Vec<Vec<u8>>>;

/// The span as a line.
///
/// # Errors
///
/// If the message cannot be written as JSON, which no span is known to cause; nor do the others.
pub(super) fn span(span: &Span, resources: &Resources) -> serde_json::Result<Vec<u8>> {
    let resource = resources.of(&span.process);
    let spans = encode::resource_spans(&resource, vec![encode::span(span)]);
    line(&TracesData { resource_spans: vec![spans] })
}

/// The span's events, each as a line.
///
/// # Errors
///
/// As [`span`].
pub(super) fn events(span: &Span, resources: &Resources) -> Lines {
    let resource = resources.of(&span.process);
    let of =
        |record| LogsData { resource_logs: vec![encode::resource_logs(&resource, vec![record])] };
    encode::logs(span).into_iter().map(|record| line(&of(record))).collect()
}

/// The metrics of a process at `time` as a line.
///
/// # Errors
///
/// As [`span`].
pub(super) fn metrics(
    collected: &Collected<ProcessId, Arc<Process>>,
    (time, temporality): (SystemTime, Temporality),
    resources: &Resources,
) -> serde_json::Result<Vec<u8>> {
    let resource = resources.of(&collected.resource);
    let metrics = encode::metrics(collected, time, temporality);
    line(&MetricsData { resource_metrics: vec![encode::resource_metrics(&resource, metrics)] })
}

fn line(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut value = serde_json::to_value(message)?;
    compact(&mut value);
    let mut line = serde_json::to_vec(&value)?;
    line.push(b'\n');
    Ok(line)
}

/// Leaves out fields that have their default value, as Protobuf's JSON form and the Collector do.
/// Not so inside an `AnyValue`, where an empty string is a value.
fn compact(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(compact),
        Value::Object(fields) => fields.retain(|name, field| {
            if name == "value" {
                return true;
            }
            compact(field);
            // The Collector writes a status also where it is unset; a point's value may be 0.
            matches!(name.as_str(), "status" | "asInt") || !is_default(field)
        }),
        _ => {}
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        // The string "0" is a 64-bit zero.
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(list) => list.is_empty(),
        Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry_proto::tonic::{
        common::v1::any_value,
        trace::v1::{span::SpanKind, status::StatusCode},
    };
    use serde_json::json;

    use super::*;
    use crate::{
        meter::{Bounds, Meter},
        trace::{sample, semconv},
    };

    fn written(one: &Span) -> Value {
        let line = span(one, &Resources::new(&[("OTEL_X", "")].into_iter().collect())).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(line.ends_with(b"\n"));
        serde_json::from_slice(&line).unwrap()
    }

    fn attribute<'a>(list: &'a Value, key: &str) -> &'a Value {
        let found = list.as_array().unwrap().iter().find(|pair| pair["key"] == key);
        &found.unwrap_or_else(|| panic!("{key} is missing"))["value"]
    }

    /// By the rules of the OTLP specification, not by what the crate writes.
    #[test]
    fn form_follows_the_specification() {
        let mut operation = sample::operation();
        operation.http.traceparent =
            vec!["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()];
        operation.request.temperature = Some(0.5);
        operation.request.seed = Some(i64::MAX);
        operation.response.id = Some(String::new());
        let span = sample::span_of(operation, &sample::process(42, "shop"));
        let value = written(&span);
        let resource_spans = &value["resourceSpans"][0];
        let attributes = &resource_spans["resource"]["attributes"];
        assert_eq!(attribute(attributes, "service.name"), &json!({"stringValue": "shop"}));
        assert_eq!(attribute(attributes, "process.pid"), &json!({"intValue": "42"}));
        let scope_spans = &resource_spans["scopeSpans"][0];
        let scope = json!({"name": "llmtap", "version": env!("CARGO_PKG_VERSION")});
        assert_eq!(scope_spans["scope"], scope);
        let span_value = &scope_spans["spans"][0];
        assert_eq!(span_value["traceId"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span_value["parentSpanId"], "b7ad6b7169203331");
        assert_eq!(span_value["spanId"], span.context.span_id().to_string());
        assert_eq!(span_value["name"], "chat gpt-4o-mini");
        assert_eq!(span_value["kind"], 3);
        assert_eq!(span_value["startTimeUnixNano"], "1700000001000000000");
        assert_eq!(span_value["endTimeUnixNano"], "1700000002500000000");
        // Sampled, parent known to be remote.
        assert_eq!(span_value["flags"], 0x301);
        assert_eq!(span_value["status"], json!({}));
        let attributes = &span_value["attributes"];
        for (key, expected) in [
            ("gen_ai.request.stream", json!({"boolValue": true})),
            ("gen_ai.request.temperature", json!({"doubleValue": 0.5})),
            ("gen_ai.request.seed", json!({"intValue": "9223372036854775807"})),
            ("gen_ai.response.id", json!({"stringValue": ""})),
            (
                "gen_ai.response.finish_reasons",
                json!({"arrayValue": {"values": [{"stringValue": "stop"}]}}),
            ),
        ] {
            assert_eq!(attribute(attributes, key), &expected, "{key}");
        }
    }

    #[test]
    fn absent_fields_are_left_out() {
        let value = written(&sample::span());
        let span = &value["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        let fields: Vec<_> = span.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "attributes",
            "endTimeUnixNano",
            "flags",
            "kind",
            "name",
            "spanId",
            "startTimeUnixNano",
            "status",
            "traceId",
        ];
        expected.sort_unstable();
        let mut fields = fields;
        fields.sort_unstable();
        assert_eq!(fields, expected);
    }

    #[test]
    fn failed_status_has_code_and_message() {
        let mut operation = sample::operation();
        operation.end.how = crate::http::Ended::ServerReset;
        let value = written(&sample::span_of(operation, &sample::process(42, "shop")));
        let status = &value["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["status"];
        assert_eq!(status["code"], 2);
        assert!(status["message"].as_str().unwrap().contains("broke"));
    }

    #[test]
    fn compact_form_reads_back_whole() {
        let span = sample::span();
        let resources = Resources::new(&[("OTEL_X", "")].into_iter().collect());
        let read: TracesData =
            serde_json::from_slice(&super::span(&span, &resources).unwrap()).unwrap();
        let message = &read.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(message, &encode::span(&span));
        assert_eq!(message.kind, SpanKind::Client as i32);
        assert_eq!(message.status.as_ref().unwrap().code, StatusCode::Unset as i32);
        let is_text = |value: &any_value::Value| matches!(value, any_value::Value::StringValue(_));
        let first = message.attributes[0].value.as_ref().unwrap().value.as_ref().unwrap();
        assert!(is_text(first));
    }

    fn measured(usage: bool) -> Value {
        let mut operation = sample::operation();
        if !usage {
            operation.usage = crate::genai::Usage::default();
        }
        let process = sample::process(42, "shop");
        let list = semconv::measurements(&operation, sample::TLS, semconv::Profile::Latest);
        let mut meter = Meter::new(Bounds::default(), Temporality::Cumulative);
        let start = UNIX_EPOCH + Duration::from_nanos(1);
        meter.record((process.id, || process.clone()), start, &list);
        let time = UNIX_EPOCH + Duration::from_nanos(7);
        let collected = meter.collect(time, |_| true).remove(0);
        let resources = Resources::new(&[("OTEL_X", "")].into_iter().collect());
        let line = metrics(&collected, (time, Temporality::Cumulative), &resources).unwrap();
        serde_json::from_slice(&line).unwrap()
    }

    fn metric<'a>(data: &'a Value, name: &str) -> &'a Value {
        let metrics = data["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()
    }

    /// By the rules of the OTLP specification, not by what the crate writes.
    #[test]
    fn metrics_follow_the_specification() {
        let data = measured(true);
        let resource = &data["resourceMetrics"][0]["resource"]["attributes"];
        assert_eq!(attribute(resource, "service.name"), &json!({"stringValue": "shop"}));
        let histogram = &metric(&data, "gen_ai.client.inference.duration")["histogram"];
        assert_eq!(histogram["aggregationTemporality"], 2);
        let point = &histogram["dataPoints"][0];
        assert_eq!(point["count"], "1");
        assert_eq!(point["sum"], 1.5);
        assert_eq!(
            (&point["startTimeUnixNano"], &point["timeUnixNano"]),
            (&json!("1"), &json!("7"))
        );
        let counts = ["0", "0", "0", "0", "0", "0", "0", "0", "1", "0", "0", "0", "0", "0", "0"];
        assert_eq!(point["bucketCounts"], json!(counts));
        assert_eq!(point["explicitBounds"][13], 81.92);
        let sum = &metric(&data, "gen_ai.client.inference.usage.input_tokens")["sum"];
        assert_eq!(sum["isMonotonic"], true);
        assert_eq!(sum["dataPoints"][0]["asInt"], "1204");
    }

    #[test]
    fn value_of_nothing_is_told() {
        let data = measured(false);
        let sum = &metric(&data, "gen_ai.client.inference.usage.output_tokens")["sum"];
        assert_eq!(sum["dataPoints"][0]["asInt"], "0");
    }

    #[test]
    fn events_are_lines_of_their_own() {
        let mut operation = sample::operation();
        operation.http.status = Some(429);
        let span = sample::span_of(operation, &sample::process(42, "shop"));
        let resources = Resources::new(&[("OTEL_X", "")].into_iter().collect());
        let lines = events(&span, &resources).unwrap();
        assert_eq!(lines.len(), 1);
        let data: Value = serde_json::from_slice(&lines[0]).unwrap();
        let record = &data["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["eventName"], "gen_ai.client.operation.exception");
        assert_eq!(
            (&record["severityNumber"], &record["severityText"]),
            (&json!(13), &json!("WARN"))
        );
        assert_eq!(record["timeUnixNano"], "1700000002500000000");
        assert_eq!(record["traceId"], span.context.trace_id().to_string());
        assert_eq!(record["spanId"], span.context.span_id().to_string());
        assert_eq!(
            attribute(&record["attributes"], "exception.type"),
            &json!({"stringValue": "429"})
        );
    }
}
