//! Folds a chat completion, whole or streamed, into what it said.
//! Takes [`Completion`]s; gives [`Answered`]. Of a stream it holds a few words a choice, no text
//! unless content is asked for.

use serde_json::Value;

use super::{
    parts,
    wire::{Call, Choice, Completion, Message},
};
use crate::genai::{
    formats::{
        Answer, Answered, MAX_CALLS, Step,
        content::{self, Kind, Parts},
        error::{self, ErrorMember},
        skeleton::{Place, Skeleton},
    },
    json::{
        Document, Fault,
        lax::{Object, TextOrList},
    },
    operation::{ProviderError, Response, ServerTimes, Usage},
};

/// Choices of one answer that are told apart (the API allows 128).
const MAX_CHOICES: usize = 128;

/// How a chunk goes on behind the members that most streams repeat in each.
const CHOICES: &[u8] = b",\"choices\":[";

/// Longest run of such members that is remembered.
const MAX_REPEATED: usize = 512;

#[derive(Debug, Default)]
pub(in crate::genai::formats) struct Chat {
    capture_content: bool,
    response: Response,
    usage: Usage,
    times: ServerTimes,
    error: Option<ProviderError>,
    choices: Vec<Chosen>,
    /// How the last chunk began, up to its choices. Most streams begin every chunk with the same
    /// bytes (id, model, time, fingerprint), which is half of it: they need not be read again.
    repeated: Vec<u8>,
    /// How a chunk with a piece of text looked, and whose choice's text it was.
    alike: Skeleton,
    alike_index: u64,
    /// `[DONE]` passed: what did not come until then the provider did not send.
    done: bool,
    fits: bool,
    output_messages: Option<Value>,
    truncated: bool,
    overflow: bool,
}

/// One choice so far.
#[derive(Debug, Default)]
struct Chosen {
    index: u64,
    role: Option<String>,
    finish: Option<String>,
    /// Tool calls by their index, in order of appearance.
    calls: Vec<(u64, String)>,
    parts: Parts,
    overflow: bool,
}

impl Answer for Chat {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let content = body.content();
        let (completion, fault) = body.facts::<Completion<'_>>();
        if completion.object.as_str() == Some("error") {
            self.error = Some(error::read(body));
            return fault;
        }
        // Of a body that is whole, a finish reason that is not there was not sent.
        self.done = fault.is_none();
        self.take(completion, false);
        if let Some((body, truncated)) = content {
            self.truncated |= truncated;
            self.output_messages = Some(content::elements(&body, "choices").map(output).collect());
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        if data.bytes().is_some_and(|bytes| bytes.trim_ascii() == b"[DONE]") {
            self.done = true;
            return Step::Aside;
        }
        if let Some(text) = data.bytes().and_then(|bytes| self.alike.text(bytes)) {
            let index = self.alike_index;
            if let Some(known) = self.choices.iter_mut().find(|known| known.index == index) {
                if self.capture_content {
                    known.parts.push(Kind::Text, text);
                }
                return Step::Piece;
            }
        }
        let comma = self.repeated.len();
        if self.repeats(data)
            && let Some(chunk) = data.facts_behind::<Completion<'_>>(comma)
        {
            let alone = text_alone(&chunk);
            let step = self.take(chunk, true);
            self.learn(alone, data, Some(comma));
            return step;
        }
        let (chunk, fault) = data.facts::<Completion<'_>>();
        if chunk.object.as_str() == Some("error") {
            self.error.get_or_insert(error::read(data));
            return Step::Aside;
        }
        let alone = text_alone(&chunk).filter(|_| fault.is_none());
        let step = self.take(chunk, true);
        self.learn(alone, data, None);
        self.repeated.clear();
        // What an error makes of a chunk, it makes of each.
        if fault.is_none() && self.error.is_none() {
            self.repeated.extend_from_slice(data.bytes().map(before_choices).unwrap_or_default());
        }
        step
    }

    fn done(&self) -> bool {
        self.done
    }

