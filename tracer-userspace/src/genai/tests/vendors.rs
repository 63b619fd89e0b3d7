//! Providers with an API of their own that few others speak.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{super::eventstream::tests as frames, *};

fn text(call: &Operation) -> String {
    let messages = call.content.as_ref().unwrap().output_messages.as_ref().unwrap();
    let parts = messages[0]["parts"].as_array().unwrap().iter();
    parts.filter_map(|part| part["content"].as_str()).collect()
}

fn with_content(mut exchange: Exchange<'_>) -> Operation {
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    call
}

const ALEPH_ALPHA: &str = "api.aleph-alpha.com";

#[test]
pub(super) fn aleph_alpha_is_read() {
    let request = json!({"model": "m", "prompt": [{"type": "text", "data": "Hi"}],
        "maximum_tokens": 5, "temperature": 0.0, "n": 2});
    let response = json!({"model_version": "2022-04", "completions": [
        {"completion": "a", "finish_reason": "end_of_text"},
        {"completion": "b", "finish_reason": "maximum_tokens"}],
        "num_tokens_prompt_total": 3, "num_tokens_generated": 8});
    let call = with_content(Exchange::json("/complete", ALEPH_ALPHA, &request, &response));
    assert_eq!((&*call.provider, call.name), ("aleph_alpha", OperationName::TextCompletion));
    assert_eq!((call.request.max_tokens, call.request.choice_count), (Some(5), Some(2)));
    assert_eq!(reasons(&call), ["end_of_text", "maximum_tokens"]);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(8)));
    // The version of a model is not its name.
    assert_eq!(call.response.model, None);
    assert_eq!(text(&call), "a");
}

#[test]
pub(super) fn aleph_alpha_stream_is_read() {
    let events = "data: {\"type\":\"stream_chunk\",\"index\":0,\"completion\":\"He\"}\n\n\
        data: {\"type\":\"stream_chunk\",\"index\":0,\"completion\":\"y\"}\n\n\
        data: {\"type\":\"stream_summary\",\"index\":0,\"finish_reason\":\"end_of_text\"}\n\n\
        data: {\"type\":\"completion_summary\",\"num_tokens_prompt_total\":2,\"num_tokens_generated\":4}\n\n";
    let request = json!({"model": "m", "prompt": "Hi", "stream": true});
    let call = with_content(Exchange::sse("/complete", ALEPH_ALPHA, &request, events));
    assert_eq!((call.response.chunks, &*text(&call)), (2, "Hey"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(2), Some(4)));
    assert_eq!(reasons(&call), ["end_of_text"]);
}

const REPLICATE: &str = "api.replicate.com";

#[test]
pub(super) fn replicate_prediction_is_made_and_fetched() {
    let path = "/v1/models/meta/llama/predictions";
    let request = json!({"input": {"prompt": "Hi", "max_tokens": 7}, "stream": true});
    let begun = json!({"id": "p1", "model": "meta/llama", "status": "starting", "output": null});
    let call = with_content(Exchange::json(path, REPLICATE, &request, &begun));
    assert_eq!((&*call.provider, call.name), ("replicate", OperationName::GenerateContent));
    assert_eq!(call.request.model.as_deref(), Some("meta/llama"));
    assert_eq!((call.request.max_tokens, call.request.stream), (Some(7), true));
    assert_eq!(call.response.id.as_deref(), Some("p1"));
    assert_eq!((call.error.as_ref(), call.content.unwrap().output_messages), (None, None));

    let done = json!({"id": "p1", "model": "meta/llama", "status": "succeeded",
        "output": ["He", "y"], "metrics": {"input_token_count": 3, "output_token_count": 2}});
    let mut fetched = Exchange::json("/v1/predictions/p1", REPLICATE, &Value::Null, &done);
    (fetched.method, fetched.request) = (Method::GET, Vec::new());
    let call = with_content(fetched);
    assert_eq!((call.name, call.usage), (OperationName::FetchResponse, Usage::default()));
    assert_eq!(text(&call), "Hey");
    // The client may wait for the result: then the counts are told here.
    let call = Exchange::json(path, REPLICATE, &request, &done).run();
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(2)));
}

