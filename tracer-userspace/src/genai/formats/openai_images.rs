//! OpenAI images: made, edited and varied.
//! Takes `POST …/images/*` bodies (JSON, or forms read as JSON) and `image_*` events; gives facts and
//! content. Images that come inline are stepped over.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Step, Views, content,
    error::{self, ERROR, ErrorMember},
    openai_usage::Tokens,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Length, Loose, Object, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::GenerateContent,
    flavour: "openai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &RESPONSE_CONTENT },
    event: &RESPONSE,
    streams_values: false,
    read_request,
    answer: |_| Box::new(Images::default()),
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("prompt", Shape::Sign),
    ("n", Shape::Fact),
    ("stream", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[("prompt", Shape::Text)]);

/// Of a body, or of an event's data.
const RESPONSE: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("model", Shape::Fact),
    ("data", Shape::Each(&Shape::Skip)),
    ("usage", Shape::Fact),
    ("error", ERROR),
]);

const RESPONSE_CONTENT: Shape =
    Shape::Object(&[("data", Shape::Ends(&Shape::Object(&[("url", Shape::Text)])))]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    prompt: Text<'a>,
    #[serde(borrow)]
    n: Loose<'a>,
    #[serde(borrow)]
    stream: Loose<'a>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let mut asked = Asked { fits: facts.prompt.0.is_some(), fault, ..Asked::default() };
    asked.request = Request {
        output_type: Some("image"),
        model: facts.model.into_filled(),
        stream: facts.stream.read() == Some(true),
        choice_count: facts.n.read().filter(|count| *count != 1),
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = content::member(&body, "prompt")
            .map(|prompt| json!([content::message("user", &[content::text(prompt)])]));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    /// xAI's and Together's.
    #[serde(borrow)]
    model: Text<'a>,
    data: Length,
    usage: Object<Tokens>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default)]
struct Images {
    answered: Answered,
    done: bool,
}

impl Images {
    fn take(&mut self, usage: Object<Tokens>, error: ErrorMember<'_>) {
        if let Some(tokens) = usage.0 {
            tokens.add_to(&mut self.answered.usage);
        }
        if self.answered.error.is_none() {
            self.answered.error = error::member(error);
        }
    }
}

impl Answer for Images {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let content = body.content();
        let (facts, fault) = body.facts::<Body<'_>>();
        self.answered.fits = facts.data.0.is_some();
        self.answered.response.model = facts.model.into_filled();
        self.take(facts.usage, facts.error);
        if let Some((body, truncated)) = content {
            let links: Vec<_> = content::elements(&body, "data")
                .filter_map(|image| content::member(image, "url"))
                .map(|url| content::link("image", url))
                .collect();
            self.answered.truncated = truncated;
            self.answered.output_messages = output(&links);
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (facts, _) = data.facts::<Body<'_>>();
        let kind = facts.kind.as_str().unwrap_or_default();
        let step = match kind.rsplit_once('.') {
            Some(("image_generation" | "image_edit", "partial_image")) => Step::Piece,
            Some(("image_generation" | "image_edit", "completed")) => {
                self.done = true;
                Step::Piece
            }
            _ => Step::Aside,
        };
        self.answered.fits |= step == Step::Piece;
        self.take(facts.usage, facts.error);
        step
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        self.answered
    }
}

fn output(links: &[Value]) -> Option<Value> {
    (!links.is_empty()).then(|| json!([content::output("assistant", links, "stop")]))
}
