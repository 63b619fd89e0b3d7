//! OpenAI's Responses API.
//! Takes `POST …/responses` bodies, `GET …/responses/{id}` and events of streams or WebSockets; gives
//! facts and content.
//! The API has no finish reason: the response's final `status` stands for it.

mod answer;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Typed, Views, content, error::ERROR, openai_chat};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Code, Filled, Flag, Integer, Length, Number, Object, Text, TextOr},
    },
    operation::{OperationName, Request},
    socket::{Dialect, Subject},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::Chat,
    flavour: "openai",
    api_type: Some("responses"),
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &RESPONSE_CONTENT },
    event: &EVENT,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(answer::Responses::new(capture_content, true)),
};

/// A response that is asked for again: the conventions want its usage reported once, not here.
pub(in crate::genai) static FETCH: Format = Format {
    operation: OperationName::FetchResponse,
    answer: |capture_content| Box::new(answer::Responses::new(capture_content, false)),
    ..FORMAT
};

/// A model makes a conversation shorter; what it gives is for the next request's input.
pub(in crate::genai) static COMPACT: Format =
    Format { operation: OperationName::Compaction, ..FORMAT };

/// Over a WebSocket a request says what it is, and answers come one after the other.
pub(in crate::genai) const DIALECT: Dialect =
    Dialect { format: &MESSAGE, message_id: |_| None, subject };

static MESSAGE: Format = Format {
    read_request: |body| {
        let asked = read_request(body);
        let kind = body.facts::<Typed<'_>>().0.kind;
        Asked { fits: kind.as_str() == Some("response.create"), ..asked }
    },
    ..FORMAT
};

const REQUEST: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("model", Shape::Fact),
    ("input", Shape::Sign),
    ("stream", Shape::Fact),
    ("max_output_tokens", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
    ("text", Shape::Object(&[("format", Shape::Object(&[("type", Shape::Fact)]))])),
    ("reasoning", Shape::Object(&[("effort", Shape::Fact)])),
    ("previous_response_id", Shape::Fact),
    ("conversation", Shape::Object(&[("id", Shape::Fact)])),
    ("prompt", Shape::Object(&[("id", Shape::Fact), ("version", Shape::Fact)])),
    ("service_tier", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("input", Shape::Ends(&Shape::Text)),
    ("instructions", Shape::Text),
    ("tools", Shape::Ends(&TOOL)),
]);

pub(super) const TOOL: Shape = Shape::Object(&[("type", Shape::Fact), ("name", Shape::Fact)]);

const ITEM: Shape =
    Shape::Object(&[("type", Shape::Fact), ("name", Shape::Fact), ("call_id", Shape::Fact)]);

const RESPONSE: Shape = Shape::Object(&[
    ("object", Shape::Fact),
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("status", Shape::Fact),
    ("service_tier", Shape::Fact),
    ("conversation", Shape::Object(&[("id", Shape::Fact)])),
    ("output", Shape::Each(&ITEM)),
    ("usage", Shape::Fact),
    ("incomplete_details", Shape::Object(&[("reason", Shape::Fact)])),
    ("status_details", Shape::Object(&[("reason", Shape::Fact), ("error", ERROR)])),
    ("conversation_id", Shape::Fact),
    ("error", ERROR),
]);

const RESPONSE_CONTENT: Shape = Shape::Object(&[("output", Shape::Ends(&Shape::Text))]);

/// Of these APIs' events, and of the Realtime API's: there also what says which answer it is of.
pub(super) const EVENT: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("response_id", Shape::Fact),
    ("session", Shape::Object(&[("model", Shape::Fact)])),
    ("response", RESPONSE),
    ("item", ITEM),
    ("output_index", Shape::Fact),
    ("delta", Shape::Text),
    ("error", EVENT_ERROR),
    ("code", Shape::Fact),
    ("message", Shape::Text),
]);

const EVENT_ERROR: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("code", Shape::Fact),
    ("message", Shape::Text),
    ("event_id", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    input: Filled,
    stream: Flag,
    max_output_tokens: Integer,
    temperature: Number,
    top_p: Number,
    tools: Length,
    #[serde(borrow)]
    text: Object<TextOptions<'a>>,
    #[serde(borrow)]
    reasoning: Object<Reasoning<'a>>,
    #[serde(borrow)]
    previous_response_id: Text<'a>,
    #[serde(borrow)]
    conversation: Conversation<'a>,
    #[serde(borrow)]
    prompt: Object<Prompt<'a>>,
    #[serde(borrow)]
    service_tier: Text<'a>,
}

/// A prompt that is stored at the provider.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prompt<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    version: Code,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TextOptions<'a> {
    #[serde(borrow)]
    format: Object<Typed<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning<'a> {
    #[serde(borrow)]
    effort: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

/// A conversation's id, alone or in an object.
type Conversation<'a> = TextOr<'a, Named<'a>>;