#[test]
pub(super) fn replicate_failure_is_told() {
    let failed = json!({"id": "p1", "model": "m", "status": "failed", "error": "out of memory"});
    let request = json!({"version": "v", "input": {}});
    let error =
        Exchange::json("/v1/predictions", REPLICATE, &request, &failed).run().error.unwrap();
    assert_eq!((&*error.kind, error.message.as_deref()), ("failed", Some("out of memory")));
}

#[test]
pub(super) fn replicate_output_streams_as_plain_text() {
    let events = "event: output\nid: 1\ndata: He\n\nevent: output\nid: 2\ndata: {y}\n\n\
        event: done\ndata: {}\n\n";
    let mut exchange = Exchange::sse("/v1/streams/x", "stream.replicate.com", &Value::Null, events);
    (exchange.method, exchange.request) = (Method::GET, Vec::new());
    exchange.how = Ended::ClientGone;
    let call = with_content(exchange);
    assert_eq!((call.response.chunks, &*text(&call)), (2, "He{y}"));
    assert_eq!((call.error, call.end.how), (None, Ended::Complete));
}

#[test]
pub(super) fn rerank_is_read() {
    let request = json!({"model": "r-1", "query": "q", "documents": ["a", "b"], "top_n": 1});
    let cohere = json!({"id": "c1", "results": [{"index": 1, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 1}}});
    let call = Exchange::json("/v2/rerank", "api.cohere.com", &request, &cohere).run();
    assert_eq!((call.name.as_str(), &*call.provider), ("rerank", "cohere"));
    assert_eq!((call.request.top_k, call.response.id.as_deref()), (Some(1.0), Some("c1")));
    assert_eq!(call.usage, Usage::default(), "search units are no tokens");

    let voyage = json!({"object": "list", "data": [{"index": 1, "relevance_score": 0.9}],
        "model": "r-1", "usage": {"total_tokens": 12}});
    let call = Exchange::json("/v1/rerank", "api.voyageai.com", &request, &voyage).run();
    assert_eq!((&*call.provider, call.response.model.as_deref()), ("voyage_ai", Some("r-1")));
    assert_eq!(call.usage, Usage::default(), "a total is no count of the input");

    let vllm = json!({"id": "v1", "model": "r-1", "usage": {"prompt_tokens": 9, "total_tokens": 9},
        "results": [{"index": 0, "document": {"text": "a"}, "relevance_score": 0.9}]});
    let call = Exchange::json("/rerank", "localhost:8000", &request, &vllm).run();
    assert_eq!(call.usage.input_tokens, Some(9));

    let request = json!({"query": "q", "texts": ["a"]});
    let scores = json!([{"index": 0, "score": 0.9}]);
    let call = Exchange::json("/rerank", "localhost:8080", &request, &scores).run();
    assert_eq!(&*call.provider, "huggingface");
}

const CLOUDFLARE: &str = "api.cloudflare.com";
const RUN: &str = "/client/v4/accounts/a1/ai/run/@cf/meta/llama-3";

#[test]
pub(super) fn cloudflare_envelope_is_read() {
    let request = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4});
    let response = json!({"success": true, "errors": [], "result": {"response": "Hey",
        "tool_calls": [{"name": "look", "arguments": {"a": 1}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}});
    let call = with_content(Exchange::json(RUN, CLOUDFLARE, &request, &response));
    assert_eq!((&*call.provider, call.name), ("cloudflare", OperationName::Chat));
    assert_eq!(call.request.model.as_deref(), Some("@cf/meta/llama-3"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(3), Some(2)));
    assert_eq!(
        (call.response.tool_calls.as_slice(), &*text(&call)),
        (&["look".to_owned()][..], "Hey")
    );
}

#[test]
pub(super) fn cloudflare_runs_models_that_speak_openais_format() {
    let request = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "Hey",
        "reasoning_content": "hm"}, "finish_reason": "length"});
    let response = json!({"success": true, "errors": [], "result": {"id": "c1", "model": "@cf/q",
        "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 1}}}});
    let call = with_content(Exchange::json(RUN, CLOUDFLARE, &request, &response));
    assert_eq!((call.response.id.as_deref(), reasons(&call)), (Some("c1"), vec!["length"]));
    assert_eq!((call.usage.input_tokens, call.usage.cache_read_input_tokens), (Some(3), Some(1)));
    assert_eq!(text(&call), "hmHey");
    let events = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hey\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3}}\n\n\
        data: [DONE]\n\n";
    let call = with_content(Exchange::sse(RUN, CLOUDFLARE, &request, events));
    assert_eq!((&*text(&call), reasons(&call)), ("Hey", vec!["stop"]));
    assert_eq!((call.usage.input_tokens, call.response.chunks), (Some(3), 1));
}

