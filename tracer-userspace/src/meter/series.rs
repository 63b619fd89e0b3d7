//! All series of one metric of one resource, each with its attribute set.
//! Takes measurements; gives points. What has no room for its attributes goes into one set for all
//! such (SDK specification, "Cardinality limits").

use std::collections::BTreeMap;

use super::{
    Bounds,
    point::{Point, Value},
};
use crate::trace::semconv::{Instrument, Label, LabelSet, Measurement, OVERFLOW};

#[derive(Debug)]
pub(super) struct Series {
    pub(super) instrument: &'static Instrument,
    by_set: BTreeMap<LabelSet, Value>,
    overflow: Option<Value>,
}

impl Series {
    pub(super) fn new(instrument: &'static Instrument) -> Self {
        Self { instrument, by_set: BTreeMap::new(), overflow: None }
    }

    /// Attribute sets, that for what has no room among them.
    pub(super) fn sets(&self) -> usize {
        self.by_set.len() + usize::from(self.overflow.is_some())
    }

    /// Adds a measurement; gives whether its attributes had room. `has_room` is for a new set.
    pub(super) fn record(
        &mut self,
        measurement: &Measurement,
        bounds: &Bounds,
        has_room: bool,
    ) -> bool {
        if let Some(value) = self.by_set.get_mut(&measurement.labels) {
            value.add(&measurement.amount);
            return true;
        }
        let mut value = Value::new(self.instrument.kind);
        // One place is kept for the set of those that have none.
        let has_room = has_room && self.by_set.len() + 1 < bounds.sets;
        if has_room && fits(&measurement.labels, bounds.text) {
            value.add(&measurement.amount);
            self.by_set.insert(measurement.labels.clone(), value);
            return true;
        }
        self.overflow.get_or_insert(value).add(&measurement.amount);
        false
    }

    pub(super) fn points(&self) -> Vec<Point> {
        let named = self.by_set.iter().map(|(labels, value)| (labels.clone(), value));
        let overflow = self.overflow.iter().map(|value| (vec![(OVERFLOW, Label::Flag)], value));
        named
            .chain(overflow)
            .map(|(labels, value)| Point { labels, value: value.clone() })
            .collect()
    }
}

fn fits(labels: &LabelSet, limit: usize) -> bool {
    labels.iter().all(|(_, label)| match label {
        Label::Text(text) => text.len() <= limit,
        Label::Int(_) | Label::Flag => true,
    })
}
