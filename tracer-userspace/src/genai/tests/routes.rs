//! Paths that say the same as others: one format under each of its addresses.

use super::{super::eventstream::tests as frames, *};

struct Expected {
    provider: &'static str,
    name: OperationName,
    model: Option<&'static str>,
    input: Option<u64>,
}

fn check(
    path: &'static str,
    host: &'static str,
    request: &Value,
    response: &Value,
    expected: &Expected,
) {
    let call = Exchange::json(path, host, request, response).run();
    let Expected { provider, name, model, input } = *expected;
    assert_eq!((&*call.provider, call.name), (provider, name), "{path}");
    assert_eq!((call.request.model.as_deref(), call.usage.input_tokens), (model, input), "{path}");
}

fn chat() -> (Value, Value) {
    (
        json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
        json!({"id": "c", "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1}}),
    )
}

const AZURE: &str = "res.openai.azure.com";

#[test]
pub(super) fn azure_deployments_are_read() {
    let expected = |name| {
        let provider = "azure.ai.openai";
        Expected { provider, name, model: Some("mine"), input: Some(3) }
    };
    let usage = json!({"prompt_tokens": 3, "total_tokens": 3});
    let response = json!({"choices": [{"text": "a", "finish_reason": "stop"}], "usage": usage});
    let path = "/openai/deployments/mine/completions?api-version=1";
    check(
        path,
        AZURE,
        &json!({"prompt": "Hi"}),
        &response,
        &expected(OperationName::TextCompletion),
    );
    let response = json!({"object": "list", "data": [], "usage": usage});
    let path = "/openai/deployments/mine/embeddings?api-version=1";
    check(path, AZURE, &json!({"input": "Hi"}), &response, &expected(OperationName::Embeddings));
    let path = "/openai/deployments/mine/images/edits?api-version=1";
    let response = json!({"data": [{"b64_json": ""}], "usage": {"input_tokens": 3}});
    check(
        path,
        AZURE,
        &json!({"prompt": "Hi"}),
        &response,
        &expected(OperationName::GenerateContent),
    );
    let path = "/openai/deployments/mine/audio/transcriptions?api-version=1";
    let response = json!({"text": "Hey", "usage": {"type": "tokens", "input_tokens": 3}});
    check(path, AZURE, &json!({"file": "x"}), &response, &expected(OperationName::GenerateContent));
    let call = Exchange::json(
        "/openai/assistants?api-version=1",
        AZURE,
        &json!({"model": "mine", "name": "a"}),
        &json!({"id": "asst_1", "object": "assistant", "name": "a", "model": "mine"}),
    )
    .run();
    assert_eq!(
        (call.name, call.response.agent.id.as_deref()),
        (OperationName::CreateAgent, Some("asst_1"))
    );
}

#[test]
pub(super) fn azure_inference_embeddings_are_read() {
    let request = json!({"model": "m", "input": ["a"]});
    let response =
        json!({"object": "list", "data": [], "model": "m", "usage": {"prompt_tokens": 3}});
    let expected = Expected {
        provider: "azure.ai.inference",
        name: OperationName::Embeddings,
        model: Some("m"),
        input: Some(3),
    };
    for path in ["/models/embeddings", "/models/images/embeddings"] {
        check(path, "res.services.ai.azure.com", &request, &response, &expected);
    }
    let request = json!({"model": "m", "texts": ["a"], "input_type": "search_query"});
    let response =
        json!({"id": "e", "embeddings": [[0.1]], "meta": {"billed_units": {"input_tokens": 3}}});
    check("/v1/embed", "x.models.ai.azure.com", &request, &response, &expected);
    let expected = Expected { provider: "cohere", ..expected };
    check("/v1/embed", "api.cohere.com", &request, &response, &expected);
    // Behind a gateway the bodies tell it from the path's other use.
    check("/v1/embed", "gateway.local", &request, &response, &expected);
}

#[test]
pub(super) fn runs_are_changed_and_cancelled() {
    let run = json!({"id": "run_1", "object": "thread.run", "status": "cancelling", "model": "m",
        "thread_id": "t", "assistant_id": "asst_1", "usage": {"prompt_tokens": 3}});
    for path in ["/v1/threads/t/runs/run_1", "/v1/threads/t/runs/run_1/cancel"] {
        let call = Exchange::json(path, "api.openai.com", &json!({}), &run).run();
        assert_eq!(
            (call.name, call.response.run_id.as_deref()),
            (OperationName::InvokeAgent, Some("run_1"))
        );
        assert_eq!(
            (call.response.status.as_deref(), call.usage.input_tokens),
            (Some("cancelling"), Some(3))
        );
    }
    let path = "/v1/threads/t/runs/run_1/submit_tool_outputs";
    let request = json!({"tool_outputs": [{"tool_call_id": "c", "output": "1"}]});
    let call = Exchange::json(path, "api.openai.com", &request, &run).run();
    assert_eq!(call.response.agent.id.as_deref(), Some("asst_1"));
}

#[test]
pub(super) fn other_openai_paths_are_read() {
    let usage = json!({"prompt_tokens": 3, "total_tokens": 3});
    let expected = |name, model| Expected { provider: "openai", name, model, input: Some(3) };
    let response = json!({"object": "list", "data": [], "usage": usage});
    let path = "/v1/engines/ada/embeddings";
    check(
        path,
        "api.openai.com",
        &json!({"input": "a"}),
        &response,
        &expected(OperationName::Embeddings, Some("ada")),
    );
    let response = json!({"text": "Hey", "usage": {"type": "tokens", "input_tokens": 3}});
    let path = "/v1/audio/translations";
    let request = json!({"model": "whisper-1", "file": "x"});
    check(
        path,
        "api.openai.com",
        &request,
        &response,
        &expected(OperationName::GenerateContent, Some("whisper-1")),
    );
    let request = json!({"model": "e", "prompt": "Hi"});
    let ollama = Expected { provider: "ollama", ..expected(OperationName::Embeddings, Some("e")) };
    let response = json!({"embedding": [0.1], "prompt_eval_count": 3});
    check("/api/embeddings", "127.0.0.1:11434", &request, &response, &ollama);
}

const VERTEX: &str = "us-east5-aiplatform.googleapis.com";
const PROJECT: &str = "/v1/projects/p/locations/l";

#[test]
pub(super) fn vertex_models_of_others_are_read() {
    let model = |name| Expected {
        provider: "gcp.vertex_ai",
        name: OperationName::Chat,
        model: Some(name),
        input: Some(3),
    };
    let request =
        json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 5, "messages": []});
    let response = json!({"id": "m", "type": "message", "content": [], "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 1}});
    let path = format!("{PROJECT}/publishers/anthropic/models/claude@1:rawPredict").leak();
    check(path, VERTEX, &request, &response, &model("claude@1"));
    let events = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\
        \"type\":\"message\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
        \"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let path = format!("{PROJECT}/publishers/anthropic/models/claude@1:streamRawPredict");
    let call = Exchange::sse(&path, VERTEX, &request, events).run();
    assert_eq!((call.request.stream, call.usage.output_tokens), (true, Some(9)));
    let (request, response) = chat();
    let chunk =
        json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]});
    let events = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    for path in ["/publishers/mistralai/models/m:streamRawPredict", "/endpoints/m:streamRawPredict"]
    {
        let path = format!("{PROJECT}{path}");
        let call = Exchange::sse(&path, VERTEX, &request, &events).run();
        assert_eq!((call.request.stream, reasons(&call)), (true, vec!["stop"]));
    }
    let path = format!("{PROJECT}/endpoints/77:rawPredict").leak();
    check(path, VERTEX, &json!({"messages": []}), &response, &model("77"));
    let request = json!({"instances": [{"content": "Hi"}]});
    let response =
        json!({"predictions": [{"embeddings": {"values": [], "statistics": {"token_count": 3}}}]});
    let path = format!("{PROJECT}/endpoints/77:predict").leak();
    check(
        path,
        VERTEX,
        &request,
        &response,
        &Expected { name: OperationName::Embeddings, ..model("77") },
    );
}

