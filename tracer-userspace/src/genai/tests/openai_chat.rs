//! OpenAI chat completions.

use super::*;

const PATH: &str = "/v1/chat/completions";
const HOST: &str = "api.openai.com";

fn asked() -> Value {
    json!({"model": "gpt-x", "messages": [{"role": "user", "content": "Hi"}]})
}

fn streamed(events: &[Value]) -> String {
    let mut body = String::new();
    for event in events {
        body.push_str(&format!("data: {event}\n\n"));
    }
    body + "data: [DONE]\n\n"
}

fn chunk(choices: &Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-x-1",
        "system_fingerprint": "fp_1", "choices": choices, "usage": null})
}

#[test]
pub(super) fn whole_completion_is_read() {
    let request = json!({
        "model": "gpt-x", "messages": [], "max_tokens": 5, "max_completion_tokens": 50,
        "temperature": 1, "top_p": 0.5, "n": 2, "stop": "END", "seed": -3,
        "frequency_penalty": 0.25, "presence_penalty": -0.5, "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"type": "no"}},
        "service_tier": "flex", "tools": [{"type": "function"}, {"type": "function"}],
    });
    let response = json!({
        "id": "chatcmpl-1", "model": "gpt-x-1", "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": [
            {"index": 1, "message": {"role": "assistant", "content": "b"},
                "finish_reason": "length"},
            {"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "function": {"name": "look", "arguments": "{}"}},
                {"id": "c2", "function": {"name": "act", "arguments": "{}"}},
            ]}, "finish_reason": "tool_calls"},
        ],
        "usage": {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 4}},
    });
    let call = Exchange::json(PATH, HOST, &request, &response).run();
    assert_eq!((call.name, call.provider.as_str()), (OperationName::Chat, "openai"));
    assert_eq!(call.api_type, Some("chat_completions"));
    let asked = &call.request;
    assert_eq!(asked.model.as_deref(), Some("gpt-x"));
    assert!(!asked.stream);
    assert_eq!((asked.max_tokens, asked.seed, asked.choice_count), (Some(50), Some(-3), Some(2)));
    assert_eq!((asked.temperature, asked.top_p), (Some(1.0), Some(0.5)));
    assert_eq!(asked.frequency_penalty, Some(0.25));
    assert_eq!(asked.presence_penalty, Some(-0.5));
    assert_eq!(asked.stop_sequences, ["END"]);
    assert_eq!(asked.reasoning_level.as_deref(), Some("low"));
    assert_eq!(asked.output_type, Some("json"));
    assert_eq!(asked.service_tier.as_deref(), Some("flex"));
    assert_eq!(asked.tools, Some(2));
    assert_eq!(call.response.id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(call.response.model.as_deref(), Some("gpt-x-1"));
    assert_eq!(call.response.service_tier.as_deref(), Some("default"));
    assert_eq!(call.response.system_fingerprint.as_deref(), Some("fp_1"));
    assert_eq!(reasons(&call), ["tool_calls", "length"]);
    assert_eq!(call.response.tool_calls, ["look", "act"]);
    assert_eq!(call.response.chunks, 0);
    assert_eq!(
        call.usage,
        Usage {
            input_tokens: Some(30),
            output_tokens: Some(12),
            cache_read_input_tokens: Some(8),
            cache_write_input_tokens: None,
            reasoning_output_tokens: Some(4),
            ..Usage::default()
        }
    );
    assert_eq!(call.timing.first_chunk, None);
    assert_eq!(call.http.request_id.as_deref(), Some("req_1"));
    assert_eq!(call.http.authority.as_deref(), Some(HOST));
    assert_eq!((call.error, call.unreadable, call.content), (None, None, None));
}

#[test]
pub(super) fn stream_is_folded_together() {
    let events = [
        chunk(&json!([{"index": 0, "delta": {"role": "assistant", "content": ""}}])),
        chunk(&json!([{"index": 0, "delta": {"content": "Hel"}}])),
        chunk(&json!([{"index": 0, "delta": {"content": "lo"}}])),
        chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
    ];
    let mut request = asked();
    request["stream"] = true.into();
    let mut exchange = Exchange::sse(PATH, HOST, &request, &streamed(&events));
    exchange.capture_content = true;
    let call = exchange.run();
    assert!(call.request.stream);
    assert_eq!(reasons(&call), ["stop"]);
    // Two of the events carried text.
    assert_eq!(call.response.chunks, 2);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(2)));
    assert_eq!(call.usage.cache_read_input_tokens, None);
    let content = call.content.unwrap();
    assert!(!content.truncated);
    assert_eq!(
        content.output_messages,
        Some(json!([{"role": "assistant", "finish_reason": "stop",
            "parts": [{"type": "text", "content": "Hello"}]}]))
    );
}

