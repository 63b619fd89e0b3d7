//! The value of one series: a sum, or a histogram.
//! Takes amounts; holds their sum and, of a histogram, how many fell into each bucket.

use crate::{
    genai::ChunkTimes,
    trace::semconv::{Amount, InstrumentKind, LabelSet},
};

/// A series at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub labels: LabelSet,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Sum(u64),
    Histogram(Histogram),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub bounds: &'static [f64],
    pub sum: f64,
    /// How many were at most the bound of the same place and above the one before; in the last
    /// place those above all bounds.
    pub buckets: Vec<u64>,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, sum: 0.0, buckets: vec![0; bounds.len() + 1] }
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Value {
    pub(super) fn new(kind: InstrumentKind) -> Self {
        match kind {
            InstrumentKind::Counter => Self::Sum(0),
            InstrumentKind::Histogram(bounds) => Self::Histogram(Histogram::new(bounds)),
        }
    }

    /// Amounts are of the instrument's kind: a counter's for a sum, the others for a histogram.
    pub(super) fn add(&mut self, amount: &Amount) {
        match (self, amount) {
            (Self::Sum(sum), Amount::Count(count)) => *sum = sum.saturating_add(*count),
            (Self::Histogram(histogram), Amount::Value(value)) => histogram.add(*value),
            (Self::Histogram(histogram), Amount::Times(times)) => histogram.add_times(times),
            (Self::Sum(_), _) | (Self::Histogram(_), Amount::Count(_)) => {
                debug_assert!(false, "an amount of another kind of instrument");
            }
        }
    }
}

impl Histogram {
    fn add(&mut self, value: f64) {
        self.sum += value;
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += 1;
        }
    }

    /// Their buckets are the same as those of durations.
    fn add_times(&mut self, times: &ChunkTimes) {
        self.sum += std::time::Duration::from_nanos(times.sum).as_secs_f64();
        for (bucket, count) in self.buckets.iter_mut().zip(times.buckets) {
            *bucket += count;
        }
    }
}