#[test]
pub(super) fn google_embeddings_are_read() {
    let expected = Expected {
        provider: "gcp.gemini",
        name: OperationName::Embeddings,
        model: Some("e"),
        input: None,
    };
    let host = "generativelanguage.googleapis.com";
    let request = json!({"content": {"parts": [{"text": "Hi"}]}});
    let response = json!({"embedding": {"values": [0.1]}});
    check("/v1beta/models/e:embedContent", host, &request, &response, &expected);
    let request = json!({"texts": ["Hi"]});
    let response = json!({"embeddings": [{"value": [0.1]}]});
    check("/v1beta3/models/e:batchEmbedText", host, &request, &response, &expected);
    let counted = json!({"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": 3}});
    let request = json!({"content": {"parts": [{"text": "Hi"}]}});
    let vertex = Expected { provider: "gcp.vertex_ai", input: Some(3), ..expected };
    let path = format!("{PROJECT}/publishers/google/models/e:embedContent").leak();
    check(path, VERTEX, &request, &counted, &vertex);
    let events = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}\n\n";
    let request = json!({"contents": []});
    let call = Exchange::sse(
        "/v1beta/tunedModels/t:streamGenerateContent?alt=sse",
        host,
        &request,
        events,
    )
    .run();
    assert_eq!((call.request.model.as_deref(), reasons(&call)), (Some("t"), vec!["STOP"]));
}