#[test]
pub(super) fn cloudflare_stream_and_errors_are_read() {
    let request = json!({"prompt": "Hi", "stream": true});
    let events = "data: {\"response\":\"He\"}\n\ndata: {\"response\":\"y\"}\n\n\
        data: {\"response\":\"\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n\
        data: [DONE]\n\n";
    let call = with_content(Exchange::sse(RUN, CLOUDFLARE, &request, events));
    assert_eq!((call.response.chunks, &*text(&call)), (2, "Hey"));
    assert_eq!((call.usage.output_tokens, reasons(&call)), (Some(2), vec![]));
    let failed = json!({"success": false, "result": null,
        "errors": [{"code": 7009, "message": "no such model"}]});
    let mut exchange = Exchange::json(RUN, CLOUDFLARE, &request, &failed);
    exchange.status = 400;
    let error = exchange.run().error.unwrap();
    assert_eq!((&*error.kind, error.message.as_deref()), ("7009", Some("no such model")));
}

const VERTEX: &str = "us-central1-aiplatform.googleapis.com";

#[test]
pub(super) fn vertex_predictions_are_read() {
    let path = "/v1/projects/p/locations/l/publishers/google/models/embed-5:predict";
    let request = json!({"instances": [{"content": "a"}, {"content": "b"}],
        "parameters": {"outputDimensionality": 64}});
    let vector =
        |count| json!({"embeddings": {"values": [0.1], "statistics": {"token_count": count}}});
    let response = json!({"predictions": [vector(2), vector(3)]});
    let call = Exchange::json(path, VERTEX, &request, &response).run();
    assert_eq!((&*call.provider, call.name), ("gcp.vertex_ai", OperationName::Embeddings));
    assert_eq!(call.request.model.as_deref(), Some("embed-5"));
    assert_eq!((call.usage.input_tokens, call.request.embedding_dimensions), (Some(5), Some(64)));

    let request = json!({"instances": [{"prompt": "Hi"}], "parameters": {"maxOutputTokens": 5}});
    let response = json!({"predictions": [{"content": "Hey"}], "metadata": {"tokenMetadata":
        {"inputTokenCount": {"totalTokens": 4}, "outputTokenCount": {"totalTokens": 6}}}});
    let call = with_content(Exchange::json(path, VERTEX, &request, &response));
    assert_eq!((call.name, &*text(&call)), (OperationName::GenerateContent, "Hey"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(4), Some(6)));
}

#[test]
pub(super) fn vertex_serves_other_publishers() {
    let request = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    let response = json!({"choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hey"}}], "usage": {"prompt_tokens": 2}});
    let path = "/v1/projects/p/locations/l/publishers/mistralai/models/small:rawPredict";
    let call = Exchange::json(path, VERTEX, &request, &response).run();
    assert_eq!((&*call.provider, call.usage.input_tokens), ("gcp.vertex_ai", Some(2)));
    assert_eq!(reasons(&call), ["stop"]);
}

const MISTRAL: &str = "api.mistral.ai";

