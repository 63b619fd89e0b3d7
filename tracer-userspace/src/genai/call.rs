//! One exchange that may be an LLM call, from its request's head to its end.
//! Takes the exchange's events; gives the [`Operation`] at the end, if it was a call.
//! Knows HTTP and time, and of the formats only their table rows.

use ::http::{HeaderMap, header};

use super::{
    body::Body,
    formats::{Asked, Format, error},
    json::{Document, Fault},
    operation::{Content, HttpFacts, Operation, ProviderError, Timing},
    recognize::{self, Certainty, Recognized},
};
use crate::{
    capture::Timestamp,
    http::{End, Ended, ExchangeId, RequestHead, ResponseHead, Role, Unreadable},
};

/// Of a body at an unknown path, so much is looked at before it is left.
const LOOK: usize = 4 << 10;

/// A body of any format says one of these near its start.
const SIGNS: [&[u8]; 2] = [b"\"messages\"", b"\"model\""];

/// Headers by which the providers' support finds a call, in order of preference.
const REQUEST_IDS: [&str; 7] = [
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "mistral-correlation-id",
    "x-litellm-call-id",
    "x-ms-client-request-id",
];

/// What to keep of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Numbers,
    /// Content was asked for, and there is no time for it.
    NumbersForNow,
    Content,
}

#[derive(Debug)]
pub(super) struct Call {
    exchange: ExchangeId,
    role: Role,
    keep: Keep,
    provider: Option<&'static str>,
    certainty: Certainty,
    /// The model, where the path names it.
    model: Option<String>,
    /// The path asks for a stream.
    streams: bool,
    http: HttpFacts,
    started: Timestamp,
    request_end: Option<Timestamp>,
    response_end: Option<Timestamp>,
    unknown_fields: u32,
    unreadable: Option<Unreadable>,
    /// The exchange read as each format that it may be in.
    readings: Vec<Reading>,
}

/// The exchange read as one format.
#[derive(Debug)]
struct Reading {
    format: &'static Format,
    request: Document,
    asked: Option<Asked>,
    body: Option<Body>,
}

