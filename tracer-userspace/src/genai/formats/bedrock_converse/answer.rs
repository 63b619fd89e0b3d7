//! Folds a Converse answer, whole or streamed, into what it said.
//! Takes bodies and events; gives [`Answered`]. Nova's own format is the same, wrapped by event name.

use serde::Deserialize;
use serde_json::{Value, json};

use super::block;
use crate::genai::{
    formats::{
        Answer, Answered, Step,
        content::{self, Kind, Parts},
        keep_call,
        times::Latency,
    },
    json::{
        Document, Fault,
        lax::{Count, List, Object, Text},
    },
    operation::{Response, ServerTimes, Usage},
};

#[derive(Debug, Default)]
pub(in crate::genai::formats) struct Converse {
    capture_content: bool,
    response: Response,
    usage: Usage,
    times: ServerTimes,
    stop_reason: Option<String>,
    begun: bool,
    parts: Parts,
    output_messages: Option<Value>,
    truncated: bool,
    overflow: bool,
    fits: bool,
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Body<'a> {
    #[serde(borrow)]
    output: Object<Output<'a>>,
    #[serde(rename = "stopReason", borrow)]
    stop_reason: Text<'a>,
    usage: Object<Tokens>,
    metrics: Object<Latency>,
    #[serde(borrow)]
    trace: Object<Box<Trace<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trace<'a> {
    #[serde(rename = "promptRouter", borrow)]
    router: Object<Router<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Router<'a> {
    #[serde(rename = "invokedModelId", borrow)]
    model: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Output<'a> {
    #[serde(borrow)]
    message: Object<Message<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: List<Block<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(rename = "toolUse", borrow)]
    tool_use: Object<ToolUse<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ToolUse<'a> {
    #[serde(rename = "toolUseId", borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    input: Text<'a>,
}

/// `usage`: `inputTokens` are the uncached ones alone. InvokeModel adds `Count` to two names.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_write_input_tokens: Count,
    cache_read_input_token_count: Count,
    cache_write_input_token_count: Count,
}

/// The payload of one event; the event's name says which members it has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Event<'a> {
    #[serde(rename = "contentBlockIndex")]
    index: Count,
    #[serde(borrow)]
    start: Object<Block<'a>>,
    #[serde(borrow)]
    delta: Object<Delta<'a>>,
    #[serde(rename = "stopReason", borrow)]
    stop_reason: Text<'a>,
    usage: Object<Tokens>,
    #[serde(borrow)]
    trace: Object<Box<Trace<'a>>>,
    metrics: Object<Latency>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(rename = "toolUse", borrow)]
    tool_use: Object<ToolUse<'a>>,
    #[serde(rename = "reasoningContent", borrow)]
    reasoning: Object<Reasoning<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reasoning<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

impl Answer for Converse {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let content = body.content();
        let (facts, fault) = body.facts::<Body<'_>>();
        self.begun = facts.output.0.is_some();
        self.fits = self.begun;
        self.usage(facts.usage);
        self.routed(facts.trace);
        self.times = Latency::of(facts.metrics);
        self.stopped(&facts.stop_reason);
        let message = facts.output.0.and_then(|output| output.message.0).unwrap_or_default();
        for block in message.content.into_objects() {
            if let Some(call) = block.tool_use.0 {
                self.called(&call);
            }
        }
        if let Some((body, truncated)) = content {
            self.truncated |= truncated;
            let message = body.pointer("/output/message").unwrap_or(&Value::Null);
            let parts: Vec<_> = content::elements(message, "content").map(block).collect();
            self.output_messages = Some(self.output(&parts));
        }
        fault
    }

    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Event<'_>>();
        self.step(name, event)
    }

    fn server_times(&self) -> ServerTimes {
        self.times
    }

    fn finish(mut self: Box<Self>) -> Answered {
        if self.capture_content && self.begun && self.output_messages.is_none() {
            let (parts, truncated) = self.parts.take();
            self.truncated |= truncated;
            self.output_messages = Some(self.output(&parts));
        }
        self.response.finish_reasons = match self.stop_reason {
            Some(reason) => vec![reason],
            None if self.begun => vec!["error".to_owned()],
            None => Vec::new(),
        };
        Answered {
            response: self.response,
            usage: self.usage,
            error: None,
            output_messages: self.output_messages,
            truncated: self.truncated,
            overflow: self.overflow,
            fits: self.fits,
            operation: None,
        }
    }
}

