//! OpenAI's Responses API, text completions and embeddings.

use super::*;

const HOST: &str = "api.openai.com";

fn streamed(events: &[Value]) -> String {
    let event = |event: &Value| format!("event: x\ndata: {event}\n\n");
    events.iter().map(event).collect()
}

#[test]
pub(super) fn whole_response_is_read() {
    let request = json!({"model": "gpt-x", "input": "Hi", "instructions": "Be brief",
        "max_output_tokens": 7, "reasoning": {"effort": "high"}, "conversation": {"id": "conv_1"},
        "previous_response_id": "resp_0", "text": {"format": {"type": "json_schema"}},
        "tools": [{"type": "function", "name": "look"}, {"type": "web_search"}]});
    let response = json!({"object": "response", "id": "resp_1", "model": "gpt-x-1",
        "status": "completed", "error": null, "incomplete_details": null, "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "web_search_call", "id": "ws_1", "name": "ignored"},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{\"a\":1}"},
            {"type": "message", "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello"}]}],
        "usage": {"input_tokens": 20, "output_tokens": 9,
            "input_tokens_details": {"cached_tokens": 6},
            "output_tokens_details": {"reasoning_tokens": 5}}});
    let mut exchange = Exchange::json("/v1/responses", HOST, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((call.name, call.api_type), (OperationName::Chat, Some("responses")));
    assert_eq!(call.request.max_tokens, Some(7));
    assert_eq!(call.request.reasoning_level.as_deref(), Some("high"));
    assert_eq!(call.request.output_type, Some("json"));
    assert_eq!(call.request.conversation_id.as_deref(), Some("conv_1"));
    assert_eq!(call.request.previous_response_id.as_deref(), Some("resp_0"));
    assert_eq!(call.request.tools, Some(2));
    assert_eq!(reasons(&call), ["completed"]);
    assert_eq!(call.response.tool_calls, ["look"]);
    assert_eq!(
        call.usage,
        Usage {
            input_tokens: Some(20),
            output_tokens: Some(9),
            cache_read_input_tokens: Some(6),
            cache_write_input_tokens: None,
            reasoning_output_tokens: Some(5),
            ..Usage::default()
        }
    );
    let content = call.content.unwrap();
    assert_eq!(content.system_instructions, Some(json!([{"type": "text", "content": "Be brief"}])));
    let output = &content.output_messages.unwrap()[0];
    assert_eq!(output["finish_reason"], "tool_call");
    assert_eq!(output["parts"][0], json!({"type": "reasoning", "content": "hm"}));
    assert_eq!(output["parts"][2]["arguments"], json!({"a": 1}));
    assert_eq!(output["parts"][3], json!({"type": "text", "content": "Hello"}));
}

fn stream_events() -> Vec<Value> {
    let started = json!({"object": "response", "id": "resp_1", "status": "in_progress",
        "model": "gpt-x-1", "output": [], "usage": null});
    let mut completed = started.clone();
    completed["status"] = "completed".into();
    completed["usage"] = json!({"input_tokens": 3, "output_tokens": 4});
    completed["output"] = json!([{"type": "function_call", "name": "look"}]);
    vec![
        json!({"type": "response.created", "response": started}),
        json!({"type": "response.output_item.added", "output_index": 0,
            "item": {"type": "function_call", "name": "look", "call_id": "c1"}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "delta": "Hel"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "delta": "lo"}),
        json!({"type": "response.output_text.done", "output_index": 1, "text": "Hello"}),
        json!({"type": "response.completed", "response": completed}),
    ]
}

#[test]
pub(super) fn streamed_response_is_folded() {
    let request = json!({"model": "gpt-x", "input": [], "stream": true});
    let mut exchange = Exchange::sse("/v1/responses", HOST, &request, &streamed(&stream_events()));
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!(reasons(&call), ["completed"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(4)));
    assert_eq!(call.response.tool_calls, ["look"]);
    // The tool call, its arguments, two pieces of text.
    assert_eq!(call.response.chunks, 4);
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([{"type": "tool_call", "id": "c1", "name": "look", "arguments": {}},
            {"type": "text", "content": "Hello"}])
    );
}

#[test]
pub(super) fn cut_response_ends_in_error() {
    let request = json!({"model": "gpt-x", "input": [], "stream": true});
    let body = streamed(&stream_events()[..4]);
    let mut exchange = Exchange::sse("/v1/responses", HOST, &request, &body);
    exchange.how = Ended::ClientGone;
    let call = exchange.run();
    assert_eq!((reasons(&call), call.usage), (vec!["error"], Usage::default()));
    assert_eq!(call.response.tool_calls, ["look"]);
}