    fn server_times(&self) -> ServerTimes {
        self.times
    }

    fn finish(mut self: Box<Self>) -> Answered {
        self.choices.sort_by_key(|choice| choice.index);
        self.response.finish_reasons = self.finish_reasons();
        self.overflow |= self.choices.iter().any(|choice| choice.overflow);
        self.response.tool_calls = self
            .choices
            .iter()
            .flat_map(|choice| choice.calls.iter().map(|(_, name)| name.clone()))
            .collect();
        if self.capture_content && self.output_messages.is_none() {
            self.output_messages = Some(self.streamed_messages());
        }
        Answered {
            response: self.response,
            usage: self.usage,
            error: self.error,
            output_messages: self.output_messages,
            truncated: self.truncated,
            overflow: self.overflow,
            fits: self.fits,
            operation: None,
        }
    }
}

impl Chat {
    pub(in crate::genai::formats) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    /// The chunk begins as the last one, of which everything before its choices was taken.
    fn repeats(&self, data: &Document) -> bool {
        let behind = data.bytes().and_then(|bytes| bytes.strip_prefix(self.repeated.as_slice()));
        !self.repeated.is_empty() && behind.is_some_and(|behind| behind.starts_with(CHOICES))
    }

    /// `comma`: where a brace stands for the comma that was sent.
    fn learn(&mut self, alone: Option<(u64, Place)>, data: &Document, comma: Option<usize>) {
        if let (Some((index, place)), Some(bytes), None) = (alone, data.bytes(), &self.error) {
            self.alike.learn_from(bytes, place, comma);
            self.alike_index = index;
        }
    }

    /// Nothing is missing: what was not told was not sent.
    pub(in crate::genai::formats) fn end(&mut self) {
        self.done = true;
    }

    pub(in crate::genai::formats) fn take(
        &mut self,
        completion: Completion<'_>,
        streamed: bool,
    ) -> Step {
        let Completion { id, model, model_id, service_tier, system_fingerprint, .. } = completion;
        let model = if model.filled().is_some() { model } else { model_id };
        let response = &mut self.response;
        // Azure's first chunk names no model; the first that does counts, the later repeat it.
        for (known, told) in [
            (&mut response.id, id),
            (&mut response.model, model),
            (&mut response.service_tier, service_tier),
            (&mut response.system_fingerprint, system_fingerprint),
        ] {
            if known.is_none() {
                *known = told.into_filled();
            }
        }
        let groq = completion.x_groq.0.unwrap_or_default();
        for tokens in completion.usage.0.into_iter().chain(groq.usage.0) {
            tokens.add_to(&mut self.usage);
            self.times = tokens.times().or(self.times);
        }
        for times in [
            completion.time_info.0.map(|times| times.times()),
            completion.timings.0.map(|times| times.times()),
        ] {
            self.times = times.map_or(self.times, |times| times.or(self.times));
        }
        let failed = error::member(completion.error).or_else(|| error::member(groq.error));
        let mut step = if failed.is_some() { Step::Aside } else { Step::Frame };
        if self.error.is_none() {
            self.error = failed;
        }
        if let Some(choices) = completion.choices {
            self.fits = true;
            for (place, choice) in choices.into_objects().enumerate() {
                if self.choice(choice, place as u64, streamed) {
                    step = Step::Piece;
                }
            }
        }
        step
    }

