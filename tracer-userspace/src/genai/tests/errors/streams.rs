//! Errors within a stream that began well, and answers that were cut.

use super::{super::super::eventstream::tests as frames, *};

/// A piece of an answer, then the error.
#[test]
fn errors_within_streams() {
    let chunk =
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}"#;
    let chat = |error: &str| format!("{chunk}\n\n{error}\n\n");
    let message = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"id\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n";
    let response = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"status\":\"in_progress\"}}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hel\"}\n\n";
    for (api, body, kind, words) in [
        (
            &OPENAI,
            chat(r#"data: {"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#),
            "server_error",
            "The server had an error",
        ),
        (
            &GROQ,
            chat("event: error\ndata: {\"error\":{\"message\":\"Over capacity\",\"type\":\"internal_server_error\"}}"),
            "internal_server_error",
            "Over capacity",
        ),
        (
            &GROQ,
            chat(r#"data: {"id":"c","choices":[],"x_groq":{"id":"r","error":"over capacity"}}"#),
            "_OTHER",
            "over capacity",
        ),
        (
            &OPENROUTER,
            chat(r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":"server_error","message":"Provider disconnected"}}"#),
            "server_error",
            "Provider disconnected",
        ),
        // The end mark behind an error ends no answer.
        (
            &VLLM,
            chat("data: {\"error\":{\"object\":\"error\",\"message\":\"engine died\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\ndata: [DONE]"),
            "InternalServerError",
            "engine died",
        ),
        (
            &VLLM,
            chat("data: {\"object\":\"error\",\"message\":\"engine died\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}\n\ndata: [DONE]"),
            "InternalServerError",
            "engine died",
        ),
        (
            &MISTRAL,
            chat(r#"data: {"object":"error","message":"Service unavailable","type":"internal_server_error","param":null,"code":"3000"}"#),
            "internal_server_error",
            "Service unavailable",
        ),
        (
            &ANTHROPIC,
            format!("{message}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}}}\n\n"),
            "overloaded_error",
            "Overloaded",
        ),
        (
            &RESPONSES,
            format!("{response}event: error\ndata: {{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"It broke\",\"param\":null,\"sequence_number\":3}}\n\n"),
            "server_error",
            "It broke",
        ),
        (
            &RESPONSES,
            format!("{response}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"No more\"}}}}\n\n"),
            "insufficient_quota",
            "No more",
        ),
        (
            &RESPONSES,
            format!("{response}event: response.failed\ndata: {{\"type\":\"response.failed\",\"response\":{{\"id\":\"r\",\"status\":\"failed\",\"error\":{{\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down\"}}}}}}\n\n"),
            "rate_limit_exceeded",
            "Slow down",
        ),
        (
            &COHERE,
            "event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"c\"}\n\nevent: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"Hel\"}}}}\n\nevent: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"error\":\"internal server error\",\"finish_reason\":\"ERROR\"}}\n\n".to_owned(),
            "_OTHER",
            "internal server error",
        ),
        (
            &TGI_STREAM,
            "data:{\"index\":1,\"token\":{\"id\":1,\"text\":\"Hel\",\"special\":false},\"generated_text\":null,\"details\":null}\n\ndata:{\"error\":\"Request failed during generation\",\"error_type\":\"generation\"}\n\n".to_owned(),
            "generation",
            "Request failed during generation",
        ),
        (
            &WATSONX_STREAM,
            "id: 1\nevent: message\ndata: {\"model_id\":\"m\",\"results\":[{\"generated_text\":\"Hel\",\"generated_token_count\":1,\"stop_reason\":\"not_finished\"}]}\n\nid: 2\nevent: error\ndata: {\"errors\":[{\"code\":\"downstream_request_failed\",\"message\":\"It broke\"}],\"trace\":\"t\",\"status_code\":500}\n\n".to_owned(),
            "downstream_request_failed",
            "It broke",
        ),
    ] {
        println!("{} {body}", api.1);
        let call = Exchange::sse(api.0, api.1, &asked(), &body).run();
        check(&call, kind, words);
        // These two tell how their answers ended.
        let expected = match kind {
            "_OTHER" if body.contains("message-end") => "ERROR",
            "rate_limit_exceeded" => "failed",
            _ => "error",
        };
        assert_eq!(reasons(&call), [expected], "{body}");
        assert_eq!(call.response.chunks, 1, "{body}");
    }
}

#[test]
fn errors_between_lines_and_elements() {
    let line = r#"{"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}"#;
    let mut exchange = answered(
        &OLLAMA,
        200,
        &format!("{line}\n{{\"error\":\"an error was encountered while running the model\"}}\n"),
    );
    exchange.kind = "application/x-ndjson";
    let call = exchange.run();
    check(&call, "_OTHER", "an error was encountered while running the model");
    assert_eq!(reasons(&call), ["error"]);

    let element =
        r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}]}"#;
    let error = r#"{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}"#;
    let call = answered(&GEMINI_STREAM, 200, &format!("[{element}\n,\r\n{error}]")).run();
    check(&call, "UNAVAILABLE", "Overloaded");
    assert_eq!(reasons(&call), ["error"]);

    let lines = "{\"event_type\":\"text-generation\",\"text\":\"Hel\"}\n{\"event_type\":\"stream-end\",\"finish_reason\":\"ERROR\",\"response\":{\"text\":\"Hel\",\"finish_reason\":\"ERROR\"}}\n";
    let mut exchange = answered(&COHERE_1, 200, lines);
    exchange.kind = "application/stream+json";
    let call = exchange.run();
    assert_eq!(reasons(&call), ["ERROR"]);
}

