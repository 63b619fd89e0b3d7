//! Folds a run, whole or streamed, into what it said; and an assistant that was made.
//! Takes bodies and `thread.*` events; gives [`Answered`].
//! Messages of the thread are read where they are streamed: a run that is polled has none in it.

use serde::Deserialize;
use serde_json::json;

use crate::genai::{
    formats::{
        Answer, Answered, Step,
        content::{self, Kind, Parts},
        error::{self, ErrorMember},
        keep_call,
        openai_usage::Tokens,
    },
    json::{
        Document, Fault,
        lax::{Code, Count, List, Object, Text},
    },
    operation::{Agent, ProviderError},
};

/// An assistant that was made.
#[derive(Debug, Default)]
pub(super) struct Created {
    answered: Answered,
}

#[derive(Debug, Default)]
pub(super) struct Run {
    capture_content: bool,
    answered: Answered,
    parts: Parts,
    incomplete: Option<String>,
    done: bool,
}

/// A run, an assistant, or the data of an event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    assistant_id: Text<'a>,
    #[serde(borrow)]
    thread_id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    required_action: Object<Required<'a>>,
    #[serde(borrow)]
    incomplete_details: Object<Incomplete<'a>>,
    usage: Object<Tokens>,
    #[serde(borrow)]
    last_error: ErrorMember<'a>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
    /// Of an `error` event, where they stand at the top.
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    code: Code,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    delta: Object<Delta<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Required<'a> {
    #[serde(borrow)]
    submit_tool_outputs: Object<Calls<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Calls<'a> {
    #[serde(borrow)]
    tool_calls: List<Call<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    index: Count,
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
    #[serde(borrow)]
    arguments: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: List<Part<'a>>,
    #[serde(borrow)]
    step_details: Object<Calls<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow)]
    text: Object<Piece<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Piece<'a> {
    #[serde(borrow)]
    value: Text<'a>,
}

impl Answer for Created {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.answered.fits = facts.object.as_str() == Some("assistant");
        self.answered.error = error::member(facts.error);
        if self.answered.fits {
            // Its model has made nothing yet: that is what was asked for, and no response's.
            self.answered.response.agent = Agent {
                id: facts.id.into_filled(),
                name: facts.name.into_filled(),
                description: facts.description.into_filled(),
            };
        }
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        self.answered
    }
}

impl Answer for Run {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = fault.is_none();
        if facts.object.as_str() == Some("thread.run") {
            self.run(facts);
        } else {
            self.answered.error = error::member(facts.error);
        }
        fault
    }

    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        if data.bytes().is_some_and(|bytes| bytes.trim_ascii() == b"[DONE]") {
            self.done = true;
            return Step::Aside;
        }
        let (facts, _) = data.facts::<Body<'_>>();
        if name == b"error" {
            self.failed(facts);
            return Step::Aside;
        }
        match facts.object.as_str() {
            Some("thread.run") => self.run(facts),
            Some("thread.message.delta" | "thread.run.step.delta") => {
                return self.delta(facts.delta.0.unwrap_or_default());
            }
            Some(object) if object.starts_with("thread") => {}
            _ => return Step::Aside,
        }
        Step::Frame
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(mut self: Box<Self>) -> Answered {
        let (parts, truncated) = self.parts.take();
        self.answered.truncated |= truncated;
        if !parts.is_empty() {
            let reason = self.finish_reason();
            self.answered.output_messages =
                Some(json!([content::output("assistant", &parts, reason)]));
        }
        self.answered
    }
}

impl Run {
    pub(super) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    /// Folds a run in; the last state of it that is told stands.
    fn run(&mut self, facts: Body<'_>) {
        self.answered.fits = true;
        let response = &mut self.answered.response;
        for (known, told) in [
            (&mut response.run_id, facts.id),
            (&mut response.model, facts.model),
            (&mut response.status, facts.status),
            (&mut response.conversation_id, facts.thread_id),
            (&mut response.agent.id, facts.assistant_id),
        ] {
            *known = told.into_filled().or(known.take());
        }
        if let Some(tokens) = facts.usage.0 {
            tokens.add_to(&mut self.answered.usage);
        }
        self.incomplete = facts.incomplete_details.0.and_then(|why| why.reason.into_filled());
        if self.answered.error.is_none() {
            self.answered.error = error::member(facts.last_error);
        }
        let Some(wanted) = facts.required_action.0.and_then(|action| action.submit_tool_outputs.0)
        else {
            return;
        };
        for call in wanted.tool_calls.into_objects() {
            let function = call.function.0.unwrap_or_default();
            let name = function.name.into_filled().unwrap_or_default();
            keep_call(&mut response.tool_calls, name, &mut self.answered.overflow);
        }
    }

    fn delta(&mut self, delta: Delta<'_>) -> Step {
        let mut step = Step::Frame;
        for text in delta.content.into_objects().filter_map(|part| part.text.0) {
            let Some(text) = text.value.filled() else { continue };
            step = Step::Piece;
            if self.capture_content {
                self.parts.push(Kind::Text, text);
            }
        }
        let calls = delta.step_details.0.unwrap_or_default().tool_calls;
        for call in calls.into_objects() {
            step = Step::Piece;
            // Calls of the provider's own tools (code, search) have no function.
            let Some(function) = call.function.0.filter(|_| self.capture_content) else { continue };
            let kind = Kind::Call {
                place: call.index.0.unwrap_or(0),
                id: call.id.into_filled(),
                name: function.name.into_filled().unwrap_or_default(),
            };
            self.parts.push(kind, function.arguments.as_str().unwrap_or_default());
        }
        step
    }

    fn failed(&mut self, facts: Body<'_>) {
        let told = error::member(facts.error).unwrap_or_else(|| ProviderError {
            kind: facts.kind.into_filled().or(facts.code.0).unwrap_or_default(),
            message: facts.message.into_filled(),
        });
        self.answered.error.get_or_insert(told);
    }

    /// In the conventions' spelling.
    fn finish_reason(&self) -> &'static str {
        match (self.answered.response.status.as_deref(), self.incomplete.as_deref()) {
            (Some("completed"), _) => "stop",
            (Some("requires_action"), _) => "tool_call",
            (Some("incomplete"), Some("max_completion_tokens" | "max_prompt_tokens")) => "length",
            (Some("incomplete"), Some("content_filter")) => "content_filter",
            _ => "error",
        }
    }
}
