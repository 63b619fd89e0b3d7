//! Cohere's own API: chat (v2, and v1 before it), generate, and embeddings.
//! Takes bodies, events (v2) and lines (v1); gives facts and content.
//! Billed units are the count that stands, as the conventions have it.

mod answer;
mod wire;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Typed, Views, content, openai_chat};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Filled, Flag, Integer, Length, Number, Object, Strings, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static CHAT: Format = Format {
    operation: OperationName::Chat,
    flavour: "cohere",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &wire::RESPONSE, content: &Shape::Skip },
    event: &wire::EVENT,
    streams_values: true,
    read_request,
    answer: |capture_content| Box::new(answer::Cohere::new(capture_content)),
};

pub(in crate::genai) static GENERATE: Format =
    Format { operation: OperationName::TextCompletion, ..CHAT };

/// Before chats did it.
pub(in crate::genai) static SUMMARIZE: Format = GENERATE;

pub(in crate::genai) static EMBED: Format =
    Format { operation: OperationName::Embeddings, streams_values: false, ..CHAT };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("messages", Shape::Sign),
    ("message", Shape::Sign),
    ("prompt", Shape::Sign),
    ("text", Shape::Sign),
    ("texts", Shape::Sign),
    ("inputs", Shape::Sign),
    ("images", Shape::Sign),
    ("stream", Shape::Fact),
    ("max_tokens", Shape::Fact),
    ("temperature", Shape::Fact),
    ("p", Shape::Fact),
    ("k", Shape::Fact),
    ("seed", Shape::Fact),
    ("stop_sequences", Shape::Fact),
    ("frequency_penalty", Shape::Fact),
    ("presence_penalty", Shape::Fact),
    ("num_generations", Shape::Fact),
    ("response_format", Shape::Object(&[("type", Shape::Fact)])),
    ("tools", Shape::Each(&Shape::Skip)),
    ("conversation_id", Shape::Fact),
    ("embedding_types", Shape::Fact),
    ("output_dimension", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("messages", Shape::Ends(&Shape::Text)),
    ("chat_history", Shape::Ends(&Shape::Text)),
    ("message", Shape::Text),
    ("preamble", Shape::Text),
    ("prompt", Shape::Text),
    ("text", Shape::Text),
    (
        "tools",
        Shape::Ends(&Shape::Object(&[
            ("name", Shape::Fact),
            ("function", Shape::Object(&[("name", Shape::Fact)])),
        ])),
    ),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    messages: Length,
    message: Filled,
    prompt: Filled,
    /// To be summed up.
    text: Filled,
    texts: Length,
    inputs: Length,
    images: Length,
    stream: Flag,
    max_tokens: Integer,
    temperature: Number,
    p: Number,
    k: Number,
    seed: Integer,
    stop_sequences: Strings,
    frequency_penalty: Number,
    presence_penalty: Number,
    num_generations: Integer,
    #[serde(borrow)]
    response_format: Object<Typed<'a>>,
    tools: Length,
    #[serde(borrow)]
    conversation_id: Text<'a>,
    embedding_types: Strings,
    output_dimension: Integer,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let asked_for = [facts.messages.0, facts.texts.0, facts.inputs.0, facts.images.0];
    let mut asked = Asked {
        fits: facts.message.0
            || facts.prompt.0
            || facts.text.0
            || asked_for.iter().any(Option::is_some),
        fault,
        request: Request {
            output_type: match facts.response_format.0.unwrap_or_default().kind.as_str() {
                Some("json_object") => Some("json"),
                Some("text") => Some("text"),
                _ => None,
            },
            model: facts.model.into_filled(),
            stream: facts.stream.0 == Some(true),
            max_tokens: facts.max_tokens.0,
            temperature: facts.temperature.0,
            top_p: facts.p.0,
            top_k: facts.k.0,
            seed: facts.seed.0,
            stop_sequences: facts.stop_sequences.0,
            frequency_penalty: facts.frequency_penalty.0,
            presence_penalty: facts.presence_penalty.0,
            choice_count: facts.num_generations.0.filter(|count| *count != 1),
            tools: facts.tools.0,
            conversation_id: facts.conversation_id.into_filled(),
            encoding_formats: facts.embedding_types.0,
            embedding_dimensions: facts.output_dimension.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        read_content(&body, &mut asked);
        asked.truncated = truncated;
    }
    asked
}

fn read_content(body: &Value, asked: &mut Asked) {
    // v1 keeps the last message apart from those before it.
    let history = content::elements(body, "chat_history").map(|message| {
        let role = match content::member(message, "role") {
            Some("CHATBOT" | "Chatbot") => "assistant",
            Some("SYSTEM" | "System") => "system",
            Some("TOOL" | "Tool") => "tool",
            _ => "user",
        };
        let text = content::member(message, "message").unwrap_or_default();
        content::message(role, &[content::text(text)])
    });
    let last = ["message", "prompt", "text"].iter().find_map(|name| content::member(body, name));
    let messages: Vec<_> = content::elements(body, "messages")
        .map(openai_chat::input)
        .chain(history)
        .chain(last.map(|text| content::message("user", &[content::text(text)])))
        .collect();
    asked.input_messages = (!messages.is_empty()).then_some(Value::Array(messages));
    asked.system_instructions =
        content::member(body, "preamble").map(|text| json!([content::text(text)]));
    let tools: Vec<_> = content::elements(body, "tools")
        .map(|tool| {
            let named = tool.get("function").unwrap_or(tool);
            content::tool("function", content::member(named, "name"))
        })
        .collect();
    asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
}
