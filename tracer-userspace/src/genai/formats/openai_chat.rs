//! OpenAI chat completions, as OpenAI, Azure and many others speak it.
//! Takes `POST …/chat/completions` bodies and `chat.completion.chunk` events; gives facts and content.
//! Quirks of others are read by what is there: usage in `x_groq`, in a choice, under DeepSeek's names.

pub(super) mod answer;
pub(in crate::genai) mod grpc;
pub(super) mod wire;

use serde::Deserialize;
use serde_json::Value;

use super::{Asked, Format, Retold, Typed, Views, content, error::ERROR};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Flag, Integer, Length, Number, Object, Strings, Text},
    },
    operation::{Agent, OperationName, Request},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::Chat,
    flavour: "openai",
    api_type: Some("chat_completions"),
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &RESPONSE_CONTENT },
    event: &RESPONSE,
    streams_values: false,
    read_request: |body| read(body, true),
    answer: |capture_content| Box::new(answer::Chat::new(capture_content)),
};

/// Where the path says what is asked, so that no model needs to be named.
pub(in crate::genai) static SERVED: Format =
    Format { read_request: |body| read(body, false), ..FORMAT };

/// A stored completion is asked for again.
pub(in crate::genai) static FETCH: Format = Format {
    operation: OperationName::FetchResponse,
    answer: |capture_content| Box::new(Retold((FORMAT.answer)(capture_content))),
    ..FORMAT
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("model_id", Shape::Fact),
    ("messages", Shape::Sign),
    ("stream", Shape::Fact),
    ("max_completion_tokens", Shape::Fact),
    ("max_tokens", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("top_k", Shape::Fact),
    ("n", Shape::Fact),
    ("stop", Shape::Fact),
    ("seed", Shape::Fact),
    ("random_seed", Shape::Fact),
    ("frequency_penalty", Shape::Fact),
    ("presence_penalty", Shape::Fact),
    ("reasoning_effort", Shape::Fact),
    ("reasoning", Shape::Object(&[("effort", Shape::Fact)])),
    ("agent_id", Shape::Fact),
    ("previous_response_id", Shape::Fact),
    ("response_format", Shape::Object(&[("type", Shape::Fact)])),
    ("modalities", Shape::Fact),
    ("service_tier", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
    ("functions", Shape::Each(&Shape::Skip)),
]);

const FUNCTION: Shape = Shape::Object(&[("name", Shape::Fact)]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("messages", Shape::Ends(&Shape::Text)),
    (
        "tools",
        Shape::Ends(&Shape::Object(&[
            ("type", Shape::Fact),
            ("name", Shape::Fact),
            ("function", FUNCTION),
        ])),
    ),
    ("functions", Shape::Ends(&FUNCTION)),
]);

/// Of a tool call or an old function call: its arguments only tell that a piece came.
const CALLED: Shape =
    Shape::Object(&[("name", Shape::Fact), ("arguments", Shape::Text), ("input", Shape::Text)]);

const MESSAGE: Shape = Shape::Object(&[
    ("role", Shape::Fact),
    ("content", Shape::Text),
    ("refusal", Shape::Text),
    ("reasoning_content", Shape::Text),
    ("reasoning", Shape::Text),
    (
        "reasoning_details",
        Shape::Each(&Shape::Object(&[("text", Shape::Text), ("summary", Shape::Text)])),
    ),
    // Sound may be long: that some came is all that matters of it.
    ("audio", Shape::Object(&[("transcript", Shape::Text), ("data", Shape::Text)])),
    (
        "tool_calls",
        Shape::Each(&Shape::Object(&[
            ("index", Shape::Fact),
            ("id", Shape::Fact),
            ("type", Shape::Fact),
            ("function", CALLED),
            ("custom", CALLED),
        ])),
    ),
    ("function_call", CALLED),
]);

