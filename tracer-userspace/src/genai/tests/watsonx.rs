//! IBM watsonx text generation.

use super::*;

const HOST: &str = "us-south.ml.cloud.ibm.com";

fn asked() -> Value {
    json!({"model_id": "m", "input": "Hi", "parameters": {"max_new_tokens": 9, "top_k": 3}})
}

#[test]
pub(super) fn whole_generation_is_read() {
    let response = json!({"model_id": "m-1", "results": [{"generated_text": "a",
        "generated_token_count": 2, "input_token_count": 7, "stop_reason": "eos_token"}]});
    let mut exchange =
        Exchange::json("/ml/v1/generation/text?version=1", HOST, &asked(), &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!(
        (call.provider.as_str(), call.name),
        ("ibm.watsonx.ai", OperationName::TextCompletion)
    );
    assert_eq!((call.request.max_tokens, call.request.top_k), (Some(9), Some(3.0)));
    assert_eq!(call.response.model.as_deref(), Some("m-1"));
    assert_eq!(reasons(&call), ["eos_token"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(7), Some(2)));
}

#[test]
pub(super) fn events_are_folded_together() {
    let event = |text: &str, output: u64, input: u64, reason: &str| {
        let result = json!({"generated_text": text, "generated_token_count": output,
            "input_token_count": input, "stop_reason": reason});
        format!("id: 1\nevent: message\ndata: {}\n\n", json!({"results": [result]}))
    };
    let body = [
        event("", 0, 8, "not_finished"),
        event("a", 1, 0, "not_finished"),
        event("b", 2, 0, "max_tokens"),
    ];
    let target = "/ml/v1/generation/text_stream";
    let call = Exchange::sse(target, HOST, &asked(), &body.concat()).run();
    assert_eq!((reasons(&call), call.response.chunks), (vec!["max_tokens"], 2));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(8), Some(2)));
    assert!(call.request.stream);
    // Cut before the last event: `not_finished` is no reason.
    let mut exchange = Exchange::sse(target, HOST, &asked(), &body[..2].concat());
    exchange.how = Ended::ServerReset;
    assert_eq!(reasons(&exchange.run()), ["error"]);
}

#[test]
pub(super) fn versions_and_deployments_are_read_alike() {
    let response = json!({"results": [{"generated_text": "a", "generated_token_count": 2,
        "input_token_count": 7, "stop_reason": "max_tokens"}]});
    for target in [
        "/ml/v1/text/generation?version=2024-05-01",
        "/ml/v1/deployments/d1/text/generation?version=2024-05-01",
        "/ml/v1-beta/generation/text?version=2023-05-29",
    ] {
        for host in [HOST, "cpd.example.internal"] {
            let call = Exchange::json(target, host, &asked(), &response).run();
            assert_eq!(
                (&*call.provider, call.name),
                ("ibm.watsonx.ai", OperationName::TextCompletion)
            );
            assert_eq!((call.usage.input_tokens, reasons(&call)), (Some(7), vec!["max_tokens"]));
        }
    }
}

#[test]
pub(super) fn watsonx_chat_is_read() {
    let request = json!({"model_id": "ibm/granite", "project_id": "p", "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "look"}}]});
    let response = json!({"id": "chat-1", "model_id": "ibm/granite", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "Hey"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 2, "prompt_tokens": 8, "total_tokens": 10}});
    let call = Exchange::json("/ml/v1/text/chat?version=1", HOST, &request, &response).run();
    assert_eq!((&*call.provider, call.name), ("ibm.watsonx.ai", OperationName::Chat));
    assert_eq!(call.request.model.as_deref(), Some("ibm/granite"));
    assert_eq!((call.request.max_tokens, call.request.tools), (Some(9), Some(1)));
    assert_eq!(call.response.model.as_deref(), Some("ibm/granite"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(8), Some(2)));

    let chunk = |delta: Value, reason: Value, usage: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        let chunk = json!({"id": "c", "model_id": "g", "choices": [choice], "usage": usage});
        format!("id: 1\nevent: message\ndata: {chunk}\n\n")
    };
    let body = [
        chunk(json!({"role": "assistant", "content": "He"}), Value::Null, Value::Null),
        chunk(json!({"content": "y"}), json!("stop"), Value::Null),
        chunk(json!({}), Value::Null, json!({"prompt_tokens": 8, "completion_tokens": 2})),
    ];
    let target = "/ml/v1/deployments/d1/text/chat_stream?version=1";
    let request = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let call = Exchange::sse(target, HOST, &request, &body.concat()).run();
    assert_eq!((call.request.stream, reasons(&call)), (true, vec!["stop"]));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(8), Some(2)));
}

#[test]
pub(super) fn watsonx_embeddings_and_rankings_are_counted() {
    let request = json!({"model_id": "e", "inputs": ["a"], "project_id": "p"});
    let response =
        json!({"model_id": "e", "results": [{"embedding": [0.1]}], "input_token_count": 10});
    let call = Exchange::json("/ml/v1/text/embeddings?version=1", HOST, &request, &response).run();
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::Embeddings, Some(10)));
    assert_eq!(call.response.model.as_deref(), Some("e"));
    let request = json!({"model_id": "r", "inputs": [{"text": "a"}], "query": "q"});
    let response =
        json!({"model_id": "r", "results": [{"index": 0, "score": 0.7}], "input_token_count": 4});
    let call = Exchange::json("/ml/v1/text/rerank?version=1", HOST, &request, &response).run();
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::Rerank, Some(4)));
}

#[test]
pub(super) fn watsonx_errors_are_told() {
    let response = json!({"errors": [{"code": "model_not_supported", "message": "no",
        "more_info": "https://example.org"}], "trace": "t", "status_code": 404});
    let mut exchange = Exchange::json("/ml/v1/text/generation", HOST, &asked(), &response);
    exchange.status = 404;
    assert_eq!(exchange.run().error.unwrap().kind, "model_not_supported");
    let event = format!("event: error\ndata: {response}\n\n");
    let call = Exchange::sse("/ml/v1/text/generation_stream", HOST, &asked(), &event).run();
    assert_eq!(call.error.unwrap().kind, "model_not_supported");
}
