//! The lesser services over gRPC, whose messages are written here field by field.

use super::{
    grpc::{OK, run},
    *,
};

/// A base-128 number (<https://protobuf.dev/programming-guides/encoding>).
fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn int(field: u64, value: u64) -> Vec<u8> {
    [number(field << 3), number(value)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [number(field << 3 | 2), number(value.len() as u64), value.to_vec()].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    bytes(field, value.as_bytes())
}

fn message(field: u64, members: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, &members.concat())
}

const VERTEX: &str = "us-central1-aiplatform.googleapis.com";
const GEMINI: &str = "generativelanguage.googleapis.com";
const XAI: &str = "api.x.ai";

#[test]
pub(super) fn gemini_api_is_read_over_grpc() {
    let content = message(2, &[message(1, &[text(2, "Hi")]), text(2, "user")]);
    let config = message(4, &[int(4, 9)]);
    let request = [text(1, "models/gemini-9"), content, config].concat();
    let counted =
        |field: u64, modality: u64, count: u64| message(field, &[int(1, modality), int(2, count)]);
    let response = |words: &str, reason: u64| {
        let part = message(1, &[text(2, words)]);
        let candidate = message(1, &[message(1, &[part, text(2, "model")]), int(2, reason)]);
        let usage = message(
            3,
            &[
                int(1, 4),
                int(2, 2),
                int(4, 1),
                int(8, 3),
                int(10, 5),
                counted(5, 1, 3),
                counted(5, 2, 1),
            ],
        );
        [candidate, usage, text(4, "gemini-9-001"), text(5, "r1")].concat()
    };
    let path = "/google.ai.generativelanguage.v1beta.GenerativeService/GenerateContent";
    let call = run((GEMINI, path), &request, &[response("Hey", 1)], OK);
    assert_eq!((&*call.provider, call.request.model.as_deref()), ("gcp.gemini", Some("gemini-9")));
    assert_eq!((call.request.max_tokens, reasons(&call)), (Some(9), vec!["STOP"]));
    // 4 + 3 of tools; 2 + 5 of thoughts.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(7), Some(7)));
    assert_eq!(call.usage.cache_read_input_tokens, Some(1));
    assert_eq!((call.usage.input.text, call.usage.input.image), (Some(3), Some(1)));
    let path = "/google.ai.generativelanguage.v1beta.GenerativeService/StreamGenerateContent";
    let call = run((GEMINI, path), &request, &[response("He", 0), response("y", 2)], OK);
    assert_eq!((call.response.chunks, reasons(&call)), (2, vec!["MAX_TOKENS"]));
}

#[test]
pub(super) fn embeddings_and_predictions_are_read_over_grpc() {
    let content = message(2, &[message(1, &[text(2, "Hi")])]);
    let asked = [text(1, "models/e"), content, int(5, 64)].concat();
    let path = "/google.ai.generativelanguage.v1beta.GenerativeService/EmbedContent";
    let call = run((GEMINI, path), &asked, &[message(1, &[bytes(1, &[0; 8])])], OK);
    assert_eq!(
        (call.name, call.request.embedding_dimensions),
        (OperationName::Embeddings, Some(64))
    );
    let path = "/google.ai.generativelanguage.v1beta.GenerativeService/BatchEmbedContents";
    let request = [text(1, "models/e"), bytes(2, &asked)].concat();
    let call = run((GEMINI, path), &request, &[message(1, &[bytes(1, &[0; 8])])], OK);
    assert_eq!((call.name, call.request.model.as_deref()), (OperationName::Embeddings, Some("e")));
    // `Value`s: an instance `{"prompt": "Hi"}`, a prediction `{"content": "Hey"}`.
    let value = |field: u64, name: &str, text_of: &str| {
        let entry = message(1, &[text(1, name), message(2, &[text(3, text_of)])]);
        message(field, &[bytes(5, &entry)])
    };
    let request = [text(1, "projects/p/models/m"), value(2, "prompt", "Hi")].concat();
    let path = "/google.cloud.aiplatform.v1.PredictionService/Predict";
    let call = run((VERTEX, path), &request, &[value(1, "content", "Hey")], OK);
    assert_eq!((&*call.provider, call.request.model.as_deref()), ("gcp.vertex_ai", Some("m")));
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"][0]["content"], "Hey");
}

