//! Folds an answer of Cohere, whole or streamed in either version, into what it said.
//! Takes bodies, events and lines; gives [`Answered`].

use serde_json::{Value, json};

use super::wire::{Body, Call, Delta, Event, Tokens};
use crate::genai::{
    formats::{
        Answer, Answered, Step,
        content::{self, Kind, Parts},
        keep_call,
    },
    json::{Document, Fault, lax::Text},
    operation::{ProviderError, Response, Usage},
};

/// Generations of one answer that are told apart (the API allows 5).
const MAX_GENERATIONS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Cohere {
    capture_content: bool,
    response: Response,
    usage: Usage,
    error: Option<ProviderError>,
    /// One for each generation; chats have one.
    generations: Vec<Generated>,
    done: bool,
    fits: bool,
    overflow: bool,
}

#[derive(Debug, Default)]
struct Generated {
    reason: Option<String>,
    parts: Parts,
}

impl Answer for Cohere {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = fault.is_none();
        self.fits |= facts.embedded();
        if let Some(text) = facts.text.filled().or(facts.summary.filled()) {
            self.push(Kind::Text, text);
        }
        for call in facts.tool_calls.0.iter().filter_map(|call| call.0.as_ref()) {
            self.call(call);
        }
        if let Some(message) = &facts.message.0 {
            // Even a message without content is an answer.
            self.generation(0);
            for (kind, text) in [(Kind::Reasoning, &message.tool_plan)] {
                if let Some(text) = text.filled() {
                    self.push(kind, text);
                }
            }
            for part in message.content.0.iter().filter_map(|part| part.0.as_ref()) {
                self.part(&part.text, &part.thinking);
            }
            for call in message.tool_calls.0.iter().filter_map(|call| call.0.as_ref()) {
                self.call(call);
            }
        }
        self.end(facts);
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        if data.bytes().is_some_and(|bytes| bytes.trim_ascii() == b"[DONE]") {
            return Step::Aside;
        }
        let (event, _) = data.facts::<Event<'_>>();
        match event.kind.as_str() {
            Some("message-start") => {
                self.generation(0);
                self.response.id = event.id.into_filled();
                Step::Frame
            }
            Some("message-end") => {
                self.message_end(event.delta.0.unwrap_or_default());
                Step::Frame
            }
            Some(_) => self.delta(&event),
            None if event.event_type.as_str().is_some() || event.is_finished.0.is_some() => {
                self.line(event)
            }
            None => Step::Aside,
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(mut self: Box<Self>) -> Answered {
        let done = self.done;
        let told = self.generations.iter().any(|generation| generation.reason.is_some());
        let mut messages = Vec::new();
        let mut truncated = false;
        for generation in &mut self.generations {
            let (parts, cut) = generation.parts.take();
            truncated |= cut;
            let reason = generation.reason.as_deref();
            messages.push(content::output("assistant", &parts, finish_reason(reason, done)));
            if told || !done {
                let reason = reason.unwrap_or("error").to_owned();
                self.response.finish_reasons.push(reason);
            }
        }
        let keep = self.capture_content && !messages.is_empty();
        Answered {
            fits: self.fits || !messages.is_empty(),
            response: self.response,
            usage: self.usage,
            error: self.error,
            output_messages: keep.then(|| json!(messages)),
            truncated,
            overflow: self.overflow,
            operation: None,
        }
    }
}

/// The conventions' spelling in messages, where they have one.
fn finish_reason(reason: Option<&str>, done: bool) -> &str {
    match reason {
        Some("COMPLETE" | "STOP_SEQUENCE") => "stop",
        Some("MAX_TOKENS") => "length",
        Some("TOOL_CALL") => "tool_call",
        Some("ERROR_TOXIC") => "content_filter",
        Some(reason) => reason,
        None if done => "stop",
        None => "error",
    }
}

impl Cohere {
    pub(super) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    fn generation(&mut self, place: usize) -> &mut Generated {
        let place = place.min(MAX_GENERATIONS - 1);
        if self.generations.len() <= place {
            self.generations.resize_with(place + 1, Generated::default);
        }
        &mut self.generations[place]
    }

    fn push(&mut self, kind: Kind, text: &str) {
        let keep = self.capture_content;
        let generation = self.generation(0);
        if keep {
            generation.parts.push(kind, text);
        }
    }

    fn part(&mut self, text: &Text<'_>, thinking: &Text<'_>) -> bool {
        let mut piece = false;
        for (kind, text) in [(Kind::Reasoning, thinking), (Kind::Text, text)] {
            if let Some(text) = text.filled() {
                piece = true;
                self.push(kind, text);
            }
        }
        piece
    }

