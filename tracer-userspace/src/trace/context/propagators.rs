//! The propagators beside W3C's: B3, Jaeger, Datadog, OpenCensus, Google Cloud's and AWS X-Ray's.
//! Takes the headers' values as sent; gives a [`Caller`] for each that is well formed.
//! A header that stands there twice names nothing, as with `traceparent`.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use opentelemetry::trace::{SpanId, TraceId, TraceState};

use super::{Caller, trim_ows};
use crate::genai::HeaderFact;

/// In the order in which they are believed; those that load balancers add come last.
pub(super) fn callers(headers: &[HeaderFact]) -> impl Iterator<Item = Caller> {
    let headers = Headers(headers);
    [
        headers.value("b3").and_then(b3_single).or_else(|| b3_multi(headers)),
        headers.value("uber-trace-id").and_then(jaeger),
        datadog(headers),
        headers.value("grpc-trace-bin").and_then(opencensus),
        headers.value("x-cloud-trace-context").and_then(google_cloud),
        headers.value("x-amzn-trace-id").and_then(xray),
    ]
    .into_iter()
    .flatten()
}

#[derive(Clone, Copy)]
struct Headers<'a>(&'a [HeaderFact]);

impl<'a> Headers<'a> {
    fn value(self, name: &str) -> Option<&'a str> {
        self.alone(name).flatten()
    }

    /// `None` where the header is not there, `Some(None)` where it is not there once and readable.
    fn alone(self, name: &str) -> Option<Option<&'a str>> {
        let header = self.0.iter().find(|header| header.name == name)?;
        let [value] = &header.values[..] else { return Some(None) };
        Some(Some(trim_ows(value)))
    }
}

fn named(
    header: &'static str,
    trace: TraceId,
    span: Option<SpanId>,
    sampled: Option<bool>,
) -> Caller {
    Caller { trace, span, sampled, state: TraceState::NONE, header }
}

/// `b3: {TraceId}-{SpanId}[-{SamplingState}[-{ParentSpanId}]]`
/// (<https://github.com/openzipkin/b3-propagation>, "Single Header").
fn b3_single(value: &str) -> Option<Caller> {
    let mut parts = value.split('-');
    let (trace, span) = (b3_trace(parts.next()?)?, b3_span(parts.next()?)?);
    let sampled = match parts.next() {
        None => None,
        Some(state) => Some(match state {
            "0" => false,
            // Debug is more than sampled.
            "1" | "d" => true,
            _ => return None,
        }),
    };
    if let Some(parent) = parts.next() {
        b3_span(parent)?;
    }
    parts.next().is_none().then(|| named("b3", trace, Some(span), sampled))
}

