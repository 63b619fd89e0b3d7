//! Which exchanges are LLM calls, by what their bodies show.

use super::*;

fn openai() -> (Value, Value) {
    (
        json!({"messages": [{"role": "user", "content": "Hi"}], "model": "m"}),
        json!({"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}),
    )
}

fn anthropic() -> (Value, Value) {
    (
        json!({"max_tokens": 9, "model": "m", "messages": []}),
        json!({"type": "message", "content": [], "stop_reason": "end_turn"}),
    )
}

#[test]
pub(super) fn unknown_path_is_known_by_shape() {
    for ((request, response), provider) in [(openai(), "openai"), (anthropic(), "anthropic")] {
        let call = Exchange::json("/gateway/ask", "10.0.0.1:9000", &request, &response).run();
        assert_eq!(call.provider, provider);
        assert_eq!(call.response.finish_reasons.len(), 1);
    }
}

#[test]
pub(super) fn shape_must_be_on_both_sides() {
    let (request, response) = openai();
    let other = json!({"ok": true});
    for (request, response) in [(&request, &other), (&other, &response)] {
        let exchange = Exchange::json("/gateway/ask", "example.org", request, response);
        assert!(exchange.run_in(usize::MAX).is_none());
    }
}

#[test]
pub(super) fn path_alone_does_not_suffice() {
    let sms = json!({"to": "+1", "body": "hello"});
    for target in ["/v1/messages", "/v1/chat/completions"] {
        let exchange = Exchange::json(target, "sms.example.org", &sms, &json!({"id": "1"}));
        assert!(exchange.run_in(usize::MAX).is_none(), "{target}");
    }
}

#[test]
pub(super) fn failed_call_is_known_by_its_request() {
    let (request, _) = openai();
    let mut exchange =
        Exchange::json("/v1/chat/completions", "gateway", &request, &json!({"error": "down"}));
    exchange.status = 503;
    assert_eq!(exchange.run().error.unwrap().kind, "503");
}

#[test]
pub(super) fn other_posts_are_left_early() {
    let mut calls = Calls::new(Options::default());
    let exchange = ExchangeId { connection: ConnectionId(1), index: 0 };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let head = RequestHead {
        method: Method::POST,
        target: "/upload".to_owned(),
        version: Version::HTTP_11,
        headers,
    };
    let mut on = |kind: Kind<'_>| {
        calls.on(&ExchangeEvent { exchange, time: Timestamp(1), kind });
        calls.open()
    };
    let request = Kind::Request { head: &head, role: Role::Client, started: Timestamp(0) };
    assert_eq!(on(request), 1);
    assert_eq!(on(Kind::RequestBody(b" [1, 2")), 0);
    assert_eq!(on(request), 1);
    assert_eq!(on(Kind::RequestBody(b"{\"data\": \"")), 1);
    assert_eq!(on(Kind::RequestBody(&[b'x'; 5000])), 0);
    // The same where the first piece is larger than what would be held.
    assert_eq!(on(request), 1);
    assert_eq!(on(Kind::RequestBody(&[b'{'; 100_000])), 0);
    assert_eq!(on(request), 1);
    assert_eq!(on(Kind::RequestBody(b"{\"data\": 1}")), 1);
    assert_eq!(on(Kind::RequestEnd), 0);
}

#[test]
pub(super) fn head_facts_are_kept() {
    let (request, response) = openai();
    let target = "http://gw.example:8080/v1/chat/completions?key=secret";
    let mut exchange = Exchange::json(target, "ignored", &request, &response);
    exchange.headers =
        vec![("traceparent", "00-a"), ("traceparent", "00-b"), ("tracestate", "x=1")];
    let call = exchange.run();
    assert_eq!(call.http.authority.as_deref(), Some("gw.example:8080"));
    assert_eq!(call.http.path, "/v1/chat/completions");
    assert_eq!(call.http.method, "POST");
    assert_eq!(call.http.traceparent, ["00-a", "00-b"]);
    assert_eq!(call.http.tracestate, ["x=1"]);
}
