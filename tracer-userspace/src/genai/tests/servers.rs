//! Local servers with an API of their own: TGI, TEI, SGLang, llama.cpp.

use super::*;

const HOST: &str = "127.0.0.1:8080";

#[test]
pub(super) fn tgi_answer_is_read() {
    let request = json!({"inputs": "Say it", "parameters": {"max_new_tokens": 20, "details": true,
        "temperature": 0.5, "top_k": 4, "stop": ["\n"], "seed": 3}});
    let response = json!({"generated_text": "Done.", "details": {"finish_reason": "eos_token",
        "generated_tokens": 3, "seed": 3}});
    let mut exchange = Exchange::json("/generate", HOST, &request, &response);
    exchange.response_headers = vec![("x-prompt-tokens", "7"), ("x-generated-tokens", "9")];
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((call.name, &*call.provider), (OperationName::TextCompletion, "huggingface"));
    assert_eq!((call.request.max_tokens, call.request.seed), (Some(20), Some(3)));
    assert_eq!(call.request.stop_sequences, ["\n"]);
    // The body's count goes before the header's, which tells the rest.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(7), Some(3)));
    assert_eq!(reasons(&call), ["eos_token"]);
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"][0]["content"], "Done.");
    assert_eq!(output[0]["finish_reason"], "stop");
}

#[test]
pub(super) fn tgi_list_of_answers_is_read() {
    let response = json!([{"generated_text": "a"}, {"generated_text": "b"}]);
    let mut exchange = Exchange::json("/generate", HOST, &json!({"inputs": "x"}), &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert!(reasons(&call).is_empty(), "none was sent");
    assert_eq!(call.content.unwrap().output_messages.unwrap().as_array().unwrap().len(), 2);
}

#[test]
pub(super) fn tgi_stream_is_read() {
    let events = "data:{\"token\":{\"id\":1,\"text\":\"He\",\"special\":false},\"generated_text\":null,\"details\":null}\n\n\
        data:{\"token\":{\"id\":2,\"text\":\"y\",\"special\":false},\"generated_text\":null,\"details\":null}\n\n\
        data:{\"token\":{\"id\":0,\"text\":\"</s>\",\"special\":true},\"generated_text\":\"Hey\",\
        \"details\":{\"finish_reason\":\"length\",\"generated_tokens\":3,\"input_length\":5}}\n\n";
    let mut exchange = Exchange::sse("/generate_stream", HOST, &json!({"inputs": "x"}), events);
    exchange.capture_content = true;
    let call = exchange.run();
    assert!(call.request.stream);
    assert_eq!((call.response.chunks, reasons(&call)), (2, vec!["length"]));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(5), Some(3)));
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"][0]["content"], "Hey");
}

#[test]
pub(super) fn tgi_error_in_a_stream_is_told() {
    let events = "data:{\"token\":{\"id\":1,\"text\":\"He\",\"special\":false}}\n\n\
        data:{\"error\":\"out of memory\",\"error_type\":\"generation\"}\n\n";
    let call = Exchange::sse("/generate_stream", HOST, &json!({"inputs": "x"}), events).run();
    let error = call.error.unwrap();
    assert_eq!((&*error.kind, error.message.as_deref()), ("generation", Some("out of memory")));
    assert_eq!(call.response.finish_reasons, ["error"]);
}

#[test]
pub(super) fn sglang_repeats_its_text() {
    let request = json!({"text": "The", "stream": true,
        "sampling_params": {"max_new_tokens": 8, "temperature": 0, "n": 1}});
    let meta = |tokens: u64, reason: Value| {
        json!({"id": "s1", "finish_reason": reason, "prompt_tokens": 4, "cached_tokens": 2,
            "completion_tokens": tokens})
    };
    let events = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        json!({"text": " ca", "meta_info": meta(1, Value::Null)}),
        json!({"text": " cat", "meta_info": meta(2, json!({"type": "stop", "matched": 2}))}),
    );
    let mut exchange = Exchange::sse("/generate", HOST, &request, &events);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((&*call.provider, call.request.max_tokens), ("sglang", Some(8)));
    assert_eq!(call.usage.input_tokens, Some(4));
    assert_eq!(call.usage.output_tokens, Some(2), "counts are so far, not each event's");
    assert_eq!(call.usage.cache_read_input_tokens, Some(2));
    assert_eq!((reasons(&call), call.response.id.as_deref()), (vec!["stop"], Some("s1")));
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"][0]["content"], " cat");
}

