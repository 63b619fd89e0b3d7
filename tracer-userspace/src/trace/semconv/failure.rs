//! Whether an operation failed, and how that is told.
//! Takes an operation; gives a span's status and `error.type`.
//! Knows how exchanges end.

use opentelemetry::trace::Status;

use crate::{genai::Operation, http::Ended};

/// Error with the reason in words where the call failed; unset otherwise, also where llmtap itself
/// did not see the end.
pub(crate) fn status(operation: &Operation) -> Status {
    match failure(operation) {
        Some((kind, words)) => Status::error(words.unwrap_or(kind)),
        None => Status::Unset,
    }
}

/// Whether the operation counts as failed: its span has an error status.
pub fn failed(operation: &Operation) -> bool {
    failure(operation).is_some()
}

/// `error.type` and the reason in words, if the call failed: what the provider said, else its HTTP
/// status, else how the transport ended.
pub(super) fn failure(operation: &Operation) -> Option<(String, Option<String>)> {
    if let Some(error) = &operation.error {
        return Some((error.kind.clone(), error.message.clone()));
    }
    if let Some(status) = operation.http.status.filter(|status| *status >= 400) {
        return Some((status.to_string(), Some(format!("HTTP status {status}"))));
    }
    let words = failed_end(operation.end.how)?;
    Some((ended(operation.end.how).to_owned(), Some(words)))
}

/// How an exchange ended, as `llmtap.ended` and, where the end is a failure of the call, as
/// `error.type`.
pub(crate) fn ended(how: Ended) -> &'static str {
    match how {
        Ended::Complete => "complete",
        Ended::AnsweredEarly => "answered_early",
        Ended::ClientGone => "cancelled",
        Ended::ServerClosed => "connection_closed",
        Ended::ServerReset => "connection_reset",
        Ended::ConnectionLost => "connection_lost",
        Ended::Refused => "refused",
        Ended::StreamReset(_) => "stream_reset",
        Ended::Malformed => "protocol_error",
        Ended::Gap => "capture_gap",
        Ended::TracerStopped => "tracer_stopped",
    }
}

/// The status description of an end that is a failure of the call. A whole answer is none, whatever
/// became of its request, and of a gap and llmtap's own end the call knows nothing.
fn failed_end(how: Ended) -> Option<String> {
    let words = match how {
        Ended::Complete | Ended::AnsweredEarly | Ended::Gap | Ended::TracerStopped => return None,
        Ended::ClientGone => "the client ended the call before the response was complete",
        Ended::ServerClosed => "the server closed the connection before the response was complete",
        Ended::ServerReset => "the connection broke before the response was complete",
        Ended::ConnectionLost => "the connection ended before the response was complete",
        Ended::Malformed => "the bytes on the connection stopped being the protocol they began as",
        Ended::Refused => "the server went away without taking the request up",
        Ended::StreamReset(code) => return Some(format!("HTTP/2 stream reset: {}", h2_code(code))),
    };
    Some(words.to_owned())
}

/// Error codes of HTTP/2 (RFC 9113 §7).
fn h2_code(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    match usize::try_from(code).ok().and_then(|code| NAMES.get(code)) {
        Some(name) => (*name).to_owned(),
        None => format!("{code:#x}"),
    }
}
