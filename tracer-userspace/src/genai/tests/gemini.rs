//! Google's generate-content API.

use super::*;

const HOST: &str = "generativelanguage.googleapis.com";

fn asked() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "Hi"},
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {}}}]}],
        "system_instruction": {"parts": [{"text": "Be brief"}]},
        "generationConfig": {"maxOutputTokens": 9, "temperature": 0.5, "topP": 0.9, "topK": 4,
            "candidateCount": 2, "stopSequences": ["x"], "seed": 3,
            "responseMimeType": "application/json", "thinkingConfig": {"thinkingLevel": "low"}},
        "tools": [{"functionDeclarations": [{"name": "look"}, {"name": "act"}]},
            {"googleSearch": {}}]})
}

fn answer(parts: &Value, reason: &Value) -> Value {
    json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": parts},
            "finishReason": reason}],
        "usageMetadata": {"promptTokenCount": 10, "toolUsePromptTokenCount": 5,
            "cachedContentTokenCount": 4, "candidatesTokenCount": 6, "thoughtsTokenCount": 7,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3},
                {"modality": "AUDIO", "tokenCount": 7}, {"modality": "DOCUMENT", "tokenCount": 0}],
            "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 6}, {"modality": 1}]},
        "modelVersion": "gemini-x-1", "responseId": "r1"})
}

#[test]
pub(super) fn whole_answer_is_read() {
    let parts = json!([{"text": "hm", "thought": true}, {"text": "Hello"},
        {"functionCall": {"name": "look", "args": {"a": 1}}}]);
    let response = answer(&parts, &json!("STOP"));
    let target = "/v1beta/models/gemini-x:generateContent?key=secret";
    let mut exchange = Exchange::json(target, HOST, &asked(), &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((call.provider.as_str(), call.name), ("gcp.gemini", OperationName::GenerateContent));
    let request = &call.request;
    assert_eq!(request.model.as_deref(), Some("gemini-x"));
    assert_eq!(
        (request.max_tokens, request.choice_count, request.seed),
        (Some(9), Some(2), Some(3))
    );
    assert_eq!((request.top_k, request.output_type), (Some(4.0), Some("json")));
    assert_eq!(request.reasoning_level.as_deref(), Some("low"));
    assert_eq!((request.tools, request.stream), (Some(3), false));
    assert_eq!(reasons(&call), ["STOP"]);
    assert_eq!(call.response.tool_calls, ["look"]);
    // Input: prompt and results of the provider's tools. Output: candidates and thoughts.
    assert_eq!(
        call.usage,
        Usage {
            input_tokens: Some(15),
            output_tokens: Some(13),
            cache_read_input_tokens: Some(4),
            cache_write_input_tokens: None,
            reasoning_output_tokens: Some(7),
            input: Modalities { text: Some(8), audio: Some(7), ..Modalities::default() },
            output: Modalities { image: Some(6), ..Modalities::default() },
            cache_read: Modalities { audio: Some(4), ..Modalities::default() },
        }
    );
    let content = call.content.unwrap();
    assert_eq!(content.system_instructions, Some(json!([{"type": "text", "content": "Be brief"}])));
    assert_eq!(
        content.output_messages.unwrap()[0]["parts"],
        json!([{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hello"},
            {"type": "tool_call", "name": "look", "arguments": {"a": 1}}])
    );
}

#[test]
pub(super) fn both_kinds_of_stream_are_folded() {
    let first = answer(&json!([{"text": "Hel"}]), &Value::Null);
    let mut last = answer(&json!([{"text": "lo"}]), &json!("MAX_TOKENS"));
    last["usageMetadata"]["candidatesTokenCount"] = 8.into();
    let list = format!("[{first:#}\n,\r\n{last:#}\n]");
    let sse = format!("data: {first}\r\n\r\ndata: {last}\r\n\r\n");
    let target = "/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent";
    for (kind, body) in [("application/json", list), ("text/event-stream", sse)] {
        let mut exchange =
            Exchange::sse(target, "us-east1-aiplatform.googleapis.com", &asked(), &body);
        exchange.kind = kind;
        exchange.capture_content = true;
        let call = exchange.run();
        assert_eq!((call.provider.as_str(), call.request.stream), ("gcp.vertex_ai", true));
        assert_eq!((reasons(&call), call.response.chunks), (vec!["MAX_TOKENS"], 2));
        // The counts of the last element: 8 and 7.
        assert_eq!(call.usage.output_tokens, Some(15));
        let output = call.content.unwrap().output_messages.unwrap();
        assert_eq!(output[0]["parts"], json!([{"type": "text", "content": "Hello"}]));
        // Inside the second element, before its reason.
        exchange.response.truncate(exchange.response.len() / 2 + 20);
        exchange.how = Ended::ClientGone;
        assert_eq!(reasons(&exchange.run()), ["error"]);
    }
}

#[test]
pub(super) fn blocked_prompt_is_an_error() {
    let response = json!({"promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 3}});
    let target = "/v1beta/models/g:generateContent";
    let call = Exchange::json(target, HOST, &asked(), &response).run();
    assert_eq!(call.error.as_ref().unwrap().kind, "SAFETY");
    assert_eq!((reasons(&call).len(), call.usage.input_tokens), (0, Some(3)));
}

#[test]
pub(super) fn error_status_names_the_kind() {
    let error = json!({"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}});
    for (method, body) in
        [("generateContent", error.clone()), ("streamGenerateContent", json!([error]))]
    {
        let target = format!("/v1beta/models/g:{method}");
        let mut exchange = Exchange::json(&target, HOST, &asked(), &body);
        exchange.status = 429;
        let error = exchange.run().error.unwrap();
        assert_eq!(
            (error.kind.as_str(), error.message.as_deref()),
            ("RESOURCE_EXHAUSTED", Some("no"))
        );
    }
}

#[test]
pub(super) fn embeddings_are_recognized() {
    let request = json!({"requests": [{"content": {"parts": []}, "outputDimensionality": 768}]});
    let response = json!({"embeddings": [{"values": [0.1]}],
        "usageMetadata": {"promptTokenCount": 4}});
    let target = "/v1beta/models/emb:batchEmbedContents";
    let call = Exchange::json(target, HOST, &request, &response).run();
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::Embeddings, Some(4)));
    assert_eq!(call.request.model.as_deref(), Some("emb"));
    assert_eq!(call.request.embedding_dimensions, Some(768));
}

#[test]
pub(super) fn long_text_is_marked_as_cut() {
    let response = answer(&json!([{"text": "x".repeat(200_000)}]), &json!("STOP"));
    let target = "/v1beta/models/g:generateContent";
    let mut exchange = Exchange::json(target, HOST, &asked(), &response);
    exchange.capture_content = true;
    let call = exchange.run_in(1000).unwrap();
    assert_eq!((reasons(&call), call.usage.input_tokens), (vec!["STOP"], Some(15)));
    let content = call.content.unwrap();
    assert!(content.truncated);
    let text = &content.output_messages.unwrap()[0]["parts"][0]["content"];
    assert!(text.as_str().unwrap().contains("bytes left out"));
}
