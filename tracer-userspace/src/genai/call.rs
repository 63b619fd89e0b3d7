//! One exchange that may be an LLM call, from its request's head to its end.
//! Takes the exchange's events; gives the [`Operation`] at the end, if it was a call.
//! Knows HTTP and time, and of the formats only their table rows.

use ::http::HeaderMap;

use super::{
    about::{About, Course, Keep},
    answering::Read,
    body::Body,
    fingerprint::Fingerprint,
    formats::{Asked, Format, error},
    grpc::Grpc,
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
const SIGNS: [&[u8]; 3] = [b"\"messages\"", b"\"model\"", b"\"input\""];

#[derive(Debug)]
pub(super) struct Call {
    about: About,
    certainty: Certainty,
    started: Timestamp,
    request_end: Option<Timestamp>,
    /// Of the request; `None` where it is not whole, or the traced process did not send it.
    fingerprint: Option<Fingerprint>,
    response_end: Option<Timestamp>,
    unknown_fields: u32,
    unreadable: Option<Unreadable>,
    /// The request is a form, which becomes the JSON object that it would be.
    form: Option<Multipart>,
    /// Of gRPC: the messages under way, and how it ended.
    grpc: Option<Grpc>,
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
            fingerprint: (role == Role::Client).then(|| Fingerprint::new(head)),
            response_end: None,
            unknown_fields: 0,
            unreadable: None,
            form: Multipart::of(&head.headers),
            grpc: recognized.messages.map(Grpc::new),
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
                if matches!(kind, Kind::RequestUnreadable(_)) {
                    self.fingerprint = None;
                }
                self.unreadable.get_or_insert(reason);
            }
            // So many fields of a head or of trailers can't be told.
            Kind::RequestFieldsUnknown(count) | Kind::ResponseFieldsUnknown(count) => {
                self.unknown_fields = self.unknown_fields.saturating_add(count);
            }
            Kind::RequestMessageEnd(_) => self.request_message_end(),
            Kind::ResponseMessageEnd(_) => self.response_message_end(time),
            Kind::ResponseTrailers(headers) => self.trailers(headers),
            Kind::RequestTrailers(_) => {}
            // Only a WebSocket closes; the others are for `Calls`.
            Kind::RequestClose(_) | Kind::ResponseClose(_) => {}
            Kind::Request { .. } | Kind::Moved(_) | Kind::End(_) => {}
        }
        true
    }

    fn request_body(&mut self, bytes: &[u8]) -> bool {
        if let Some(fingerprint) = &mut self.fingerprint {
            fingerprint.push(bytes);
        }
        if let Some(grpc) = &mut self.grpc {
            grpc.request.push(bytes);
            return true;
        }
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

    /// A message of the request is over. Calls of one request read no more than that.
    fn request_message_end(&mut self) {
        let Some(grpc) = &mut self.grpc else { return };
        let json = grpc.request();
        for reading in self.readings.iter_mut().filter(|reading| reading.request.is_empty()) {
            match &json {
                Some(json) => reading.request.push(json),
                None => reading.request.gap(),
            }
        }
    }

    fn request_gap(&mut self) {
        self.fingerprint = None;
        if let Some(grpc) = &mut self.grpc {
            return grpc.request.lose();
        }
        for reading in &mut self.readings {
            reading.request.gap();
        }
    }

    fn request_end(&mut self, time: Timestamp) -> bool {
        self.request_end = Some(time);
        for reading in &mut self.readings {
            reading.read_request();
        }
        let must_fit = !matches!(self.certainty, Certainty::Sure | Certainty::Path);
        if must_fit || self.readings.iter().any(Reading::asked_fits) {
            self.readings.retain(Reading::asked_fits);
        }
        !self.readings.is_empty()
    }

    fn response(&mut self, head: &ResponseHead) {
        self.about.response(head);
        self.trailers(&head.headers);
        let capture_content = self.about.keep.has_content();
        for reading in &mut self.readings {
            let asked = reading.asked.as_ref();
            reading.body = Some(Body::new(reading.format, head, asked, capture_content));
        }
    }

    /// gRPC tells how a call ended behind the body, or in the head where there is none.
    fn trailers(&mut self, headers: &HeaderMap) {
        if let Some(grpc) = &mut self.grpc {
            grpc.ended(headers);
        }
    }

    fn response_message_end(&mut self, time: Timestamp) {
        let Some(grpc) = &mut self.grpc else { return };
        let json = grpc.response();
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.message(json.as_deref(), self.about.target.streams, time);
        }
    }

    fn response_body(&mut self, bytes: &[u8], time: Timestamp) {
        if let Some(grpc) = &mut self.grpc {
            return grpc.response.push(bytes);
        }
        for body in self.readings.iter_mut().filter_map(|reading| reading.body.as_mut()) {
            body.push(bytes, time);
        }
    }

    fn response_gap(&mut self) {
        if let Some(grpc) = &mut self.grpc {
            return grpc.response.lose();
        }
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

    /// The reading whose format the bodies have, as far as they must.
    fn likeliest(&mut self) -> Option<(&'static Format, Asked, Read)> {
        let certainty = self.certainty;
        let failed = self.about.http.status.is_some_and(|status| status >= error::FIRST_STATUS);
        let mut readings: Vec<_> = std::mem::take(&mut self.readings)
            .into_iter()
            .map(|mut reading| {
                reading.read_request();
                let read = reading.body.map(Body::finish).unwrap_or_default();
                (reading.format, reading.asked.unwrap_or_default(), read)
            })
            .collect();
        // Of several formats the one counts that both bodies have, before one that only one has.
        let both = readings.iter().position(|(_, asked, read)| asked.fits && read.answered.fits);
        let fits = both.or_else(|| {
            readings.iter().position(|(_, asked, read)| match certainty {
                Certainty::Sure | Certainty::Path => asked.fits || read.answered.fits,
                Certainty::Shared => asked.fits && failed,
                // Of a request that names its model, an error needs no shape.
                Certainty::Borrowed => asked.fits && failed && asked.request.model.is_some(),
                Certainty::Shape => false,
            })
        });
        let place = fits.or((certainty == Certainty::Sure && !readings.is_empty()).then_some(0))?;
        Some(readings.swap_remove(place))
    }

    /// The exchange goes on under another id.
    pub(super) fn moved(&mut self, exchange: ExchangeId) {
        self.about.exchange = exchange;
    }

    /// The exchange is over: the operation, if it was one.
    pub(super) fn finish(mut self, end: End, time: Timestamp) -> Option<Operation> {
        let (format, asked, mut read) = self.likeliest()?;
        if read.answered.error.is_none() {
            read.answered.error = self.grpc.and_then(|grpc| grpc.error);
        }
        let whole = self.request_end.is_some() && !end.joined_late;
        let course = Course {
            turn: 0,
            start: self.started,
            fingerprint: self.fingerprint.filter(|_| whole).map(Fingerprint::finish),
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
