//! A response body on its way to a format: one JSON value, or a stream of events.
//! Takes its bytes with their times; gives what the answer said and when its chunks came.
//! What the body is, its first bytes decide: servers mislabel streams, and errors come as JSON.

use super::{
    about::media_type,
    answering::{Answering, Read},
    eventstream::{self, EventStream},
    formats::{Asked, Format, error},
    json::{Document, Fault, Shapes},
    operation::ProviderError,
    sse::{self, Sse},
    values::{self, Values},
};
use crate::{capture::Timestamp, http::ResponseHead};

#[derive(Debug)]
pub(super) struct Body {
    format: &'static Format,
    capture_content: bool,
    failed: bool,
    /// The error's name, where a header tells it.
    named: Option<String>,
    label: Label,
    framing: Framing,
    answering: Answering,
    fault: Option<Fault>,
    /// When the last bytes passed.
    last: Timestamp,
    ended: bool,
}

/// What the head says that the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Sse,
    EventStream,
    Values,
    /// Sound or an image: nothing to read.
    Media,
    Other,
}

#[derive(Debug)]
enum Framing {
    /// Nothing but white space so far.
    Unknown,
    /// Passes unread.
    Media,
    Whole(Document),
    Sse {
        sse: Sse,
        data: Document,
    },
    EventStream {
        stream: EventStream,
        data: Document,
    },
    /// A run of values. A single one that nothing labels as a stream is a whole body: it is `held`
    /// until another follows, with the time at which it ended.
    Values {
        values: Values,
        data: Document,
        held: Option<Timestamp>,
        labelled: bool,
    },
}

impl Body {
    pub(super) fn new(
        format: &'static Format,
        head: &ResponseHead,
        asked: Option<&Asked>,
        capture_content: bool,
    ) -> Self {
        let mut answer = (format.answer)(capture_content);
        answer.headers(&head.headers);
        if let Some(asked) = asked {
            answer.asked(asked);
        }
        Self {
            format,
            capture_content,
            failed: head.status.as_u16() >= error::FIRST_STATUS,
            named: error::header(&head.headers),
            label: Label::of(media_type(&head.headers)),
            framing: Framing::Unknown,
            answering: Answering::new(answer),
            fault: None,
            last: Timestamp::default(),
            ended: false,
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], time: Timestamp) {
        self.last = time;
        if matches!(self.framing, Framing::Unknown) {
            if self.label != Label::EventStream {
                // White space before JSON means nothing, and empty lines before an event neither.
                bytes = bytes.trim_ascii_start();
            }
            let Some(first) = bytes.first() else { return };
            self.framing = self.framing_of(*first);
        }
        let answering = &mut self.answering;
        match &mut self.framing {
            Framing::Unknown | Framing::Media => {}
            Framing::Whole(document) => document.push(bytes),
            Framing::Sse { sse, data } => {
                sse.push(bytes, |item| sse_item(answering, item, data, time));
            }
            Framing::EventStream { stream, data } => stream.push(bytes, |item| {
                if item == eventstream::Item::Corrupt {
                    self.fault = Some(Fault::Corrupt);
                }
                message(answering, item, data, time);
            }),
            Framing::Values { values, data, held, labelled } => values.push(bytes, |item| {
                let stream = *labelled;
                match item {
                    values::Item::Data(piece) => {
                        if let Some(ended) = held.take() {
                            // The value that was held is the first of several after all.
                            *labelled = true;
                            answering.event(b"", data, ended);
                        }
                        data.push(piece);
                    }
                    values::Item::End if stream => answering.event(b"", data, time),
                    values::Item::End => *held = Some(time),
                }
            }),
        }
        if let Framing::Values { values, labelled, .. } = &mut self.framing {
            *labelled |= values.is_list();
        }
    }

    /// A message of gRPC, as JSON: the whole answer, or an event of a stream. `None`: it can't be read.
    pub(super) fn message(&mut self, json: Option<&[u8]>, streams: bool, time: Timestamp) {
        self.last = time;
        let Some(json) = json else {
            self.fault = Some(Fault::Corrupt);
            return;
        };
        if streams {
            let mut data = Document::new(Shapes { facts: self.format.event, content: None });
            data.push(json);
            self.answering.event(b"", &mut data, time);
        } else {
            let mut whole = Document::new(self.format.response.shapes(self.capture_content));
            whole.push(json);
            self.framing = Framing::Whole(whole);
        }
    }