/// `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled`, `X-B3-Flags` (there, "Multiple Headers").
fn b3_multi(headers: Headers<'_>) -> Option<Caller> {
    const HEADER: &str = "x-b3-traceid";
    let trace = b3_trace(headers.value(HEADER)?)?;
    let span = b3_span(headers.value("x-b3-spanid")?)?;
    let is_debug = headers.value("x-b3-flags") == Some("1");
    let sampled = match headers.value("x-b3-sampled") {
        _ if is_debug => Some(true),
        // The words are what older tracers sent.
        Some("1" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        _ => None,
    };
    Some(named(HEADER, trace, Some(span), sampled))
}

/// 64 or 128 bits, "lower-hex".
fn b3_trace(digits: &str) -> Option<TraceId> {
    let is_right = matches!(digits.len(), 16 | 32) && !has_upper(digits);
    is_right.then(|| trace(hex(digits, 32)?)).flatten()
}

fn b3_span(digits: &str) -> Option<SpanId> {
    let is_right = digits.len() == 16 && !has_upper(digits);
    is_right.then(|| span(hex(digits, 16)?)).flatten()
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// `uber-trace-id: {trace-id}:{span-id}:{parent-span-id}:{flags}`, the colons perhaps as `%3A`
/// (<https://www.jaegertracing.io/sdk-migration/#propagation-format>); leading zeros may be missing.
fn jaeger(value: &str) -> Option<Caller> {
    let value = value.replace("%3A", ":").replace("%3a", ":");
    let parts: Vec<&str> = value.split(':').collect();
    let [trace_id, span_id, parent, flags] = parts[..] else { return None };
    // Zero is a right value of the parent, which is ignored.
    hex(parent, 16)?;
    let flags = hex(flags, 2)?;
    let sampled = Some(flags & 1 != 0);
    Some(named(
        "uber-trace-id",
        trace(hex(trace_id, 32)?)?,
        Some(span(hex(span_id, 16)?)?),
        sampled,
    ))
}

/// `x-datadog-trace-id` and `x-datadog-parent-id`, decimal; `x-datadog-sampling-priority`, above 0
/// for kept; the upper half of a trace id of 128 bits as `_dd.p.tid` of `x-datadog-tags`.
fn datadog(headers: Headers<'_>) -> Option<Caller> {
    const HEADER: &str = "x-datadog-trace-id";
    let low = decimal(headers.value(HEADER)?)?;
    // Half of a trace id would be another trace's.
    let high = match headers.alone("x-datadog-tags") {
        None => 0,
        Some(tags) => tid(tags?)?,
    };
    let span = match headers.alone("x-datadog-parent-id") {
        None => None,
        Some(parent) => span(decimal(parent?)?.into()),
    };
    let sampled = match headers.value("x-datadog-sampling-priority") {
        Some("-1" | "0") => Some(false),
        Some("1" | "2") => Some(true),
        _ => None,
    };
    Some(named(HEADER, trace(high << 64 | u128::from(low))?, span, sampled))
}

/// 0 where the tags have none.
fn tid(tags: &str) -> Option<u128> {
    match tags.split(',').find_map(|tag| tag.trim().strip_prefix("_dd.p.tid=")) {
        None => Some(0),
        Some(digits) => (digits.len() == 16).then(|| hex(digits, 16)).flatten(),
    }
}

/// `grpc-trace-bin`, base64: version 0, then fields 0 (trace id), 1 (span id) and, perhaps, 2 (options)
/// (<https://github.com/census-instrumentation/opencensus-specs>, `encodings/BinaryEncoding.md`).
fn opencensus(value: &str) -> Option<Caller> {
    /// gRPC's senders may leave out the padding (PROTOCOL-HTTP2.md, "Binary-Header").
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = BASE64.decode(value).ok()?;
    let fields = bytes.strip_prefix(&[0, 0])?;
    let (trace_id, fields) = fields.split_first_chunk::<16>()?;
    let (span_id, fields) = fields.strip_prefix(&[1])?.split_first_chunk::<8>()?;
    // What follows a field that is not known is not read.
    let sampled = match fields {
        [2, options, ..] => Some(options & 1 != 0),
        _ => None,
    };
    let trace = trace(u128::from_be_bytes(*trace_id))?;
    let span = span(u64::from_be_bytes(*span_id).into())?;
    Some(named("grpc-trace-bin", trace, Some(span), sampled))
}

/// `X-Cloud-Trace-Context: {TRACE_ID}[/{SPAN_ID}][;o={0|1}]`, the span id decimal
/// (<https://cloud.google.com/trace/docs/trace-context#legacy-http-header>).
fn google_cloud(value: &str) -> Option<Caller> {
    let (ids, sampled) = match value.split_once(";o=") {
        None => (value, None),
        Some((ids, "0")) => (ids, Some(false)),
        Some((ids, "1")) => (ids, Some(true)),
        Some(_) => return None,
    };
    let (trace_id, span_id) = match ids.split_once('/') {
        None => (ids, None),
        Some((trace_id, span_id)) => (trace_id, span(decimal(span_id)?.into())),
    };
    let trace = (trace_id.len() == 32).then(|| trace(hex(trace_id, 32)?)).flatten()?;
    Some(named("x-cloud-trace-context", trace, span_id, sampled))
}

/// `X-Amzn-Trace-Id: Root=1-{8 digits}-{24 digits}[;Parent={16 digits}][;Sampled={0|1|?}]`
/// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>).
/// `Self`, which load balancers add, is their own span and not the caller.
fn xray(value: &str) -> Option<Caller> {
    let field = |name: &str| {
        let mut fields = value.split(';').filter_map(|field| field.trim().split_once('='));
        fields.find(|(have, _)| *have == name).map(|(_, value)| value)
    };
    let (time, rest) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
    if time.len() != 8 || rest.len() != 24 {
        return None;
    }
    let root = trace(hex(time, 8)? << 96 | hex(rest, 24)?)?;
    let parent = match field("Parent") {
        None => None,
        Some(digits) if digits.len() == 16 => span(hex(digits, 16)?),
        Some(_) => return None,
    };
    let sampled = match field("Sampled") {
        Some("0") => Some(false),
        Some("1") => Some(true),
        // `?` asks the called to decide.
        _ => None,
    };
    Some(named("x-amzn-trace-id", root, parent, sampled))
}

/// Up to `most` hexadecimal digits: the standard library's parsers also take a sign.
fn hex(digits: &str, most: usize) -> Option<u128> {
    let is_right =
        (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_right.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

fn decimal(digits: &str) -> Option<u64> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// An id of zeroes is none, as in every one of these formats.
fn trace(id: u128) -> Option<TraceId> {
    (id != 0).then(|| TraceId::from(id))
}

fn span(id: u128) -> Option<SpanId> {
    u64::try_from(id).ok().filter(|id| *id != 0).map(SpanId::from)
}

#[cfg(test)]
mod tests;
