//! Target `calls`: exchanges of every route, with bodies of any kind.
//! Takes three bytes (route, host, flags) and a script of body pieces and gaps.
//! The operation is the same however the bodies are cut, and memory is bounded whatever they say.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use llmtap::{
    capture::{ConnectionId, Timestamp},
    genai::{Calls, Operation, Options},
    http::{End, Ended, ExchangeEvent, ExchangeId, Kind, RequestHead, ResponseHead, Role},
};

use crate::{
    Input,
    meter::{self, Work},
    script::{self, Step},
    split::Split,
};

/// Paths of every format, and one of none.
const PATHS: [(&str, &str); 22] = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/r"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/complete"),
    ("POST", "/api/chat"),
    ("POST", "/api/generate"),
    ("POST", "/api/embed"),
    ("POST", "/v1beta/models/m:generateContent"),
    ("POST", "/v1beta/models/m:streamGenerateContent"),
    ("POST", "/v1beta/models/m:batchEmbedContents"),
    ("POST", "/model/m/invoke"),
    ("POST", "/model/m/invoke-with-response-stream"),
    ("POST", "/model/m/converse"),
    ("POST", "/model/m/converse-stream"),
    ("POST", "/v2/chat"),
    ("POST", "/v1/embed"),
    ("POST", "/v1/generate"),
    ("POST", "/ml/v1/generation/text_stream"),
    ("POST", "/elsewhere"),
];

/// Hosts whose paths are their own, and one that is unknown.
const HOSTS: [&str; 4] =
    ["gateway", "api.cohere.com", "us-south.ml.cloud.ibm.com", "api.openai.com"];

const KINDS: [&str; 4] = [
    "application/json",
    "text/event-stream",
    "application/vnd.amazon.eventstream",
    "application/x-ndjson",
];

/// Flags: content is kept, the answer is an error; the low bits are the answer's media type.
const CONTENT: u8 = 0x10;
const FAILED: u8 = 0x20;
const CUT: u8 = 0x40;

/// Kinds of steps.
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const REQUEST_GAP: u8 = 3;
const RESPONSE_GAP: u8 = 4;
/// A message of the event stream, with its checksums.
const MESSAGE: u8 = 5;

/// Bytes of the heap of one call: "a body made to harm a few MiB" (`genai::Calls`), of which one at
/// an unknown path is read in three formats.
const HEAP: usize = 16 << 20;

struct Call {
    request: RequestHead,
    response: ResponseHead,
    capture_content: bool,
    how: Ended,
    steps: Vec<Step>,
}

impl Call {
    fn read(data: &[u8]) -> Option<Self> {
        let ([path, host, flags], rest) = data.split_first_chunk()?;
        let (method, path) = PATHS[usize::from(*path) % PATHS.len()];
        let host = HOSTS[usize::from(*host) % HOSTS.len()];
        let headers = |list: &[(&'static str, &'static str)]| -> HeaderMap {
            list.iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect()
        };
        let kind = KINDS[usize::from(flags & 0x0f) % KINDS.len()];
        let status = if flags & FAILED != 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let mut steps = script::read(rest);
        for step in steps.iter_mut().filter(|step| step.kind == MESSAGE) {
            (step.kind, step.bytes) = (RESPONSE, crate::events::message(&step.bytes));
        }
        Some(Self {
            request: RequestHead {
                method: Method::from_bytes(method.as_bytes()).ok()?,
                target: path.to_owned(),
                version: Version::HTTP_11,
                headers: headers(&[("host", host), ("content-type", "application/json")]),
            },
            response: ResponseHead {
                status,
                version: Version::HTTP_11,
                headers: headers(&[("content-type", kind)]),
            },
            capture_content: flags & CONTENT != 0,
            how: if flags & CUT != 0 { Ended::ServerReset } else { Ended::Complete },
            steps,
        })
    }

    /// Bodies are cut as they were put together: a piece of the input's own is none of ours.
    fn play(&self, split: Split) -> Option<Operation> {
        let mut calls = Calls::new(Options { capture_content: self.capture_content });
        let exchange = ExchangeId { connection: ConnectionId(1), index: 0 };
        let time = Timestamp(1);
        let mut on = |kind: Kind<'_>| calls.on(&ExchangeEvent { exchange, time, kind });
        let (role, started) = (Role::Client, time);
        on(Kind::Request { head: &self.request, role, started });
        for step in &self.steps {
            match step.kind {
                REQUEST_GAP => drop(on(Kind::RequestGap)),
                REQUEST => {
                    for piece in split.pieces(&step.bytes) {
                        on(Kind::RequestBody(piece));
                    }
                }
                _ => {}
            }
        }
        on(Kind::RequestEnd);
        on(Kind::Response { head: &self.response, role, started });
        for step in &self.steps {
            match step.kind {
                RESPONSE_GAP => drop(on(Kind::ResponseGap)),
                RESPONSE => {
                    for piece in split.pieces(&step.bytes) {
                        on(Kind::ResponseBody(piece));
                    }
                }
                _ => {}
            }
        }
        if self.how == Ended::Complete {
            on(Kind::ResponseEnd);
        }
        let (missing_request, missing_response) = (0, 0);
        let end = End { how: self.how, missing_request, missing_response, joined_late: false };
        let operation = on(Kind::End(end));
        assert_eq!(calls.open(), 0, "an exchange that ended is still held");
        operation
    }
}

