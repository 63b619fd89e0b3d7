//! Target `calls`: exchanges of every route, with bodies of any kind.
//! Takes three bytes (route, host, flags) and a script of body pieces and gaps.
//! The operation is the same however the bodies are cut, and memory is bounded whatever they say.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use llmtap::{
    capture::{ConnectionId, Timestamp},
    genai::{Calls, Operation, Options},
    http::{
        End, Ended, ExchangeEvent, ExchangeId, Kind, MessageKind, RequestHead, ResponseHead, Role,
    },
};

use crate::{
    Input,
    meter::{self, Work},
    script::{self, Step},
    split::Split,
};

/// How a path's bodies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Json,
    Form,
    /// Each piece is a message.
    Grpc,
    /// Each piece is a message, in the order of both sides.
    Socket,
}

use Wire::{Form, Grpc, Json, Socket};

/// Paths of every format, and one of none.
const PATHS: [(&str, Wire, &str); 58] = [
    ("POST", Json, "/v1/chat/completions"),
    ("POST", Json, "/v1/messages"),
    ("POST", Json, "/v1/responses"),
    ("GET", Json, "/v1/responses/r"),
    ("POST", Json, "/v1/completions"),
    ("POST", Json, "/v1/embeddings"),
    ("POST", Json, "/v1/complete"),
    ("POST", Json, "/api/chat"),
    ("POST", Json, "/api/generate"),
    ("POST", Json, "/api/embed"),
    ("POST", Json, "/v1beta/models/m:generateContent"),
    ("POST", Json, "/v1beta/models/m:streamGenerateContent"),
    ("POST", Json, "/v1beta/models/m:batchEmbedContents"),
    ("POST", Json, "/model/m/invoke"),
    ("POST", Json, "/model/m/invoke-with-response-stream"),
    ("POST", Json, "/model/m/converse"),
    ("POST", Json, "/model/m/converse-stream"),
    ("POST", Json, "/v2/chat"),
    ("POST", Json, "/v1/embed"),
    ("POST", Json, "/v1/generate"),
    ("POST", Json, "/ml/v1/generation/text_stream"),
    ("POST", Json, "/elsewhere"),
    ("POST", Json, "/v1/images/generations"),
    ("POST", Form, "/v1/images/edits"),
    ("POST", Form, "/v1/audio/transcriptions"),
    ("POST", Json, "/v1/audio/speech"),
    ("POST", Json, "/v1/moderations"),
    ("POST", Json, "/v1/assistants"),
    ("POST", Json, "/v1/threads/t/runs"),
    ("POST", Json, "/v1/threads/t/runs/r/submit_tool_outputs"),
    ("POST", Json, "/v1/models/m:predict"),
    ("POST", Json, "/v1/publishers/p/models/m:rawPredict"),
    ("POST", Json, "/rerank"),
    ("POST", Json, "/generate"),
    ("POST", Json, "/generate_stream"),
    ("POST", Json, "/completion"),
    ("POST", Json, "/embed"),
    ("POST", Json, "/embedding"),
    ("POST", Json, "/endpoints/e/invocations"),
    ("POST", Json, "/endpoints/e/invocations-response-stream"),
    ("POST", Json, "/serving-endpoints/e/invocations"),
    ("POST", Json, "/complete"),
    ("POST", Json, "/semantic_embed"),
    ("POST", Json, "/agents/a/agentAliases/b/sessions/s/text"),
    ("POST", Json, "/retrieveAndGenerateStream"),
    ("POST", Json, "/knowledgebases/k/retrieve"),
    ("POST", Json, "/client/v4/accounts/a/ai/run/@cf/meta/llama"),
    ("POST", Json, "/mcp"),
    ("GET", Json, "/mcp"),
    ("POST", Grpc, "/google.cloud.aiplatform.v1.PredictionService/GenerateContent"),
    ("POST", Grpc, "/google.cloud.aiplatform.v1.PredictionService/StreamGenerateContent"),
    ("POST", Grpc, "/google.cloud.aiplatform.v1.PredictionService/Predict"),
    ("POST", Grpc, "/google.ai.generativelanguage.v1.GenerativeService/EmbedContent"),
    ("POST", Grpc, "/google.ai.generativelanguage.v1.GenerativeService/BatchEmbedContents"),
    ("POST", Grpc, "/xai_api.Chat/GetCompletion"),
    ("POST", Grpc, "/xai_api.Chat/GetCompletionChunk"),
    ("GET", Socket, "/v1/realtime?model=m"),
    ("GET", Socket, "/v1/responses"),
];

