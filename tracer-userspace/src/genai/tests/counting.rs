//! Counts of tokens that are asked for apart from a generation, and what else stands around one.

use super::*;

fn counted(
    target: &'static str,
    host: &'static str,
    request: &Value,
    response: &Value,
) -> Operation {
    let call = Exchange::json(target, host, request, response).run();
    assert_eq!(call.name, OperationName::CountTokens);
    assert_eq!((call.usage.output_tokens, reasons(&call)), (None, Vec::new()));
    call
}

#[test]
pub(super) fn anthropic_counts_are_read() {
    let request = json!({"model": "claude", "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": "look", "input_schema": {}}]});
    let response = json!({"input_tokens": 403});
    for (target, host, provider) in [
        ("/v1/messages/count_tokens?beta=true", "api.anthropic.com", "anthropic"),
        ("/anthropic/v1/messages/count_tokens", "gateway.local", "anthropic"),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
            "us-east5-aiplatform.googleapis.com",
            "gcp.vertex_ai",
        ),
    ] {
        let call = counted(target, host, &request, &response);
        assert_eq!(call.provider, provider);
        assert_eq!((call.request.model.as_deref(), call.request.tools), (Some("claude"), Some(1)));
        assert_eq!(call.usage.input_tokens, Some(403));
    }
}

#[test]
pub(super) fn openai_counts_are_read() {
    let request = json!({"model": "gpt", "input": "Hi"});
    let response = json!({"object": "response.input_tokens", "input_tokens": 11});
    let call = counted("/v1/responses/input_tokens", "api.openai.com", &request, &response);
    assert_eq!((call.request.model.as_deref(), call.usage.input_tokens), (Some("gpt"), Some(11)));
}

#[test]
pub(super) fn google_counts_are_read() {
    let contents = json!([{"parts": [{"text": "Hi"}]}]);
    let wrapped = json!({"generateContentRequest": {"model": "models/g", "contents": contents}});
    let response = json!({"totalTokens": 31, "cachedContentTokenCount": 20,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]});
    for (host, provider) in [
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("gateway.local", "gcp.gen_ai"),
    ] {
        for request in [json!({"contents": contents}), wrapped.clone()] {
            let call = counted("/v1beta/models/g-2:countTokens", host, &request, &response);
            assert_eq!((&*call.provider, call.request.model.as_deref()), (provider, Some("g-2")));
            let usage = (call.usage.input_tokens, call.usage.cache_read_input_tokens);
            assert_eq!(usage, (Some(31), Some(20)));
        }
    }
}

#[test]
pub(super) fn bedrock_counts_are_read() {
    let host = "bedrock-runtime.eu-west-1.amazonaws.com";
    let request = json!({"input": {"converse": {"messages": []}}});
    let response = json!({"inputTokens": 15});
    let call = counted("/model/v.m%3A0/count-tokens", host, &request, &response);
    assert_eq!((call.request.model.as_deref(), call.usage.input_tokens), (Some("v.m:0"), Some(15)));
}

#[test]
pub(super) fn failed_count_is_told() {
    let request = json!({"model": "claude", "messages": []});
    let response = json!({"type": "error", "error": {"type": "not_found_error", "message": "m"}});
    let mut exchange =
        Exchange::json("/v1/messages/count_tokens", "api.anthropic.com", &request, &response);
    exchange.status = 404;
    let call = exchange.run();
    assert_eq!(
        (call.name, call.error.unwrap().kind),
        (OperationName::CountTokens, "not_found_error".to_owned())
    );
}

#[test]
pub(super) fn compaction_has_usage() {
    let request = json!({"model": "gpt", "input": [{"role": "user", "content": "Hi"}]});
    let response = json!({"id": "resp_1", "object": "response.compaction", "output": [
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}],
        "usage": {"input_tokens": 139, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 438, "output_tokens_details": {"reasoning_tokens": 64}}});
    let call = Exchange::json("/v1/responses/compact", "api.openai.com", &request, &response).run();
    assert_eq!((call.name, reasons(&call)), (OperationName::Compaction, Vec::new()));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(139), Some(438)));
    assert_eq!(call.usage.reasoning_output_tokens, Some(64));
}

#[test]
pub(super) fn stored_completion_is_told_again_without_usage() {
    let response = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1}});
    for (target, host) in [
        ("/v1/chat/completions/chatcmpl-1", "api.openai.com"),
        ("/v1/chat/deferred-completion/r1", "api.x.ai"),
    ] {
        let mut exchange = Exchange::json(target, host, &Value::Null, &response);
        (exchange.method, exchange.request) = (Method::GET, Vec::new());
        let call = exchange.run();
        assert_eq!((call.name, call.usage), (OperationName::FetchResponse, Usage::default()));
        assert_eq!(call.response.id.as_deref(), Some("chatcmpl-1"));
        assert_eq!(reasons(&call), ["stop"]);
    }
    // What lists or changes them makes and tells no response.
    for (method, target) in [
        (Method::GET, "/v1/chat/completions"),
        (Method::GET, "/v1/chat/completions/chatcmpl-1/messages"),
        (Method::POST, "/v1/chat/completions/chatcmpl-1"),
        (Method::DELETE, "/v1/chat/completions/chatcmpl-1"),
    ] {
        let mut exchange = Exchange::json(target, "api.openai.com", &json!({}), &response);
        exchange.method = method;
        assert!(exchange.run_in(usize::MAX).is_none(), "{target}");
    }
}
