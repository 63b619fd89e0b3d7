//! One LLM operation, as the OpenTelemetry GenAI semantic conventions describe it, as a Rust type.
//! What `genai` gives and `trace` takes; nothing of wire formats, eBPF or OTLP in it.
//! A value that was not seen is `None`: nothing here is derived, estimated or defaulted.

use serde_json::Value;

use crate::{
    capture::{ConnectionId, Timestamp},
    http::{End, ExchangeId, Role},
};

/// `gen_ai.operation.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationName {
    Chat,
    TextCompletion,
    GenerateContent,
    Embeddings,
    FetchResponse,
}

impl OperationName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::GenerateContent => "generate_content",
            Self::Embeddings => "embeddings",
            Self::FetchResponse => "fetch_response",
        }
    }
}

/// What was asked for. `gen_ai.request.*` unless noted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub model: Option<String>,
    /// The client asked for a stream. Exported only where true.
    pub stream: bool,
    pub max_tokens: Option<i64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub seed: Option<i64>,
    pub stop_sequences: Vec<String>,
    /// `gen_ai.request.choice.count`, where sent and not 1.
    pub choice_count: Option<i64>,
    /// `gen_ai.request.reasoning.level`, as sent.
    pub reasoning_level: Option<String>,
    /// `gen_ai.output.type`: text, json, image or speech.
    pub output_type: Option<&'static str>,
    /// `openai.request.service_tier`, where not `auto`.
    pub service_tier: Option<String>,
    /// Number of tools offered.
    pub tools: Option<u64>,
    pub previous_response_id: Option<String>,
    /// `gen_ai.conversation.id`, where the request carries one.
    pub conversation_id: Option<String>,
    /// `gen_ai.embeddings.dimension.count`.
    pub embedding_dimensions: Option<i64>,
    pub encoding_formats: Vec<String>,
}

/// What came back. `gen_ai.response.*` unless noted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    pub id: Option<String>,
    pub model: Option<String>,
    /// One for each choice, in choice order, the provider's spelling; `error` where a choice had
    /// begun and its finish did not arrive.
    pub finish_reasons: Vec<String>,
    /// `gen_ai.conversation.id`, where the response carries one.
    pub conversation_id: Option<String>,
    /// `openai.response.service_tier`.
    pub service_tier: Option<String>,
    /// `openai.response.system_fingerprint`.
    pub system_fingerprint: Option<String>,
    /// Names of the tools the model called, in order.
    pub tool_calls: Vec<String>,
    /// Stream events that carried a piece of the answer; 0 for a response in one piece.
    pub chunks: u64,
}

/// `gen_ai.usage.*`, by the conventions' rules (input includes cached, output includes reasoning).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cache_read_input_tokens: Option<u64>,
    pub cache_write_input_tokens: Option<u64>,
    pub reasoning_output_tokens: Option<u64>,
}

/// Times on the kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// First byte of the request.
    pub start: Timestamp,
    /// Last byte of the request, if it was seen.
    pub request_end: Option<Timestamp>,
    /// First chunk of a streamed answer.
    pub first_chunk: Option<Timestamp>,
    /// Last byte that belongs to the operation, or the moment it was known to be over.
    pub end: Timestamp,
}

/// A failure that the provider reported. How the transport failed is in [`Operation::end`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// `error.type`: the provider's error code or type, else the HTTP status.
    pub kind: String,
    /// The provider's own words, for the status description.
    pub message: Option<String>,
}

/// Of the HTTP messages, what the span tells beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpFacts {
    pub method: String,
    /// Host and port that the client asked for (`Host`, `:authority` or an absolute target).
    pub authority: Option<String>,
    /// Path without the query.
    pub path: String,
    pub status: Option<u16>,
    /// `http.response.header.*` that identifies the call at the provider.
    pub request_id: Option<String>,
    /// As sent; `trace` decides whether it is well formed.
    pub traceparent: Vec<String>,
    pub tracestate: Vec<String>,
}

/// Messages in the conventions' JSON forms; present only where the user asked for content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    pub input_messages: Option<Value>,
    pub output_messages: Option<Value>,
    pub system_instructions: Option<Value>,
    pub tool_definitions: Option<Value>,
    /// Text was left out because it passed the bound on content.
    pub truncated: bool,
    /// Under overload nothing was kept.
    pub shed: bool,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub exchange: ExchangeId,
    pub role: Role,
    pub name: OperationName,
    /// `gen_ai.provider.name`.
    pub provider: String,
    /// `openai.api.type`, for OpenAI's own formats.
    pub api_type: Option<&'static str>,
    pub request: Request,
    pub response: Response,
    pub usage: Usage,
    pub timing: Timing,
    pub error: Option<ProviderError>,
    pub http: HttpFacts,
    pub content: Option<Content>,
    pub end: End,
    /// Fields of the heads and trailers that are there and could not be told.
    pub unknown_fields: u32,
    /// The body could not be read to its end, and why; what was read before stands.
    pub unreadable: Option<&'static str>,
}

impl Operation {
    pub fn connection(&self) -> ConnectionId {
        self.exchange.connection
    }
}
