//! OpenMetrics text of a run's status and of its calls' metrics.
//! Takes the declarations, the numbers and the points; gives the text that a scrape gets.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::{
    calls::Calls,
    declarations::{self, Kind, METRICS, Source},
};
use crate::session::Scrape;

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// # Errors
/// The library could not write a metric.
pub(super) fn of(source: Source, calls: &Scrape) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Calls(calls.read())));
    registry.register_collector(Box::new(source));
    let mut written = String::new();
    text::encode(&mut written, &registry)?;
    Ok(written)
}

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in METRICS {
            let unit = metric.unit.map(|unit| match unit {
                declarations::Unit::Bytes => Unit::Bytes,
                declarations::Unit::Seconds => Unit::Seconds,
            });
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family =
                encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
            for (values, number) in (metric.read)(self) {
                if values.is_empty() {
                    write(&mut family, metric.kind, number)?;
                    continue;
                }
                let labels: Vec<_> = metric.labels.iter().copied().zip(values).collect();
                write(&mut family.encode_family(&labels)?, metric.kind, number)?;
            }
        }
        Ok(())
    }
}

fn write(sample: &mut MetricEncoder<'_>, kind: Kind, number: f64) -> Result<(), fmt::Error> {
    match kind {
        Kind::Counter => sample.encode_counter::<NoLabelSet, _, f64>(&number, None),
        Kind::Gauge => sample.encode_gauge(&number),
    }
}