#[test]
pub(super) fn huggingface_pipelines_are_read() {
    let host = "router.huggingface.co";
    let request = json!({"inputs": "Hi", "parameters": {"max_new_tokens": 5}});
    let texts = json!([{"generated_text": "Hey"}]);
    let vectors = json!([[0.1, 0.2]]);
    let expected =
        |name| Expected { provider: "huggingface", name, model: Some("org/m"), input: None };
    for path in ["/models/org/m", "/hf-inference/models/org/m/pipeline/text-generation"] {
        check(path, host, &request, &texts, &expected(OperationName::TextCompletion));
    }
    for path in ["/models/org/m", "/pipeline/feature-extraction/org/m"] {
        check(
            path,
            "api-inference.huggingface.co",
            &json!({"inputs": ["Hi"]}),
            &vectors,
            &expected(OperationName::Embeddings),
        );
    }
}

#[test]
pub(super) fn mistral_agents_are_read() {
    let (_, response) = chat();
    let request = json!({"agent_id": "ag:1", "messages": [{"role": "user", "content": "Hi"}], "random_seed": 5});
    let call =
        Exchange::json("/v1/agents/completions", "api.mistral.ai", &request, &response).run();
    assert_eq!((call.request.agent.id.as_deref(), call.request.seed), (Some("ag:1"), Some(5)));
    assert_eq!(call.usage.input_tokens, Some(3));
    let request = json!({"inputs": "Hi", "stream": false});
    let response = json!({"object": "conversation.response", "conversation_id": "conv_1", "outputs": [
        {"type": "message.output", "role": "assistant", "content": "Hey", "model": "m"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 2}}});
    for path in ["/v1/conversations/conv_1", "/v1/conversations/conv_1/restart"] {
        let call = Exchange::json(path, "api.mistral.ai", &request, &response).run();
        assert_eq!(
            (call.name, call.response.conversation_id.as_deref()),
            (OperationName::Chat, Some("conv_1"))
        );
        assert_eq!(
            (call.usage.input_tokens, call.usage.cache_read_input_tokens),
            (Some(3), Some(2))
        );
    }
}

