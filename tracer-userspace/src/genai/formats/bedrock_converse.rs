//! Bedrock's Converse: one format for all of its models.
//! Takes `POST /model/{id}/converse[-stream]` bodies and events; gives facts and content.
//! The body names neither model nor id: the model is in the path.

pub(super) mod answer;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Typed, Views, content, error::ERROR};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Integer, Length, Number, Object, Strings, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::Chat,
    flavour: "aws.bedrock",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &RESPONSE_CONTENT },
    event: &EVENT,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(answer::Converse::new(capture_content)),
};

const REQUEST: Shape = Shape::Object(&[
    ("messages", Shape::Sign),
    ("inferenceConfig", Shape::Fact),
    ("toolConfig", Shape::Object(&[("tools", Shape::Each(&Shape::Skip))])),
    (
        "additionalModelRequestFields",
        Shape::Object(&[("top_k", Shape::Fact), ("topK", Shape::Fact)]),
    ),
    (
        "outputConfig",
        Shape::Object(&[
            ("effort", Shape::Fact),
            ("textFormat", Shape::Object(&[("type", Shape::Fact)])),
        ]),
    ),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("messages", Shape::Ends(&Shape::Text)),
    ("system", Shape::Ends(&Shape::Text)),
    (
        "toolConfig",
        Shape::Object(&[(
            "tools",
            Shape::Ends(&Shape::Object(&[("toolSpec", Shape::Object(&[("name", Shape::Fact)]))])),
        )]),
    ),
]);

const TOOL_USE: Shape =
    Shape::Object(&[("toolUseId", Shape::Fact), ("name", Shape::Fact), ("input", Shape::Text)]);

const RESPONSE: Shape = Shape::Object(&[
    (
        "output",
        Shape::Object(&[(
            "message",
            Shape::Object(&[("content", Shape::Each(&Shape::Object(&[("toolUse", TOOL_USE)])))]),
        )]),
    ),
    ("stopReason", Shape::Fact),
    ("usage", Shape::Fact),
    ("trace", ROUTED),
    ("metrics", Shape::Fact),
    ("error", ERROR),
]);

/// Which model a prompt router chose.
const ROUTED: Shape =
    Shape::Object(&[("promptRouter", Shape::Object(&[("invokedModelId", Shape::Fact)]))]);

const RESPONSE_CONTENT: Shape = Shape::Object(&[(
    "output",
    Shape::Object(&[("message", Shape::Object(&[("content", Shape::Ends(&Shape::Text))]))]),
)]);

const EVENT: Shape = Shape::Object(&[
    ("contentBlockIndex", Shape::Fact),
    ("start", Shape::Object(&[("toolUse", TOOL_USE)])),
    (
        "delta",
        Shape::Object(&[
            ("text", Shape::Text),
            ("toolUse", TOOL_USE),
            ("reasoningContent", Shape::Object(&[("text", Shape::Text)])),
        ]),
    ),
    ("stopReason", Shape::Fact),
    ("usage", Shape::Fact),
    ("trace", ROUTED),
    ("metrics", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    messages: Length,
    #[serde(rename = "inferenceConfig")]
    inference: Object<Inference>,
    #[serde(rename = "toolConfig")]
    tools: Object<Tools>,
    #[serde(rename = "additionalModelRequestFields")]
    additional: Object<Additional>,
    #[serde(rename = "outputConfig", borrow)]
    output: Object<OutputConfig<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputConfig<'a> {
    #[serde(borrow)]
    effort: Text<'a>,
    #[serde(rename = "textFormat", borrow)]
    format: Object<Typed<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Inference {
    max_tokens: Integer,
    temperature: Number,
    top_p: Number,
    stop_sequences: Strings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tools {
    tools: Length,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Additional {
    top_k: Number,
    #[serde(rename = "topK")]
    camel_top_k: Number,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let inference = facts.inference.0.unwrap_or_default();
    let additional = facts.additional.0.unwrap_or_default();
    let output = facts.output.0.unwrap_or_default();
    let mut asked = Asked {
        fits: facts.messages.0.is_some(),
        fault,
        request: Request {
            max_tokens: inference.max_tokens.0,
            temperature: inference.temperature.0,
            top_p: inference.top_p.0,
            top_k: additional.top_k.0.or(additional.camel_top_k.0),
            stop_sequences: inference.stop_sequences.0,
            tools: facts.tools.0.and_then(|config| config.tools.0),
            output_type: output
                .format
                .0
                .is_some_and(|format| format.kind.as_str() == Some("json_schema"))
                .then_some("json"),
            reasoning_level: output.effort.into_filled(),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = Some(content::elements(&body, "messages").map(message).collect());
        let system: Vec<_> = content::elements(&body, "system").map(block).collect();
        asked.system_instructions = (!system.is_empty()).then_some(Value::Array(system));
        let tools: Vec<_> =
            content::elements(body.get("toolConfig").unwrap_or(&json!({})), "tools")
                .filter_map(|tool| content::member(tool.get("toolSpec")?, "name"))
                .map(|name| content::tool("function", Some(name)))
                .collect();
        asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
        asked.truncated = truncated;
    }
    asked
}

/// A message with its list of content blocks, of either direction.
pub(super) fn message(message: &Value) -> Value {
    let role = content::member(message, "role").unwrap_or("user");
    let parts: Vec<_> = content::elements(message, "content").map(block).collect();
    content::message(role, &parts)
}

/// A content block: an object whose one member says what it is.
pub(super) fn block(block: &Value) -> Value {
    if let Some(text) = content::member(block, "text") {
        return content::text(text);
    }
    if let Some(call) = block.get("toolUse") {
        let name = content::member(call, "name").unwrap_or_default();
        return content::tool_call(content::member(call, "toolUseId"), name, call.get("input"));
    }
    if let Some(result) = block.get("toolResult") {
        let response = result.get("content").unwrap_or(&Value::Null);
        return content::tool_response(content::member(result, "toolUseId"), response);
    }
    if let Some(cited) = block.get("citationsContent") {
        let texts = content::elements(cited, "content");
        return content::text(
            &texts.filter_map(|it| content::member(it, "text")).collect::<String>(),
        );
    }
    let reasoning = block.get("reasoningContent").and_then(|inner| inner.get("reasoningText"));
    if let Some(text) = reasoning.and_then(|inner| content::member(inner, "text")) {
        return content::reasoning(text);
    }
    for (member, modality) in [("image", "image"), ("document", "document"), ("video", "video")] {
        let source = block.get(member).and_then(|inner| inner.get("source"));
        if let Some(bytes) = source.and_then(|source| content::member(source, "bytes")) {
            return content::blob(modality, None, bytes);
        }
    }
    let kind = block.as_object().and_then(|members| members.keys().next());
    content::generic(&json!({
        "type": kind.map_or("unknown", String::as_str), "content": block,
    }))
}
