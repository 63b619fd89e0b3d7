//! The texts of one answer, told apart by their place, whole or streamed.
//! Takes pieces, tool calls and reasons to finish; gives them as [`Answered`].
//! For the formats whose answers are texts and no more: each knows its own members and counts.

use serde_json::Value;

use super::{
    Answered,
    content::{self, Kind, Parts},
    keep_call,
};

/// Texts of one answer that are told apart.
pub(super) const MAX_TEXTS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Texts {
    capture_content: bool,
    texts: Vec<Text>,
    calls: Vec<String>,
    overflow: bool,
}

#[derive(Debug, Default)]
struct Text {
    reason: Option<String>,
    parts: Parts,
}

impl Texts {
    pub(super) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    /// There is a text at `place`, be it empty so far.
    pub(super) fn begin(&mut self, place: usize) {
        self.at(place);
    }

    /// Adds a piece; gives whether there was any.
    pub(super) fn push(&mut self, place: usize, kind: Kind, piece: Option<&str>) -> bool {
        let capture_content = self.capture_content;
        let (Some(text), Some(piece)) = (self.at(place), piece) else { return false };
        if capture_content && !piece.is_empty() {
            text.parts.push(kind, piece);
        }
        !piece.is_empty()
    }

    /// For streams that repeat the whole text so far: what was there before goes.
    pub(super) fn replace(&mut self, place: usize, whole: &str) {
        if let Some(text) = self.at(place) {
            text.parts = Parts::default();
        }
        self.push(place, Kind::Text, Some(whole));
    }

    /// The model called a tool.
    pub(super) fn call(&mut self, name: &str, id: Option<&str>, arguments: &str) {
        let place = self.calls.len() as u64;
        keep_call(&mut self.calls, name.to_owned(), &mut self.overflow);
        let kind = Kind::Call { place, id: id.map(str::to_owned), name: name.to_owned() };
        let capture_content = self.capture_content;
        if let Some(text) = self.at(0).filter(|_| capture_content) {
            text.parts.push(kind, arguments);
        }
    }

    /// The last call's arguments go on.
    pub(super) fn argue(&mut self, arguments: &str) {
        let place = (self.calls.len() as u64).saturating_sub(1);
        let name = self.calls.last().cloned().unwrap_or_default();
        self.push(0, Kind::Call { place, id: None, name }, Some(arguments));
    }

    /// The last known reason stands.
    pub(super) fn end(&mut self, place: usize, reason: Option<String>) {
        if reason.is_some()
            && let Some(text) = self.at(place)
        {
            text.reason = reason;
        }
    }

    fn at(&mut self, place: usize) -> Option<&mut Text> {
        if place >= MAX_TEXTS {
            self.overflow = true;
            return None;
        }
        if self.texts.len() <= place {
            self.texts.resize_with(place + 1, Text::default);
        }
        self.texts.get_mut(place)
    }

    /// What was said. Of an answer that is `whole`, a reason that is not there was not sent; of one
    /// that is not, it did not arrive. `spelled` gives the conventions' spelling of a reason.
    pub(super) fn finish(self, whole: bool, spelled: fn(&str) -> &str) -> Answered {
        let told = self.texts.iter().any(|text| text.reason.is_some());
        let mut answered = Answered {
            fits: !self.texts.is_empty(),
            overflow: self.overflow,
            ..Answered::default()
        };
        let mut messages = Vec::new();
        for mut text in self.texts {
            let (parts, truncated) = text.parts.take();
            answered.truncated |= truncated;
            let reason = match text.reason.as_deref() {
                Some(reason) => spelled(reason),
                None if whole && !told => "stop",
                None => "error",
            };
            messages.push(content::output("assistant", &parts, reason));
            if told || !whole {
                let reason = text.reason.unwrap_or_else(|| "error".to_owned());
                answered.response.finish_reasons.push(reason);
            }
        }
        answered.response.tool_calls = self.calls;
        let keep = self.capture_content && !messages.is_empty();
        answered.output_messages = keep.then_some(Value::Array(messages));
        answered
    }
}
