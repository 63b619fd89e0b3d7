//! Ollama's own API: chat, generate and embeddings.
//! Takes `POST /api/{chat,generate,embed,embeddings}` bodies and lines of NDJSON; gives facts and content.
//! Streams unless told not to; a line with `done` carries reason and counts.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Nothing, Step, Views,
    content::{self, Kind, Parts},
    error::{self, ErrorMember},
    keep_call,
    times::Durations,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Filled, Flag, Integer, Length, List, Number, Object, Strings, Text, TextOr},
    },
    operation::{OperationName, ProviderError, Request, Response, ServerTimes, Usage},
};

pub(in crate::genai) static CHAT: Format = Format {
    operation: OperationName::Chat,
    flavour: "ollama",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Text },
    event: &RESPONSE,
    streams_values: true,
    read_request: |body| read_request(body, true),
    answer: |capture_content| Box::new(Ollama { capture_content, ..Ollama::default() }),
};

pub(in crate::genai) static GENERATE: Format =
    Format { operation: OperationName::TextCompletion, ..CHAT };

pub(in crate::genai) static EMBED: Format = Format {
    operation: OperationName::Embeddings,
    streams_values: false,
    read_request: |body| read_request(body, false),
    ..CHAT
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("messages", Shape::Sign),
    ("prompt", Shape::Sign),
    ("input", Shape::Sign),
    ("stream", Shape::Fact),
    ("format", Shape::Text),
    ("think", Shape::Fact),
    ("options", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("messages", Shape::Ends(&Shape::Text)),
    ("prompt", Shape::Text),
    ("system", Shape::Text),
    (
        "tools",
        Shape::Ends(&Shape::Object(&[("function", Shape::Object(&[("name", Shape::Fact)]))])),
    ),
]);

const RESPONSE: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    (
        "message",
        Shape::Object(&[
            ("content", Shape::Text),
            ("thinking", Shape::Text),
            ("tool_calls", Shape::Text),
        ]),
    ),
    ("response", Shape::Text),
    ("thinking", Shape::Text),
    ("done", Shape::Fact),
    ("done_reason", Shape::Fact),
    ("prompt_eval_count", Shape::Fact),
    ("eval_count", Shape::Fact),
    ("total_duration", Shape::Fact),
    ("load_duration", Shape::Fact),
    ("prompt_eval_duration", Shape::Fact),
    ("eval_duration", Shape::Fact),
    ("embedding", Shape::Sign),
    ("embeddings", Shape::Sign),
    ("error", error::ERROR),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    messages: Length,
    prompt: Filled,
    input: Filled,
    stream: Flag,
    /// `json`, or a schema.
    #[serde(borrow)]
    format: TextOr<'a, Nothing>,
    #[serde(borrow)]
    think: Text<'a>,
    options: Object<Options>,
    tools: Length,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    num_predict: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    seed: Integer,
    stop: Strings,
    frequency_penalty: Number,
    presence_penalty: Number,
}

