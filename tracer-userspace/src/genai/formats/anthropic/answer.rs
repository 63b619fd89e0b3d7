//! Folds a message, whole or streamed, into what it said.
//! Takes response bodies and events; gives [`Answered`]. Of a stream it holds the names of tools
//! called, and no text unless content is asked for.

use serde::Deserialize;
use serde_json::{Value, json};

use super::blocks;
use crate::genai::{
    formats::{
        Answer, Answered, Step,
        content::{self, Kind, Parts},
        error::{self, ErrorMember},
        keep_call,
        skeleton::{Place, Skeleton},
    },
    json::{
        Document, Fault,
        lax::{Count, List, Object, Text},
    },
    operation::{ProviderError, Response, Usage},
};

#[derive(Debug, Default)]
pub(super) struct Messages {
    capture_content: bool,
    response: Response,
    tokens: Tokens,
    error: Option<ProviderError>,
    stop_reason: Option<String>,
    /// The message began.
    begun: bool,
    /// It ended by its own account, so that a missing stop reason was not sent.
    done: bool,
    /// Index of the block that calls one of the client's tools, whose arguments come in pieces.
    calling: Option<u64>,
    fits: bool,
    /// How an event with a piece of the answer's text looked.
    alike: Skeleton,
    parts: Parts,
    output_messages: Option<Value>,
    truncated: bool,
    overflow: bool,
}

/// A whole message; also what `message_start` carries and what the old completions answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    content: List<Block<'a>>,
    #[serde(borrow)]
    completion: Text<'a>,
    #[serde(borrow)]
    stop_reason: Text<'a>,
    usage: Object<Tokens>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
}

/// One event of a stream. The old completions' events are messages with a member `completion`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    index: Count,
    #[serde(borrow)]
    message: Object<Message<'a>>,
    #[serde(borrow)]
    content_block: Object<Block<'a>>,
    #[serde(borrow)]
    delta: Object<Delta<'a>>,
    usage: Object<Tokens>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    completion: Text<'a>,
    #[serde(borrow)]
    stop_reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    partial_json: Text<'a>,
    #[serde(borrow)]
    stop_reason: Text<'a>,
}

/// `usage`, as sent: `input_tokens` are the uncached ones alone.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    output_tokens_details: Object<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

impl Tokens {
    /// `message_delta` repeats counts cumulatively, some of them as null: the last told counts.
    fn replace(&mut self, told: Self) {
        for (known, told) in [
            (&mut self.input_tokens, told.input_tokens),
            (&mut self.output_tokens, told.output_tokens),
            (&mut self.cache_read_input_tokens, told.cache_read_input_tokens),
            (&mut self.cache_creation_input_tokens, told.cache_creation_input_tokens),
        ] {
            known.0 = told.0.or(known.0);
        }
        if told.output_tokens_details.0.is_some() {
            self.output_tokens_details = told.output_tokens_details;
        }
    }

    /// The conventions' Anthropic page: input tokens are the sum of the three kinds.
    fn usage(self) -> Usage {
        let cached = [self.cache_read_input_tokens, self.cache_creation_input_tokens];
        let input = self.input_tokens.0.map(|uncached| {
            cached.iter().fold(uncached, |sum, count| sum.saturating_add(count.0.unwrap_or(0)))
        });
        Usage {
            input_tokens: input,
            output_tokens: self.output_tokens.0,
            cache_read_input_tokens: self.cache_read_input_tokens.0,
            cache_write_input_tokens: self.cache_creation_input_tokens.0,
            reasoning_output_tokens: self
                .output_tokens_details
                .0
                .and_then(|details| details.thinking_tokens.0),
            ..Usage::default()
        }
    }
}

/// The text of a delta that has nothing else.
fn text_alone(event: &Event<'_>) -> Option<Place> {
    let Delta { text, thinking, partial_json, .. } = event.delta.0.as_ref()?;
    let alone = thinking.filled().is_none() && partial_json.filled().is_none();
    Place::of(text.0.as_ref()?).filter(|_| alone)
}

impl Answer for Messages {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let content = body.content();
        let (message, fault) = body.facts::<Message<'_>>();
        self.done = fault.is_none();
        self.message(message);
        if let Some((body, truncated)) = content {
            self.truncated |= truncated;
            let mut parts = blocks(body.get("content"));
            parts.extend(content::member(&body, "completion").map(content::text));
            self.output_messages = Some(self.output(&parts));
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        if let Some(text) = data.bytes().and_then(|bytes| self.alike.text(bytes)) {
            if self.capture_content {
                self.parts.push(Kind::Text, text);
            }
            return Step::Piece;
        }
        let (event, fault) = data.facts::<Event<'_>>();
        // The event's name is repeated as `type`; proxies drop the name, so `type` decides.
        match event.kind.as_str() {
            Some("message_start") => {
                self.message(event.message.0.unwrap_or_default());
                Step::Frame
            }
            Some("content_block_start") => self.block_start(event),
            Some("content_block_delta") => {
                let step = self.delta(&event);
                let alone = text_alone(&event).filter(|_| fault.is_none());
                if let (Some(place), Some(bytes)) = (alone, data.bytes()) {
                    self.alike.learn_from(bytes, place, None);
                }
                step
            }
            Some("message_delta") => {
                self.usage(event.usage);
                self.stopped(&event.delta.0.unwrap_or_default().stop_reason);
                Step::Frame
            }
            Some("content_block_stop") => Step::Frame,
            Some("message_stop") => {
                self.done = true;
                Step::Frame
            }
            Some("error") => {
                self.failed(event.error);
                Step::Aside
            }
            // Bedrock leaves the type of the old completions out.
            Some("completion") => self.completion(event),
            None if event.completion.0.is_some() => self.completion(event),
            _ => Step::Aside,
        }
    }

