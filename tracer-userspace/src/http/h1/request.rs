//! The requesting direction of an HTTP/1.x connection.
//! Takes its bytes and gaps; each request begins an exchange, and says what its answer looks like.
//! Part of [`Connection`], apart only for reading.

use http::Method;

use super::{
    Answer, Connection, Exchange, Malformed, PIPELINE_LIMIT, Reader, Switch,
    body::{Body, Skip},
    drop_bytes,
    head::{self, HeadError, HeadReader},
    read_body,
};
use crate::http::{
    Ended,
    open::{Open, Side},
    output::Output,
    sniff::{self, Start},
};

impl Connection {
    pub(super) fn request_bytes(
        &mut self,
        input: &mut &[u8],
        out: &mut Output<'_>,
    ) -> Option<Switch> {
        let result = match &mut self.request {
            Reader::BetweenMessages => {
                *input = sniff::skip_empty_lines(input);
                if input.is_empty() {
                    return None;
                }
                if Start::of(input) == Start::Foreign {
                    Err(HeadError::NoMessage.into())
                } else {
                    self.request = Reader::Head(HeadReader::new(out.time));
                    return self.begin_request(out);
                }
            }
            Reader::Head(_) => self.request_head(input, out),
            Reader::Body(_) => self.request_body(input, out),
            Reader::Lost(_) | Reader::LostInChunks => {
                drop_bytes(input, out);
                Ok(())
            }
            Reader::Tunnel { begun } => {
                *begun = true;
                drop_bytes(input, out);
                Ok(())
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "malformed request");
            out.counts.malformed_messages += 1;
            drop_bytes(input, out);
            self.lose_request(Ended::Malformed);
        }
        None
    }

    /// The first byte of a request is here, or passed in a gap.
    fn begin_request(&mut self, out: &mut Output<'_>) -> Option<Switch> {
        let is_lost = matches!(self.response, Reader::Lost(_) | Reader::LostInChunks);
        if is_lost && self.answering().is_some() {
            if !self.dropped_response {
                return Some(Switch::GivenUp);
            }
            for exchange in &mut self.queue {
                exchange.open.lose(Side::Response, Ended::Gap);
            }
            self.response = Reader::Lost(Ended::Gap);
            self.sweep(out);
        }
        if self.queue.len() == PIPELINE_LIMIT {
            return Some(Switch::GivenUp);
        }
        self.dropped_response = false;
        let open = Open::new(out.ids.next());
        self.queue.push_back(Exchange { open, answer: Answer::ByFraming });
        None
    }

    fn request_head(&mut self, input: &mut &[u8], out: &mut Output<'_>) -> Result<(), Malformed> {
        let Reader::Head(reader) = &mut self.request else { return Ok(()) };
        let started = reader.started;
        let Some(bytes) = reader.take(input)? else { return Ok(()) };
        let head = head::parse_request(bytes)?;
        let body = Body::of(Side::Request, &head.headers)?;
        let role = self.role;
        let Some(exchange) = self.asking() else { return Ok(()) };
        exchange.open.request_head(&head, role, started, out);
        if head.method == Method::CONNECT {
            // RFC 9110 §9.3.6: content of a CONNECT request has no meaning.
            exchange.answer = Answer::Tunnel;
            exchange.open.done(Side::Request, out);
            self.request = Reader::Tunnel { begun: false };
            return Ok(());
        }
        if head.method == Method::HEAD {
            exchange.answer = Answer::NoBody;
        }
        self.request = Reader::Body(body);
        self.request_body(input, out)
    }

    fn request_body(&mut self, input: &mut &[u8], out: &mut Output<'_>) -> Result<(), Malformed> {
        let Reader::Body(body) = &mut self.request else { return Ok(()) };
        let asking =
            self.queue.iter_mut().rev().find(|exchange| exchange.open.awaits(Side::Request));
        let Some(exchange) = asking else {
            drop_bytes(input, out);
            return Ok(());
        };
        if read_body(body, &mut exchange.open, Side::Request, input, out)? {
            self.request = Reader::BetweenMessages;
        }
        Ok(())
    }

    pub(super) fn request_gap(&mut self, missing: u64, out: &mut Output<'_>) -> Option<Switch> {
        if let Reader::Tunnel { begun } = &mut self.request {
            *begun = true;
            return None;
        }
        if let Reader::Body(body) = &mut self.request {
            let skip = body.skip(missing);
            let within = match skip {
                Skip::Past(more) => missing - more,
                Skip::Within | Skip::Lost => missing,
            };
            if let Some(exchange) = self.asking() {
                exchange.open.gap(Side::Request, within, out);
            }
            match skip {
                Skip::Lost => self.lose_request(Ended::Gap),
                // A body that ends here is over by its framing, which can't fail without input.
                Skip::Within | Skip::Past(_) => drop(self.request_body(&mut &[][..], out)),
            }
            return match skip {
                Skip::Past(more) => self.request_gap(more, out),
                Skip::Within | Skip::Lost => None,
            };
        }
        // Within a head, or where a request may have begun and ended unseen.
        let in_head = matches!(self.request, Reader::Head(_));
        let unseen = matches!(self.request, Reader::Lost(_))
            && self.queue.back().is_some_and(|exchange| !exchange.open.has_head(Side::Response));
        if !in_head && !unseen {
            let switch = self.begin_request(out);
            if switch.is_some() {
                return switch;
            }
        }
        if let Some(exchange) = self.queue.back_mut() {
            exchange.open.gap(Side::Request, missing, out);
        }
        self.lose_request(Ended::Gap);
        None
    }

    fn lose_request(&mut self, how: Ended) {
        if let Some(exchange) = self.asking() {
            exchange.open.lose(Side::Request, how);
        }
        self.request = Reader::Lost(how);
    }
}