#[test]
pub(super) fn first_chunk_has_its_own_time() {
    let events = [
        chunk(&json!([{"index": 0, "delta": {"content": "a"}}])),
        chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
    ];
    let body = format!(": wait\n\n{}", streamed(&events));
    let exchange = Exchange::sse(PATH, HOST, &asked(), &body);
    let call = exchange.run_in(1).unwrap();
    // The clock is 100 at the start and ticks with each event: one for the head, one for each byte
    // of the request, one for its end, one for the response's head, then one for each byte.
    let request = exchange.request.len() as u64;
    let end_of_first = (body.find("\n\ndata: [").is_some() as u64)
        * (body.match_indices("\n\n").nth(1).unwrap().0 as u64 + 2);
    assert_eq!(call.timing.start, Timestamp(100));
    assert_eq!(call.timing.request_end, Some(Timestamp(100 + 1 + request + 1)));
    let head = 100 + 1 + request + 1 + 1;
    assert_eq!(call.timing.first_chunk, Some(Timestamp(head + end_of_first)));
    assert_eq!(call.timing.end, Timestamp(head + body.len() as u64 + 1));
}

#[test]
pub(super) fn stream_without_usage_has_none() {
    let events =
        [chunk(&json!([{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]))];
    let call = Exchange::sse(PATH, HOST, &asked(), &streamed(&events)).run();
    assert_eq!(call.usage, Usage::default());
}

#[test]
pub(super) fn cut_stream_ends_in_error() {
    let events = [
        chunk(&json!([{"index": 1, "delta": {"content": "a"}, "finish_reason": "stop"}])),
        chunk(&json!([{"index": 0, "delta": {"content": "b"}}])),
    ];
    let body = streamed(&events).replace("data: [DONE]\n\n", "data: {\"cho");
    for how in [Ended::ClientGone, Ended::ServerReset, Ended::Complete] {
        let mut exchange = Exchange::sse(PATH, HOST, &asked(), &body);
        exchange.how = how;
        let call = exchange.run();
        assert_eq!(reasons(&call), ["error", "stop"], "{how:?}");
        assert_eq!(call.end.how, how);
        assert_eq!(call.error, None, "what the transport did is not the provider's error");
    }
}

#[test]
pub(super) fn streamed_tool_calls_are_joined() {
    let call = |delta: Value| chunk(&json!([{"index": 0, "delta": {"tool_calls": [delta]}}]));
    let events = [
        call(json!({"index": 0, "id": "c1", "function": {"name": "look", "arguments": ""}})),
        call(json!({"index": 0, "function": {"arguments": "{\"a\":"}})),
        call(json!({"index": 1, "id": "c2", "function": {"name": "act", "arguments": "{}"}})),
        call(json!({"index": 0, "function": {"arguments": "1}"}})),
        chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])),
    ];
    let mut exchange = Exchange::sse(PATH, HOST, &asked(), &streamed(&events));
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!(call.response.tool_calls, ["look", "act"]);
    assert_eq!(call.response.chunks, 4);
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([
            {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"a": 1}},
            {"type": "tool_call", "id": "c2", "name": "act", "arguments": {}},
        ])
    );
}

#[test]
pub(super) fn error_bodies_name_the_kind() {
    let check = |status: u16, body: Value, kind: &str, message: Option<&str>| {
        let mut exchange = Exchange::json(PATH, HOST, &asked(), &body);
        exchange.status = status;
        let call = exchange.run();
        let message = message.map(str::to_owned);
        assert_eq!(call.error, Some(ProviderError { kind: kind.to_owned(), message }), "{body}");
        assert_eq!(call.http.status, Some(status));
        assert!(call.response.finish_reasons.is_empty());
    };
    let error =
        json!({"message": "no", "type": "invalid_request_error", "code": "model_not_found"});
    check(404, json!({"error": error}), "invalid_request_error", Some("no"));
    check(400, json!({"error": {"message": "no", "type": null, "code": 7}}), "7", Some("no"));
    check(429, json!({"error": "slow down"}), "429", Some("slow down"));
    check(
        400,
        json!({"object": "error", "message": "bad", "type": "Bad", "code": 1}),
        "Bad",
        Some("bad"),
    );
    check(422, json!({"detail": "wrong"}), "422", Some("wrong"));
    check(500, json!([1]), "500", None);
    // Azure says it inside a success.
    check(
        200,
        json!({"error": {"message": "no", "type": null, "code": "content_filter"}}),
        "content_filter",
        Some("no"),
    );
}

#[test]
pub(super) fn html_error_page_is_no_answer() {
    let mut exchange = Exchange::json(PATH, HOST, &asked(), &Value::Null);
    exchange.status = 502;
    exchange.kind = "text/html";
    exchange.response = b"<html>502 Bad Gateway</html>".to_vec();
    let call = exchange.run();
    assert_eq!(call.error, Some(ProviderError { kind: "502".to_owned(), message: None }));
}

