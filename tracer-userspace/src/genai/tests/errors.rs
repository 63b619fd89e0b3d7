//! Errors as each provider documents them: in the body of a failed response and in a header.

use super::*;

mod streams;

const CHAT: &str = "/v1/chat/completions";

/// Target and host of a provider's API.
struct Api(&'static str, &'static str);

const OPENAI: Api = Api(CHAT, "api.openai.com");
const RESPONSES: Api = Api("/v1/responses", "api.openai.com");
const AZURE: Api =
    Api("/openai/deployments/d/chat/completions?api-version=2024-10-21", "r.openai.azure.com");
const AZURE_AI: Api = Api("/models/chat/completions", "r.services.ai.azure.com");
const ANTHROPIC: Api = Api("/v1/messages", "api.anthropic.com");
const GEMINI: Api =
    Api("/v1beta/models/gemini-2.5-flash:generateContent", "generativelanguage.googleapis.com");
const GEMINI_STREAM: Api = Api(
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    "generativelanguage.googleapis.com",
);
const CONVERSE: Api = Api("/model/m/converse", "bedrock-runtime.us-east-1.amazonaws.com");
const CONVERSE_STREAM: Api =
    Api("/model/m/converse-stream", "bedrock-runtime.us-east-1.amazonaws.com");
const SAGEMAKER: Api = Api("/endpoints/e/invocations", "runtime.sagemaker.us-east-1.amazonaws.com");
const COHERE: Api = Api("/v2/chat", "api.cohere.com");
const COHERE_1: Api = Api("/v1/chat", "api.cohere.com");
const MISTRAL: Api = Api(CHAT, "api.mistral.ai");
const GROQ: Api = Api("/openai/v1/chat/completions", "api.groq.com");
const OPENROUTER: Api = Api("/api/v1/chat/completions", "openrouter.ai");
const OLLAMA: Api = Api("/api/chat", "localhost:11434");
const VLLM: Api = Api(CHAT, "localhost:8000");
const TGI: Api = Api("/generate", "localhost:8080");
const TGI_STREAM: Api = Api("/generate_stream", "localhost:8080");
const HUGGINGFACE: Api = Api("/models/org/model", "api-inference.huggingface.co");
const REPLICATE: Api = Api("/v1/models/o/m/predictions", "api.replicate.com");
const WATSONX: Api =
    Api("/ml/v1-beta/generation/text?version=2024-02-15", "us-south.ml.cloud.ibm.com");
const WATSONX_STREAM: Api =
    Api("/ml/v1-beta/generation/text_stream?version=2024-02-15", "us-south.ml.cloud.ibm.com");
const CEREBRAS: Api = Api(CHAT, "api.cerebras.ai");
const FIREWORKS: Api = Api("/inference/v1/chat/completions", "api.fireworks.ai");
const XAI: Api = Api(CHAT, "api.x.ai");
const DATABRICKS: Api = Api("/serving-endpoints/e/invocations", "w.cloud.databricks.com");
const CLOUDFLARE: Api = Api("/client/v4/accounts/a/ai/run/@cf/meta/llama", "api.cloudflare.com");
const NVIDIA: Api = Api(CHAT, "integrate.api.nvidia.com");
const LITELLM: Api = Api(CHAT, "localhost:4000");

/// A request that each of these formats takes for its own.
fn asked() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi",
        "inputs": "Hi", "message": "Hi", "prompt": "Hi", "stream": true, "max_tokens": 9})
}

fn answered(api: &Api, status: u16, body: &str) -> Exchange<'static> {
    let mut exchange = Exchange::json(api.0, api.1, &asked(), &Value::Null);
    exchange.status = status;
    exchange.response = body.as_bytes().to_vec();
    exchange
}

fn check(call: &Operation, kind: &str, message: &str) {
    let told = call.error.as_ref().map(|error| (error.kind.as_str(), error.message.as_deref()));
    let message = Some(message).filter(|message| !message.is_empty());
    assert_eq!(told, Some((kind, message)), "{} {}", call.http.path, call.provider);
}

