//! Points as OTLP's messages.
//! Takes what a meter collected; gives `Metric` messages of bounded size, and those of one process
//! as `ResourceMetrics`.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue as KeyValueMessage, any_value},
    metrics::v1::{
        AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
    },
};

use super::{resource, scope};
use crate::{
    meter::{Collected, Point, Temporality, Value},
    trace::semconv::{Instrument, Label, LabelSet},
};

/// Points of one message: it has room in a request whatever its attributes are.
const MESSAGE_POINTS: usize = 500;

/// The metrics of one resource at `time`; one with many points is more than one message.
pub(in crate::export) fn metrics<K, R>(
    collected: &Collected<K, R>,
    time: SystemTime,
    temporality: Temporality,
) -> Vec<Metric> {
    let span = (nanos(collected.since), nanos(time));
    let mut messages = Vec::new();
    for (instrument, points) in &collected.metrics {
        for points in points.chunks(MESSAGE_POINTS) {
            messages.push(metric(instrument, points, span, temporality));
        }
    }
    messages
}

/// The points of a message.
pub(in crate::export) fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        _ => 0,
    }
}

/// Metrics of one process under its resource and llmtap's scope.
pub(in crate::export) fn resource_metrics(
    attributes: &[KeyValue],
    metrics: Vec<Metric>,
) -> ResourceMetrics {
    ResourceMetrics {
        resource: resource(attributes),
        scope_metrics: vec![ScopeMetrics { scope: scope(), metrics, schema_url: String::new() }],
        schema_url: String::new(),
    }
}

fn metric(
    instrument: &Instrument,
    points: &[Point],
    span: (u64, u64),
    temporality: Temporality,
) -> Metric {
    let aggregation_temporality = match temporality {
        Temporality::Cumulative => AggregationTemporality::Cumulative,
        Temporality::Delta => AggregationTemporality::Delta,
    }
    .into();
    let (mut sums, mut histograms) = (Vec::new(), Vec::new());
    for point in points {
        let attributes = labels(&point.labels);
        match &point.value {
            Value::Sum(sum) => sums.push(number(attributes, span, *sum)),
            Value::Histogram(value) => histograms.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: span.0,
                time_unix_nano: span.1,
                count: value.count(),
                sum: Some(value.sum),
                bucket_counts: value.buckets.clone(),
                explicit_bounds: value.bounds.to_vec(),
                ..HistogramDataPoint::default()
            }),
        }
    }
    // All points of an instrument are of its kind.
    let data = if histograms.is_empty() {
        Data::Sum(Sum { data_points: sums, aggregation_temporality, is_monotonic: true })
    } else {
        Data::Histogram(Histogram { data_points: histograms, aggregation_temporality })
    };
    Metric {
        name: instrument.name.to_owned(),
        description: instrument.description.to_owned(),
        unit: instrument.unit.to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn number(attributes: Vec<KeyValueMessage>, span: (u64, u64), sum: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: span.0,
        time_unix_nano: span.1,
        // OTLP's integers are signed.
        value: Some(number_data_point::Value::AsInt(i64::try_from(sum).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    }
}

fn labels(labels: &LabelSet) -> Vec<KeyValueMessage> {
    let value = |label: &Label| match label {
        Label::Text(text) => any_value::Value::StringValue(text.clone()),
        Label::Int(number) => any_value::Value::IntValue(*number),
        Label::Flag => any_value::Value::BoolValue(true),
    };
    labels
        .iter()
        .map(|(name, label)| KeyValueMessage {
            key: (*name).to_owned(),
            value: Some(AnyValue { value: Some(value(label)) }),
            ..KeyValueMessage::default()
        })
        .collect()
}

/// Since 1970; 0 before.
fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