#[test]
pub(super) fn sglang_batch_is_summed() {
    let request = json!({"text": ["a", "b"], "sampling_params": {}});
    let one = |text: &str| {
        json!({"text": text, "meta_info": {"finish_reason": {"type": "length"},
            "prompt_tokens": 2, "completion_tokens": 3}})
    };
    let call = Exchange::json("/generate", HOST, &request, &json!([one("x"), one("y")])).run();
    assert_eq!(reasons(&call), ["length", "length"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(4), Some(6)));
}

#[test]
pub(super) fn llama_cpp_completion_is_read() {
    let request = json!({"prompt": "2+2=", "n_predict": -1, "seed": -1, "temperature": 0.1});
    let response = json!({"content": "4", "stop": true, "stop_type": "word", "model": "tiny",
        "tokens_evaluated": 5, "tokens_predicted": 1, "timings": {"prompt_n": 2, "cache_n": 3}});
    let call = Exchange::json("/completion", HOST, &request, &response).run();
    assert_eq!((&*call.provider, call.response.model.as_deref()), ("llama_cpp", Some("tiny")));
    assert_eq!((call.request.max_tokens, call.request.seed), (None, None), "-1 is no limit");
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(5), Some(1)));
    assert_eq!(call.usage.cache_read_input_tokens, Some(3));
    assert_eq!(reasons(&call), ["word"]);
}

#[test]
pub(super) fn llama_cpp_stream_ends_with_its_counts() {
    let events = "data: {\"index\":0,\"content\":\"4\",\"stop\":false,\"tokens_predicted\":1,\"tokens_evaluated\":5}\n\n\
        data: {\"index\":0,\"content\":\"\",\"stop\":true,\"stop_type\":\"limit\",\"model\":\"tiny\",\
        \"tokens_predicted\":1,\"tokens_evaluated\":5}\n\n";
    let request = json!({"input_prefix": "def ", "input_suffix": "\n", "stream": true});
    let mut exchange = Exchange::sse("/infill", HOST, &request, events);
    exchange.how = Ended::ClientGone;
    let call = exchange.run();
    assert_eq!((call.response.chunks, reasons(&call)), (1, vec!["limit"]));
    assert_eq!(call.usage.output_tokens, Some(1));
    assert_eq!(call.end.how, Ended::Complete, "the last event is the end mark");
}

#[test]
pub(super) fn bare_lists_are_embeddings() {
    let vectors = json!([[0.1, 0.2], [0.3, 0.4]]);
    let mut exchange = Exchange::json("/embed", HOST, &json!({"inputs": ["a", "b"]}), &vectors);
    exchange.response_headers = vec![("x-compute-tokens", "6")];
    let call = exchange.run();
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::Embeddings, Some(6)));
    let listed = json!([{"index": 0, "embedding": [[0.1]]}]);
    let call = Exchange::json("/embedding", HOST, &json!({"content": "a"}), &listed).run();
    assert_eq!((call.name, &*call.provider), (OperationName::Embeddings, "llama_cpp"));
}

#[test]
pub(super) fn words_as_paths_are_not_enough() {
    let other = json!({"ok": true});
    for (path, request) in [
        ("/generate", json!({"report": 7})),
        ("/generate", json!({"inputs": "x"})),
        ("/completion", json!({"prompt": "x"})),
        ("/embed", json!({"inputs": "https://example.org/video"})),
        ("/rerank", json!({"query": "x", "documents": []})),
        ("/endpoints/fraud/invocations", json!({"inputs": "1,2,3"})),
    ] {
        let exchange = Exchange::json(path, HOST, &request, &other);
        assert!(exchange.run_in(usize::MAX).is_none(), "{path} {request}");
    }
}

#[test]
pub(super) fn failed_call_of_a_shared_path_is_told() {
    let error = json!({"error": "Model is overloaded", "error_type": "overloaded"});
    let mut exchange = Exchange::json("/generate", HOST, &json!({"inputs": "x"}), &error);
    exchange.status = 429;
    let error = exchange.run().error.unwrap();
    assert_eq!(error.kind, "overloaded");
    assert_eq!(error.message.as_deref(), Some("Model is overloaded"));
}
