//! IBM watsonx text generation.

use super::*;

const HOST: &str = "us-south.ml.cloud.ibm.com";

fn asked() -> Value {
    json!({"model_id": "m", "input": "Hi", "parameters": {"max_new_tokens": 9, "top_k": 3}})
}

#[test]
fn whole_generation_is_read() {
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
fn events_are_folded_together() {
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