impl Call {
    pub(super) fn new(
        exchange: ExchangeId,
        recognized: Recognized,
        (head, role, started): (&RequestHead, Role, Timestamp),
        keep: Keep,
    ) -> Self {
        let capture_content = keep == Keep::Content;
        let reading = |format: &'static Format| Reading {
            format,
            request: Document::new(format.request.shapes(capture_content)),
            asked: None,
            body: None,
        };
        Self {
            exchange,
            role,
            keep,
            provider: recognized.provider,
            certainty: recognized.certainty,
            model: recognized.model,
            streams: recognized.streams,
            http: http_facts(head),
            started,
            request_end: None,
            response_end: None,
            unknown_fields: 0,
            unreadable: None,
            readings: recognized.formats.into_iter().map(reading).collect(),
        }
    }

    /// Body bytes of the request. Gives whether this may still be an LLM call.
    #[must_use]
    pub(super) fn request_body(&mut self, bytes: &[u8]) -> bool {
        if self.certainty == Certainty::Shape && !self.looks_right(bytes) {
            return false;
        }
        for reading in &mut self.readings {
            reading.request.push(bytes);
        }
        true
    }

    /// Whether a body at an unknown path begins like one of the formats', or is too short to tell.
    fn looks_right(&self, more: &[u8]) -> bool {
        let held = self.readings.first().and_then(|reading| reading.request.bytes());
        let Some(held) = held.filter(|held| held.len() < LOOK) else { return true };
        let mut seen = held.to_vec();
        seen.extend_from_slice(&more[..more.len().min(LOOK - held.len())]);
        let object = seen.trim_ascii_start().first().is_none_or(|byte| *byte == b'{');
        let sign = || SIGNS.iter().any(|sign| memchr::memmem::find(&seen, sign).is_some());
        object && (seen.len() < LOOK || sign())
    }

    pub(super) fn request_gap(&mut self) {
        for reading in &mut self.readings {
            reading.request.gap();
        }
    }

    /// Gives whether this may still be an LLM call.
    #[must_use]
    pub(super) fn request_end(&mut self, time: Timestamp) -> bool {
        self.request_end = Some(time);
        for reading in &mut self.readings {
            reading.read_request();
        }
        if self.certainty == Certainty::Shape {
            self.readings.retain(Reading::asked_fits);
        }
        !self.readings.is_empty()
    }

    pub(super) fn response(&mut self, head: &ResponseHead) {
        self.http.status = Some(head.status.as_u16());
        self.http.request_id =
            REQUEST_IDS.iter().find_map(|name| text(&head.headers, name)).map(str::to_owned);
        for reading in &mut self.readings {
            reading.body = Some(Body::new(reading.format, head, self.keep == Keep::Content));
        }
    }

    pub(super) fn response_body(&mut self, bytes: &[u8], time: Timestamp) {
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.push(bytes, time);
        }
    }

    pub(super) fn response_gap(&mut self) {
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.gap();
        }
    }

    pub(super) fn response_end(&mut self, time: Timestamp) {
        self.response_end = Some(time);
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.end();
        }
    }

    /// The exchange goes on under another id.
    pub(super) fn moved(&mut self, exchange: ExchangeId) {
        self.exchange = exchange;
    }

    /// So many fields of a head or of trailers can't be told.
    pub(super) fn fields_unknown(&mut self, count: u32) {
        self.unknown_fields = self.unknown_fields.saturating_add(count);
    }

    /// A body's content coding ends here; the first reason stands.
    pub(super) fn unreadable(&mut self, reason: Unreadable) {
        self.unreadable.get_or_insert(reason);
    }

    /// The exchange is over: the operation, if it was one.
    pub(super) fn finish(mut self, end: End, time: Timestamp) -> Option<Operation> {
        let certainty = self.certainty;
        let mut found = None;
        for mut reading in std::mem::take(&mut self.readings) {
            reading.read_request();
            let asked = reading.asked.unwrap_or_default();
            let read = reading.body.map(Body::finish).unwrap_or_default();
            let fits = match certainty {
                Certainty::Sure => true,
                Certainty::Path => asked.fits || read.answered.fits,
                Certainty::Shape => asked.fits && read.answered.fits,
            };
            if fits {
                found = Some((reading.format, asked, read));
                break;
            }
        }
        let (format, asked, read) = found?;
        let provider = self.provider.unwrap_or(format.flavour);
        let (how, over) = match (end.how, self.response_end, read.done) {
            (how @ (Ended::Complete | Ended::AnsweredEarly), Some(response_end), _) => {
                (how, response_end)
            }
            // Many clients close after the stream's end mark, before the last chunk of its framing.
            (_, _, Some(done)) => (Ended::Complete, done),
            (how, ..) => (how, time),
        };
        let mut operation = Operation {
            exchange: self.exchange,
            role: self.role,
            name: asked.operation.unwrap_or(format.operation),
            provider: provider.to_owned(),
            // `openai.*` attributes are for OpenAI's own services.
            api_type: format.api_type.filter(|_| matches!(provider, "openai" | "azure.ai.openai")),
            request: asked.request,
            response: read.answered.response,
            usage: read.answered.usage,
            timing: Timing {
                start: self.started,
                request_end: self.request_end,
                first_chunk: read.first_chunk,
                end: over,
            },
            error: provider_error(read.answered.error, self.http.status),
            http: self.http,
            content: (self.keep != Keep::Numbers).then_some(Content {
                input_messages: asked.input_messages,
                output_messages: read.answered.output_messages,
                system_instructions: asked.system_instructions,
                tool_definitions: asked.tool_definitions,
                truncated: asked.truncated || read.answered.truncated,
                shed: self.keep == Keep::NumbersForNow,
            }),
            end: End { how, ..end },
            unknown_fields: self.unknown_fields,
            unreadable: self
                .unreadable
                .map(Unreadable::as_str)
                .or(read.fault.or(asked.fault).map(Fault::as_str)),
        };
        operation.response.chunks = read.chunks;
        operation.request.stream |= self.streams;
        if operation.request.model.is_none() {
            operation.request.model = self.model;
        }
        Some(operation)
    }
}

impl Reading {
    /// Reads the request's body, once, and lets go of it.
    fn read_request(&mut self) {
        if self.asked.is_none() && !self.request.is_empty() {
            self.asked = Some((self.format.read_request)(&mut self.request));
            self.request.clear();
        }
    }

    fn asked_fits(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.fits)
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

fn http_facts(head: &RequestHead) -> HttpFacts {
    let all = |name| {
        let values = head.headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    HttpFacts {
        method: head.method.as_str().to_owned(),
        authority: recognize::authority(head).map(str::to_owned),
        path: recognize::path(head).to_owned(),
        status: None,
        request_id: None,
        traceparent: all("traceparent"),
        tracestate: all("tracestate"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// The media type of a response, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    text(headers, header::CONTENT_TYPE.as_str())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
}
