//! Anthropic messages.

use super::*;

const PATH: &str = "/v1/messages";
const HOST: &str = "api.anthropic.com";

fn asked() -> Value {
    json!({"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]})
}

fn streamed(events: &[Value]) -> String {
    let event = |event: &Value| {
        format!("event: {}\r\ndata: {event}\r\n\r\n", event["type"].as_str().unwrap())
    };
    events.iter().map(event).collect()
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"type": "message", "id": "msg_1",
        "model": "claude-x-1", "role": "assistant", "content": [], "stop_reason": null,
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 0, "output_tokens": 1}}})
}

#[test]
pub(super) fn whole_message_is_read() {
    let mut request = asked();
    for (name, value) in [
        ("temperature", json!(0.5)),
        ("top_k", json!(4)),
        ("top_p", json!(0.9)),
        ("stop_sequences", json!(["a", "b"])),
        ("tools", json!([{"name": "look", "input_schema": {"type": "object"}}])),
        ("output_config", json!({"effort": "high"})),
    ] {
        request[name] = value;
    }
    let response = json!({"type": "message", "id": "msg_1", "model": "claude-x-1",
        "role": "assistant", "stop_reason": "tool_use", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Let me see"},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": [1]}}],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 3, "output_tokens": 9}});
    let mut exchange = Exchange::json(PATH, HOST, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((call.provider.as_str(), call.api_type), ("anthropic", None));
    assert_eq!(call.request.max_tokens, Some(10));
    assert_eq!(call.request.top_k, Some(4.0));
    assert_eq!(call.request.stop_sequences, ["a", "b"]);
    assert_eq!(call.request.tools, Some(1));
    assert_eq!(call.request.reasoning_level.as_deref(), Some("high"));
    assert_eq!(reasons(&call), ["tool_use"]);
    assert_eq!(call.response.tool_calls, ["look"]);
    // 5 uncached + 20 read from the cache + 3 written to it.
    assert_eq!(
        call.usage,
        Usage {
            input_tokens: Some(28),
            output_tokens: Some(9),
            cache_read_input_tokens: Some(20),
            cache_write_input_tokens: Some(3),
            ..Usage::default()
        }
    );
    assert_eq!(
        call.content.unwrap().output_messages,
        Some(json!([{"role": "assistant", "finish_reason": "tool_call", "parts": [
            {"type": "reasoning", "content": "hm"},
            {"type": "text", "content": "Let me see"},
            {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"at": [1]}}]}]))
    );
}

#[test]
pub(super) fn stream_takes_the_last_usage() {
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let events = [
        start(),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        delta(json!({"type": "text_delta", "text": "Hel"})),
        delta(json!({"type": "text_delta", "text": "lo"})),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block":
            {"type": "tool_use", "id": "t1", "name": "look", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": "{\"a\":"}}),
        json!({"type": "content_block_delta", "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": "2}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"},
            "usage": {"input_tokens": 7, "cache_read_input_tokens": null, "output_tokens": 15,
                "output_tokens_details": {"thinking_tokens": 4}}}),
        json!({"type": "message_stop"}),
    ];
    let mut exchange = Exchange::sse(PATH, HOST, &asked(), &streamed(&events));
    exchange.capture_content = true;
    let call = exchange.run();
    // 7 uncached (told last) + 20 from the cache (told first, then null).
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(27), Some(15)));
    assert_eq!(call.usage.cache_read_input_tokens, Some(20));
    assert_eq!(call.usage.reasoning_output_tokens, Some(4));
    assert_eq!(call.response.id.as_deref(), Some("msg_1"));
    assert_eq!(reasons(&call), ["tool_use"]);
    assert_eq!(call.response.tool_calls, ["look"]);
    // Two pieces of text, the tool call, two pieces of its arguments.
    assert_eq!(call.response.chunks, 5);
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([{"type": "text", "content": "Hello"},
            {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"a": 2}}])
    );
}

#[test]
pub(super) fn cut_stream_ends_in_error() {
    let mut exchange = Exchange::sse(PATH, HOST, &asked(), &streamed(&[start()]));
    exchange.how = Ended::ServerClosed;
    let call = exchange.run();
    assert_eq!(reasons(&call), ["error"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(25), Some(1)));
}

#[test]
fn client_may_leave_after_the_reason_to_stop() {
    let stopped = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 15}});
    let mut exchange = Exchange::sse(PATH, HOST, &asked(), &streamed(&[start(), stopped]));
    exchange.how = Ended::ClientGone;
    let call = exchange.run();
    assert_eq!(call.end.how, Ended::Complete);
    assert_eq!(reasons(&call), ["end_turn"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(25), Some(15)));
}

