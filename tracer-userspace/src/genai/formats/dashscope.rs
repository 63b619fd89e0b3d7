//! Alibaba's DashScope, its own API: generation of text, embeddings, reranking, and applications.
//! Takes `POST /api/v1/services/…` and `/apps/{id}/completion` bodies and events; gives facts and content.
//! Events repeat the answer so far, unless the request asks for what is new alone.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Step, Typed, Views, content,
    openai_chat::{
        self,
        answer::Chat,
        wire::{Choice, Completion},
    },
    openai_usage,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Code, Count, Filled, Flag, Integer, Length, List, Number, Object, Strings, Text},
    },
    operation::{OperationName, ProviderError, Request, Usage},
};

pub(in crate::genai) static GENERATE: Format = Format {
    operation: OperationName::Chat,
    flavour: "dashscope",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESPONSE,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Generation::new(capture_content)),
};

/// An application is an agent that was put together at the provider.
pub(in crate::genai) static APPLICATION: Format =
    Format { operation: OperationName::InvokeAgent, ..GENERATE };

pub(in crate::genai) static EMBED: Format =
    Format { operation: OperationName::Embeddings, ..GENERATE };

pub(in crate::genai) static RERANK: Format =
    Format { operation: OperationName::Rerank, ..GENERATE };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    (
        "input",
        Shape::Object(&[
            ("messages", Shape::Sign),
            ("prompt", Shape::Sign),
            ("texts", Shape::Sign),
            ("contents", Shape::Sign),
            ("query", Shape::Sign),
            ("documents", Shape::Sign),
            ("session_id", Shape::Fact),
        ]),
    ),
    (
        "parameters",
        Shape::Object(&[
            ("max_tokens", Shape::Fact),
            ("temperature", Shape::Fact),
            ("top_p", Shape::Fact),
            ("top_k", Shape::Fact),
            ("top_n", Shape::Fact),
            ("seed", Shape::Fact),
            ("n", Shape::Fact),
            ("stop", Shape::Fact),
            ("presence_penalty", Shape::Fact),
            ("response_format", Shape::Object(&[("type", Shape::Fact)])),
            ("tools", Shape::Each(&Shape::Skip)),
            ("incremental_output", Shape::Fact),
            ("dimension", Shape::Fact),
        ]),
    ),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[(
    "input",
    Shape::Object(&[("messages", Shape::Ends(&Shape::Text)), ("prompt", Shape::Text)]),
)]);

