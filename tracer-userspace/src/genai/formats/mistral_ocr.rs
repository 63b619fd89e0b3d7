//! Mistral's OCR: a document read by a model, page by page.
//! Takes `POST …/ocr` bodies and answers; gives the model, and the pages' text as content.
//! Pages are counted and no tokens, so there is no usage.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Answered, Asked, Format, Nothing, Step, Typed, Views, content, openai_chat};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Length, Object, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::GenerateContent,
    flavour: "mistral_ai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &RESPONSE_CONTENT },
    event: &Shape::Skip,
    streams_values: false,
    read_request,
    answer: |_| Box::new(Pages::default()),
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("document", Shape::Sign),
    ("document_annotation_format", Shape::Object(&[("type", Shape::Fact)])),
]);

const REQUEST_CONTENT: Shape =
    Shape::Object(&[("document", Shape::Text), ("document_annotation_prompt", Shape::Text)]);

const RESPONSE: Shape =
    Shape::Object(&[("model", Shape::Fact), ("pages", Shape::Each(&Shape::Skip))]);

const RESPONSE_CONTENT: Shape = Shape::Object(&[
    ("pages", Shape::Ends(&Shape::Object(&[("markdown", Shape::Text)]))),
    ("document_annotation", Shape::Text),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    document: Object<Nothing>,
    #[serde(borrow)]
    document_annotation_format: Object<Typed<'a>>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let format = facts.document_annotation_format.0.unwrap_or_default();
    let mut asked = Asked {
        fits: facts.document.0.is_some(),
        fault,
        request: Request {
            model: facts.model.into_filled(),
            output_type: openai_chat::output_format(&format),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let mut parts: Vec<_> = body.get("document").map(document).into_iter().collect();
        parts.extend(content::member(&body, "document_annotation_prompt").map(content::text));
        asked.input_messages =
            (!parts.is_empty()).then(|| json!([content::message("user", &parts)]));
        asked.truncated = truncated;
    }
    asked
}

fn document(document: &Value) -> Value {
    let image = document.get("image_url");
    let image = image.and_then(|it| it.as_str().or_else(|| content::member(it, "url")));
    let url = content::member(document, "document_url");
    match (url, image, content::member(document, "file_id")) {
        (Some(url), ..) => content::link("document", url),
        (_, Some(url), _) => content::link("image", url),
        (.., Some(id)) => content::file("document", id),
        _ => content::generic(document),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    pages: Length,
}

#[derive(Debug, Default)]
struct Pages {
    answered: Answered,
}

impl Answer for Pages {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let content = body.content();
        let (facts, fault) = body.facts::<Body<'_>>();
        self.answered.fits = facts.pages.0.is_some();
        self.answered.response.model = facts.model.into_filled();
        if let Some((body, truncated)) = content {
            let parts: Vec<_> = content::elements(&body, "pages")
                .filter_map(|page| content::member(page, "markdown"))
                .chain(content::member(&body, "document_annotation"))
                .filter(|text| !text.is_empty())
                .map(content::text)
                .collect();
            self.answered.truncated = truncated;
            self.answered.output_messages =
                Some(json!([content::output("assistant", &parts, "stop")]));
        }
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        self.answered
    }
}
