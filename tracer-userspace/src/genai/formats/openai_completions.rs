//! OpenAI text completions: the envelope of chat completions with a prompt and texts.
//! Takes `POST …/completions` bodies; the answers are read by `openai_chat`.
//! A prompt given as token ids is content of no text, so it is left out.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Views, content, openai_chat};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Filled, Flag, Integer, Number, Strings, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "openai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: openai_chat::FORMAT.response,
    event: openai_chat::FORMAT.event,
    streams_values: false,
    read_request: |body| read(body, true),
    answer: openai_chat::FORMAT.answer,
};

/// Where the path says what is asked, so that no model needs to be named.
pub(in crate::genai) static SERVED: Format =
    Format { read_request: |body| read(body, false), ..FORMAT };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("prompt", Shape::Sign),
    ("stream", Shape::Fact),
    ("max_tokens", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("top_k", Shape::Fact),
    ("n", Shape::Fact),
    ("stop", Shape::Fact),
    ("seed", Shape::Fact),
    ("frequency_penalty", Shape::Fact),
    ("presence_penalty", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[("prompt", Shape::Ends(&Shape::Text))]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    prompt: Filled,
    stream: Flag,
    max_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    n: Integer,
    stop: Strings,
    seed: Integer,
    frequency_penalty: Number,
    presence_penalty: Number,
}

fn read(body: &mut Document, names_model: bool) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let named = facts.model.filled().is_some() || !names_model;
    let mut asked = Asked { fits: named && facts.prompt.0, fault, ..Asked::default() };
    asked.request = Request {
        model: facts.model.into_filled(),
        stream: facts.stream.0 == Some(true),
        max_tokens: facts.max_tokens.0,
        temperature: facts.temperature.0,
        top_p: facts.top_p.0,
        top_k: facts.top_k.0,
        frequency_penalty: facts.frequency_penalty.0,
        presence_penalty: facts.presence_penalty.0,
        seed: facts.seed.0,
        stop_sequences: facts.stop.0,
        choice_count: facts.n.0.filter(|count| *count != 1),
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = prompt(body.get("prompt"));
        asked.truncated = truncated;
    }
    asked
}

/// One message for each prompt.
fn prompt(prompt: Option<&Value>) -> Option<Value> {
    let message = |text: &str| content::message("user", &[content::text(text)]);
    match prompt? {
        Value::String(text) => Some(json!([message(text)])),
        Value::Array(prompts) => {
            let messages: Vec<_> = prompts.iter().filter_map(Value::as_str).map(message).collect();
            (!messages.is_empty()).then_some(Value::Array(messages))
        }
        _ => None,
    }
}