const RESPONSE: Shape = Shape::Object(&[
    (
        "output",
        Shape::Object(&[
            ("text", Shape::Text),
            ("finish_reason", Shape::Fact),
            ("session_id", Shape::Fact),
            ("choices", Shape::Text),
            ("embeddings", Shape::Sign),
            ("results", Shape::Sign),
        ]),
    ),
    ("usage", Shape::Fact),
    ("request_id", Shape::Fact),
    ("code", Shape::Fact),
    ("message", Shape::Text),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    input: Object<Input<'a>>,
    #[serde(borrow)]
    parameters: Object<Parameters<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Input<'a> {
    messages: Length,
    prompt: Filled,
    texts: Length,
    contents: Length,
    query: Filled,
    documents: Length,
    #[serde(borrow)]
    session_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters<'a> {
    max_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    top_n: Number,
    seed: Integer,
    n: Integer,
    stop: Strings,
    presence_penalty: Number,
    #[serde(borrow)]
    response_format: Object<Typed<'a>>,
    tools: Length,
    incremental_output: Flag,
    dimension: Integer,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let input = facts.input.0.unwrap_or_default();
    let parameters = facts.parameters.0.unwrap_or_default();
    let listed = [input.messages, input.texts, input.contents, input.documents];
    let mut asked = Asked {
        fits: input.prompt.0 || input.query.0 || listed.iter().any(|list| list.0.is_some()),
        fault,
        cumulative: parameters.incremental_output.0 != Some(true),
        request: Request {
            output_type: openai_chat::output_format(
                &parameters.response_format.0.unwrap_or_default(),
            ),
            model: facts.model.into_filled(),
            max_tokens: parameters.max_tokens.0,
            temperature: parameters.temperature.0,
            top_p: parameters.top_p.0,
            top_k: parameters.top_k.0.or(parameters.top_n.0),
            seed: parameters.seed.0,
            choice_count: parameters.n.0.filter(|count| *count != 1),
            stop_sequences: parameters.stop.0,
            presence_penalty: parameters.presence_penalty.0,
            tools: parameters.tools.0,
            embedding_dimensions: parameters.dimension.0,
            conversation_id: input.session_id.into_filled(),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let input = body.get("input").unwrap_or(&Value::Null);
        let prompt = content::member(input, "prompt")
            .map(|text| content::message("user", &[content::text(text)]));
        let messages: Vec<_> =
            content::elements(input, "messages").map(openai_chat::input).chain(prompt).collect();
        asked.input_messages = (!messages.is_empty()).then(|| json!(messages));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    output: Object<Output<'a>>,
    usage: Object<Tokens>,
    #[serde(borrow)]
    request_id: Text<'a>,
    /// Of an error inside a stream.
    code: Code,
    #[serde(borrow)]
    message: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Output<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
    #[serde(borrow)]
    session_id: Text<'a>,
    #[serde(borrow)]
    choices: List<Choice<'a>>,
    embeddings: Filled,
    results: Filled,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(flatten)]
    own: openai_usage::Tokens,
    /// Of an application: what each of its models used.
    models: List<ModelTokens>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct ModelTokens {
    input_tokens: Count,
    output_tokens: Count,
}

#[derive(Debug)]
struct Generation {
    capture_content: bool,
    chat: Chat,
    usage: Usage,
    id: Option<String>,
    conversation_id: Option<String>,
    error: Option<ProviderError>,
    cumulative: bool,
    /// Every choice has its reason to finish, which the last event alone tells.
    done: bool,
    /// There were embeddings, or a ranking.
    fits: bool,
}

impl Generation {
    fn new(capture_content: bool) -> Self {
        Self {
            capture_content,
            chat: Chat::new(capture_content),
            usage: Usage::default(),
            id: None,
            conversation_id: None,
            error: None,
            cumulative: false,
            done: false,
            fits: false,
        }
    }

    fn take(&mut self, body: Body<'_>) -> Step {
        self.id = body.request_id.into_filled().or(self.id.take());
        if let Some(kind) = body.code.0 {
            self.error.get_or_insert(ProviderError { kind, message: body.message.into_filled() });
            return Step::Aside;
        }
        self.usage(body.usage);
        let Some(output) = body.output.0 else { return Step::Aside };
        self.conversation_id = output.session_id.into_filled().or(self.conversation_id.take());
        self.fits |= output.embeddings.0 || output.results.0;
        let mut choices = output.choices;
        if output.text.0.is_some() {
            // The older form: one text, and no choices.
            let Output { text, finish_reason, .. } = Output {
                text: output.text,
                finish_reason: output.finish_reason,
                ..Output::default()
            };
            choices.0.push(Object(Some(Choice { text, finish_reason, ..Choice::default() })));
        }
        if choices.0.is_empty() {
            return Step::Frame;
        }
        for choice in choices.0.iter_mut().filter_map(|choice| choice.0.as_mut()) {
            // What an event says while the generation goes on.
            if choice.finish_reason.as_str() == Some("null") {
                choice.finish_reason = Text::default();
            }
        }
        if self.cumulative {
            self.chat = Chat::new(self.capture_content);
        }
        let reasons = choices.0.iter().filter_map(|choice| choice.0.as_ref());
        self.done |= reasons.clone().count() > 0
            && reasons.clone().all(|choice| choice.finish_reason.filled().is_some());
        let choices = Some(choices);
        self.chat.take(Completion { choices, ..Completion::default() }, true)
    }

    fn usage(&mut self, tokens: Object<Tokens>) {
        let Some(tokens) = tokens.0 else { return };
        tokens.own.add_to(&mut self.usage);
        let models = tokens.models.0.iter().filter_map(|model| model.0.as_ref());
        let (mut input, mut output) = (None, None);
        for model in models {
            for (sum, told) in
                [(&mut input, model.input_tokens.0), (&mut output, model.output_tokens.0)]
            {
                *sum = told.map(|told| told.saturating_add(sum.unwrap_or(0))).or(*sum);
            }
        }
        self.usage.input_tokens = input.or(self.usage.input_tokens);
        self.usage.output_tokens = output.or(self.usage.output_tokens);
    }
}

impl Answer for Generation {
    fn asked(&mut self, asked: &Asked) {
        self.cumulative = asked.cumulative;
    }

    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.cumulative = false;
        self.take(facts);
        if fault.is_none() {
            self.chat.end();
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (facts, _) = data.facts::<Body<'_>>();
        self.take(facts)
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(mut self: Box<Self>) -> Answered {
        let answered = Box::new(std::mem::take(&mut self.chat)).finish();
        let mut response = answered.response;
        response.id = self.id;
        response.conversation_id = self.conversation_id;
        Answered {
            response,
            usage: self.usage,
            error: self.error,
            fits: self.fits || answered.fits,
            ..answered
        }
    }
}
