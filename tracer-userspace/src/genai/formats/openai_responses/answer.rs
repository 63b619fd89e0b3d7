//! Folds a response, whole or streamed, into what it said.
//! Takes bodies and events; gives [`Answered`]. The last event of a stream repeats the whole response,
//! so until then only what a cut stream would lack is held.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Conversation, conversation_id, item_parts};
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
    operation::{ProviderError, Response, Usage},
};

#[derive(Debug, Default)]
pub(super) struct Responses {
    capture_content: bool,
    report_usage: bool,
    response: Response,
    usage: Usage,
    error: Option<ProviderError>,
    /// The final status.
    status: Option<String>,
    /// Why the response is incomplete, by its own account.
    incomplete: Option<String>,
    begun: bool,
    done: bool,
    fits: bool,
    parts: Parts,
    output_messages: Option<Value>,
    truncated: bool,
    overflow: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    service_tier: Text<'a>,
    #[serde(borrow)]
    conversation: Conversation<'a>,
    #[serde(borrow)]
    output: List<Item<'a>>,
    usage: Object<Tokens>,
    #[serde(borrow)]
    incomplete_details: Object<Incomplete<'a>>,
    /// Of the Realtime API, for what the two below tell elsewhere.
    #[serde(borrow)]
    status_details: Object<Box<StatusDetails<'a>>>,
    #[serde(borrow)]
    conversation_id: Text<'a>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusDetails<'a> {
    #[serde(borrow)]
    reason: Text<'a>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    call_id: Text<'a>,
}

impl Item<'_> {
    /// A call that the client is to answer; the others (search, code) the provider runs itself.
    fn is_call(&self) -> bool {
        matches!(self.kind.as_str(), Some("function_call" | "custom_tool_call"))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    response: Object<Body<'a>>,
    #[serde(borrow)]
    item: Object<Item<'a>>,
    output_index: Count,
    #[serde(borrow)]
    delta: Text<'a>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
    /// Of an `error` event, where they stand beside the type.
    code: Code,
    #[serde(borrow)]
    message: Text<'a>,
}

impl Answer for Responses {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let content = body.content();
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = fault.is_none();
        if matches!(facts.object.as_str(), Some("response" | "response.compaction")) {
            self.fits = true;
            self.take(facts, true);
        } else {
            self.error = error::member(facts.error);
        }
        if let Some((body, truncated)) = content
            && self.fits
        {
            self.truncated |= truncated;
            let parts: Vec<_> = content::elements(&body, "output").flat_map(item_parts).collect();
            self.output_messages = Some(self.output(&parts));
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Event<'_>>();
        let Some(kind) = event.kind.as_str() else { return Step::Aside };
        let ends = matches!(
            kind,
            "response.completed" | "response.incomplete" | "response.failed" | "response.done"
        );
        if kind == "error" {
            self.failed(event);
            return Step::Aside;
        }
        if !kind.starts_with("response.") {
            return Step::Aside;
        }
        self.fits = true;
        let place = event.output_index.0.unwrap_or(0);
        if let Some(body) = event.response.0 {
            self.done |= ends;
            self.take(body, ends);
            return Step::Frame;
        }
        if let Some(item) = event.item.0 {
            let begins = kind == "response.output_item.added" && item.is_call();
            return if begins { self.called(place, &item) } else { Step::Frame };
        }
        let Some(text) = event.delta.filled() else { return Step::Frame };
        let kind = match kind {
            "response.output_text.delta"
            | "response.text.delta"
            | "response.output_audio_transcript.delta"
            | "response.audio_transcript.delta" => Kind::Text,
            "response.refusal.delta" => Kind::Refusal,
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                Kind::Reasoning
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                Kind::Call { place, id: None, name: String::new() }
            }
            // Audio, images, code of tools that the provider runs: a piece, but no text to keep.
            _ => return Step::Piece,
        };
        if self.capture_content {
            self.parts.push(kind, text);
        }
        Step::Piece
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(mut self: Box<Self>) -> Answered {
        if self.capture_content && self.begun && self.output_messages.is_none() {
            let (parts, truncated) = self.parts.take();
            self.truncated |= truncated;
            self.output_messages = Some(self.output(&parts));
        }
        self.response.finish_reasons = match self.status {
            Some(status) => vec![status],
            None if self.begun && (!self.done || self.error.is_some()) => vec!["error".to_owned()],
            None => Vec::new(),
        };
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

impl Responses {
    pub(super) fn new(capture_content: bool, report_usage: bool) -> Self {
        Self { capture_content, report_usage, ..Self::default() }
    }

    /// Folds a response object in; `last` if none comes after it.
    fn take(&mut self, body: Body<'_>, last: bool) {
        self.begun = true;
        let response = &mut self.response;
        for (known, told) in [
            (&mut response.id, body.id.into_filled()),
            (&mut response.model, body.model.into_filled()),
            (&mut response.service_tier, body.service_tier.into_filled()),
            (
                &mut response.conversation_id,
                conversation_id(body.conversation).or(body.conversation_id.into_filled()),
            ),
        ] {
            *known = told.or(known.take());
        }
        response.status = body.status.filled().map(str::to_owned).or(response.status.take());
        // A background response is told while it is still queued: that is no end.
        let finished = body.status.into_filled().filter(|status| {
            matches!(status.as_str(), "completed" | "incomplete" | "failed" | "cancelled")
        });
        self.status = finished.or(self.status.take());
        if let Some(incomplete) = body.incomplete_details.0 {
            self.incomplete = incomplete.reason.into_filled();
        }
        if let Some(tokens) = body.usage.0.filter(|_| self.report_usage) {
            tokens.add_to(&mut self.usage);
        }
        let details = body.status_details.0.unwrap_or_default();
        self.incomplete = details.reason.into_filled().or(self.incomplete.take());
        if self.error.is_none() {
            self.error = error::member(details.error);
        }
        if self.error.is_none() {
            self.error = error::member(body.error);
        }
        if last && !body.output.0.is_empty() {
            let calls = body.output.into_objects().filter(Item::is_call);
            self.response.tool_calls.clear();
            for name in calls.filter_map(|item| item.name.into_filled()) {
                keep_call(&mut self.response.tool_calls, name, &mut self.overflow);
            }
        }
    }

    fn called(&mut self, place: u64, item: &Item<'_>) -> Step {
        let name = item.name.as_str().unwrap_or_default().to_owned();
        if self.capture_content {
            let id = item.call_id.as_str().map(str::to_owned);
            self.parts.push(Kind::Call { place, id, name: name.clone() }, "");
        }
        keep_call(&mut self.response.tool_calls, name, &mut self.overflow);
        Step::Piece
    }

    /// Nothing comes after an error.
    fn failed(&mut self, event: Event<'_>) {
        self.done = true;
        if self.error.is_none() {
            self.error = Some(error::member(event.error).unwrap_or_else(|| ProviderError {
                kind: event.code.0.unwrap_or_default(),
                message: event.message.into_filled(),
            }));
        }
    }

    fn output(&self, parts: &[Value]) -> Value {
        let called = parts.iter().any(|part| part["type"] == "tool_call");
        let reason = match (self.status.as_deref(), self.incomplete.as_deref()) {
            (Some("completed"), _) if called => "tool_call",
            (Some("completed"), _) => "stop",
            (_, Some("max_output_tokens")) => "length",
            (_, Some("content_filter")) => "content_filter",
            (Some(status), _) => status,
            (None, _) if self.done && self.error.is_none() => "stop",
            (None, _) => "error",
        };
        json!([content::output("assistant", parts, reason)])
    }
}