#[test]
pub(super) fn mistral_conversation_is_read() {
    let request = json!({"model": "m", "inputs": "Hi", "instructions": "Be brief",
        "completion_args": {"max_tokens": 5, "temperature": 0.5}});
    let response = json!({"object": "conversation.response", "conversation_id": "c1", "outputs": [
        {"type": "function.call", "tool_call_id": "t1", "name": "look", "arguments": "{\"a\":1}"},
        {"type": "message.output", "model": "m-1", "content": [{"type": "text", "text": "Hey"}]}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}});
    let call = with_content(Exchange::json("/v1/conversations", MISTRAL, &request, &response));
    assert_eq!((&*call.provider, call.name), ("mistral_ai", OperationName::Chat));
    assert_eq!((call.request.max_tokens, call.response.model.as_deref()), (Some(5), Some("m-1")));
    assert_eq!(call.response.conversation_id.as_deref(), Some("c1"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(4), Some(2)));
    assert_eq!(
        (call.response.tool_calls.as_slice(), &*text(&call)),
        (&["look".to_owned()][..], "Hey")
    );
    // The same path at OpenAI makes a conversation and asks no model.
    let exchange = Exchange::json("/v1/conversations", "api.openai.com", &request, &response);
    assert!(exchange.run_in(usize::MAX).is_none());
}

#[test]
pub(super) fn mistral_agent_streams() {
    let request = json!({"agent_id": "ag1", "inputs": [{"role": "user", "content": "Hi"}],
        "stream": true});
    let events = [
        ("conversation.response.started", json!({"conversation_id": "c1"})),
        ("message.output.delta", json!({"id": "m", "content": "Hey", "model": "m-1"})),
        (
            "function.call.delta",
            json!({"tool_call_id": "t", "name": "look", "arguments": "{\"a\""}),
        ),
        ("function.call.delta", json!({"tool_call_id": "t", "name": "look", "arguments": ":1}"})),
        (
            "conversation.response.done",
            json!({"usage": {"prompt_tokens": 4, "completion_tokens": 2}}),
        ),
    ];
    let body: String = events
        .into_iter()
        .map(|(kind, mut data)| {
            data["type"] = kind.into();
            format!("event: {kind}\ndata: {data}\n\n")
        })
        .collect();
    let call = with_content(Exchange::sse("/v1/conversations", MISTRAL, &request, &body));
    assert_eq!(
        (call.name, call.request.agent.id.as_deref()),
        (OperationName::InvokeAgent, Some("ag1"))
    );
    assert_eq!((call.response.chunks, call.usage.output_tokens), (3, Some(2)));
    assert_eq!(call.response.tool_calls, ["look"]);
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"][1]["arguments"], json!({"a": 1}));
}

const GEMINI: &str = "generativelanguage.googleapis.com";
const INTERACTIONS: &str = "/v1beta/interactions";

#[test]
pub(super) fn gemini_interaction_is_read() {
    let request = json!({"model": "g", "input": "Hi", "previous_interaction_id": "i0",
        "generation_config": {"max_output_tokens": 5, "thinking_level": "low"}});
    let response = json!({"id": "i1", "model": "g-1", "status": "completed", "steps": [
        {"type": "user_input", "content": [{"type": "text", "text": "Hi"}]},
        {"type": "thought", "summary": [{"type": "text", "text": "hm"}]},
        {"type": "function_call", "id": "t1", "name": "look", "arguments": {"a": 1}},
        {"type": "model_output", "content": [{"type": "text", "text": "Hey"}]}],
        "usage": {"total_input_tokens": 4, "total_output_tokens": 2, "total_thought_tokens": 3,
            "total_tool_use_tokens": 1, "total_cached_tokens": 2, "total_tokens": 10}});
    let call = with_content(Exchange::json(INTERACTIONS, GEMINI, &request, &response));
    assert_eq!((&*call.provider, call.name), ("gcp.gemini", OperationName::GenerateContent));
    assert_eq!(call.request.previous_response_id.as_deref(), Some("i0"));
    assert_eq!(
        (call.request.max_tokens, call.request.reasoning_level.as_deref()),
        (Some(5), Some("low"))
    );
    // Tool results belong to the input, thoughts to the output.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(5), Some(5)));
    assert_eq!(
        (call.usage.cache_read_input_tokens, call.usage.reasoning_output_tokens),
        (Some(2), Some(3))
    );
    assert_eq!(call.response.tool_calls, ["look"]);
    assert_eq!(text(&call), "hmHey");

    let mut fetched = Exchange::json("/v1beta/interactions/i1", GEMINI, &Value::Null, &response);
    (fetched.method, fetched.request) = (Method::GET, Vec::new());
    let call = fetched.run();
    assert_eq!((call.name, call.usage), (OperationName::FetchResponse, Usage::default()));
    assert_eq!(call.response.id.as_deref(), Some("i1"));
}

