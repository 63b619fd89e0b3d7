//! Bodies that are broken, huge or meant to harm.

use super::*;

const PATH: &str = "/v1/chat/completions";
const HOST: &str = "api.openai.com";

fn raw(request: &str, response: Vec<u8>) -> Exchange<'static> {
    let mut exchange = Exchange::json(PATH, HOST, &Value::Null, &Value::Null);
    exchange.request = request.as_bytes().to_vec();
    exchange.response = response;
    exchange
}

const ASKED: &str = r#"{"model":"m","messages":[]}"#;

#[test]
fn doubled_members_take_the_last() {
    let request = r#"{"model":"a","model":"b","temperature":1,"temperature":2,"messages":[]}"#;
    let response = br#"{"choices":[],"usage":{"prompt_tokens":1,"prompt_tokens":2},"id":"x"}"#;
    let call = raw(request, response.to_vec()).run();
    assert_eq!(call.request.model.as_deref(), Some("b"));
    assert_eq!(call.request.temperature, Some(2.0));
    assert_eq!((call.usage.input_tokens, call.response.id.as_deref()), (Some(2), Some("x")));
}

#[test]
fn numbers_out_of_range_are_left_out() {
    let response = br#"{"choices":[],"usage":{"prompt_tokens":18446744073709551616,
        "completion_tokens":-1,"prompt_tokens_details":{"cached_tokens":1.5},
        "completion_tokens_details":{"reasoning_tokens":1e400}},"id":"x"}"#;
    let call = raw(ASKED, response.to_vec()).run();
    assert_eq!(call.usage, Usage::default());
    assert_eq!(call.response.id.as_deref(), Some("x"));
    let most = br#"{"choices":[],"usage":{"prompt_tokens":18446744073709551615}}"#;
    assert_eq!(raw(ASKED, most.to_vec()).run().usage.input_tokens, Some(u64::MAX));
}

#[test]
fn members_of_other_types_are_absent() {
    let request = r#"{"model":5,"messages":{},"stream":"yes","stop":[1,"a"],"tools":3,"n":"2"}"#;
    let response = br#"{"id":[],"model":{"a":1},"usage":[3],"choices":[7,{"finish_reason":2},
        {"finish_reason":"stop","message":"x"}],"error":false}"#;
    let call = raw(request, response.to_vec()).run();
    assert_eq!(call.request.model, None);
    assert_eq!(call.request.stop_sequences, ["a"]);
    assert_eq!(call.response.id, None);
    assert_eq!(reasons(&call), ["error", "stop"]);
    assert_eq!(call.error, None);
}

#[test]
fn deep_nesting_is_stepped_over() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let request = format!(r#"{{"messages":{deep},"model":"m"}}"#);
    let response =
        format!(r#"{{"choices":[{{"message":{deep}}}],"usage":{{"x":{deep},"prompt_tokens":3}}}}"#);
    let mut exchange = raw(&request, response.into_bytes());
    exchange.capture_content = true;
    let call = exchange.run_in(1000).unwrap();
    assert_eq!(call.request.model.as_deref(), Some("m"));
    assert_eq!(call.usage.input_tokens, Some(3));
    let endless = raw(ASKED, vec![b'['; 1_000_000]).run_in(1000).unwrap();
    assert_eq!(endless.unreadable, Some("json-truncated"));
}

#[test]
fn huge_texts_keep_the_numbers() {
    let text = "ü\\n".repeat(2_000_000);
    let request = format!(
        r#"{{"messages":[{{"role":"system","content":"first"}},{{"role":"user","content":"{text}"}},
        {{"role":"user","content":"last"}}],"model":"m","max_tokens":4}}"#
    );
    let response = format!(
        r#"{{"choices":[{{"index":0,"message":{{"content":"{text}"}},"finish_reason":"stop"}}],
        "usage":{{"prompt_tokens":1000000}}}}"#
    );
    let mut exchange = raw(&request, response.into_bytes());
    exchange.capture_content = true;
    let call = exchange.run_in(16 << 10).unwrap();
    assert_eq!((call.request.max_tokens, call.usage.input_tokens), (Some(4), Some(1_000_000)));
    assert_eq!(reasons(&call), ["stop"]);
    let content = call.content.unwrap();
    assert!(content.truncated);
    let input = content.input_messages.unwrap();
    assert_eq!(input[0]["parts"][0]["content"], "first");
    assert_eq!(input[2]["parts"][0]["content"], "last");
    assert!(input[1]["parts"][0]["content"].as_str().unwrap().contains("bytes left out"));
    assert!(input.to_string().len() < 200_000);
}

