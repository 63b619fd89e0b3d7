use serde_json::json;

use super::*;
use crate::{
    genai::{OperationName, ProviderError},
    http::Ended,
    trace::{
        sample::{self, TLS},
        semconv::{ContentPlace, Profile},
    },
};

fn told(operation: &Operation, content: ContentPlace, details: bool) -> Vec<Event> {
    let conventions = Conventions { profile: Profile::Latest, content, details };
    events(operation, TLS, conventions)
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.name).collect()
}

fn value(event: &Event, name: &str) -> Option<String> {
    let found = event.attributes.iter().find(|one| one.key.as_str() == name);
    found.map(|one| one.value.as_str().into_owned())
}

const DETAILS_NAME: &str = "gen_ai.client.inference.operation.details";
const EXCEPTION_NAME: &str = "gen_ai.client.operation.exception";

#[test]
fn details_are_told_where_they_are_asked_for() {
    let mut operation = sample::operation();
    operation.content = Some(Content::default());
    for (content, details, expected) in [
        (ContentPlace::Nowhere, false, false),
        (ContentPlace::Spans, false, false),
        (ContentPlace::Events, false, true),
        (ContentPlace::Both, false, true),
        (ContentPlace::Nowhere, true, true),
        (ContentPlace::Spans, true, true),
    ] {
        let found = told(&operation, content, details);
        assert_eq!(names(&found) == [DETAILS_NAME], expected, "{content:?} {details}");
        let has_content = found.iter().any(|event| event.has_content);
        assert_eq!(has_content, content.on_events(), "{content:?} {details}");
    }
}

#[test]
fn details_are_the_spans_of_the_operation_itself() {
    let found = told(&sample::operation(), ContentPlace::Nowhere, true);
    for (name, expected) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o-mini"),
        ("gen_ai.response.id", "chatcmpl-1"),
        ("gen_ai.usage.input_tokens", "1204"),
        ("server.address", "api.openai.com"),
        ("server.port", "443"),
    ] {
        assert_eq!(value(&found[0], name).as_deref(), Some(expected), "{name}");
    }
    for other in ["http.request.method", "url.path", "gen_ai.input.messages"] {
        assert_eq!(value(&found[0], other), None);
    }
    assert_eq!(found[0].kind.severity, Severity::Info);
}

#[test]
fn failure_is_told_as_a_warning() {
    let mut operation = sample::operation();
    operation.error =
        Some(ProviderError { kind: "rate_limit_error".into(), message: Some("slow down".into()) });
    let found = told(&operation, ContentPlace::Nowhere, false);
    assert_eq!(names(&found), [EXCEPTION_NAME]);
    assert_eq!(found[0].kind.severity as i32, 13);
    assert_eq!(value(&found[0], "exception.type").as_deref(), Some("rate_limit_error"));
    assert_eq!(value(&found[0], "exception.message").as_deref(), Some("slow down"));
    operation.error = None;
    operation.end.how = Ended::ClientGone;
    let found = told(&operation, ContentPlace::Nowhere, true);
    assert_eq!(names(&found), [DETAILS_NAME, EXCEPTION_NAME]);
    assert_eq!(value(&found[0], "error.type").as_deref(), Some("cancelled"));
    assert_eq!(value(&found[1], "exception.type").as_deref(), Some("cancelled"));
}

#[test]
fn events_are_of_clients_alone() {
    let mut operation = sample::operation();
    operation.end.how = Ended::ServerReset;
    operation.name = OperationName::Embeddings;
    assert_eq!(names(&told(&operation, ContentPlace::Both, true)), [EXCEPTION_NAME]);
    operation.role = Role::Server;
    assert!(told(&operation, ContentPlace::Both, true).is_empty());
    operation.role = Role::Client;
    operation.mcp = Some(Box::default());
    assert!(told(&operation, ContentPlace::Both, true).is_empty());
}

#[test]
fn content_is_structured() {
    let messages = json!([{"role": "user", "parts": []}]);
    let content = Content { input_messages: Some(messages.clone()), ..Content::default() };
    let all: Vec<_> = structured(&content).collect();
    assert_eq!(all, [("gen_ai.input.messages", &messages)]);
}
