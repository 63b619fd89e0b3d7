//! OpenAI embeddings, as many others speak it.
//! Takes `POST …/embeddings` bodies; gives model and usage. The vectors are stepped over.

use serde::Deserialize;

use super::{
    Answer, Answered, Asked, Format, Step, Views,
    error::{self, ERROR, ErrorMember},
    openai_usage::Tokens,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Filled, Integer, Object, Text},
    },
    operation::{OperationName, Request, Response, Usage},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::Embeddings,
    flavour: "openai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &Shape::Skip },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESPONSE,
    streams_values: false,
    read_request: |body| read(body, true),
    answer: |_| Box::new(Embeddings::default()),
};

/// Where the path says what is asked, so that no model needs to be named.
pub(in crate::genai) static SERVED: Format =
    Format { read_request: |body| read(body, false), ..FORMAT };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("input", Shape::Sign),
    ("inputs", Shape::Sign),
    ("text", Shape::Sign),
    ("messages", Shape::Sign),
    ("dimensions", Shape::Fact),
    ("encoding_format", Shape::Fact),
]);

const RESPONSE: Shape = Shape::Object(&[
    ("object", Shape::Fact),
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("data", Shape::Sign),
    ("usage", Shape::Fact),
    ("error", ERROR),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    input: Filled,
    /// Voyage's, of several kinds at once …
    inputs: Filled,
    /// … Snowflake's, and vLLM's of images.
    text: Filled,
    messages: Filled,
    dimensions: Integer,
    #[serde(borrow)]
    encoding_format: Text<'a>,
}

fn read(body: &mut Document, names_model: bool) -> Asked {
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let named = facts.model.filled().is_some() || !names_model;
    let given = [facts.input, facts.inputs, facts.text, facts.messages];
    Asked {
        fits: named && given.iter().any(|given| given.0),
        fault,
        request: Request {
            model: facts.model.into_filled(),
            embedding_dimensions: facts.dimensions.0,
            encoding_formats: facts.encoding_format.into_filled().into_iter().collect(),
            ..Request::default()
        },
        ..Asked::default()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseFacts<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    data: Filled,
    usage: Object<Tokens>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default)]
struct Embeddings {
    answered: Answered,
}

impl Answer for Embeddings {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<ResponseFacts<'_>>();
        let mut usage = Usage::default();
        if let Some(tokens) = facts.usage.0 {
            tokens.add_to(&mut usage);
        }
        self.answered = Answered {
            fits: facts.data.0 && facts.usage.0.is_some(),
            response: Response {
                id: facts.id.into_filled(),
                model: facts.model.into_filled(),
                ..Response::default()
            },
            usage,
            error: error::member(facts.error),
            ..Answered::default()
        };
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        self.answered
    }
}
