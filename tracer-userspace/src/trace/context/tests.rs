use super::*;
use crate::genai::HeaderFact;

const W3C: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SAME_AS_B3: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
const OTHER_SPAN: &str = "0af7651916cd43dd8448eb211c80319c-e457b5a2e4d86bd1-0";
const LOW_HALF: &str = "8448eb211c80319c-b7ad6b7169203331-1";
const BALANCER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

fn context(traceparent: Option<&str>, list: &[(&str, &str)]) -> Context {
    let fact = |(name, value): &(&str, &str)| HeaderFact {
        name: (*name).to_owned(),
        values: vec![(*value).to_owned()],
    };
    Context::of(&HttpFacts {
        traceparent: traceparent.into_iter().map(str::to_owned).collect(),
        trace_headers: list.iter().map(fact).collect(),
        ..HttpFacts::default()
    })
}

fn header(context: &Context) -> &str {
    context.caller.as_ref().unwrap().header
}

#[test]
fn nothing_said_is_nothing_known() {
    let nothing = context(None, &[]);
    assert!(nothing.caller.is_none() && nothing.others.is_empty());
    assert!(context(Some("nonsense"), &[("b3", "0")]).caller.is_none());
}

#[test]
fn w3c_wins_and_what_differs_is_a_link() {
    let context = context(Some(W3C), &[("b3", OTHER_SPAN)]);
    assert_eq!(header(&context), "traceparent");
    let links = context.links("by");
    let [link] = &links[..] else { panic!("{links:?}") };
    assert_eq!(link.span_context.span_id().to_string(), "e457b5a2e4d86bd1");
    assert!(!link.span_context.is_sampled() && link.span_context.is_remote());
    assert_eq!(link.attributes, [KeyValue::new("by", "b3")]);
}

#[test]
fn what_says_the_same_is_told_once() {
    for same in [SAME_AS_B3, LOW_HALF] {
        assert!(context(Some(W3C), &[("b3", same)]).others.is_empty(), "{same}");
    }
    let balancer = "Root=1-0af76519-16cd43dd8448eb211c80319c";
    assert!(context(Some(W3C), &[("x-amzn-trace-id", balancer)]).others.is_empty());
    // The lower halves may be alike by chance, if both are whole they are not the same.
    let upper = "1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
    assert_eq!(context(Some(W3C), &[("b3", upper)]).others.len(), 1);
}

#[test]
fn malformed_w3c_leaves_it_to_the_others() {
    let context = context(Some("00-0-0-0"), &[("b3", OTHER_SPAN), ("x-amzn-trace-id", BALANCER)]);
    assert_eq!(header(&context), "b3");
    assert_eq!(context.others.len(), 1);
    assert!(context.links("by").is_empty(), "a trace alone is nothing to link to");
}

#[test]
fn header_that_names_a_span_goes_before_one_that_names_a_trace() {
    // By their order Datadog's would come first.
    let cloud = "105445aa7843bc8bf206b12000100000/1;o=1";
    let headers = [("x-datadog-trace-id", "7"), ("x-cloud-trace-context", cloud)];
    assert_eq!(header(&context(None, &headers)), "x-cloud-trace-context");
    assert_eq!(header(&context(None, &headers[..1])), "x-datadog-trace-id");
}

#[test]
fn decision_needs_a_span_and_a_word() {
    let decided = |b3: &str| context(None, &[("b3", b3)]).caller.unwrap().decided();
    assert!(!decided(OTHER_SPAN).unwrap().is_sampled());
    assert!(decided(SAME_AS_B3).unwrap().is_sampled());
    assert!(decided(SAME_AS_B3.strip_suffix("-1").unwrap()).is_none());
    let balancer = format!("{BALANCER};Sampled=0");
    let context = context(None, &[("x-amzn-trace-id", &balancer)]);
    assert!(context.caller.unwrap().decided().is_none());
}
