//! One HTTP/1.x connection (RFC 9112): requests and responses paired in their order.
//! Takes the bytes and gaps of both directions; gives the events of its exchanges.
//! After a gap or malformed bytes it goes on at the next segment that begins a message.
//!
//! Pairing is by order alone, so it must never be off by one. While both directions are in step
//! every response belongs to the first exchange without one. Once a direction has lost its framing
//! an unknown number of messages passes in it, and order tells nothing of clients that send a
//! request before the last one's response (pipelining). Such a connection is given up. Of all
//! others it is certain that a new request means that all responses before it have passed.

mod body;
mod chunked;
mod head;
mod request;
mod response;

use std::collections::VecDeque;

pub(super) use self::body::content_length;
use self::{
    body::{Body, FramingError, Step},
    chunked::Chunked,
    head::{HeadError, HeadReader},
};
use super::{
    Ended, ResponseHead, Role,
    open::{Open, Side},
    output::Output,
    sniff, trailers,
};
use crate::capture::Data;

/// Requests without a response on one connection, before it is given up.
const PIPELINE_LIMIT: usize = 1024;

/// Capacity of the queue that an idle connection may keep.
const IDLE_QUEUE: usize = 4;

#[derive(Debug)]
pub(super) struct Connection {
    role: Role,
    joined_late: bool,
    request: Reader,
    response: Reader,
    /// Exchanges that have begun and not ended, in order. At most one is without its whole request.
    queue: VecDeque<Exchange>,
    /// Bytes of the response direction were dropped since the last request began.
    dropped_response: bool,
}

/// What a direction is in the middle of.
#[derive(Debug)]
enum Reader {
    BetweenMessages,
    Head(HeadReader),
    Body(Body),
    /// Behind a gap in a chunked response. It goes on at a segment that begins with chunks.
    LostInChunks,
    /// Out of step, and why: passes over everything up to the next start of a message.
    Lost(Ended),
    /// Behind a CONNECT request: what is sent before the answer (`begun`) is no HTTP.
    Tunnel {
        begun: bool,
    },
}

#[derive(Debug)]
struct Exchange {
    open: Open,
    answer: Answer,
}

/// What the request says about the response's body (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    ByFraming,
    /// To HEAD: never a body.
    NoBody,
    /// To CONNECT: a tunnel, if successful.
    Tunnel,
}

/// What a connection becomes, once it is HTTP/1 no more.
#[derive(Debug)]
pub(super) enum Switch {
    /// A tunnel (CONNECT): whatever both ends agreed on, from the next byte on.
    Tunnel {
        /// Bytes have passed in it already, before the answer.
        begun: bool,
    },
    /// HTTP/2 (RFC 7540 §3.2): the exchange that asked for it goes on as its first stream.
    Http2 { exchange: Open },
    /// Another protocol, named by the `Upgrade` field of the 101 response; the exchange lives on.
    Upgrade { exchange: Open, head: Box<ResponseHead> },
    /// Messages can't be paired with certainty any more.
    GivenUp,
}

#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Framing(#[from] FramingError),
}

impl Connection {
    /// Bytes of the heap that an idle connection holds: between messages, queue empty.
    #[cfg(test)]
    pub(super) const IDLE_HEAP: usize = size_of::<Self>() + IDLE_QUEUE * size_of::<Exchange>();

