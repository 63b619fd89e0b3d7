//! OpenAI's chat format as others speak it: what they add, and under which names they tell the same.

use super::*;

const PATH: &str = "/v1/chat/completions";
const HOST: &str = "gateway.local";

fn asked() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
}

fn whole(message: &Value, usage: &Value) -> Value {
    json!({"id": "c1", "model": "m-1", "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

fn parts(exchange: &mut Exchange<'_>) -> (Operation, Value) {
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    let parts =
        call.content.as_ref().unwrap().output_messages.as_ref().unwrap()[0]["parts"].clone();
    (call, parts)
}

/// The parts of a whole answer, and of the same in two deltas.
fn check_parts(message: &Value, deltas: &[Value], expected: &Value) {
    let response = whole(message, &Value::Null);
    let (_, told) = parts(&mut Exchange::json(PATH, HOST, &asked(), &response));
    assert_eq!(told, *expected);
    let body: String = deltas
        .iter()
        .map(|delta| json!({"id": "c1", "choices": [{"index": 0, "delta": delta}]}))
        .chain([json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})])
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    let (call, told) = parts(&mut Exchange::sse(PATH, HOST, &asked(), &body));
    assert_eq!(told, *expected);
    assert_eq!((call.response.chunks, reasons(&call)), (deltas.len() as u64, vec!["stop"]));
}

#[test]
pub(super) fn reasoning_is_read_under_every_name() {
    let expected =
        json!([{"type": "reasoning", "content": "hmm"}, {"type": "text", "content": "Hey"}]);
    for name in ["reasoning_content", "reasoning"] {
        check_parts(
            &json!({"content": "Hey", name: "hmm"}),
            &[json!({name: "h"}), json!({name: "mm"}), json!({"content": "Hey"})],
            &expected,
        );
    }
    // OpenRouter repeats it in details, or tells it in them alone.
    let detail = |text: &str| json!([{"type": "reasoning.text", "text": text, "index": 0}]);
    check_parts(
        &json!({"content": "Hey", "reasoning": "hmm", "reasoning_details": detail("hmm")}),
        &[
            json!({"reasoning": "hmm", "reasoning_details": detail("hmm")}),
            json!({"content": "Hey"}),
        ],
        &expected,
    );
    let summary = json!([{"type": "reasoning.summary", "summary": "hmm"},
        {"type": "reasoning.encrypted", "data": "x"}]);
    check_parts(
        &json!({"content": "Hey", "reasoning_details": summary}),
        &[json!({"reasoning_details": summary}), json!({"content": "Hey"})],
        &expected,
    );
}

#[test]
pub(super) fn spoken_answer_is_its_transcript() {
    check_parts(
        &json!({"content": null, "audio": {"id": "a1", "data": "UklG", "expires_at": 1, "transcript": "Hey"}}),
        &[
            json!({"audio": {"id": "a1", "transcript": "He"}}),
            json!({"audio": {"data": "UklG"}}),
            json!({"audio": {"transcript": "y"}}),
        ],
        &json!([{"type": "text", "content": "Hey"}]),
    );
}

#[test]
pub(super) fn content_may_be_a_list() {
    check_parts(
        &json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]},
            {"type": "text", "text": "Hey"}]}),
        &[
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}]}),
            json!({"content": [{"type": "text", "text": "Hey"}]}),
        ],
        &json!([{"type": "reasoning", "content": "hmm"}, {"type": "text", "content": "Hey"}]),
    );
}

#[test]
pub(super) fn counts_are_read_under_every_name() {
    let cached = |usage: Value| {
        let response = whole(&json!({"content": "a"}), &usage);
        let usage = Exchange::json(PATH, HOST, &asked(), &response).run().usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (Some(9), Some(5)));
        (
            usage.cache_read_input_tokens,
            usage.cache_write_input_tokens,
            usage.reasoning_output_tokens,
        )
    };
    let usage = |more: Value| {
        let mut usage = json!({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14});
        usage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        cached(usage)
    };
    let only_read = (Some(4), None, None);
    assert_eq!(usage(json!({"prompt_tokens_details": {"cached_tokens": 4}})), only_read);
    assert_eq!(
        usage(json!({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5})),
        only_read
    );
    assert_eq!(usage(json!({"cached_tokens": 4})), only_read);
    assert_eq!(usage(json!({"num_cached_tokens": 4})), only_read);
    let both = (Some(4), Some(3), None);
    let details = json!({"cached_tokens": 4, "cache_write_tokens": 3});
    assert_eq!(usage(json!({"prompt_tokens_details": details})), both);
    let beside = json!({"cache_read_input_tokens": 4, "cache_creation_input_tokens": 3});
    assert_eq!(usage(beside), both);
    let reasoning = (None, None, Some(2));
    assert_eq!(usage(json!({"completion_tokens_details": {"reasoning_tokens": 2}})), reasoning);
    assert_eq!(usage(json!({"reasoning_tokens": 2, "prompt_tokens_details": null})), reasoning);
    // Not in the completion, by the total (xAI).
    let beside = json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 14,
        "completion_tokens_details": {"reasoning_tokens": 2}});
    assert_eq!(cached(beside), reasoning);
}

