//! The attributes that are llmtap's own, for what the conventions have no name for.
//! Takes how an operation was captured; gives attributes under `llmtap.`.
//! Knows no attribute of the conventions.

use rust_decimal::prelude::ToPrimitive;

use super::{failure::ended, list::Attributes};
use crate::{
    genai::Operation,
    http::Ended,
    trace::{context::Context, prices::Cost, tokens::Estimate},
};

pub(super) const REQUEST_TOOLS: &str = "llmtap.request.tools";
pub(super) const RESPONSE_CHUNKS: &str = "llmtap.response.chunks";
pub(super) const RESPONSE_TOOL_CALLS: &str = "llmtap.response.tool_calls";
pub(super) const RESPONSE_RUN_ID: &str = "llmtap.response.run.id";
pub(super) const PROVIDER_REQUEST_ID: &str = "llmtap.provider.request_id";
pub(super) const TIME_TO_FIRST_CONTENT: &str = "llmtap.response.time_to_first_content";
pub(super) const TIME_PER_CHUNK: &str = "llmtap.response.time_per_output_chunk";
pub(super) const TIME_PER_CHUNK_MAX: &str = "llmtap.response.time_per_output_chunk_max";
pub(super) const TOKENS_PER_SECOND: &str = "llmtap.response.output_tokens_per_second";
pub(super) const TIME_PER_TOKEN: &str = "llmtap.response.time_per_output_token";
pub(super) const SERVER_TOTAL: &str = "llmtap.server.total_time";
pub(super) const SERVER_QUEUE: &str = "llmtap.server.queue_time";
pub(super) const SERVER_LOAD: &str = "llmtap.server.load_time";
pub(super) const SERVER_PROMPT: &str = "llmtap.server.prompt_time";
pub(super) const SERVER_COMPLETION: &str = "llmtap.server.completion_time";
pub(super) const SERVER_INFERENCE: &str = "llmtap.server.inference_time";
pub(super) const SERVER_FIRST_TOKEN: &str = "llmtap.server.time_to_first_token";
pub(super) const RESEND_BASIS: &str = "llmtap.http.resend_basis";
pub(in crate::trace) const PARENT_EVIDENCE: &str = "llmtap.parent.evidence";
pub(super) const TRACE_EVIDENCE: &str = "llmtap.trace.evidence";
pub(super) const TRACE_OTHERS: &str = "llmtap.trace.others";
pub(super) const COST_TOTAL: &str = "llmtap.cost.total";
pub(super) const COST_CURRENCY: &str = "llmtap.cost.currency";
pub(super) const COST_DATE: &str = "llmtap.cost.prices_date";
pub(super) const ESTIMATE_INPUT: &str = "llmtap.estimate.input_tokens";
pub(super) const ESTIMATE_OUTPUT: &str = "llmtap.estimate.output_tokens";
pub(super) const ESTIMATE_TOKENIZER: &str = "llmtap.estimate.tokenizer";
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

    /// By which header the span's place is known, and which traces others name.
    pub(super) fn place(&mut self, context: &Context) {
        if let Some(caller) = &context.caller {
            let key = if caller.span.is_some() { PARENT_EVIDENCE } else { TRACE_EVIDENCE };
            self.text(key, Some(caller.header));
        }
        // What names a span is a link.
        let others = context.others.iter().filter(|other| other.span.is_none());
        let others: Vec<String> =
            others.map(|other| format!("{}={}", other.header, other.trace)).collect();
        self.texts(TRACE_OTHERS, &others);
    }

    pub(super) fn cost(&mut self, cost: &Cost) {
        self.double(COST_TOTAL, cost.total.to_f64());
        self.text(COST_CURRENCY, Some(&cost.currency));
        self.text(COST_DATE, Some(&cost.date));
    }

    pub(super) fn estimate(&mut self, estimate: Estimate) {
        self.int(ESTIMATE_INPUT, estimate.input);
        self.int(ESTIMATE_OUTPUT, estimate.output);
        self.text(ESTIMATE_TOKENIZER, Some(estimate.tokenizer));
    }
}
