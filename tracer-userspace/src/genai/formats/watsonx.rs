//! IBM watsonx: text generation, chat, embeddings and reranking.
//! Takes `POST /ml/v1…/text/*` bodies, of models and of deployments, and events; gives facts and content.
//! Chat is OpenAI's but for the model's name. Each event of a generation tells the tokens generated so
//! far, and the input's only once.

use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Answered, Asked, Format, Step, Views,
    content::{self, Kind, Parts},
    error::{ERROR, Fields},
    openai_chat,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Filled, Integer, Length, List, Number, Object, Strings, Text},
    },
    operation::{OperationName, ProviderError, Request, Response, Usage},
};

/// What an event says while the generation goes on; it is no reason to finish.
const GOES_ON: &str = "not_finished";

pub(in crate::genai) static GENERATE: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "ibm.watsonx.ai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESPONSE,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Generation { capture_content, ..Generation::default() }),
};

/// A deployment names its model itself.
pub(in crate::genai) static CHAT: Format =
    Format { flavour: "ibm.watsonx.ai", api_type: None, ..openai_chat::SERVED };

pub(in crate::genai) static EMBED: Format = Format {
    operation: OperationName::Embeddings,
    answer: |_| Box::new(Counted::default()),
    ..GENERATE
};

pub(in crate::genai) static RERANK: Format = Format { operation: OperationName::Rerank, ..EMBED };

const REQUEST: Shape = Shape::Object(&[
    ("model_id", Shape::Fact),
    ("input", Shape::Sign),
    ("inputs", Shape::Sign),
    ("parameters", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[("input", Shape::Text)]);

const RESPONSE: Shape = Shape::Object(&[
    ("model_id", Shape::Fact),
    (
        "results",
        Shape::Each(&Shape::Object(&[
            ("generated_text", Shape::Text),
            ("generated_token_count", Shape::Fact),
            ("input_token_count", Shape::Fact),
            ("stop_reason", Shape::Fact),
        ])),
    ),
    ("input_token_count", Shape::Fact),
    ("errors", Shape::Each(&ERROR)),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model_id: Text<'a>,
    input: Filled,
    inputs: Length,
    parameters: Object<Parameters>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    max_new_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    random_seed: Integer,
    stop_sequences: Strings,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let parameters = facts.parameters.0.unwrap_or_default();
    let mut asked = Asked {
        // A deployment may hold the prompt too.
        fits: facts.input.0 || facts.inputs.0.is_some(),
        fault,
        request: Request {
            model: facts.model_id.into_filled(),
            max_tokens: parameters.max_new_tokens.0,
            temperature: parameters.temperature.0,
            top_p: parameters.top_p.0,
            top_k: parameters.top_k.0,
            seed: parameters.random_seed.0,
            stop_sequences: parameters.stop_sequences.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = content::member(&body, "input")
            .map(|text| json!([content::message("user", &[content::text(text)])]));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    model_id: Text<'a>,
    #[serde(borrow)]
    results: Option<List<Generated<'a>>>,
    /// Of embeddings and rankings.
    input_token_count: Count,
    /// Inside a stream.
    #[serde(borrow)]
    errors: List<Fields<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Generated<'a> {
    #[serde(rename = "generated_text", borrow)]
    text: Text<'a>,
    #[serde(rename = "generated_token_count")]
    output_tokens: Count,
    #[serde(rename = "input_token_count")]
    input_tokens: Count,
    #[serde(borrow)]
    stop_reason: Text<'a>,
}

#[derive(Debug, Default)]
struct Generation {
    capture_content: bool,
    response: Response,
    usage: Usage,
    error: Option<ProviderError>,
    reason: Option<String>,
    parts: Parts,
    begun: bool,
}

impl Answer for Generation {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.take(facts);
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (facts, _) = data.facts::<Body<'_>>();
        self.take(facts)
    }

    fn finish(mut self: Box<Self>) -> Answered {
        let (parts, truncated) = self.parts.take();
        let reason = self.reason.unwrap_or_else(|| "error".to_owned());
        let output = match reason.as_str() {
            "eos_token" | "stop_sequence" => "stop",
            "max_tokens" | "token_limit" => "length",
            reason => reason,
        };
        let messages = json!([content::output("assistant", &parts, output)]);
        self.response.finish_reasons = if self.begun { vec![reason] } else { Vec::new() };
        Answered {
            response: self.response,
            usage: self.usage,
            error: self.error,
            output_messages: (self.capture_content && self.begun).then_some(messages),
            truncated,
            fits: self.begun,
            ..Answered::default()
        }
    }
}

impl Generation {
    fn take(&mut self, body: Body<'_>) -> Step {
        if let Some(failed) = body.errors.into_objects().next() {
            self.error.get_or_insert_with(|| failed.into_error());
            return Step::Aside;
        }
        if self.response.model.is_none() {
            self.response.model = body.model_id.into_filled();
        }
        let mut step = Step::Aside;
        for generated in body.results.unwrap_or_default().into_objects() {
            self.begun = true;
            if step == Step::Aside {
                step = Step::Frame;
            }
            if let Some(text) = generated.text.filled() {
                step = Step::Piece;
                if self.capture_content {
                    self.parts.push(Kind::Text, text);
                }
            }
            // The input's count is told once and is 0 in the events behind it.
            let input = generated.input_tokens.0.max(self.usage.input_tokens);
            self.usage.input_tokens = input;
            self.usage.output_tokens = generated.output_tokens.0.or(self.usage.output_tokens);
            let reason = generated.stop_reason.into_filled().filter(|reason| reason != GOES_ON);
            self.reason = reason.or(self.reason.take());
        }
        step
    }
}

/// Embeddings or a ranking, of which only the count is told.
#[derive(Debug, Default)]
struct Counted {
    answered: Answered,
}

impl Answer for Counted {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.answered.fits = facts.results.is_some();
        self.answered.response.model = facts.model_id.into_filled();
        self.answered.usage.input_tokens = facts.input_token_count.0;
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        self.answered
    }
}
