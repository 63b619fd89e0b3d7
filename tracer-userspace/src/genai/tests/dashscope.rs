//! DashScope's own API.

use super::*;

const HOST: &str = "dashscope-intl.aliyuncs.com";
const GENERATION: &str = "/api/v1/services/aigc/text-generation/generation";

fn asked(parameters: &Value) -> Value {
    json!({"model": "qwen-plus", "input": {"messages": [{"role": "user", "content": "Hi"}]},
        "parameters": parameters})
}

fn events(bodies: &[Value]) -> String {
    let event = |(id, body): (usize, &Value)| {
        format!("id:{id}\nevent:result\n:HTTP_STATUS/200\ndata:{body}\n\n")
    };
    bodies.iter().enumerate().map(event).collect()
}

fn text(call: &Operation) -> String {
    let messages = call.content.as_ref().unwrap().output_messages.as_ref().unwrap();
    let parts = messages[0]["parts"].as_array().unwrap().iter();
    parts
        .filter(|part| part["type"] == "text")
        .filter_map(|part| part["content"].as_str())
        .collect()
}

fn with_content(mut exchange: Exchange<'_>) -> Operation {
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    call
}

#[test]
pub(super) fn dashscope_answer_is_read() {
    let request = asked(&json!({"result_format": "message", "max_tokens": 50, "temperature": 0.7,
        "top_k": 20, "seed": 4, "tools": [{"type": "function", "function": {"name": "look"}}]}));
    let response = json!({"output": {"choices": [{"finish_reason": "tool_calls", "message":
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [
            {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]}}]},
        "usage": {"input_tokens": 22, "output_tokens": 17, "total_tokens": 39,
            "prompt_tokens_details": {"cached_tokens": 8},
            "output_tokens_details": {"reasoning_tokens": 5}},
        "request_id": "902fee3b"});
    let call = with_content(Exchange::json(GENERATION, HOST, &request, &response));
    assert_eq!((&*call.provider, call.name), ("dashscope", OperationName::Chat));
    assert_eq!(call.request.model.as_deref(), Some("qwen-plus"));
    assert_eq!((call.request.max_tokens, call.request.seed), (Some(50), Some(4)));
    assert_eq!((call.request.tools, call.request.stream), (Some(1), false));
    assert_eq!(call.response.id.as_deref(), Some("902fee3b"));
    assert_eq!(
        (reasons(&call), &*call.response.tool_calls),
        (vec!["tool_calls"], &["look".to_owned()][..])
    );
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(22), Some(17)));
    assert_eq!(call.usage.cache_read_input_tokens, Some(8));
    assert_eq!(call.usage.reasoning_output_tokens, Some(5));
}

/// What streams of both kinds are folded to.
fn check_stream(request: &Value, bodies: &[Value]) {
    let mut exchange = Exchange::sse(GENERATION, HOST, request, &events(bodies));
    exchange.headers = vec![("x-dashscope-sse", "enable")];
    let call = with_content(exchange);
    assert!(call.request.stream);
    assert_eq!((&*text(&call), reasons(&call)), ("Hello", vec!["stop"]));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(9), Some(3)));
    // Cut before the last event.
    let mut exchange = Exchange::sse(GENERATION, HOST, request, &events(&bodies[..2]));
    exchange.how = Ended::ServerReset;
    let call = with_content(exchange);
    assert_eq!((&*text(&call), reasons(&call)), ("Hello", vec!["error"]));
}

fn event(content: &str, reason: &str, output: u64) -> Value {
    json!({"output": {"choices": [{"message": {"role": "assistant", "content": content},
        "finish_reason": reason}]}, "request_id": "r1",
        "usage": {"input_tokens": 9, "output_tokens": output}})
}

