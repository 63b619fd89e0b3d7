//! What local servers and small services offer beside generation: scores, labels, vectors, rankings.

use super::*;

const LOCAL: &str = "127.0.0.1:8000";

#[test]
pub(super) fn vllm_scores_and_labels_are_read() {
    let request = json!({"model": "r", "text_1": "q", "text_2": ["a", "b"]});
    let response = json!({"id": "score-1", "object": "list", "model": "r",
        "data": [{"index": 0, "object": "score", "score": 0.9}], "usage": {"prompt_tokens": 7, "total_tokens": 7}});
    for path in ["/score", "/v1/score"] {
        let call = Exchange::json(path, LOCAL, &request, &response).run();
        assert_eq!((call.name, &*call.provider), (OperationName::Rerank, "vllm"));
        assert_eq!((call.request.model.as_deref(), call.usage.input_tokens), (Some("r"), Some(7)));
    }
    let request = json!({"model": "c", "input": ["a"]});
    let response = json!({"id": "classify-1", "object": "list", "model": "c", "data": [
        {"index": 0, "label": "x", "probs": [0.9, 0.1], "num_classes": 2}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4, "completion_tokens": 0}});
    let call = Exchange::json("/classify", LOCAL, &request, &response).run();
    assert_eq!((call.name.as_str(), call.response.model.as_deref()), ("classification", Some("c")));
    assert_eq!(call.usage.input_tokens, Some(4));
    let request = json!({"model": "p", "input": "a"});
    let response = json!({"id": "pool-1", "object": "list", "model": "p",
        "data": [{"index": 0, "object": "pooling", "data": [[0.1]]}], "usage": {"prompt_tokens": 2}});
    let call = Exchange::json("/pooling", LOCAL, &request, &response).run();
    assert_eq!((call.name, call.usage.input_tokens), (OperationName::Embeddings, Some(2)));
}

#[test]
pub(super) fn words_that_anyone_may_use_are_left() {
    let request = json!({"player": "p", "points": 3});
    for path in [
        "/score",
        "/classify",
        "/pooling",
        "/ranking",
        "/reranking",
        "/invocations",
        "/classifications",
        "/v1/chat",
        "/complete",
        "/predictions",
        "/v1/generate",
        "/interactions",
        "/ocr",
        "/text/generation",
        "/apps/a/completion",
        "/flows/f/aliases/a",
        "/async-invoke",
    ] {
        for status in [200, 404] {
            let mut exchange =
                Exchange::json(path, "game.example.org", &request, &json!({"id": 1}));
            exchange.status = status;
            assert!(exchange.run_in(usize::MAX).is_none(), "{path}");
        }
    }
    // Tokenizers ask no model.
    let request = json!({"model": "m", "prompt": "Hi", "content": "Hi"});
    let response = json!({"count": 2, "max_model_len": 4096, "tokens": [1, 2]});
    for path in ["/tokenize", "/detokenize", "/v1/tokenize", "/apply-template"] {
        assert!(
            Exchange::json(path, LOCAL, &request, &response).run_in(usize::MAX).is_none(),
            "{path}"
        );
    }
}

#[test]
pub(super) fn rankings_of_every_form_are_read() {
    let cohere = json!({"model": "r", "query": "q", "documents": ["a"], "top_n": 1});
    let results = json!({"id": "x", "results": [{"index": 0, "relevance_score": 0.5}],
        "meta": {"billed_units": {"search_units": 1}}});
    let usage = json!({"model": "r", "results": [{"index": 0, "relevance_score": 0.5}],
        "usage": {"prompt_tokens": 6, "total_tokens": 6}});
    for (path, host, request, response, tokens) in [
        ("/v1/rerank", LOCAL, cohere.clone(), usage.clone(), Some(6)),
        ("/v1/reranking", LOCAL, cohere.clone(), usage, Some(6)),
        ("/v2/rerank", "x.models.ai.azure.com", cohere, results, None),
        (
            "/v1/retrieval/nvidia/reranking",
            "ai.api.nvidia.com",
            json!({"model": "r", "query": {"text": "q"}, "passages": [{"text": "a"}]}),
            json!({"rankings": [{"index": 0, "logit": 4.2}], "usage": {"prompt_tokens": 8}}),
            Some(8),
        ),
    ] {
        let call = Exchange::json(path, host, &request, &response).run();
        assert_eq!((call.name, call.usage.input_tokens), (OperationName::Rerank, tokens), "{path}");
        assert_eq!(call.request.model.as_deref(), Some("r"));
    }
}

