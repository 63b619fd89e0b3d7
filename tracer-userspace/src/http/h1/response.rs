//! The responding direction of an HTTP/1.x connection.
//! Takes its bytes and gaps; each final response belongs to the first exchange without one.
//! Part of [`Connection`], apart only for reading.

use http::{HeaderValue, StatusCode, header::UPGRADE};

use super::{
    Answer, Connection, Exchange, Malformed, Reader, Switch,
    body::{Body, Skip},
    drop_bytes,
    head::{self, HeadError, HeadReader},
    read_body,
};
use crate::{
    capture::Timestamp,
    http::{
        Ended, ResponseHead,
        open::{Open, Side},
        output::Output,
        sniff::{self, Start},
    },
};

impl Connection {
    pub(super) fn response_bytes(
        &mut self,
        input: &mut &[u8],
        out: &mut Output<'_>,
    ) -> Option<Switch> {
        let result = match &mut self.response {
            Reader::BetweenMessages => {
                *input = sniff::skip_empty_lines(input);
                if Start::of(input) == Start::Foreign {
                    Err(HeadError::NoMessage.into())
                } else {
                    if !input.is_empty() {
                        self.response = Reader::Head(HeadReader::new(out.time));
                        self.begin_response(out);
                    }
                    Ok(None)
                }
            }
            Reader::Head(_) => self.response_head(input, out),
            Reader::Body(_) => self.response_body(input, out).map(|()| None),
            Reader::LostInChunks => {
                let passed = input.len() as u64;
                if let Some(exchange) = self.answering() {
                    exchange.open.gap(Side::Response, passed, out);
                }
                drop_bytes(input, out);
                Ok(None)
            }
            Reader::Lost(_) | Reader::Tunnel { .. } => {
                self.dropped_response = true;
                drop_bytes(input, out);
                Ok(None)
            }
        };
        result.unwrap_or_else(|error| {
            tracing::debug!(%error, "malformed response");
            out.counts.malformed_messages += 1;
            drop_bytes(input, out);
            self.lose_response(Ended::Malformed)
        })
    }

    /// The first byte of a response is here.
    fn begin_response(&mut self, out: &mut Output<'_>) {
        if self.answering().is_some() {
            return;
        }
        let lost = match self.request {
            Reader::Lost(how) if !self.joined_late => Some(how),
            _ => None,
        };
        let open = Open::unasked(out.ids.next(), lost, self.joined_late);
        self.queue.push_back(Exchange { open, answer: Answer::ByFraming });
    }

    fn response_head(
        &mut self,
        input: &mut &[u8],
        out: &mut Output<'_>,
    ) -> Result<Option<Switch>, Malformed> {
        let Reader::Head(reader) = &mut self.response else { return Ok(None) };
        let started = reader.started;
        let Some(bytes) = reader.take(input)? else { return Ok(None) };
        let head = head::parse_response(bytes)?;
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            // RFC 9110 §15.2: interim; the final response follows.
            self.response = Reader::BetweenMessages;
            return Ok(None);
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(self.upgrade(head, started, out));
        }
        let role = self.role;
        let Some(exchange) = self.answering() else { return Ok(None) };
        let body = match (exchange.answer, head.status) {
            // RFC 9112 §6.3 rules 1 and 2.
            (Answer::NoBody, _) | (_, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {
                Body::Length(0)
            }
            (Answer::Tunnel, status) if status.is_success() => Body::Length(0),
            _ => Body::of(Side::Response, &head.headers)?,
        };
        exchange.open.response_head(&head, role, started, out);
        let tunnel = exchange.answer == Answer::Tunnel;
        self.response = Reader::Body(body);
        self.response_body(input, out)?;
        if !tunnel {
            return Ok(None);
        }
        let begun = matches!(self.request, Reader::Tunnel { begun: true });
        if head.status.is_success() {
            return Ok(Some(Switch::Tunnel { begun }));
        }
        // Refused: HTTP goes on, unless bytes of the tunnel have passed already.
        self.request = if begun { Reader::Lost(Ended::Malformed) } else { Reader::BetweenMessages };
        Ok(None)
    }

    /// RFC 9110 §7.8.
    fn upgrade(
        &mut self,
        head: ResponseHead,
        started: Timestamp,
        out: &mut Output<'_>,
    ) -> Option<Switch> {
        let at = self.queue.iter().position(|exchange| exchange.open.awaits(Side::Response))?;
        let Exchange { mut open, answer } = self.queue.remove(at)?;
        let is_asked = !open.awaits(Side::Request);
        let to = head.headers.get(UPGRADE).map_or(&b""[..], HeaderValue::as_bytes);
        if is_asked && to.eq_ignore_ascii_case(b"h2c") {
            // This response is interim: the final one follows as HTTP/2.
            return Some(Switch::Http2 { exchange: open });
        }
        open.response_head(&head, self.role, started, out);
        if is_asked {
            return Some(Switch::Upgrade { exchange: open, head: Box::new(head) });
        }
        // The rest of the request comes first, still in HTTP/1. Nobody does that.
        self.queue.insert(at, Exchange { open, answer });
        Some(Switch::GivenUp)
    }

    fn response_body(&mut self, input: &mut &[u8], out: &mut Output<'_>) -> Result<(), Malformed> {
        let Reader::Body(body) = &mut self.response else { return Ok(()) };
        let answering = self.queue.iter_mut().find(|exchange| exchange.open.awaits(Side::Response));
        let Some(exchange) = answering else {
            drop_bytes(input, out);
            return Ok(());
        };
        if read_body(body, &mut exchange.open, Side::Response, input, out)? {
            self.response = Reader::BetweenMessages;
        }
        Ok(())
    }

    pub(super) fn response_gap(&mut self, missing: u64, out: &mut Output<'_>) -> Option<Switch> {
        let Reader::Body(body) = &mut self.response else {
            // A whole response may have passed unseen.
            self.dropped_response = true;
            if let Some(exchange) = self.answering() {
                exchange.open.gap(Side::Response, missing, out);
            }
            return match self.response {
                Reader::Lost(_) | Reader::LostInChunks => None,
                _ => self.lose_response(Ended::Gap),
            };
        };
        let skip = body.skip(missing);
        let within = match skip {
            Skip::Past(more) => missing - more,
            Skip::Within | Skip::Lost => missing,
        };
        if let Some(exchange) = self.answering() {
            exchange.open.gap(Side::Response, within, out);
        }
        match skip {
            Skip::Lost if self.is_pipelined() => self.lose_response(Ended::Gap),
            Skip::Lost => {
                self.response = Reader::LostInChunks;
                self.dropped_response = true;
                None
            }
            // A body that ends here is over by its framing, which can't fail without input.
            Skip::Within => {
                drop(self.response_body(&mut &[][..], out));
                None
            }
            Skip::Past(more) => {
                drop(self.response_body(&mut &[][..], out));
                self.response_gap(more, out)
            }
        }
    }

    /// The response under way won't be found to its end, nor how many follow it.
    fn lose_response(&mut self, how: Ended) -> Option<Switch> {
        self.response = Reader::Lost(how);
        self.dropped_response = true;
        let is_pipelined = self.is_pipelined();
        if let Some(exchange) = self.answering() {
            exchange.open.lose(Side::Response, how);
        }
        is_pipelined.then_some(Switch::GivenUp)
    }

    /// More than one response is to come.
    fn is_pipelined(&self) -> bool {
        self.queue.iter().filter(|exchange| exchange.open.awaits(Side::Response)).count() > 1
    }
}
