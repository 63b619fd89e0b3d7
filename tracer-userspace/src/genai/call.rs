//! One exchange that may be an LLM call, from its request's head to its end.
//! Takes the exchange's events; gives the [`Operation`] at the end, if it was a call.
//! Knows HTTP and time, and of the formats only their table rows.

use super::{
    about::{About, Course, Keep},
    body::Body,
    formats::{Asked, Format},
    json::Document,
    multipart::Multipart,
    operation::Operation,
    recognize::{Certainty, Recognized},
};
use crate::{
    capture::Timestamp,
    http::{End, ExchangeId, Kind, RequestHead, ResponseHead, Role, Unreadable},
};

/// Of a body at an unknown path, so much is looked at before it is left.
const LOOK: usize = 4 << 10;

/// A body of any format says one of these near its start.
const SIGNS: [&[u8]; 2] = [b"\"messages\"", b"\"model\""];

#[derive(Debug)]
pub(super) struct Call {
    about: About,
    certainty: Certainty,
    started: Timestamp,
    request_end: Option<Timestamp>,
    response_end: Option<Timestamp>,
    unknown_fields: u32,
    unreadable: Option<Unreadable>,
    /// The request is a form, which becomes the JSON object that it would be.
    form: Option<Multipart>,
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
        let capture_content = keep.has_content();
        let reading = |format: &'static Format| Reading {
            format,
            request: Document::new(format.request.shapes(capture_content)),
            asked: None,
            body: None,
        };
        Self {
            about: About::new(exchange, recognized.target, (head, role), keep),
            certainty: recognized.certainty,
            started,
            request_end: None,
            response_end: None,
            unknown_fields: 0,
            unreadable: None,
            form: Multipart::of(&head.headers),
            readings: recognized.formats.into_iter().map(reading).collect(),
        }
    }

    /// What the exchange tells before its end. Gives whether this may still be an LLM call.
    #[must_use]
    pub(super) fn on(&mut self, kind: Kind<'_>, time: Timestamp) -> bool {
        match kind {
            Kind::RequestBody(bytes) => return self.request_body(bytes),
            Kind::RequestGap => self.request_gap(),
            Kind::RequestEnd => return self.request_end(time),
            Kind::Response { head, .. } => self.response(head),
            Kind::ResponseBody(bytes) => self.response_body(bytes, time),
            Kind::ResponseGap => self.response_gap(),
            Kind::ResponseEnd => self.response_end(time),
            // A body's content coding ends here; the first reason stands.
            Kind::RequestUnreadable(reason) | Kind::ResponseUnreadable(reason) => {
                self.unreadable.get_or_insert(reason);
            }
            // So many fields of a head or of trailers can't be told.
            Kind::RequestFieldsUnknown(count) | Kind::ResponseFieldsUnknown(count) => {
                self.unknown_fields = self.unknown_fields.saturating_add(count);
            }
            // Messages of gRPC, and trailers: no format reads them yet.
            Kind::RequestMessageEnd(_)
            | Kind::ResponseMessageEnd(_)
            | Kind::RequestTrailers(_)
            | Kind::ResponseTrailers(_) => {}
            // Only a WebSocket closes; the others are for `Calls`.
            Kind::RequestClose(_) | Kind::ResponseClose(_) => {}
            Kind::Request { .. } | Kind::Moved(_) | Kind::End(_) => {}
        }
        true
    }

    fn request_body(&mut self, bytes: &[u8]) -> bool {
        if self.certainty == Certainty::Shape && !self.looks_right(bytes) {
            return false;
        }
        let readings = &mut self.readings;
        let mut push = |bytes: &[u8]| {
            for reading in &mut *readings {
                reading.request.push(bytes);
            }
        };
        match &mut self.form {
            Some(form) => form.push(bytes, push),
            None => push(bytes),
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

    fn request_gap(&mut self) {
        for reading in &mut self.readings {
            reading.request.gap();
        }
    }

    fn request_end(&mut self, time: Timestamp) -> bool {
        self.request_end = Some(time);
        for reading in &mut self.readings {
            reading.read_request();
        }
        if self.certainty == Certainty::Shape {
            self.readings.retain(Reading::asked_fits);
        }
        !self.readings.is_empty()
    }

    fn response(&mut self, head: &ResponseHead) {
        self.about.response(head);
        for reading in &mut self.readings {
            reading.body = Some(Body::new(reading.format, head, self.about.keep.has_content()));
        }
    }

    fn response_body(&mut self, bytes: &[u8], time: Timestamp) {
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.push(bytes, time);
        }
    }

    fn response_gap(&mut self) {
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.gap();
        }
    }

    fn response_end(&mut self, time: Timestamp) {
        self.response_end = Some(time);
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.end();
        }
    }

    /// The exchange goes on under another id.
    pub(super) fn moved(&mut self, exchange: ExchangeId) {
        self.about.exchange = exchange;
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
        let course = Course {
            turn: 0,
            start: self.started,
            request_end: self.request_end,
            response_end: self.response_end,
            over: time,
            end,
            unknown_fields: self.unknown_fields,
            unreadable: self.unreadable,
        };
        Some(self.about.operation(format, asked, read, course))
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