#[test]
pub(super) fn embeddings_of_every_form_are_read() {
    let data = json!([{"index": 0, "embedding": [0.1]}]);
    for (path, host, request, usage, tokens) in [
        (
            "/v1/embeddings",
            "api.jina.ai",
            json!({"model": "m", "input": [{"text": "a"}]}),
            json!({"total_tokens": 4, "prompt_tokens": 4}),
            Some(4),
        ),
        (
            "/v1/multimodalembeddings",
            "api.voyageai.com",
            json!({"model": "m", "inputs": [{"content": []}]}),
            json!({"text_tokens": 2, "image_pixels": 9, "total_tokens": 5}),
            None,
        ),
        (
            "/v1/contextualizedembeddings",
            "api.voyageai.com",
            json!({"model": "m", "inputs": [["a"]]}),
            json!({"total_tokens": 5}),
            None,
        ),
        (
            "/api/v2/cortex/inference:embed",
            "a.snowflakecomputing.com",
            json!({"model": "m", "text": ["a"]}),
            json!({"total_tokens": 5}),
            None,
        ),
        (
            "/serving-endpoints/e/invocations",
            "w.azuredatabricks.net",
            json!({"input": ["a"]}),
            json!({"prompt_tokens": 3, "total_tokens": 3}),
            Some(3),
        ),
    ] {
        let response = json!({"object": "list", "model": "m", "data": data, "usage": usage});
        let call = Exchange::json(path, host, &request, &response).run();
        assert_eq!(
            (call.name, call.usage.input_tokens),
            (OperationName::Embeddings, tokens),
            "{path}"
        );
        assert_eq!(call.response.model.as_deref(), Some("m"));
    }
    let features = "/hf-inference/models/org/name/pipeline/feature-extraction";
    let call =
        Exchange::json(features, "router.huggingface.co", &json!({"inputs": "a"}), &json!([[0.1]]))
            .run();
    assert_eq!(
        (call.name, call.request.model.as_deref()),
        (OperationName::Embeddings, Some("org/name"))
    );
}

#[test]
pub(super) fn classifications_of_every_form_are_read() {
    for (path, host, request, response) in [
        (
            "/v1/classifications",
            "api.mistral.ai",
            json!({"model": "m", "input": ["a"]}),
            json!({"id": "1", "model": "m", "results": [{"t": {"scores": {}}}]}),
        ),
        (
            "/v1/chat/classifications",
            "api.mistral.ai",
            json!({"model": "m", "input": [{"messages": []}]}),
            json!({"id": "1", "model": "m", "results": []}),
        ),
        (
            "/v1/classify",
            "api.cohere.com",
            json!({"model": "m", "inputs": ["a"]}),
            json!({"id": "1", "classifications": [{"prediction": "x"}]}),
        ),
        (
            "/v1/classify",
            "api.jina.ai",
            json!({"model": "m", "input": ["a"], "labels": ["x"]}),
            json!({"usage": {"total_tokens": 5}, "data": [{"prediction": "x"}]}),
        ),
    ] {
        let call = Exchange::json(path, host, &request, &response).run();
        assert_eq!(call.name, OperationName::Classification, "{path}");
        assert_eq!(call.request.model.as_deref(), Some("m"));
    }
}

#[test]
pub(super) fn llama_cpp_is_known_at_openais_path_too() {
    let request = json!({"prompt": "Hi", "n_predict": 5, "model": "m"});
    let response = json!({"content": "Hey", "stop": true, "stop_type": "limit", "model": "m.gguf",
        "tokens_evaluated": 3, "tokens_predicted": 5});
    let call = Exchange::json("/completions", LOCAL, &request, &response).run();
    assert_eq!((&*call.provider, reasons(&call)), ("llama_cpp", vec!["limit"]));
    assert_eq!((call.request.max_tokens, call.usage.input_tokens), (Some(5), Some(3)));
}

