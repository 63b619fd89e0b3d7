//! Every event carries the time at which its last byte passed, however it was cut and framed.

use super::{super::eventstream::tests::event, *};

/// An exchange whose first event of the answer is over with the byte before this one.
type Row = (&'static str, Exchange<'static>, usize);

fn rows() -> Vec<Row> {
    let chat = json!({"model": "m", "messages": [], "stream": true});
    let sse =
        |body: &'static str| Exchange::sse("/v1/chat/completions", "api.openai.com", &chat, body);
    let labelled = |target, host, kind, response: &[u8]| {
        let mut exchange = Exchange::json(target, host, &chat, &Value::Null);
        exchange.kind = kind;
        exchange.response = response.to_vec();
        exchange
    };
    let events = [
        r#"data: {"choices":[{"delta":{"content":"a"}}]}"#,
        r#"data: {"choices":[{"delta":{"content":"b"}}]}"#,
    ];
    let [first, second] = events;
    let leak = |text: String| -> &'static str { text.leak() };
    let line = r#"{"model":"m","message":{"content":"a"},"done":false}"#;
    let lines = format!("{line}\n{line}\n");
    let ollama = |kind| labelled("/api/chat", "localhost:11434", kind, lines.as_bytes());
    let element = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#;
    let list = format!("[{element}\n,{element}]");
    let delta = event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"a"}}"#);
    vec![
        ("LF", sse(leak(format!("{first}\n\n{second}\n\n"))), first.len() + 2),
        ("CRLF", sse(leak(format!("{first}\r\n\r\n{second}\r\n\r\n"))), first.len() + 3),
        ("CR", sse(leak(format!("{first}\r\r{second}\r\r"))), first.len() + 2),
        ("comment", sse(leak(format!(": hi\n\n{first}\n: hi\n\n"))), first.len() + 13),
        ("last event without its end", sse(first), first.len()),
        ("lines", ollama("application/x-ndjson"), line.len()),
        ("lines that nothing labels", ollama("application/json"), line.len()),
        (
            "list",
            labelled(
                "/v1beta/models/g:streamGenerateContent",
                "generativelanguage.googleapis.com",
                "application/json",
                list.as_bytes(),
            ),
            1 + element.len(),
        ),
        (
            "AWS event stream",
            labelled(
                "/model/m/converse-stream",
                "bedrock-runtime.eu-west-1.amazonaws.com",
                "application/vnd.amazon.eventstream",
                &[&delta[..], &delta].concat(),
            ),
            delta.len(),
        ),
    ]
}

#[test]
pub(super) fn events_carry_the_time_of_their_last_byte() {
    for (name, exchange, bytes) in rows() {
        for size in [1, 2, 5] {
            let call = exchange.run_in(size).expect("an LLM call");
            // The clock: 100, the request's head, its pieces and its end, the response's head, the
            // pieces of the response.
            let before = 100 + 1 + exchange.request.len().div_ceil(size) + 2;
            let expected = before + bytes.div_ceil(size);
            let first = call.timing.first_chunk.expect("a stream");
            assert_eq!(first.0, expected as u64, "{name} in pieces of {size}");
        }
    }
}

/// A client that leaves behind the end mark ends its call there, not when it closes.
#[test]
pub(super) fn end_mark_carries_the_time_of_its_last_byte() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]";
    let chat = json!({"model": "m", "messages": [], "stream": true});
    let mut exchange = Exchange::sse("/v1/chat/completions", "api.openai.com", &chat, body);
    exchange.how = Ended::ServerClosed;
    let call = exchange.run_in(1).expect("an LLM call");
    let before = 100 + 1 + exchange.request.len() + 2;
    assert_eq!(call.end.how, Ended::Complete);
    assert_eq!(call.timing.end.0, (before + body.len()) as u64);
}
