//! Whose child a call is, by what its request says: W3C Trace Context, and the older propagators.
//! Takes the headers' values as sent; gives the [`Caller`], and other places that they name.
//! What is malformed names nothing; nothing is made up for what a header leaves out.

mod propagators;
mod w3c;

use opentelemetry::{
    KeyValue,
    trace::{Link, SpanContext, SpanId, TraceFlags, TraceId, TraceState},
};

use crate::genai::HttpFacts;

/// A place in a trace, as one kind of header names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Caller {
    pub(super) trace: TraceId,
    /// The span that made the request. Load balancers name a trace alone.
    pub(super) span: Option<SpanId>,
    /// The caller's sampling decision; `None` where it left that to the called.
    pub(super) sampled: Option<bool>,
    pub(super) state: TraceState,
    /// The header, by its name.
    pub(super) header: &'static str,
}

impl Caller {
    /// The calling span, for what a sampler decides by; `None` where span or decision is not told.
    pub(super) fn decided(&self) -> Option<SpanContext> {
        Some(self.context(self.span?, self.sampled?))
    }

    fn context(&self, span: SpanId, sampled: bool) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(sampled);
        SpanContext::new(self.trace, span, flags, true, self.state.clone())
    }

    /// Whether both name one place. Headers of 64-bit ids carry the lower half of longer ones.
    fn is_where(&self, other: &Self) -> bool {
        let [one, two] = [self, other].map(|caller| u128::from_be_bytes(caller.trace.to_bytes()));
        let same_trace =
            if is_short(one) || is_short(two) { one as u64 == two as u64 } else { one == two };
        same_trace && (self.span.is_none() || other.span.is_none() || self.span == other.span)
    }
}

fn is_short(trace: u128) -> bool {
    trace >> 64 == 0
}

/// All that a request says of where it belongs.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// W3C's, else the first of the others that names a span, else the first that names a trace.
    pub(super) caller: Option<Caller>,
    /// What the remaining headers say otherwise.
    pub(super) others: Vec<Caller>,
}

impl Context {
    pub(super) fn of(http: &HttpFacts) -> Self {
        let mut found: Vec<Caller> =
            w3c::caller(&http.traceparent, &http.tracestate).into_iter().collect();
        found.extend(propagators::callers(&http.trace_headers));
        let first = found.iter().position(|caller| caller.span.is_some()).unwrap_or(0);
        if first == found.len() {
            return Self::default();
        }
        let caller = found.remove(first);
        found.retain(|other| !other.is_where(&caller));
        Self { caller: Some(caller), others: found }
    }

    /// The spans that other headers name.
    pub(super) fn links(&self, attribute: &'static str) -> Vec<Link> {
        let link = |other: &Caller| {
            let context = other.context(other.span?, other.sampled.unwrap_or_default());
            Some(Link::new(context, vec![KeyValue::new(attribute, other.header)], 0))
        };
        self.others.iter().filter_map(link).collect()
    }
}

/// Optional white space around a header's value and around list members (RFC 9110 §5.6.3).
fn trim_ows(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests;