#[test]
pub(super) fn failed_response_tells_its_error() {
    let request = json!({"model": "gpt-x", "input": "x"});
    let failed = json!({"object": "response", "status": "failed",
        "error": {"code": "server_error", "message": "broke"}});
    let told =
        Some(ProviderError { kind: "server_error".to_owned(), message: Some("broke".to_owned()) });
    let call = Exchange::json("/v1/responses", HOST, &request, &failed).run();
    assert_eq!((reasons(&call), &call.error), (vec!["failed"], &told));
    let event = json!({"type": "error", "code": "server_error", "message": "broke"});
    let call = Exchange::sse("/v1/responses", HOST, &request, &streamed(&[event])).run();
    assert_eq!((call.error, call.timing.first_chunk), (told, None));
    // A background response is no end.
    let queued = json!({"object": "response", "id": "resp_1", "status": "queued"});
    let call = Exchange::json("/v1/responses", HOST, &request, &queued).run();
    assert!(reasons(&call).is_empty());
}

#[test]
pub(super) fn fetched_response_has_no_usage() {
    let response = json!({"object": "response", "id": "resp_1", "model": "m",
        "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 4}});
    let mut exchange = Exchange::json("/v1/responses/resp_1", HOST, &Value::Null, &response);
    exchange.method = Method::GET;
    exchange.request.clear();
    let call = exchange.run();
    assert_eq!((call.name, call.usage), (OperationName::FetchResponse, Usage::default()));
    assert_eq!(call.response.id.as_deref(), Some("resp_1"));
    exchange.target = "/v1/responses/resp_1/input_items";
    assert!(exchange.run_in(1).is_none());
    exchange.method = Method::POST;
    exchange.target = "/v1/responses/resp_1/cancel";
    assert_eq!(exchange.run().name, OperationName::FetchResponse);
    exchange.target = "/v1/conversations";
    exchange.request = json!({"model": "m", "input": "x"}).to_string().into_bytes();
    assert!(exchange.run_in(1).is_none());
}

#[test]
pub(super) fn stored_stream_goes_on_where_it_is_wanted() {
    let target = "/v1/responses/resp_1?starting_after=17&stream=true";
    let body = streamed(&stream_events()[3..]);
    let mut exchange = Exchange::sse(target, HOST, &Value::Null, &body);
    exchange.method = Method::GET;
    exchange.request.clear();
    let call = exchange.run();
    assert_eq!(call.name, OperationName::FetchResponse);
    assert_eq!(call.request.stream_cursor.as_deref(), Some("17"));
    assert_eq!((call.request.stream, call.response.chunks), (true, 2));
    assert_eq!((reasons(&call), call.usage), (vec!["completed"], Usage::default()));
}

#[test]
pub(super) fn background_response_is_told_as_far_as_it_is() {
    let request = json!({"model": "gpt-x", "input": "x", "background": true,
        "prompt": {"id": "pmpt_1", "version": "2"}});
    let queued = json!({"object": "response", "id": "resp_1", "status": "queued", "usage": null});
    let call = Exchange::json("/v1/responses", HOST, &request, &queued).run();
    assert_eq!(call.response.status.as_deref(), Some("queued"));
    assert_eq!((reasons(&call).len(), call.error), (0, None));
    assert_eq!(call.request.prompt_name.as_deref(), Some("pmpt_1"));
    assert_eq!(call.request.prompt_version.as_deref(), Some("2"));
}

#[test]
pub(super) fn text_completions_are_read() {
    let request = json!({"model": "gpt-x", "prompt": ["a", "b"], "max_tokens": 3, "n": 1});
    let response = json!({"id": "cmpl_1", "choices": [
        {"index": 0, "text": "A", "finish_reason": "length"},
        {"index": 1, "text": "B", "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 6}});
    let mut exchange = Exchange::json("/v1/completions", HOST, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!(call.name, OperationName::TextCompletion);
    assert_eq!((call.request.max_tokens, call.request.choice_count), (Some(3), None));
    assert_eq!(reasons(&call), ["length", "stop"]);
    let content = call.content.unwrap();
    assert_eq!(content.input_messages.unwrap().as_array().unwrap().len(), 2);
    assert_eq!(content.output_messages.unwrap()[1]["parts"][0]["content"], "B");

    let chunk = json!({"choices": [{"index": 0, "text": "A", "finish_reason": null}]});
    let last = json!({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]});
    let call = Exchange::sse("/v1/completions", HOST, &request, &streamed(&[chunk, last])).run();
    assert_eq!((reasons(&call), call.response.chunks), (vec!["stop"], 1));
}

#[test]
pub(super) fn embeddings_are_read_past_their_vectors() {
    let request = json!({"model": "emb", "input": ["a", "b"], "dimensions": 3,
        "encoding_format": "base64"});
    let vectors: Vec<_> = (0..5000)
        .map(|n| json!({"object": "embedding", "index": n, "embedding": vec![0.123_456_789; 30]}))
        .collect();
    let response = json!({"object": "list", "data": vectors, "model": "emb-1",
        "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    let exchange = Exchange::json("/v1/embeddings", HOST, &request, &response);
    assert!(exchange.response.len() > 1 << 20);
    let call = exchange.run_in(1000).unwrap();
    assert_eq!(call.name, OperationName::Embeddings);
    assert_eq!(call.request.embedding_dimensions, Some(3));
    assert_eq!(call.request.encoding_formats, ["base64"]);
    assert_eq!(call.response.model.as_deref(), Some("emb-1"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(8), None));
    assert_eq!(call.unreadable, None);
}
