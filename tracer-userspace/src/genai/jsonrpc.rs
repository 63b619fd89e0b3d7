//! JSON-RPC 2.0 messages in HTTP bodies: one object, a batch, a run of them, or server-sent events.
//! Takes a body in pieces with their times; gives each message's envelope, and the message to read on.
//! Bounded as [`Document`] is, by the caller's shapes for `params` and `result`; knows no method.

use std::fmt;

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;

use super::{
    json::{
        Document, Fault, Shape, Shapes,
        lax::{Integer, Object, Text},
    },
    sse::{self, Sse},
    values::{self, Values},
};
use crate::capture::Timestamp;

/// Longest id, and longest method, that is told; the specification bounds neither.
const MAX_NAME: usize = 256;

/// Members of a message's shape, for the facts and again for the content. `params` and `result`
/// must not be [`Shape::Skip`]: that one is there says what the message is.
pub(super) const fn members(params: Shape, result: Shape) -> [(&'static str, Shape); 5] {
    const ERROR: Shape = Shape::Object(&[("code", Shape::Fact), ("message", Shape::Text)]);
    [
        ("id", Shape::Fact),
        ("method", Shape::Fact),
        ("error", ERROR),
        ("params", params),
        ("result", result),
    ]
}

/// Tells a response's request among those of its sender (§4): 1 and "1" differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Id {
    /// Of a request that could not be read, in the error that answers it (§5).
    Null,
    Number(String),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => text.write_str("null"),
            Self::Number(id) | Self::Text(id) => text.write_str(id),
        }
    }
}

/// What a message is, by the members it has (§4, §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request {
        id: Id,
        method: String,
    },
    Notification {
        method: String,
    },
    Result {
        id: Id,
    },
    Error {
        id: Id,
        code: Option<i64>,
        message: Option<String>,
    },
    /// None of them, or with an id or a method that is none.
    Invalid,
}

#[derive(Debug)]
pub(super) struct Message<'a> {
    pub kind: Kind,
    /// When its last byte passed; of an event, the byte that ended the event.
    pub time: Timestamp,
    /// Why the message was not read to its end. What was read before stands.
    pub fault: Option<Fault>,
    /// The whole message, for more facts and the content.
    pub document: &'a mut Document,
}

/// The messages of one body.
#[derive(Debug)]
pub(super) struct Messages {
    framing: Framing,
    run: Run,
}

#[derive(Debug)]
enum Framing {
    /// Nothing but white space so far.
    Unknown,
    /// One object, a batch, or one object a line.
    Values,
    /// Messages are the events named `message`, or not at all, as in MCP; others may hold anything.
    Sse(Sse),
}

/// The values of a body or of one event, a document at a time.
#[derive(Debug)]
struct Run {
    values: Values,
    document: Document,
    /// When the value ended that the document holds whole.
    held: Option<Timestamp>,
    /// When the last bytes passed.
    time: Timestamp,
}

impl Messages {
    /// The shapes are of whole messages, with [`members`] in them.
    pub(super) fn new(shapes: Shapes) -> Self {
        let run = Run {
            values: Values::default(),
            document: Document::new(shapes),
            held: None,
            time: Timestamp::default(),
        };
        Self { framing: Framing::Unknown, run }
    }

    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        time: Timestamp,
        mut sink: impl FnMut(Message<'_>),
    ) {
        if matches!(self.framing, Framing::Unknown) {
            bytes = bytes.trim_ascii_start();
            self.framing = match bytes.first() {
                None => return,
                Some(b'{' | b'[') => Framing::Values,
                Some(_) => Framing::Sse(Sse::default()),
            };
        }
        let run = &mut self.run;
        run.time = time;
        match &mut self.framing {
            Framing::Unknown => {}
            Framing::Values => {
                run.push(bytes, &mut sink);
                run.tell_held(&mut sink);
            }
            Framing::Sse(sse) => sse.push(bytes, |item| run.event(item, &mut sink)),
        }
    }

    /// Bytes are missing here: the message under way is cut. Later ones are found in events alone.
    pub(super) fn gap(&mut self) {
        match &mut self.framing {
            Framing::Values => {
                self.run.values.gap();
                if !self.run.document.is_empty() {
                    self.run.document.gap();
                }
            }
            Framing::Sse(sse) => {
                sse.gap();
                self.run.clear();
            }
            Framing::Unknown => {
                let mut sse = Sse::default();
                sse.gap();
                self.framing = Framing::Sse(sse);
            }
        }
    }

    /// The body is over: a message that was cut is told as far as it came.
    pub(super) fn end(&mut self, mut sink: impl FnMut(Message<'_>)) {
        let run = &mut self.run;
        if let Framing::Sse(sse) = &mut self.framing {
            sse.finish(|item| run.event(item, &mut sink));
        } else if !run.document.is_empty() {
            run.tell(run.time, &mut sink);
        }
    }
}

impl Run {
    fn event(&mut self, item: sse::Item<'_>, sink: &mut impl FnMut(Message<'_>)) {
        match item {
            sse::Item::Data(piece) => self.push(piece, sink),
            sse::Item::Event(name) => {
                if matches!(name, b"" | b"message") && !self.document.is_empty() {
                    self.tell(self.time, sink);
                }
                self.clear();
            }
        }
    }

    /// Holds the last value that ended, and tells those before it.
    fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(Message<'_>)) {
        let mut values = std::mem::take(&mut self.values);
        values.push(bytes, |item| match item {
            values::Item::Data(piece) => {
                self.tell_held(sink);
                self.document.push(piece);
            }
            values::Item::End => self.held = Some(self.time),
        });
        self.values = values;
    }

    fn tell_held(&mut self, sink: &mut impl FnMut(Message<'_>)) {
        if let Some(time) = self.held {
            self.tell(time, sink);
        }
    }

    fn tell(&mut self, time: Timestamp, sink: &mut impl FnMut(Message<'_>)) {
        let (envelope, fault) = self.document.facts::<Envelope<'_>>();
        let kind = envelope.kind();
        sink(Message { kind, time, fault, document: &mut self.document });
        self.document.clear();
        self.held = None;
    }

    fn clear(&mut self) {
        self.values = Values::default();
        self.document.clear();
        self.held = None;
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    /// `Some(None)` where it is no id.
    #[serde(deserialize_with = "id")]
    id: Option<Option<Id>>,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    error: Object<ErrorObject<'a>>,
    #[serde(deserialize_with = "is_there")]
    result: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorObject<'a> {
    code: Integer,
    #[serde(borrow)]
    message: Text<'a>,
}

impl Envelope<'_> {
    fn kind(self) -> Kind {
        let method = self.method.into_filled();
        match (method, self.id, self.error.0) {
            (Some(method), _, _) if method.len() > MAX_NAME => Kind::Invalid,
            (Some(method), None, _) => Kind::Notification { method },
            (Some(method), Some(Some(id)), _) => Kind::Request { id, method },
            (None, Some(Some(id)), Some(error)) => {
                Kind::Error { id, code: error.code.0, message: error.message.into_filled() }
            }
            (None, Some(Some(id)), None) if self.result => Kind::Result { id },
            _ => Kind::Invalid,
        }
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Id>>, D::Error> {
    Ok(Some(match Value::deserialize(deserializer)? {
        Value::Null => Some(Id::Null),
        Value::Number(number) => Some(Id::Number(number.to_string())),
        Value::String(text) if text.len() <= MAX_NAME => Some(Id::Text(text)),
        _ => None,
    }))
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests;