    /// Only `message_stop` comes after the reason to stop, and some clients leave without it.
    fn done(&self) -> bool {
        self.done || self.stop_reason.is_some()
    }

    fn finish(mut self: Box<Self>) -> Answered {
        if self.capture_content && self.begun && self.output_messages.is_none() {
            let (parts, truncated) = self.parts.take();
            self.truncated |= truncated;
            self.output_messages = Some(self.output(&parts));
        }
        self.response.finish_reasons = match self.stop_reason {
            Some(reason) => vec![reason],
            None if self.begun && !self.done => vec!["error".to_owned()],
            None => Vec::new(),
        };
        Answered {
            response: self.response,
            usage: self.tokens.usage(),
            error: self.error,
            output_messages: self.output_messages,
            truncated: self.truncated,
            overflow: self.overflow,
            fits: self.fits,
            operation: None,
        }
    }
}

impl Messages {
    pub(super) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    fn message(&mut self, message: Message<'_>) {
        self.failed(message.error);
        let completion = message.completion.0.is_some();
        if message.kind.as_str() != Some("message") && !completion {
            return;
        }
        self.fits = true;
        self.begun = true;
        self.identify(message.id, message.model);
        self.usage(message.usage);
        self.stopped(&message.stop_reason);
        for block in message.content.into_objects() {
            self.called(&block);
        }
    }

    fn identify(&mut self, id: Text<'_>, model: Text<'_>) {
        for (known, told) in [(&mut self.response.id, id), (&mut self.response.model, model)] {
            if known.is_none() {
                *known = told.into_filled();
            }
        }
    }

    fn usage(&mut self, told: Object<Tokens>) {
        self.tokens.replace(told.0.unwrap_or_default());
    }

    fn stopped(&mut self, reason: &Text<'_>) {
        if let Some(reason) = reason.filled() {
            self.stop_reason = Some(reason.to_owned());
        }
    }

    fn failed(&mut self, error: ErrorMember<'_>) {
        if self.error.is_none() {
            self.error = error::member(error);
        }
    }

    /// Notes a tool that the model calls; those that the server runs itself are no calls to answer.
    fn called(&mut self, block: &Block<'_>) {
        if block.kind.as_str() == Some("tool_use")
            && let Some(name) = block.name.filled()
        {
            keep_call(&mut self.response.tool_calls, name.to_owned(), &mut self.overflow);
        }
    }

    fn block_start(&mut self, event: Event<'_>) -> Step {
        let place = event.index.0.unwrap_or(0);
        let block = event.content_block.0.unwrap_or_default();
        self.called(&block);
        self.calling = (block.kind.as_str() == Some("tool_use")).then_some(place);
        let kind = match block.kind.as_str() {
            Some("text") => Kind::Text,
            Some("thinking") => Kind::Reasoning,
            Some("tool_use") => Kind::Call {
                place,
                id: block.id.0.map(Into::into),
                name: block.name.0.map(Into::into).unwrap_or_default(),
            },
            _ => return Step::Frame,
        };
        let text = block.text.filled().or(block.thinking.filled());
        let piece = text.is_some() || matches!(kind, Kind::Call { .. });
        if self.capture_content && piece {
            self.parts.push(kind, text.unwrap_or_default());
        }
        if piece { Step::Piece } else { Step::Frame }
    }

    fn delta(&mut self, event: &Event<'_>) -> Step {
        let Some(delta) = &event.delta.0 else { return Step::Frame };
        let place = event.index.0.unwrap_or(0);
        // Of a tool that the server runs itself, or one whose name was not seen, they are no call's.
        let call = (self.calling == Some(place)).then(|| Kind::Call {
            place,
            id: None,
            name: String::new(),
        });
        let mut step = Step::Frame;
        for (kind, text) in [
            (Some(Kind::Text), delta.text.filled()),
            (Some(Kind::Reasoning), delta.thinking.filled()),
            (call, delta.partial_json.filled()),
        ] {
            let Some(text) = text else { continue };
            step = Step::Piece;
            if let Some(kind) = kind.filter(|_| self.capture_content) {
                self.parts.push(kind, text);
            }
        }
        step
    }

    /// An event of the old `/v1/complete` streams.
    fn completion(&mut self, event: Event<'_>) -> Step {
        self.fits = true;
        self.begun = true;
        self.stopped(&event.stop_reason);
        let Some(text) = event.completion.filled().map(str::to_owned) else {
            self.identify(event.id, event.model);
            return Step::Frame;
        };
        self.identify(event.id, event.model);
        if self.capture_content {
            self.parts.push(Kind::Text, &text);
        }
        Step::Piece
    }

    fn output(&self, parts: &[Value]) -> Value {
        let reason = match self.stop_reason.as_deref() {
            Some("end_turn" | "stop_sequence") => "stop",
            Some("max_tokens") => "length",
            Some("tool_use") => "tool_call",
            Some("refusal") => "content_filter",
            Some(reason) => reason,
            None => "error",
        };
        json!([content::output("assistant", parts, reason)])
    }
}
