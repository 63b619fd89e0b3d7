use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::{
    genai::ChunkTimes,
    trace::semconv::{Amount, INSTRUMENTS, Label, OVERFLOW},
};

fn instrument(name: &str) -> &'static Instrument {
    INSTRUMENTS.iter().find(|one| one.name == name).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn tokens(model: &str, count: u64) -> Measurement {
    Measurement {
        instrument: instrument("gen_ai.client.inference.usage.input_tokens"),
        labels: vec![("gen_ai.request.model", Label::Text(model.to_owned()))],
        amount: Amount::Count(count),
    }
}

fn duration(seconds: f64) -> Measurement {
    Measurement {
        instrument: instrument("gen_ai.client.inference.duration"),
        labels: Vec::new(),
        amount: Amount::Value(seconds),
    }
}

type Numbered = Meter<u32, &'static str>;

fn meter(temporality: Temporality) -> Numbered {
    Meter::new(Bounds::default(), temporality)
}

fn record(meter: &mut Numbered, resource: u32, start: u64, list: &[Measurement]) {
    meter.record((resource, || "about"), at(start), list);
}

/// The only point of the only metric of a resource.
fn only<'a>(collected: &'a Collected<u32, &'static str>) -> &'a Value {
    assert_eq!(collected.metrics.len(), 1);
    assert_eq!(collected.metrics[0].1.len(), 1);
    &collected.metrics[0].1[0].value
}

#[test]
fn buckets_hold_values_up_to_their_bound() {
    let mut meter = meter(Temporality::Cumulative);
    // "(previous bound, bound]" (OTLP, HistogramDataPoint.explicit_bounds).
    let values = [0.0, 0.01, 0.010_001, 0.02, 81.92, 81.93, 1e9];
    record(&mut meter, 1, 0, &values.map(duration));
    let collected = meter.collect(at(9), |_| true);
    let Value::Histogram(histogram) = only(&collected[0]) else { panic!("{collected:?}") };
    let mut expected = vec![0; 15];
    (expected[0], expected[1], expected[13], expected[14]) = (2, 2, 1, 2);
    assert_eq!(histogram.buckets, expected);
    assert_eq!(histogram.count(), 7);
    assert!((histogram.sum - values.iter().sum::<f64>()).abs() < 1e-3);
}

#[test]
fn added_up_times_are_as_good_as_single_ones() {
    let mut times = ChunkTimes::default();
    let nanos = [5_000_000, 10_000_000, 15_000_000, 3_000_000_000, 90_000_000_000];
    nanos.iter().for_each(|one| times.record(*one));
    let together = Measurement { amount: Amount::Times(times), ..duration(0.0) };
    let singly = nanos.map(|one| duration(Duration::from_nanos(one).as_secs_f64()));
    let (mut one, mut other) = (meter(Temporality::Delta), meter(Temporality::Delta));
    record(&mut one, 1, 0, &[together]);
    record(&mut other, 1, 0, &singly);
    let (one, other) = (one.collect(at(1), |_| true), other.collect(at(1), |_| true));
    let (Value::Histogram(one), Value::Histogram(other)) = (only(&one[0]), only(&other[0])) else {
        panic!("no histograms")
    };
    assert_eq!(one.buckets, other.buckets);
    assert!((one.sum - other.sum).abs() < 1e-9);
}

#[test]
fn cumulative_points_tell_everything() {
    let mut meter = meter(Temporality::Cumulative);
    record(&mut meter, 1, 10, &[tokens("a", 5)]);
    let first = meter.collect(at(20), |_| true);
    assert_eq!((only(&first[0]), first[0].since), (&Value::Sum(5), at(10)));
    record(&mut meter, 1, 21, &[tokens("a", 2)]);
    let second = meter.collect(at(30), |_| true);
    assert_eq!((only(&second[0]), second[0].since), (&Value::Sum(7), at(10)));
    let third = meter.collect(at(40), |_| true);
    assert_eq!(only(&third[0]), &Value::Sum(7));
}