pub fn run(data: &[u8]) {
    let Some(call) = Call::read(data) else { return };
    let work = |_: &_| Work { bytes: data.len(), pieces: call.steps.len(), heap: HEAP };
    let whole = meter::within(work, || call.play(Split::Whole));
    let text = format!("{whole:?}");
    for split in Split::CUT {
        let cut = format!("{:?}", call.play(split));
        assert!(cut == text, "cut {split:?}\n whole: {text}\n   cut: {cut}");
    }
}

pub fn seeds() -> Vec<Input> {
    let asked = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"tools":[{"type":"function","function":{"name":"f"}}],"max_tokens":5}"#;
    let chat = r#"{"id":"1","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hello","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    let chunks = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"he\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}],\
        \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";
    let claude = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"1\",\
        \"model\":\"c\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
        \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
        \"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
        \"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let responses = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n\
        event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\
        \"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\
        \"text\":\"x\"}]}],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n";
    let gemini = r#"[{"candidates":[{"content":{"parts":[{"text":"hi"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":3},"modelVersion":"g"},{"candidates":[]}]"#;
    let ollama = "{\"model\":\"l\",\"message\":{\"role\":\"assistant\",\"content\":\"h\"},\"done\":false}\n\
        {\"model\":\"l\",\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":2,\"eval_count\":3}\n";
    let failed = r#"{"error":{"type":"invalid_request_error","code":"x","message":"no"}}"#;
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"topK":3},"systemInstruction":{"parts":[{"text":"s"}]}}"#;
    let converse = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"maxTokens":3},"system":[{"text":"s"}],"toolConfig":{"tools":[{"toolSpec":{"name":"t"}}]}}"#;
    let one = |path: usize, host: u8, flags: u8, asked: &str, answer: &str| {
        let steps = script::write([(REQUEST, asked), (RESPONSE, answer)]);
        Input::new(
            format!("{path}-{host}-{flags}"),
            [&[path as u8, host, flags], &steps[..]].concat(),
        )
    };
    let mut seeds: Vec<_> = (0..PATHS.len())
        .flat_map(|path| {
            [one(path, 0, CONTENT, asked, chat), one(path, 1, 1 | CONTENT, asked, chunks)]
        })
        .collect();
    seeds.extend([
        one(0, 3, CONTENT | FAILED, asked, failed),
        one(1, 0, CONTENT | 1, asked, claude),
        one(2, 0, CONTENT | 1, r#"{"model":"m","input":"hi","instructions":"s"}"#, responses),
        one(7, 0, CONTENT | 3, asked, ollama),
        one(8, 0, CONTENT | 3, r#"{"model":"l","prompt":"hi"}"#, ollama),
        one(10, 0, CONTENT, contents, &gemini[1..gemini.len() - 20]),
        one(11, 0, CONTENT, contents, gemini),
        one(15, 0, CONTENT, converse, r#"{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2}}"#),
        one(20, 2, CONTENT | 1, r#"{"model_id":"m","input":"hi"}"#, "id: 1\nevent: message\ndata: {\"results\":[{\"generated_text\":\"x\",\"generated_token_count\":1,\"stop_reason\":\"eos_token\"}]}\n\n"),
    ]);
    seeds
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let one = |name: &str, path: usize, flags: u8, steps: [(u8, String); 2]| {
        let path = PATHS.iter().position(|(_, text)| *text == PATHS[path].1).unwrap_or(0) as u8;
        Input::new(name, [&[path, 0, flags], &script::write(steps)[..]].concat())
    };
    let asked = || (REQUEST, r#"{"model":"m","messages":[]}"#.to_owned());
    let many = |start: &str, item: &str| format!("{start}{}", item.repeat(SIZE / item.len()));
    let numbered = |make: &dyn Fn(usize) -> String| {
        let mut all = String::new();
        let mut number = 0;
        while all.len() < SIZE {
            all.push_str(&make(number));
            number += 1;
        }
        all
    };
    vec![
        one("tiny-events", 0, CONTENT | 1, [asked(), (RESPONSE, many("", "data:{}\n\n"))]),
        one("broken-events", 0, CONTENT | 1, [asked(), (RESPONSE, many("", "data:{\n\n"))]),
        one(
            "text-events",
            0,
            CONTENT | 1,
            [
                asked(),
                (RESPONSE, many("", "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n")),
            ],
        ),
        one(
            "choices",
            0,
            CONTENT | 1,
            [
                asked(),
                (
                    RESPONSE,
                    numbered(&|n| {
                        format!(
                            "data: {{\"choices\":[{{\"index\":{n},\"delta\":{{\"content\":\"x\"}}}}]}}\n\n"
                        )
                    }),
                ),
            ],
        ),
        one(
            "tool-calls",
            0,
            CONTENT | 1,
            [
                asked(),
                (
                    RESPONSE,
                    numbered(&|n| {
                        format!(
                            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{n},\"id\":\"{n}\",\"function\":{{\"name\":\"t\",\"arguments\":\"x\"}}}}]}}}}]}}\n\n"
                        )
                    }),
                ),
            ],
        ),
        one(
            "claude-blocks",
            1,
            CONTENT | 1,
            [
                asked(),
                (
                    RESPONSE,
                    numbered(&|n| {
                        format!(
                            "data: {{\"type\":\"content_block_start\",\"index\":{n},\"content_block\":{{\"type\":\"tool_use\",\"id\":\"{n}\",\"name\":\"t\"}}}}\n\n"
                        )
                    }),
                ),
            ],
        ),
        one(
            "response-items",
            2,
            CONTENT | 1,
            [
                asked(),
                (
                    RESPONSE,
                    numbered(&|n| {
                        format!(
                            "data: {{\"type\":\"response.output_item.done\",\"output_index\":{n},\"item\":{{\"type\":\"function_call\",\"id\":\"{n}\",\"name\":\"t\"}}}}\n\n"
                        )
                    }),
                ),
            ],
        ),
        one(
            "messages",
            0,
            CONTENT,
            [
                (REQUEST, many("{\"messages\":[", "{\"role\":\"user\",\"content\":\"x\"},")),
                (RESPONSE, "{}".to_owned()),
            ],
        ),
        one(
            "shape-messages",
            21,
            CONTENT,
            [
                (
                    REQUEST,
                    many(
                        "{\"model\":\"m\",\"messages\":[",
                        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},",
                    ),
                ),
                (RESPONSE, "{}".to_owned()),
            ],
        ),
        one(
            "tools",
            0,
            CONTENT,
            [
                (
                    REQUEST,
                    many("{\"tools\":[", "{\"type\":\"function\",\"function\":{\"name\":\"t\"}},"),
                ),
                (RESPONSE, "{}".to_owned()),
            ],
        ),
        one(
            "inputs",
            5,
            CONTENT,
            [
                (REQUEST, many("{\"model\":\"m\",\"input\":[", "\"x\",")),
                (RESPONSE, many("{\"data\":[", "{\"embedding\":[0.1,0.2]},")),
            ],
        ),
        one(
            "stops",
            0,
            CONTENT,
            [(REQUEST, many("{\"stop\":[", "\"x\",")), (RESPONSE, "{}".to_owned())],
        ),
        one(
            "deep",
            0,
            CONTENT,
            [(REQUEST, many("{\"messages\":", "[")), (RESPONSE, many("{\"choices\":", "["))],
        ),
        one(
            "objects",
            0,
            CONTENT,
            [
                (REQUEST, many("{\"messages\":[{\"a\":", "{\"a\":")),
                (RESPONSE, many("{\"choices\":[", "{\"message\":{}},")),
            ],
        ),
        one(
            "ollama-lines",
            7,
            CONTENT | 3,
            [asked(), (RESPONSE, many("", "{\"message\":{\"content\":\"x\"}}\n"))],
        ),
        one(
            "gemini-list",
            11,
            CONTENT,
            [
                asked(),
                (
                    RESPONSE,
                    many("[", "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}]},"),
                ),
            ],
        ),
        one(
            "gemini-candidates",
            11,
            CONTENT,
            [
                asked(),
                (
                    RESPONSE,
                    numbered(&|n| {
                        format!(
                            "{}{{\"candidates\":[{{\"index\":{n},\"content\":{{\"parts\":[{{\"functionCall\":{{\"name\":\"t\"}}}}]}}}}]}}",
                            if n == 0 { "[" } else { "," }
                        )
                    }),
                ),
            ],
        ),
        one(
            "bedrock-base64",
            14,
            CONTENT | 2,
            [asked(), (MESSAGE, many("\0{\"bytes\":\"", "AAAA"))],
        ),
    ]
}
