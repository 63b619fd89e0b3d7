//! AWS Bedrock: Converse, and the vendors' own bodies through InvokeModel.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{super::eventstream::tests as frames, *};

const HOST: &str = "bedrock-runtime.eu-west-1.amazonaws.com";
const CONVERSE: &str = "/model/us.vendor.model-v1%3A0/converse";

fn streamed(target: &'static str, request: &Value, frames: &[Vec<u8>]) -> Exchange<'static> {
    let mut exchange = Exchange::json(target, HOST, request, &Value::Null);
    exchange.kind = "application/vnd.amazon.eventstream";
    exchange.response = frames.concat();
    exchange
}

fn asked() -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "Be brief"}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
        "additionalModelRequestFields": {"top_k": 7},
        "toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {}}}]}})
}

#[test]
pub(super) fn converse_is_read() {
    let response = json!({"output": {"message": {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "Hello"},
        {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}}]}},
        "stopReason": "tool_use", "usage": {"inputTokens": 5, "outputTokens": 9,
            "cacheReadInputTokens": 20, "cacheWriteInputTokens": 3}});
    let mut exchange = Exchange::json(CONVERSE, HOST, &asked(), &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((call.provider.as_str(), call.name), ("aws.bedrock", OperationName::Chat));
    assert_eq!(call.request.model.as_deref(), Some("us.vendor.model-v1:0"));
    assert_eq!((call.request.max_tokens, call.request.top_k), (Some(9), Some(7.0)));
    assert_eq!(call.request.stop_sequences, ["x"]);
    assert_eq!((call.request.tools, call.request.stream), (Some(1), false));
    assert_eq!(reasons(&call), ["tool_use"]);
    assert_eq!(call.response.tool_calls, ["look"]);
    // 5 uncached + 20 read from the cache + 3 written to it.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(28), Some(9)));
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hello"},
            {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"a": 1}}])
    );
}

fn converse_frames() -> Vec<Vec<u8>> {
    vec![
        frames::event("messageStart", r#"{"role":"assistant","p":"abc"}"#),
        frames::event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel"}}"#),
        frames::event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"lo"}}"#),
        frames::event("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        frames::event(
            "contentBlockStart",
            r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t1","name":"look"}}}"#,
        ),
        frames::event(
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#,
        ),
        frames::event("messageStop", r#"{"stopReason":"tool_use"}"#),
        frames::event("metadata", r#"{"usage":{"inputTokens":4,"outputTokens":6}}"#),
    ]
}

#[test]
pub(super) fn converse_stream_is_folded() {
    let target = "/model/m/converse-stream";
    let mut exchange = streamed(target, &asked(), &converse_frames());
    exchange.capture_content = true;
    let call = exchange.run();
    assert!(call.request.stream);
    assert_eq!(reasons(&call), ["tool_use"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(4), Some(6)));
    assert_eq!(call.response.chunks, 4);
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([{"type": "text", "content": "Hello"},
            {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"a": 1}}])
    );
}

#[test]
pub(super) fn exception_inside_a_stream_is_told() {
    let mut frames = converse_frames();
    frames.truncate(2);
    frames.push(frames::message(
        &[(":exception-type", "throttlingException"), (":message-type", "exception")],
        br#"{"message":"Too many"}"#,
    ));
    let call = streamed("/model/m/converse-stream", &asked(), &frames).run();
    let error = call.error.clone().unwrap();
    assert_eq!(error.kind, "throttlingException");
    assert_eq!(error.message.as_deref(), Some("Too many"));
    assert_eq!(reasons(&call), ["error"]);
}

#[test]
pub(super) fn damaged_stream_keeps_what_was_whole() {
    let mut frames = converse_frames();
    let last = frames[2].len() - 1;
    frames[2][last] ^= 1;
    let call = streamed("/model/m/converse-stream", &asked(), &frames).run();
    assert_eq!(call.unreadable, Some("event-stream-corrupt"));
    assert_eq!((call.response.chunks, call.usage), (1, Usage::default()));
    let mut cut = streamed("/model/m/converse-stream", &asked(), &converse_frames());
    cut.response.pop();
    assert_eq!(cut.run().unreadable, Some("json-truncated"));
}

