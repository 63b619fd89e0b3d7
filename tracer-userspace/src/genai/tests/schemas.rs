//! Content is valid by the JSON schemas of the conventions, where those are present.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::Validator;

use super::*;

/// The schema of that name, compiled once.
fn validator(name: &'static str) -> Option<Arc<Validator>> {
    static COMPILED: LazyLock<Mutex<HashMap<&str, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap();
    if let Some(validator) = compiled.get(name) {
        return Some(validator.clone());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/schemas");
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        println!("not run: no schemas beside the repository");
        return None;
    };
    // The one reference to the outside: a JSON schema, which is an object or a boolean.
    let text = text.replace(
        r#""$ref": "http://json-schema.org/draft-07/schema#""#,
        r#""type": ["object", "boolean"]"#,
    );
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = Arc::new(jsonschema::validator_for(&schema).unwrap());
    compiled.insert(name, validator.clone());
    Some(validator)
}

fn check(name: &'static str, value: &Value) {
    let Some(validator) = validator(name) else { return };
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?} in {value:#}");
}

/// Checks what content there is.
pub(in crate::genai) fn check_all(operation: &Operation) {
    let content = operation.content.as_ref().unwrap();
    for (name, value) in [
        ("gen-ai-input-messages.json", &content.input_messages),
        ("gen-ai-output-messages.json", &content.output_messages),
        ("gen-ai-system-instructions.json", &content.system_instructions),
        ("gen-ai-tool-definitions.json", &content.tool_definitions),
    ] {
        if let Some(value) = value {
            check(name, value);
        }
    }
}

#[test]
fn openai_content_follows_the_schemas() {
    let request = json!({"model": "m", "messages": [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "name": "ann", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "new_kind", "x": 1}]},
        {"role": "assistant", "content": null, "refusal": "No", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "not json"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}},
            {"type": "web_search"}],
        "functions": [{"name": "old"}]});
    let response = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message":
        {"role": "assistant", "content": "a", "reasoning_content": "because", "tool_calls": [
            {"id": "c3", "function": {"name": "f", "arguments": "{}"}}]}}]});
    let mut exchange = Exchange::json("/v1/chat/completions", "localhost", &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert!(call.content.as_ref().unwrap().output_messages.is_some());
    check_all(&call);
}

#[test]
fn anthropic_content_follows_the_schemas() {
    let request = json!({"model": "m", "max_tokens": 1, "system": "Be brief", "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "See"},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "document", "source": {"type": "file", "file_id": "f1"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain",
                "data": "plain"}},
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}]}
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "AA=="},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}]}],
        "tools": [{"name": "f", "input_schema": {}},
            {"type": "web_search_20250305", "name": "web_search"}]});
    let response = json!({"type": "message", "role": "assistant", "stop_reason": "pause_turn",
        "content": [{"type": "text", "text": "a", "citations": []}]});
    let mut exchange = Exchange::json("/v1/messages", "localhost", &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert!(call.content.as_ref().unwrap().output_messages.is_some());
    check_all(&call);
}
