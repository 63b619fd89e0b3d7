//! Counting the tokens of a request without generating: Anthropic's, OpenAI's, Google's and Bedrock's way.
//! Takes the bodies of a request as it would be sent, and the count that is answered; gives both.
//! The conventions have no name for it yet (semantic-conventions-genai#510); instrumentations use `count_tokens`.

use serde::Deserialize;

use super::{
    Answer, Answered, Asked, Format, Nothing, Step, Views, anthropic,
    error::{self, ERROR, ErrorMember},
    openai_responses,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Length, Object, Text},
    },
    operation::{OperationName, Request, Usage},
};

pub(in crate::genai) static ANTHROPIC: Format = Format {
    operation: OperationName::CountTokens,
    response: RESPONSE,
    event: &Shape::Skip,
    answer: |_| Box::new(Counted::default()),
    ..anthropic::MESSAGES
};

pub(in crate::genai) static OPENAI: Format = Format {
    operation: OperationName::CountTokens,
    response: RESPONSE,
    event: &Shape::Skip,
    answer: |_| Box::new(Counted::default()),
    ..openai_responses::FORMAT
};

pub(in crate::genai) static GEMINI: Format = Format {
    operation: OperationName::CountTokens,
    flavour: "gcp.gen_ai",
    api_type: None,
    request: Views { facts: &WRAPPED, content: &Shape::Skip },
    response: RESPONSE,
    event: &Shape::Skip,
    streams_values: false,
    read_request: read_wrapped,
    answer: |_| Box::new(Counted::default()),
};

pub(in crate::genai) static BEDROCK: Format = Format { flavour: "aws.bedrock", ..GEMINI };

const RESPONSE: Views = Views {
    facts: &Shape::Object(&[
        ("input_tokens", Shape::Fact),
        ("inputTokens", Shape::Fact),
        ("totalTokens", Shape::Fact),
        ("cachedContentTokenCount", Shape::Fact),
        ("error", ERROR),
    ]),
    content: &Shape::Skip,
};

/// Gemini's request stands as it is or under a name, Bedrock's always under one.
const WRAPPED: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("contents", Shape::Sign),
    ("instances", Shape::Sign),
    ("generateContentRequest", Shape::Sign),
    ("input", Shape::Sign),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wrapped<'a> {
    /// Of gRPC.
    #[serde(borrow)]
    model: Text<'a>,
    contents: Length,
    /// Vertex's, for the models before Gemini.
    instances: Length,
    generate_content_request: Object<Nothing>,
    input: Object<Nothing>,
}

fn read_wrapped(body: &mut Document) -> Asked {
    let (facts, fault) = body.facts::<Wrapped<'_>>();
    let listed = facts.contents.0.or(facts.instances.0).is_some();
    Asked {
        fits: listed || facts.generate_content_request.0.or(facts.input.0).is_some(),
        fault,
        request: Request { model: super::gemini::model(&facts.model), ..Request::default() },
        ..Asked::default()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    /// Anthropic's and OpenAI's.
    input_tokens: Count,
    #[serde(rename = "inputTokens")]
    bedrock: Count,
    #[serde(rename = "totalTokens")]
    google: Count,
    #[serde(rename = "cachedContentTokenCount")]
    google_cached: Count,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default)]
struct Counted {
    answered: Answered,
}

impl Answer for Counted {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        let counts = [facts.input_tokens, facts.bedrock, facts.google];
        let input_tokens = counts.iter().find_map(|count| count.0);
        self.answered = Answered {
            fits: input_tokens.is_some(),
            usage: Usage {
                input_tokens,
                cache_read_input_tokens: facts.google_cached.0,
                ..Usage::default()
            },
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
