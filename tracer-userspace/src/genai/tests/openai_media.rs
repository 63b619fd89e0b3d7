//! OpenAI's images, audio and moderations.

use super::*;

const HOST: &str = "api.openai.com";
const FORM: &str = "multipart/form-data; boundary=b0";

/// A form of these fields; one without a value is a file.
fn form(fields: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\""));
        match value {
            Some(value) => body.push_str(&format!("\r\n\r\n{value}\r\n")),
            None => {
                body.push_str("; filename=\"f\"\r\nContent-Type: image/png\r\n\r\n\0\r\n--b\r\n");
            }
        }
    }
    body.push_str("--b0--\r\n");
    body.into_bytes()
}

fn upload(
    target: &'static str,
    fields: &[(&str, Option<&str>)],
    answer: &Value,
) -> Exchange<'static> {
    let mut exchange = Exchange::json(target, HOST, &Value::Null, answer);
    exchange.request = form(fields);
    exchange.headers = vec![("content-type", FORM)];
    exchange
}

#[test]
pub(super) fn images_are_generated() {
    let request = json!({"model": "img", "prompt": "A fox", "n": 2, "size": "1024x1024"});
    let inline = "A".repeat(200_000);
    let response = json!({"created": 1, "data": [{"url": "https://example.org/1.png"},
        {"b64_json": inline}], "usage": {"input_tokens": 9, "output_tokens": 400,
            "input_tokens_details": {"text_tokens": 4, "image_tokens": 5},
            "output_tokens_details": {"image_tokens": 400, "text_tokens": 0}}});
    let mut exchange = Exchange::json("/v1/images/generations", HOST, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run_in(1000).unwrap();
    schemas::check_all(&call);
    assert_eq!(call.name, OperationName::GenerateContent);
    assert_eq!((call.request.output_type, call.request.choice_count), (Some("image"), Some(2)));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(9), Some(400)));
    assert_eq!((call.usage.input.text, call.usage.input.image), (Some(4), Some(5)));
    assert_eq!(call.usage.output.image, Some(400));
    assert_eq!(call.unreadable, None);
    let content = call.content.unwrap();
    assert_eq!(content.input_messages.unwrap()[0]["parts"][0]["content"], "A fox");
    let output = content.output_messages.unwrap();
    assert_eq!(output[0]["parts"][0]["uri"], "https://example.org/1.png");
}

#[test]
pub(super) fn image_forms_are_read() {
    let fields = [
        ("image[]", None),
        ("model", Some("img")),
        ("prompt", Some("Say \"hi\"")),
        ("n", Some("3")),
        ("stream", Some("true")),
    ];
    let answer = json!({"data": []});
    let mut exchange = upload("/v1/images/edits", &fields, &answer);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!(call.request.model.as_deref(), Some("img"));
    assert_eq!((call.request.choice_count, call.request.stream), (Some(3), true));
    let input = call.content.unwrap().input_messages.unwrap();
    assert_eq!(input[0]["parts"][0]["content"], "Say \"hi\"");
    let fields = [("image", None), ("n", Some("1"))];
    let call = upload("/v1/images/variations", &fields, &answer).run();
    assert_eq!((call.request.model, call.request.choice_count), (None, None));
}

#[test]
pub(super) fn images_are_streamed() {
    let request = json!({"model": "img", "prompt": "A fox", "stream": true, "partial_images": 1});
    let event = |kind: &str, rest: &str| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"b64_json\":\"AAAA\"{rest}}}\n\n")
    };
    let body = event("image_generation.partial_image", "")
        + &event("image_generation.completed", ",\"usage\":{\"output_tokens\":7}");
    let mut exchange = Exchange::sse("/v1/images/generations", HOST, &request, &body);
    exchange.how = Ended::ClientGone;
    let call = exchange.run();
    assert_eq!((call.response.chunks, call.usage.output_tokens), (2, Some(7)));
    assert_eq!(call.end.how, Ended::Complete);
}

