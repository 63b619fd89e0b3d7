//! The events of an operation, by the conventions: its details, and its failure.
//! Takes an operation and what carried it; gives events, that stand beside its span.
//! Of message content it gives the names; the values are structured, and the operation's own.

use opentelemetry::KeyValue;
use serde_json::Value;

use super::{failure::failure, list::Attributes, measure::is_inference, profile::Conventions};
use crate::{
    genai::{Content, Operation},
    http::Role,
    trace::Transport,
};

/// An event's kind, as it is declared for the reference.
#[derive(Debug)]
pub struct EventKind {
    pub name: &'static str,
    pub severity: Severity,
    /// When it is told.
    pub when: &'static str,
    /// What it says.
    pub attributes: &'static str,
}

/// Severity numbers of the log data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Info = 9,
    Warn = 13,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
        }
    }
}

static DETAILS: EventKind = EventKind {
    name: "gen_ai.client.inference.operation.details",
    severity: Severity::Info,
    when: "inference by a client (`chat`, `generate_content`, `text_completion`), where it is asked for (`events`, `OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT`) or content goes on events",
    attributes: "of the span's those of the operation itself: `gen_ai.*`, `openai.*`, `error.type`, `server.*`, `llmtap.request.*`, `llmtap.response.*`, `llmtap.usage.*`; message content, structured, and `llmtap.content.*`, where it goes on events",
};
static EXCEPTION: EventKind = EventKind {
    name: "gen_ai.client.operation.exception",
    severity: Severity::Warn,
    when: "a client's call failed (its span has an error status)",
    attributes: "`exception.type` (the span's `error.type`), `exception.message` (the reason in words, where there are any)",
};

pub static EVENTS: [&EventKind; 2] = [&DETAILS, &EXCEPTION];

/// Something to be told apart from the span, at the moment that the operation ended.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static EventKind,
    pub attributes: Vec<KeyValue>,
    /// With the operation's message content.
    pub has_content: bool,
}

/// The events of an operation; none of MCP calls, which the conventions have none for.
pub fn events(operation: &Operation, transport: Transport, conventions: Conventions) -> Vec<Event> {
    let mut events = Vec::new();
    if operation.role != Role::Client || operation.mcp.is_some() {
        return events;
    }
    let on_events = conventions.content.on_events();
    if (conventions.details || on_events) && is_inference(operation) {
        let mut list = Attributes::new(conventions.profile);
        list.operation(operation);
        list.server(operation, transport.security);
        let content = operation.content.as_ref().filter(|_| on_events);
        if let Some(content) = content {
            list.content_marks(content);
        }
        let has_content = content.is_some();
        events.push(Event { kind: &DETAILS, attributes: list.all, has_content });
    }
    if let Some((kind, words)) = failure(operation) {
        let mut attributes = vec![KeyValue::new("exception.type", kind)];
        attributes.extend(words.map(|words| KeyValue::new("exception.message", words)));
        events.push(Event { kind: &EXCEPTION, attributes, has_content: false });
    }
    events
}

/// Message content by the attributes' names.
pub(crate) fn structured(content: &Content) -> impl Iterator<Item = (&'static str, &Value)> {
    [
        ("gen_ai.system_instructions", &content.system_instructions),
        ("gen_ai.input.messages", &content.input_messages),
        ("gen_ai.output.messages", &content.output_messages),
        ("gen_ai.tool.definitions", &content.tool_definitions),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_ref()?)))
}

#[cfg(test)]
mod tests;