    /// `joined_late`: what passed before is not known, so both directions begin out of step.
    pub(super) fn new(role: Role, joined_late: bool) -> Self {
        let reader =
            || if joined_late { Reader::Lost(Ended::Gap) } else { Reader::BetweenMessages };
        Self {
            role,
            joined_late,
            request: reader(),
            response: reader(),
            queue: VecDeque::new(),
            dropped_response: false,
        }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Takes what passed on one side. Where the connection becomes something else, the bytes
    /// behind that point come back.
    pub(super) fn feed<'a>(
        &mut self,
        side: Side,
        data: Data<'a>,
        out: &mut Output<'_>,
    ) -> Option<(Switch, &'a [u8])> {
        match data {
            Data::Gap(missing) => {
                let switch = match side {
                    Side::Request => self.request_gap(missing, out),
                    Side::Response => self.response_gap(missing, out),
                };
                self.sweep(out);
                switch.map(|switch| (switch, &[][..]))
            }
            Data::Bytes(mut input) => {
                self.resynchronise(side, input, out);
                while !input.is_empty() {
                    let switch = match side {
                        Side::Request => self.request_bytes(&mut input, out),
                        Side::Response => self.response_bytes(&mut input, out),
                    };
                    self.sweep(out);
                    if let Some(switch) = switch {
                        return Some((switch, input));
                    }
                }
                None
            }
        }
    }

    /// The connection is over. `close_ends_body`: a body delimited by the close is whole.
    pub(super) fn finish(&mut self, how: Ended, close_ends_body: bool, out: &mut Output<'_>) {
        if close_ends_body && matches!(self.response, Reader::Body(Body::UntilClose)) {
            self.response = Reader::BetweenMessages;
            if let Some(exchange) = self.answering() {
                exchange.open.done(Side::Response, out);
            }
            self.sweep(out);
        }
        if matches!(self.response, Reader::LostInChunks) && how != Ended::TracerStopped {
            // Its end may have been among what was missed.
            if let Some(exchange) = self.answering() {
                exchange.open.lose(Side::Response, Ended::Gap);
            }
        }
        for exchange in self.queue.drain(..) {
            exchange.open.cut(how, out);
        }
        for reader in [&mut self.request, &mut self.response] {
            if !matches!(reader, Reader::BetweenMessages) {
                *reader = Reader::Lost(how);
            }
        }
    }

    /// The body under way, if it is the only thing under way: its side, and how many bytes of it are
    /// left, where that is known. Where it is not, whatever follows is asked for on the other side.
    pub(super) fn body(&self) -> Option<(Side, Option<u64>)> {
        if self.queue.len() > 1 {
            return None;
        }
        let open = &self.queue.front()?.open;
        let (side, left) = match (&self.request, &self.response) {
            // How a request without a length ends can't be told without reading it.
            (Reader::Body(Body::Length(left)), Reader::BetweenMessages) => {
                (Side::Request, Some(*left))
            }
            (Reader::BetweenMessages, Reader::Body(Body::Length(left))) => {
                (Side::Response, Some(*left))
            }
            (Reader::BetweenMessages, Reader::Body(_) | Reader::LostInChunks) => {
                (Side::Response, None)
            }
            _ => return None,
        };
        open.has_head(side).then_some((side, left))
    }

    /// A forked process took the connection over: its exchanges go on under new ids.
    pub(super) fn rename(&mut self, out: &mut Output<'_>) {
        for exchange in &mut self.queue {
            exchange.open.rename(out);
        }
    }

    /// The exchange whose request is under way: the last that began, but for responses that nobody
    /// asked for.
    fn asking(&mut self) -> Option<&mut Exchange> {
        self.queue.iter_mut().rev().find(|exchange| exchange.open.awaits(Side::Request))
    }

    /// The exchange that the next response bytes belong to.
    fn answering(&mut self) -> Option<&mut Exchange> {
        self.queue.iter_mut().find(|exchange| exchange.open.awaits(Side::Response))
    }

    /// Ends what is over. Responses come in order, so it stands before all that wait for theirs.
    fn sweep(&mut self, out: &mut Output<'_>) {
        self.end_over(
            |queue| {
                let settled = |exchange: &&Exchange| !exchange.open.awaits(Side::Response);
                queue.iter().take_while(settled).count()
            },
            out,
        );
        debug_assert!(!self.queue.iter().any(|exchange| exchange.open.is_over()));
    }

