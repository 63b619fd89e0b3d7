//! Embeddings of servers that answer with a bare list: Text Embeddings Inference and llama.cpp.
//! Takes `POST /embed` and `/embedding` bodies; gives that they are embeddings. The vectors are stepped over.

use ::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Answered, Asked, Format, Step, Views};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Filled, Integer, Text},
    },
    operation::{OperationName, Request, Usage},
};

pub(in crate::genai) static TEI: Format = Format {
    operation: OperationName::Embeddings,
    flavour: "huggingface",
    api_type: None,
    request: Views { facts: &REQUEST, content: &Shape::Skip },
    response: Views { facts: &Shape::Each(&Shape::Sign), content: &Shape::Skip },
    event: &Shape::Skip,
    streams_values: false,
    read_request,
    answer: |_| Box::new(Vectors::default()),
};

pub(in crate::genai) static LLAMA_CPP: Format = Format { flavour: "llama_cpp", ..TEI };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("inputs", Shape::Sign),
    ("content", Shape::Sign),
    ("input", Shape::Sign),
    ("dimensions", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    inputs: Filled,
    content: Filled,
    input: Filled,
    dimensions: Integer,
}

fn read_request(body: &mut Document) -> Asked {
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    Asked {
        fits: facts.inputs.0 || facts.content.0 || facts.input.0,
        fault,
        request: Request {
            model: facts.model.into_filled(),
            embedding_dimensions: facts.dimensions.0,
            ..Request::default()
        },
        ..Asked::default()
    }
}

#[derive(Debug, Default)]
struct Vectors {
    counted: Option<u64>,
    fits: bool,
}

impl Answer for Vectors {
    fn headers(&mut self, headers: &HeaderMap) {
        let tokens = headers.get("x-compute-tokens").and_then(|count| count.to_str().ok());
        self.counted = tokens.and_then(|count| count.parse().ok());
    }

    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (vectors, fault) = body.facts::<Value>();
        // Vectors, or objects with one.
        let is_one = |value: &Value| value.is_array() || value.is_object();
        self.fits = vectors.as_array().and_then(|list| list.first()).is_some_and(is_one);
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        let usage = Usage { input_tokens: self.counted, ..Usage::default() };
        Answered { usage, fits: self.fits, ..Answered::default() }
    }
}
