//! Hugging Face text generation: Text Generation Inference, its hosted API, and containers like it.
//! Takes `POST /generate[_stream]` bodies, answers (one or a list) and token events; gives facts and content.
//! Counts that the body lacks are taken from the server's headers.

use ::http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Answered, Asked, Format, Step, Views, content,
    content::Kind,
    error::{self, ErrorMember},
    texts::Texts,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Flag, Integer, Number, Object, Several, Strings, Text},
    },
    operation::{OperationName, ProviderError, Request, Usage},
};

pub(in crate::genai) static GENERATE: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "huggingface",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    // One object, or a list of them.
    response: Views { facts: &Shape::Text, content: &Shape::Skip },
    event: &Shape::Text,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Generation::new(capture_content)),
};

const REQUEST: Shape =
    Shape::Object(&[("inputs", Shape::Sign), ("parameters", Shape::Fact), ("stream", Shape::Fact)]);

const REQUEST_CONTENT: Shape = Shape::Object(&[("inputs", Shape::Text)]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    inputs: Text<'a>,
    parameters: Object<Parameters>,
    stream: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    max_new_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    seed: Integer,
    stop: Strings,
    frequency_penalty: Number,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let parameters = facts.parameters.0.unwrap_or_default();
    let mut asked = Asked {
        fits: facts.inputs.as_str().is_some(),
        fault,
        request: Request {
            stream: facts.stream.0 == Some(true),
            max_tokens: parameters.max_new_tokens.0,
            temperature: parameters.temperature.0,
            top_p: parameters.top_p.0,
            top_k: parameters.top_k.0,
            seed: parameters.seed.0,
            stop_sequences: parameters.stop.0,
            frequency_penalty: parameters.frequency_penalty.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = content::member(&body, "inputs")
            .map(|text| json!([content::message("user", &[content::text(text)])]));
        asked.truncated = truncated;
    }
    asked
}

/// A whole answer, or an event: every event has a token, the last the rest too.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    generated_text: Text<'a>,
    #[serde(borrow)]
    details: Object<Details<'a>>,
    #[serde(borrow)]
    token: Object<Token<'a>>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
    #[serde(borrow)]
    error_type: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details<'a> {
    #[serde(borrow)]
    finish_reason: Text<'a>,
    generated_tokens: Count,
    /// Of streams.
    input_length: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Token<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    /// Marks of the model, no text.
    special: Flag,
}

#[derive(Debug)]
pub(super) struct Generation {
    texts: Texts,
    usage: Usage,
    /// What the headers count.
    counted: Usage,
    error: Option<ProviderError>,
    done: bool,
}

impl Generation {
    pub(super) fn new(capture_content: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            usage: Usage::default(),
            counted: Usage::default(),
            error: None,
            done: false,
        }
    }

    fn details(&mut self, place: usize, details: Details<'_>) {
        self.texts.end(place, details.finish_reason.into_filled());
        let sum = |known: &mut Option<u64>, told: Count| {
            if let Some(told) = told.0 {
                *known = Some(known.unwrap_or(0).saturating_add(told));
            }
        };
        sum(&mut self.usage.output_tokens, details.generated_tokens);
        sum(&mut self.usage.input_tokens, details.input_length);
    }

    fn failed(&mut self, body: &mut Body<'_>) -> bool {
        let Some(mut error) = error::member(std::mem::take(&mut body.error)) else { return false };
        if let Some(kind) = body.error_type.filled() {
            kind.clone_into(&mut error.kind);
        }
        self.error.get_or_insert(error);
        true
    }
}

impl Answer for Generation {
    fn headers(&mut self, headers: &HeaderMap) {
        let count = |name| headers.get(name)?.to_str().ok()?.parse().ok();
        self.counted.input_tokens = count("x-prompt-tokens");
        self.counted.output_tokens = count("x-generated-tokens");
    }

    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (bodies, fault) = body.facts::<Several<Body<'_>>>();
        self.done = fault.is_none();
        for (place, mut body) in bodies.into_objects().enumerate() {
            if self.failed(&mut body) {
                continue;
            }
            if let Some(text) = body.generated_text.as_str() {
                self.texts.begin(place);
                self.texts.push(place, Kind::Text, Some(text));
            }
            if let Some(details) = body.details.0 {
                self.details(place, details);
            }
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (mut body, _) = data.facts::<Body<'_>>();
        if self.failed(&mut body) {
            return Step::Aside;
        }
        let Some(token) = body.token.0 else { return Step::Aside };
        self.texts.begin(0);
        let text = token.text.as_str().filter(|_| token.special.0 != Some(true));
        let piece = self.texts.push(0, Kind::Text, text);
        if let Some(details) = body.details.0 {
            self.details(0, details);
        }
        self.done |= body.generated_text.as_str().is_some();
        if piece { Step::Piece } else { Step::Frame }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let usage = Usage {
            input_tokens: self.usage.input_tokens.or(self.counted.input_tokens),
            output_tokens: self.usage.output_tokens.or(self.counted.output_tokens),
            ..self.usage
        };
        let answered = self.texts.finish(self.done, finish_reason);
        Answered { usage, error: self.error, ..answered }
    }
}

fn finish_reason(reason: &str) -> &str {
    match reason {
        "eos_token" | "stop_sequence" => "stop",
        reason => reason,
    }
}
