//! What stands around Bedrock's chats: flows, agents defined in the request, guardrails, rankings,
//! calls answered later, and bodies of models that make no text.

use super::{super::eventstream::tests as frames, *};

const RUNTIME: &str = "bedrock-runtime.us-east-1.amazonaws.com";
const AGENTS: &str = "bedrock-agent-runtime.us-east-1.amazonaws.com";

fn streamed(target: &'static str, request: &Value, frames: &[Vec<u8>]) -> Exchange<'static> {
    let mut exchange = Exchange::json(target, AGENTS, request, &Value::Null);
    exchange.kind = "application/vnd.amazon.eventstream";
    exchange.response = frames.concat();
    exchange.capture_content = true;
    exchange
}

fn text(call: &Operation) -> String {
    let messages = call.content.as_ref().unwrap().output_messages.as_ref().unwrap();
    let parts = messages[0]["parts"].as_array().unwrap().iter();
    parts.filter_map(|part| part["content"].as_str()).collect()
}

#[test]
pub(super) fn flow_is_a_workflow() {
    let request = json!({"inputs": [{"content": {"document": "Hi"}, "nodeName": "FlowInputNode",
        "nodeOutputName": "document"}]});
    let output =
        r#"{"content":{"document":"Hey"},"nodeName":"FlowOutputNode","nodeType":"FlowOutputNode"}"#;
    let done = r#"{"completionReason":"SUCCESS"}"#;
    let all =
        [frames::event("flowOutputEvent", output), frames::event("flowCompletionEvent", done)];
    let mut exchange = streamed("/flows/F1/aliases/A1", &request, &all);
    exchange.response_headers = vec![("x-amz-bedrock-flow-execution-id", "e1")];
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((&*call.provider, call.name.as_str()), ("aws.bedrock", "invoke_workflow"));
    assert_eq!((&*text(&call), reasons(&call)), ("Hey", vec!["SUCCESS"]));
    assert_eq!(call.response.conversation_id.as_deref(), Some("e1"));
    let input = call.content.unwrap().input_messages.unwrap();
    assert_eq!(input[0]["parts"][0]["content"], "Hi");
    // Cut before it was complete.
    let mut exchange = streamed("/flows/F1/aliases/A1", &request, &all[..1]);
    exchange.how = Ended::ServerReset;
    assert_eq!(reasons(&exchange.run()), ["error"]);
    // An execution that is only started has no stream and no answer.
    let path = "/flows/F1/aliases/A1/executions";
    assert!(Exchange::json(path, AGENTS, &request, &json!({})).run_in(usize::MAX).is_none());
}

#[test]
pub(super) fn agent_of_the_request_names_its_model() {
    let request = json!({"inputText": "Hi", "instruction": "Be brief", "agentName": "helper",
        "foundationModel": "anthropic.claude"});
    let control = r#"{"invocationId":"i","invocationInputs":[{"functionInvocationInput":
        {"actionGroup":"g","function":"look","parameters":[{"name":"a","type":"string","value":"1"}]}}]}"#;
    let mut exchange =
        streamed("/agents/session-1", &request, &[frames::event("returnControl", control)]);
    exchange.response_headers = vec![("x-amz-bedrock-agent-session-id", "session-1")];
    let call = exchange.run();
    assert_eq!(call.name, OperationName::InvokeAgent);
    assert_eq!(call.request.model.as_deref(), Some("anthropic.claude"));
    assert_eq!(call.request.agent.name.as_deref(), Some("helper"));
    assert_eq!(call.response.tool_calls, ["look"]);
    assert_eq!(call.response.conversation_id.as_deref(), Some("session-1"));
}

