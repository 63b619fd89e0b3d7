//! What the two heads of an exchange say beside the call: for the span's HTTP attributes.
//! Takes heads; gives [`HttpFacts`], within bounds, and never a credential.
//! Response headers are told by name: those of [`KEPT`] and [`FAMILIES`], no other.

use ::http::{HeaderMap, HeaderValue, Version, header};

use super::{
    operation::{HeaderFact, HttpFacts},
    recognize,
};
use crate::http::{RequestHead, ResponseHead, credentials_in_url, names_credential};

/// Headers by which the providers' support finds a call, in order of preference.
const REQUEST_IDS: [&str; 22] = [
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "mistral-correlation-id",
    "x-litellm-call-id",
    "x-ms-request-id",
    "x-ms-client-request-id",
    "x-ds-trace-id",
    "x-debug-trace-id",
    "x-global-transaction-id",
    "x-generation-id",
    "x-dashscope-request-id",
    "nvcf-reqid",
    "x-kong-request-id",
    "x-bt-request-id",
    "x-portkey-trace-id",
    "cf-aig-log-id",
    "cf-ai-req-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "cf-ray",
];

/// Response headers that are told beside those ids.
const KEPT: [&str; 14] = [
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit",
    "x-ms-region",
    "x-groq-region",
    "x-endpoint-monthly-call-limit",
    "x-trial-endpoint-call-limit",
    "x-trial-endpoint-call-remaining",
    "x-amzn-errortype",
    "x-amzn-invoked-production-variant",
    "x-litellm-model-id",
];

/// How names of rate limits begin: each provider counts other things.
const FAMILIES: [&str; 5] = [
    "x-ratelimit-",
    "anthropic-ratelimit-",
    "anthropic-priority-",
    "anthropic-fast-",
    "ratelimit-",
];

/// Request headers that name a place in a trace, beside `traceparent` and `tracestate`: B3, Jaeger,
/// Datadog, OpenCensus in gRPC, Google Cloud, AWS X-Ray.
const PROPAGATORS: [&str; 13] = [
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-tags",
    "grpc-trace-bin",
    "x-cloud-trace-context",
    "x-amzn-trace-id",
];

/// Headers told of one response.
const MAX_HEADERS: usize = 40;
/// Longest name of one.
const MAX_NAME: usize = 64;
/// Values told of one.
const MAX_VALUES: usize = 4;
/// Bytes told of one value.
const MAX_VALUE: usize = 256;
/// Bytes of a propagator's header.
const MAX_PROPAGATOR: usize = 512;
/// Bytes told of a query.
const MAX_QUERY: usize = 1024;

/// What stands for a credential (HTTP semantic conventions, `url.full`).
const REDACTED: &str = "REDACTED";

pub(super) fn request(head: &RequestHead) -> HttpFacts {
    let all = |name| {
        let values = head.headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    HttpFacts {
        method: head.method.as_str().to_owned(),
        authority: recognize::authority(head).map(str::to_owned),
        path: recognize::path(head).to_owned(),
        query: query(&head.target),
        version: version(head.version),
        user_agent: text(&head.headers, header::USER_AGENT.as_str()).map(bounded),
        status: None,
        request_id: None,
        response_headers: Vec::new(),
        resent: resent(&head.headers),
        traceparent: all("traceparent"),
        tracestate: all("tracestate"),
        trace_headers: trace_headers(&head.headers),
    }
}

/// One that is longer than the bound, or no text, is there without values: that it was not readable
/// is not the same as that it was not sent.
fn trace_headers(headers: &HeaderMap) -> Vec<HeaderFact> {
    let whole = |value: &HeaderValue| {
        let text = value.to_str().ok().filter(|text| text.len() <= MAX_PROPAGATOR)?;
        Some(text.to_owned())
    };
    let fact = |name: &&str| {
        let values: Option<_> = headers.get_all(*name).iter().take(MAX_VALUES).map(whole).collect();
        HeaderFact { name: (*name).to_owned(), values: values.unwrap_or_default() }
    };
    PROPAGATORS.iter().filter(|name| headers.contains_key(**name)).map(fact).collect()
}

pub(super) fn response(facts: &mut HttpFacts, head: &ResponseHead) {
    facts.status = Some(head.status.as_u16());
    facts.request_id =
        REQUEST_IDS.iter().find_map(|name| text(&head.headers, name)).map(str::to_owned);
    facts.response_headers = head
        .headers
        .keys()
        .filter(|name| is_told(name.as_str()))
        .take(MAX_HEADERS)
        .map(|name| HeaderFact {
            name: name.as_str().to_owned(),
            values: values(&head.headers, name.as_str()),
        })
        .filter(|header| !header.values.is_empty())
        .collect();
}

/// `name` is in lower case, as all names of a [`HeaderMap`].
fn is_told(name: &str) -> bool {
    let named = REQUEST_IDS.contains(&name)
        || KEPT.contains(&name)
        || FAMILIES.iter().any(|family| name.starts_with(family));
    named && name.len() <= MAX_NAME && !names_credential(name.as_bytes())
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.filter(|value| !value.is_empty()).take(MAX_VALUES).map(bounded).collect()
}

fn bounded(value: &str) -> String {
    value[..value.floor_char_boundary(MAX_VALUE)].to_owned()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// `network.protocol.version`.
fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

/// The query of a target, without its credentials and without what follows a `#`.
fn query(target: &str) -> Option<String> {
    let at = target.find('?')?;
    let query = target[at..].split('#').next()?;
    let mut told = String::with_capacity(query.len().min(MAX_QUERY));
    let mut end = 0;
    for credential in credentials_in_url(query.as_bytes()) {
        told.push_str(query.get(end..credential.start)?);
        told.push_str(REDACTED);
        end = credential.end;
    }
    told.push_str(query.get(end..)?);
    told.truncate(told.floor_char_boundary(MAX_QUERY));
    let told = told.strip_prefix('?')?;
    (!told.is_empty()).then(|| told.to_owned())
}

/// How often the request was sent before, where the client says so.
fn resent(headers: &HeaderMap) -> Option<u32> {
    let number = |name: &str| text(headers, name)?.trim().parse().ok();
    // SDKs generated by Stainless: OpenAI's, Anthropic's, Groq's and others'.
    number("x-stainless-retry-count")
        // Attempts made before this one (gRPC proposal A6).
        .or_else(|| number("grpc-previous-rpc-attempts"))
        .or_else(|| attempt(text(headers, "amz-sdk-request")?)?.checked_sub(1))
}

/// `attempt=2; max=3`, of AWS' SDKs.
fn attempt(value: &str) -> Option<u32> {
    let mut members = value.split(';').filter_map(|member| member.trim().split_once('='));
    members.find(|(name, _)| *name == "attempt")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests;
