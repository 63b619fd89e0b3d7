//! Folds an interaction, whole or streamed, into what it said.
//! Takes interactions, and events of steps; gives [`Answered`].

use serde::Deserialize;
use serde_json::Value;

use crate::genai::{
    formats::{
        Answer, Answered, Step,
        content::Kind,
        error::{self, ERROR, ErrorMember},
        texts::Texts,
    },
    json::{
        Document, Fault, Shape,
        lax::{Count, List, Object, Text},
    },
    operation::{ProviderError, Response, Usage},
};

pub(super) const INTERACTION: Shape = Shape::Object(&[
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("status", Shape::Fact),
    ("usage", Shape::Fact),
    ("steps", Shape::Each(&Shape::Text)),
    ("outputs", Shape::Each(&Shape::Text)),
    ("errors", Shape::Each(&ERROR)),
]);

pub(super) const EVENT: Shape = Shape::Object(&[
    ("event_type", Shape::Fact),
    ("interaction", INTERACTION),
    ("status", Shape::Fact),
    ("step", Shape::Text),
    ("delta", Shape::Text),
    ("error", ERROR),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    usage: Object<Tokens>,
    /// What happened, the input's own steps among it.
    #[serde(borrow)]
    steps: List<Turn<'a>>,
    /// Contents and calls, before there were steps.
    #[serde(borrow)]
    outputs: List<Turn<'a>>,
    #[serde(borrow)]
    errors: List<error::Fields<'a>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    total_input_tokens: Count,
    total_output_tokens: Count,
    total_thought_tokens: Count,
    total_tool_use_tokens: Count,
    total_cached_tokens: Count,
}

/// A step, a content in one, or a delta of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Turn<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    content: Contents<'a>,
    #[serde(borrow)]
    summary: List<Content<'a>>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    arguments: Option<Value>,
}

/// Of a step a list, of a delta one.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Contents<'a> {
    #[serde(borrow)]
    Several(Vec<Content<'a>>),
    One(Content<'a>),
    Other(serde::de::IgnoredAny),
    #[default]
    None,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    event_type: Text<'a>,
    #[serde(borrow)]
    interaction: Object<Body<'a>>,
    #[serde(borrow)]
    step: Object<Turn<'a>>,
    #[serde(borrow)]
    delta: Object<Turn<'a>>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

impl Tokens {
    fn usage(self) -> Usage {
        let sum = |a: Count, b: Count| match (a.0, b.0) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        Usage {
            input_tokens: sum(self.total_input_tokens, self.total_tool_use_tokens),
            output_tokens: sum(self.total_output_tokens, self.total_thought_tokens),
            cache_read_input_tokens: self.total_cached_tokens.0,
            reasoning_output_tokens: self.total_thought_tokens.0,
            ..Usage::default()
        }
    }
}

#[derive(Debug)]
pub(super) struct Interaction {
    texts: Texts,
    response: Response,
    usage: Usage,
    error: Option<ProviderError>,
    counts: bool,
    fits: bool,
    done: bool,
}

impl Interaction {
    pub(super) fn new(capture_content: bool, counts: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            response: Response::default(),
            usage: Usage::default(),
            error: None,
            counts,
            fits: false,
            done: false,
        }
    }

    fn take(&mut self, body: Body<'_>) {
        self.fits |= body.id.filled().is_some() && body.status.filled().is_some();
        self.response.id = body.id.into_filled().or(self.response.id.take());
        self.response.model = body.model.into_filled().or(self.response.model.take());
        if let Some(tokens) = body.usage.0.filter(|_| self.counts) {
            self.usage = tokens.usage();
        }
        if matches!(body.status.as_str(), Some("failed" | "cancelled")) {
            let told = body.errors.into_objects().next().map(error::Fields::into_error);
            let mut error = told.unwrap_or(ProviderError { kind: String::new(), message: None });
            if error.kind.is_empty() {
                error.kind = body.status.into_filled().unwrap_or_default();
            }
            self.error.get_or_insert(error);
        }
        for turn in body.steps.into_objects().chain(body.outputs.into_objects()) {
            self.turn(turn);
        }
    }

    /// Folds a step, a content or a delta in; gives whether it carried a piece of the answer.
    fn turn(&mut self, turn: Turn<'_>) -> bool {
        match turn.kind.as_str() {
            Some("text") => self.texts.push(0, Kind::Text, turn.text.as_str()),
            Some("model_output") => self.contents(&Kind::Text, turn.content),
            Some("thought") => self.contents(&Kind::Reasoning, Contents::from(turn.summary)),
            Some("thought_summary") => self.contents(&Kind::Reasoning, turn.content),
            Some("function_call") => {
                // A step begins with no arguments where they follow in deltas.
                let arguments = match turn.arguments {
                    Some(Value::Object(members)) if members.is_empty() => String::new(),
                    Some(arguments) => arguments.to_string(),
                    None => String::new(),
                };
                let name = turn.name.as_str().unwrap_or_default();
                self.texts.call(name, turn.id.filled(), &arguments);
                true
            }
            Some("arguments_delta") => {
                if let Some(Value::String(text)) = turn.arguments {
                    self.texts.argue(&text);
                }
                true
            }
            _ => false,
        }
    }

    fn contents(&mut self, kind: &Kind, contents: Contents<'_>) -> bool {
        let contents = match contents {
            Contents::Several(contents) => contents,
            Contents::One(content) => vec![content],
            Contents::Other(_) | Contents::None => Vec::new(),
        };
        let mut piece = false;
        for content in contents {
            piece |= self.texts.push(0, kind.clone(), content.text.as_str());
        }
        piece
    }
}

impl<'a> From<List<Content<'a>>> for Contents<'a> {
    fn from(list: List<Content<'a>>) -> Self {
        Self::Several(list.into_objects().collect())
    }
}

impl Answer for Interaction {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = true;
        self.take(facts);
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Event<'_>>();
        if let Some(error) = error::member(event.error) {
            self.error.get_or_insert(error);
            return Step::Aside;
        }
        self.fits |= event.event_type.filled().is_some();
        match event.event_type.as_str() {
            Some("interaction.created" | "interaction.start") => {
                self.take(event.interaction.0.unwrap_or_default());
                Step::Frame
            }
            Some("interaction.completed" | "interaction.complete") => {
                self.take(event.interaction.0.unwrap_or_default());
                self.done = true;
                Step::Frame
            }
            Some("step.start" | "step.delta" | "content.start" | "content.delta") => {
                let turn = event.step.0.or(event.delta.0).unwrap_or_default();
                if self.turn(turn) { Step::Piece } else { Step::Frame }
            }
            Some("step.stop" | "content.stop" | "interaction.status_update") => Step::Frame,
            _ => Step::Aside,
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(self.done, |reason| reason);
        let response = Response {
            finish_reasons: answered.response.finish_reasons,
            tool_calls: answered.response.tool_calls,
            ..self.response
        };
        Answered { response, usage: self.usage, error: self.error, fits: self.fits, ..answered }
    }
}
