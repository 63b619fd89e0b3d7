//! The attributes that are llmtap's own, for what the conventions have no name for.
//! Takes how an operation was captured; gives attributes under `llmtap.`.
//! Knows no attribute of the conventions.

use opentelemetry::KeyValue;
use rust_decimal::prelude::ToPrimitive;

use super::{failure::ended, list::Attributes};
use crate::{
    genai::Operation,
    http::Ended,
    trace::{prices::Cost, tokens::Estimate},
};

/// The attributes that are llmtap's own, and what they mean.
pub const OURS: [(&str, &str); 32] = [
    (REQUEST_TOOLS, "int: tools offered to the model"),
    (RESPONSE_CHUNKS, "int: stream events that carried a piece of the answer"),
    (RESPONSE_TOOL_CALLS, "string[]: names of the tools the model called, in order"),
    (RESPONSE_RUN_ID, "string: id of the agent's run that the answer is about"),
    (PROVIDER_REQUEST_ID, "string: the provider's id of the call, from its response headers"),
    (
        TIME_TO_FIRST_CONTENT,
        "double, s: of a stream, from the request's first byte to the first chunk with a piece of the \
         answer in it; the conventions' first chunk may name but a role",
    ),
    (TIME_PER_CHUNK, "double, s: of a stream, mean time between a chunk of the answer and the next"),
    (TIME_PER_CHUNK_MAX, "double, s: of a stream, the longest of those times"),
    (
        TOKENS_PER_SECOND,
        "double, 1/s: output tokens that the provider reported, by the seconds from the request's \
         first byte to the answer's end, so with the wait for the first",
    ),
    (
        TIME_PER_TOKEN,
        "double, s: of a stream, from the first chunk with a piece of the answer to the last, by the \
         reported output tokens but one; not where reasoning tokens are told, which need not have \
         been streamed",
    ),
    (SERVER_TOTAL, "double, s: the call, by the server's account in a header or the body, as those below"),
    (SERVER_QUEUE, "double, s: the call waited for its turn"),
    (SERVER_LOAD, "double, s: the model was loaded"),
    (SERVER_PROMPT, "double, s: the prompt was read"),
    (SERVER_COMPLETION, "double, s: the answer was made"),
    (SERVER_INFERENCE, "double, s: the model ran, where prompt and answer are not told apart"),
    (SERVER_FIRST_TOKEN, "double, s: from the request's arrival to the first token"),
    (
        RESEND_BASIS,
        "string: how `http.request.resend_count` is known: `header` (the client says it), or \
         `same_request` (the same process sent the same request before, and that attempt failed)",
    ),
    (
        COST_TOTAL,
        "double: what the call cost by the user's price list (docs/prices.md), nearest to the exact sum",
    ),
    (COST_CURRENCY, "string: its currency (ISO 4217)"),
    (COST_DATE, "string: the day of the price list"),
    (
        ESTIMATE_INPUT,
        "int: tokens of the text of the input, where the provider reported none: an estimate, without \
         what is put around messages",
    ),
    (ESTIMATE_OUTPUT, "int: likewise of the output, as far as it came"),
    (ESTIMATE_TOKENIZER, "string: the tokenizer that counted"),
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
}

/// What the call cost.
pub(in crate::trace) fn cost(cost: Cost) -> Vec<KeyValue> {
    let mut list = Attributes(Vec::with_capacity(3));
    list.double(COST_TOTAL, cost.total.to_f64());
    list.text(COST_CURRENCY, Some(&cost.currency));
    list.text(COST_DATE, Some(&cost.date));
    list.0
}

/// Tokens that nobody reported.
pub(in crate::trace) fn estimate(estimate: Estimate) -> Vec<KeyValue> {
    let mut list = Attributes(Vec::with_capacity(3));
    list.int(ESTIMATE_INPUT, estimate.input);
    list.int(ESTIMATE_OUTPUT, estimate.output);
    list.text(ESTIMATE_TOKENIZER, Some(estimate.tokenizer));
    list.0
}