const RESPONSE: Shape = Shape::Object(&[
    ("object", Shape::Fact),
    ("type", Shape::Fact),
    ("code", Shape::Fact),
    ("message", Shape::Text),
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("model_id", Shape::Fact),
    ("service_tier", Shape::Fact),
    ("system_fingerprint", Shape::Fact),
    ("usage", Shape::Fact),
    ("time_info", Shape::Fact),
    ("timings", Shape::Fact),
    ("x_groq", Shape::Object(&[("usage", Shape::Fact), ("error", ERROR)])),
    ("error", ERROR),
    (
        "choices",
        Shape::Each(&Shape::Object(&[
            ("index", Shape::Fact),
            ("finish_reason", Shape::Fact),
            ("stop_reason", Shape::Fact),
            ("usage", Shape::Fact),
            ("error", ERROR),
            ("text", Shape::Text),
            ("delta", MESSAGE),
            ("message", MESSAGE),
        ])),
    ),
]);

const RESPONSE_CONTENT: Shape = Shape::Object(&[(
    "choices",
    Shape::Ends(&Shape::Object(&[
        ("index", Shape::Fact),
        ("finish_reason", Shape::Fact),
        ("text", Shape::Text),
        ("message", Shape::Text),
    ])),
)]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    /// watsonx's name.
    #[serde(borrow)]
    model_id: Text<'a>,
    messages: Length,
    stream: Flag,
    max_completion_tokens: Integer,
    max_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    n: Integer,
    stop: Strings,
    seed: Integer,
    /// Mistral's name.
    random_seed: Integer,
    frequency_penalty: Number,
    presence_penalty: Number,
    #[serde(borrow)]
    reasoning_effort: Text<'a>,
    /// OpenRouter's form of it.
    #[serde(borrow)]
    reasoning: Object<Reasoning<'a>>,
    /// Mistral's agents.
    #[serde(borrow)]
    agent_id: Text<'a>,
    /// xAI's, over gRPC.
    #[serde(borrow)]
    previous_response_id: Text<'a>,
    #[serde(borrow)]
    response_format: Object<Typed<'a>>,
    modalities: Strings,
    #[serde(borrow)]
    service_tier: Text<'a>,
    tools: Length,
    functions: Length,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning<'a> {
    #[serde(borrow)]
    effort: Text<'a>,
}

fn read(body: &mut Document, names_model: bool) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let named = facts.model.filled().or(facts.model_id.filled()).is_some() || !names_model;
    let mut asked = Asked { fits: named && facts.messages.0.is_some(), fault, ..Asked::default() };
    asked.request = Request {
        output_type: output_type(&facts),
        model: facts.model.into_filled().or(facts.model_id.into_filled()),
        stream: facts.stream.0 == Some(true),
        max_tokens: facts.max_completion_tokens.0.or(facts.max_tokens.0),
        temperature: facts.temperature.0,
        top_p: facts.top_p.0,
        top_k: facts.top_k.0,
        frequency_penalty: facts.frequency_penalty.0,
        presence_penalty: facts.presence_penalty.0,
        seed: facts.seed.0.or(facts.random_seed.0),
        stop_sequences: facts.stop.0,
        choice_count: facts.n.0.filter(|count| *count != 1),
        reasoning_level: facts
            .reasoning_effort
            .into_filled()
            .or(facts.reasoning.0.and_then(|reasoning| reasoning.effort.into_filled())),
        previous_response_id: facts.previous_response_id.into_filled(),
        agent: Agent { id: facts.agent_id.into_filled(), ..Agent::default() },
        service_tier: facts.service_tier.into_filled().filter(|tier| tier != "auto"),
        tools: facts.tools.0.or(facts.functions.0),
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = Some(content::elements(&body, "messages").map(input).collect());
        let tools: Vec<_> = content::elements(&body, "tools")
            .map(|tool| {
                let named = tool.get("function").unwrap_or(tool);
                let kind = content::member(tool, "type").unwrap_or("function");
                content::tool(kind, content::member(named, "name"))
            })
            .chain(
                content::elements(&body, "functions")
                    .map(|function| content::tool("function", content::member(function, "name"))),
            )
            .collect();
        asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
        asked.truncated = truncated;
    }
    asked
}

