//! Gemini as Google's code assistants ask for it: the same messages, each inside an envelope.
//! Takes `POST /v1internal:{generateContent,streamGenerateContent}` bodies and events; gives facts and content.
//! The model is named in the envelope and not in the path.

use serde::Deserialize;
use serde_json::Value;

use super::{
    REQUEST, REQUEST_CONTENT, RESPONSE, RequestFacts,
    answer::{Body, Gemini},
};
use crate::genai::{
    formats::{
        Answer, Answered, Asked, Format, Step, Views,
        error::{self, ERROR, ErrorMember},
    },
    json::{
        Document, Fault, Shape,
        lax::{Object, Text},
    },
    operation::ProviderError,
};

pub(in crate::genai) static GENERATE: Format = Format {
    request: Views { facts: &ENVELOPE, content: &CONTENT },
    response: Views { facts: &ANSWER, content: &Shape::Skip },
    event: &ANSWER,
    read_request,
    answer: |capture_content| {
        Box::new(Wrapped { inner: Box::new(Gemini::new(capture_content)), error: None })
    },
    ..super::GENERATE
};

const ENVELOPE: Shape = Shape::Object(&[("model", Shape::Fact), ("request", REQUEST)]);

const CONTENT: Shape = Shape::Object(&[("request", REQUEST_CONTENT)]);

const ANSWER: Shape = Shape::Object(&[("response", RESPONSE), ("error", ERROR)]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    request: Object<RequestFacts<'a>>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<Envelope<'_>>();
    let mut asked = super::asked(facts.request.0.unwrap_or_default());
    asked.fault = fault;
    asked.request.model = super::model(&facts.model);
    if let Some((body, truncated)) = content {
        super::read_content(body.get("request").unwrap_or(&Value::Null), &mut asked);
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow)]
    response: Object<Body<'a>>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug)]
struct Wrapped {
    inner: Box<Gemini>,
    error: Option<ProviderError>,
}

impl Wrapped {
    fn take(&mut self, facts: Response<'_>) -> Step {
        if self.error.is_none() {
            self.error = error::member(facts.error);
        }
        facts.response.0.map_or(Step::Aside, |body| self.inner.take(body))
    }
}

impl Answer for Wrapped {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Response<'_>>();
        self.take(facts);
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (facts, _) = data.facts::<Response<'_>>();
        self.take(facts)
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.inner.finish();
        Answered { error: self.error.or(answered.error), ..answered }
    }
}