impl Converse {
    pub(in crate::genai::formats) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    /// Folds one event in.
    pub(in crate::genai::formats) fn step(&mut self, name: &[u8], event: Event<'_>) -> Step {
        let place = event.index.0.unwrap_or(0);
        match name {
            b"messageStart" => self.begun = true,
            b"contentBlockStart" => {
                let Some(call) = event.start.0.and_then(|start| start.tool_use.0) else {
                    return Step::Frame;
                };
                self.called(&call);
                if self.capture_content {
                    let name = call.name.as_str().unwrap_or_default().to_owned();
                    let id = call.id.as_str().map(str::to_owned);
                    self.parts.push(Kind::Call { place, id, name }, "");
                }
                return Step::Piece;
            }
            b"contentBlockDelta" => return self.delta(place, &event.delta.0.unwrap_or_default()),
            b"contentBlockStop" => {}
            b"messageStop" => self.stopped(&event.stop_reason),
            b"metadata" => {
                self.usage(event.usage);
                self.routed(event.trace);
                self.times = Latency::of(event.metrics);
            }
            _ => return Step::Aside,
        }
        self.fits = true;
        Step::Frame
    }

    fn delta(&mut self, place: u64, delta: &Delta<'_>) -> Step {
        let input = delta.tool_use.0.as_ref().and_then(|call| call.input.filled());
        let reasoning = delta.reasoning.0.as_ref().and_then(|reasoning| reasoning.text.filled());
        let call = Kind::Call { place, id: None, name: String::new() };
        let mut step = Step::Frame;
        for (kind, text) in
            [(Kind::Text, delta.text.filled()), (Kind::Reasoning, reasoning), (call, input)]
        {
            let Some(text) = text else { continue };
            step = Step::Piece;
            if self.capture_content {
                self.parts.push(kind, text);
            }
        }
        step
    }

    fn called(&mut self, call: &ToolUse<'_>) {
        if let Some(name) = call.name.filled() {
            keep_call(&mut self.response.tool_calls, name.to_owned(), &mut self.overflow);
        }
    }

    /// A prompt router tells which model it asked.
    fn routed(&mut self, trace: Object<Box<Trace<'_>>>) {
        if let Some(router) = trace.0.and_then(|trace| trace.router.0) {
            self.response.model = router.model.into_filled();
        }
    }

    fn stopped(&mut self, reason: &Text<'_>) {
        if let Some(reason) = reason.filled() {
            self.stop_reason = Some(reason.to_owned());
        }
    }

    /// The conventions' Bedrock page: input tokens include those read from and written to a cache.
    fn usage(&mut self, tokens: Object<Tokens>) {
        let Some(tokens) = tokens.0 else { return };
        let read = tokens.cache_read_input_tokens.0.or(tokens.cache_read_input_token_count.0);
        let written = tokens.cache_write_input_tokens.0.or(tokens.cache_write_input_token_count.0);
        self.usage = Usage {
            input_tokens: tokens.input_tokens.0.map(|uncached| {
                uncached.saturating_add(read.unwrap_or(0)).saturating_add(written.unwrap_or(0))
            }),
            output_tokens: tokens.output_tokens.0,
            cache_read_input_tokens: read,
            cache_write_input_tokens: written,
            ..Usage::default()
        };
    }

    fn output(&self, parts: &[Value]) -> Value {
        let reason = match self.stop_reason.as_deref() {
            Some("end_turn" | "stop_sequence") => "stop",
            Some("max_tokens") => "length",
            Some("tool_use") => "tool_call",
            Some("content_filtered" | "guardrail_intervened") => "content_filter",
            Some(reason) => reason,
            None => "error",
        };
        json!([content::output("assistant", parts, reason)])
    }
}
