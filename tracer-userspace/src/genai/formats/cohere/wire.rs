//! Cohere's answers as they are on the wire, the members that are read.
//! Takes a whole answer, a v2 event or a v1 line. Every field is optional and lax.

use serde::Deserialize;
use serde_json::Value;

use crate::genai::json::{
    Shape,
    lax::{Count, Flag, List, Object, Sent, Text},
};

const META: Shape = Shape::Fact;

pub(super) const RESPONSE: Shape = Shape::Object(&[
    ("id", Shape::Fact),
    ("generation_id", Shape::Fact),
    ("finish_reason", Shape::Fact),
    ("message", Shape::Text),
    ("text", Shape::Text),
    ("summary", Shape::Text),
    ("tool_calls", Shape::Text),
    ("generations", Shape::Each(&Shape::Text)),
    ("usage", Shape::Fact),
    ("meta", META),
    ("embeddings", Shape::Sign),
]);

pub(super) const EVENT: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("id", Shape::Fact),
    ("index", Shape::Fact),
    ("delta", Shape::Text),
    // Of v1's lines.
    ("event_type", Shape::Fact),
    ("generation_id", Shape::Fact),
    ("is_finished", Shape::Fact),
    ("text", Shape::Text),
    ("tool_calls", Shape::Text),
    ("finish_reason", Shape::Fact),
    (
        "response",
        Shape::Object(&[("id", Shape::Fact), ("generation_id", Shape::Fact), ("meta", META)]),
    ),
]);

/// A whole answer, or what ends a v1 stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) generation_id: Text<'a>,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
    /// v2's message; elsewhere a text that is none of the answer.
    #[serde(borrow)]
    pub(super) message: Object<Message<'a>>,
    /// v1's text.
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) summary: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: List<Call<'a>>,
    #[serde(borrow)]
    pub(super) generations: List<Generation<'a>>,
    pub(super) usage: Object<Tokens>,
    pub(super) meta: Object<Tokens>,
    pub(super) embeddings: Sent,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) content: List<Part<'a>>,
    #[serde(borrow)]
    pub(super) tool_plan: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: List<Call<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) thinking: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    /// v2's name and arguments.
    #[serde(borrow)]
    pub(super) function: Object<Function<'a>>,
    /// v1's.
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    pub(super) parameters: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) arguments: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Generation<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
}

/// `usage` (v2) or `meta` (v1).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub(super) billed_units: Object<Units>,
    pub(super) tokens: Object<Units>,
    pub(super) cached_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Units {
    pub(super) input_tokens: Count,
    pub(super) output_tokens: Count,
}

/// A v2 event, or a v1 line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) delta: Object<Delta<'a>>,
    #[serde(borrow)]
    pub(super) event_type: Text<'a>,
    /// Lines of the first streams had no type.
    pub(super) is_finished: Flag,
    #[serde(borrow)]
    pub(super) generation_id: Text<'a>,
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: List<Call<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
    #[serde(borrow)]
    pub(super) response: Object<Body<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) message: Object<Piece<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
    pub(super) usage: Object<Tokens>,
    #[serde(borrow)]
    pub(super) error: Text<'a>,
}

/// A piece of a message: single where the whole message has lists.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece<'a> {
    #[serde(borrow)]
    pub(super) content: Object<Part<'a>>,
    #[serde(borrow)]
    pub(super) tool_plan: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: Object<Call<'a>>,
}

impl Body<'_> {
    /// There are embeddings, as a list or by type.
    pub(super) fn embedded(&self) -> bool {
        self.embeddings.0
    }
}