    /// Folds one choice in; gives whether it carried a piece of the answer.
    fn choice(&mut self, choice: Choice<'_>, place: u64, streamed: bool) -> bool {
        if let Some(tokens) = choice.usage.0 {
            tokens.add_to(&mut self.usage);
        }
        let index = choice.index.0.unwrap_or(place);
        let at = match self.choices.iter().position(|known| known.index == index) {
            Some(at) => at,
            None if self.choices.len() < MAX_CHOICES => {
                self.choices.push(Chosen { index, ..Chosen::default() });
                self.choices.len() - 1
            }
            None => {
                self.overflow = true;
                return false;
            }
        };
        let known = &mut self.choices[at];
        if let Some(reason) = choice.finish_reason.filled().or(choice.stop_reason.filled()) {
            known.finish = Some(reason.to_owned());
        }
        if self.error.is_none() {
            self.error = error::member(choice.error);
        }
        // Perplexity repeats the whole message so far beside each delta.
        match choice.delta.0.or(choice.message.0.map(|message| *message)) {
            Some(message) => known.message(&message, streamed && self.capture_content),
            None => match choice.text.filled() {
                Some(text) => {
                    if streamed && self.capture_content {
                        known.parts.push(Kind::Text, text);
                    }
                    true
                }
                None => false,
            },
        }
    }

    fn finish_reasons(&self) -> Vec<String> {
        let over = self.done && self.error.is_none();
        if over && self.choices.iter().all(|choice| choice.finish.is_none()) {
            return Vec::new();
        }
        self.choices
            .iter()
            .map(|choice| choice.finish.clone().unwrap_or_else(|| "error".to_owned()))
            .collect()
    }

    fn streamed_messages(&mut self) -> Value {
        let mut truncated = false;
        let messages = self
            .choices
            .iter_mut()
            .map(|choice| {
                let (parts, cut) = choice.parts.take();
                truncated |= cut;
                let role = choice.role.as_deref().unwrap_or("assistant");
                content::output(role, &parts, finish_reason(choice.finish.as_deref()))
            })
            .collect();
        self.truncated |= truncated;
        messages
    }
}

impl Chosen {
    /// Folds a delta (or a whole message) in; gives whether it carried a piece of the answer.
    fn message(&mut self, message: &Message<'_>, keep_text: bool) -> bool {
        if self.role.is_none() {
            self.role = message.role.filled().map(str::to_owned);
        }
        let mut piece = false;
        let mut push = |kind, text: Option<&str>| {
            let Some(text) = text else { return };
            piece = true;
            if keep_text {
                self.parts.push(kind, text);
            }
        };
        match message.reasoning_content.filled().or(message.reasoning.filled()) {
            Some(text) => push(Kind::Reasoning, Some(text)),
            // These repeat what the two before say, where they say it.
            None => {
                for detail in message.reasoning_details.0.iter().filter_map(|it| it.0.as_ref()) {
                    push(Kind::Reasoning, detail.text.filled().or(detail.summary.filled()));
                }
            }
        }
        match &message.content {
            TextOrList::Text(text) => {
                push(Kind::Text, Some(&**text).filter(|text| !text.is_empty()));
            }
            TextOrList::List(parts) => {
                for part in parts.iter().filter_map(|part| part.0.as_ref()) {
                    for thought in part.thinking.0.iter().filter_map(|thought| thought.0.as_ref()) {
                        push(Kind::Reasoning, thought.text.filled());
                    }
                    push(Kind::Text, part.text.filled());
                }
            }
            TextOrList::Neither => {}
        }
        push(Kind::Refusal, message.refusal.filled());
        if let Some(audio) = &message.audio.0 {
            push(Kind::Text, audio.transcript.filled());
            piece |= audio.data.filled().is_some();
        }
        for call in message.tool_calls.0.iter().filter_map(|call| call.0.as_ref()) {
            piece = true;
            if call.kind.0.as_deref().is_some_and(|kind| kind.parse::<u64>().is_ok()) {
                continue;
            }
            self.call(call, keep_text);
        }
        if let Some(called) = &message.function_call.0 {
            piece = true;
            let place = self.called(0, false, called.name.filled());
            if keep_text {
                self.argue(place, None, called.arguments.as_str());
            }
        }
        piece
    }

    fn call(&mut self, call: &Call<'_>, keep_text: bool) {
        let called = call.function.0.as_ref().or(call.custom.0.as_ref());
        let name = called.and_then(|called| called.name.filled());
        // Id and name come with a call's first delta. Without an index each of those is a new call.
        let place = match call.index.0 {
            Some(index) => self.called(index, false, name),
            None => self.called(0, name.is_some(), name),
        };
        if keep_text {
            let text = called
                .and_then(|called| called.arguments.as_str().or_else(|| called.input.as_str()));
            self.argue(place, call.id.filled(), text);
        }
    }