#[test]
pub(super) fn error_inside_a_stream_is_told() {
    let body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
        data: {\"error\":{\"message\":\"broke\",\"type\":\"server_error\"}}\n\n";
    let call = Exchange::sse(PATH, HOST, &asked(), body).run();
    let error = call.error.clone().unwrap();
    assert_eq!((error.kind.as_str(), error.message.as_deref()), ("server_error", Some("broke")));
    assert_eq!(reasons(&call), ["error"]);
    assert_eq!(call.response.chunks, 1);
}

#[test]
pub(super) fn other_providers_quirks_are_read() {
    let groq = chunk(&json!([])).to_string().replace(
        "\"usage\":null",
        "\"x_groq\":{\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}",
    );
    let body = format!(": keep-alive\n\ndata: {groq}\n\n");
    let call = Exchange::sse("/openai/v1/chat/completions", "api.groq.com", &asked(), &body).run();
    assert_eq!((call.provider.as_str(), call.api_type), ("groq", None));
    assert_eq!(call.usage.input_tokens, Some(4));

    let usage = json!({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 6});
    let answer = json!({"choices": [{"finish_reason": "stop"}], "usage": usage});
    let call = Exchange::json("/chat/completions", "api.deepseek.com", &asked(), &answer).run();
    assert_eq!(call.usage.cache_read_input_tokens, Some(6));
    assert_eq!(reasons(&call), ["stop"]);

    let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop",
        "usage": {"prompt_tokens": 5, "completion_tokens": 6}});
    let body = streamed(&[chunk(&json!([choice]))]);
    let call = Exchange::sse(PATH, "api.moonshot.cn", &asked(), &body).run();
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(5), Some(6)));
}

#[test]
pub(super) fn thoughts_in_a_list_are_pieces() {
    let thinking = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]);
    let events = [
        chunk(&json!([{"index": 0, "delta": {"content": thinking}}])),
        chunk(&json!([{"index": 0, "delta": {"content": [{"type": "text", "text": "a"}]}}])),
        chunk(&json!([{"index": 0, "delta": {"content": "b"}, "finish_reason": "stop"}])),
    ];
    let mut exchange = Exchange::sse(PATH, "api.mistral.ai", &asked(), &streamed(&events));
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((call.provider.as_str(), call.response.chunks), ("mistral_ai", 3));
    assert_eq!(
        call.content.unwrap().output_messages.unwrap()[0]["parts"],
        json!([{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "ab"}])
    );
}

#[test]
pub(super) fn mislabelled_stream_is_still_one() {
    let events =
        [chunk(&json!([{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]))];
    for kind in ["application/json", "text/plain", "application/octet-stream"] {
        let mut exchange = Exchange::sse(PATH, HOST, &asked(), &streamed(&events));
        exchange.kind = kind;
        let call = exchange.run();
        assert_eq!((reasons(&call), call.response.chunks), (vec!["stop"], 1));
    }
}

#[test]
pub(super) fn azure_model_comes_from_the_path() {
    let request = json!({"messages": [{"role": "user", "content": "x"}]});
    let target = "/openai/deployments/my-gpt/chat/completions?api-version=2024";
    let answer = json!({"model": "gpt-x-1", "choices": []});
    let call = Exchange::json(target, "me.openai.azure.com", &request, &answer).run();
    assert_eq!(call.provider, "azure.ai.openai");
    assert_eq!(call.request.model.as_deref(), Some("my-gpt"));
    assert_eq!(call.http.path, "/openai/deployments/my-gpt/chat/completions");
}

#[test]
pub(super) fn role_is_no_content() {
    let chunk = |delta: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
        format!("data: {}\n\n", json!({"choices": [choice]}))
    };
    let body = chunk(json!({"role": "assistant", "content": ""}))
        + &chunk(json!({"content": "a"}))
        + &chunk(json!({"content": "b"}))
        + "data: [DONE]\n\n";
    let call =
        Exchange::sse(PATH, HOST, &json!({"model": "m", "messages": []}), &body).run_in(1).unwrap();
    let length = |text: &str| u64::try_from(text.len()).unwrap();
    let first = length(&chunk(json!({"role": "assistant", "content": ""})));
    let second = length(&chunk(json!({"content": "a"})));
    let (chunk, content) = (call.timing.first_chunk.unwrap(), call.timing.first_content.unwrap());
    assert_eq!(content.since(chunk), second);
    assert!(chunk.since(call.timing.start) > first);
    // From the first chunk to the second, and on to the third, which is as long.
    assert_eq!(call.timing.output_chunk_times.sum, 2 * second);
    assert_eq!(call.timing.output_chunk_times.count(), 2);
}