    /// Ends what is over among the first exchanges, as many as `count` says.
    fn end_over(&mut self, count: fn(&VecDeque<Exchange>) -> usize, out: &mut Output<'_>) {
        let over = |exchange: &Exchange| exchange.open.is_over();
        while let Some(at) = self.queue.iter().take(count(&self.queue)).position(over) {
            if let Some(exchange) = self.queue.remove(at) {
                exchange.open.end(out);
            }
        }
        if self.queue.is_empty() {
            self.queue.shrink_to(IDLE_QUEUE);
        }
    }

    /// A direction out of step goes on where a segment begins a message, or chunks of the one that
    /// was under way.
    fn resynchronise(&mut self, side: Side, input: &[u8], out: &mut Output<'_>) {
        let (reader, begins) = match side {
            Side::Request => (&mut self.request, sniff::begins_request(input)),
            Side::Response => (&mut self.response, sniff::begins_response(input)),
        };
        let how = match *reader {
            Reader::Lost(how) if begins => how,
            Reader::LostInChunks if begins => Ended::Gap,
            Reader::LostInChunks if chunked::begins_chunks(input) => {
                *reader = Reader::Body(Body::Chunked(Chunked::new()));
                out.counts.resynchronised += 1;
                return;
            }
            _ => return,
        };
        let was_in_chunks = matches!(*reader, Reader::LostInChunks);
        *reader = Reader::BetweenMessages;
        out.counts.resynchronised += 1;
        if side == Side::Request {
            self.joined_late = false;
            // Their answers passed, or they were no requests at all.
            for exchange in
                self.queue.iter_mut().filter(|exchange| !exchange.open.has_head(Side::Response))
            {
                exchange.open.lose(Side::Response, how);
            }
        } else if was_in_chunks && let Some(exchange) = self.answering() {
            exchange.open.lose(Side::Response, how);
        }
        // Those that were lost may stand behind one whose response goes on.
        self.end_over(VecDeque::len, out);
    }
}

/// Tells the body's bytes; true once the message is over.
fn read_body(
    body: &mut Body,
    open: &mut Open,
    side: Side,
    input: &mut &[u8],
    out: &mut Output<'_>,
) -> Result<bool, FramingError> {
    loop {
        match body.step(input)? {
            Step::Data(bytes) => open.body(side, bytes, out),
            Step::NeedMore => return Ok(false),
            Step::End => {
                let trailer = body.take_trailer();
                if !trailer.is_empty() {
                    let (fields, unknown) = trailers::parse(trailer);
                    open.trailers(side, &fields, unknown, out);
                }
                open.done(side, out);
                return Ok(true);
            }
        }
    }
}

/// Passes over the rest of a segment.
fn drop_bytes(input: &mut &[u8], out: &mut Output<'_>) {
    out.counts.skipped_bytes += input.len() as u64;
    *input = &[];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::{ConnectionId, Timestamp},
        http::{Counts, output::Ids},
    };

    #[test]
    fn idle_queue_gives_memory_back() {
        let (mut ids, mut counts) = (Ids::new(ConnectionId(1)), Counts::default());
        let mut out =
            Output { time: Timestamp(1), ids: &mut ids, counts: &mut counts, sink: &mut |_| {} };
        let mut connection = Connection::new(Role::Client, false);
        let requests = "GET / HTTP/1.1\r\n\r\n".repeat(500);
        let responses = "HTTP/1.1 204 x\r\n\r\n".repeat(500);
        connection.feed(Side::Request, Data::Bytes(requests.as_bytes()), &mut out);
        assert!(connection.queue.capacity() >= 500);
        connection.feed(Side::Response, Data::Bytes(responses.as_bytes()), &mut out);
        assert!(connection.queue.capacity() <= IDLE_QUEUE);
        assert!(matches!(connection.request, Reader::BetweenMessages));
        assert!(matches!(connection.response, Reader::BetweenMessages));
        assert_eq!(out.counts.exchanges, 500);
    }
}