#[test]
pub(super) fn dashscope_streams_repeat_the_text_or_not_as_asked() {
    let whole = [event("Hel", "null", 1), event("Hello", "null", 2), event("Hello", "stop", 3)];
    check_stream(&asked(&json!({"result_format": "message"})), &whole);
    let pieces = [event("Hel", "null", 1), event("lo", "null", 2), event("", "stop", 3)];
    check_stream(&asked(&json!({"incremental_output": true})), &pieces);
    // The older form: one text and no choices.
    let older = |text: &str, reason: &str, output: u64| {
        json!({"output": {"text": text, "finish_reason": reason},
            "usage": {"input_tokens": 9, "output_tokens": output}})
    };
    let request = json!({"model": "qwen", "input": {"prompt": "Hi"}});
    let whole = [older("Hel", "null", 1), older("Hello", "null", 2), older("Hello", "stop", 3)];
    check_stream(&request, &whole);
}

#[test]
pub(super) fn dashscope_errors_are_told() {
    let body = "id:1\nevent:error\n:HTTP_STATUS/400\ndata:{\"code\":\"DataInspectionFailed\",\
        \"message\":\"bad\",\"request_id\":\"r2\"}\n\n";
    let call = Exchange::sse(GENERATION, HOST, &asked(&json!({})), body).run();
    let told = call.error.unwrap();
    assert_eq!((&*told.kind, told.message.as_deref()), ("DataInspectionFailed", Some("bad")));
    let response = json!({"code": "InvalidApiKey", "message": "no", "request_id": "r3"});
    let mut exchange = Exchange::json(GENERATION, HOST, &asked(&json!({})), &response);
    exchange.status = 401;
    assert_eq!(exchange.run().error.unwrap().kind, "InvalidApiKey");
}

#[test]
pub(super) fn dashscope_application_is_an_agent() {
    let request = json!({"input": {"prompt": "Hi", "session_id": "s0"}, "parameters": {}});
    let response = json!({"output": {"finish_reason": "stop", "session_id": "s1", "text": "Hey"},
        "usage": {"models": [{"model_id": "a", "input_tokens": 5, "output_tokens": 1},
            {"model_id": "b", "input_tokens": 7, "output_tokens": 2}]}, "request_id": "r4"});
    let call =
        with_content(Exchange::json("/api/v1/apps/app1/completion", HOST, &request, &response));
    assert_eq!(
        (call.name, call.request.agent.id.as_deref()),
        (OperationName::InvokeAgent, Some("app1"))
    );
    assert_eq!(call.response.conversation_id.as_deref(), Some("s1"));
    assert_eq!((&*text(&call), reasons(&call)), ("Hey", vec!["stop"]));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(12), Some(3)));
}

#[test]
pub(super) fn dashscope_embeddings_and_rankings_are_read() {
    let path = "/api/v1/services/embeddings/text-embedding/text-embedding";
    let request = json!({"model": "text-embedding-v4", "input": {"texts": ["a"]},
        "parameters": {"dimension": 64}});
    let response = json!({"output": {"embeddings": [{"text_index": 0, "embedding": [0.1]}]},
        "usage": {"total_tokens": 3}, "request_id": "r5"});
    let call = Exchange::json(path, HOST, &request, &response).run();
    assert_eq!(
        (call.name, call.request.embedding_dimensions),
        (OperationName::Embeddings, Some(64))
    );
    // A total is no count of the input.
    assert_eq!(call.usage, Usage::default());
    let path = "/api/v1/services/rerank/text-rerank/text-rerank";
    let request = json!({"model": "gte-rerank-v2", "input": {"query": "q", "documents": ["a"]},
        "parameters": {"top_n": 1}});
    let response = json!({"output": {"results": [{"index": 0, "relevance_score": 0.9}]},
        "usage": {"total_tokens": 8}, "request_id": "r6"});
    let call = Exchange::json(path, "gateway.local", &request, &response).run();
    assert_eq!((call.name, &*call.provider), (OperationName::Rerank, "dashscope"));
    assert_eq!(
        (call.request.model.as_deref(), call.request.top_k),
        (Some("gte-rerank-v2"), Some(1.0))
    );
}
