//! Seeds and worst cases of the target `calls`.
//! Takes nothing; gives inputs, of tables with a row each.

use super::{CONTENT, FAILED, HOSTS, MESSAGE, PATHS, REQUEST, RESPONSE};
use crate::{Input, script};

/// Bytes of a worst case.
const SIZE: usize = 1 << 20;

const ASKED: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"tools":[{"type":"function","function":{"name":"f"}}],"max_tokens":5}"#;
const CHAT: &str = r#"{"id":"1","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hello","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
const CHUNKS: &str = r#"data: {"id":"1","choices":[{"index":0,"delta":{"content":"he"}}]}

data: {"choices":[{"index":0,"delta":{"content":"llo"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}

data: [DONE]

"#;
const CLAUDE: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"1","model":"c","usage":{"input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}

event: message_stop
data: {"type":"message_stop"}

"#;
const RESPONSES: &str = r#"data: {"type":"response.created","response":{"id":"r"}}

data: {"type":"response.output_text.delta","delta":"x"}

data: {"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}],"usage":{"input_tokens":1,"output_tokens":2}}}

"#;
const GEMINI: &str = r#"[{"candidates":[{"content":{"parts":[{"text":"hi"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":3},"modelVersion":"g"},{"candidates":[]}]"#;
const OLLAMA: &str = r#"{"model":"l","message":{"role":"assistant","content":"h"},"done":false}
{"model":"l","done":true,"done_reason":"stop","prompt_eval_count":2,"eval_count":3}
"#;
const CONTENTS: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"topK":3},"systemInstruction":{"parts":[{"text":"s"}]}}"#;
const CONVERSE: &str = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":3},"system":[{"text":"s"}],"toolConfig":{"tools":[{"toolSpec":{"name":"t"}}]}}"#;
const CONVERSED: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2}}"#;
const WATSONX: &str = r#"data: {"results":[{"generated_text":"x","generated_token_count":1,"stop_reason":"eos_token"}]}

"#;
const FORM: &str = "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
    --b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nxx\r\n--b0--\r\n";
/// A content with a part with a text, then the model, as Vertex AI numbers them.
const GRPC_ASKED: &str = "\x12\x0c\x0a\x04user\x12\x04\x0a\x02hi\x2a\x01m";
const GRPC_ANSWER: &str =
    "\x12\x12\x12\x0e\x0a\x05model\x12\x05\x0a\x03abc\x18\x01\x22\x04\x08\x05\x10\x06";
const TOOL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1}}}"#;
const RESULT: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"x"}]}}"#;
const DASHSCOPE: &str = r#"id:1
event:result
data:{"output":{"choices":[{"message":{"role":"assistant","content":"h"},"finish_reason":"null"}]},"usage":{"input_tokens":1,"output_tokens":1},"request_id":"r"}

id:2
event:result
data:{"output":{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]},"usage":{"input_tokens":1,"output_tokens":2},"request_id":"r"}

"#;
const WRAPPED: &str = r#"data: {"response":{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":2}}}

"#;
const FAILURE: &str = r#"{"error":{"type":"invalid_request_error","code":"x","message":"no"}}"#;

