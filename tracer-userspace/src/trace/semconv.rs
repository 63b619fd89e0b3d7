//! What a span says of an operation, by the GenAI semantic conventions.
//! Takes an [`Operation`] and what carried it; gives name, kind, status and attributes.
//! Names are those of semantic-conventions-genai `main` ("latest"); nothing else in llmtap knows
//! them, so that other profiles are a matter of this module.
//!
//! Beside the conventions' own attributes there are a few under `llmtap.`, for what the conventions
//! have no name for: see [`OURS`].

use http::uri::Authority;
use opentelemetry::{
    Array, Key, KeyValue, StringValue, Value,
    trace::{SpanKind, Status},
};

use crate::{
    capture::{Addresses, Security},
    genai::{
        Content, HttpFacts, McpCall, Modalities, Operation, OperationName, Request, Response, Usage,
    },
    http::{Ended, Role},
    trace::Transport,
};

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

const REQUEST_TOOLS: &str = "llmtap.request.tools";
const RESPONSE_CHUNKS: &str = "llmtap.response.chunks";
const RESPONSE_TOOL_CALLS: &str = "llmtap.response.tool_calls";
const RESPONSE_RUN_ID: &str = "llmtap.response.run.id";
const PROVIDER_REQUEST_ID: &str = "llmtap.provider.request_id";
const CONTENT_TRUNCATED: &str = "llmtap.content.truncated";
const CONTENT_SHED: &str = "llmtap.content.shed";
const ENDED: &str = "llmtap.ended";
const MISSING_REQUEST_BYTES: &str = "llmtap.capture.missing_request_bytes";
const MISSING_RESPONSE_BYTES: &str = "llmtap.capture.missing_response_bytes";
const JOINED_LATE: &str = "llmtap.capture.joined_late";
const UNKNOWN_FIELDS: &str = "llmtap.capture.unknown_fields";
const UNREADABLE: &str = "llmtap.capture.unreadable";

/// The scheme of a URL, and the port of a server whose authority names none (RFC 9110 §4.2).
fn scheme(security: Security) -> (&'static str, u16) {
    match security {
        Security::Tls => ("https", 443),
        Security::Plain => ("http", 80),
    }
}

/// Methods that `http.request.method` may be; others are `_OTHER` (HTTP semantic conventions).
const METHODS: [&str; 10] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

/// The operation, and the model or agent that it is for. A response that is fetched has no name but
/// its id, which is no part of a span's.
pub(super) fn name(operation: &Operation) -> String {
    if let Some(call) = &operation.mcp {
        return match call.target() {
            Some(target) => format!("{} {target}", call.method),
            None => call.method.clone(),
        };
    }
    let subject = match operation.name {
        OperationName::FetchResponse => None,
        OperationName::CreateAgent | OperationName::InvokeAgent => {
            let Operation { request, response, .. } = operation;
            response.agent.name.as_ref().or(request.agent.name.as_ref())
        }
        OperationName::Retrieval => operation.request.data_source_id.as_ref(),
        _ => operation.request.model.as_ref(),
    };
    match subject {
        Some(subject) => format!("{} {subject}", operation.name.as_str()),
        None => operation.name.as_str().to_owned(),
    }
}