fn conversation_id(conversation: Conversation<'_>) -> Option<String> {
    match conversation {
        TextOr::Text(id) => Some(id.into_owned()),
        TextOr::Object(named) => named.id.into_filled(),
        TextOr::Neither => None,
    }
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let format = facts.text.0.and_then(|text| text.format.0).unwrap_or_default();
    let prompt = facts.prompt.0.unwrap_or_default();
    // A stored prompt may name the model and hold the input.
    let given = facts.input.0 || facts.previous_response_id.filled().is_some();
    let fits = facts.model.filled().is_some() && given || prompt.id.filled().is_some();
    let mut asked = Asked { fits, fault, ..Asked::default() };
    asked.request = Request {
        output_type: openai_chat::output_format(&format),
        model: facts.model.into_filled(),
        stream: facts.stream.0 == Some(true),
        max_tokens: facts.max_output_tokens.0,
        temperature: facts.temperature.0,
        top_p: facts.top_p.0,
        reasoning_level: facts.reasoning.0.and_then(|reasoning| reasoning.effort.into_filled()),
        service_tier: facts.service_tier.into_filled().filter(|tier| tier != "auto"),
        tools: facts.tools.0,
        previous_response_id: facts.previous_response_id.into_filled(),
        conversation_id: conversation_id(facts.conversation),
        prompt_name: prompt.id.into_filled(),
        prompt_version: prompt.version.0,
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        written(&mut asked, &body, truncated);
    }
    asked
}

/// What people wrote in a request.
pub(super) fn written(asked: &mut Asked, body: &Value, truncated: bool) {
    asked.input_messages = input(body.get("input"));
    asked.system_instructions = content::member(body, "instructions")
        .map(|instructions| json!([content::text(instructions)]));
    let tools: Vec<_> = content::elements(body, "tools")
        .map(|tool| {
            let kind = content::member(tool, "type").unwrap_or("function");
            content::tool(kind, content::member(tool, "name"))
        })
        .collect();
    asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
    asked.truncated = truncated;
}

fn subject(message: &mut Document) -> Subject {
    let (event, _) = message.facts::<Typed<'_>>();
    match event.kind.as_str() {
        Some("response.created") => Subject::Beginning(None),
        Some("error") => Subject::Answer(None),
        Some(kind) if kind.starts_with("response.") => Subject::Answer(None),
        _ => Subject::Other,
    }
}

/// A text, or a list of items.
fn input(input: Option<&Value>) -> Option<Value> {
    match input? {
        Value::String(text) => Some(json!([content::message("user", &[content::text(text)])])),
        Value::Array(items) => {
            let message = |item| {
                let role = content::member(item, "role").unwrap_or(match item_type(item) {
                    kind if kind.ends_with("_output") => "tool",
                    "message" => "user",
                    _ => "assistant",
                });
                content::message(role, &item_parts(item))
            };
            Some(items.iter().map(message).collect())
        }
        _ => None,
    }
}

fn item_type(item: &Value) -> &str {
    content::member(item, "type").unwrap_or("message")
}

/// Parts of one item of a request or a response.
fn item_parts(item: &Value) -> Vec<Value> {
    let call_id = content::member(item, "call_id");
    let name = content::member(item, "name").unwrap_or_default();
    match item_type(item) {
        "message" => match item.get("content") {
            Some(Value::String(text)) => vec![content::text(text)],
            _ => content::elements(item, "content").map(part).collect(),
        },
        "function_call" => vec![content::tool_call(call_id, name, item.get("arguments"))],
        "custom_tool_call" => vec![content::tool_call(call_id, name, item.get("input"))],
        "function_call_output" | "custom_tool_call_output" => {
            let output = item.get("output").unwrap_or(&Value::Null);
            vec![content::tool_response(call_id, output)]
        }
        "reasoning" => content::elements(item, "summary")
            .chain(content::elements(item, "content"))
            .filter_map(|part| content::member(part, "text"))
            .map(content::reasoning)
            .collect(),
        _ => vec![content::generic(item)],
    }
}

fn part(part: &Value) -> Value {
    let text = |name: &str| content::member(part, name);
    match text("type") {
        Some("input_text" | "output_text" | "text") => {
            content::text(text("text").unwrap_or_default())
        }
        Some("refusal") => content::refusal(text("refusal").unwrap_or_default()),
        Some("input_image") => source("image", text("image_url"), text("file_id"), part),
        Some("input_file") => {
            source("document", text("file_url").or(text("file_data")), text("file_id"), part)
        }
        _ => content::generic(part),
    }
}

fn source(modality: &str, url: Option<&str>, id: Option<&str>, part: &Value) -> Value {
    match (url, id) {
        (Some(url), _) => content::link(modality, url),
        (None, Some(id)) => content::file(modality, id),
        (None, None) => content::generic(part),
    }
}
