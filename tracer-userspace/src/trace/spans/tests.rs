use std::time::{Duration, SystemTime};

use super::*;
use crate::{
    genai::HeaderFact,
    trace::sample::{self, BOOT},
};

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

fn called_by(header: &str, value: &str) -> Operation {
    let mut operation = sample::operation();
    let header = HeaderFact { name: header.into(), values: vec![value.into()] };
    operation.http.trace_headers = vec![header];
    operation
}

fn told<'a>(span: &'a Span, key: &str) -> Option<&'a opentelemetry::Value> {
    let pair = span.attributes.iter().find(|pair| pair.key.as_str() == key)?;
    Some(&pair.value)
}

#[test]
fn b3_makes_a_child_and_says_so() {
    let process = sample::process(1, "a");
    let call = called_by("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1");
    let span =
        spans(Sampler::default()).span(call, &process, Transport::default(), offset()).unwrap();
    assert_eq!(span.context.trace_id().to_string(), "80f198ee56343ba864fe8b2a57d3eff7");
    assert_eq!(span.parent.to_string(), "e457b5a2e4d86bd1");
    assert!(span.parent_is_remote && span.links.is_empty());
    assert_eq!(told(&span, "llmtap.parent.evidence"), Some(&"b3".into()));
}

#[test]
fn b3_that_was_decided_against_is_not_kept() {
    let process = sample::process(1, "a");
    let call = called_by("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0");
    let mut spans = spans(Sampler::default());
    assert!(spans.span(call, &process, Transport::default(), offset()).is_none());
}

#[test]
fn load_balancers_header_gives_a_trace_and_no_parent() {
    let process = sample::process(1, "a");
    let call = called_by("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793");
    let span =
        spans(Sampler::default()).span(call, &process, Transport::default(), offset()).unwrap();
    assert_eq!(span.context.trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
    assert_eq!(span.parent, SpanId::INVALID);
    assert!(!span.parent_is_remote);
    assert_eq!(told(&span, "llmtap.parent.evidence"), None);
    assert_eq!(told(&span, "llmtap.trace.evidence"), Some(&"x-amzn-trace-id".into()));
}

#[test]
fn other_traces_are_told() {
    let process = sample::process(1, "a");
    let mut call = called_by("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793");
    call.http.traceparent = vec![CALLER.into()];
    let span =
        spans(Sampler::default()).span(call, &process, Transport::default(), offset()).unwrap();
    assert_eq!(told(&span, "llmtap.parent.evidence"), Some(&"traceparent".into()));
    let others = "[\"x-amzn-trace-id=5759e988bd862e3fe1be46a994272793\"]";
    assert_eq!(told(&span, "llmtap.trace.others").unwrap().to_string(), others);
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