fn invoke(request: &Value, response: &Value) -> Operation {
    let mut exchange = Exchange::json("/model/m/invoke", HOST, request, response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    call
}

fn told(call: &Operation) -> (Vec<&str>, Option<u64>, Option<u64>, Option<&str>) {
    let messages = call.content.as_ref().unwrap().output_messages.as_ref().unwrap();
    let text = messages[0]["parts"][0]["content"].as_str();
    (reasons(call), call.usage.input_tokens, call.usage.output_tokens, text)
}

#[test]
pub(super) fn vendors_bodies_are_told_apart() {
    let titan = json!({"inputText": "Hi", "textGenerationConfig": {"maxTokenCount": 3,
        "temperature": 0, "topP": 1, "stopSequences": ["|"]}});
    let call = invoke(
        &titan,
        &json!({"inputTextTokenCount": 2,
        "results": [{"tokenCount": 5, "outputText": "a", "completionReason": "FINISH"}]}),
    );
    assert_eq!(told(&call), (vec!["FINISH"], Some(2), Some(5), Some("a")));
    assert_eq!((call.name, call.request.max_tokens), (OperationName::TextCompletion, Some(3)));
    assert_eq!(call.request.stop_sequences, ["|"]);

    let llama = json!({"prompt": "Hi", "max_gen_len": 4});
    let call = invoke(
        &llama,
        &json!({"generation": "a", "prompt_token_count": 2,
        "generation_token_count": 5, "stop_reason": "stop"}),
    );
    assert_eq!(told(&call), (vec!["stop"], Some(2), Some(5), Some("a")));
    assert_eq!(call.request.max_tokens, Some(4));

    let call = invoke(&llama, &json!({"outputs": [{"text": "a", "stop_reason": "length"}]}));
    assert_eq!(told(&call), (vec!["length"], None, None, Some("a")));

    let call = invoke(
        &llama,
        &json!({"id": "g", "generations":
        [{"text": "a", "finish_reason": "COMPLETE"}]}),
    );
    assert_eq!(told(&call), (vec!["COMPLETE"], None, None, Some("a")));
    assert_eq!(call.response.id.as_deref(), Some("g"));

    let call = invoke(
        &llama,
        &json!({"completions":
        [{"data": {"text": "a"}, "finishReason": {"reason": "endoftext"}}]}),
    );
    assert_eq!(told(&call), (vec!["endoftext"], None, None, Some("a")));

    let nova = json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"max_new_tokens": 6, "topP": 0.5}});
    let call = invoke(
        &nova,
        &json!({"output": {"message": {"content": [{"text": "a"}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 2, "outputTokens": 5,
            "cacheReadInputTokenCount": 10}}),
    );
    assert_eq!(told(&call), (vec!["end_turn"], Some(12), Some(5), Some("a")));
    assert_eq!((call.request.max_tokens, call.request.top_p), (Some(6), Some(0.5)));

    let claude = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 7,
        "messages": [{"role": "user", "content": "Hi"}]});
    let call = invoke(
        &claude,
        &json!({"type": "message", "id": "msg_1", "model": "c",
        "stop_reason": "end_turn", "content": [{"type": "text", "text": "a"}],
        "usage": {"input_tokens": 2, "output_tokens": 5}}),
    );
    assert_eq!(told(&call), (vec!["end_turn"], Some(2), Some(5), Some("a")));
    assert_eq!((call.name, call.request.max_tokens), (OperationName::Chat, Some(7)));

    let call = invoke(
        &claude,
        &json!({"choices": [{"index": 0, "finish_reason": "stop",
        "message": {"content": "a"}}], "usage": {"prompt_tokens": 2, "completion_tokens": 5}}),
    );
    assert_eq!(told(&call), (vec!["stop"], Some(2), Some(5), Some("a")));
}

#[test]
pub(super) fn chunks_are_unwrapped() {
    let chunk = |inner: &Value| {
        let bytes = BASE64_STANDARD.encode(inner.to_string());
        frames::event("chunk", &json!({"bytes": bytes, "p": "abcdef"}).to_string())
    };
    let metrics = json!({"inputTokenCount": 3, "outputTokenCount": 4});
    let mistral = [
        chunk(&json!({"outputs": [{"text": "Hel", "stop_reason": null}]})),
        chunk(&json!({"outputs": [{"text": "lo", "stop_reason": "stop"}],
            "amazon-bedrock-invocationMetrics": metrics})),
    ];
    let claude = [
        chunk(&json!({"type": "message_start", "message": {"type": "message", "id": "msg_1",
            "usage": {"input_tokens": 3, "output_tokens": 1}}})),
        chunk(&json!({"type": "content_block_delta", "delta": {"text": "Hel"}})),
        chunk(&json!({"type": "content_block_delta", "delta": {"text": "lo"}})),
        chunk(&json!({"type": "message_delta", "delta": {"stop_reason": "stop"},
            "usage": {"output_tokens": 4}})),
        chunk(&json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})),
    ];
    let nova = [
        chunk(&json!({"messageStart": {"role": "assistant"}})),
        chunk(&json!({"contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 0}})),
        chunk(&json!({"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 0}})),
        chunk(&json!({"messageStop": {"stopReason": "stop"}})),
        chunk(&json!({"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4}}})),
    ];
    for frames in [&mistral[..], &claude[..], &nova[..]] {
        let request = json!({"prompt": "Hi"});
        let target = "/model/m/invoke-with-response-stream";
        let mut exchange = streamed(target, &request, frames);
        exchange.capture_content = true;
        let call = exchange.run();
        assert_eq!(told(&call), (vec!["stop"], Some(3), Some(4), Some("Hello")));
        assert_eq!((call.request.stream, call.response.chunks), (true, 2));
    }
}

#[test]
pub(super) fn failed_invocation_tells_the_status() {
    let mut exchange = Exchange::json(CONVERSE, HOST, &asked(), &json!({"message": "Slow down"}));
    exchange.status = 429;
    let told = ProviderError { kind: "429".to_owned(), message: Some("Slow down".to_owned()) };
    assert_eq!(exchange.run().error, Some(told));
}