    fn framing_of(&self, first: u8) -> Framing {
        let json = matches!(first, b'{' | b'[');
        // Fields of the standard begin so (`data`, `event`, `id`, `retry`, a comment).
        let field = matches!(first, b'd' | b'e' | b'i' | b'r' | b':');
        let event = Shapes { facts: self.format.event, content: None };
        if self.failed {
            let body = Shapes { facts: &error::BODY, content: None };
            return Framing::Whole(Document::new(body));
        }
        if self.label == Label::Media {
            return Framing::Media;
        }
        if self.label == Label::EventStream && !json {
            let stream = EventStream::default();
            return Framing::EventStream { stream, data: Document::new(event) };
        }
        if !json && (self.label == Label::Sse || field) {
            return Framing::Sse { sse: Sse::default(), data: Document::new(event) };
        }
        let labelled = self.label == Label::Values || first == b'[';
        let whole = self.format.response.shapes(self.capture_content);
        if json && self.format.streams_values {
            let data = Document::new(if labelled { event } else { whole });
            return Framing::Values { values: Values::default(), data, held: None, labelled };
        }
        Framing::Whole(Document::new(whole))
    }

    pub(super) fn gap(&mut self) {
        if matches!(self.framing, Framing::Unknown) {
            // The body's first bytes are missing: without them only a label tells what it is.
            self.framing = self.framing_of(match self.label {
                Label::Sse => b':',
                Label::EventStream => 0,
                Label::Values | Label::Media | Label::Other => b'{',
            });
        }
        match &mut self.framing {
            Framing::Unknown | Framing::Media => {}
            Framing::Whole(document) => return document.gap(),
            Framing::Sse { sse, data } => {
                sse.gap();
                data.clear();
            }
            Framing::EventStream { stream, data } => {
                stream.gap();
                data.clear();
            }
            Framing::Values { values, data, held, labelled } => {
                values.gap();
                if *labelled {
                    data.clear();
                } else {
                    *held = Some(self.last);
                    data.gap();
                }
            }
        }
        self.fault = Some(Fault::Gap);
    }

    /// The body is over, by its framing or because the exchange is.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let answering = &mut self.answering;
        let fault = match &mut self.framing {
            Framing::Unknown | Framing::Media => None,
            Framing::Whole(document) if self.failed => {
                let told = error::read(document);
                let kind = self.named.take().unwrap_or(told.kind);
                answering.failed(ProviderError { kind, ..told });
                None
            }
            Framing::Whole(document) => answering.whole(document),
            Framing::Sse { sse, data } => {
                sse.finish(|item| sse_item(answering, item, data, self.last));
                None
            }
            Framing::EventStream { stream, .. } => (!stream.is_whole()).then_some(Fault::Truncated),
            // Cut inside its only value, or whole.
            Framing::Values { data, labelled: false, .. } => answering.whole(data),
            Framing::Values { data, .. } => (!data.is_empty()).then_some(Fault::Truncated),
        };
        self.fault = self.fault.or(fault);
        self.framing = Framing::Unknown;
    }

    pub(super) fn finish(mut self) -> Read {
        self.end();
        self.answering.finish(self.fault)
    }
}

impl Label {
    fn of(media_type: &str) -> Self {
        let media_type = media_type.to_ascii_lowercase();
        match media_type.as_str() {
            "text/event-stream" => Self::Sse,
            "application/vnd.amazon.eventstream" => Self::EventStream,
            "application/x-ndjson" | "application/jsonl" | "application/stream+json" => {
                Self::Values
            }
            _ if media_type.starts_with("audio/") || media_type.starts_with("image/") => {
                Self::Media
            }
            _ => Self::Other,
        }
    }
}

fn sse_item(answering: &mut Answering, item: sse::Item<'_>, data: &mut Document, time: Timestamp) {
    match item {
        sse::Item::Data(piece) => data.push(piece),
        sse::Item::Event(name) => answering.event(name, data, time),
    }
}

fn message(
    answering: &mut Answering,
    item: eventstream::Item<'_>,
    data: &mut Document,
    time: Timestamp,
) {
    match item {
        eventstream::Item::Data(piece) => data.push(piece),
        eventstream::Item::Event(name) => answering.event(name.as_bytes(), data, time),
        eventstream::Item::Exception(name, words) => {
            let told = error::read(data);
            data.clear();
            let message = told.message.or(words.map(str::to_owned));
            answering.failed(ProviderError { kind: name.to_owned(), message });
        }
        eventstream::Item::Corrupt => data.clear(),
    }
}