#[test]
pub(super) fn bodies_of_failed_responses() {
    for (api, status, body, kind, message) in [
        (
            &OPENAI,
            401,
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            "invalid_request_error",
            "Incorrect API key provided",
        ),
        // What is limited stands in the type, what happened in the code.
        (
            &OPENAI,
            429,
            r#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            "rate_limit_exceeded",
            "Rate limit reached",
        ),
        (
            &OPENAI,
            429,
            r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            "insufficient_quota",
            "You exceeded your quota",
        ),
        (&OPENAI, 502, "<html><h1>502 Bad Gateway</h1></html>", "502", ""),
        (&OPENAI, 503, "", "503", ""),
        (
            &AZURE,
            400,
            r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
            "content_filter",
            "The response was filtered",
        ),
        (
            &AZURE,
            401,
            r#"{"statusCode":401,"message":"Unauthorized. Access token is missing"}"#,
            "401",
            "Unauthorized. Access token is missing",
        ),
        (
            &AZURE_AI,
            404,
            r#"{"error":{"code":"unknown_model","message":"Unknown model: m","details":"Unknown model: m"}}"#,
            "unknown_model",
            "Unknown model: m",
        ),
        (
            &ANTHROPIC,
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011"}"#,
            "overloaded_error",
            "Overloaded",
        ),
        (
            &GEMINI,
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}]}}"#,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded",
        ),
        // Streams that are one list have their errors in one.
        (
            &GEMINI_STREAM,
            503,
            "[{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"The model is overloaded.\",\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n]",
            "UNAVAILABLE",
            "The model is overloaded.",
        ),
        (
            &CONVERSE,
            400,
            r#"{"message":"The provided model identifier is invalid."}"#,
            "400",
            "The provided model identifier is invalid.",
        ),
        (
            &CONVERSE,
            403,
            r#"{"Message":"Bearer Token has expired"}"#,
            "403",
            "Bearer Token has expired",
        ),
        (
            &CONVERSE,
            429,
            r#"{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Too many requests"}"#,
            "ThrottlingException",
            "Too many requests",
        ),
        (
            &SAGEMAKER,
            424,
            r#"{"ErrorCode":"INTERNAL_FAILURE_FROM_MODEL","LogStreamArn":"","Message":"Received server error (500)","OriginalMessage":"","OriginalStatusCode":500}"#,
            "INTERNAL_FAILURE_FROM_MODEL",
            "Received server error (500)",
        ),
        (
            &COHERE,
            429,
            r#"{"message":"You are using a Trial key"}"#,
            "429",
            "You are using a Trial key",
        ),
        (
            &COHERE_1,
            404,
            r#"{"id":"7321d3c5","message":"model 'x' was removed"}"#,
            "404",
            "model 'x' was removed",
        ),
        (
            &MISTRAL,
            400,
            r#"{"object":"error","message":"Invalid model: m","type":"invalid_model","param":null,"code":"1500"}"#,
            "invalid_model",
            "Invalid model: m",
        ),
        (
            &MISTRAL,
            422,
            r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]}"#,
            "422",
            "Field required",
        ),
        (&MISTRAL, 401, r#"{"detail":"Unauthorized"}"#, "401", "Unauthorized"),
        (
            &MISTRAL,
            429,
            r#"{"message":"Requests rate limit exceeded","request_id":"k1"}"#,
            "429",
            "Requests rate limit exceeded",
        ),
        (
            &GROQ,
            413,
            r#"{"error":{"message":"Request too large","type":"tokens","code":"rate_limit_exceeded"}}"#,
            "rate_limit_exceeded",
            "Request too large",
        ),
        (
            &OPENROUTER,
            402,
            r#"{"error":{"code":402,"message":"Insufficient credits","metadata":{"provider_name":"x"}},"user_id":"user_1"}"#,
            "402",
            "Insufficient credits",
        ),
        (&OLLAMA, 404, r#"{"error":"model 'm' not found"}"#, "404", "model 'm' not found"),
        (
            &VLLM,
            400,
            r#"{"object":"error","message":"maximum context length is 2048","type":"BadRequestError","param":null,"code":400}"#,
            "BadRequestError",
            "maximum context length is 2048",
        ),
        (
            &VLLM,
            404,
            r#"{"error":{"message":"The model `m` does not exist.","type":"NotFoundError","param":"model","code":404}}"#,
            "NotFoundError",
            "The model `m` does not exist.",
        ),
        (
            &TGI,
            422,
            r#"{"error":"Input validation error: `inputs` must have less than 1000 tokens","error_type":"validation"}"#,
            "validation",
            "Input validation error: `inputs` must have less than 1000 tokens",
        ),
        (
            &HUGGINGFACE,
            503,
            r#"{"error":"Model org/model is currently loading","estimated_time":20.0}"#,
            "503",
            "Model org/model is currently loading",
        ),
        (&HUGGINGFACE, 400, r#"{"error":["Error in `parameters`: field required"]}"#, "400", ""),
        (
            &REPLICATE,
            422,
            r#"{"title":"Input validation failed","detail":"- input: prompt is required\n","status":422,"invalid_fields":[]}"#,
            "422",
            "- input: prompt is required\n",
        ),
        (
            &WATSONX,
            404,
            r#"{"errors":[{"code":"model_not_supported","message":"Model 'm' is not supported","more_info":"https://x"}],"trace":"t","status_code":404}"#,
            "model_not_supported",
            "Model 'm' is not supported",
        ),
        (
            &CEREBRAS,
            404,
            r#"{"message":"Model m does not exist","type":"not_found_error","param":"model","code":"model_not_found"}"#,
            "not_found_error",
            "Model m does not exist",
        ),
        (
            &FIREWORKS,
            404,
            r#"{"error":{"object":"error","type":"invalid_request_error","code":"NOT_FOUND","message":"Model not found"}}"#,
            "invalid_request_error",
            "Model not found",
        ),
        (
            &XAI,
            400,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided"}"#,
            "Client specified an invalid argument",
            "Incorrect API key provided",
        ),
        (
            &DATABRICKS,
            403,
            r#"{"error_code":"PERMISSION_DENIED","message":"You do not have permission"}"#,
            "PERMISSION_DENIED",
            "You do not have permission",
        ),
        (
            &CLOUDFLARE,
            400,
            r#"{"result":null,"success":false,"errors":[{"code":5007,"message":"No such model"}],"messages":[]}"#,
            "5007",
            "No such model",
        ),
        (
            &NVIDIA,
            404,
            r#"{"status":404,"title":"Not Found","detail":"Function not found"}"#,
            "404",
            "Function not found",
        ),
        (
            &LITELLM,
            429,
            r#"{"error":{"message":"No deployments available","type":"None","param":"None","code":"429"}}"#,
            "429",
            "No deployments available",
        ),
    ] {
        println!("{} {body}", api.1);
        let call = answered(api, status, body).run();
        check(&call, kind, message);
        assert_eq!(call.http.status, Some(status));
        assert_eq!(reasons(&call), [""; 0], "no answer was begun");
        assert_eq!(call.unreadable, None);
    }
}

#[test]
pub(super) fn header_names_the_error() {
    for (header, kind) in [
        (
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            "ThrottlingException",
        ),
        ("ValidationException", "ValidationException"),
        ("", "429"),
    ] {
        let mut exchange = answered(&CONVERSE, 429, r#"{"message":"Slow down"}"#);
        exchange.response_headers = vec![("x-amzn-errortype", header)];
        check(&exchange.run(), kind, "Slow down");
    }
}

#[test]
pub(super) fn limits_are_told_with_the_error() {
    let mut exchange = answered(
        &ANTHROPIC,
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}"#,
    );
    exchange.response_headers =
        vec![("retry-after", "59"), ("anthropic-ratelimit-requests-remaining", "0")];
    let call = exchange.run();
    check(&call, "rate_limit_error", "Slow down");
    let told: Vec<_> = call
        .http
        .response_headers
        .iter()
        .map(|header| (header.name.as_str(), header.values[0].as_str()))
        .collect();
    assert!(told.contains(&("retry-after", "59")), "{told:?}");
    assert!(told.contains(&("anthropic-ratelimit-requests-remaining", "0")), "{told:?}");
}

/// An answer that is an error although its status says success.
#[test]
pub(super) fn errors_of_success() {
    for (api, body, kind, message) in [
        (
            &AZURE,
            r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}"#,
            "content_filter",
            "The response was filtered",
        ),
        (
            &OPENROUTER,
            r#"{"error":{"code":429,"message":"Rate limited upstream"},"user_id":"u"}"#,
            "429",
            "Rate limited upstream",
        ),
        (
            &GEMINI,
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7},"modelVersion":"g"}"#,
            "PROHIBITED_CONTENT",
            "",
        ),
        (
            &REPLICATE,
            r#"{"id":"p","status":"failed","error":"CUDA out of memory","output":null}"#,
            "failed",
            "CUDA out of memory",
        ),
        (
            &RESPONSES,
            r#"{"id":"r","object":"response","status":"failed","error":{"code":"server_error","message":"It broke"},"output":[]}"#,
            "server_error",
            "It broke",
        ),
    ] {
        check(&answered(api, 200, body).run(), kind, message);
    }
}

/// An answer that a filter ended is an answer, with a reason of its own.
#[test]
pub(super) fn filtered_answers_are_no_errors() {
    for (api, body, reason) in [
        (
            &AZURE,
            r#"{"id":"c","choices":[{"index":0,"finish_reason":"content_filter","message":{"role":"assistant"},"content_filter_results":{"hate":{"filtered":true}}}]}"#,
            "content_filter",
        ),
        (
            &ANTHROPIC,
            r#"{"type":"message","id":"m","content":[],"stop_reason":"refusal","usage":{"input_tokens":3,"output_tokens":1}}"#,
            "refusal",
        ),
        (
            &GEMINI,
            r#"{"candidates":[{"finishReason":"SAFETY","index":0,"safetyRatings":[]}],"usageMetadata":{"promptTokenCount":7}}"#,
            "SAFETY",
        ),
        (
            &CONVERSE,
            r#"{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"guardrail_intervened","usage":{"inputTokens":1,"outputTokens":1}}"#,
            "guardrail_intervened",
        ),
    ] {
        let call = answered(api, 200, body).run();
        assert_eq!((call.error.clone(), reasons(&call)), (None, vec![reason]));
    }
}
