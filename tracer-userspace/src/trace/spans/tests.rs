use std::time::{Duration, SystemTime};

use super::*;
use crate::trace::sample::{self, BOOT};

fn spans(sampler: Sampler) -> Spans {
    Spans::new(sampler, Clock::Recorded { boot: BOOT }, Ids::Random)
}

fn offset() -> Offset {
    Clock::Recorded { boot: BOOT }.measure()
}

fn called_with(traceparent: &str, tracestate: &str) -> Operation {
    let mut operation = sample::operation();
    operation.http.traceparent = vec![traceparent.to_owned()];
    operation.http.tracestate = vec![tracestate.to_owned()];
    operation
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED_CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[test]
fn traceparent_makes_a_child() {
    let process = sample::process(1, "a");
    let span = spans(Sampler::default())
        .span(called_with(CALLER, "v=1"), &process, Transport::default(), offset())
        .unwrap();
    assert_eq!(span.context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent.to_string(), "b7ad6b7169203331");
    assert!(span.parent_is_remote);
    assert!(span.context.is_sampled() && !span.context.is_remote());
    assert_ne!(span.context.span_id(), span.parent);
    assert_eq!(span.context.trace_state().header(), "v=1");
}

#[test]
fn callers_sampling_decision_is_kept() {
    let process = sample::process(1, "a");
    let unsampled = || called_with(UNSAMPLED_CALLER, "");
    assert!(
        spans(Sampler::default())
            .span(unsampled(), &process, Transport::default(), offset())
            .is_none()
    );
    let (always, _) = Sampler::from_variables(Some("always_on"), None);
    let span = spans(always).span(unsampled(), &process, Transport::default(), offset()).unwrap();
    assert!(span.context.is_sampled());
}

#[test]
fn calls_without_context_are_roots() {
    let process = sample::process(1, "a");
    let mut spans = spans(Sampler::default());
    let first = spans.span(sample::operation(), &process, Transport::default(), offset()).unwrap();
    let second = spans
        .span(called_with("nonsense", "v=1"), &process, Transport::default(), offset())
        .unwrap();
    for span in [&first, &second] {
        assert_eq!(span.parent, SpanId::INVALID);
        assert!(!span.parent_is_remote && span.context.is_valid());
        assert_eq!(span.context.trace_state().header(), "");
    }
    assert_ne!(first.context.trace_id(), second.context.trace_id());
}

#[test]
fn times_are_the_kernels() {
    let span = sample::span();
    let boot = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(span.start, boot + Duration::from_millis(1000));
    assert_eq!(span.end, boot + Duration::from_millis(2500));
}

#[test]
fn reversed_times_give_no_negative_duration() {
    let mut operation = sample::operation();
    operation.timing.end = crate::capture::Timestamp(0);
    let span = sample::span_of(operation, &sample::process(1, "a"));
    assert_eq!(span.start, span.end);
}