#[test]
fn delta_points_tell_what_is_new() {
    let mut meter = meter(Temporality::Delta);
    record(&mut meter, 1, 10, &[tokens("a", 5)]);
    let first = meter.collect(at(20), |_| true);
    assert_eq!((only(&first[0]), first[0].since), (&Value::Sum(5), at(10)));
    assert!(meter.collect(at(30), |_| true).is_empty());
    record(&mut meter, 1, 35, &[tokens("a", 2)]);
    let second = meter.collect(at(40), |_| true);
    assert_eq!((only(&second[0]), second[0].since), (&Value::Sum(2), at(30)));
}

#[test]
fn resources_that_are_gone_are_told_once_more() {
    let mut meter = meter(Temporality::Cumulative);
    record(&mut meter, 1, 0, &[tokens("a", 1)]);
    record(&mut meter, 2, 0, &[tokens("a", 2)]);
    let keys = |collected: &[Collected<u32, _>]| -> Vec<u32> {
        collected.iter().map(|one| one.key).collect()
    };
    assert_eq!(keys(&meter.collect(at(1), |key| *key == 2)), [1, 2]);
    assert_eq!(keys(&meter.collect(at(2), |_| true)), [2]);
    // What comes after all begins anew.
    record(&mut meter, 1, 3, &[tokens("a", 4)]);
    let collected = meter.collect(at(4), |_| true);
    assert_eq!((only(&collected[0]), collected[0].since), (&Value::Sum(4), at(3)));
}

fn small() -> Numbered {
    Meter::new(Bounds { sets: 3, all_sets: 5, resources: 2, text: 8 }, Temporality::Cumulative)
}

/// Number of points, and the value of that without attributes.
fn overflown(collected: &Collected<u32, &'static str>) -> (usize, Option<Value>) {
    let points = &collected.metrics[0].1;
    let marked = |point: &&Point| point.labels == [(OVERFLOW, Label::Flag)];
    (points.len(), points.iter().find(marked).map(|point| point.value.clone()))
}

/// SDK specification: at the limit further sets go into one with `otel.metric.overflow` alone.
#[test]
fn sets_beyond_the_bound_overflow() {
    let mut meter = small();
    for model in ["a", "b", "c", "d", "a"] {
        record(&mut meter, 1, 0, &[tokens(model, 1)]);
    }
    let collected = meter.collect(at(1), |_| true);
    assert_eq!(overflown(&collected[0]), (3, Some(Value::Sum(2))), "two sets and that of the rest");
    assert_eq!(meter.overflow(), Overflow { without_attributes: 2, lost: 0 });
}

#[test]
fn sets_of_all_resources_are_bounded() {
    let mut meter = small();
    for (resource, model) in [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (2, "c")] {
        record(&mut meter, resource, 0, &[tokens(model, 1)]);
    }
    let collected = meter.collect(at(1), |_| true);
    assert_eq!(overflown(&collected[0]), (3, Some(Value::Sum(1))));
    assert_eq!(overflown(&collected[1]), (3, Some(Value::Sum(1))));
    assert_eq!(meter.overflow().without_attributes, 2);
    // A resource that is gone gives its room back.
    let mut meter = small();
    for model in ["a", "b", "c"] {
        record(&mut meter, 1, 0, &[tokens(model, 1)]);
    }
    meter.collect(at(1), |_| false);
    for model in ["a", "b"] {
        record(&mut meter, 2, 0, &[tokens(model, 1)]);
    }
    assert_eq!(overflown(&meter.collect(at(2), |_| true)[0]), (2, None));
}

#[test]
fn long_texts_have_no_room() {
    let mut meter = small();
    record(&mut meter, 1, 0, &[tokens("12345678", 1), tokens("123456789", 2)]);
    let collected = meter.collect(at(1), |_| true);
    assert_eq!(overflown(&collected[0]), (2, Some(Value::Sum(2))));
}

#[test]
fn resources_beyond_the_bound_are_lost_and_counted() {
    let mut meter = small();
    for resource in 1..=4 {
        record(&mut meter, resource, 0, &[tokens("a", 1), duration(1.0)]);
    }
    assert_eq!(meter.collect(at(1), |_| true).len(), 2);
    assert_eq!(meter.overflow(), Overflow { without_attributes: 0, lost: 4 });
}

#[test]
fn points_never_end_before_they_began() {
    let mut meter = meter(Temporality::Cumulative);
    record(&mut meter, 1, 10, &[tokens("a", 1)]);
    assert_eq!(meter.collect(at(5), |_| true)[0].since, at(5));
}