#[test]
pub(super) fn ocr_is_read_page_by_page() {
    let request = json!({"model": "mistral-ocr-latest", "document":
        {"type": "document_url", "document_url": "https://example.org/a.pdf"}});
    let response = json!({"model": "mistral-ocr-2505", "pages": [
        {"index": 0, "markdown": "# A", "images": []}, {"index": 1, "markdown": "B", "images": []}],
        "usage_info": {"pages_processed": 2, "doc_size_bytes": 3002}});
    let mut exchange = Exchange::json("/v1/ocr", "api.mistral.ai", &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((&*call.provider, call.name), ("mistral_ai", OperationName::GenerateContent));
    assert_eq!(call.response.model.as_deref(), Some("mistral-ocr-2505"));
    assert_eq!(call.usage, Usage::default());
    let content = call.content.unwrap();
    let output = content.output_messages.unwrap();
    assert_eq!(output[0]["parts"][1], json!({"type": "text", "content": "B"}));
    assert_eq!(content.input_messages.unwrap()[0]["parts"][0]["uri"], "https://example.org/a.pdf");
}

#[test]
pub(super) fn mistral_transcripts_are_read() {
    let request =
        json!({"model": "voxtral-mini", "file_url": "https://example.org/a.mp3", "stream": true});
    let usage = json!({"prompt_audio_seconds": 4, "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 400});
    let body: String = [
        json!({"type": "transcription.language", "audio_language": "en"}),
        json!({"type": "transcription.text.delta", "text": "He"}),
        json!({"type": "transcription.text.delta", "text": "y"}),
        json!({"type": "transcription.segment", "text": "Hey", "start": 0, "end": 1}),
        json!({"type": "transcription.done", "model": "voxtral-mini-2507", "text": "Hey", "usage": usage}),
    ]
    .iter()
    .map(|event| format!("data: {event}\n\n"))
    .collect();
    let mut exchange = Exchange::sse("/v1/audio/transcriptions", "api.mistral.ai", &request, &body);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!(
        (call.response.chunks, call.response.model.as_deref()),
        (2, Some("voxtral-mini-2507"))
    );
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(9), Some(3)));
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"], json!([{"type": "text", "content": "Hey"}]));
    let request = json!({"model": "voxtral-tts", "input": "Hi", "voice_id": "v"});
    let response = json!({"audio_data": "UklG"});
    let call = Exchange::json("/v1/audio/speech", "api.mistral.ai", &request, &response).run();
    assert_eq!(call.request.output_type, Some("speech"));
}

#[test]
pub(super) fn providers_software_elsewhere_is_read() {
    let request = json!({"model": "command-a", "messages": [{"role": "user", "content": "Hi"}]});
    let response = json!({"id": "c1", "finish_reason": "COMPLETE", "message": {"role": "assistant",
        "content": [{"type": "text", "text": "Hey"}]},
        "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 1}}});
    for host in ["gateway.local", "x.eastus2.models.ai.azure.com"] {
        for path in ["/v2/chat", "/gw/cohere/v2/chat", "/v1/chat"] {
            let call = Exchange::json(path, host, &request, &response).run();
            assert_eq!((reasons(&call), call.usage.input_tokens), (vec!["COMPLETE"], Some(3)));
        }
    }
    // The same path with another's bodies: they decide.
    let response = json!({"id": "c1", "model": "palmyra", "choices": [{"index": 0,
        "message": {"content": "Hey"}, "finish_reason": "stop"}]});
    let call = Exchange::json("/v1/chat", "gateway.local", &request, &response).run();
    assert_eq!((reasons(&call), call.response.model.as_deref()), (vec!["stop"], Some("palmyra")));
    // A request that names a model may fail without any shape.
    let mut failed =
        Exchange::json("/v2/chat", "gateway.local", &request, &json!({"message": "no"}));
    failed.status = 404;
    assert_eq!(failed.run().error.unwrap().kind, "404");
}

#[test]
pub(super) fn cohere_sums_up_and_streams_without_types() {
    let request = json!({"model": "command", "text": "long", "temperature": 0.3});
    let response = json!({"id": "s1", "summary": "short", "meta": {"billed_units": {"input_tokens": 9, "output_tokens": 2}}});
    let mut exchange = Exchange::json("/v1/summarize", "api.cohere.ai", &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!(
        (call.name, call.response.id.as_deref()),
        (OperationName::TextCompletion, Some("s1"))
    );
    assert_eq!(call.content.unwrap().output_messages.unwrap()[0]["parts"][0]["content"], "short");
    let request = json!({"model": "command", "prompt": "Hi", "stream": true});
    let lines = "{\"text\":\"He\",\"is_finished\":false}\n{\"text\":\"y\",\"is_finished\":false}\n\
        {\"is_finished\":true,\"finish_reason\":\"COMPLETE\",\"response\":{\"id\":\"g1\",\"generations\":[{\"id\":\"a\",\"text\":\"Hey\"}]}}\n";
    let mut exchange = Exchange::sse("/v1/generate", "api.cohere.ai", &request, lines);
    exchange.kind = "application/stream+json";
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((call.response.chunks, reasons(&call)), (2, vec!["COMPLETE"]));
    assert_eq!(call.response.id.as_deref(), Some("g1"));
    assert_eq!(call.content.unwrap().output_messages.unwrap()[0]["parts"][0]["content"], "Hey");
}
