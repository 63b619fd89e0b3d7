//! OpenAI moderations, as Mistral and others speak them too; and classification, which has the same form.
//! Takes `POST …/moderations` and `…/classif*` bodies; gives model and id. What was judged and how is stepped over.

use serde::Deserialize;

use super::{
    Answer, Answered, Asked, Format, Step, Views,
    error::{self, ERROR, ErrorMember},
    openai_usage::Tokens,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Length, Object, Sent, Text},
    },
    operation::{OperationName, Request, Response},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::Moderation,
    flavour: "openai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &Shape::Skip },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESPONSE,
    streams_values: false,
    read_request,
    answer: |_| Box::new(Moderation::default()),
};

/// Mistral's, vLLM's, Cohere's and Jina's.
pub(in crate::genai) static CLASSIFY: Format =
    Format { operation: OperationName::Classification, ..FORMAT };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("input", Shape::Sign),
    ("inputs", Shape::Sign),
    ("messages", Shape::Sign),
]);

const RESPONSE: Shape = Shape::Object(&[
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("results", Shape::Each(&Shape::Skip)),
    ("classifications", Shape::Each(&Shape::Skip)),
    ("data", Shape::Each(&Shape::Skip)),
    ("usage", Shape::Fact),
    ("error", ERROR),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    input: Sent,
    inputs: Sent,
    messages: Sent,
}

fn read_request(body: &mut Document) -> Asked {
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    Asked {
        // OpenAI's and Cohere's have a model of their own accord.
        fits: [facts.input, facts.inputs, facts.messages].iter().any(|it| it.0),
        fault,
        request: Request { model: facts.model.into_filled(), ..Request::default() },
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
    results: Length,
    classifications: Length,
    data: Length,
    usage: Object<Tokens>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default)]
struct Moderation {
    answered: Answered,
}

impl Answer for Moderation {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<ResponseFacts<'_>>();
        let lists = [facts.results, facts.classifications, facts.data];
        let named = facts.model.0.is_some() || facts.id.0.is_some() || facts.usage.0.is_some();
        self.answered.fits = named && lists.iter().any(|list| list.0.is_some());
        self.answered.response = Response {
            id: facts.id.into_filled(),
            model: facts.model.into_filled(),
            ..Response::default()
        };
        if let Some(tokens) = facts.usage.0 {
            tokens.add_to(&mut self.answered.usage);
        }
        self.answered.error = error::member(facts.error);
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        self.answered
    }
}