    /// Finds or begins a tool call; gives its place among the calls.
    fn called(&mut self, index: u64, begins: bool, name: Option<&str>) -> usize {
        let known =
            if begins { None } else { self.calls.iter().rposition(|(known, _)| *known == index) };
        match known {
            Some(place) => {
                let known = &mut self.calls[place].1;
                if known.is_empty() {
                    known.push_str(name.unwrap_or_default());
                }
                place
            }
            None if self.calls.len() < MAX_CALLS => {
                self.calls.push((index, name.unwrap_or_default().to_owned()));
                self.calls.len() - 1
            }
            None => {
                self.overflow = true;
                self.calls.len()
            }
        }
    }

    fn argue(&mut self, place: usize, id: Option<&str>, arguments: Option<&str>) {
        let name = self.calls.get(place).map_or("", |(_, name)| name).to_owned();
        let kind = Kind::Call { place: place as u64, id: id.map(str::to_owned), name };
        self.parts.push(kind, arguments.unwrap_or_default());
    }
}

/// The text of a chunk that tells nothing else which the next one may not tell again, and the index
/// of its choice.
fn text_alone(chunk: &Completion<'_>) -> Option<(u64, Place)> {
    let [Object(Some(choice))] = &chunk.choices.as_ref()?.0[..] else { return None };
    let delta = choice.delta.0.as_ref()?;
    let TextOrList::Text(text) = &delta.content else { return None };
    let quiet = chunk.usage.0.is_none()
        && chunk.time_info.0.is_none()
        && chunk.timings.0.is_none()
        && chunk.x_groq.0.is_none()
        && choice.usage.0.is_none()
        && choice.message.0.is_none()
        && delta.reasoning_details.0.is_empty()
        && delta.audio.0.is_none()
        && delta.tool_calls.0.is_empty()
        && delta.function_call.0.is_none()
        && matches!((&chunk.error, &choice.error), (ErrorMember::Neither, ErrorMember::Neither));
    let silent = [
        &choice.finish_reason,
        &choice.stop_reason,
        &choice.text,
        &delta.refusal,
        &delta.reasoning,
        &delta.reasoning_content,
    ];
    let alone = quiet && silent.iter().all(|text| text.filled().is_none());
    Place::of(text).filter(|_| alone).map(|place| (choice.index.0.unwrap_or(0), place))
}

/// What stands before the choices of a chunk that is sound: nothing but members of the chunk itself
/// (no bracket opens, not even within a text), and not too long.
fn before_choices(chunk: &[u8]) -> &[u8] {
    let chunk = &chunk[..chunk.len().min(MAX_REPEATED)];
    let Some(at) = memchr::memmem::find(chunk, CHOICES) else { return b"" };
    let (before, _) = chunk.split_at(at);
    let flat = before.strip_prefix(b"{").is_some_and(|members| {
        !members.iter().any(|byte| matches!(byte, b'{' | b'[' | b'}' | b']'))
    });
    if flat { before } else { b"" }
}

/// Message and finish reason of a choice of a whole completion.
fn output(choice: &Value) -> Value {
    let empty = Value::Null;
    let message = choice.get("message").unwrap_or(&empty);
    let role = content::member(message, "role").unwrap_or("assistant");
    let reason = finish_reason(content::member(choice, "finish_reason"));
    let mut parts = parts(message);
    if message.is_null() {
        parts.extend(content::member(choice, "text").map(content::text));
    }
    content::output(role, &parts, reason)
}

/// The conventions' spelling in messages, where they have one.
fn finish_reason(reason: Option<&str>) -> &str {
    match reason {
        Some("tool_calls" | "function_call") => "tool_call",
        Some(reason) => reason,
        None => "error",
    }
}
