//! One LLM operation, as the OpenTelemetry GenAI semantic conventions describe it, as a Rust type.
//! What `genai` gives and `trace` takes; nothing of wire formats, eBPF or OTLP in it.
//! A value that was not seen is `None`: nothing here is derived, estimated or defaulted.

use std::time::Duration;

use serde_json::Value;

use crate::{
    capture::{ConnectionId, Timestamp},
    http::{End, Ended, ExchangeId, Role},
};

/// `gen_ai.operation.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationName {
    Chat,
    TextCompletion,
    GenerateContent,
    Embeddings,
    /// A stored response is asked for again; what it cost was told when it was made.
    FetchResponse,
    CreateAgent,
    InvokeAgent,
    /// None of the conventions' names, which allow others.
    Moderation,
    Retrieval,
    ExecuteTool,
    /// None of the conventions' own: documents are put in order by a query.
    Rerank,
    /// Likewise: texts are given labels.
    Classification,
    /// Likewise: tokens are counted that a request would use. None are used, so they are no usage;
    /// [`Usage::input_tokens`] has them all the same, as in the instrumentations that know it.
    CountTokens,
    /// Likewise: a model makes a conversation shorter.
    Compaction,
    InvokeWorkflow,
}

impl OperationName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::GenerateContent => "generate_content",
            Self::Embeddings => "embeddings",
            Self::FetchResponse => "fetch_response",
            Self::CreateAgent => "create_agent",
            Self::InvokeAgent => "invoke_agent",
            Self::Moderation => "moderation",
            Self::Retrieval => "retrieval",
            Self::ExecuteTool => "execute_tool",
            Self::Rerank => "rerank",
            Self::Classification => "classification",
            Self::CountTokens => "count_tokens",
            Self::Compaction => "compaction",
            Self::InvokeWorkflow => "invoke_workflow",
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
    /// `gen_ai.request.stream_cursor`: the event behind which a stored stream is to go on.
    pub stream_cursor: Option<String>,
    /// `gen_ai.prompt.name`: the stored prompt that the request names.
    pub prompt_name: Option<String>,
    pub prompt_version: Option<String>,
    /// `gen_ai.agent.*`, as far as the request names the agent.
    pub agent: Agent,
    /// `gen_ai.conversation.id`, where the request carries one.
    pub conversation_id: Option<String>,
    /// `gen_ai.embeddings.dimension.count`.
    pub embedding_dimensions: Option<i64>,
    pub encoding_formats: Vec<String>,
    /// `gen_ai.data_source.id`, where one is searched.
    pub data_source_id: Option<String>,
}

/// `gen_ai.agent.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    pub id: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
}

/// What came back. `gen_ai.response.*` unless noted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    pub id: Option<String>,
    pub model: Option<String>,
    /// One for each choice, in choice order, the provider's spelling; `error` where a choice had
    /// begun and its finish did not arrive.
    pub finish_reasons: Vec<String>,
    /// How far the response had come when it was told, for APIs that answer before it is done.
    pub status: Option<String>,
    /// The run of an agent that the answer is about.
    pub run_id: Option<String>,
    /// `gen_ai.agent.*`, as far as the response names the agent.
    pub agent: Agent,
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
    /// Parts of `input_tokens`.
    pub input: Modalities,
    /// Parts of `output_tokens`.
    pub output: Modalities,
    /// Parts of `cache_read_input_tokens`.
    pub cache_read: Modalities,
}

/// Tokens by what they stand for, where the provider tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modalities {
    pub text: Option<u64>,
    pub audio: Option<u64>,
    pub image: Option<u64>,
    pub video: Option<u64>,
}

/// Upper bounds of the buckets of [`ChunkTimes`], in nanoseconds: those that the conventions
/// prescribe for durations, 10 ms and each twice the one before.
pub const CHUNK_TIME_BOUNDS: [u64; 14] = {
    let mut bounds = [10_000_000; 14];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
};

/// The times between the chunks of one streamed answer, as a histogram: what
/// `gen_ai.client.inference.time_per_output_chunk` records, in bounded memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkTimes {
    /// Of all of them, in nanoseconds.
    pub sum: u64,
    /// The longest, in nanoseconds.
    pub longest: u64,
    /// How many were at most as long as the bound of the same place in [`CHUNK_TIME_BOUNDS`] and
    /// longer than the one before; in the last place those above all bounds.
    pub buckets: [u64; CHUNK_TIME_BOUNDS.len() + 1],
}

impl ChunkTimes {
    pub fn record(&mut self, nanos: u64) {
        self.sum = self.sum.saturating_add(nanos);
        self.longest = self.longest.max(nanos);
        self.buckets[CHUNK_TIME_BOUNDS.partition_point(|bound| *bound < nanos)] += 1;
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
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
    /// First chunk with a piece of the answer in it: the first of many APIs names but a role.
    pub first_content: Option<Timestamp>,
    /// Last chunk with a piece of the answer in it.
    pub last_content: Option<Timestamp>,
    /// Between each chunk of a streamed answer and the next.
    pub output_chunk_times: ChunkTimes,
    /// Last byte that belongs to the operation, or the moment it was known to be over.
    pub end: Timestamp,
}

/// Times that the server says it took: `llmtap.server.*`. Clocks are its own, and what it counts to
/// a time is up to it: where it worked on a call beside others, they add up to more than passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerTimes {
    /// The whole call, as the server saw it.
    pub total: Option<Duration>,
    /// The call waited for its turn.
    pub queue: Option<Duration>,
    /// The model was loaded.
    pub load: Option<Duration>,
    /// The prompt was read.
    pub prompt: Option<Duration>,
    /// The answer was made.
    pub completion: Option<Duration>,
    /// The model worked: prompt and answer, where they are not told apart.
    pub inference: Option<Duration>,
    /// From the request's arrival to the first token.
    pub first_token: Option<Duration>,
}