pub(super) fn kind(operation: &Operation) -> SpanKind {
    match operation.role {
        Role::Client => SpanKind::Client,
        Role::Server => SpanKind::Server,
    }
}

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
fn failure(operation: &Operation) -> Option<(String, Option<String>)> {
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

/// All attributes of the span.
pub(super) fn attributes(operation: &Operation, transport: Transport) -> Vec<KeyValue> {
    let mut list = Attributes(Vec::with_capacity(32));
    match &operation.mcp {
        Some(call) => list.mcp(call),
        None => {
            list.text("gen_ai.operation.name", Some(operation.name.as_str()));
            list.text("gen_ai.provider.name", Some(&operation.provider));
        }
    }
    list.text("openai.api.type", operation.api_type);
    if let Some((kind, _)) = failure(operation) {
        list.text("error.type", Some(&kind));
    }
    list.request(&operation.request);
    list.response(&operation.response);
    list.conversation(&operation.request, &operation.response);
    list.agent(&operation.request, &operation.response);
    list.time_to_first_chunk(operation);
    list.usage(operation.usage);
    list.http(&operation.http, transport.security);
    list.network(transport.addresses);
    list.capture(operation);
    if let Some(content) = &operation.content {
        list.content(content);
    }
    list.0
}

struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(Key::from_static_str(key), value));
    }

    fn text(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(key, value.to_owned());
        }
    }

    /// OTLP's integers are signed: a number that none of them can be is not known.
    fn int(&mut self, key: &'static str, value: Option<impl TryInto<i64>>) {
        if let Some(value) = value.and_then(|value| value.try_into().ok()) {
            self.set(key, value);
        }
    }

    fn double(&mut self, key: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// For attributes that are there only where they hold.
    fn flag(&mut self, key: &'static str, holds: bool) {
        if holds {
            self.set(key, true);
        }
    }

    fn texts(&mut self, key: &'static str, values: &[String]) {
        if !values.is_empty() {
            let values = values.iter().cloned().map(StringValue::from).collect();
            self.set(key, Value::Array(Array::String(values)));
        }
    }

    fn mcp(&mut self, call: &McpCall) {
        if call.is_tool() {
            self.text("gen_ai.operation.name", Some(OperationName::ExecuteTool.as_str()));
        }
        self.text("mcp.method.name", Some(&call.method));
        self.text("mcp.protocol.version", call.protocol_version.as_deref());
        self.text("mcp.session.id", call.session_id.as_deref());
        self.text("mcp.resource.uri", call.resource_uri.as_deref());
        self.text("jsonrpc.request.id", call.request_id.as_deref());
        self.text("gen_ai.tool.name", call.tool_name.as_deref());
        self.text("gen_ai.prompt.name", call.prompt_name.as_deref());
        let code = call.error_code.map(|code| code.to_string());
        self.text("rpc.response.status_code", code.as_deref());
        self.text("network.transport", Some("tcp"));
        self.text("network.protocol.name", Some("http"));
        for (key, value) in [
            ("gen_ai.tool.call.arguments", &call.arguments),
            ("gen_ai.tool.call.result", &call.result),
        ] {
            if let Some(value) = value {
                self.set(key, value.to_string());
            }
        }
    }

    fn request(&mut self, request: &Request) {
        self.text("gen_ai.request.model", request.model.as_deref());
        self.flag("gen_ai.request.stream", request.stream);
        self.int("gen_ai.request.max_tokens", request.max_tokens);
        self.double("gen_ai.request.temperature", request.temperature);
        self.double("gen_ai.request.top_p", request.top_p);
        // An int by the conventions; a request with a fraction in it has no top_k they could name.
        self.int("gen_ai.request.top_k", request.top_k.and_then(whole));
        self.double("gen_ai.request.frequency_penalty", request.frequency_penalty);
        self.double("gen_ai.request.presence_penalty", request.presence_penalty);
        self.int("gen_ai.request.seed", request.seed);
        self.texts("gen_ai.request.stop_sequences", &request.stop_sequences);
        self.int("gen_ai.request.choice.count", request.choice_count);
        self.text("gen_ai.request.reasoning.level", request.reasoning_level.as_deref());
        self.text("gen_ai.output.type", request.output_type);
        self.text("openai.request.service_tier", request.service_tier.as_deref());
        self.text("gen_ai.request.previous_response.id", request.previous_response_id.as_deref());
        self.text("gen_ai.request.stream_cursor", request.stream_cursor.as_deref());
        self.text("gen_ai.prompt.name", request.prompt_name.as_deref());
        self.text("gen_ai.prompt.version", request.prompt_version.as_deref());
        self.int("gen_ai.embeddings.dimension.count", request.embedding_dimensions);
        self.texts("gen_ai.request.encoding_formats", &request.encoding_formats);
        self.text("gen_ai.data_source.id", request.data_source_id.as_deref());
        self.int(REQUEST_TOOLS, request.tools);
    }

    /// What the response says wins: it names the conversation that the answer became part of.
    fn conversation(&mut self, request: &Request, response: &Response) {
        let id = response.conversation_id.as_ref().or(request.conversation_id.as_ref());
        self.text("gen_ai.conversation.id", id.map(String::as_str));
    }

    /// As the conversation: the response knows better.
    fn agent(&mut self, request: &Request, response: &Response) {
        let (asked, told) = (&request.agent, &response.agent);
        for (key, told, asked) in [
            ("gen_ai.agent.id", &told.id, &asked.id),
            ("gen_ai.agent.name", &told.name, &asked.name),
            ("gen_ai.agent.description", &told.description, &asked.description),
        ] {
            self.text(key, told.as_ref().or(asked.as_ref()).map(String::as_str));
        }
    }

    fn response(&mut self, response: &Response) {
        self.text("gen_ai.response.status", response.status.as_deref());
        self.text(RESPONSE_RUN_ID, response.run_id.as_deref());
        self.text("gen_ai.response.id", response.id.as_deref());
        self.text("gen_ai.response.model", response.model.as_deref());
        self.texts("gen_ai.response.finish_reasons", &response.finish_reasons);
        self.text("openai.response.service_tier", response.service_tier.as_deref());
        self.text("openai.response.system_fingerprint", response.system_fingerprint.as_deref());
        self.texts(RESPONSE_TOOL_CALLS, &response.tool_calls);
        self.int(RESPONSE_CHUNKS, Some(response.chunks).filter(|chunks| *chunks > 0));
    }

    /// In seconds, from the request's first byte.
    fn time_to_first_chunk(&mut self, operation: &Operation) {
        let timing = operation.timing;
        let nanos = timing.first_chunk.map(|chunk| chunk.since(timing.start));
        self.double(
            "gen_ai.response.time_to_first_chunk",
            nanos.map(|nanos| std::time::Duration::from_nanos(nanos).as_secs_f64()),
        );
    }

    fn usage(&mut self, usage: Usage) {
        self.int("gen_ai.usage.input_tokens", usage.input_tokens);
        self.int("gen_ai.usage.output_tokens", usage.output_tokens);
        self.int("gen_ai.usage.cache_read.input_tokens", usage.cache_read_input_tokens);
        self.int("gen_ai.usage.cache_write.input_tokens", usage.cache_write_input_tokens);
        self.int("gen_ai.usage.reasoning.output_tokens", usage.reasoning_output_tokens);
        let Modalities { text, audio, image, video } = usage.input;
        self.int("gen_ai.usage.text.input_tokens", text);
        self.int("gen_ai.usage.audio.input_tokens", audio);
        self.int("gen_ai.usage.image.input_tokens", image);
        self.int("gen_ai.usage.video.input_tokens", video);
        let Modalities { text, audio, image, video } = usage.output;
        self.int("gen_ai.usage.text.output_tokens", text);
        self.int("gen_ai.usage.audio.output_tokens", audio);
        self.int("gen_ai.usage.image.output_tokens", image);
        self.int("gen_ai.usage.video.output_tokens", video);
        let Modalities { text, audio, image, video } = usage.cache_read;
        self.int("gen_ai.usage.text.cache_read.input_tokens", text);
        self.int("gen_ai.usage.audio.cache_read.input_tokens", audio);
        self.int("gen_ai.usage.image.cache_read.input_tokens", image);
        self.int("gen_ai.usage.video.cache_read.input_tokens", video);
    }

    fn http(&mut self, http: &HttpFacts, security: Option<Security>) {
        if METHODS.contains(&http.method.as_str()) {
            self.text("http.request.method", Some(&http.method));
        } else if !http.method.is_empty() {
            self.text("http.request.method", Some("_OTHER"));
            self.text("http.request.method_original", Some(&http.method));
        }
        self.text("url.path", Some(http.path.as_str()).filter(|path| !path.is_empty()));
        self.int("http.response.status_code", http.status);
        self.text(PROVIDER_REQUEST_ID, http.request_id.as_deref());
        self.text("url.scheme", security.map(|security| scheme(security).0));
        if let Some((name, port)) = http.authority.as_deref().and_then(server) {
            self.set("server.address", name);
            let port = port.or(security.map(|security| scheme(security).1));
            self.int("server.port", port.map(u64::from));
        }
    }

    fn network(&mut self, addresses: Option<Addresses>) {
        if let Some(Addresses { local, peer }) = addresses {
            self.set("network.peer.address", peer.ip().to_canonical().to_string());
            self.set("network.peer.port", i64::from(peer.port()));
            self.set("network.local.address", local.ip().to_canonical().to_string());
            self.set("network.local.port", i64::from(local.port()));
        }
    }

    fn capture(&mut self, operation: &Operation) {
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

    /// Structured values are not allowed on spans yet, so they are JSON text, as the conventions say.
    fn content(&mut self, content: &Content) {
        for (key, value) in [
            ("gen_ai.system_instructions", &content.system_instructions),
            ("gen_ai.input.messages", &content.input_messages),
            ("gen_ai.output.messages", &content.output_messages),
            ("gen_ai.tool.definitions", &content.tool_definitions),
        ] {
            if let Some(value) = value {
                self.set(key, value.to_string());
            }
        }
        self.flag(CONTENT_TRUNCATED, content.truncated);
        self.flag(CONTENT_SHED, content.shed);
    }
}

/// The integer that a number is, if it is one. Powers of two bound what an `i64` can be.
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let is_whole = number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "checked above to be an i64")]
    is_whole.then_some(number as i64)
}

/// The port that the client asked for, if it is known.
pub fn asked_port(operation: &Operation, security: Option<Security>) -> Option<u16> {
    let (_, port) = server(operation.http.authority.as_deref()?)?;
    port.or(security.map(|security| scheme(security).1))
}

/// Name and port of an authority, without user information; `None` where it is no authority. An
/// empty port is the scheme's own (RFC 3986 §3.2.3), as is one that is not there.
fn server(authority: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = authority.parse().ok()?;
    let host = authority.host();
    let after_host = &authority.as_str()[authority.as_str().rfind(host)? + host.len()..];
    let port = match after_host.strip_prefix(':') {
        None | Some("") => None,
        Some(port) => Some(port.parse().ok()?),
    };
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    (!name.is_empty()).then(|| (name.to_owned(), port))
}

#[cfg(test)]
mod tests;
