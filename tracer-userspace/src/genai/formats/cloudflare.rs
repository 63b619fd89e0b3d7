//! Cloudflare Workers AI: the models that it runs, under one envelope.
//! Takes `POST …/ai/run/@MODEL` bodies, answers and events; gives facts and content.
//! Models that speak OpenAI's formats do so inside the envelope; what is neither text nor vectors is left.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Step, Views, content,
    content::Kind,
    error::{ERROR, Fields},
    openai_chat::{
        self,
        answer::Chat,
        wire::{Choice, Completion},
    },
    openai_usage,
    texts::Texts,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Filled, Flag, Integer, Length, List, Number, Object, Text},
    },
    operation::{OperationName, ProviderError, Request, Usage},
};

pub(in crate::genai) static RUN: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "cloudflare",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESULT,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Run::new(capture_content)),
};

const REQUEST: Shape = Shape::Object(&[
    ("messages", Shape::Sign),
    ("prompt", Shape::Sign),
    ("text", Shape::Sign),
    ("stream", Shape::Fact),
    ("max_tokens", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("top_k", Shape::Fact),
    ("seed", Shape::Fact),
    ("frequency_penalty", Shape::Fact),
    ("presence_penalty", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
]);

const REQUEST_CONTENT: Shape =
    Shape::Object(&[("messages", Shape::Ends(&Shape::Text)), ("prompt", Shape::Text)]);

const RESULT: Shape = Shape::Object(&[
    ("response", Shape::Text),
    ("tool_calls", Shape::Text),
    ("usage", Shape::Fact),
    ("data", Shape::Sign),
    ("image", Shape::Sign),
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("choices", Shape::Text),
]);

const RESPONSE: Shape =
    Shape::Object(&[("result", RESULT), ("success", Shape::Fact), ("errors", Shape::Each(&ERROR))]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts {
    messages: Length,
    prompt: Filled,
    text: Filled,
    stream: Flag,
    max_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    seed: Integer,
    frequency_penalty: Number,
    presence_penalty: Number,
    tools: Length,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts>();
    let operation = if facts.messages.0.is_some() {
        OperationName::Chat
    } else if facts.text.0 {
        OperationName::Embeddings
    } else {
        OperationName::TextCompletion
    };
    let mut asked = Asked {
        operation: Some(operation),
        fits: facts.messages.0.is_some() || facts.prompt.0 || facts.text.0,
        fault,
        request: Request {
            stream: facts.stream.0 == Some(true),
            max_tokens: facts.max_tokens.0,
            temperature: facts.temperature.0,
            top_p: facts.top_p.0,
            top_k: facts.top_k.0,
            seed: facts.seed.0,
            frequency_penalty: facts.frequency_penalty.0,
            presence_penalty: facts.presence_penalty.0,
            tools: facts.tools.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let prompt = content::member(&body, "prompt")
            .map(|text| content::message("user", &[content::text(text)]));
        let messages: Vec<_> =
            content::elements(&body, "messages").map(openai_chat::input).chain(prompt).collect();
        asked.input_messages = (!messages.is_empty()).then(|| json!(messages));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    result: Object<Output<'a>>,
    #[serde(borrow)]
    errors: List<Fields<'a>>,
}

/// A result, or one event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Output<'a> {
    #[serde(borrow)]
    response: Text<'a>,
    #[serde(borrow)]
    tool_calls: List<Call<'a>>,
    usage: Object<openai_usage::Tokens>,
    data: Filled,
    image: Filled,
    /// Of models that speak OpenAI's chat.
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    choices: List<Choice<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    arguments: Option<Value>,
}

#[derive(Debug)]
struct Run {
    texts: Texts,
    chat: Chat,
    usage: Usage,
    error: Option<ProviderError>,
    fits: bool,
    done: bool,
}

impl Run {
    fn new(capture_content: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            chat: Chat::new(capture_content),
            usage: Usage::default(),
            error: None,
            fits: false,
            done: false,
        }
    }

    fn take(&mut self, output: Output<'_>) -> Step {
        let told = output.response.as_str().is_some() || !output.tool_calls.0.is_empty();
        self.fits |= told || output.data.0 || output.image.0;
        let mut piece = self.texts.push(0, Kind::Text, output.response.as_str());
        for call in output.tool_calls.into_objects() {
            piece = true;
            let arguments = call.arguments.map(|value| value.to_string()).unwrap_or_default();
            self.texts.call(call.name.as_str().unwrap_or_default(), None, &arguments);
        }
        if let Some(tokens) = output.usage.0 {
            tokens.add_to(&mut self.usage);
        }
        if !output.choices.0.is_empty() {
            let Output { id, model, choices, .. } = output;
            let choices = Some(choices);
            return self
                .chat
                .take(Completion { id, model, choices, ..Completion::default() }, true);
        }
        match (piece, told) {
            (true, _) => Step::Piece,
            (false, true) => Step::Frame,
            (false, false) => Step::Aside,
        }
    }
}

impl Answer for Run {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = fault.is_none();
        self.error = facts.errors.into_objects().next().map(Fields::into_error);
        if let Some(output) = facts.result.0 {
            self.take(output);
        }
        if fault.is_none() {
            self.chat.end();
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        if data.bytes().is_some_and(|bytes| bytes.trim_ascii() == b"[DONE]") {
            self.done = true;
            self.chat.end();
            return Step::Aside;
        }
        let (output, _) = data.facts::<Output<'_>>();
        self.take(output)
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let Self { texts, chat, usage, error, fits, done } = *self;
        let chat = Box::new(chat).finish();
        if chat.fits {
            return Answered { usage, error, ..chat };
        }
        let answered = texts.finish(done, |reason| reason);
        Answered { usage, error, fits, ..answered }
    }
}
