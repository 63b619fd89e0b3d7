//! A response body on its way to a format: whole JSON or a stream of events.
//! Takes its bytes with their times; gives what the answer said, its chunks and when the first came.
//! What the body is, its first bytes decide: servers mislabel streams, and errors come as JSON.

use super::{
    call::media_type,
    formats::{Answer, Answered, Format, Step, error},
    json::{Document, Fault, Shape, Shapes},
    sse::{Item, Sse},
};
use crate::{capture::Timestamp, http::ResponseHead};

#[derive(Debug)]
pub(super) struct Body {
    format: &'static Format,
    capture_content: bool,
    status: u16,
    /// The head says that this is a stream of events.
    labelled_stream: bool,
    answer: Box<dyn Answer>,
    framing: Framing,
    chunks: u64,
    first_chunk: Option<Timestamp>,
    error: Option<super::operation::ProviderError>,
    fault: Option<Fault>,
    ended: bool,
}

#[derive(Debug)]
enum Framing {
    /// Nothing but white space so far.
    Unknown,
    Whole(Document),
    Sse {
        sse: Sse,
        data: Document,
    },
}

/// What a response body said.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub answered: Answered,
    /// Events that carried a piece of the answer.
    pub chunks: u64,
    /// When the first event of the answer passed.
    pub first_chunk: Option<Timestamp>,
    pub fault: Option<Fault>,
}

impl Body {
    pub(super) fn new(format: &'static Format, head: &ResponseHead, capture_content: bool) -> Self {
        Self {
            format,
            capture_content,
            status: head.status.as_u16(),
            labelled_stream: media_type(&head.headers).eq_ignore_ascii_case("text/event-stream"),
            answer: (format.answer)(capture_content),
            framing: Framing::Unknown,
            chunks: 0,
            first_chunk: None,
            error: None,
            fault: None,
            ended: false,
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], time: Timestamp) {
        if matches!(self.framing, Framing::Unknown) {
            // White space before JSON means nothing, and empty lines before an event neither.
            bytes = bytes.trim_ascii_start();
            let Some(first) = bytes.first() else { return };
            self.framing = self.framing_of(*first);
        }
        match &mut self.framing {
            Framing::Unknown => {}
            Framing::Whole(document) => document.push(bytes),
            Framing::Sse { sse, data } => {
                let mut events = Events {
                    answer: self.answer.as_mut(),
                    chunks: &mut self.chunks,
                    first_chunk: &mut self.first_chunk,
                    time,
                };
                sse.push(bytes, |item| events.take(item, data));
            }
        }
    }

    fn framing_of(&self, first: u8) -> Framing {
        let json = matches!(first, b'{' | b'[');
        // Fields of the standard begin so (`data`, `event`, `id`, `retry`, a comment, a BOM).
        let field = matches!(first, b'd' | b'e' | b'i' | b'r' | b':' | 0xef);
        if !json && (self.labelled_stream || field) {
            let shapes = Shapes { facts: self.format.event, content: None };
            return Framing::Sse { sse: Sse::default(), data: Document::new(shapes) };
        }
        let shapes = if self.status >= error::FIRST_STATUS {
            const ERROR_BODY: &Shape = &error::BODY;
            Shapes { facts: ERROR_BODY, content: None }
        } else {
            self.format.response.shapes(self.capture_content)
        };
        Framing::Whole(Document::new(shapes))
    }

    pub(super) fn gap(&mut self) {
        match &mut self.framing {
            // The body's first bytes are missing: without them only a label tells what it is.
            Framing::Unknown if self.labelled_stream => {
                self.framing = self.framing_of(b':');
                self.gap();
            }
            Framing::Unknown => {
                self.framing = self.framing_of(b'{');
                self.gap();
            }
            Framing::Whole(document) => document.gap(),
            Framing::Sse { sse, data } => {
                sse.gap();
                data.clear();
                self.fault = Some(Fault::Gap);
            }
        }
    }

    /// The body is over, by its framing or because the exchange is.
    pub(super) fn end(&mut self, time: Timestamp) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match &mut self.framing {
            Framing::Unknown => {}
            Framing::Whole(document) if self.status >= error::FIRST_STATUS => {
                self.error = Some(error::read(document));
            }
            Framing::Whole(document) => self.fault = self.answer.whole(document),
            Framing::Sse { sse, data } => {
                let mut events = Events {
                    answer: self.answer.as_mut(),
                    chunks: &mut self.chunks,
                    first_chunk: &mut self.first_chunk,
                    time,
                };
                sse.finish(|item| events.take(item, data));
            }
        }
        self.framing = Framing::Unknown;
    }

    pub(super) fn finish(mut self, time: Timestamp) -> Read {
        self.end(time);
        let mut answered = self.answer.finish();
        answered.error = self.error.or(answered.error);
        Read { answered, chunks: self.chunks, first_chunk: self.first_chunk, fault: self.fault }
    }
}

/// Where the events of a stream go.
struct Events<'a> {
    answer: &'a mut dyn Answer,
    chunks: &'a mut u64,
    first_chunk: &'a mut Option<Timestamp>,
    time: Timestamp,
}

impl Events<'_> {
    fn take(&mut self, item: Item<'_>, data: &mut Document) {
        match item {
            Item::Data(piece) => data.push(piece),
            Item::Event(name) => {
                let step = self.answer.event(name, data);
                data.clear();
                *self.chunks += u64::from(step == Step::Piece);
                if step != Step::Aside {
                    self.first_chunk.get_or_insert(self.time);
                }
            }
        }
    }
}
