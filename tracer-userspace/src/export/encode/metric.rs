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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        meter::{Bounds, Meter},
        trace::{
            sample::{self, TLS},
            semconv::{self, Profile},
        },
    };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn collected(models: usize) -> Collected<u8, ()> {
        let mut meter = Meter::new(Bounds::default(), Temporality::Cumulative);
        for model in 0..models {
            let mut operation = sample::operation();
            operation.request.model = Some(format!("m-{model}"));
            let list = semconv::measurements(&operation, TLS, Profile::Latest);
            meter.record((0, || ()), at(10), &list);
        }
        meter.collect(at(20), |_| true).remove(0)
    }

    fn named<'a>(all: &'a [Metric], name: &str) -> Vec<&'a Metric> {
        all.iter().filter(|metric| metric.name == name).collect()
    }

    #[test]
    fn points_have_times_kinds_and_temporality() {
        for (temporality, expected) in [(Temporality::Cumulative, 2), (Temporality::Delta, 1)] {
            let all = metrics(&collected(1), at(20), temporality);
            let duration = named(&all, "gen_ai.client.inference.duration")[0];
            assert_eq!(duration.unit, "s");
            let Some(Data::Histogram(histogram)) = &duration.data else { panic!("{duration:?}") };
            assert_eq!(histogram.aggregation_temporality, expected);
            let point = &histogram.data_points[0];
            assert_eq!(point.start_time_unix_nano, 10_000_000_000);
            assert_eq!(point.time_unix_nano, 20_000_000_000);
            // 1.5 s is in the ninth bucket: above 1.28, at most 2.56.
            assert_eq!((point.count, point.sum, point.bucket_counts[8]), (1, Some(1.5), 1));
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
            let usage = named(&all, "gen_ai.client.inference.usage.input_tokens")[0];
            assert_eq!(usage.unit, "{token}");
            let Some(Data::Sum(sum)) = &usage.data else { panic!("{usage:?}") };
            assert!(sum.is_monotonic && sum.aggregation_temporality == expected);
            let value = sum.data_points[0].value;
            assert_eq!(value, Some(number_data_point::Value::AsInt(1204)));
        }
    }

    #[test]
    fn many_points_are_several_messages() {
        let collected = collected(1200);
        let all = metrics(&collected, at(20), Temporality::Cumulative);
        let of_one = named(&all, "gen_ai.client.inference.duration");
        let sizes: Vec<_> = of_one.iter().map(|metric| points(metric)).collect();
        assert_eq!(sizes, [500, 500, 200]);
        let told: usize = all.iter().map(points).sum();
        let held: usize = collected.metrics.iter().map(|(_, points)| points.len()).sum();
        assert_eq!(told, held);
    }

    /// The bounds on sets and texts keep a message far below what a receiver takes.
    #[test]
    fn largest_message_has_room_in_a_request() {
        use prost::Message;
        let text = "x".repeat(Bounds::default().text);
        let labels: LabelSet =
            (0..10).map(|_| ("gen_ai.response.model", Label::Text(text.clone()))).collect();
        let value = Value::Sum(1);
        let points = vec![Point { labels, value }; MESSAGE_POINTS];
        let instrument = semconv::INSTRUMENTS[0];
        let message = metric(instrument, &points, (0, 0), Temporality::Delta);
        assert!(message.encoded_len() < 2 << 20, "{}", message.encoded_len());
    }
}
