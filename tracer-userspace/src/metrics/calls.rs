//! The metrics of LLM calls, by OpenTelemetry's rules for Prometheus.
//! Takes points by service; gives families ("Prometheus and OpenMetrics Compatibility" of the
//! OpenTelemetry specification: names, units, scope, resource). Knows no metric's name.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use crate::{
    export::{SCOPE_NAME, SCOPE_VERSION, Service},
    meter::{Collected, Point, Value},
    session::About,
    trace::semconv::{INSTRUMENTS, Instrument, InstrumentKind, Label},
};

type Labels = Vec<(String, String)>;

/// Points of services, to be written.
#[derive(Debug)]
pub(super) struct Calls(pub(super) Vec<Collected<Service, About>>);

impl Collector for Calls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.targets(&mut encoder)?;
        for instrument in INSTRUMENTS {
            self.family(instrument, &mut encoder)?;
        }
        Ok(())
    }
}

impl Calls {
    fn targets(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Services that traced processes are instances of";
        let mut family = encoder.encode_descriptor("target", help, None, MetricType::Info)?;
        for Collected { key, resource, .. } in &self.0 {
            let about = resource.iter().map(|(name, value)| (name.as_str(), value.clone()));
            family.encode_info(&merged(service(key).chain(about)))?;
        }
        Ok(())
    }

    fn family(
        &self,
        instrument: &Instrument,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let of_instrument = |collected: &Collected<Service, About>| {
            let of = collected.metrics.iter().find(|(one, _)| one.name == instrument.name);
            of.is_some()
        };
        if !self.0.iter().any(of_instrument) {
            return Ok(());
        }
        let (name, unit) = (name(instrument), unit(instrument));
        let kind = match instrument.kind {
            InstrumentKind::Counter => MetricType::Counter,
            InstrumentKind::Histogram(_) => MetricType::Histogram,
        };
        let help = instrument.description.trim_end_matches('.');
        let mut family = encoder.encode_descriptor(&name, help, unit.as_ref(), kind)?;
        for Collected { key, metrics, .. } in &self.0 {
            let of_instrument = metrics.iter().filter(|(one, _)| one.name == instrument.name);
            for point in of_instrument.flat_map(|(_, points)| points) {
                sample(&mut family.encode_family(&labels(key, point))?, &point.value)?;
            }
        }
        Ok(())
    }
}

fn sample(sample: &mut MetricEncoder<'_>, value: &Value) -> Result<(), fmt::Error> {
    match value {
        Value::Sum(sum) => sample.encode_counter::<NoLabelSet, _, u64>(sum, None),
        Value::Histogram(histogram) => {
            let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(histogram.buckets.iter().copied()).collect();
            sample.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count(), &buckets, None)
        }
    }
}

/// The name without unit and `_total`, which the encoder appends.
pub(super) fn name(instrument: &Instrument) -> String {
    sanitized(instrument.name)
}

/// Units in braces are annotations, and no part of names.
pub(super) fn unit(instrument: &Instrument) -> Option<Unit> {
    (instrument.unit == "s").then_some(Unit::Seconds)
}

fn labels(service_of: &Service, point: &Point) -> Labels {
    let scope = [("otel_scope_name", SCOPE_NAME), ("otel_scope_version", SCOPE_VERSION)]
        .map(|(name, value)| (name, value.to_owned()));
    let own = point.labels.iter().map(|(name, label)| {
        let value = match label {
            Label::Text(text) => text.clone(),
            Label::Int(number) => number.to_string(),
            Label::Flag => "true".to_owned(),
        };
        (*name, value)
    });
    merged(service(service_of).chain(scope).chain(own))
}

/// What tells services apart; an instance that is not known is left out.
fn service<'a>(service: &Service) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    let Service { job, instance } = service;
    let all = [("job", job.clone()), ("instance", instance.clone())];
    all.into_iter().filter(|(_, value)| !value.is_empty())
}

/// Names that Prometheus allows; values of names that become the same are joined, as the rules say.
fn merged<'a>(labels: impl Iterator<Item = (&'a str, String)>) -> Labels {
    let mut merged: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in labels {
        merged
            .entry(sanitized(name))
            .and_modify(|there| {
                there.push(';');
                there.push_str(&value);
            })
            .or_insert(value);
    }
    merged.into_iter().collect()
}

fn sanitized(name: &str) -> String {
    let allowed = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    let name: String = name.chars().map(allowed).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("key_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests;