#[test]
pub(super) fn chunk_times_fall_in_the_prescribed_buckets() {
    let mut times = ChunkTimes::default();
    for nanos in [0, 10_000_000, 10_000_001, 81_920_000_000, 81_920_000_001] {
        times.record(nanos);
    }
    let mut expected = [0; 15];
    (expected[0], expected[1], expected[13], expected[14]) = (2, 1, 1, 1);
    assert_eq!(times.buckets, expected);
    assert_eq!((times.count(), times.sum), (5, 163_860_000_002));
}

/// A stream whose chunks begin alike is read as one whose chunks do not.
mod repeated {
    use proptest::prelude::*;

    use super::*;

    /// Members before the choices of a chunk.
    fn beginnings() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            r#""id":"a","object":"chat.completion.chunk","created":1,"model":"m""#,
            r#""id":"a","object":"chat.completion.chunk","created":2,"model":"m""#,
            r#""id":"","model":"","system_fingerprint":null"#,
            r#""id":"b,\"choices\":[","model":"m""#,
            r#""id":"c","usage":{"prompt_tokens":3}"#,
            r#""model":"n","error":"it broke""#,
            r#""id":"c","id":"d""#,
            r#""object":"error","message":"no""#,
        ])
    }

    const USUAL: &str = r#""id":"a","object":"chat.completion.chunk","created":1,"model":"m""#;

    fn choices() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            r#"[{"index":0,"delta":{"content":"a"}}]"#,
            r#"[{"index":1,"delta":{"role":"assistant","content":""}}]"#,
            r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#,
            r#"[],"usage":{"prompt_tokens":7,"completion_tokens":5}"#,
            r#"[{"index":0,"delta":{"content":"b"}}],"model":"other","id":"e""#,
            r#"[{"index":0,"delta":{"content":"cut"#,
            r#"[{"index":0,"delta":{"content":"another, longer piece"}}]"#,
            r#"[{"index":0,"delta":{"content":"ü ✓"}}]"#,
            r#"[{"index":0,"delta":{"content":"line\n"}}]"#,
            r#"[{"index":0,"delta":{"content":""}}]"#,
            r#"[{"index":1,"delta":{"content":"of the second"}}]"#,
            r#"[{"delta":{"content":"without a number"}}]"#,
            r#"[{"index":0,"delta":{"content":"d"},"finish_reason":"stop"}]"#,
            r#"[{"index":0,"delta":{"content":"e"}},{"index":1,"delta":{"content":"f"}}]"#,
            r#"[{"index":0,"delta":{"content":"g"}}],"obfuscation":"qwE""#,
            r#"[{"index":0,"delta":{"content":"hh"}}],"obfuscation":"""#,
            r#"[{"index":0,"delta":{"content":"i","reasoning_content":"so"}}]"#,
            r#"[{"index":0,"delta":{"content":"j","refusal":"no"}}]"#,
            r#"[{"index":0,"delta":{"content":"k"},"usage":{"completion_tokens":2}}]"#,
            r#"[{"index":0,"delta":{"content":"l"}}],"usage":{"completion_tokens":3}"#,
            r#"[{"index":0,"delta":{"content":"m","tool_calls":[{"index":0,"function":{"name":"f"}}]}}]"#,
            r#"[{"index":0,"delta":{"content":"n"},"content":"not told"}]"#,
            r#"[{"index":0,"delta":{"content":"o"},"text":"p"}]"#,
            r#"[{"index":0,"delta":{"content":"c"}}],"error":{"code":"429"}"#,
        ])
    }

    /// The whole operation, but for its fingerprint. `numbered`: no chunk is like the one before.
    fn read(chunks: &[(&str, &str)], numbered: bool) -> String {
        let body: String = chunks
            .iter()
            .enumerate()
            .map(|(number, (before, choices))| {
                let number = if numbered { format!("\"x\":{number},") } else { String::new() };
                format!("data: {{{number}{before},\"choices\":{choices}}}\n\n")
            })
            .collect();
        let request = json!({"model": "m", "messages": [], "stream": true});
        let mut exchange = Exchange::sse("/v1/chat/completions", "api.openai.com", &request, &body);
        exchange.capture_content = true;
        let call = exchange.run_in(usize::MAX).expect("an LLM call");
        format!("{call:?}")
    }

    proptest! {
        #[test]
        fn likeness_makes_no_difference(chunks in prop::collection::vec((beginnings(), choices()), 0..8)) {
            prop_assert_eq!(read(&chunks, false), read(&chunks, true));
        }

        #[test]
        fn likeness_of_most_makes_no_difference(choices in prop::collection::vec(choices(), 0..24)) {
            let chunks: Vec<_> = choices.into_iter().map(|choices| (USUAL, choices)).collect();
            prop_assert_eq!(read(&chunks, false), read(&chunks, true));
        }
    }
}
