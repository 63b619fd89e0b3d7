//! Hosts and paths that the user names.

use super::*;
use crate::genai::{Named, WireFormat};

fn run(named: Named, target: &str, request: &Value, response: &Value) -> Option<Operation> {
    let exchange = Exchange::json(target, "llm.internal:8443", request, response);
    exchange.run_with(Calls::new(Options::default()).naming(vec![named]), usize::MAX)
}

fn bodies() -> (Value, Value) {
    (
        json!({"messages": [{"role": "user", "content": "Hi"}]}),
        json!({"choices": [{"message": {"content": "Hey"}, "finish_reason": "stop"}]}),
    )
}

#[test]
pub(super) fn named_path_is_read_as_told() {
    let named = Named {
        host: "llm.internal".into(),
        path: Some("/gw".into()),
        format: Some(WireFormat::OpenaiChat),
        provider: Some("acme".into()),
    };
    let (request, response) = bodies();
    // The gateway knows the model, so that the body need not name it.
    let call = run(named.clone(), "/gw/ask", &request, &response).unwrap();
    assert_eq!((&*call.provider, call.name), ("acme", OperationName::Chat));
    assert_eq!(reasons(&call), ["stop"]);
    assert!(run(named.clone(), "/other", &request, &response).is_none());
    let other = json!({"ok": true});
    assert!(run(named, "/gw/health", &other, &other).is_none(), "neither body has the shape");
}

#[test]
pub(super) fn named_host_keeps_the_known_paths() {
    let named =
        Named { host: "llm.internal".into(), provider: Some("acme".into()), ..Named::default() };
    let (mut request, response) = bodies();
    request["model"] = "m".into();
    let call = run(named, "/v1/chat/completions", &request, &response).unwrap();
    assert_eq!((&*call.provider, reasons(&call)), ("acme", vec!["stop"]));
}