/// Hosts whose paths are their own, and one that is unknown.
const HOSTS: [&str; 8] = [
    "gateway",
    "api.cohere.com",
    "us-south.ml.cloud.ibm.com",
    "api.openai.com",
    "api.aleph-alpha.com",
    "bedrock-agent-runtime.us-east-1.amazonaws.com",
    "api.cloudflare.com",
    "bedrock-runtime.us-east-1.amazonaws.com",
];

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
    wire: Wire,
    request: RequestHead,
    response: ResponseHead,
    capture_content: bool,
    how: Ended,
    steps: Vec<Step>,
}

impl Call {
    fn read(data: &[u8]) -> Option<Self> {
        let ([path, host, flags], rest) = data.split_first_chunk()?;
        let (method, wire, path) = PATHS[usize::from(*path) % PATHS.len()];
        let host = HOSTS[usize::from(*host) % HOSTS.len()];
        let headers = |list: &[(&'static str, &'static str)]| -> HeaderMap {
            list.iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect()
        };
        let kind = KINDS[usize::from(flags & 0x0f) % KINDS.len()];
        let (asked, answered) = match wire {
            Json => ("application/json", kind),
            Form => ("multipart/form-data; boundary=b0", kind),
            Grpc => ("application/grpc", "application/grpc"),
            Socket => ("", ""),
        };
        let status = match wire {
            Socket => StatusCode::SWITCHING_PROTOCOLS,
            _ if flags & FAILED != 0 => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        };
        let mut steps = script::read(rest);
        for step in steps.iter_mut().filter(|step| step.kind == MESSAGE) {
            (step.kind, step.bytes) = (RESPONSE, crate::events::message(&step.bytes));
        }
        Some(Self {
            wire,
            request: RequestHead {
                method: Method::from_bytes(method.as_bytes()).ok()?,
                target: path.to_owned(),
                version: Version::HTTP_11,
                headers: headers(&[
                    ("host", host),
                    ("content-type", asked),
                    ("upgrade", if wire == Socket { "websocket" } else { "" }),
                    ("mcp-session-id", "s"),
                ]),
            },
            response: ResponseHead {
                status,
                version: Version::HTTP_11,
                headers: headers(&[("content-type", answered), ("mcp-session-id", "s")]),
            },
            capture_content: flags & CONTENT != 0,
            how: if flags & CUT != 0 { Ended::ServerReset } else { Ended::Complete },
            steps,
        })
    }

