//! OpenAI's Realtime API: answers asked for over a WebSocket, in sound or in text.
//! Takes `response.create` messages; the events of the answers are read by `openai_responses`.
//! Who speaks may be answered without being asked for it: then nothing is known of a request.

use serde::Deserialize;
use serde_json::Value;

use super::{Asked, Format, Views, openai_responses};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Integer, Length, Number, Object, Strings, Text},
    },
    operation::Request,
    socket::{Dialect, Subject},
};

pub(in crate::genai) const DIALECT: Dialect = Dialect { format: &FORMAT, message_id, subject };

static FORMAT: Format = Format {
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    event: &openai_responses::EVENT,
    read_request,
    ..openai_responses::FORMAT
};

const REQUEST: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("event_id", Shape::Fact),
    (
        "response",
        Shape::Object(&[
            ("modalities", Shape::Fact),
            ("output_modalities", Shape::Fact),
            ("temperature", Shape::Fact),
            ("max_output_tokens", Shape::Fact),
            ("max_response_output_tokens", Shape::Fact),
            ("tools", Shape::Each(&Shape::Skip)),
        ]),
    ),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[(
    "response",
    Shape::Object(&[
        ("instructions", Shape::Text),
        ("input", Shape::Ends(&Shape::Text)),
        ("tools", Shape::Ends(&openai_responses::TOOL)),
    ]),
)]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    response: Object<Wanted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    modalities: Strings,
    output_modalities: Strings,
    temperature: Number,
    max_output_tokens: Integer,
    max_response_output_tokens: Integer,
    tools: Length,
}

fn read_request(message: &mut Document) -> Asked {
    let content = message.content();
    let (facts, fault) = message.facts::<Message<'_>>();
    let fits = facts.kind.as_str() == Some("response.create");
    let wanted = facts.response.0.unwrap_or_default();
    let mut modalities = wanted.modalities.0.iter().chain(&wanted.output_modalities.0);
    let mut asked = Asked { fits, fault, ..Asked::default() };
    asked.request = Request {
        output_type: modalities.any(|modality| modality == "audio").then_some("speech"),
        max_tokens: wanted.max_output_tokens.0.or(wanted.max_response_output_tokens.0),
        temperature: wanted.temperature.0,
        tools: wanted.tools.0,
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        let response = body.get("response").unwrap_or(&Value::Null);
        openai_responses::written(&mut asked, response, truncated);
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ids<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    event_id: Text<'a>,
    #[serde(borrow)]
    response_id: Text<'a>,
    #[serde(borrow)]
    response: Object<Named<'a>>,
    #[serde(borrow)]
    session: Object<Session<'a>>,
    #[serde(borrow)]
    error: Object<Failed<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Session<'a> {
    #[serde(borrow)]
    model: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failed<'a> {
    #[serde(borrow)]
    event_id: Text<'a>,
}

fn message_id(message: &mut Document) -> Option<String> {
    message.facts::<Ids<'_>>().0.event_id.into_filled()
}

fn subject(message: &mut Document) -> Subject {
    let (ids, _) = message.facts::<Ids<'_>>();
    let kind = ids.kind.as_str().unwrap_or_default();
    if kind == "error" {
        return Subject::Failure(ids.error.0.and_then(|error| error.event_id.into_filled()));
    }
    if kind.starts_with("session.") {
        let model = ids.session.0.and_then(|session| session.model.into_filled());
        return model.map_or(Subject::Other, |model| Subject::Session { model });
    }
    let named = ids.response.0.and_then(|response| response.id.into_filled());
    match (kind, named.or_else(|| ids.response_id.into_filled())) {
        ("response.created", Some(id)) => Subject::Beginning(Some(id)),
        (kind, Some(id)) if kind.starts_with("response.") => Subject::Answer(Some(id)),
        _ => Subject::Other,
    }
}
