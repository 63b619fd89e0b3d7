//! Anthropic messages, and the text completions they replaced.
//! Takes `POST …/v1/messages` and `/v1/complete` bodies and stream events; gives facts and content.
//! <https://docs.anthropic.com/en/api/messages-streaming> for the order of events.

mod answer;

use serde::Deserialize;
use serde_json::Value;

use super::{Asked, Format, Typed, Views, content, error::ERROR};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Filled, Flag, Integer, Length, Number, Object, Strings, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static MESSAGES: Format = Format {
    operation: OperationName::Chat,
    flavour: "anthropic",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &RESPONSE_CONTENT },
    event: &EVENT,
    streams_values: false,
    // The API requires both, and a model.
    read_request: |body| {
        read_request(body, |facts| facts.messages.0.is_some() && facts.max_tokens.0.is_some())
    },
    answer: |capture_content| Box::new(answer::Messages::new(capture_content)),
};

pub(in crate::genai) static COMPLETE: Format = Format {
    operation: OperationName::TextCompletion,
    // As above.
    read_request: |body| {
        read_request(body, |facts| facts.prompt.0 && facts.max_tokens_to_sample.0.is_some())
    },
    ..MESSAGES
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("messages", Shape::Sign),
    ("prompt", Shape::Sign),
    ("stream", Shape::Fact),
    ("max_tokens", Shape::Fact),
    ("max_tokens_to_sample", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("top_k", Shape::Fact),
    ("stop_sequences", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
    (
        "output_config",
        Shape::Object(&[
            ("effort", Shape::Fact),
            ("format", Shape::Object(&[("type", Shape::Fact)])),
        ]),
    ),
    ("output_format", Shape::Object(&[("type", Shape::Fact)])),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("messages", Shape::Ends(&Shape::Text)),
    ("system", Shape::Ends(&Shape::Text)),
    ("prompt", Shape::Text),
    ("tools", Shape::Ends(&Shape::Object(&[("type", Shape::Fact), ("name", Shape::Fact)]))),
]);

const BLOCK: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("id", Shape::Fact),
    ("name", Shape::Fact),
    ("text", Shape::Text),
    ("thinking", Shape::Text),
    ("data", Shape::Text),
]);

const RESPONSE: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("content", Shape::Each(&BLOCK)),
    ("completion", Shape::Text),
    ("stop_reason", Shape::Fact),
    ("usage", Shape::Fact),
    ("error", ERROR),
]);

const RESPONSE_CONTENT: Shape = Shape::Object(&[
    ("role", Shape::Fact),
    ("content", Shape::Ends(&Shape::Text)),
    ("completion", Shape::Text),
    ("stop_reason", Shape::Fact),
]);

const EVENT: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("index", Shape::Fact),
    ("message", RESPONSE),
    ("content_block", BLOCK),
    (
        "delta",
        Shape::Object(&[
            ("type", Shape::Fact),
            ("text", Shape::Text),
            ("thinking", Shape::Text),
            ("partial_json", Shape::Text),
            ("stop_reason", Shape::Fact),
        ]),
    ),
    ("usage", Shape::Fact),
    ("error", ERROR),
    // Of the old completions.
    ("model", Shape::Fact),
    ("id", Shape::Fact),
    ("completion", Shape::Text),
    ("stop_reason", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    messages: Length,
    /// Of the old completions.
    prompt: Filled,
    stream: Flag,
    max_tokens: Integer,
    max_tokens_to_sample: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    stop_sequences: Strings,
    tools: Length,
    #[serde(borrow)]
    output_config: Object<OutputConfig<'a>>,
    #[serde(borrow)]
    output_format: Object<Typed<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputConfig<'a> {
    #[serde(borrow)]
    effort: Text<'a>,
    #[serde(borrow)]
    format: Object<Typed<'a>>,
}

fn read_request(body: &mut Document, fits: fn(&RequestFacts<'_>) -> bool) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let fits = facts.model.filled().is_some() && fits(&facts);
    let config = facts.output_config.0.unwrap_or_default();
    let format = config.format.0.or(facts.output_format.0).unwrap_or_default();
    let max_tokens = facts.max_tokens.0.or(facts.max_tokens_to_sample.0);
    let mut asked = Asked { fits, fault, ..Asked::default() };
    asked.request = Request {
        model: facts.model.into_filled(),
        stream: facts.stream.0 == Some(true),
        max_tokens,
        temperature: facts.temperature.0,
        top_p: facts.top_p.0,
        top_k: facts.top_k.0,
        stop_sequences: facts.stop_sequences.0,
        reasoning_level: config.effort.into_filled(),
        output_type: (format.kind.as_str() == Some("json_schema")).then_some("json"),
        tools: facts.tools.0,
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        read_content(&body, &mut asked);
        asked.truncated = truncated;
    }
    asked
}

pub(super) fn read_content(body: &Value, asked: &mut Asked) {
    let mut messages: Vec<_> = content::elements(body, "messages")
        .map(|message| {
            let role = content::member(message, "role").unwrap_or("user");
            content::message(role, &blocks(message.get("content")))
        })
        .collect();
    messages.extend(
        content::member(body, "prompt")
            .map(|prompt| content::message("user", &[content::text(prompt)])),
    );
    asked.input_messages = Some(Value::Array(messages));
    let system = blocks(body.get("system"));
    asked.system_instructions = (!system.is_empty()).then_some(Value::Array(system));
    let tools: Vec<_> = content::elements(body, "tools")
        .map(|tool| {
            // Tools without a type, or of type `custom`, are the client's own functions.
            let kind = content::member(tool, "type").filter(|kind| *kind != "custom");
            content::tool(kind.unwrap_or("function"), content::member(tool, "name"))
        })
        .collect();
    asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
}

/// Parts of a message: a string, or a list of content blocks.
fn blocks(content: Option<&Value>) -> Vec<Value> {
    match content {
        Some(Value::String(text)) if !text.is_empty() => vec![content::text(text)],
        Some(Value::Array(blocks)) => blocks.iter().map(block).collect(),
        _ => Vec::new(),
    }
}

fn block(block: &Value) -> Value {
    let text = |name: &str| content::member(block, name).unwrap_or_default();
    match text("type") {
        "text" => content::text(text("text")),
        "thinking" => content::reasoning(text("thinking")),
        "tool_use" => {
            content::tool_call(content::member(block, "id"), text("name"), block.get("input"))
        }
        "tool_result" => {
            let response = block.get("content").unwrap_or(&Value::Null);
            content::tool_response(content::member(block, "tool_use_id"), response)
        }
        "image" => source("image", block),
        "document" => source("document", block),
        _ => content::generic(block),
    }
}

/// An image or document: inline, at a URL, or an uploaded file.
fn source(modality: &str, block: &Value) -> Value {
    let source = block.get("source").unwrap_or(&Value::Null);
    let text = |name: &str| content::member(source, name);
    match (text("type"), text("data"), text("url"), text("file_id")) {
        (Some("base64"), Some(data), _, _) => content::blob(modality, text("media_type"), data),
        (Some("text"), Some(data), _, _) => content::text(data),
        (_, _, Some(url), _) => content::link(modality, url),
        (_, _, _, Some(id)) => content::file(modality, id),
        _ => content::generic(block),
    }
}