#[test]
pub(super) fn speech_becomes_text() {
    let fields = [("file", None), ("model", Some("stt")), ("temperature", Some("0.5"))];
    let answer = json!({"text": "Grüße", "usage": {"type": "tokens", "input_tokens": 14,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14}, "output_tokens": 3}});
    let mut exchange = upload("/v1/audio/transcriptions", &fields, &answer);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((call.name, call.request.temperature), (OperationName::GenerateContent, Some(0.5)));
    assert_eq!((call.usage.input_tokens, call.usage.input.audio), (Some(14), Some(14)));
    let text = |call: Operation| {
        call.content.unwrap().output_messages.unwrap()[0]["parts"][0]["content"].clone()
    };
    assert_eq!(text(call), "Grüße");

    exchange.kind = "text/plain; charset=utf-8";
    exchange.response = b"WEBVTT and more\n".to_vec();
    let call = exchange.run();
    assert_eq!(call.unreadable, None);
    assert_eq!(text(call), "WEBVTT and more");

    exchange.kind = "text/event-stream";
    exchange.response = b"data: {\"type\":\"transcript.text.delta\",\"delta\":\"He\"}\n\n\
        data: {\"type\":\"transcript.text.delta\",\"delta\":\"y\"}\n\n\
        data: {\"type\":\"transcript.text.done\",\"text\":\"Hey\",\
        \"usage\":{\"output_tokens\":2}}\n\n"
        .to_vec();
    let call = exchange.run();
    assert_eq!((call.response.chunks, call.usage.output_tokens), (2, Some(2)));
    assert_eq!(text(call), "Hey");
}

#[test]
pub(super) fn text_becomes_speech() {
    let request = json!({"model": "tts", "input": "Hello", "voice": "a", "instructions": "calm"});
    let mut exchange = Exchange::json("/v1/audio/speech", HOST, &request, &Value::Null);
    for kind in ["audio/mpeg", "application/octet-stream"] {
        exchange.kind = kind;
        for sound in [&b"data: \xff\n\n"[..], b"{\xff\x00", b"ID3\x04\x00", &[0x80; 100_000]] {
            exchange.response = sound.to_vec();
            let call = exchange.run_in(999).unwrap();
            assert_eq!((call.request.output_type, call.unreadable), (Some("speech"), None));
            assert_eq!((call.response.chunks, call.error), (0, None));
        }
    }
    exchange.kind = "text/event-stream";
    exchange.response = b"data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n\
        data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":4}}\n\n"
        .to_vec();
    let call = exchange.run();
    assert_eq!((call.response.chunks, call.usage.input_tokens), (1, Some(4)));
    exchange.kind = "application/json";
    exchange.status = 400;
    exchange.response = br#"{"error": {"type": "invalid_request_error"}}"#.to_vec();
    assert_eq!(exchange.run().error.unwrap().kind, "invalid_request_error");
}

#[test]
pub(super) fn moderations_are_told() {
    let request = json!({"model": "mod", "input": ["a", {"type": "text", "text": "b"}]});
    let response = json!({"id": "modr-1", "model": "mod-7", "results": [{"flagged": false}]});
    let call = Exchange::json("/v1/moderations", HOST, &request, &response).run();
    assert_eq!((call.name, call.name.as_str()), (OperationName::Moderation, "moderation"));
    assert_eq!(call.response.id.as_deref(), Some("modr-1"));
    assert_eq!(call.response.model.as_deref(), Some("mod-7"));
}

#[test]
pub(super) fn deployments_of_each_kind_are_known() {
    let host = "x.openai.azure.com";
    for (path, request) in [
        ("images/generations", json!({"prompt": "A fox"})),
        ("audio/speech", json!({"input": "Hello"})),
    ] {
        let target = format!("/openai/deployments/mine/{path}?api-version=1");
        let call = Exchange::json(&target, host, &request, &json!({"data": []})).run();
        assert_eq!(call.request.model.as_deref(), Some("mine"));
        assert_eq!(call.provider, "azure.ai.openai");
    }
    let fields = [("file", None)];
    let mut exchange = upload("/openai/deployments/mine/audio/translations", &fields, &json!({}));
    exchange.host = host;
    assert_eq!(exchange.run().request.model.as_deref(), Some("mine"));
}
