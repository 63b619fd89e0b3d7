//! Measurements added up into series: what a metrics SDK does, for many processes at once.
//! Takes the measurements of finished operations; gives the points of each resource when asked.
//! Knows no metric's name, and nothing of OTLP or Prometheus.
//!
//! `opentelemetry_sdk`'s metrics are not used: a provider there serves one resource; an instrument
//! takes single values, and not the times between chunks that were added up as they passed; and
//! points carry the clock's time, so that a replay would never give the same twice.

mod point;
mod series;

use std::{collections::BTreeMap, time::SystemTime};

use serde::Deserialize;

use crate::trace::semconv::{Instrument, Measurement};

pub use point::{Histogram, Point, Value};
use series::Series;

/// What a meter holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Attribute sets of one metric of one resource, the set for what has no room among them: the
    /// SDK specification's default cardinality limit is 2000.
    pub sets: usize,
    /// Attribute sets of all metrics and resources together.
    pub all_sets: usize,
    /// Resources. What is measured of more is lost, and counted.
    pub resources: usize,
    /// Bytes of an attribute's text; a set with a longer one has no room.
    pub text: usize,
}

impl Default for Bounds {
    /// Some 10 MiB at a usual 700 bytes a set.
    fn default() -> Self {
        Self { sets: 2000, all_sets: 16_384, resources: 1024, text: 256 }
    }
}

/// Whether points tell of everything so far, or of what is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    #[default]
    Cumulative,
    Delta,
}

/// What had no place of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Measurements that went into their metric's set for what has no room
    /// (`otel.metric.overflow`): their numbers are there, their attributes are not.
    pub without_attributes: u64,
    /// Measurements of resources beyond the bound, which are nowhere.
    pub lost: u64,
}

/// The series of many resources, for one reader. `K` tells resources apart, `R` describes one.
#[derive(Debug)]
pub struct Meter<K, R> {
    bounds: Bounds,
    temporality: Temporality,
    resources: BTreeMap<K, Resource<R>>,
    /// Attribute sets of all resources.
    sets: usize,
    overflow: Overflow,
    /// When points were last collected.
    collected: Option<SystemTime>,
}

#[derive(Debug)]
struct Resource<R> {
    description: R,
    /// When the values were 0.
    since: SystemTime,
    /// By the instrument's name.
    metrics: BTreeMap<&'static str, Series>,
}

/// The points of one resource, in the order of their names and attributes.
#[derive(Clone, Debug)]
pub struct Collected<K, R> {
    pub key: K,
    pub resource: R,
    pub since: SystemTime,
    pub metrics: Vec<(&'static Instrument, Vec<Point>)>,
}

impl<K: Ord + Clone, R: Clone> Meter<K, R> {
    pub fn new(bounds: Bounds, temporality: Temporality) -> Self {
        Self {
            bounds,
            temporality,
            resources: BTreeMap::new(),
            sets: 0,
            overflow: Overflow::default(),
            collected: None,
        }
    }

    pub fn temporality(&self) -> Temporality {
        self.temporality
    }

    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// Adds what one operation of the resource, that began at `start`, gave.
    pub fn record(
        &mut self,
        (key, description): (K, impl FnOnce() -> R),
        start: SystemTime,
        measurements: &[Measurement],
    ) {
        if measurements.is_empty() {
            return;
        }
        let is_known = self.resources.contains_key(&key);
        if !is_known && self.resources.len() >= self.bounds.resources {
            self.overflow.lost += measurements.len() as u64;
            return;
        }
        // All that came before was told; of a resource that is told whole nothing came before.
        let since = match self.temporality {
            Temporality::Cumulative => start,
            Temporality::Delta => self.collected.unwrap_or(start),
        };
        let known = self.resources.entry(key).or_insert_with(|| Resource {
            description: description(),
            since,
            metrics: BTreeMap::new(),
        });
        for measurement in measurements {
            let series = known
                .metrics
                .entry(measurement.instrument.name)
                .or_insert_with(|| Series::new(measurement.instrument));
            let has_room = self.sets < self.bounds.all_sets;
            let before = series.sets();
            let had_place = series.record(measurement, &self.bounds, has_room);
            self.sets += series.sets() - before;
            self.overflow.without_attributes += u64::from(!had_place);
        }
    }

    /// Everything as it is at `time`. Resources of which `lives` says no are told a last time.
    pub fn collect(
        &mut self,
        time: SystemTime,
        lives: impl Fn(&K) -> bool,
    ) -> Vec<Collected<K, R>> {
        let mut all = Vec::with_capacity(self.resources.len());
        match self.temporality {
            Temporality::Cumulative => {
                all.extend(self.resources.iter().map(|(key, known)| known.collected(key)));
                self.resources.retain(|key, _| lives(key));
                let counts = self.resources.values().flat_map(|known| known.metrics.values());
                self.sets = counts.map(Series::sets).sum();
            }
            Temporality::Delta => {
                for (key, known) in std::mem::take(&mut self.resources) {
                    all.push(known.collected(&key));
                }
                self.sets = 0;
            }
        }
        self.collected = Some(time);
        // No point ends before it began, whatever became of the clock.
        for collected in &mut all {
            collected.since = collected.since.min(time);
        }
        all
    }
}

impl<R: Clone> Resource<R> {
    fn collected<K: Clone>(&self, key: &K) -> Collected<K, R> {
        Collected {
            key: key.clone(),
            resource: self.description.clone(),
            since: self.since,
            metrics: self
                .metrics
                .values()
                .map(|series| (series.instrument, series.points()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
