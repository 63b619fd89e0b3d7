//! Mistral's conversations: a model or an agent with state at the server.
//! Takes `POST /v1/conversations[/{id}]` bodies, answers and typed events; gives facts and content.
//! There is no reason to finish in this API; `conversation.response.done` ends a stream.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Step, Typed, Views, content, content::Kind, openai_chat,
    openai_usage::Tokens, texts::Texts,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{
            Code, Filled, Flag, Integer, Length, List, Number, Object, Strings, Text, TextOrList,
        },
    },
    operation::{Agent, OperationName, ProviderError, Request, Response, Usage},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::Chat,
    flavour: "mistral_ai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &EVENT,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Conversation::new(capture_content)),
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("agent_id", Shape::Fact),
    ("inputs", Shape::Sign),
    ("stream", Shape::Fact),
    ("completion_args", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
]);

const REQUEST_CONTENT: Shape =
    Shape::Object(&[("inputs", Shape::Ends(&Shape::Text)), ("instructions", Shape::Text)]);

const RESPONSE: Shape = Shape::Object(&[
    ("conversation_id", Shape::Fact),
    ("outputs", Shape::Each(&EVENT)),
    ("usage", Shape::Fact),
]);

/// An output's entry, or an event.
const EVENT: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("tool_call_id", Shape::Fact),
    ("conversation_id", Shape::Fact),
    ("model", Shape::Fact),
    ("content", Shape::Text),
    ("name", Shape::Fact),
    ("arguments", Shape::Text),
    ("usage", Shape::Fact),
    ("code", Shape::Fact),
    ("message", Shape::Text),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    agent_id: Text<'a>,
    inputs: Filled,
    stream: Flag,
    #[serde(borrow)]
    completion_args: Object<Arguments<'a>>,
    tools: Length,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Arguments<'a> {
    max_tokens: Integer,
    temperature: Number,
    top_p: Number,
    random_seed: Integer,
    stop: Strings,
    frequency_penalty: Number,
    presence_penalty: Number,
    #[serde(borrow)]
    reasoning_effort: Text<'a>,
    #[serde(borrow)]
    response_format: Object<Typed<'a>>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let arguments = facts.completion_args.0.unwrap_or_default();
    let format = arguments.response_format.0.unwrap_or_default();
    let agent_id = facts.agent_id.into_filled();
    let mut asked = Asked {
        operation: agent_id.is_some().then_some(OperationName::InvokeAgent),
        fits: facts.inputs.0,
        fault,
        request: Request {
            model: facts.model.into_filled(),
            agent: Agent { id: agent_id, ..Agent::default() },
            stream: facts.stream.0 == Some(true),
            output_type: match format.kind.as_str() {
                Some("json_object" | "json_schema") => Some("json"),
                Some("text") => Some("text"),
                _ => None,
            },
            max_tokens: arguments.max_tokens.0,
            temperature: arguments.temperature.0,
            top_p: arguments.top_p.0,
            seed: arguments.random_seed.0,
            stop_sequences: arguments.stop.0,
            frequency_penalty: arguments.frequency_penalty.0,
            presence_penalty: arguments.presence_penalty.0,
            reasoning_level: arguments.reasoning_effort.into_filled(),
            tools: facts.tools.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = Some(match body.get("inputs") {
            Some(Value::String(text)) => json!([content::message("user", &[content::text(text)])]),
            _ => content::elements(&body, "inputs").map(entry).collect(),
        });
        asked.system_instructions = content::member(&body, "instructions")
            .filter(|text| !text.is_empty())
            .map(|text| json!([content::text(text)]));
        asked.truncated = truncated;
    }
    asked
}

