//! What is known of an exchange beside its bodies, and the [`Operation`] that comes of it.
//! Takes the two heads, then what the bodies said; gives operations.
//! Knows no wire format.

use ::http::{HeaderMap, header};

use super::{
    answering::Read,
    formats::{Asked, Format, error},
    heads,
    json::Fault,
    operation::{Content, HttpFacts, Operation, OperationName, ProviderError, ServerTimes, Timing},
    recognize::Target,
    server_times,
};
use crate::{
    capture::Timestamp,
    http::{End, Ended, ExchangeId, RequestHead, ResponseHead, Role, Unreadable},
};

/// Choices that are told of an answer that did not begin.
const MAX_CHOICES: i64 = 128;

/// What to keep of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Numbers,
    /// Content was asked for, and there is no time for it.
    NumbersForNow,
    Content,
}

impl Keep {
    pub(super) fn has_content(self) -> bool {
        self == Self::Content
    }
}

#[derive(Clone, Debug)]
pub(super) struct About {
    pub exchange: ExchangeId,
    role: Role,
    pub keep: Keep,
    pub target: Target,
    pub http: HttpFacts,
    server_times: ServerTimes,
}

/// When an operation was, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    pub turn: u64,
    pub start: Timestamp,
    pub fingerprint: Option<u64>,
    pub request_end: Option<Timestamp>,
    /// When the response was whole, if it was.
    pub response_end: Option<Timestamp>,
    /// When the exchange was over, or the operation.
    pub over: Timestamp,
    pub end: End,
    /// Fields of heads and trailers that can't be told.
    pub unknown_fields: u32,
    pub unreadable: Option<Unreadable>,
}

impl About {
    pub(super) fn new(
        exchange: ExchangeId,
        target: Target,
        (head, role): (&RequestHead, Role),
        keep: Keep,
    ) -> Self {
        let http = heads::request(head);
        Self { exchange, role, keep, target, http, server_times: ServerTimes::default() }
    }

    pub(super) fn response(&mut self, head: &ResponseHead) {
        heads::response(&mut self.http, head);
        self.server_times = server_times::of(&head.headers);
    }

    /// What was asked and answered, as an operation.
    pub(super) fn operation(
        self,
        format: &Format,
        asked: Asked,
        read: Read,
        course: Course,
    ) -> Operation {
        let Target { provider, model, id, streams, stream_cursor } = self.target;
        let provider = provider.unwrap_or(format.flavour.into());
        let (how, over) = match (course.end.how, course.response_end, read.times.done) {
            (how @ (Ended::Complete | Ended::AnsweredEarly), Some(response_end), _) => {
                (how, response_end)
            }
            // Many clients close after the stream's end mark, before the last chunk of its framing.
            (_, _, Some(done)) => (Ended::Complete, done),
            (how, ..) => (how, course.over),
        };
        let mut operation = Operation {
            exchange: self.exchange,
            turn: course.turn,
            role: self.role,
            name: asked.operation.or(read.answered.operation).unwrap_or(format.operation),
            // `openai.*` attributes are for OpenAI's own services.
            api_type: format
                .api_type
                .filter(|_| matches!(&*provider, "openai" | "azure.ai.openai")),
            provider: provider.into_owned(),
            request: asked.request,
            response: read.answered.response,
            usage: read.answered.usage,
            timing: Timing {
                start: course.start,
                request_end: course.request_end,
                first_chunk: read.times.first_chunk,
                first_content: read.times.first_content,
                last_content: read.times.last_content,
                output_chunk_times: read.times.between,
                end: over,
            },
            server_times: read.server_times.or(self.server_times),
            error: provider_error(read.answered.error, self.http.status),
            http: self.http,
            fingerprint: course.fingerprint,
            content: (self.keep != Keep::Numbers).then_some(Content {
                input_messages: asked.input_messages,
                output_messages: read.answered.output_messages,
                system_instructions: asked.system_instructions,
                tool_definitions: asked.tool_definitions,
                truncated: asked.truncated || read.answered.truncated,
                shed: self.keep == Keep::NumbersForNow,
            }),
            end: End { how, ..course.end },
            unknown_fields: course.unknown_fields,
            unreadable: course
                .unreadable
                .map(Unreadable::as_str)
                .or(read.fault.or(asked.fault).map(Fault::as_str)),
            mcp: None,
        };
        operation.response.chunks = read.chunks;
        operation.request.stream |= streams;
        operation.request.stream_cursor = stream_cursor;
        operation.mark_unfinished();
        if operation.request.model.is_none() {
            operation.request.model = model;
        }
        let named = match operation.name {
            OperationName::InvokeAgent => Some(&mut operation.request.agent.id),
            OperationName::Retrieval => Some(&mut operation.request.data_source_id),
            _ => None,
        };
        if let Some(named) = named.filter(|named| named.is_none()) {
            *named = id;
        }
        operation
    }
}

impl Operation {
    /// Where the finish of an answer was expected and did not come, the conventions have `error` in
    /// its place. Formats put it there for choices that had begun.
    fn mark_unfinished(&mut self) {
        let reasons = &mut self.response.finish_reasons;
        match self.end.how {
            Ended::Complete | Ended::AnsweredEarly => {}
            // It may have come: llmtap did not see the end.
            Ended::Gap | Ended::TracerStopped if self.error.is_none() => {
                while reasons.pop_if(|reason| reason == error::UNFINISHED).is_some() {}
            }
            Ended::Gap | Ended::TracerStopped => {}
            _ => {
                let answers = matches!(
                    self.name,
                    OperationName::Chat
                        | OperationName::TextCompletion
                        | OperationName::GenerateContent
                );
                let begun = self.http.status.is_some_and(|status| (200..300).contains(&status));
                if answers && begun && reasons.is_empty() && self.error.is_none() {
                    let choices = self.request.choice_count.unwrap_or(1).clamp(1, MAX_CHOICES);
                    reasons.resize(choices as usize, error::UNFINISHED.to_owned());
                }
            }
        }
    }
}

/// An error without a name of its own is named by the HTTP status, or `_OTHER` inside a success.
fn provider_error(error: Option<ProviderError>, status: Option<u16>) -> Option<ProviderError> {
    let failed = status.filter(|status| *status >= error::FIRST_STATUS);
    let mut error = match (error, failed) {
        (Some(error), _) => error,
        (None, Some(_)) => ProviderError { kind: String::new(), message: None },
        (None, None) => return None,
    };
    if error.kind.is_empty() {
        error.kind = failed.map_or_else(|| "_OTHER".to_owned(), |status| status.to_string());
    }
    Some(error)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// The media type of a message, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    text(headers, header::CONTENT_TYPE.as_str())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
}