/// Path, host, flags, request, response.
const SEEDS: [(&str, u8, u8, &str, &str); 22] = [
    ("/v1/chat/completions", 3, CONTENT | FAILED, ASKED, FAILURE),
    ("/v1/messages", 0, CONTENT | 1, ASKED, CLAUDE),
    (
        "/v1/responses",
        0,
        CONTENT | 1,
        r#"{"model":"m","input":"hi","instructions":"s"}"#,
        RESPONSES,
    ),
    ("/api/chat", 0, CONTENT | 3, ASKED, OLLAMA),
    ("/api/generate", 0, CONTENT | 3, r#"{"model":"l","prompt":"hi"}"#, OLLAMA),
    ("/v1beta/models/m:streamGenerateContent", 0, CONTENT, CONTENTS, GEMINI),
    ("/model/m/converse", 0, CONTENT, CONVERSE, CONVERSED),
    ("/ml/v1/generation/text_stream", 2, CONTENT | 1, r#"{"model_id":"m","input":"hi"}"#, WATSONX),
    ("/v1/audio/transcriptions", 0, CONTENT, FORM, r#"{"text":"hi"}"#),
    ("/mcp", 0, CONTENT, TOOL, RESULT),
    ("/mcp", 0, CONTENT | 1, TOOL, RESPONSES),
    (
        "/google.cloud.aiplatform.v1.PredictionService/GenerateContent",
        0,
        CONTENT,
        GRPC_ASKED,
        GRPC_ANSWER,
    ),
    ("/xai_api.Chat/GetCompletionChunk", 0, CONTENT, GRPC_ASKED, GRPC_ANSWER),
    ("/v1/embeddings", 0, CONTENT, r#"{"input":["a"]}"#, r#"{"data":[{"embedding":[0.1]}]}"#),
    ("/rerank", 0, CONTENT, r#"{"query":"a","documents":["b"]}"#, r#"{"results":[]}"#),
    (
        "/api/v1/services/aigc/text-generation/generation",
        8,
        CONTENT | 1,
        r#"{"model":"q","input":{"messages":[]},"parameters":{}}"#,
        DASHSCOPE,
    ),
    (
        "/v1internal:streamGenerateContent",
        0,
        CONTENT | 1,
        r#"{"model":"g","request":{"contents":[{"parts":[{"text":"hi"}]}]}}"#,
        WRAPPED,
    ),
    (
        "/v1/ocr",
        9,
        CONTENT,
        r#"{"model":"o","document":{"document_url":"u"}}"#,
        r#"{"model":"o","pages":[{"index":0,"markdown":"x"}]}"#,
    ),
    (
        "/v1beta2/models/m:generateText",
        10,
        CONTENT,
        r#"{"prompt":{"text":"hi"}}"#,
        r#"{"candidates":[{"output":"x"}]}"#,
    ),
    (
        "/guardrail/g/version/1/apply",
        7,
        CONTENT,
        r#"{"source":"INPUT","content":[{"text":{"text":"hi"}}]}"#,
        r#"{"action":"NONE","outputs":[{"text":"x"}]}"#,
    ),
    (
        "/v1/messages/count_tokens",
        0,
        CONTENT,
        r#"{"model":"c","messages":[]}"#,
        r#"{"input_tokens":5}"#,
    ),
    ("/v1/moderations", 0, CONTENT, r#"{"input":"a"}"#, r#"{"results":[{"flagged":false}]}"#),
];

/// Messages over a WebSocket: who sends, and what.
const REALTIME: [(u8, &str); 5] = [
    (REQUEST, r#"{"type":"response.create","response":{"modalities":["text"]}}"#),
    (RESPONSE, r#"{"type":"response.created","response":{"id":"r1","model":"m"}}"#),
    (REQUEST, r#"{"type":"response.create","response":{"modalities":["text"]}}"#),
    (RESPONSE, r#"{"type":"response.text.delta","response_id":"r1","delta":"x"}"#),
    (RESPONSE, r#"{"type":"response.done","response":{"id":"r1","status":"completed"}}"#),
];

fn input(name: &str, path: &str, host: u8, flags: u8, steps: &[(u8, &[u8])]) -> Input {
    let path = PATHS.iter().position(|(_, _, known)| *known == path);
    let path = path.map_or(u8::MAX, |path| path as u8);
    let steps = script::write(steps.iter().copied());
    Input::new(name, [&[path, host, flags], &steps[..]].concat())
}

pub fn seeds() -> Vec<Input> {
    let mut seeds = Vec::new();
    for (number, (_, _, path)) in PATHS.iter().enumerate() {
        let host = (number % HOSTS.len()) as u8;
        for (kind, flags, answer) in [("whole", CONTENT, CHAT), ("stream", CONTENT | 1, CHUNKS)] {
            let steps = [(REQUEST, ASKED.as_bytes()), (RESPONSE, answer.as_bytes())];
            seeds.push(input(&format!("{number}-{kind}"), path, host, flags, &steps));
        }
    }
    for (number, (path, host, flags, asked, answer)) in SEEDS.iter().enumerate() {
        let steps = [(REQUEST, asked.as_bytes()), (RESPONSE, answer.as_bytes())];
        seeds.push(input(&format!("own-{number}"), path, *host, *flags, &steps));
    }
    let messages = REALTIME.map(|(kind, message)| (kind, message.as_bytes()));
    seeds.push(input("realtime", "/v1/realtime?model=m", 0, CONTENT, &messages));
    seeds
}

const CHAT_PATH: &str = "/v1/chat/completions";
const LEAST: &str = r#"{"model":"m","messages":[]}"#;

/// Name, path, flags; then of request and response each what it begins with, and what follows so
/// often that it is a mebibyte. `#` stands for a number that grows.
type Worst = (&'static str, &'static str, u8, [&'static str; 2], [&'static str; 2]);

const WORST: [Worst; 27] = [
    ("tiny-events", CHAT_PATH, CONTENT | 1, [LEAST, ""], ["", "data:{}\n\n"]),
    ("broken-events", CHAT_PATH, CONTENT | 1, [LEAST, ""], ["", "data:{\n\n"]),
    (
        "text-events",
        CHAT_PATH,
        CONTENT | 1,
        [LEAST, ""],
        ["", "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"],
    ),
    (
        "choices",
        CHAT_PATH,
        CONTENT | 1,
        [LEAST, ""],
        ["", "data: {\"choices\":[{\"index\":#,\"delta\":{\"content\":\"x\"}}]}\n\n"],
    ),
    (
        "tool-calls",
        CHAT_PATH,
        CONTENT | 1,
        [LEAST, ""],
        [
            "",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":#,\"id\":\"#\",\"function\":{\"name\":\"t\",\"arguments\":\"x\"}}]}}]}\n\n",
        ],
    ),
    (
        "claude-blocks",
        "/v1/messages",
        CONTENT | 1,
        [LEAST, ""],
        [
            "",
            "data: {\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":\"tool_use\",\"id\":\"#\",\"name\":\"t\"}}\n\n",
        ],
    ),
    (
        "response-items",
        "/v1/responses",
        CONTENT | 1,
        [LEAST, ""],
        [
            "",
            "data: {\"type\":\"response.output_item.done\",\"output_index\":#,\"item\":{\"type\":\"function_call\",\"id\":\"#\",\"name\":\"t\"}}\n\n",
        ],
    ),
    (
        "messages",
        CHAT_PATH,
        CONTENT,
        ["{\"messages\":[", "{\"role\":\"user\",\"content\":\"x\"},"],
        ["{}", ""],
    ),
    (
        "shape-messages",
        "/elsewhere",
        CONTENT,
        [
            "{\"model\":\"m\",\"messages\":[",
            "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},",
        ],
        ["{}", ""],
    ),
    (
        "tools",
        CHAT_PATH,
        CONTENT,
        ["{\"tools\":[", "{\"type\":\"function\",\"function\":{\"name\":\"t\"}},"],
        ["{}", ""],
    ),
    (
        "inputs",
        "/v1/embeddings",
        CONTENT,
        ["{\"model\":\"m\",\"input\":[", "\"x\","],
        ["{\"data\":[", "{\"embedding\":[0.1,0.2]},"],
    ),
    ("stops", CHAT_PATH, CONTENT, ["{\"stop\":[", "\"x\","], ["{}", ""]),
    ("deep", CHAT_PATH, CONTENT, ["{\"messages\":", "["], ["{\"choices\":", "["]),
    (
        "objects",
        CHAT_PATH,
        CONTENT,
        ["{\"messages\":[{\"a\":", "{\"a\":"],
        ["{\"choices\":[", "{\"message\":{}},"],
    ),
    (
        "ollama-lines",
        "/api/chat",
        CONTENT | 3,
        [LEAST, ""],
        ["", "{\"message\":{\"content\":\"x\"}}\n"],
    ),
    (
        "gemini-list",
        "/v1beta/models/m:streamGenerateContent",
        CONTENT,
        [LEAST, ""],
        ["[", "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}]},"],
    ),
    (
        "gemini-candidates",
        "/v1beta/models/m:streamGenerateContent",
        CONTENT,
        [LEAST, ""],
        [
            "[",
            "{\"candidates\":[{\"index\":#,\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"t\"}}]}}]},",
        ],
    ),
    (
        "form-parts",
        "/v1/audio/transcriptions",
        CONTENT,
        ["--b0", "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b0"],
        ["{}", ""],
    ),
    (
        "form-delimiters",
        "/v1/audio/transcriptions",
        CONTENT,
        ["--b0\r\n\r\n", "\r\n--b"],
        ["{}", ""],
    ),
    (
        "grpc-contents",
        "/google.cloud.aiplatform.v1.PredictionService/GenerateContent",
        CONTENT,
        ["", "\x12\x02\x12\0"],
        ["", "\x12\0"],
    ),
    (
        "grpc-groups",
        "/google.cloud.aiplatform.v1.PredictionService/GenerateContent",
        CONTENT,
        ["", "\x0b"],
        ["", "\x12\x7f"],
    ),
    (
        "mcp-batch",
        "/mcp",
        CONTENT,
        ["[", "{\"jsonrpc\":\"2.0\",\"id\":#,\"method\":\"tools/call\"},"],
        ["[", "{\"jsonrpc\":\"2.0\",\"id\":#,\"result\":{}},"],
    ),
    (
        "socket-answers",
        "/v1/realtime?model=m",
        CONTENT,
        ["{\"type\":\"response.create\"}", ""],
        ["", "{\"type\":\"response.created\",\"response\":{\"id\":\"#\"}}"],
    ),
    (
        "borrowed-messages",
        "/generate",
        CONTENT,
        [
            "{\"model\":\"m\",\"inputs\":\"x\",\"text\":\"x\",\"messages\":[",
            "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},",
        ],
        ["{}", ""],
    ),
    (
        "dashscope-choices",
        "/api/v1/services/aigc/text-generation/generation",
        CONTENT | 1,
        ["{\"model\":\"q\",\"input\":{\"messages\":[]}}", ""],
        [
            "",
            "data:{\"output\":{\"choices\":[{\"index\":#,\"message\":{\"content\":\"x\"}}]}}\n\n",
        ],
    ),
    (
        "ocr-pages",
        "/v1/ocr",
        CONTENT,
        ["{\"model\":\"o\",\"document\":{}}", ""],
        ["{\"model\":\"o\",\"pages\":[", "{\"index\":0,\"markdown\":\"x\"},"],
    ),
    (
        "bedrock-base64",
        "/model/m/invoke-with-response-stream",
        CONTENT | 2,
        [LEAST, ""],
        ["{\"bytes\":\"", "AAAA"],
    ),
];

fn repeated([start, item]: [&str; 2]) -> Vec<u8> {
    let mut text = start.to_owned();
    let mut number = 0;
    while !item.is_empty() && text.len() < SIZE {
        text.push_str(&item.replace('#', &number.to_string()));
        number += 1;
    }
    text.into_bytes()
}

pub fn worst() -> Vec<Input> {
    let mut all = Vec::new();
    for (name, path, flags, asked, answer) in WORST {
        let (asked, mut answer) = (repeated(asked), repeated(answer));
        let kind = if flags & 0x0f == 2 { MESSAGE } else { RESPONSE };
        if kind == MESSAGE {
            answer.insert(0, 0);
        }
        all.push(input(name, path, 0, flags, &[(REQUEST, &asked), (kind, &answer)]));
    }
    let asked = REALTIME[0].1.as_bytes();
    let count = SIZE / asked.len();
    let steps: Vec<_> = (0..count).map(|_| (REQUEST, asked)).collect();
    all.push(input("socket-asks", "/v1/realtime?model=m", 0, CONTENT, &steps));
    all
}
