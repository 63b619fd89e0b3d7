//! Points of metrics as an outside reader finds them in OTLP's JSON or in Protobuf's own.
//! Takes `MetricsData` or export requests; gives [`Point`]s with plain values.
//! Reads by the OTLP specification, not by llmtap's code.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;

use crate::span::{attributes, list};

#[derive(Clone, Debug)]
pub struct Point {
    pub metric: String,
    pub unit: String,
    /// `AggregationTemporality`: 1 delta, 2 cumulative.
    pub temporality: i64,
    pub attributes: BTreeMap<String, Json>,
    pub resource: BTreeMap<String, Json>,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub time: u64,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Sum(i64),
    Histogram { count: u64, sum: f64, bounds: Vec<f64>, buckets: Vec<u64> },
}

impl Point {
    /// # Errors
    /// It is no `MetricsData`, or breaks the specification's rules.
    pub fn all(data: &Json) -> Result<Vec<Self>> {
        let mut points = Vec::new();
        for group in list(data, "resourceMetrics") {
            let resource = attributes(&group["resource"])?;
            let scopes = list(group, "scopeMetrics").iter();
            for metric in scopes.flat_map(|scope| list(scope, "metrics")) {
                let (kind, inner) = ["sum", "histogram"]
                    .into_iter()
                    .find_map(|kind| Some((kind, metric.get(kind)?)))
                    .with_context(|| format!("neither sum nor histogram: {metric}"))?;
                for point in list(inner, "dataPoints") {
                    let read = Self::read(metric, (kind, inner), point, &resource);
                    points.push(read.with_context(|| point.to_string())?);
                }
            }
        }
        Ok(points)
    }

    fn read(
        metric: &Json,
        (kind, inner): (&str, &Json),
        point: &Json,
        resource: &BTreeMap<String, Json>,
    ) -> Result<Self> {
        let text = |key: &str| metric[key].as_str().unwrap_or_default().to_owned();
        let value = match kind {
            "sum" => {
                ensure!(inner["isMonotonic"] == true, "a counter only grows");
                Value::Sum(point["asInt"].as_str().context("no integer")?.parse()?)
            }
            _ => histogram(point)?,
        };
        let read = Self {
            metric: text("name"),
            unit: text("unit"),
            temporality: inner["aggregationTemporality"].as_i64().context("no temporality")?,
            attributes: attributes(point)?,
            resource: resource.clone(),
            start: number(&point["startTimeUnixNano"])?,
            time: number(&point["timeUnixNano"])?,
            value,
        };
        ensure!(read.start <= read.time, "it ends before it begins");
        Ok(read)
    }

    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute)?.as_str()
    }

    pub fn service(&self) -> Option<&str> {
        self.resource.get("service.name")?.as_str()
    }

    /// Of a histogram.
    ///
    /// # Errors
    /// It is a sum.
    pub fn histogram(&self) -> Result<(u64, f64)> {
        match &self.value {
            Value::Histogram { count, sum, .. } => Ok((*count, *sum)),
            Value::Sum(_) => bail!("no histogram: {self:?}"),
        }
    }
}

fn histogram(point: &Json) -> Result<Value> {
    let numbers = |key: &str| list(point, key).iter().map(number).collect::<Result<Vec<_>>>();
    let buckets = numbers("bucketCounts")?;
    let bounds = list(point, "explicitBounds").iter();
    let bounds: Option<Vec<_>> = bounds.map(Json::as_f64).collect();
    let bounds = bounds.context("a bound is no number")?;
    let count = number(&point["count"])?;
    ensure!(buckets.len() == bounds.len() + 1, "buckets and bounds do not fit");
    ensure!(bounds.is_sorted(), "bounds are not sorted");
    ensure!(buckets.iter().sum::<u64>() == count, "buckets do not add up to the count");
    let sum = point["sum"].as_f64().context("no sum")?;
    Ok(Value::Histogram { count, sum, bounds, buckets })
}

/// OTLP/JSON writes 64-bit integers as strings, and leaves out what is 0.
fn number(value: &Json) -> Result<u64> {
    match value {
        Json::Null => Ok(0),
        value => value.as_str().context("a 64-bit integer is a string")?.parse().context("number"),
    }
}
