//! Ollama's own API.

use super::*;

const HOST: &str = "localhost:11434";

#[test]
pub(super) fn lines_are_folded_together() {
    let request = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}],
        "format": "json", "options": {"num_predict": 5, "temperature": 0, "seed": 7}});
    let body = "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"thinking\":\"hm\"},\"done\":false}\n\
        {\"model\":\"m\",\"message\":{\"content\":\"Hel\"},\"done\":false}\n\
        {\"model\":\"m\",\"message\":{\"content\":\"lo\"},\"done\":false}\n\
        {\"model\":\"m\",\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":\
        {\"name\":\"look\",\"arguments\":{\"a\":1}}}]},\"done\":false}\n\
        {\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\
        \"prompt_eval_count\":3,\"eval_count\":4}\n";
    // Some servers label their lines as JSON.
    for kind in ["application/x-ndjson", "application/json"] {
        let mut exchange = Exchange::json("/api/chat", HOST, &request, &Value::Null);
        exchange.kind = kind;
        exchange.response = body.as_bytes().to_vec();
        exchange.capture_content = true;
        let call = exchange.run();
        schemas::check_all(&call);
        assert_eq!(call.provider, "ollama");
        assert!(call.request.stream, "streams unless told not to");
        assert_eq!((call.request.max_tokens, call.request.seed), (Some(5), Some(7)));
        assert_eq!(call.request.output_type, Some("json"));
        assert_eq!(reasons(&call), ["stop"]);
        assert_eq!(call.response.chunks, 4);
        assert!(call.timing.first_chunk.is_some());
        assert_eq!(call.response.tool_calls, ["look"]);
        assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(4)));
        assert_eq!(
            call.content.unwrap().output_messages.unwrap()[0]["parts"],
            json!([{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hello"},
                {"type": "tool_call", "name": "look", "arguments": {"a": 1}}])
        );
    }
}

#[test]
pub(super) fn whole_answer_is_no_stream() {
    let request = json!({"model": "m", "prompt": "Hi", "stream": false});
    let response = json!({"model": "m", "response": "Hello", "done": true, "done_reason": "length",
        "eval_count": 4, "context": [1, 2, 3]});
    let call = Exchange::json("/api/generate", HOST, &request, &response).run();
    assert_eq!((call.name, call.request.stream), (OperationName::TextCompletion, false));
    assert_eq!((call.response.chunks, call.timing.first_chunk), (0, None));
    assert_eq!(reasons(&call), ["length"]);
    // A cached prompt is not counted by the server.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (None, Some(4)));
}

#[test]
pub(super) fn cut_lines_end_in_error() {
    let request = json!({"model": "m", "prompt": "Hi"});
    let mut exchange = Exchange::json("/api/generate", HOST, &request, &Value::Null);
    exchange.kind = "application/x-ndjson";
    exchange.response = b"{\"response\":\"a\",\"done\":false}\n{\"respo".to_vec();
    exchange.how = Ended::ServerReset;
    let call = exchange.run();
    assert_eq!(reasons(&call), ["error"]);
    assert_eq!(call.unreadable, Some("json-truncated"));
    exchange.response =
        b"{\"response\":\"a\",\"done\":false}\n{\"error\":\"out of memory\"}\n".to_vec();
    let error = exchange.run().error.unwrap();
    assert_eq!((error.kind.as_str(), error.message.as_deref()), ("_OTHER", Some("out of memory")));
}

#[test]
pub(super) fn embeddings_are_recognized() {
    let request = json!({"model": "m", "input": ["a"]});
    let response = json!({"model": "m", "embeddings": [[0.1, 0.2]], "prompt_eval_count": 2});
    let call = Exchange::json("/api/embed", HOST, &request, &response).run();
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::Embeddings, Some(2)));
    assert!(!call.request.stream);
}
