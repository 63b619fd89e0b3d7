//! Messages, parts and tools in the conventions' JSON forms (`gen_ai.*.messages`, JSON schemas).
//! Takes what the formats read; gives JSON values, texts bounded head and tail.
//! Used only where the user asked for content.

use serde_json::{Map, Value, json};

use crate::genai::clip::Clip;

/// Texts of one streamed answer that are kept; what more there are is left out and marked.
const MAX_PARTS: usize = 128;

pub(super) fn text(content: &str) -> Value {
    json!({"type": "text", "content": content})
}

pub(super) fn reasoning(content: &str) -> Value {
    json!({"type": "reasoning", "content": content})
}

/// A call of a tool; `arguments` given as JSON in a string becomes JSON if it is any.
pub(super) fn tool_call(id: Option<&str>, name: &str, arguments: Option<&Value>) -> Value {
    let mut part = object(json!({"type": "tool_call", "name": name}));
    if let Some(id) = id {
        part.insert("id".to_owned(), id.into());
    }
    if let Some(arguments) = arguments {
        let parsed = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
        part.insert("arguments".to_owned(), parsed.unwrap_or_else(|| arguments.clone()));
    }
    Value::Object(part)
}

pub(super) fn tool_response(id: Option<&str>, response: &Value) -> Value {
    let mut part = object(json!({"type": "tool_call_response", "response": response}));
    if let Some(id) = id {
        part.insert("id".to_owned(), id.into());
    }
    Value::Object(part)
}

/// Something at an address; a `data:` URL (RFC 2397) in base64 is the thing itself.
pub(super) fn link(modality: &str, url: &str) -> Value {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((kind, content)) => blob(modality, Some(kind), content),
        None => json!({"type": "uri", "modality": modality, "uri": url}),
    }
}

pub(super) fn blob(modality: &str, mime_type: Option<&str>, content: &str) -> Value {
    json!({"type": "blob", "modality": modality, "mime_type": mime_type, "content": content})
}

pub(super) fn file(modality: &str, id: &str) -> Value {
    json!({"type": "file", "modality": modality, "file_id": id})
}

/// A part of a kind that the conventions have no form for: its own members under its own type.
pub(super) fn generic(part: &Value) -> Value {
    let mut members = part.as_object().cloned().unwrap_or_default();
    if !members.get("type").is_some_and(Value::is_string) {
        members.insert("type".to_owned(), "unknown".into());
    }
    Value::Object(members)
}

pub(super) fn message(role: &str, parts: &[Value]) -> Value {
    json!({"role": role, "parts": parts})
}

pub(super) fn output(role: &str, parts: &[Value], finish_reason: &str) -> Value {
    json!({"role": role, "parts": parts, "finish_reason": finish_reason})
}

/// A tool's type and name; its description and parameters are not recommended by default.
/// A provider's own tool has no name beside its type.
pub(super) fn tool(kind: &str, name: Option<&str>) -> Value {
    json!({"type": kind, "name": name.unwrap_or(kind)})
}

/// String member of an object.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// Elements of a list member, or none.
pub(super) fn elements<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// What a piece of a streamed answer belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Reasoning,
    Refusal,
    /// A tool call by its place among the calls.
    Call {
        place: u64,
        id: Option<String>,
        name: String,
    },
}

/// The parts of one streamed message, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<(Kind, Clip)>,
    truncated: bool,
}

impl Parts {
    /// Adds to the last part of this kind that has no other kind of text behind it.
    pub(super) fn push(&mut self, kind: Kind, piece: &str) {
        let found = match &kind {
            Kind::Call { place, .. } => self.parts.iter().rposition(
                |(known, _)| matches!(known, Kind::Call { place: other, .. } if other == place),
            ),
            kind => self.parts.iter().rposition(|(known, _)| known == kind),
        };
        // Interleaved text and reasoning keep their order: only the last of them may grow.
        let grows =
            found.filter(|at| matches!(kind, Kind::Call { .. }) || *at + 1 == self.parts.len());
        match grows {
            Some(at) => self.parts[at].1.push(piece.as_bytes()),
            None if self.parts.len() < MAX_PARTS => {
                let mut clip = Clip::default();
                clip.push(piece.as_bytes());
                self.parts.push((kind, clip));
            }
            None => self.truncated = true,
        }
    }

    /// The parts in the conventions' forms, and whether something was left out.
    pub(super) fn take(&mut self) -> (Vec<Value>, bool) {
        let mut truncated = std::mem::take(&mut self.truncated);
        let parts = std::mem::take(&mut self.parts)
            .into_iter()
            .map(|(kind, mut clip)| {
                let empty = clip.is_empty();
                let (content, cut) = clip.take();
                truncated |= cut;
                match kind {
                    Kind::Text => text(&content),
                    Kind::Reasoning => reasoning(&content),
                    Kind::Refusal => refusal(&content),
                    Kind::Call { id, name, .. } => {
                        let arguments = (!empty).then_some(Value::String(content));
                        tool_call(id.as_deref(), &name, arguments.as_ref())
                    }
                }
            })
            .collect();
        (parts, truncated)
    }
}

/// OpenAI's `refusal`, for which the conventions have no form of its own.
pub(super) fn refusal(content: &str) -> Value {
    json!({"type": "refusal", "content": content})
}
