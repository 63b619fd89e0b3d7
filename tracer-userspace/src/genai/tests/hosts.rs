//! Hosts of the providers that speak formats of others, and what they are called.

use super::*;

/// Host, path of its chat or embeddings as it documents them, and the name.
const CHATS: &[(&str, &str, &str)] = &[
    ("api.ai21.com", "/studio/v1/chat/completions", "ai21"),
    ("api.cerebras.ai", "/v1/chat/completions", "cerebras"),
    ("api.cohere.com", "/compatibility/v1/chat/completions", "cohere"),
    ("api.deepinfra.com", "/v1/openai/chat/completions", "deepinfra"),
    ("api.deepseek.com", "/chat/completions", "deepseek"),
    ("api.fireworks.ai", "/inference/v1/chat/completions", "fireworks"),
    ("api.githubcopilot.com", "/chat/completions", "github_copilot"),
    ("api.groq.com", "/openai/v1/chat/completions", "groq"),
    ("api.minimax.io", "/v1/text/chatcompletion_v2", "minimax"),
    ("api.mistral.ai", "/v1/chat/completions", "mistral_ai"),
    ("api.moonshot.cn", "/v1/chat/completions", "moonshot_ai"),
    ("api.novita.ai", "/v3/openai/chat/completions", "novita"),
    ("api.openai.com", "/v1/chat/completions", "openai"),
    ("api.perplexity.ai", "/chat/completions", "perplexity"),
    ("api.sambanova.ai", "/v1/chat/completions", "sambanova"),
    ("api.scaleway.ai", "/v1/chat/completions", "scaleway"),
    ("api.siliconflow.cn", "/v1/chat/completions", "siliconflow"),
    ("api.studio.nebius.com", "/v1/chat/completions", "nebius"),
    ("api.together.xyz", "/v1/chat/completions", "together_ai"),
    ("api.upstage.ai", "/v1/chat/completions", "upstage"),
    ("api.x.ai", "/v1/chat/completions", "x_ai"),
    ("api.z.ai", "/api/paas/v4/chat/completions", "z_ai"),
    ("ai-gateway.vercel.sh", "/v1/chat/completions", "vercel"),
    ("ark.cn-beijing.volces.com", "/api/v3/chat/completions", "volcengine"),
    ("bedrock-mantle.us-east-1.api.aws", "/v1/chat/completions", "aws.bedrock"),
    ("bedrock-runtime.us-west-2.amazonaws.com", "/openai/v1/chat/completions", "aws.bedrock"),
    ("dashscope.aliyuncs.com", "/compatible-mode/v1/chat/completions", "dashscope"),
    ("dbc-1.cloud.databricks.com", "/serving-endpoints/chat/completions", "databricks"),
    ("generativelanguage.googleapis.com", "/v1beta/openai/chat/completions", "gcp.gemini"),
    ("inference.baseten.co", "/v1/chat/completions", "baseten"),
    ("integrate.api.nvidia.com", "/v1/chat/completions", "nvidia"),
    ("models.github.ai", "/inference/chat/completions", "github"),
    ("models.inference.ai.azure.com", "/chat/completions", "azure.ai.inference"),
    ("ollama.com", "/v1/chat/completions", "ollama"),
    ("openrouter.ai", "/api/v1/chat/completions", "openrouter"),
    ("res.services.ai.azure.com", "/models/chat/completions", "azure.ai.inference"),
    ("res.openai.azure.com", "/openai/v1/chat/completions", "azure.ai.openai"),
    ("router.huggingface.co", "/v1/chat/completions", "huggingface"),
    ("acc.snowflakecomputing.com", "/api/v2/cortex/v1/chat/completions", "snowflake"),
    ("acc.snowflakecomputing.com", "/api/v2/cortex/inference:complete", "snowflake"),
    (
        "aiplatform.googleapis.com",
        "/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
        "gcp.vertex_ai",
    ),
    ("api.cloudflare.com", "/client/v4/accounts/a/ai/v1/chat/completions", "cloudflare"),
    ("api.writer.com", "/v1/chat", "writer"),
    ("deepsearch.jina.ai", "/v1/chat/completions", "jina_ai"),
];