impl ServerTimes {
    /// What is not known here and is there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            total: self.total.or(other.total),
            queue: self.queue.or(other.queue),
            load: self.load.or(other.load),
            prompt: self.prompt.or(other.prompt),
            completion: self.completion.or(other.completion),
            inference: self.inference.or(other.inference),
            first_token: self.first_token.or(other.first_token),
        }
    }
}

/// A failure that the provider reported. How the transport failed is in [`Operation::end`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// `error.type`: the provider's error code or type, else the HTTP status.
    pub kind: String,
    /// The provider's own words, for the status description.
    pub message: Option<String>,
}

impl ProviderError {
    /// The same call may succeed later: the server is overloaded, out of order or limits the rate,
    /// by its own word. What the HTTP status tells is not asked here.
    fn is_passing(&self) -> bool {
        /// As they stand in the names of errors of every provider, in small letters.
        const SIGNS: [&str; 12] = [
            "overload",
            "rate_limit",
            "ratelimit",
            "resource_exhausted",
            "throttl",
            "too_many_requests",
            "unavailable",
            "timeout",
            "deadline_exceeded",
            "server_error",
            "internal",
            "modelstreamerror",
        ];
        let kind = self.kind.to_ascii_lowercase();
        let code = kind.parse().ok();
        kind == "api_error"
            || matches!(code, Some(408 | 425 | 429 | 500..=599))
            || SIGNS.iter().any(|sign| kind.contains(sign))
    }
}

/// Of the HTTP messages, what the span tells beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpFacts {
    pub method: String,
    /// Host and port that the client asked for (`Host`, `:authority` or an absolute target).
    pub authority: Option<String>,
    /// Path without the query.
    pub path: String,
    /// The query, without its `?`; credentials are replaced, and it ends at a bound.
    pub query: Option<String>,
    /// `network.protocol.version`.
    pub version: Option<&'static str>,
    pub user_agent: Option<String>,
    pub status: Option<u16>,
    /// The first header that identifies the call at the provider.
    pub request_id: Option<String>,
    /// `http.response.header.*`: those of a list.
    pub response_headers: Vec<HeaderFact>,
    /// `http.request.resend_count` by the client's own account.
    pub resent: Option<u32>,
    /// As sent; `trace` decides whether it is well formed.
    pub traceparent: Vec<String>,
    pub tracestate: Vec<String>,
    /// The request's headers of other propagators than W3C's, likewise as sent.
    pub trace_headers: Vec<HeaderFact>,
}

/// A header with its values, within bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFact {
    /// In lower case.
    pub name: String,
    pub values: Vec<String>,
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
    /// Counts the operations of one exchange from 0: over a WebSocket there are many.
    pub turn: u64,
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
    pub server_times: ServerTimes,
    pub error: Option<ProviderError>,
    pub http: HttpFacts,
    /// What the request was, in 64 bits: the same where it is sent again. Of a client, and where
    /// all of it was seen.
    pub fingerprint: Option<u64>,
    pub content: Option<Content>,
    pub end: End,
    /// Fields of the heads and trailers that are there and could not be told.
    pub unknown_fields: u32,
    /// The body could not be read to its end, and why; what was read before stands.
    pub unreadable: Option<&'static str>,
    /// A call of the Model Context Protocol, which no model answers: then the fields of the request,
    /// the response and the usage are empty, and `name` holds for [`McpCall::TOOL`] alone.
    pub mcp: Option<Box<McpCall>>,
}

/// A request or notification of the Model Context Protocol. `mcp.*` unless noted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct McpCall {
    /// `mcp.method.name`.
    pub method: String,
    /// `gen_ai.tool.name`.
    pub tool_name: Option<String>,
    /// `gen_ai.prompt.name`.
    pub prompt_name: Option<String>,
    pub resource_uri: Option<String>,
    /// `jsonrpc.request.id`, of requests.
    pub request_id: Option<String>,
    pub session_id: Option<String>,
    pub protocol_version: Option<String>,
    /// `rpc.response.status_code`.
    pub error_code: Option<i64>,
    /// `gen_ai.tool.call.arguments`; only where the user asked for content, as the result.
    pub arguments: Option<Value>,
    /// `gen_ai.tool.call.result`.
    pub result: Option<Value>,
}

impl McpCall {
    /// The method that runs a tool.
    pub const TOOL: &str = "tools/call";

    pub fn is_tool(&self) -> bool {
        self.method == Self::TOOL
    }

    /// What the call is about: a tool or a prompt. Never a resource's address, of which there are too many.
    pub fn target(&self) -> Option<&str> {
        self.tool_name.as_deref().or(self.prompt_name.as_deref())
    }
}

impl Operation {
    /// The call failed in a way after which clients send it again: the server or the connection
    /// failed, or the server put it off. Where the client left, its patience may have ended.
    pub fn may_be_sent_again(&self) -> bool {
        match (self.http.status, &self.error) {
            (Some(408 | 409 | 425 | 429 | 500..), _) => true,
            (Some(400..), _) => false,
            (_, Some(error)) => error.is_passing(),
            (_, None) => match self.end.how {
                Ended::ClientGone
                | Ended::ServerClosed
                | Ended::ServerReset
                | Ended::ConnectionLost
                | Ended::Refused
                | Ended::StreamReset(_) => true,
                Ended::Complete
                | Ended::AnsweredEarly
                | Ended::Malformed
                | Ended::Gap
                | Ended::TracerStopped => false,
            },
        }
    }

    pub fn connection(&self) -> ConnectionId {
        self.exchange.connection
    }
}