#[test]
fn exceptions_within_event_streams() {
    let events = [
        frames::event("messageStart", r#"{"role":"assistant"}"#),
        frames::event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel"}}"#),
    ]
    .concat();
    for (headers, payload, kind, words) in [
        (
            &[(":exception-type", "throttlingException"), (":message-type", "exception")][..],
            r#"{"message":"Too many tokens"}"#,
            "throttlingException",
            "Too many tokens",
        ),
        (
            &[(":exception-type", "modelStreamErrorException"), (":message-type", "exception")],
            r#"{"message":"It broke","originalMessage":"x","originalStatusCode":500}"#,
            "modelStreamErrorException",
            "It broke",
        ),
        // An error that the framing tells has no payload.
        (
            &[
                (":error-code", "InternalError"),
                (":error-message", "An internal server error occurred"),
                (":message-type", "error"),
            ],
            "",
            "InternalError",
            "An internal server error occurred",
        ),
    ] {
        let mut exchange = answered(&CONVERSE_STREAM, 200, "");
        exchange.kind = "application/vnd.amazon.eventstream";
        exchange.response = [events.clone(), frames::message(headers, payload.as_bytes())].concat();
        let call = exchange.run();
        check(&call, kind, words);
        assert_eq!(reasons(&call), ["error"], "{kind}");
    }
}

/// What did not come although it was on its way: the answer's finish.
#[test]
fn cut_streams_have_no_finish() {
    let chunk = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}},{\"index\":1,\"delta\":{\"content\":\"Hal\"},\"finish_reason\":\"stop\"}]}\n\n";
    for (body, how, expected) in [
        (chunk, Ended::ServerReset, &["error", "stop"][..]),
        (chunk, Ended::ClientGone, &["error", "stop"]),
        (chunk, Ended::Complete, &["error", "stop"]),
        // Nothing of the answer came before the end.
        ("", Ended::ClientGone, &["error"]),
        ("", Ended::ServerClosed, &["error"]),
    ] {
        let mut exchange = Exchange::sse(OPENAI.0, OPENAI.1, &asked(), body);
        exchange.how = how;
        assert_eq!(reasons(&exchange.run()), expected, "{how:?} {body}");
    }
    // llmtap's own end says nothing of the answer's.
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    for (body, how) in [(begun, Ended::TracerStopped), ("", Ended::TracerStopped), ("", Ended::Gap)]
    {
        let mut exchange = Exchange::sse(OPENAI.0, OPENAI.1, &asked(), body);
        exchange.how = how;
        assert_eq!(reasons(&exchange.run()), [""; 0], "{how:?}");
    }
}
