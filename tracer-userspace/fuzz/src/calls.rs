//! Target `calls`: exchanges of every route, with bodies of any kind.
//! Takes three bytes (route, host, flags) and a script of body pieces and gaps.
//! The operation is the same however the bodies are cut, and memory is bounded whatever they say.

mod inputs;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use llmtap::{
    capture::{ConnectionId, Timestamp},
    genai::{Calls, Operation, Options},
    http::{
        End, Ended, ExchangeEvent, ExchangeId, Kind, MessageKind, RequestHead, ResponseHead, Role,
    },
};

pub use self::inputs::{seeds, worst};
use crate::{
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
const PATHS: [(&str, Wire, &str); 81] = [
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
    ("POST", Json, "/v1/messages/count_tokens"),
    ("POST", Json, "/v1/responses/compact"),
    ("GET", Json, "/v1/chat/completions/c"),
    ("POST", Json, "/v1/ocr"),
    ("POST", Json, "/v1/conversations"),
    ("POST", Json, "/v1beta/interactions"),
    ("POST", Json, "/v1internal:streamGenerateContent"),
    ("POST", Json, "/v1beta2/models/m:generateText"),
    ("POST", Json, "/v1beta/models/m:countTokens"),
    ("POST", Json, "/api/v1/services/aigc/text-generation/generation"),
    ("POST", Json, "/api/v1/apps/a/completion"),
    ("POST", Json, "/flows/f/aliases/a"),
    ("POST", Json, "/guardrail/g/version/1/apply"),
    ("POST", Json, "/ml/v1/text/chat_stream"),
    ("POST", Json, "/ml/v1/text/embeddings"),
    ("POST", Json, "/v1/predictions"),
    ("POST", Json, "/score"),
    ("POST", Json, "/classify"),
    ("POST", Json, "/invocations"),
    ("POST", Grpc, "/xai_api.Sample/SampleTextStreaming"),
    ("POST", Grpc, "/xai_api.Embedder/Embed"),
    ("POST", Grpc, "/google.ai.generativelanguage.v1.GenerativeService/CountTokens"),
    (
        "GET",
        Socket,
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
    ),
];

/// Hosts whose paths are their own, and one that is unknown.
const HOSTS: [&str; 12] = [
    "gateway",
    "api.cohere.com",
    "us-south.ml.cloud.ibm.com",
    "api.openai.com",
    "api.aleph-alpha.com",
    "bedrock-agent-runtime.us-east-1.amazonaws.com",
    "api.cloudflare.com",
    "bedrock-runtime.us-east-1.amazonaws.com",
    "dashscope.aliyuncs.com",
    "api.mistral.ai",
    "generativelanguage.googleapis.com",
    "api.replicate.com",
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
/// an unknown path is read in up to six formats.
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

    /// Gives the operations as they are told, as a run of llmtap takes them.
    fn play(&self, split: Split, told: &mut dyn FnMut(Operation)) {
        let mut calls = Calls::new(Options { capture_content: self.capture_content });
        let exchange = ExchangeId { connection: ConnectionId(1), index: 0 };
        let mut on = |kind: Kind<'_>| {
            let event = ExchangeEvent { exchange, time: TIME, kind };
            calls.on(&event).into_iter().for_each(&mut *told);
        };
        self.events(split, &mut on);
        let (missing_request, missing_response) = (0, 0);
        let end = End { how: self.how, missing_request, missing_response, joined_late: false };
        on(Kind::End(end));
        assert_eq!(calls.open(), 0, "an exchange that ended is still held");
    }

    fn text(&self, split: Split) -> String {
        let mut operations = Vec::new();
        self.play(split, &mut |operation| operations.push(operation));
        format!("{operations:?}")
    }
}

/// The same for all: where a body is cut, times differ.
const TIME: Timestamp = Timestamp(1);

pub fn run(data: &[u8]) {
    let Some(call) = Call::read(data) else { return };
    let work = |(): &()| Work { bytes: data.len(), pieces: call.steps.len(), heap: HEAP };
    meter::within(work, || call.play(Split::Records, &mut drop));
    let whole = call.text(Split::Whole);
    for split in Split::CUT {
        let cut = call.text(split);
        assert!(cut == whole, "cut {split:?}\n whole: {whole}\n   cut: {cut}");
    }
}