/// An entry of the conversation: a message, a call, or a call's result.
fn entry(entry: &Value) -> Value {
    let id = content::member(entry, "tool_call_id");
    match content::member(entry, "type") {
        Some("function.call") => {
            let name = content::member(entry, "name").unwrap_or_default();
            let call = content::tool_call(id, name, entry.get("arguments"));
            content::message("assistant", &[call])
        }
        Some("function.result") => {
            let result = entry.get("result").unwrap_or(&Value::Null);
            content::message("tool", &[content::tool_response(id, result)])
        }
        _ => openai_chat::input(entry),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    conversation_id: Text<'a>,
    #[serde(borrow)]
    outputs: List<Event<'a>>,
    usage: Object<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    tool_call_id: Text<'a>,
    #[serde(borrow)]
    conversation_id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    /// A text, a list of chunks, or in an event one chunk.
    #[serde(borrow)]
    content: TextOrList<'a, Chunk<'a>>,
    #[serde(borrow)]
    name: Text<'a>,
    arguments: Option<Value>,
    usage: Object<Tokens>,
    code: Code,
    #[serde(borrow)]
    message: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Debug)]
struct Conversation {
    texts: Texts,
    response: Response,
    usage: Usage,
    error: Option<ProviderError>,
    /// The function call that the last events were of.
    calling: Option<String>,
    fits: bool,
    done: bool,
}

impl Conversation {
    fn new(capture_content: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            response: Response::default(),
            usage: Usage::default(),
            error: None,
            calling: None,
            fits: false,
            done: false,
        }
    }

    fn usage(&mut self, tokens: Object<Tokens>) {
        if let Some(tokens) = tokens.0 {
            tokens.add_to(&mut self.usage);
        }
    }

    /// Folds an entry or a piece of one in; gives whether there was something in it.
    fn message(&mut self, event: Event<'_>) -> bool {
        if self.response.model.is_none() {
            self.response.model = event.model.into_filled();
        }
        match event.content {
            TextOrList::Text(text) => self.texts.push(0, Kind::Text, Some(&text)),
            TextOrList::List(chunks) => {
                let mut piece = false;
                for chunk in chunks.into_iter().filter_map(|chunk| chunk.0) {
                    piece |= self.texts.push(0, Kind::Text, chunk.text.as_str());
                }
                piece
            }
            TextOrList::Neither => false,
        }
    }

    /// A call, or a further piece of its arguments: they come under the same id.
    fn call(&mut self, event: Event<'_>) {
        let id = event.tool_call_id.into_filled();
        let arguments = match event.arguments {
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
            None => String::new(),
        };
        if id.is_some() && id == self.calling {
            return self.texts.argue(&arguments);
        }
        self.texts.call(event.name.as_str().unwrap_or_default(), id.as_deref(), &arguments);
        self.calling = id;
    }
}

impl Answer for Conversation {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = fault.is_none();
        self.fits = facts.conversation_id.filled().is_some();
        self.response.conversation_id = facts.conversation_id.into_filled();
        self.usage(facts.usage);
        for entry in facts.outputs.into_objects() {
            match entry.kind.as_str() {
                Some("message.output") => {
                    self.message(entry);
                }
                Some("function.call") => self.call(entry),
                _ => {}
            }
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Event<'_>>();
        self.fits |= event.kind.filled().is_some();
        match event.kind.as_str() {
            Some("conversation.response.started") => {
                self.response.conversation_id = event.conversation_id.into_filled();
                Step::Frame
            }
            Some("message.output.delta") => {
                if self.message(event) {
                    Step::Piece
                } else {
                    Step::Frame
                }
            }
            Some("function.call.delta") => {
                self.call(event);
                Step::Piece
            }
            Some("conversation.response.done") => {
                self.usage(event.usage);
                self.done = true;
                Step::Frame
            }
            Some("conversation.response.error") => {
                let kind = event.code.0.unwrap_or_default();
                self.error = Some(ProviderError { kind, message: event.message.into_filled() });
                Step::Aside
            }
            _ => Step::Aside,
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(true, |reason| reason);
        let response = Response {
            finish_reasons: Vec::new(),
            tool_calls: answered.response.tool_calls,
            ..self.response
        };
        Answered { response, usage: self.usage, error: self.error, fits: self.fits, ..answered }
    }
}
