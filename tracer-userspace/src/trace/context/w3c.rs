//! W3C Trace Context: whose child a call is, by the request's `traceparent` and `tracestate`.
//! Takes the headers' values as sent; gives the [`Caller`], or `None` where the Recommendation says
//! that the headers must be ignored.
//!
//! `opentelemetry_sdk`'s propagator is not used: it takes ids of other lengths than the text says,
//! signs inside them, an upper-case version, and anything as the value of a `tracestate` member.
//! Section numbers are those of <https://www.w3.org/TR/trace-context/>.

use opentelemetry::trace::{SpanId, TraceId, TraceState};

use super::{Caller, trim_ows};

/// Length of a version-00 `traceparent`: `00-{32}-{16}-{2}` (§3.2.2).
const TRACEPARENT_LEN: usize = 55;

/// The flag of the caller's sampling decision (§3.2.2.5.1).
const SAMPLED: u8 = 1;

/// Members that a `tracestate` may have (§3.3.1.1).
const TRACESTATE_MEMBERS: usize = 32;

/// Bytes of a member's key, of its value, and of the two parts of a multi-tenant key (§3.3.1.3).
const KEY_LEN: usize = 256;
const VALUE_LEN: usize = 256;
const TENANT_LEN: usize = 241;
const SYSTEM_LEN: usize = 14;

/// The span that made the request, if its headers name one.
///
/// More than one `traceparent` names none (§3.2: it is a single header). An invalid `tracestate` is
/// dropped and the parent kept (§3.3).
pub(super) fn caller(traceparent: &[String], tracestate: &[String]) -> Option<Caller> {
    let [traceparent] = traceparent else { return None };
    let (trace, span, sampled) = parse_traceparent(traceparent)?;
    let state = parse_tracestate(tracestate).unwrap_or_default();
    let sampled = Some(sampled);
    Some(Caller { trace, span: Some(span), sampled, state, header: "traceparent" })
}

fn parse_traceparent(value: &str) -> Option<(TraceId, SpanId, bool)> {
    let bytes = trim_ows(value).as_bytes();
    if bytes.len() < TRACEPARENT_LEN || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
        return None;
    }
    let version = hex(&bytes[..2])?;
    let end_is_right = match version {
        // §3.2.2.1: "Version ff is invalid."
        0xff => false,
        0 => bytes.len() == TRACEPARENT_LEN,
        // §4.3: a higher version is read as far as it is known, if a dash follows or nothing.
        _ => bytes.get(TRACEPARENT_LEN).is_none_or(|next| *next == b'-'),
    };
    let trace = TraceId::from(hex(&bytes[3..35])?);
    let span = SpanId::from(u64::try_from(hex(&bytes[36..52])?).ok()?);
    let flags = u8::try_from(hex(&bytes[53..55])?).ok()?;
    // §3.2.2.3 and §3.2.2.4: an id of zeroes is invalid. §3.2.2.5: flags other than `sampled` are
    // not to be relied on.
    let is_valid = end_is_right && trace != TraceId::INVALID && span != SpanId::INVALID;
    is_valid.then_some((trace, span, flags & SAMPLED != 0))
}

/// `HEXDIGLC` only (§3.2.2): the standard library's parsers also take upper case and a sign.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// Several headers are one list in their order (§3.3.1, RFC 9110 §5.3).
fn parse_tracestate(headers: &[String]) -> Option<TraceState> {
    let mut members = Vec::new();
    for member in headers.iter().flat_map(|header| header.split(',')).map(trim_ows) {
        // §3.3.1.2: empty list members are allowed.
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        if members.len() == TRACESTATE_MEMBERS || !is_key(key) || !is_value(value) {
            return None;
        }
        members.push((key, value));
    }
    // The library holds a system id of 14 characters, which §3.3.1.3.1 allows, to be invalid; such
    // a list is dropped as an invalid one is.
    TraceState::from_key_value(members).ok()
}

/// `simple-key` or `multi-tenant-key` (§3.3.1.3.1).
fn is_key(key: &str) -> bool {
    let are_key_chars = |part: &str| {
        part.bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    let starts_with_letter = |part: &str| part.starts_with(|c: char| c.is_ascii_lowercase());
    match key.split_once('@') {
        None => starts_with_letter(key) && key.len() <= KEY_LEN && are_key_chars(key),
        Some((tenant, system)) => {
            let tenant_starts =
                tenant.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
            tenant_starts
                && starts_with_letter(system)
                && tenant.len() <= TENANT_LEN
                && system.len() <= SYSTEM_LEN
                && are_key_chars(tenant)
                && are_key_chars(system)
        }
    }
}

/// `value` (§3.3.1.3.2): printable ASCII without comma and equals sign; spaces at its end belong to
/// the list and are gone already.
fn is_value(value: &str) -> bool {
    let is_value_char = |byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    (1..=VALUE_LEN).contains(&value.len()) && value.bytes().all(is_value_char)
}

#[cfg(test)]
mod tests;