fn read_request(body: &mut Document, streams: bool) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let options = facts.options.0.unwrap_or_default();
    let given = facts.messages.0.is_some() || facts.prompt.0 || facts.input.0;
    let mut asked = Asked {
        fits: facts.model.filled().is_some() && given,
        fault,
        request: Request {
            // The API streams unless it is told not to.
            stream: streams && fault.is_none() && facts.stream.0 != Some(false),
            output_type: match facts.format {
                TextOr::Object(_) => Some("json"),
                TextOr::Text(format) if format == "json" => Some("json"),
                _ => None,
            },
            model: facts.model.into_filled(),
            max_tokens: options.num_predict.0,
            temperature: options.temperature.0,
            top_p: options.top_p.0,
            top_k: options.top_k.0,
            seed: options.seed.0,
            stop_sequences: options.stop.0,
            frequency_penalty: options.frequency_penalty.0,
            presence_penalty: options.presence_penalty.0,
            reasoning_level: facts.think.into_filled(),
            tools: facts.tools.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content
        && streams
    {
        let prompt = content::member(&body, "prompt")
            .map(|prompt| content::message("user", &[content::text(prompt)]));
        asked.input_messages =
            Some(content::elements(&body, "messages").map(input).chain(prompt).collect());
        asked.system_instructions = content::member(&body, "system")
            .filter(|system| !system.is_empty())
            .map(|system| json!([content::text(system)]));
        let tools: Vec<_> = content::elements(&body, "tools")
            .filter_map(|tool| content::member(tool.get("function")?, "name"))
            .map(|name| content::tool("function", Some(name)))
            .collect();
        asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
        asked.truncated = truncated;
    }
    asked
}

fn input(message: &Value) -> Value {
    let role = content::member(message, "role").unwrap_or("user");
    if role == "tool" {
        let response = message.get("content").unwrap_or(&Value::Null);
        return content::message(role, &[content::tool_response(None, response)]);
    }
    let mut parts = Vec::new();
    let text = |name| content::member(message, name).filter(|text| !text.is_empty());
    parts.extend(text("thinking").map(content::reasoning));
    parts.extend(text("content").map(content::text));
    parts.extend(
        content::elements(message, "images")
            .filter_map(Value::as_str)
            .map(|image| content::blob("image", None, image)),
    );
    parts.extend(content::elements(message, "tool_calls").map(|call| {
        let function = call.get("function").unwrap_or(call);
        let name = content::member(function, "name").unwrap_or_default();
        content::tool_call(content::member(call, "id"), name, function.get("arguments"))
    }));
    content::message(role, &parts)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    message: Object<Message<'a>>,
    #[serde(borrow)]
    response: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    done: Flag,
    #[serde(borrow)]
    done_reason: Text<'a>,
    /// Left out where the prompt was cached.
    prompt_eval_count: Count,
    eval_count: Count,
    total_duration: Count,
    load_duration: Count,
    prompt_eval_duration: Count,
    eval_duration: Count,
    embedding: Filled,
    embeddings: Filled,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    tool_calls: List<Call<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    function: Object<Function<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    arguments: Option<Value>,
}

#[derive(Debug, Default)]
struct Ollama {
    capture_content: bool,
    response: Response,
    usage: Usage,
    times: ServerTimes,
    error: Option<ProviderError>,
    reason: Option<String>,
    begun: bool,
    done: bool,
    fits: bool,
    calls: u64,
    parts: Parts,
    overflow: bool,
}

impl Answer for Ollama {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (line, fault) = body.facts::<Line<'_>>();
        self.take(line);
        self.done |= fault.is_none();
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (line, _) = data.facts::<Line<'_>>();
        self.take(line)
    }

    fn server_times(&self) -> ServerTimes {
        self.times
    }

    fn finish(mut self: Box<Self>) -> Answered {
        let (parts, truncated) = self.parts.take();
        let reason = self.reason.as_deref().unwrap_or(if self.done { "stop" } else { "error" });
        let output = json!([content::output("assistant", &parts, reason)]);
        self.response.finish_reasons = match self.reason {
            Some(reason) => vec![reason],
            None if self.begun && !self.done => vec!["error".to_owned()],
            None => Vec::new(),
        };
        Answered {
            response: self.response,
            usage: self.usage,
            error: self.error,
            output_messages: (self.capture_content && self.begun).then_some(output),
            truncated,
            overflow: self.overflow,
            fits: self.fits,
            operation: None,
        }
    }
}

impl Ollama {
    fn take(&mut self, line: Line<'_>) -> Step {
        if let Some(error) = error::member(line.error) {
            self.error.get_or_insert(error);
            return Step::Aside;
        }
        self.begun |= line.message.0.is_some() || line.response.as_str().is_some();
        self.fits |= self.begun || line.embedding.0 || line.embeddings.0;
        self.done |= line.done.0 == Some(true);
        if self.response.model.is_none() {
            self.response.model = line.model.into_filled();
        }
        self.reason = line.done_reason.into_filled().or(self.reason.take());
        self.usage.input_tokens = line.prompt_eval_count.0.or(self.usage.input_tokens);
        self.usage.output_tokens = line.eval_count.0.or(self.usage.output_tokens);
        let durations = Durations {
            total: line.total_duration,
            load: line.load_duration,
            prompt: line.prompt_eval_duration,
            eval: line.eval_duration,
        };
        self.times = durations.times().or(self.times);
        let message = line.message.0.unwrap_or_default();
        let mut step = Step::Frame;
        for (kind, text) in [
            (Kind::Reasoning, message.thinking.filled().or(line.thinking.filled())),
            (Kind::Text, message.content.filled().or(line.response.filled())),
        ] {
            let Some(text) = text else { continue };
            step = Step::Piece;
            if self.capture_content {
                self.parts.push(kind, text);
            }
        }
        for call in message.tool_calls.into_objects() {
            step = Step::Piece;
            self.call(call);
        }
        step
    }

    /// A tool call, which comes in one piece.
    fn call(&mut self, call: Call<'_>) {
        let function = call.function.0.unwrap_or_default();
        let name = function.name.into_filled().unwrap_or_default();
        if self.capture_content {
            let arguments = function.arguments.map(|value| value.to_string()).unwrap_or_default();
            let id = call.id.into_filled();
            self.parts.push(Kind::Call { place: self.calls, id, name: name.clone() }, &arguments);
        }
        self.calls += 1;
        keep_call(&mut self.response.tool_calls, name, &mut self.overflow);
    }
}