#[test]
pub(super) fn tokens_are_counted_over_grpc() {
    let path = "/google.ai.generativelanguage.v1beta.GenerativeService/CountTokens";
    let request = [text(1, "models/g"), message(2, &[])].concat();
    let call = run((GEMINI, path), &request, &[[int(1, 31), int(5, 20)].concat()], OK);
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::CountTokens, Some(31)));
    assert_eq!(call.usage.cache_read_input_tokens, Some(20));
    let path = "/google.cloud.aiplatform.v1.PredictionService/CountTokens";
    let request = [text(3, "publishers/google/models/g"), message(4, &[])].concat();
    let call = run((VERTEX, path), &request, &[int(1, 8)], OK);
    assert_eq!((call.request.model.as_deref(), call.usage.input_tokens), (Some("g"), Some(8)));
}

fn completion() -> Vec<u8> {
    let called = |id: &str, kind: u64, name: &str| {
        message(3, &[text(1, id), int(2, kind), message(10, &[text(1, name), text(2, "{}")])])
    };
    let said = message(
        3,
        &[
            text(1, "Hey"),
            int(2, 2),
            text(4, "hm"),
            called("a", 2, "web_search"),
            called("b", 1, "look"),
        ],
    );
    let usage = message(9, &[int(1, 3), int(2, 9), int(3, 18), int(4, 9), int(6, 6), int(7, 2)]);
    [text(1, "x1"), message(2, &[int(1, 4), said]), text(6, "grok-9-01"), usage].concat()
}

#[test]
pub(super) fn xai_answer_is_read() {
    let turn = message(1, &[message(1, &[text(1, "Hi")]), int(2, 1)]);
    let tool = message(17, &[message(1, &[text(1, "look")])]);
    let request = [turn, text(2, "grok-9"), tool, text(22, "x0")].concat();
    let call = run((XAI, "/xai_api.Chat/GetCompletion"), &request, &[completion()], OK);
    assert_eq!((call.name, call.request.model.as_deref()), (OperationName::Chat, Some("grok-9")));
    assert_eq!(
        (call.request.tools, call.request.previous_response_id.as_deref()),
        (Some(1), Some("x0"))
    );
    assert_eq!(
        (reasons(&call), call.response.id.as_deref()),
        (vec!["REASON_TOOL_CALLS"], Some("x1"))
    );
    // What xAI ran itself is no call to answer.
    assert_eq!(call.response.tool_calls, ["look"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(9), Some(9)));
    assert_eq!((call.usage.reasoning_output_tokens, call.usage.input.text), (Some(6), Some(9)));
    let stored = text(1, "x1");
    let call = run((XAI, "/xai_api.Chat/GetStoredCompletion"), &stored, &[completion()], OK);
    assert_eq!((call.name, call.usage), (OperationName::FetchResponse, Usage::default()));
    assert_eq!(call.response.id.as_deref(), Some("x1"));
}

#[test]
pub(super) fn xai_texts_vectors_and_images_are_read() {
    let request = [text(1, "Hi"), text(3, "grok"), int(7, 5)].concat();
    let sampled = |words: &str, reason: u64| {
        let usage = message(9, &[int(1, 2), int(2, 4), int(3, 6)]);
        let choice = message(2, &[int(1, reason), text(3, words)]);
        [text(1, "s1"), choice, text(6, "grok-1"), usage].concat()
    };
    let call = run((XAI, "/xai_api.Sample/SampleText"), &request, &[sampled("Hey", 1)], OK);
    assert_eq!((call.name, call.request.max_tokens), (OperationName::TextCompletion, Some(5)));
    assert_eq!((reasons(&call), call.usage.output_tokens), (vec!["REASON_MAX_LEN"], Some(2)));
    let all = [sampled("He", 0), sampled("y", 3)];
    let call = run((XAI, "/xai_api.Sample/SampleTextStreaming"), &request, &all, OK);
    assert_eq!((reasons(&call), call.response.chunks), (vec!["REASON_STOP"], 2));
    let request = [message(1, &[text(1, "Hi")]), text(2, "v1"), int(3, 2)].concat();
    let response =
        [text(1, "e1"), message(2, &[int(1, 0)]), message(3, &[int(1, 1)]), text(4, "v1")].concat();
    let call = run((XAI, "/xai_api.Embedder/Embed"), &request, &[response], OK);
    assert_eq!(
        (call.name, call.response.model.as_deref()),
        (OperationName::Embeddings, Some("v1"))
    );
    assert_eq!(call.request.encoding_formats, ["base64"]);
    let request = [text(1, "a cat"), text(2, "grok-image")].concat();
    let response =
        [message(1, &[text(3, "https://example.org/cat")]), text(2, "grok-image")].concat();
    let call = run((XAI, "/xai_api.Image/GenerateImage"), &request, &[response], OK);
    assert_eq!(
        (call.request.output_type, call.response.model.as_deref()),
        (Some("image"), Some("grok-image"))
    );
}
