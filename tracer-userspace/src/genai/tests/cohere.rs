//! Cohere's own API.

use super::*;

const HOST: &str = "api.cohere.com";

fn asked() -> Value {
    json!({"model": "command", "messages": [{"role": "user", "content": "Hi"}], "p": 0.5, "k": 3,
        "max_tokens": 9, "tools": [{"type": "function", "function": {"name": "look"}}]})
}

#[test]
pub(super) fn whole_chat_is_read() {
    let response = json!({"id": "c1", "finish_reason": "TOOL_CALL", "message": {
        "role": "assistant", "tool_plan": "I will look", "content": [{"type": "text", "text": "Hm"}],
        "tool_calls": [{"id": "t1", "function": {"name": "look", "arguments": "{\"a\":1}"}}]},
        "usage": {"billed_units": {"input_tokens": 7, "output_tokens": 8},
            "tokens": {"input_tokens": 70, "output_tokens": 9}, "cached_tokens": 2}});
    let mut exchange = Exchange::json("/v2/chat", HOST, &asked(), &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((call.provider.as_str(), call.name), ("cohere", OperationName::Chat));
    assert_eq!((call.request.top_p, call.request.top_k), (Some(0.5), Some(3.0)));
    assert_eq!((call.request.max_tokens, call.request.tools), (Some(9), Some(1)));
    assert_eq!(call.response.id.as_deref(), Some("c1"));
    assert_eq!(reasons(&call), ["TOOL_CALL"]);
    assert_eq!(call.response.tool_calls, ["look"]);
    // Billed units, not tokens.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(7), Some(8)));
    assert_eq!(call.usage.cache_read_input_tokens, Some(2));
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([{"type": "reasoning", "content": "I will look"}, {"type": "text", "content": "Hm"},
            {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"a": 1}}])
    );
}

#[test]
pub(super) fn events_are_folded_together() {
    let events = [
        json!({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}),
        json!({"type": "content-start", "index": 0,
            "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        json!({"type": "content-delta", "index": 0,
            "delta": {"message": {"content": {"text": "Hel"}}}}),
        json!({"type": "content-delta", "index": 0,
            "delta": {"message": {"content": {"text": "lo"}}}}),
        json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls":
            {"id": "t1", "function": {"name": "look", "arguments": ""}}}}}),
        json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls":
            {"function": {"arguments": "{\"a\":1}"}}}}}),
        json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE",
            "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}}}),
    ];
    let body: String = events.iter().map(|event| format!("event: e\ndata: {event}\n\n")).collect();
    let mut exchange = Exchange::sse("/v2/chat", HOST, &asked(), &(body + "data: [DONE]\n\n"));
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((reasons(&call), call.response.chunks), (vec!["COMPLETE"], 4));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(4)));
    assert_eq!(
        call.content.as_ref().unwrap().output_messages.as_ref().unwrap()[0]["parts"],
        json!([{"type": "text", "content": "Hello"},
            {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"a": 1}}])
    );
    exchange.response.truncate(300);
    exchange.how = Ended::ClientGone;
    assert_eq!(reasons(&exchange.run()), ["error"]);
}

#[test]
pub(super) fn lines_of_the_first_version_are_folded() {
    let request = json!({"message": "Hi", "stream": true, "preamble": "Be brief",
        "chat_history": [{"role": "CHATBOT", "message": "Hello"}]});
    let lines = [
        json!({"event_type": "stream-start", "generation_id": "g1"}),
        json!({"event_type": "text-generation", "text": "Hel"}),
        json!({"event_type": "text-generation", "text": "lo"}),
        json!({"event_type": "stream-end", "finish_reason": "COMPLETE", "response":
            {"text": "Hello", "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}}}),
    ];
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut exchange = Exchange::json("/v1/chat", HOST, &request, &Value::Null);
    exchange.kind = "application/stream+json";
    exchange.response = body.into_bytes();
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((reasons(&call), call.response.chunks), (vec!["COMPLETE"], 2));
    assert_eq!(call.response.id.as_deref(), Some("g1"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(4)));
    let content = call.content.unwrap();
    assert_eq!(content.output_messages.unwrap()[0]["parts"][0]["content"], "Hello");
    assert_eq!(content.input_messages.unwrap()[0]["role"], "assistant");
    assert!(content.system_instructions.is_some());
}

#[test]
pub(super) fn generations_have_a_reason_each() {
    let request = json!({"prompt": "Hi", "num_generations": 2});
    let response = json!({"id": "g1", "generations": [
        {"text": "a", "finish_reason": "COMPLETE"}, {"text": "b", "finish_reason": "MAX_TOKENS"}],
        "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}});
    let call = Exchange::json("/v1/generate", HOST, &request, &response).run();
    assert_eq!(call.name, OperationName::TextCompletion);
    assert_eq!(reasons(&call), ["COMPLETE", "MAX_TOKENS"]);
    assert_eq!(call.request.choice_count, Some(2));
}

#[test]
pub(super) fn embeddings_are_recognized() {
    let request = json!({"model": "e", "texts": ["a"], "embedding_types": ["float"]});
    let response = json!({"id": "e1", "embeddings": {"float": [[0.1]]},
        "meta": {"billed_units": {"input_tokens": 2}}});
    let call = Exchange::json("/v2/embed", HOST, &request, &response).run();
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::Embeddings, Some(2)));
    assert_eq!(call.request.encoding_formats, ["float"]);
    assert!(reasons(&call).is_empty());
}
