//! The cells of a call's line, as text.
//! Takes parts of an [`Operation`]; gives short words and numbers with their units.
//! What is not known is a dash.

use std::time::Duration;

use opentelemetry::trace::Status;

use crate::{genai::Operation, http::Ended, trace::semconv};

pub(super) const UNKNOWN: &str = "–";

/// `0.42ms`, `182ms`, `1.42s`, `12.3s`, `2m03s`, `1h02m`.
pub(super) fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return UNKNOWN.to_owned() };
    match seconds {
        s if s < 0.000_995 => format!("{:.2}ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0}ms", s * 1e3),
        s if s < 9.995 => format!("{s:.2}s"),
        s if s < 99.95 => format!("{s:.1}s"),
        s => {
            let whole = Duration::from_secs_f64(s.min(1e9)).as_secs();
            match whole / 3600 {
                0 => format!("{}m{:02}s", whole / 60, whole % 60),
                hours => format!("{hours}h{:02}m", whole % 3600 / 60),
            }
        }
    }
}

pub(super) fn seconds_to_first_chunk(operation: &Operation) -> Option<f64> {
    let nanos = operation.timing.first_chunk?.since(operation.timing.start);
    Some(Duration::from_nanos(nanos).as_secs_f64())
}

/// With a comma at every thousand.
pub(super) fn count(number: Option<u64>) -> String {
    let Some(number) = number else { return UNKNOWN.to_owned() };
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    Unsure,
    Bad,
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub kind: Kind,
    pub words: String,
}

pub(super) fn outcome(operation: &Operation) -> Outcome {
    if let Status::Error { .. } = semconv::status(operation) {
        return Outcome { kind: Kind::Bad, words: format!("✗ {}", failure(operation)) };
    }
    let unsure = match operation.end.how {
        Ended::Gap => Some("… end not captured"),
        Ended::TracerStopped => Some("… still running"),
        _ => None,
    };
    if let Some(words) = unsure {
        return Outcome { kind: Kind::Unsure, words: words.to_owned() };
    }
    let words = match operation.response.finish_reasons.as_slice() {
        [] => "✓".to_owned(),
        reasons => format!("✓ {}", reasons.join(", ")),
    };
    Outcome { kind: Kind::Good, words }
}

/// The error's kind, with the HTTP status where it says more.
pub(super) fn failure(operation: &Operation) -> String {
    let Some(error) = &operation.error else {
        return match (operation.http.status, operation.end.how) {
            (Some(status), _) if status >= 400 => format!("HTTP {status}"),
            (_, how) => semconv::ended(how).replace('_', " "),
        };
    };
    match operation.http.status {
        Some(status) if status >= 400 && error.kind != status.to_string() => {
            format!("{status} {}", error.kind)
        }
        _ => error.kind.clone(),
    }
}

/// What a reader wants to know beside: tools called, tokens of special kinds, what was not seen.
pub(super) fn remarks(operation: &Operation) -> Vec<String> {
    let mut remarks = Vec::new();
    if !operation.response.tool_calls.is_empty() {
        remarks.push(format!("calls {}", operation.response.tool_calls.join(", ")));
    }
    let usage = operation.usage;
    for (tokens, what) in [
        (usage.cache_read_input_tokens, "cached"),
        (usage.cache_write_input_tokens, "written to cache"),
        (usage.reasoning_output_tokens, "reasoning"),
    ] {
        if let Some(tokens) = tokens.filter(|tokens| *tokens > 0) {
            remarks.push(format!("{} {what}", count(Some(tokens))));
        }
    }
    let end = operation.end;
    if end.how != Ended::Complete && operation.response.chunks > 0 {
        remarks.push(format!("after {} chunks", count(Some(operation.response.chunks))));
    }
    for (bytes, what) in [(end.missing_request, "request"), (end.missing_response, "response")] {
        if bytes > 0 {
            remarks.push(format!("{} bytes of the {what} not captured", count(Some(bytes))));
        }
    }
    if end.joined_late {
        remarks.push("joined late".to_owned());
    }
    if operation.unknown_fields > 0 {
        remarks.push(format!("{} header fields not known", operation.unknown_fields));
    }
    if let Some(reason) = operation.unreadable {
        remarks.push(format!("body unreadable: {reason}"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{genai::ProviderError, trace::sample};

    #[test]
    fn durations_have_three_digits() {
        for (seconds, expected) in [
            (0.000_42, "0.42ms"),
            (0.0009951, "1ms"),
            (0.1824, "182ms"),
            (0.9994, "999ms"),
            (0.9996, "1.00s"),
            (1.424, "1.42s"),
            (9.996, "10.0s"),
            (12.34, "12.3s"),
            (99.96, "1m39s"),
            (123.4, "2m03s"),
            (3725.0, "1h02m"),
        ] {
            assert_eq!(duration(Some(seconds)), expected);
        }
        assert_eq!(duration(None), "–");
    }

    #[test]
    fn counts_are_grouped() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1204, "1,204"),
            (100_000, "100,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(Some(number)), expected);
        }
        assert_eq!(count(None), "–");
    }

    #[test]
    fn outcomes_say_how_it_ended() {
        let mut operation = sample::operation();
        let words = |operation: &Operation| outcome(operation).words;
        assert_eq!(words(&operation), "✓ stop");
        operation.response.finish_reasons.clear();
        assert_eq!(words(&operation), "✓");
        operation.end.how = Ended::ClientGone;
        assert_eq!(words(&operation), "✗ cancelled");
        operation.end.how = Ended::ServerReset;
        assert_eq!(words(&operation), "✗ connection reset");
        operation.end.how = Ended::Gap;
        assert_eq!(outcome(&operation).kind, Kind::Unsure);
        operation.http.status = Some(503);
        assert_eq!(words(&operation), "✗ HTTP 503");
        operation.error = Some(ProviderError { kind: "503".into(), message: None });
        assert_eq!(words(&operation), "✗ 503");
        operation.error = Some(ProviderError { kind: "overloaded".into(), message: None });
        assert_eq!(words(&operation), "✗ 503 overloaded");
    }

    #[test]
    fn remarks_name_what_is_there() {
        let mut operation = sample::operation();
        assert!(remarks(&operation).is_empty());
        operation.response.tool_calls = vec!["search".into(), "fetch".into()];
        operation.usage.cache_read_input_tokens = Some(1024);
        operation.usage.reasoning_output_tokens = Some(0);
        operation.end.missing_response = 1500;
        operation.unknown_fields = 2;
        operation.end.how = Ended::ClientGone;
        assert_eq!(
            remarks(&operation),
            [
                "calls search, fetch",
                "1,024 cached",
                "after 12 chunks",
                "1,500 bytes of the response not captured",
                "2 header fields not known"
            ]
        );
    }
}