#[test]
pub(super) fn usage_in_odd_places_is_read() {
    let last = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14});
    let mut moonshot = last.clone();
    moonshot["usage"] = usage.clone();
    for chunk in [
        json!({"choices": [moonshot]}),
        json!({"choices": [last], "x_groq": {"id": "r", "usage": usage}}),
        json!({"choices": [last], "usage": usage}),
    ] {
        let body = format!("data: {chunk}\n\ndata: [DONE]\n\n");
        let call = Exchange::sse(PATH, HOST, &asked(), &body).run();
        assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(9), Some(5)));
    }
}

#[test]
pub(super) fn errors_are_read_wherever_they_stand() {
    let kind = |status: u16, response: Value| {
        let mut exchange = Exchange::json(PATH, HOST, &asked(), &response);
        exchange.status = status;
        exchange.run().error.unwrap().kind
    };
    // OpenAI and most; OpenRouter; Azure; Google's compatible API, in a list.
    // (What was limited is no error's name.)
    let openai =
        json!({"error": {"message": "m", "type": "tokens", "code": "rate_limit_exceeded"}});
    assert_eq!(kind(429, openai), "rate_limit_exceeded");
    assert_eq!(kind(402, json!({"error": {"message": "m", "code": 402}, "user_id": "u"})), "402");
    assert_eq!(
        kind(401, json!({"error": {"code": "Unauthorized", "message": "m"}})),
        "Unauthorized"
    );
    let google = json!([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}]);
    assert_eq!(kind(400, google), "INVALID_ARGUMENT");
    // vLLM and Mistral before; Cerebras; Databricks; Writer; xAI; AWS; FastAPI; plain text.
    assert_eq!(
        kind(404, json!({"object": "error", "message": "m", "type": "NotFoundError", "code": 404})),
        "NotFoundError"
    );
    let cerebras = json!({"message": "m", "type": "not_found_error", "param": "model", "code": "model_not_found"});
    assert_eq!(kind(404, cerebras), "not_found_error");
    assert_eq!(
        kind(403, json!({"error_code": "PERMISSION_DENIED", "message": "m"})),
        "PERMISSION_DENIED"
    );
    assert_eq!(
        kind(400, json!({"tpe": "BadRequest", "errors": [{"description": "d"}]})),
        "BadRequest"
    );
    assert_eq!(kind(400, json!({"code": "invalid-argument", "error": "m"})), "invalid-argument");
    assert_eq!(
        kind(400, json!({"__type": "com.amazon#ValidationException", "message": "m"})),
        "ValidationException"
    );
    assert_eq!(
        kind(422, json!({"detail": [{"loc": ["body"], "msg": "m", "type": "missing"}]})),
        "422"
    );
    assert_eq!(
        kind(404, json!({"type": "urn:problem:not-found", "title": "t", "status": 404})),
        "404"
    );
    assert_eq!(kind(503, json!("down")), "503");
    assert_eq!(kind(404, json!({"id": "x", "message": "model was removed"})), "404");
}

#[test]
pub(super) fn failed_choice_is_told() {
    let response = json!({"id": "gen-1", "choices": [{"index": 0, "message": {"content": "He"},
        "finish_reason": "error", "error": {"code": 502, "message": "upstream"}}]});
    let call =
        Exchange::json("/api/v1/chat/completions", "openrouter.ai", &asked(), &response).run();
    assert_eq!(reasons(&call), ["error"]);
    assert_eq!(call.error.unwrap().kind, "502");
}

#[test]
pub(super) fn requests_are_read_under_every_name() {
    let request =
        json!({"model_id": "m", "messages": [], "random_seed": 7, "reasoning": {"effort": "low"}});
    let call =
        Exchange::json(PATH, HOST, &request, &whole(&json!({"content": "a"}), &Value::Null)).run();
    assert_eq!((call.request.model.as_deref(), call.request.seed), (Some("m"), Some(7)));
    assert_eq!(call.request.reasoning_level.as_deref(), Some("low"));
}

#[test]
pub(super) fn first_paths_of_the_api_name_the_model() {
    let response = json!({"id": "c1", "model": "davinci:2020-05-03",
        "choices": [{"text": "a", "index": 0, "finish_reason": "length"}]});
    let request = json!({"prompt": "Hi", "max_tokens": 5});
    let call =
        Exchange::json("/v1/engines/davinci/completions", "api.openai.com", &request, &response)
            .run();
    assert_eq!(
        (call.name, call.request.model.as_deref()),
        (OperationName::TextCompletion, Some("davinci"))
    );
    assert_eq!(reasons(&call), ["length"]);
    let target = "/openai/deployments/mine/extensions/chat/completions?api-version=1";
    let call = Exchange::json(
        target,
        "x.openai.azure.com",
        &asked(),
        &whole(&json!({"content": "a"}), &Value::Null),
    )
    .run();
    assert_eq!((&*call.provider, call.name), ("azure.ai.openai", OperationName::Chat));
}