const MESSAGES: &[(&str, &str, &str)] = &[
    ("api.anthropic.com", "/v1/messages?beta=true", "anthropic"),
    ("api.deepseek.com", "/anthropic/v1/messages", "deepseek"),
    ("api.moonshot.ai", "/anthropic/v1/messages", "moonshot_ai"),
    ("api.z.ai", "/api/anthropic/v1/messages", "z_ai"),
    ("bedrock-mantle.us-east-1.api.aws", "/anthropic/v1/messages", "aws.bedrock"),
    ("res.services.ai.azure.com", "/anthropic/v1/messages", "azure.ai.inference"),
    ("openrouter.ai", "/api/v1/messages", "openrouter"),
    ("api.githubcopilot.com", "/v1/messages", "github_copilot"),
    ("127.0.0.1:8000", "/v1/messages", "anthropic"),
];

const RESPONSES: &[(&str, &str, &str)] = &[
    ("api.openai.com", "/v1/responses", "openai"),
    ("chatgpt.com", "/backend-api/codex/responses", "openai"),
    ("res.openai.azure.com", "/openai/v1/responses", "azure.ai.openai"),
    ("api.x.ai", "/v1/responses", "x_ai"),
    ("openrouter.ai", "/api/v1/responses", "openrouter"),
    ("bedrock-mantle.us-east-1.api.aws", "/v1/responses", "aws.bedrock"),
];

fn check(rows: &[(&'static str, &'static str, &str)], request: &Value, response: &Value) {
    for (host, path, name) in rows {
        let call = Exchange::json(path, host, request, response).run();
        assert_eq!((&*call.provider, call.name), (*name, OperationName::Chat), "{host}");
        assert_eq!(call.usage.input_tokens, Some(3), "{host}");
        // The names of OpenAI's APIs are for its own services.
        let own = matches!(*name, "openai" | "azure.ai.openai");
        assert_eq!(call.api_type.is_some(), own, "{host}");
    }
}

#[test]
pub(super) fn hosts_of_openai_chats_are_known() {
    let request = json!({"model": "m", "max_tokens": 7, "temperature": 0.5,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "look"}}]});
    let response = json!({"id": "c", "model": "m", "choices": [{"index": 0, "message":
        {"role": "assistant", "content": "Hey", "tool_calls": [{"id": "t", "type": "function",
            "function": {"name": "look", "arguments": "{}"}}]}, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1}}});
    check(CHATS, &request, &response);
}

#[test]
pub(super) fn streams_and_failures_of_openai_chats_are_read_at_every_host() {
    let request =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let chunk = |delta: Value, reason: Value| json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let usage =
        json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
    let body = [
        chunk(json!({"role": "assistant", "content": "He"}), Value::Null).to_string(),
        chunk(json!({"content": "y"}), json!("stop")).to_string(),
        usage.to_string(),
        "[DONE]".to_owned(),
    ]
    .map(|data| format!("data: {data}\n\n"))
    .concat();
    let failure = json!({"error": {"message": "slow down", "type": "rate_limit", "code": "429"}});
    for (host, path, name) in CHATS {
        let call = Exchange::sse(path, host, &request, &body).run();
        assert_eq!((&*call.provider, reasons(&call)), (*name, vec!["stop"]), "{host}");
        assert_eq!((call.usage.output_tokens, call.response.chunks), (Some(2), 2), "{host}");
        let mut exchange = Exchange::json(path, host, &request, &failure);
        exchange.status = 429;
        assert_eq!(exchange.run().error.unwrap().kind, "rate_limit", "{host}");
    }
}

#[test]
pub(super) fn hosts_of_anthropic_messages_are_known() {
    let request = json!({"model": "m", "max_tokens": 5, "messages": []});
    let response = json!({"id": "m1", "type": "message", "model": "m", "content": [],
        "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 1}});
    check(MESSAGES, &request, &response);
}

#[test]
pub(super) fn hosts_of_openai_responses_are_known() {
    let request = json!({"model": "m", "input": "Hi"});
    let response = json!({"id": "r1", "object": "response", "status": "completed", "model": "m",
        "output": [], "usage": {"input_tokens": 3, "output_tokens": 1}});
    check(RESPONSES, &request, &response);
}
