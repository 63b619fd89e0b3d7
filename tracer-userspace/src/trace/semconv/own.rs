//! The attributes that are llmtap's own, for what the conventions have no name for.
//! Takes how an operation was captured; gives attributes under `llmtap.`.
//! Knows no attribute of the conventions.

use super::{failure::ended, list::Attributes};
use crate::{genai::Operation, http::Ended};

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
