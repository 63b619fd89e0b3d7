//! Google's other ways to ask: code assistants, tuned models, PaLM.

use super::*;

const GEMINI: &str = "generativelanguage.googleapis.com";

fn text(call: &Operation) -> String {
    let messages = call.content.as_ref().unwrap().output_messages.as_ref().unwrap();
    let parts = messages[0]["parts"].as_array().unwrap().iter();
    parts.filter_map(|part| part["content"].as_str()).collect()
}

fn with_content(mut exchange: Exchange<'_>) -> Operation {
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    call
}

#[test]
pub(super) fn code_assistants_envelope_is_opened() {
    let host = "cloudcode-pa.googleapis.com";
    let request = json!({"model": "gemini-2.5-pro", "project": "p", "request": {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0.0, "maxOutputTokens": 9},
        "tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]}});
    let part = |text: &str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]});
    let last = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "a", "args": {}}}]},
        "finishReason": "STOP"}], "modelVersion": "gemini-2.5-pro", "responseId": "r1",
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2}});
    let body: String = [part("He"), part("y"), last.clone()]
        .iter()
        .map(|response| format!("data: {}\r\n\r\n", json!({"response": response})))
        .collect();
    let target = "/v1internal:streamGenerateContent?alt=sse";
    let call = with_content(Exchange::sse(target, host, &request, &body));
    assert_eq!((call.name, &*call.provider), (OperationName::GenerateContent, "gcp.gen_ai"));
    assert_eq!(call.request.model.as_deref(), Some("gemini-2.5-pro"));
    assert_eq!((call.request.max_tokens, call.request.tools), (Some(9), Some(2)));
    assert_eq!((call.request.stream, &*text(&call)), (true, "Hey"));
    assert_eq!((reasons(&call), &*call.response.tool_calls), (vec!["STOP"], &["a".to_owned()][..]));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(9), Some(6)));
    assert_eq!(call.response.id.as_deref(), Some("r1"));
    let whole = json!({"response": last});
    let call = with_content(Exchange::json("/v1internal:generateContent", host, &request, &whole));
    assert_eq!((reasons(&call), call.usage.reasoning_output_tokens), (vec!["STOP"], Some(2)));
    assert_eq!(call.content.unwrap().input_messages.unwrap()[0]["parts"][0]["content"], "Hi");
}

#[test]
pub(super) fn tuned_models_are_named_by_their_path() {
    let request = json!({"contents": [{"parts": [{"text": "Hi"}]}]});
    let response =
        json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]});
    let vertex = "europe-west4-aiplatform.googleapis.com";
    for (target, host, model) in [
        ("/v1beta/tunedModels/mine:generateContent", GEMINI, "mine"),
        ("/v1/projects/p/locations/l/endpoints/77:generateContent", vertex, "77"),
        ("/v1/projects/p/locations/l/endpoints/77:streamGenerateContent", vertex, "77"),
        (
            "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
            "aiplatform.eu.rep.googleapis.com",
            "g",
        ),
    ] {
        let call = Exchange::json(target, host, &request, &response).run();
        assert_eq!((call.request.model.as_deref(), reasons(&call)), (Some(model), vec!["STOP"]));
    }
    // One that speaks OpenAI's format, on an endpoint of one's own.
    let request = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3});
    let response = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "length"}]});
    let target = "/v1/projects/p/locations/l/endpoints/78:rawPredict";
    let call = Exchange::json(target, vertex, &request, &response).run();
    assert_eq!((call.request.model.as_deref(), reasons(&call)), (Some("78"), vec!["length"]));
}

#[test]
pub(super) fn palm_is_read() {
    let request = json!({"prompt": {"text": "Hi"}, "temperature": 0.2, "candidateCount": 2,
        "maxOutputTokens": 8});
    let response =
        json!({"candidates": [{"output": "Hey", "safetyRatings": []}, {"output": "Ho"}]});
    let target = "/v1beta2/models/text-bison-001:generateText";
    let call = with_content(Exchange::json(target, GEMINI, &request, &response));
    assert_eq!(
        (call.name, call.request.model.as_deref()),
        (OperationName::TextCompletion, Some("text-bison-001"))
    );
    assert_eq!((call.request.max_tokens, call.request.choice_count), (Some(8), Some(2)));
    assert_eq!((&*text(&call), reasons(&call)), ("Hey", Vec::new()));

    let request = json!({"prompt": {"context": "Be brief", "messages": [{"content": "Hi"}]}});
    let response = json!({"candidates": [{"author": "1", "content": "Hey"}], "messages": []});
    let target = "/v1beta2/models/chat-bison-001:generateMessage";
    let call = with_content(Exchange::json(target, GEMINI, &request, &response));
    assert_eq!((call.name, &*text(&call)), (OperationName::Chat, "Hey"));
    assert!(call.content.unwrap().system_instructions.is_some());

    let blocked = json!({"filters": [{"reason": "SAFETY"}]});
    let call = Exchange::json(target, GEMINI, &request, &blocked).run();
    assert_eq!(call.error.unwrap().kind, "SAFETY");

    let target = "/v1beta3/models/embedding-gecko-001:embedText";
    let response = json!({"embedding": {"value": [0.1]}});
    let call = Exchange::json(target, GEMINI, &json!({"text": "Hi"}), &response).run();
    assert_eq!((call.name, call.usage), (OperationName::Embeddings, Usage::default()));
}