    /// A tool call that begins, or comes whole.
    fn call(&mut self, call: &Call<'_>) {
        let function = call.function.0.as_ref();
        let name = function.map_or(&call.name, |function| &function.name);
        let name = name.as_str().unwrap_or_default().to_owned();
        let place = self.response.tool_calls.len() as u64;
        let parameters = call.parameters.as_ref().map(Value::to_string);
        let arguments = function.and_then(|function| function.arguments.as_str());
        let arguments = arguments.or(parameters.as_deref()).unwrap_or_default();
        let id = call.id.filled().map(str::to_owned);
        self.push(Kind::Call { place, id, name: name.clone() }, arguments);
        keep_call(&mut self.response.tool_calls, name, &mut self.overflow);
    }

    /// A v2 event inside the message.
    fn delta(&mut self, event: &Event<'_>) -> Step {
        let Some(piece) = event.delta.0.as_ref().and_then(|delta| delta.message.0.as_ref()) else {
            return Step::Frame;
        };
        let mut carried = false;
        if let Some(part) = &piece.content.0 {
            carried |= self.part(&part.text, &part.thinking);
        }
        if let Some(plan) = piece.tool_plan.filled() {
            carried = true;
            self.push(Kind::Reasoning, plan);
        }
        if let Some(call) = &piece.tool_calls.0 {
            carried = true;
            if event.kind.as_str() == Some("tool-call-start") {
                self.call(call);
            } else {
                // Deltas follow their start: they belong to the call that began last.
                let place = (self.response.tool_calls.len() as u64).saturating_sub(1);
                let arguments = call.function.0.as_ref().and_then(|f| f.arguments.as_str());
                let kind = Kind::Call { place, id: None, name: String::new() };
                self.push(kind, arguments.unwrap_or_default());
            }
        }
        if carried { Step::Piece } else { Step::Frame }
    }

    fn message_end(&mut self, delta: Delta<'_>) {
        self.done = true;
        if let Some(reason) = delta.finish_reason.into_filled() {
            self.generation(0).reason = Some(reason);
        }
        self.tokens(delta.usage.0);
        if let Some(message) = delta.error.into_filled() {
            self.error.get_or_insert(ProviderError { kind: String::new(), message: Some(message) });
        }
    }

    /// A line of a v1 stream.
    fn line(&mut self, event: Event<'_>) -> Step {
        if self.response.id.is_none() {
            self.response.id = event.generation_id.into_filled();
        }
        let kind = event.event_type.as_str().unwrap_or(match event.is_finished.0 {
            Some(true) => "stream-end",
            _ => "text-generation",
        });
        match kind {
            "stream-end" => {
                self.done = true;
                if let Some(reason) = event.finish_reason.into_filled() {
                    self.generation(0).reason = Some(reason);
                }
                // The end repeats texts and calls: of it only ids and counts are new.
                if let Some(body) = event.response.0 {
                    self.end(Body { generations: Default::default(), ..body });
                }
                Step::Frame
            }
            "text-generation" | "tool-calls-generation" => {
                if let Some(text) = event.text.filled() {
                    self.push(Kind::Text, text);
                }
                for call in event.tool_calls.0.iter().filter_map(|call| call.0.as_ref()) {
                    self.call(call);
                }
                Step::Piece
            }
            _ => {
                self.generation(0);
                Step::Frame
            }
        }
    }

    /// Ids, reasons and counts of a whole answer.
    fn end(&mut self, body: Body<'_>) {
        let id = body.generation_id.into_filled().or(body.id.into_filled());
        self.response.id = self.response.id.take().or(id);
        if let Some(reason) = body.finish_reason.into_filled() {
            self.generation(0).reason = Some(reason);
        }
        for (place, generated) in body.generations.into_objects().enumerate() {
            let keep = self.capture_content;
            let generation = self.generation(place);
            generation.reason = generated.finish_reason.into_filled();
            if let Some(text) = generated.text.filled().filter(|_| keep) {
                generation.parts.push(Kind::Text, text);
            }
        }
        self.tokens(body.usage.0.or(body.meta.0));
    }

    /// Billed units are what the conventions want; where there are none, the tokens.
    fn tokens(&mut self, tokens: Option<Tokens>) {
        let Some(tokens) = tokens else { return };
        let units = tokens.billed_units.0.or(tokens.tokens.0).unwrap_or_default();
        self.usage.input_tokens = units.input_tokens.0.or(self.usage.input_tokens);
        self.usage.output_tokens = units.output_tokens.0.or(self.usage.output_tokens);
        let cached = tokens.cached_tokens.0;
        self.usage.cache_read_input_tokens = cached.or(self.usage.cache_read_input_tokens);
    }
}