/// `gen_ai.output.type` of a format that was asked for, if it is one of those.
pub(super) fn output_format(format: &Typed<'_>) -> Option<&'static str> {
    match format.kind.as_str() {
        Some("json_object" | "json_schema") => Some("json"),
        Some("text") => Some("text"),
        _ => None,
    }
}

/// `gen_ai.output.type`: what the request asks for, if it does.
fn output_type(facts: &RequestFacts<'_>) -> Option<&'static str> {
    if let Some(format) = facts.response_format.0.as_ref().and_then(output_format) {
        return Some(format);
    }
    let asked_for = |modality: &str| facts.modalities.0.iter().any(|asked| asked == modality);
    if asked_for("audio") {
        Some("speech")
    } else if asked_for("image") {
        Some("image")
    } else {
        None
    }
}

pub(super) fn input(message: &Value) -> Value {
    let role = content::member(message, "role").unwrap_or("user");
    if matches!(role, "tool" | "function") {
        let id = content::member(message, "tool_call_id");
        let response = message.get("content").unwrap_or(&Value::Null);
        return content::message(role, &[content::tool_response(id, response)]);
    }
    content::message(role, &parts(message))
}

/// Parts of a whole message, of either direction.
fn parts(message: &Value) -> Vec<Value> {
    let mut parts = Vec::new();
    let filled = |name| content::member(message, name).filter(|text| !text.is_empty());
    match filled("reasoning_content").or_else(|| filled("reasoning")) {
        Some(text) => parts.push(content::reasoning(text)),
        None => parts.extend(
            content::elements(message, "reasoning_details")
                .filter_map(|it| content::member(it, "text").or(content::member(it, "summary")))
                .map(content::reasoning),
        ),
    }
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => parts.push(content::text(text)),
        Some(Value::Array(pieces)) => parts.extend(pieces.iter().map(part)),
        _ => {}
    }
    parts.extend(filled("refusal").map(content::refusal));
    let transcript = message.get("audio").and_then(|audio| content::member(audio, "transcript"));
    parts.extend(transcript.filter(|text| !text.is_empty()).map(content::text));
    for call in content::elements(message, "tool_calls") {
        let called = call.get("function").or_else(|| call.get("custom")).unwrap_or(call);
        parts.push(called_part(content::member(call, "id"), called));
    }
    parts.extend(
        message
            .get("function_call")
            .filter(|call| call.is_object())
            .map(|call| called_part(None, call)),
    );
    parts
}

fn called_part(id: Option<&str>, called: &Value) -> Value {
    let name = content::member(called, "name").unwrap_or_default();
    let arguments = called.get("arguments").or_else(|| called.get("input"));
    content::tool_call(id, name, arguments)
}

/// One element of a message's list of content parts.
fn part(part: &Value) -> Value {
    let nested =
        |name: &str, member: &str| part.get(name).and_then(|inner| content::member(inner, member));
    match content::member(part, "type") {
        Some("text") => content::text(content::member(part, "text").unwrap_or_default()),
        // gRPC's parts have no type.
        None if part.get("text").is_some_and(Value::is_string) => {
            content::text(content::member(part, "text").unwrap_or_default())
        }
        // Mistral's thoughts are a list of texts.
        Some("thinking") => {
            let texts = content::elements(part, "thinking");
            content::reasoning(
                &texts.filter_map(|text| content::member(text, "text")).collect::<String>(),
            )
        }
        Some("refusal") => content::refusal(content::member(part, "refusal").unwrap_or_default()),
        Some("image_url") | None if part.get("image_url").is_some() => {
            let url = nested("image_url", "url").or_else(|| content::member(part, "image_url"));
            url.map_or_else(|| content::generic(part), |url| content::link("image", url))
        }
        Some("input_audio") => nested("input_audio", "data").map_or_else(
            || content::generic(part),
            |data| {
                let kind = nested("input_audio", "format").map(|format| format!("audio/{format}"));
                content::blob("audio", kind.as_deref(), data)
            },
        ),
        Some("file") => match (nested("file", "file_id"), nested("file", "file_data")) {
            (Some(id), _) => content::file("document", id),
            (None, Some(data)) => content::link("document", data),
            _ => content::generic(part),
        },
        _ => content::generic(part),
    }
}