    /// Gives every event of the exchange, bodies cut.
    fn events(&self, split: Split, on: &mut dyn FnMut(Kind<'_>)) {
        let (role, started) = (Role::Client, TIME);
        let request = Kind::Request { head: &self.request, role, started };
        let response = Kind::Response { head: &self.response, role, started };
        on(request);
        if self.wire == Socket {
            on(Kind::RequestEnd);
            on(response);
            on(Kind::ResponseEnd);
            self.steps.iter().for_each(|step| self.step(step, split, on));
            return;
        }
        let is_request = |step: &&Step| matches!(step.kind, REQUEST | REQUEST_GAP);
        self.steps.iter().filter(is_request).for_each(|step| self.step(step, split, on));
        on(Kind::RequestEnd);
        on(response);
        let is_response = |step: &&Step| !is_request(step);
        self.steps.iter().filter(is_response).for_each(|step| self.step(step, split, on));
        if self.how == Ended::Complete {
            on(Kind::ResponseEnd);
        }
    }

    fn step(&self, step: &Step, split: Split, on: &mut dyn FnMut(Kind<'_>)) {
        let message = match self.wire {
            Json | Form => None,
            Grpc => Some(MessageKind::Grpc),
            Socket => Some(MessageKind::Text),
        };
        match step.kind {
            REQUEST_GAP => on(Kind::RequestGap),
            RESPONSE_GAP => on(Kind::ResponseGap),
            REQUEST => {
                split.pieces(&step.bytes).for_each(|piece| on(Kind::RequestBody(piece)));
                if let Some(kind) = message {
                    on(Kind::RequestMessageEnd(kind));
                }
            }
            RESPONSE => {
                split.pieces(&step.bytes).for_each(|piece| on(Kind::ResponseBody(piece)));
                if let Some(kind) = message {
                    on(Kind::ResponseMessageEnd(kind));
                }
            }
            _ => {}
        }
    }

    fn play(&self, split: Split) -> Vec<Operation> {
        let mut calls = Calls::new(Options { capture_content: self.capture_content });
        let exchange = ExchangeId { connection: ConnectionId(1), index: 0 };
        let mut operations = Vec::new();
        let mut on = |kind: Kind<'_>| {
            operations.extend(calls.on(&ExchangeEvent { exchange, time: TIME, kind }));
        };
        self.events(split, &mut on);
        let (missing_request, missing_response) = (0, 0);
        let end = End { how: self.how, missing_request, missing_response, joined_late: false };
        on(Kind::End(end));
        assert_eq!(calls.open(), 0, "an exchange that ended is still held");
        operations
    }
}

/// The same for all: where a body is cut, times differ.
const TIME: Timestamp = Timestamp(1);

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
    seeds.extend(others());
    seeds
}

/// Forms, gRPC, WebSockets, MCP.
fn others() -> Vec<Input> {
    let form = "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nxx\r\n--b0--\r\n";
    // A content with a part with a text, as both services number them; then the model.
    let grpc_asked = b"\x12\x0c\x0a\x04user\x12\x04\x0a\x02hi\x2a\x01m".as_slice();
    let grpc_answer =
        b"\x12\x12\x12\x0e\x0a\x05model\x12\x05\x0a\x03abc\x18\x01\x22\x04\x08\x05\x10\x06"
            .as_slice();
    let asks = r#"{"type":"response.create","response":{"modalities":["text"]}}"#;
    let begun = r#"{"type":"response.created","response":{"id":"r1","model":"m"}}"#;
    let piece = r#"{"type":"response.text.delta","response_id":"r1","delta":"x"}"#;
    let done = r#"{"type":"response.done","response":{"id":"r1","status":"completed","usage":{"input_tokens":1,"output_tokens":2}}}"#;
    let tool = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1}}}"#;
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"x"}]}}"#;
    let input = |name: &str, wanted: &str, flags: u8, steps: Vec<(u8, &[u8])>| {
        let path = PATHS.iter().position(|(_, _, path)| path.contains(wanted)).unwrap_or(0) as u8;
        Input::new(name, [&[path, 0, flags], &script::write(steps)[..]].concat())
    };
    let two = |asked, answer| vec![(REQUEST, asked), (RESPONSE, answer)];
    vec![
        input("form", "transcriptions", CONTENT, two(form.as_bytes(), br#"{"text":"hi"}"#)),
        input(
            "grpc-vertex",
            "v1.PredictionService/GenerateContent",
            CONTENT,
            two(grpc_asked, grpc_answer),
        ),
        input("grpc-xai", "GetCompletionChunk", CONTENT, two(grpc_asked, grpc_answer)),
        input(
            "realtime",
            "realtime",
            CONTENT,
            vec![
                (REQUEST, asks.as_bytes()),
                (RESPONSE, begun.as_bytes()),
                (REQUEST, asks.as_bytes()),
                (RESPONSE, piece.as_bytes()),
                (RESPONSE, done.as_bytes()),
            ],
        ),
        input("mcp", "/mcp", CONTENT, two(tool.as_bytes(), result.as_bytes())),
        input(
            "mcp-events",
            "/mcp",
            CONTENT | 1,
            two(tool.as_bytes(), format!("data: {result}\n\n").as_bytes()),
        ),
    ]
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let one = |name: &str, path: usize, flags: u8, steps: [(u8, String); 2]| {
        let path = PATHS.iter().position(|(_, _, text)| *text == PATHS[path].2).unwrap_or(0) as u8;
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
