//! The attributes that are llmtap's own, for what the conventions have no name for.
//! Takes how an operation was captured; gives attributes under `llmtap.`.
//! Knows no attribute of the conventions.

use super::{failure::ended, list::Attributes};
use crate::{genai::Operation, http::Ended};

/// The attributes that are llmtap's own, and what they mean.
pub const OURS: [(&str, &str); 13] = [
    (REQUEST_TOOLS, "int: tools offered to the model"),
    (RESPONSE_CHUNKS, "int: stream events that carried a piece of the answer"),
    (RESPONSE_TOOL_CALLS, "string[]: names of the tools the model called, in order"),
    (RESPONSE_RUN_ID, "string: id of the agent's run that the answer is about"),
    (PROVIDER_REQUEST_ID, "string: the provider's id of the call, from its response headers"),
    (CONTENT_TRUNCATED, "true where message content passed the bound and was cut"),
    (CONTENT_SHED, "true where message content was not kept because llmtap did not keep up"),
    (ENDED, "string: how the exchange ended, where it was not complete (values: `Ended`)"),
    (MISSING_REQUEST_BYTES, "int: bytes of the request that passed and were not captured"),
    (MISSING_RESPONSE_BYTES, "int: bytes of the response that passed and were not captured"),
    (JOINED_LATE, "true where the call may have begun before llmtap saw the connection"),
    (UNKNOWN_FIELDS, "int: header fields that could not be told, as on HTTP/2 joined late"),
    (UNREADABLE, "string: why the rest of a body could not be read"),
];

pub(super) const REQUEST_TOOLS: &str = "llmtap.request.tools";
pub(super) const RESPONSE_CHUNKS: &str = "llmtap.response.chunks";
pub(super) const RESPONSE_TOOL_CALLS: &str = "llmtap.response.tool_calls";
pub(super) const RESPONSE_RUN_ID: &str = "llmtap.response.run.id";
pub(super) const PROVIDER_REQUEST_ID: &str = "llmtap.provider.request_id";
pub(super) const CONTENT_TRUNCATED: &str = "llmtap.content.truncated";
pub(super) const CONTENT_SHED: &str = "llmtap.content.shed";
pub(super) const ENDED: &str = "llmtap.ended";
pub(super) const MISSING_REQUEST_BYTES: &str = "llmtap.capture.missing_request_bytes";
pub(super) const MISSING_RESPONSE_BYTES: &str = "llmtap.capture.missing_response_bytes";
pub(super) const JOINED_LATE: &str = "llmtap.capture.joined_late";
pub(super) const UNKNOWN_FIELDS: &str = "llmtap.capture.unknown_fields";
pub(super) const UNREADABLE: &str = "llmtap.capture.unreadable";

impl Attributes {
    pub(super) fn capture(&mut self, operation: &Operation) {
        let end = operation.end;
        if end.how != Ended::Complete {
            self.text(ENDED, Some(ended(end.how)));
        }
        self.int(MISSING_REQUEST_BYTES, Some(end.missing_request).filter(|bytes| *bytes > 0));
        self.int(MISSING_RESPONSE_BYTES, Some(end.missing_response).filter(|bytes| *bytes > 0));
        self.flag(JOINED_LATE, end.joined_late);
        self.int(UNKNOWN_FIELDS, Some(operation.unknown_fields).filter(|fields| *fields > 0));
        self.text(UNREADABLE, operation.unreadable);
    }
}
