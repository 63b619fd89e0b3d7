//! Errors as each provider documents them: in the body of a failed response, within a stream that
//! began well, in a header.

use super::{super::eventstream::tests as frames, *};

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
const WATSONX: Api = Api("/ml/v1/text/generation?version=2024-02-15", "us-south.ml.cloud.ibm.com");
const WATSONX_STREAM: Api =
    Api("/ml/v1/text/generation_stream?version=2024-02-15", "us-south.ml.cloud.ibm.com");
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
fn bodies_of_failed_responses() {
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
            "model_not_found",
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
        let call = answered(api, status, body).run();
        check(&call, kind, message);
        assert_eq!(call.http.status, Some(status));
        assert_eq!(reasons(&call), [""; 0], "no answer was begun");
        assert_eq!(call.unreadable, None);
    }
}

#[test]
fn header_names_the_error() {
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
fn limits_are_told_with_the_error() {
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

/// A piece of an answer, then the error.
#[test]
fn errors_within_streams() {
    let chunk =
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}"#;
    let chat = |error: &str| format!("{chunk}\n\n{error}\n\n");
    let message = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"id\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n";
    let response = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"status\":\"in_progress\"}}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hel\"}\n\n";
    for (api, body, kind, words) in [
        (
            &OPENAI,
            chat(r#"data: {"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#),
            "server_error",
            "The server had an error",
        ),
        (
            &GROQ,
            chat("event: error\ndata: {\"error\":{\"message\":\"Over capacity\",\"type\":\"internal_server_error\"}}"),
            "internal_server_error",
            "Over capacity",
        ),
        (
            &GROQ,
            chat(r#"data: {"id":"c","choices":[],"x_groq":{"id":"r","error":"over capacity"}}"#),
            "_OTHER",
            "over capacity",
        ),
        (
            &OPENROUTER,
            chat(r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":"server_error","message":"Provider disconnected"}}"#),
            "server_error",
            "Provider disconnected",
        ),
        // The end mark behind an error ends no answer.
        (
            &VLLM,
            chat("data: {\"error\":{\"object\":\"error\",\"message\":\"engine died\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\ndata: [DONE]"),
            "InternalServerError",
            "engine died",
        ),
        (
            &VLLM,
            chat("data: {\"object\":\"error\",\"message\":\"engine died\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}\n\ndata: [DONE]"),
            "InternalServerError",
            "engine died",
        ),
        (
            &MISTRAL,
            chat(r#"data: {"object":"error","message":"Service unavailable","type":"internal_server_error","param":null,"code":"3000"}"#),
            "internal_server_error",
            "Service unavailable",
        ),
        (
            &ANTHROPIC,
            format!("{message}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}}}\n\n"),
            "overloaded_error",
            "Overloaded",
        ),
        (
            &RESPONSES,
            format!("{response}event: error\ndata: {{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"It broke\",\"param\":null,\"sequence_number\":3}}\n\n"),
            "server_error",
            "It broke",
        ),
        (
            &RESPONSES,
            format!("{response}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"No more\"}}}}\n\n"),
            "insufficient_quota",
            "No more",
        ),
        (
            &RESPONSES,
            format!("{response}event: response.failed\ndata: {{\"type\":\"response.failed\",\"response\":{{\"id\":\"r\",\"status\":\"failed\",\"error\":{{\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down\"}}}}}}\n\n"),
            "rate_limit_exceeded",
            "Slow down",
        ),
        (
            &COHERE,
            "event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"c\"}\n\nevent: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"Hel\"}}}}\n\nevent: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"error\":\"internal server error\",\"finish_reason\":\"ERROR\"}}\n\n".to_owned(),
            "_OTHER",
            "internal server error",
        ),
        (
            &TGI_STREAM,
            "data:{\"index\":1,\"token\":{\"id\":1,\"text\":\"Hel\",\"special\":false},\"generated_text\":null,\"details\":null}\n\ndata:{\"error\":\"Request failed during generation\",\"error_type\":\"generation\"}\n\n".to_owned(),
            "generation",
            "Request failed during generation",
        ),
        (
            &WATSONX_STREAM,
            "id: 1\nevent: message\ndata: {\"model_id\":\"m\",\"results\":[{\"generated_text\":\"Hel\",\"generated_token_count\":1,\"stop_reason\":\"not_finished\"}]}\n\nid: 2\nevent: error\ndata: {\"errors\":[{\"code\":\"downstream_request_failed\",\"message\":\"It broke\"}],\"trace\":\"t\",\"status_code\":500}\n\n".to_owned(),
            "downstream_request_failed",
            "It broke",
        ),
    ] {
        let mut exchange = Exchange::sse(api.0, api.1, &asked(), &body);
        exchange.status = 200;
        let call = exchange.run();
        check(&call, kind, words);
        // These two tell how their answers ended.
        let expected = match kind {
            "_OTHER" if body.contains("message-end") => "ERROR",
            "rate_limit_exceeded" => "failed",
            _ => "error",
        };
        assert_eq!(reasons(&call), [expected], "{body}");
        assert_eq!(call.response.chunks, 1, "{body}");
    }
}

#[test]
fn errors_between_lines_and_elements() {
    let line = r#"{"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}"#;
    let mut exchange = answered(
        &OLLAMA,
        200,
        &format!("{line}\n{{\"error\":\"an error was encountered while running the model\"}}\n"),
    );
    exchange.kind = "application/x-ndjson";
    let call = exchange.run();
    check(&call, "_OTHER", "an error was encountered while running the model");
    assert_eq!(reasons(&call), ["error"]);

    let element =
        r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}]}"#;
    let error = r#"{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}"#;
    let call = answered(&GEMINI_STREAM, 200, &format!("[{element}\n,\r\n{error}]")).run();
    check(&call, "UNAVAILABLE", "Overloaded");
    assert_eq!(reasons(&call), ["error"]);

    let lines = "{\"event_type\":\"text-generation\",\"text\":\"Hel\"}\n{\"event_type\":\"stream-end\",\"finish_reason\":\"ERROR\",\"response\":{\"text\":\"Hel\",\"finish_reason\":\"ERROR\"}}\n";
    let mut exchange = answered(&COHERE_1, 200, lines);
    exchange.kind = "application/stream+json";
    let call = exchange.run();
    assert_eq!(reasons(&call), ["ERROR"]);
}

#[test]
fn exceptions_within_event_streams() {
    let events = [
        frames::event("messageStart", r#"{"role":"assistant"}"#),
        frames::event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel"}}"#),
    ]
    .concat();
    for (headers, payload, kind, words) in [
        (
            &[(":exception-type", "throttlingException"), (":message-type", "exception")][..],
            r#"{"message":"Too many tokens"}"#,
            "throttlingException",
            "Too many tokens",
        ),
        (
            &[(":exception-type", "modelStreamErrorException"), (":message-type", "exception")],
            r#"{"message":"It broke","originalMessage":"x","originalStatusCode":500}"#,
            "modelStreamErrorException",
            "It broke",
        ),
        // An error that the framing tells has no payload.
        (
            &[
                (":error-code", "InternalError"),
                (":error-message", "An internal server error occurred"),
                (":message-type", "error"),
            ],
            "",
            "InternalError",
            "An internal server error occurred",
        ),
    ] {
        let mut exchange = answered(&CONVERSE_STREAM, 200, "");
        exchange.kind = "application/vnd.amazon.eventstream";
        exchange.response = [events.clone(), frames::message(headers, payload.as_bytes())].concat();
        let call = exchange.run();
        check(&call, kind, words);
        assert_eq!(reasons(&call), ["error"], "{kind}");
    }
}

/// An answer that is an error although its status says success.
#[test]
fn errors_of_success() {
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
fn filtered_answers_are_no_errors() {
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

/// What did not come although it was on its way: the answer's finish.
#[test]
fn cut_streams_have_no_finish() {
    let chunk = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}},{\"index\":1,\"delta\":{\"content\":\"Hal\"},\"finish_reason\":\"stop\"}]}\n\n";
    for (body, how, expected) in [
        (chunk, Ended::ServerReset, &["error", "stop"][..]),
        (chunk, Ended::ClientGone, &["error", "stop"]),
        (chunk, Ended::Complete, &["error", "stop"]),
        // Nothing of the answer came before the end.
        ("", Ended::ClientGone, &["error"]),
        ("", Ended::ServerClosed, &["error"]),
    ] {
        let mut exchange = Exchange::sse(OPENAI.0, OPENAI.1, &asked(), body);
        exchange.how = how;
        assert_eq!(reasons(&exchange.run()), expected, "{how:?} {body}");
    }
    // llmtap's own end says nothing of the answer's.
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    for (body, how) in [(begun, Ended::TracerStopped), ("", Ended::TracerStopped), ("", Ended::Gap)]
    {
        let mut exchange = Exchange::sse(OPENAI.0, OPENAI.1, &asked(), body);
        exchange.how = how;
        assert_eq!(reasons(&exchange.run()), [""; 0], "{how:?}");
    }
}
