//! Gemini's interactions: a model or an agent, with state at the server.
//! Takes `POST /v1beta/interactions` bodies, interactions and typed events; gives facts and content.
//! Thoughts and results of the provider's tools are counted apart; an interaction has a status, no reason to finish.

mod answer;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Views, content};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Flag, Integer, Length, Number, Object, Strings, Text},
    },
    operation::{Agent, OperationName, Request},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::GenerateContent,
    flavour: "gcp.gemini",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &answer::INTERACTION, content: &Shape::Skip },
    event: &answer::EVENT,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(answer::Interaction::new(capture_content, true)),
};

/// An interaction is looked at again: what it used is not reported twice.
pub(in crate::genai) static FETCH: Format = Format {
    operation: OperationName::FetchResponse,
    answer: |capture_content| Box::new(answer::Interaction::new(capture_content, false)),
    ..FORMAT
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("agent", Shape::Fact),
    ("input", Shape::Sign),
    ("stream", Shape::Fact),
    ("previous_interaction_id", Shape::Fact),
    ("generation_config", Shape::Fact),
    ("response_mime_type", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("input", Shape::Ends(&Shape::Text)),
    ("system_instruction", Shape::Text),
    ("tools", Shape::Ends(&Shape::Object(&[("type", Shape::Fact), ("name", Shape::Fact)]))),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    agent: Text<'a>,
    input: Input,
    stream: Flag,
    #[serde(borrow)]
    previous_interaction_id: Text<'a>,
    #[serde(borrow)]
    generation_config: Object<Config<'a>>,
    #[serde(borrow)]
    response_mime_type: Text<'a>,
    tools: Length,
}

/// A text, a list, or one object.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct Input(Option<Value>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config<'a> {
    max_output_tokens: Integer,
    temperature: Number,
    top_p: Number,
    seed: Integer,
    stop_sequences: Strings,
    #[serde(borrow)]
    thinking_level: Text<'a>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let config = facts.generation_config.0.unwrap_or_default();
    let agent = facts.agent.into_filled();
    let named = facts.model.filled().is_some() || agent.is_some();
    let mut asked = Asked {
        operation: agent.is_some().then_some(OperationName::InvokeAgent),
        fits: named && facts.input.0.is_some(),
        fault,
        request: Request {
            model: facts.model.into_filled(),
            agent: Agent { id: agent, ..Agent::default() },
            stream: facts.stream.0 == Some(true),
            previous_response_id: facts.previous_interaction_id.into_filled(),
            output_type: match facts.response_mime_type.as_str() {
                Some("application/json") => Some("json"),
                Some("text/plain") => Some("text"),
                _ => None,
            },
            max_tokens: config.max_output_tokens.0,
            temperature: config.temperature.0,
            top_p: config.top_p.0,
            seed: config.seed.0,
            stop_sequences: config.stop_sequences.0,
            reasoning_level: config.thinking_level.into_filled(),
            tools: facts.tools.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = messages(body.get("input"));
        asked.system_instructions = content::member(&body, "system_instruction")
            .filter(|text| !text.is_empty())
            .map(|text| json!([content::text(text)]));
        let tools: Vec<_> = content::elements(&body, "tools")
            .map(|tool| {
                let kind = content::member(tool, "type").unwrap_or("function");
                content::tool(kind, content::member(tool, "name"))
            })
            .collect();
        asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
        asked.truncated = truncated;
    }
    asked
}

/// A text, contents, or steps (`user_input`, `model_output`, calls and their results).
fn messages(input: Option<&Value>) -> Option<Value> {
    let message = |role: &str, part: Value| content::message(role, &[part]);
    match input? {
        Value::String(text) => Some(json!([message("user", content::text(text))])),
        Value::Array(items) => Some(items.iter().map(item).collect()),
        one @ Value::Object(_) => Some(json!([item(one)])),
        _ => None,
    }
}

fn item(item: &Value) -> Value {
    let id = content::member(item, "call_id").or_else(|| content::member(item, "id"));
    let parts = || content::elements(item, "content").map(part).collect::<Vec<_>>();
    match content::member(item, "type") {
        Some("user_input") => content::message("user", &parts()),
        Some("model_output") => content::message("assistant", &parts()),
        Some("function_call") => {
            let name = content::member(item, "name").unwrap_or_default();
            let call = content::tool_call(id, name, item.get("arguments"));
            content::message("assistant", &[call])
        }
        Some("function_result") => {
            let result = item.get("result").unwrap_or(&Value::Null);
            content::message("tool", &[content::tool_response(id, result)])
        }
        _ => content::message("user", &[part(item)]),
    }
}

fn part(part: &Value) -> Value {
    let kind = content::member(part, "type").unwrap_or_default();
    let member = |name| content::member(part, name);
    match (kind, member("text"), member("data"), member("uri")) {
        ("text", Some(text), ..) => content::text(text),
        ("image" | "audio" | "video" | "document", _, Some(data), _) => {
            content::blob(kind, member("mime_type"), data)
        }
        ("image" | "audio" | "video" | "document", _, _, Some(uri)) => content::link(kind, uri),
        _ => content::generic(part),
    }
}