#[test]
pub(super) fn dashscope_other_services_are_read() {
    let host = "dashscope.aliyuncs.com";
    let path = "/api/v1/services/aigc/multimodal-generation/generation";
    let request = json!({"model": "qwen-vl", "input": {"messages": [
        {"role": "user", "content": [{"image": "https://example.org/a.png"}, {"text": "Hi"}]}]}});
    let response = json!({"output": {"choices": [{"finish_reason": "stop", "message":
        {"role": "assistant", "content": [{"text": "Hey"}]}}]},
        "usage": {"input_tokens": 30, "output_tokens": 2, "input_tokens_details": {"text_tokens": 10, "image_tokens": 20},
            "prompt_tokens_details": {"cached_tokens": 4}}, "request_id": "r"});
    let mut exchange = Exchange::json(path, host, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((call.usage.input.image, call.usage.cache_read_input_tokens), (Some(20), Some(4)));
    assert_eq!(call.content.unwrap().output_messages.unwrap()[0]["parts"][0]["content"], "Hey");
    let path = "/api/v1/services/embeddings/multimodal-embedding/multimodal-embedding";
    let request = json!({"model": "e", "input": {"contents": [{"text": "a"}]}});
    let response = json!({"output": {"embeddings": [{"index": 0}]}, "usage": {"input_tokens": 3}});
    let expected = Expected {
        provider: "dashscope",
        name: OperationName::Embeddings,
        model: Some("e"),
        input: Some(3),
    };
    check(path, host, &request, &response, &expected);
    let request = json!({"model": "r", "query": "q", "documents": ["a"]});
    let response =
        json!({"results": [{"index": 0, "relevance_score": 0.1}], "usage": {"total_tokens": 9}});
    let expected =
        Expected { name: OperationName::Rerank, model: Some("r"), input: None, ..expected };
    check("/compatible-api/v1/reranks", host, &request, &response, &expected);
}

#[test]
pub(super) fn small_services_other_paths_are_read() {
    let request = json!({"model": "m", "prompt": "Hi", "representation": "symmetric"});
    let expected = Expected {
        provider: "aleph_alpha",
        name: OperationName::Embeddings,
        model: Some("m"),
        input: None,
    };
    check(
        "/semantic_embed",
        "api.aleph-alpha.com",
        &request,
        &json!({"embedding": [0.1]}),
        &expected,
    );
    let request = json!({"prompt": "Hi"});
    let response =
        json!({"result": {"response": "Hey", "usage": {"prompt_tokens": 3}}, "success": true});
    let cloudflare = |name, model, input| Expected { provider: "cloudflare", name, model, input };
    check(
        "/client/v4/accounts/a/ai/run/@cf/llama",
        "api.cloudflare.com",
        &request,
        &response,
        &cloudflare(OperationName::TextCompletion, Some("@cf/llama"), Some(3)),
    );
    let request = json!({"model": "r", "query": {"text": "q"}, "passages": [{"text": "a"}]});
    let response = json!({"rankings": [{"index": 0, "logit": 1.0}]});
    let nvidia =
        Expected { provider: "nvidia", name: OperationName::Rerank, model: Some("r"), input: None };
    check("/v1/ranking", "ai.api.nvidia.com", &request, &response, &nvidia);
    let local = Expected { provider: "cohere", ..nvidia };
    check("/v1/ranking", "127.0.0.1:8000", &request, &response, &local);
}

#[test]
pub(super) fn containers_are_read_from_inside() {
    let (mut request, response) = chat();
    request["model"] = Value::Null;
    let expected = |provider, name, input| Expected { provider, name, model: None, input };
    let host = "127.0.0.1:8080";
    check(
        "/invocations",
        host,
        &request,
        &response,
        &expected("openai", OperationName::Chat, Some(3)),
    );
    let text = json!([{"generated_text": "Hey"}]);
    check(
        "/invocations",
        host,
        &json!({"inputs": "Hi"}),
        &text,
        &expected("huggingface", OperationName::TextCompletion, None),
    );
    let response = json!({"choices": [{"text": "a", "finish_reason": "stop"}]});
    check(
        "/invocations",
        host,
        &json!({"prompt": "Hi"}),
        &response,
        &expected("openai", OperationName::TextCompletion, None),
    );
}

#[test]
pub(super) fn knowledge_is_streamed() {
    let request = json!({"input": {"text": "Hi"}, "retrieveAndGenerateConfiguration": {"type": "KNOWLEDGE_BASE",
        "knowledgeBaseConfiguration": {"knowledgeBaseId": "kb", "modelArn": "arn:m"}}});
    let host = "bedrock-agent-runtime.us-east-1.amazonaws.com";
    let mut exchange = Exchange::json("/retrieveAndGenerateStream", host, &request, &Value::Null);
    exchange.kind = "application/vnd.amazon.eventstream";
    exchange.response =
        [frames::event("output", r#"{"text":"He"}"#), frames::event("output", r#"{"text":"y"}"#)]
            .concat();
    let call = exchange.run();
    assert_eq!(
        (call.request.data_source_id.as_deref(), call.request.model.as_deref()),
        (Some("kb"), Some("arn:m"))
    );
    assert_eq!((call.request.stream, call.response.chunks), (true, 2));
}