#[test]
fn tool_of_the_server_is_no_call() {
    let block = |index: u64, kind: &str, name: &str| {
        json!({"type": "content_block_start", "index": index,
            "content_block": {"type": kind, "id": name, "name": name, "input": {}}})
    };
    let piece = |index: u64, json: &str| {
        json!({"type": "content_block_delta", "index": index,
            "delta": {"type": "input_json_delta", "partial_json": json}})
    };
    let events = [
        start(),
        block(0, "server_tool_use", "web_search"),
        piece(0, "{\"query\": \"weather\"}"),
        block(1, "tool_use", "look"),
        piece(1, "{\"a\": 1}"),
        json!({"type": "message_stop"}),
    ];
    let mut exchange = Exchange::sse(PATH, HOST, &asked(), &streamed(&events));
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!(call.response.tool_calls, ["look"]);
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([{"type": "tool_call", "id": "look", "name": "look", "arguments": {"a": 1}}])
    );
}

#[test]
pub(super) fn errors_are_named() {
    let error = json!({"type": "error", "request_id": "r",
        "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let mut exchange = Exchange::json(PATH, HOST, &asked(), &error);
    exchange.status = 529;
    let told = Some(ProviderError {
        kind: "overloaded_error".to_owned(),
        message: Some("Overloaded".to_owned()),
    });
    assert_eq!(exchange.run().error, told);
    // The same inside a stream that began well.
    let call = Exchange::sse(PATH, HOST, &asked(), &streamed(&[start(), error])).run();
    assert_eq!(reasons(&call), ["error"]);
    assert_eq!(call.error, told);
}

#[test]
pub(super) fn system_is_apart_from_messages() {
    let mut request = asked();
    request["system"] = json!([{"type": "text", "text": "Be brief"}]);
    request["messages"] = json!([{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "tool_result", "tool_use_id": "t1", "content": "42"}]}]);
    let mut exchange = Exchange::json(PATH, HOST, &request, &json!({"type": "message"}));
    exchange.capture_content = true;
    let content = exchange.run().content.unwrap();
    assert_eq!(content.system_instructions, Some(json!([{"type": "text", "content": "Be brief"}])));
    assert_eq!(
        content.input_messages.unwrap()[0]["parts"],
        json!([
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AA=="},
            {"type": "tool_call_response", "id": "t1", "response": "42"},
        ])
    );
}

#[test]
pub(super) fn old_completion_is_read() {
    let request = json!({"model": "claude-0", "prompt": "H:", "max_tokens_to_sample": 3});
    let response = json!({"type": "completion", "id": "compl_1", "completion": " hi",
        "stop_reason": "stop_sequence", "model": "claude-0"});
    let call = Exchange::json("/v1/complete", HOST, &request, &response).run();
    assert_eq!((call.name, call.request.max_tokens), (OperationName::TextCompletion, Some(3)));
    assert_eq!(reasons(&call), ["stop_sequence"]);
    assert_eq!(call.usage, Usage::default());
}

/// A stream whose events are alike is read as one whose events are not.
mod alike {
    use proptest::prelude::*;

    use super::*;

    fn deltas() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            r#""type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}"#,
            r#""type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"more ✓"}"#,
            r#""type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x\n"}"#,
            r#""type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}"#,
            r#""type":"content_block_delta","index":1,"delta":{"text":"b","thinking":"c"}"#,
            r#""type":"content_block_delta","index":1,"delta":{"thinking":"hm"}"#,
            r#""type":"content_block_delta","index":2,"delta":{"partial_json":"{\"a\":1}"}"#,
            r#""type":"content_block_start","index":2,"content_block":{"type":"tool_use","name":"t"}"#,
            r#""type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}"#,
            r#""type":"message_delta","delta":{"text":"no piece"},"usage":{"output_tokens":8}"#,
            r#""type":"error","error":{"type":"overloaded_error","message":"m"}"#,
        ])
    }

    /// `numbered`: no event is like the one before.
    fn read(deltas: &[&str], numbered: bool) -> String {
        let mut body = format!("data: {}\n\n", start());
        for (number, delta) in deltas.iter().enumerate() {
            let number = if numbered { format!("\"x\":{number},") } else { String::new() };
            body.push_str(&format!("data: {{{number}{delta}}}\n\n"));
        }
        let mut exchange = Exchange::sse(PATH, HOST, &asked(), &body);
        exchange.capture_content = true;
        format!("{:?}", exchange.run_in(usize::MAX).expect("an LLM call"))
    }

    proptest! {
        #[test]
        fn likeness_makes_no_difference(deltas in prop::collection::vec(deltas(), 0..24)) {
            prop_assert_eq!(read(&deltas, false), read(&deltas, true));
        }
    }
}