#[test]
pub(super) fn gemini_interaction_streams() {
    let request = json!({"agent": "deep-research", "input": "Hi", "stream": true});
    let events = [
        json!({"event_type": "interaction.created",
            "interaction": {"id": "i1", "model": "g-1", "status": "in_progress"}}),
        json!({"event_type": "step.start", "index": 0, "step": {"type": "model_output"}}),
        json!({"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "He"}}),
        json!({"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "y"}}),
        json!({"event_type": "step.start", "index": 1,
            "step": {"type": "function_call", "id": "t", "name": "look", "arguments": {}}}),
        json!({"event_type": "step.delta", "index": 1,
            "delta": {"type": "arguments_delta", "arguments": "{\"a\":1}"}}),
        json!({"event_type": "interaction.completed", "interaction": {"id": "i1",
            "status": "completed", "usage": {"total_input_tokens": 4, "total_output_tokens": 2}}}),
    ];
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let call = with_content(Exchange::sse(INTERACTIONS, GEMINI, &request, &body));
    assert_eq!(
        (call.name, call.request.agent.id.as_deref()),
        (OperationName::InvokeAgent, Some("deep-research"))
    );
    assert_eq!((call.response.chunks, &*text(&call)), (4, "Hey"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(4), Some(2)));
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"][1]["arguments"], json!({"a": 1}));
}

const SAGEMAKER: &str = "runtime.sagemaker.us-east-1.amazonaws.com";

#[test]
pub(super) fn sagemaker_containers_are_read() {
    let path = "/endpoints/mine/invocations";
    let request = json!({"inputs": "Hi", "parameters": {"max_new_tokens": 4}});
    let response = json!([{"generated_text": "Hey"}]);
    let call = with_content(Exchange::json(path, SAGEMAKER, &request, &response));
    assert_eq!((&*call.provider, call.request.model.as_deref()), ("aws.sagemaker", None));
    assert_eq!((call.request.max_tokens, &*text(&call)), (Some(4), "Hey"));
    let request = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let response = json!({"choices": [{"message": {"content": "Hey"}, "finish_reason": "stop"}]});
    let call = Exchange::json(path, SAGEMAKER, &request, &response).run();
    assert_eq!((call.name, reasons(&call)), (OperationName::Chat, vec!["stop"]));
}

#[test]
pub(super) fn sagemaker_stream_is_cut_anywhere() {
    let path = "/endpoints/mine/invocations-response-stream";
    let body = "data:{\"token\":{\"text\":\"He\",\"special\":false}}\n\n\
        data:{\"token\":{\"text\":\"y\",\"special\":false},\"generated_text\":\"Hey\",\
        \"details\":{\"finish_reason\":\"length\",\"generated_tokens\":2}}\n\n";
    let (first, second) = body.split_at(31);
    let mut exchange = Exchange::json(path, SAGEMAKER, &json!({"inputs": "Hi"}), &Value::Null);
    exchange.kind = "application/vnd.amazon.eventstream";
    exchange.response =
        [frames::event("PayloadPart", first), frames::event("PayloadPart", second)].concat();
    let call = with_content(exchange);
    assert_eq!((call.usage.output_tokens, &*text(&call)), (Some(2), "Hey"));
    assert_eq!((reasons(&call), call.request.stream), (vec!["length"], true));
}

const AGENTS: &str = "bedrock-agent-runtime.us-east-1.amazonaws.com";

#[test]
pub(super) fn bedrock_agent_is_read() {
    let path = "/agents/A1/agentAliases/L1/sessions/s-1/text";
    let trace = |side: &str, input: u64, output: u64| {
        let usage = json!({"inputTokens": input, "outputTokens": output});
        let told = json!({"modelInvocationOutput": {"metadata": {"usage": usage}}});
        frames::event("trace", &json!({"sessionId": "s-1", "trace": {side: told}}).to_string())
    };
    let chunk = |text: &str| {
        let bytes = BASE64_STANDARD.encode(text);
        frames::event("chunk", &json!({"bytes": bytes}).to_string())
    };
    let mut exchange = Exchange::json(path, AGENTS, &json!({"inputText": "Hi"}), &Value::Null);
    exchange.kind = "application/vnd.amazon.eventstream";
    exchange.response = [
        trace("preProcessingTrace", 3, 1),
        trace("orchestrationTrace", 10, 4),
        chunk("He"),
        chunk("y"),
    ]
    .concat();
    let call = with_content(exchange);
    assert_eq!((&*call.provider, call.name), ("aws.bedrock", OperationName::InvokeAgent));
    assert_eq!(call.request.agent.id.as_deref(), Some("A1"));
    assert_eq!(call.response.conversation_id.as_deref(), Some("s-1"));
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(13), Some(5)));
    assert_eq!((call.response.chunks, &*text(&call)), (2, "Hey"));
}

#[test]
pub(super) fn knowledge_bases_are_read() {
    let base = json!({"knowledgeBaseId": "K1", "modelArn": "arn:m"});
    let request = json!({"input": {"text": "Hi"}, "retrieveAndGenerateConfiguration":
        {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": base}});
    let response = json!({"output": {"text": "Hey"}, "sessionId": "s-2"});
    let call = with_content(Exchange::json("/retrieveAndGenerate", AGENTS, &request, &response));
    assert_eq!((call.name, call.request.model.as_deref()), (OperationName::Chat, Some("arn:m")));
    assert_eq!(call.request.data_source_id.as_deref(), Some("K1"));
    assert_eq!((call.response.conversation_id.as_deref(), &*text(&call)), (Some("s-2"), "Hey"));

    let request = json!({"retrievalQuery": {"text": "Hi"}});
    let response = json!({"retrievalResults": [{"content": {"text": "a"}}]});
    let call = Exchange::json("/knowledgebases/K1/retrieve", AGENTS, &request, &response).run();
    assert_eq!(
        (call.name, call.request.data_source_id.as_deref()),
        (OperationName::Retrieval, Some("K1"))
    );
}

#[test]
pub(super) fn aws_names_its_errors_in_a_header() {
    let request = json!({"messages": []});
    let response = json!({"Message": "slow down"});
    let host = "bedrock-runtime.us-east-1.amazonaws.com";
    let mut exchange = Exchange::json("/model/m/converse", host, &request, &response);
    exchange.status = 429;
    exchange.response_headers =
        vec![("x-amzn-errortype", "ThrottlingException:http://internal.amazon.com/coral/")];
    let error = exchange.run().error.unwrap();
    assert_eq!(
        (&*error.kind, error.message.as_deref()),
        ("ThrottlingException", Some("slow down"))
    );
}

#[test]
pub(super) fn reasoning_beside_the_completion_is_output() {
    let request = json!({"model": "g", "messages": []});
    let usage = |total: u64| {
        json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 4,
            "total_tokens": total, "completion_tokens_details": {"reasoning_tokens": 6}}})
    };
    let output = |total| {
        Exchange::json("/v1/chat/completions", "api.x.ai", &request, &usage(total)).run().usage
    };
    assert_eq!(output(20).output_tokens, Some(10), "10 + 4 + 6 are the total");
    assert_eq!(output(14).output_tokens, Some(4), "6 are among the 4");
}

#[test]
pub(super) fn databricks_path_names_the_model() {
    let request = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let response = json!({"model": "m-1", "usage": {"prompt_tokens": 2, "completion_tokens": 1},
        "choices": [{"message": {"content": "Hey"}, "finish_reason": "stop"}]});
    let host = "adb-1.azuredatabricks.net";
    let path = "/serving-endpoints/my-llama/invocations";
    let call = Exchange::json(path, host, &request, &response).run();
    assert_eq!((&*call.provider, call.request.model.as_deref()), ("databricks", Some("my-llama")));
    let fraud = json!({"dataframe_records": [{"amount": 3}]});
    let exchange = Exchange::json(path, host, &fraud, &json!({"predictions": [0]}));
    assert!(exchange.run_in(usize::MAX).is_none(), "a served model of another kind");
}