#[test]
fn many_messages_keep_both_ends() {
    let messages: Vec<_> =
        (0..50_000).map(|n| json!({"role": "user", "content": format!("message {n}")})).collect();
    let request = json!({"messages": messages, "model": "m"}).to_string();
    let mut exchange = raw(&request, br#"{"choices":[]}"#.to_vec());
    exchange.capture_content = true;
    let content = exchange.run_in(10_000).unwrap().content.unwrap();
    assert!(content.truncated);
    let kept = content.input_messages.unwrap();
    let kept = kept.as_array().unwrap();
    assert_eq!(kept[0]["parts"][0]["content"], "message 0");
    assert_eq!(kept.last().unwrap()["parts"][0]["content"], "message 49999");
    assert!((100..10_000).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn many_texts_leave_room_for_numbers() {
    let message = json!({"role": "user", "content": "x"});
    let request = json!({"messages": vec![message; 20_000], "model": "m"}).to_string();
    assert!(request.find("model").unwrap() > request.find("messages").unwrap());
    let choices: Vec<_> = (0..40)
        .map(|n| {
            json!({"index": n, "finish_reason": "stop",
            "message": {"content": "long ".repeat(8_000)}})
        })
        .collect();
    let response = json!({"choices": choices, "usage": {"prompt_tokens": 7}}).to_string();
    let call = raw(&request, response.into_bytes()).run_in(10_000).unwrap();
    assert_eq!(call.request.model.as_deref(), Some("m"));
    assert_eq!((call.usage.input_tokens, call.unreadable), (Some(7), None));
    assert_eq!(call.response.finish_reasons, vec!["stop"; 40]);
}

#[test]
fn large_event_is_still_read() {
    let text = "x".repeat(300_000);
    let body = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\
        \"finish_reason\":\"stop\"}}],\"usage\":{{\"completion_tokens\":8}}}}\n\n"
    );
    let mut exchange = raw(ASKED, body.into_bytes());
    exchange.kind = "text/event-stream";
    let call = exchange.run_in(4096).unwrap();
    assert_eq!((reasons(&call), call.usage.output_tokens), (vec!["stop"], Some(8)));
    assert_eq!(call.response.chunks, 1);
}

#[test]
fn invalid_text_costs_no_numbers() {
    let response = b"{\"id\":\"a\0b\",\"choices\":[{\"message\":{\"content\":\"\xff\\ud800x\"}}],\
        \"usage\":{\"prompt_tokens\":2}}";
    let mut exchange = raw(ASKED, response.to_vec());
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!(call.usage.input_tokens, Some(2));
    let messages = call.content.unwrap().output_messages.unwrap();
    assert_eq!(messages[0]["parts"][0]["content"], "\u{fffd}\u{fffd}x");
}

#[test]
fn cut_body_keeps_what_came() {
    let response = br#"{"id":"chatcmpl-1","model":"m-1","choices":[{"index":0,"message":{"con"#;
    let mut exchange = raw(ASKED, response.to_vec());
    exchange.how = Ended::ServerReset;
    let call = exchange.run();
    assert_eq!(call.response.id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(call.unreadable, Some("json-truncated"));
    assert_eq!(reasons(&call), ["error"]);
}

#[test]
fn hostile_stream_takes_no_memory() {
    let mut body = Vec::new();
    for n in 0..5000 {
        body.extend_from_slice(
            format!(
                "data: {{\"choices\":[{{\"index\":{n},\"delta\":{{\"tool_calls\":[{{\"index\":{n},\
            \"function\":{{\"name\":\"t\"}}}}]}}}}]}}\n\n"
            )
            .as_bytes(),
        );
    }
    let mut exchange = raw(ASKED, body);
    exchange.kind = "text/event-stream";
    let call = exchange.run_in(4096).unwrap();
    assert_eq!(call.response.finish_reasons.len(), 128);
    assert_eq!(call.response.tool_calls.len(), 128);
    assert_eq!(call.unreadable, Some("json-too-large"), "what was left out is told");
}

/// Feeds a streamed exchange by hand, with gaps where `None` stands.
fn with_gaps(request: &[Option<&str>], response: &[Option<&str>], kind: &'static str) -> Operation {
    let mut calls = Calls::new(Options { capture_content: true });
    let exchange = ExchangeId { connection: ConnectionId(7), index: 0 };
    let mut on = |kind: Kind<'_>| calls.on(&ExchangeEvent { exchange, time: Timestamp(1), kind });
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static(HOST));
    let target = PATH.to_owned();
    let head = RequestHead { method: Method::POST, target, version: Version::HTTP_11, headers };
    on(Kind::Request { head: &head, role: Role::Client, started: Timestamp(0) });
    for piece in request {
        on(piece.map_or(Kind::RequestGap, |piece| Kind::RequestBody(piece.as_bytes())));
    }
    on(Kind::RequestEnd);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(kind));
    let head = ResponseHead { status: StatusCode::OK, version: Version::HTTP_11, headers };
    on(Kind::Response { head: &head, role: Role::Client, started: Timestamp(0) });
    for piece in response {
        on(piece.map_or(Kind::ResponseGap, |piece| Kind::ResponseBody(piece.as_bytes())));
    }
    on(Kind::ResponseEnd);
    let end =
        End { how: Ended::Complete, missing_request: 1, missing_response: 1, joined_late: false };
    on(Kind::End(end)).pop().unwrap()
}

#[test]
fn gap_in_a_stream_costs_one_event() {
    let call = with_gaps(
        &[Some(r#"{"model":"m","stream":true,"messages":["#), None, Some(r#"],"seed":1}"#)],
        &[
            Some(
                "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"cho",
            ),
            None,
            Some(
                "s\":[]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n",
            ),
        ],
        "text/event-stream",
    );
    assert_eq!(call.request.model.as_deref(), Some("m"));
    assert!(call.request.stream);
    // What lies behind the gap of a JSON value can't be placed.
    assert_eq!(call.request.seed, None);
    assert_eq!((call.response.chunks, call.usage.input_tokens), (1, Some(3)));
    assert_eq!(call.unreadable, Some("gap"));
}

#[test]
fn gap_in_a_body_keeps_what_came() {
    let call = with_gaps(
        &[None, Some(ASKED)],
        &[Some(r#"{"id":"a","usage":{"prompt_tokens":3,"completion_tokens":12"#), None, Some("}}")],
        "application/json",
    );
    assert_eq!(call.request.model, None);
    assert_eq!(call.response.id.as_deref(), Some("a"));
    // The number before the gap may have gone on.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), None));
    assert_eq!(call.unreadable, Some("gap"));
}
