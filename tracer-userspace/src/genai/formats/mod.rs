//! The wire formats: one module each, all behind one table row and one trait.
//! Takes whole bodies and stream events; gives what was asked and what was answered.
//! A format knows its JSON and nothing of hosts, HTTP framing or time.

pub(super) mod aleph_alpha;
pub(super) mod anthropic;
pub(super) mod bedrock_agents;
pub(super) mod bedrock_converse;
pub(super) mod bedrock_flows;
pub(super) mod bedrock_invoke;
pub(super) mod cloudflare;
pub(super) mod cohere;
mod content;
pub(super) mod count_tokens;
pub(super) mod dashscope;
pub(super) mod embed;
pub(super) mod error;
pub(super) mod gemini;
pub(super) mod gemini_interactions;
pub(super) mod llama_cpp;
pub(super) mod mistral_conversations;
pub(super) mod mistral_ocr;
pub(super) mod ollama;
pub(super) mod openai_assistants;
pub(super) mod openai_audio;
pub(super) mod openai_chat;
pub(super) mod openai_completions;
pub(super) mod openai_embeddings;
pub(super) mod openai_images;
pub(super) mod openai_moderations;
pub(super) mod openai_realtime;
pub(super) mod openai_responses;
mod openai_usage;
pub(super) mod palm;
pub(super) mod replicate;
pub(super) mod rerank;
pub(super) mod sagemaker;
pub(super) mod sglang;
mod skeleton;
mod texts;
pub(super) mod tgi;
mod times;
pub(super) mod vertex_predict;
pub(super) mod watsonx;

use ::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::{
    json::{Document, Fault, Shape, Shapes, lax::Text},
    operation::{OperationName, ProviderError, Request, Response, ServerTimes, Usage},
};

/// Tool calls of one answer whose names are kept; more are told by [`Answered::overflow`].
const MAX_CALLS: usize = 256;

/// Keeps the name of a tool that was called, within the bound.
fn keep_call(calls: &mut Vec<String>, name: String, overflow: &mut bool) {
    if calls.len() < MAX_CALLS {
        calls.push(name);
    } else {
        *overflow = true;
    }
}

/// `{"type": …}`, as output formats are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
}

/// An object of which only matters that it is there.
#[derive(Debug, Default, Deserialize)]
struct Nothing {}

/// One wire format of one operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub operation: OperationName,
    /// `gen_ai.provider.name` of a host that is in no table.
    pub flavour: &'static str,
    /// `openai.api.type`, where the provider is OpenAI.
    pub api_type: Option<&'static str>,
    pub request: Views,
    pub response: Views,
    /// Of the data of one stream event.
    pub event: &'static Shape,
    /// Streams are a run of JSON values, where they are not server-sent events.
    pub streams_values: bool,
    pub read_request: fn(&mut Document) -> Asked,
    pub answer: fn(capture_content: bool) -> Box<dyn Answer>,
}

/// Facts and content of one kind of body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Views {
    pub facts: &'static Shape,
    pub content: &'static Shape,
}

impl Views {
    pub(super) fn shapes(&self, capture_content: bool) -> Shapes {
        Shapes { facts: self.facts, content: capture_content.then_some(self.content) }
    }
}

/// What a request body says.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub request: Request,
    pub input_messages: Option<Value>,
    pub system_instructions: Option<Value>,
    pub tool_definitions: Option<Value>,
    /// A bound left a part of the content out.
    pub truncated: bool,
    /// The body has the shape of this format's requests.
    pub fits: bool,
    pub fault: Option<Fault>,
    /// Where the body decides which operation it is.
    pub operation: Option<OperationName>,
    /// Each event of a stream is to repeat the answer so far.
    pub cumulative: bool,
}

/// What one stream event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It carried a piece of the answer: text, reasoning, a refusal, a tool call or its arguments.
    Piece,
    /// It belongs to the answer without carrying a piece: roles, usage, finish reasons, ends.
    Frame,
    /// It carried nothing of the answer: keep-alives, errors, end marks, unknown events.
    Aside,
}

/// Reads one answer, whole or event by event.
pub(super) trait Answer: std::fmt::Debug + Send {
    /// Headers that carry facts, for the few formats that have such.
    fn headers(&mut self, _headers: &HeaderMap) {}

    /// What was asked, for the few formats whose answers can't be read without it.
    fn asked(&mut self, _asked: &Asked) {}

    /// The answer (or the error) came as one JSON value.
    fn whole(&mut self, body: &mut Document) -> Option<Fault>;

    /// One event of a stream passed.
    fn event(&mut self, name: &[u8], data: &mut Document) -> Step;

    /// The mark passed by which this format's streams say that the answer is whole. A client may
    /// leave then, and the call succeeded all the same.
    fn done(&self) -> bool {
        false
    }

    /// Times that the server told of this answer.
    fn server_times(&self) -> ServerTimes {
        ServerTimes::default()
    }

    /// No more comes.
    fn finish(self: Box<Self>) -> Answered;
}

/// What an answer said.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// But for [`Response::chunks`], which the caller counts.
    pub response: Response,
    pub usage: Usage,
    pub error: Option<ProviderError>,
    pub output_messages: Option<Value>,
    /// A bound left a part of the content out.
    pub truncated: bool,
    /// There were more choices or tool calls than are told apart.
    pub overflow: bool,
    /// The body has the shape of this format's answers.
    pub fits: bool,
    /// Where the answer tells which operation it was, and the request does not.
    pub operation: Option<OperationName>,
}

/// An answer that is told again: what it used was told when it was made, and the conventions want
/// it once.
#[derive(Debug)]
struct Retold(Box<dyn Answer>);

impl Answer for Retold {
    fn headers(&mut self, headers: &HeaderMap) {
        self.0.headers(headers);
    }

    fn asked(&mut self, asked: &Asked) {
        self.0.asked(asked);
    }

    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        self.0.whole(body)
    }

    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        self.0.event(name, data)
    }

    fn done(&self) -> bool {
        self.0.done()
    }

    fn finish(self: Box<Self>) -> Answered {
        Answered { usage: Usage::default(), ..self.0.finish() }
    }
}
