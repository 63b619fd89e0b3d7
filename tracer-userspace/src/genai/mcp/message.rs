//! The members of the protocol's messages that are told, and which methods are its own.
//! Takes a message of JSON-RPC; gives facts and, where asked for, content.

use serde::Deserialize;
use serde_json::Value;

use crate::genai::{
    json::{
        Document, Shape, Shapes,
        lax::{Flag, List, Object, Text},
    },
    jsonrpc,
};

/// Methods that a message is known by. What ends in `/` stands for all below it.
const METHODS: [&str; 13] = [
    "completion/",
    "elicitation/",
    "initialize",
    "logging/",
    "notifications/",
    "ping",
    "prompts/",
    "resources/",
    "roots/",
    "sampling/",
    "server/",
    "tasks/",
    "tools/",
];

pub(super) fn is_known(method: &str) -> bool {
    METHODS.iter().any(|known| match known.strip_suffix('/') {
        Some(_) => method.starts_with(known),
        None => method == *known,
    })
}

const PARAMS: Shape = Shape::Object(&[
    ("name", Shape::Fact),
    ("uri", Shape::Fact),
    ("protocolVersion", Shape::Fact),
    ("_meta", Shape::Object(&[("traceparent", Shape::Fact), ("tracestate", Shape::Fact)])),
]);

/// The text of a tool's error is its result's; the rest of the result is content.
const RESULT: Shape = Shape::Object(&[
    ("isError", Shape::Fact),
    ("protocolVersion", Shape::Fact),
    ("content", Shape::Ends(&Shape::Object(&[("text", Shape::Text)]))),
]);

const FACTS: [(&str, Shape); 5] = jsonrpc::members(PARAMS, RESULT);

const CONTENT: [(&str, Shape); 5] =
    jsonrpc::members(Shape::Object(&[("arguments", Shape::Text)]), Shape::Text);

static FACTS_SHAPE: Shape = Shape::Object(&FACTS);
static CONTENT_SHAPE: Shape = Shape::Object(&CONTENT);

pub(super) fn shapes(capture_content: bool) -> Shapes {
    Shapes { facts: &FACTS_SHAPE, content: capture_content.then_some(&CONTENT_SHAPE) }
}

/// What a request or notification asks for.
#[derive(Debug, Default)]
pub(super) struct Params {
    pub name: Option<String>,
    pub uri: Option<String>,
    pub protocol_version: Option<String>,
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
    pub arguments: Option<Value>,
}

#[derive(Debug, Default)]
pub(super) struct Result {
    pub is_error: bool,
    /// What a tool that failed said first.
    pub error_text: Option<String>,
    pub protocol_version: Option<String>,
    pub content: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Facts<'a> {
    #[serde(borrow)]
    params: Object<ParamsFacts<'a>>,
    #[serde(borrow)]
    result: Object<ResultFacts<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ParamsFacts<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    protocol_version: Text<'a>,
    #[serde(rename = "_meta", borrow)]
    meta: Object<Meta<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    traceparent: Text<'a>,
    #[serde(borrow)]
    tracestate: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResultFacts<'a> {
    is_error: Flag,
    #[serde(borrow)]
    protocol_version: Text<'a>,
    #[serde(borrow)]
    content: List<Said<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

pub(super) fn params(document: &mut Document) -> Params {
    let arguments =
        member(document, "params").and_then(|mut params| take(&mut params, "arguments"));
    let params = document.facts::<Facts<'_>>().0.params.0.unwrap_or_default();
    let meta = params.meta.0.unwrap_or_default();
    Params {
        name: params.name.into_filled(),
        uri: params.uri.into_filled(),
        protocol_version: params.protocol_version.into_filled(),
        traceparent: meta.traceparent.into_filled(),
        tracestate: meta.tracestate.into_filled(),
        arguments,
    }
}

pub(super) fn result(document: &mut Document) -> Result {
    let content = member(document, "result");
    let result = document.facts::<Facts<'_>>().0.result.0.unwrap_or_default();
    let is_error = result.is_error.0 == Some(true);
    let texts = result.content.into_objects();
    Result {
        is_error,
        error_text: is_error
            .then(|| texts.filter_map(|said| said.text.into_filled()).next())
            .flatten(),
        protocol_version: result.protocol_version.into_filled(),
        content,
    }
}

/// A member of the message's content, where content is asked for.
fn member(document: &mut Document, name: &str) -> Option<Value> {
    let (mut message, _) = document.content()?;
    take(&mut message, name)
}

fn take(value: &mut Value, name: &str) -> Option<Value> {
    value.get_mut(name).map(Value::take).filter(|value| !value.is_null())
}
