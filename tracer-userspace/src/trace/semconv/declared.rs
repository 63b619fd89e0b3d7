//! Every attribute of spans and events, declared once: name, type, edition, when it is there.
//! Takes nothing; gives the table that [`super::list::Attributes`] holds names against, and that
//! `docs/telemetry.md` is made of.

use super::profile::Edition;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    Texts,
    Int,
    Double,
    Flag,
    /// Message content: structured on events, JSON text on spans.
    Structured,
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    pub name: &'static str,
    pub kind: Type,
    pub edition: Edition,
    /// When it is there, and what it tells.
    pub when: &'static str,
}

const fn row(name: &'static str, kind: Type, when: &'static str) -> Attribute {
    Attribute { name, kind, edition: Edition::Both, when }
}

/// An attribute that v1.41 has not.
const fn new(name: &'static str, kind: Type, when: &'static str) -> Attribute {
    Attribute { edition: Edition::Latest, ..row(name, kind, when) }
}

/// By name, so that they are found by bisection.
pub const ATTRIBUTES: &[Attribute] = &[
    row(
        "error.type",
        Type::Text,
        "the call failed: the provider's code or type, else the HTTP status, else how the transport ended (`llmtap.ended`); of MCP the JSON-RPC code or `tool_error`",
    ),
    row("gen_ai.agent.description", Type::Text, "the agent that is made or run has one"),
    row("gen_ai.agent.id", Type::Text, "the request or the response names the agent"),
    row("gen_ai.agent.name", Type::Text, "the agent that is made or run has one"),
    row(
        "gen_ai.conversation.id",
        Type::Text,
        "the request or the response carries one; the response's wins",
    ),
    row("gen_ai.data_source.id", Type::Text, "one is searched (retrieval)"),
    row(
        "gen_ai.embeddings.dimension.count",
        Type::Int,
        "the request asks for a number of dimensions",
    ),
    row("gen_ai.input.messages", Type::Structured, "content is captured"),
    row("gen_ai.operation.name", Type::Text, "always, but for MCP calls of no tool"),
    row("gen_ai.output.messages", Type::Structured, "content is captured"),
    row(
        "gen_ai.output.type",
        Type::Text,
        "the request asks for a format: `text`, `json`, `image`, `speech`",
    ),
    row("gen_ai.prompt.name", Type::Text, "a stored prompt is named"),
    new("gen_ai.prompt.version", Type::Text, "a version of the stored prompt is named"),
    row("gen_ai.provider.name", Type::Text, "always, but for MCP calls"),
    row("gen_ai.request.choice.count", Type::Int, "sent, and not 1"),
    row("gen_ai.request.encoding_formats", Type::Texts, "sent (embeddings)"),
    row("gen_ai.request.frequency_penalty", Type::Double, "sent"),
    row("gen_ai.request.max_tokens", Type::Int, "sent, under any of its names"),
    row("gen_ai.request.model", Type::Text, "in the request's body or its path"),
    row("gen_ai.request.presence_penalty", Type::Double, "sent"),
    new("gen_ai.request.previous_response.id", Type::Text, "sent"),
    new("gen_ai.request.reasoning.level", Type::Text, "sent; the very word"),
    row("gen_ai.request.seed", Type::Int, "sent"),
    row("gen_ai.request.stop_sequences", Type::Texts, "sent"),
    row("gen_ai.request.stream", Type::Flag, "a stream was asked for"),
    new("gen_ai.request.stream_cursor", Type::Text, "a stored stream is to go on behind an event"),
    row("gen_ai.request.temperature", Type::Double, "sent"),
    row(
        "gen_ai.request.top_k",
        Type::Int,
        "sent; `double` in v1.41, `int` in the others, where a fraction is left out",
    ),
    row("gen_ai.request.top_p", Type::Double, "sent"),
    row(
        "gen_ai.response.finish_reasons",
        Type::Texts,
        "one a choice, the provider's word; `error` where it did not arrive",
    ),
    row("gen_ai.response.id", Type::Text, "told"),
    row("gen_ai.response.model", Type::Text, "told"),
    new("gen_ai.response.status", Type::Text, "the API answers before the response is done"),
    row(
        "gen_ai.response.time_to_first_chunk",
        Type::Double,
        "streams: seconds from the request's first byte to the end of the first chunk",
    ),
    row(
        "gen_ai.system_instructions",
        Type::Structured,
        "content is captured, and they are apart from the messages",
    ),
    row("gen_ai.tool.call.arguments", Type::Structured, "MCP `tools/call`, content is captured"),
    row("gen_ai.tool.call.result", Type::Structured, "MCP `tools/call`, content is captured"),
    row("gen_ai.tool.definitions", Type::Structured, "content is captured"),
    row("gen_ai.tool.name", Type::Text, "MCP `tools/call`"),
    new("gen_ai.usage.audio.cache_read.input_tokens", Type::Int, "told"),
    new("gen_ai.usage.audio.input_tokens", Type::Int, "told"),
    new("gen_ai.usage.audio.output_tokens", Type::Int, "told"),
    Attribute {
        edition: Edition::V1_41,
        ..row(
            "gen_ai.usage.cache_creation.input_tokens",
            Type::Int,
            "told; part of the input tokens",
        )
    },
    row("gen_ai.usage.cache_read.input_tokens", Type::Int, "told; part of the input tokens"),
    new("gen_ai.usage.cache_write.input_tokens", Type::Int, "told; part of the input tokens"),
    new("gen_ai.usage.image.cache_read.input_tokens", Type::Int, "told"),
    new("gen_ai.usage.image.input_tokens", Type::Int, "told"),
    new("gen_ai.usage.image.output_tokens", Type::Int, "told"),
    row("gen_ai.usage.input_tokens", Type::Int, "told; with those from and into the cache"),
    row("gen_ai.usage.output_tokens", Type::Int, "told; with those for reasoning"),
    row("gen_ai.usage.reasoning.output_tokens", Type::Int, "told; part of the output tokens"),
    new("gen_ai.usage.text.cache_read.input_tokens", Type::Int, "told"),
    new("gen_ai.usage.text.input_tokens", Type::Int, "told"),
    new("gen_ai.usage.text.output_tokens", Type::Int, "told"),
    row("http.request.method", Type::Text, "known; `_OTHER` for methods of no standard"),
    row("http.request.method_original", Type::Text, "the method is `_OTHER`"),
    row(
        "http.request.resend_count",
        Type::Int,
        "the call was sent before: how often (`llmtap.http.resend_basis`)",
    ),
    row(
        "http.response.header.<key>",
        Type::Texts,
        "request ids, rate limits, `retry-after` and a few others (`genai::heads`), each value up to 256 bytes",
    ),
    row("http.response.status_code", Type::Int, "a response began"),
    row("jsonrpc.request.id", Type::Text, "MCP requests"),
    row(
        "llmtap.capture.joined_late",
        Type::Flag,
        "the call may have begun before llmtap saw the connection",
    ),
    row(
        "llmtap.capture.missing_request_bytes",
        Type::Int,
        "bytes of the request that passed and were not captured",
    ),
    row(
        "llmtap.capture.missing_response_bytes",
        Type::Int,
        "bytes of the response that passed and were not captured",
    ),
    row(
        "llmtap.capture.unknown_fields",
        Type::Int,
        "header fields that could not be told, as on HTTP/2 joined late",
    ),
    row("llmtap.capture.unreadable", Type::Text, "why the rest of a body could not be read"),
    row(
        "llmtap.content.shed",
        Type::Flag,
        "message content was not kept because llmtap did not keep up",
    ),
    row("llmtap.content.truncated", Type::Flag, "message content passed the bound and was cut"),
    row("llmtap.cost.currency", Type::Text, "the cost is told: its currency (ISO 4217)"),
    row("llmtap.cost.prices_date", Type::Text, "the cost is told: the day of the price list"),
    row(
        "llmtap.cost.total",
        Type::Double,
        "a price list is given and knows all that was used (docs/prices.md); nearest to the exact decimal sum",
    ),
    row(
        "llmtap.ended",
        Type::Text,
        "how the exchange ended, where it was not complete (values: `Ended`)",
    ),
    row(
        "llmtap.estimate.input_tokens",
        Type::Int,
        "asked for (`estimate_tokens`), and the provider reported none: tokens of the input's text, without what is put around messages",
    ),
    row("llmtap.estimate.output_tokens", Type::Int, "likewise of the output, as far as it came"),
    row("llmtap.estimate.tokenizer", Type::Text, "an estimate is told: the tokenizer that counted"),
    row(
        "llmtap.http.resend_basis",
        Type::Text,
        "how the resend count is known: `header` (the client says it), or `same_request` (the same process sent the same method, host, target and body within two minutes before, and that attempt failed)",
    ),
    row(
        "llmtap.parent.evidence",
        Type::Text,
        "the span has a parent: the header of the request that names it, in lower case; on links likewise",
    ),
    row(
        "llmtap.provider.request_id",
        Type::Text,
        "the provider's id of the call, from its response headers",
    ),
    row("llmtap.request.tools", Type::Int, "tools offered to the model"),
    row("llmtap.response.chunks", Type::Int, "stream events that carried a piece of the answer"),
    row(
        "llmtap.response.output_tokens_per_second",
        Type::Double,
        "tokens are reported: output tokens by the seconds from the request's first byte to the answer's end, so with the wait for the first",
    ),
    row("llmtap.response.run.id", Type::Text, "id of the agent's run that the answer is about"),
    row(
        "llmtap.response.time_per_output_chunk",
        Type::Double,
        "streams: seconds from a chunk of the answer to the next, on average",
    ),
    row(
        "llmtap.response.time_per_output_chunk_max",
        Type::Double,
        "streams: the longest of those times, in seconds",
    ),
    row(
        "llmtap.response.time_per_output_token",
        Type::Double,
        "streams with tokens reported: seconds from the first chunk with a piece of the answer to the last, by the output tokens but one; not where reasoning tokens are told, which need not have been streamed",
    ),
    row(
        "llmtap.response.time_to_first_content",
        Type::Double,
        "streams: seconds from the request's first byte to the first chunk with a piece of the answer in it; the conventions' first chunk may name but a role",
    ),
    row("llmtap.response.tool_calls", Type::Texts, "names of the tools the model called, in order"),
    row(
        "llmtap.server.completion_time",
        Type::Double,
        "seconds in which the answer was made, by the server's account in a header or the body, as all `llmtap.server.*`",
    ),
    row(
        "llmtap.server.inference_time",
        Type::Double,
        "seconds that the model ran, where prompt and answer are not told apart",
    ),
    row("llmtap.server.load_time", Type::Double, "seconds in which the model was loaded"),
    row("llmtap.server.prompt_time", Type::Double, "seconds in which the prompt was read"),
    row("llmtap.server.queue_time", Type::Double, "seconds that the call waited for its turn"),
    row(
        "llmtap.server.time_to_first_token",
        Type::Double,
        "seconds from the request's arrival to the first token",
    ),
    row("llmtap.server.total_time", Type::Double, "seconds that the call took"),
    row(
        "llmtap.trace.evidence",
        Type::Text,
        "a header of the request names the trace alone, as load balancers' do: that header; the span is a root in that trace",
    ),
    row(
        "llmtap.trace.others",
        Type::Texts,
        "further headers name another trace, without a span to link to: `HEADER=TRACE_ID`",
    ),
    row(
        "llmtap.usage.video.cache_read.input_tokens",
        Type::Int,
        "told; the conventions have no name for video",
    ),
    row("llmtap.usage.video.input_tokens", Type::Int, "told"),
    row("llmtap.usage.video.output_tokens", Type::Int, "told"),
    row("mcp.method.name", Type::Text, "MCP"),
    row("mcp.protocol.version", Type::Text, "MCP, told"),
    row("mcp.resource.uri", Type::Text, "MCP `resources/*`"),
    row("mcp.session.id", Type::Text, "MCP, in a session"),
    row("network.local.address", Type::Text, "the socket is known"),
    row("network.local.port", Type::Int, "the socket is known"),
    row("network.peer.address", Type::Text, "the socket is known"),
    row("network.peer.port", Type::Int, "the socket is known"),
    row("network.protocol.name", Type::Text, "MCP"),
    row("network.protocol.version", Type::Text, "known: `1.0`, `1.1` or `2`"),
    row("network.transport", Type::Text, "MCP"),
    row(
        "openai.api.type",
        Type::Text,
        "OpenAI's and Azure's services: `chat_completions` or `responses`",
    ),
    row("openai.request.service_tier", Type::Text, "sent, and not `auto`"),
    row("openai.response.service_tier", Type::Text, "told"),
    row("openai.response.system_fingerprint", Type::Text, "told"),
    row("rpc.response.status_code", Type::Text, "MCP, the answer is an error"),
    row("server.address", Type::Text, "the host that the client asked for is known"),
    row("server.port", Type::Int, "the host is known, and the port by it or by the scheme"),
    row(
        "url.full",
        Type::Text,
        "of a client, where scheme and host are known; credentials are `REDACTED`, without user information, up to 2048 bytes",
    ),
    row("url.path", Type::Text, "known; without the query"),
    row("url.query", Type::Text, "of a server; as in `url.full`, up to 1024 bytes"),
    row("url.scheme", Type::Text, "known whether TLS carried it"),
    row("user_agent.original", Type::Text, "sent; up to 256 bytes"),
];

/// The attribute of that name.
pub(super) fn find(name: &str) -> Option<&'static Attribute> {
    let at = ATTRIBUTES.binary_search_by(|attribute| attribute.name.cmp(name)).ok()?;
    ATTRIBUTES.get(at)
}

#[cfg(test)]
mod tests;