#[test]
pub(super) fn guardrail_alone_is_a_moderation() {
    let request = json!({"source": "INPUT", "content": [{"text": {"text": "Hi"}}]});
    let response = json!({"action": "GUARDRAIL_INTERVENED", "outputs": [{"text": "Sorry"}],
        "usage": {"contentPolicyUnits": 1}, "assessments": []});
    let mut exchange =
        Exchange::json("/guardrail/g1/version/DRAFT/apply", RUNTIME, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((call.name, &*text(&call)), (OperationName::Moderation, "Sorry"));
    assert_eq!(call.usage, Usage::default());
}

#[test]
pub(super) fn bedrock_rankings_are_read() {
    let request = json!({"queries": [{"type": "TEXT", "textQuery": {"text": "q"}}],
        "sources": [{"type": "INLINE", "inlineDocumentSource": {"type": "TEXT"}}],
        "rerankingConfiguration": {"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration":
            {"modelConfiguration": {"modelArn": "arn:aws:bedrock:us-east-1::foundation-model/r"}}}});
    let response = json!({"results": [{"index": 0, "relevanceScore": 0.5}]});
    let call = Exchange::json("/rerank", AGENTS, &request, &response).run();
    assert_eq!(call.name, OperationName::Rerank);
    assert_eq!(
        call.request.model.as_deref(),
        Some("arn:aws:bedrock:us-east-1::foundation-model/r")
    );
    // The same by InvokeModel.
    let request = json!({"query": "q", "documents": ["a"], "api_version": 2});
    let response = json!({"results": [{"index": 0, "relevance_score": 0.5}]});
    let call = Exchange::json("/model/cohere.rerank/invoke", RUNTIME, &request, &response).run();
    assert_eq!((call.name, reasons(&call)), (OperationName::Rerank, Vec::new()));
}

#[test]
pub(super) fn call_that_is_answered_later_has_an_id() {
    let request = json!({"modelId": "amazon.nova-reel", "modelInput": {"taskType": "TEXT_VIDEO"},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://b"}}});
    let response = json!({"invocationArn": "arn:aws:bedrock:us-east-1:1:async-invoke/x"});
    let call = Exchange::json("/async-invoke", RUNTIME, &request, &response).run();
    assert_eq!(
        (call.name, call.request.model.as_deref()),
        (OperationName::GenerateContent, Some("amazon.nova-reel"))
    );
    assert_eq!(call.response.id.as_deref(), Some("arn:aws:bedrock:us-east-1:1:async-invoke/x"));
}

#[test]
pub(super) fn answer_tells_what_titan_was_asked_for() {
    let request = json!({"inputText": "Hi"});
    let path = "/model/amazon.titan/invoke";
    for (response, name) in [
        (json!({"embedding": [0.1], "inputTextTokenCount": 3}), OperationName::Embeddings),
        (
            json!({"results": [{"outputText": "a", "tokenCount": 1, "completionReason": "FINISH"}],
                "inputTextTokenCount": 3}),
            OperationName::TextCompletion,
        ),
    ] {
        let call = Exchange::json(path, RUNTIME, &request, &response).run();
        assert_eq!((call.name, call.usage.input_tokens), (name, Some(3)));
    }
    let request = json!({"images": ["data:"], "input_type": "image", "embedding_types": ["float"]});
    let response = json!({"id": "e1", "embeddings": {"float": [[0.1]]}, "response_type": "embeddings_by_type"});
    let call = Exchange::json(path, RUNTIME, &request, &response).run();
    assert_eq!((call.name, call.response.id.as_deref()), (OperationName::Embeddings, Some("e1")));
    let request = json!({"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a cat"}});
    let call = Exchange::json(path, RUNTIME, &request, &json!({"images": ["iVBO"]})).run();
    assert_eq!((call.name, reasons(&call)), (OperationName::GenerateContent, Vec::new()));
}

#[test]
pub(super) fn router_tells_the_model_that_answered() {
    let request = json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "outputConfig": {"effort": "high", "textFormat": {"type": "json_schema"}}});
    let routed = json!({"promptRouter": {"invokedModelId": "arn:model/m2"}});
    let response = json!({"output": {"message": {"role": "assistant", "content": [
        {"citationsContent": {"content": [{"text": "He"}, {"text": "y"}], "citations": []}}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 2}, "trace": routed});
    let mut exchange = Exchange::json("/model/router/converse", RUNTIME, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((call.response.model.as_deref(), &*text(&call)), (Some("arn:model/m2"), "Hey"));
    assert_eq!(
        (call.request.reasoning_level.as_deref(), call.request.output_type),
        (Some("high"), Some("json"))
    );
    let all = [
        frames::event("messageStart", r#"{"role":"assistant"}"#),
        frames::event("messageStop", r#"{"stopReason":"end_turn"}"#),
        frames::event(
            "metadata",
            r#"{"usage":{"inputTokens":1,"outputTokens":2},
            "trace":{"promptRouter":{"invokedModelId":"arn:model/m2"}}}"#,
        ),
    ];
    let mut exchange = streamed("/model/router/converse-stream", &request, &all);
    exchange.host = RUNTIME;
    assert_eq!(exchange.run().response.model.as_deref(), Some("arn:model/m2"));
}

#[test]
pub(super) fn deepseek_on_bedrock_is_read() {
    let request = json!({"prompt": "Hi", "max_tokens": 5, "temperature": 0.5});
    let response = json!({"choices": [{"text": "Hey", "stop_reason": "length"}]});
    let mut exchange = Exchange::json("/model/us.deepseek.r1/invoke", RUNTIME, &request, &response);
    exchange.response_headers = vec![("x-amzn-bedrock-input-token-count", "4")];
    exchange.capture_content = true;
    let call = exchange.run();
    assert_eq!((reasons(&call), &*text(&call)), (vec!["length"], "Hey"));
    assert_eq!((call.request.max_tokens, call.usage.input_tokens), (Some(5), Some(4)));
}

#[test]
pub(super) fn aws_regions_and_partitions_are_known() {
    let request = json!({"messages": []});
    for host in [
        "bedrock-runtime.us-gov-west-1.amazonaws.com",
        "bedrock-runtime.cn-north-1.amazonaws.com.cn",
        "bedrock-runtime-fips.us-east-2.amazonaws.com",
    ] {
        let mut exchange =
            Exchange::json("/model/m/converse", host, &request, &json!({"message": "no"}));
        exchange.status = 400;
        exchange.response_headers = vec![("x-amzn-errortype", "ValidationException:http://x")];
        let call = exchange.run();
        assert_eq!(
            (&*call.provider, &*call.error.unwrap().kind),
            ("aws.bedrock", "ValidationException")
        );
    }
}
