//! Aleph Alpha's completion API, and its embeddings.
//! Takes `POST /complete` bodies, answers and typed events; gives facts and content.
//! A summary for each text and one for all of them end a stream.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Answered, Asked, Format, Step, Views, content, content::Kind, texts::Texts};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Filled, Flag, Integer, List, Number, Strings, Text},
    },
    operation::{OperationName, Request, Usage},
};

pub(in crate::genai) static COMPLETE: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "aleph_alpha",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESPONSE,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Completion::new(capture_content)),
};

pub(in crate::genai) static EMBED: Format =
    Format { operation: OperationName::Embeddings, ..COMPLETE };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("prompt", Shape::Sign),
    ("maximum_tokens", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_k", Shape::Fact),
    ("top_p", Shape::Fact),
    ("presence_penalty", Shape::Fact),
    ("frequency_penalty", Shape::Fact),
    ("stop_sequences", Shape::Fact),
    ("n", Shape::Fact),
    ("stream", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[("prompt", Shape::Ends(&Shape::Text))]);

const RESPONSE: Shape = Shape::Object(&[
    (
        "completions",
        Shape::Each(&Shape::Object(&[("completion", Shape::Text), ("finish_reason", Shape::Fact)])),
    ),
    ("num_tokens_prompt_total", Shape::Fact),
    ("num_tokens_generated", Shape::Fact),
    ("embedding", Shape::Sign),
    ("embeddings", Shape::Sign),
    // Of events.
    ("type", Shape::Fact),
    ("index", Shape::Fact),
    ("completion", Shape::Text),
    ("finish_reason", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    prompt: Filled,
    maximum_tokens: Integer,
    temperature: Number,
    top_k: Number,
    top_p: Number,
    presence_penalty: Number,
    frequency_penalty: Number,
    stop_sequences: Strings,
    n: Integer,
    stream: Flag,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let mut asked = Asked {
        fits: facts.model.filled().is_some() && facts.prompt.0,
        fault,
        request: Request {
            model: facts.model.into_filled(),
            stream: facts.stream.0 == Some(true),
            max_tokens: facts.maximum_tokens.0,
            temperature: facts.temperature.0,
            top_p: facts.top_p.0,
            top_k: facts.top_k.0,
            presence_penalty: facts.presence_penalty.0,
            frequency_penalty: facts.frequency_penalty.0,
            stop_sequences: facts.stop_sequences.0,
            choice_count: facts.n.0.filter(|count| *count != 1),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = prompt(body.get("prompt"));
        asked.truncated = truncated;
    }
    asked
}

/// A prompt is a text, or a list of texts, images and token ids.
fn prompt(prompt: Option<&Value>) -> Option<Value> {
    let parts: Vec<_> = match prompt? {
        Value::String(text) => vec![content::text(text)],
        Value::Array(items) => items
            .iter()
            .map(|item| match (content::member(item, "type"), content::member(item, "data")) {
                (Some("text"), Some(text)) => content::text(text),
                (Some("image"), Some(data)) => content::blob("image", None, data),
                _ => content::generic(item),
            })
            .collect(),
        _ => return None,
    };
    Some(json!([content::message("user", &parts)]))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    completions: List<Generated<'a>>,
    num_tokens_prompt_total: Count,
    num_tokens_generated: Count,
    embedding: Filled,
    embeddings: Filled,
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    index: Count,
    #[serde(borrow)]
    completion: Text<'a>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Generated<'a> {
    #[serde(borrow)]
    completion: Text<'a>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
}

#[derive(Debug)]
struct Completion {
    texts: Texts,
    usage: Usage,
    embedded: bool,
    done: bool,
}

impl Completion {
    fn new(capture_content: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            usage: Usage::default(),
            embedded: false,
            done: false,
        }
    }
}

impl Answer for Completion {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = fault.is_none();
        self.embedded = facts.embedding.0 || facts.embeddings.0;
        self.usage.input_tokens = facts.num_tokens_prompt_total.0;
        self.usage.output_tokens = facts.num_tokens_generated.0;
        for (place, text) in facts.completions.into_objects().enumerate() {
            self.texts.begin(place);
            self.texts.push(place, Kind::Text, text.completion.as_str());
            self.texts.end(place, text.finish_reason.into_filled());
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Body<'_>>();
        let place = event.index.0.and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        match event.kind.as_str() {
            Some("stream_chunk") => {
                self.texts.begin(place);
                let piece = self.texts.push(place, Kind::Text, event.completion.as_str());
                if piece { Step::Piece } else { Step::Frame }
            }
            Some("stream_summary") => {
                self.texts.end(place, event.finish_reason.into_filled());
                Step::Frame
            }
            Some("completion_summary") => {
                self.usage.input_tokens = event.num_tokens_prompt_total.0;
                self.usage.output_tokens = event.num_tokens_generated.0;
                self.done = true;
                Step::Frame
            }
            _ => Step::Aside,
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(self.done, |reason| match reason {
            "end_of_text" | "stop_sequence_reached" => "stop",
            "maximum_tokens" => "length",
            reason => reason,
        });
        Answered { usage: self.usage, fits: answered.fits || self.embedded, ..answered }
    }
}
