//! The streams of an HTTP/2 connection, each an exchange (RFC 9113 §5, §8.1).
//! Takes what the frames say; gives the events of the exchanges.
//! A stream is forgotten when both its messages are over, or when it is reset.
//!
//! ```text
//!  request:   head ─▶ data* ─▶ trailers? ─▶ END_STREAM
//!  response:  interim* ─▶ head ─▶ data* ─▶ trailers? ─▶ END_STREAM
//! ```
//! The two run side by side; the exchange ends when both have ended.

use std::collections::BTreeMap;

use super::{
    Said,
    fields::{self, Head},
    hpack::{FieldList, Name},
};
use crate::{
    capture::{Direction, Timestamp},
    http::{
        Ended, Role,
        connection::{role_of, side_of},
        h1::content_length,
        open::{Open, Side},
        output::Output,
        ws,
    },
};

/// Streams under way on one connection. Servers allow 100 to 1,000 at a time (RFC 9113 §6.5.2).
const STREAMS_LIMIT: usize = 2048;

/// The stream of the request that asked for HTTP/2 (RFC 7540 §3.2).
const UPGRADED: u32 = 1;

#[derive(Debug)]
pub(super) struct Streams {
    role: Option<Role>,
    joined_late: bool,
    /// Header blocks of requests were missed, so that a response may come without.
    missed_requests: bool,
    /// Some may be [`Stream::holed`].
    has_holed: bool,
    /// By number; ordered, so that what ends together ends in order. Boxed, since the map keeps room
    /// for eleven once it had one.
    open: BTreeMap<u32, Box<Stream>>,
    /// The highest that a request was seen of.
    newest: u32,
    /// The highest that the server will answer, by its GOAWAY frames (§6.8).
    last_taken: u32,
}

#[derive(Debug)]
struct Stream {
    open: Open,
    /// An extended CONNECT for a WebSocket (RFC 8441 §4).
    asks_for_socket: bool,
    /// Its data is a WebSocket's.
    socket: Option<Box<ws::Socket>>,
    /// Its frames may have been among those that were missed, its end too.
    holed: bool,
    /// DATA bytes of the response still to come, where its head says their number (§8.1.1). A client
    /// that has them all may leave without waiting for END_STREAM, which some servers send apart.
    response_left: Option<u64>,
}

impl Streams {
    /// `role`: known where the connection is known from its first byte.
    pub(super) fn new(role: Option<Role>) -> Self {
        Self {
            role,
            joined_late: role.is_none(),
            missed_requests: role.is_none(),
            has_holed: false,
            open: BTreeMap::new(),
            newest: 0,
            last_taken: u32::MAX,
        }
    }

    /// The exchange whose request was sent before the connection became one of HTTP/2.
    pub(super) fn adopt(&mut self, open: Open) {
        self.newest = UPGRADED;
        self.open.insert(UPGRADED, Stream::new(open));
    }

    pub(super) fn role(&self) -> Option<Role> {
        self.role
    }

    fn side(&self, direction: Direction) -> Option<Side> {
        self.role.map(|role| side_of(direction, role))
    }

    pub(super) fn said(&mut self, direction: Direction, said: Said, out: &mut Output<'_>) {
        match said {
            Said::Fields { stream, list, end_stream, started } => {
                self.fields(direction, stream, list, end_stream, started, out);
            }
            Said::Reset { stream, code } => {
                if let Some(stream) = self.open.remove(&stream) {
                    stream.cut(Ended::StreamReset(code), out);
                }
            }
            Said::GoAway { last_stream } => {
                if self.side(direction) == Some(Side::Response) {
                    self.last_taken = self.last_taken.min(last_stream);
                    self.refuse(out);
                }
            }
            Said::Promise => out.counts.pushed_streams += 1,
            Said::Nothing => {}
        }
    }

    fn fields(
        &mut self,
        direction: Direction,
        number: u32,
        list: FieldList,
        end_stream: bool,
        started: Timestamp,
        out: &mut Output<'_>,
    ) {
        if self.role.is_none() {
            // Only a request has these, only a response a status.
            let is_request = |name: &Name| {
                matches!(name, Name::Method | Name::Path | Name::Authority | Name::Scheme)
            };
            let side = list.fields.iter().find_map(|field| match &field.name {
                name if is_request(name) => Some(Side::Request),
                Name::Status => Some(Side::Response),
                _ => None,
            });
            self.role = side.map(|side| role_of(direction, side));
        }
        match self.side(direction) {
            Some(Side::Request) => self.request(number, list, started, out),
            Some(Side::Response) => self.response(number, list, started, out),
            None => {}
        }
        if let (true, Some(side)) = (end_stream, self.side(direction)) {
            self.end(number, side, out);
        }
        self.sweep(number, out);
        self.refuse(out);
    }

    /// §6.8: the server won't answer the streams behind the last that it took up.
    fn refuse(&mut self, out: &mut Output<'_>) {
        let Some(first) = self.last_taken.checked_add(1) else { return };
        for (_, stream) in self.open.split_off(&first) {
            stream.cut(Ended::Refused, out);
        }
    }

    fn request(&mut self, number: u32, list: FieldList, started: Timestamp, out: &mut Output<'_>) {
        // §5.1.1: clients open odd streams, and never one again.
        if number.is_multiple_of(2) {
            return;
        }
        let is_new = number > self.newest && !self.open.contains_key(&number);
        // Without a method these are the trailers of a request that began unseen.
        let began_unseen = self.missed_requests && !list.has(&Name::Method);
        if is_new && (began_unseen || !self.make_room(out)) {
            return;
        }
        let Some(role) = self.role else { return };
        self.newest = self.newest.max(number);
        let stream = if is_new {
            self.open.entry(number).or_insert_with(|| Stream::new(Open::new(out.ids.next())))
        } else {
            let Some(stream) = self.open.get_mut(&number) else { return };
            stream
        };
        if !stream.open.awaits(Side::Request) {
            return;
        }
        let (head, unknown) = fields::head(list, !is_new);
        match head {
            Head::Request { head, protocol } if is_new => {
                stream.asks_for_socket = protocol.is_some_and(|name| name == "websocket");
                stream.open.request_head(&head, role, started, out);
            }
            Head::Trailers(fields) => {
                return stream.open.trailers(Side::Request, &fields, unknown, out);
            }
            Head::Unknown => return stream.open.lose(Side::Request, Ended::Gap),
            _ => {
                out.counts.malformed_messages += 1;
                return stream.open.lose(Side::Request, Ended::Malformed);
            }
        }
        stream.open.fields_unknown(Side::Request, unknown, out);
    }

    fn response(&mut self, number: u32, list: FieldList, started: Timestamp, out: &mut Output<'_>) {
        let Some(role) = self.role else { return };
        if !self.open.contains_key(&number) {
            // Without a status these are the trailers of a response that began unseen.
            let may_be_unseen =
                self.missed_requests && !number.is_multiple_of(2) && list.has(&Name::Status);
            if !may_be_unseen || (self.joined_late && number <= self.newest) || !self.make_room(out)
            {
                return;
            }
            let lost = (!self.joined_late).then_some(Ended::Gap);
            let open = Open::unasked(out.ids.next(), lost, self.joined_late);
            self.open.insert(number, Stream::new(open));
        }
        let Some(stream) = self.open.get_mut(&number) else { return };
        if !stream.open.awaits(Side::Response) {
            return;
        }
        let (head, unknown) = fields::head(list, stream.open.has_head(Side::Response));
        match head {
            // RFC 9110 §15.2: interim; the final response follows.
            Head::Response(head) if head.status.is_informational() => return,
            Head::Response(head) if !stream.open.has_head(Side::Response) => {
                stream.response_left = content_length(&head.headers).ok().flatten();
                stream.open.response_head(&head, role, started, out);
                let is_open = stream.open.awaits(Side::Request);
                if stream.asks_for_socket && head.status.is_success() && is_open {
                    stream.open.reopen();
                    stream.socket = Some(Box::new(ws::Socket::new(&head.headers)));
                }
            }
            Head::Trailers(fields) => {
                return stream.open.trailers(Side::Response, &fields, unknown, out);
            }
            Head::Unknown => return stream.open.lose(Side::Response, Ended::Gap),
            _ => {
                out.counts.malformed_messages += 1;
                return stream.open.lose(Side::Response, Ended::Malformed);
            }
        }
        stream.open.fields_unknown(Side::Response, unknown, out);
    }

    pub(super) fn data(
        &mut self,
        direction: Direction,
        number: u32,
        bytes: &[u8],
        end_stream: bool,
        out: &mut Output<'_>,
    ) {
        let side = self.side(direction);
        let stream = self.open.get_mut(&number);
        let (Some(side), Some(stream)) = (side, stream) else {
            out.counts.skipped_bytes += bytes.len() as u64;
            return;
        };
        stream.passed(side, bytes.len() as u64);
        let is_socket = stream.socket.is_some();
        if !stream.open.awaits(side) || !stream.open.has_head(side) {
            out.counts.skipped_bytes += bytes.len() as u64;
        } else if let Some(socket) = &mut stream.socket {
            socket.feed(side, bytes, &mut stream.open, out);
            stream.end_socket(side, out);
        } else if !bytes.is_empty() {
            stream.open.body(side, bytes, out);
        }
        if end_stream {
            self.end(number, side, out);
        }
        if end_stream || is_socket {
            self.sweep(number, out);
        }
    }

    /// Bytes of a DATA frame were not captured.
    pub(super) fn data_gap(
        &mut self,
        direction: Direction,
        number: u32,
        missing: u64,
        end_stream: bool,
        out: &mut Output<'_>,
    ) {
        let Some(side) = self.side(direction) else { return };
        let mut is_socket = false;
        if let Some(stream) = self.open.get_mut(&number) {
            stream.passed(side, missing);
            is_socket = stream.socket.is_some();
            match &mut stream.socket {
                Some(socket) => {
                    socket.gap(side, missing, &mut stream.open, out);
                    stream.end_socket(side, out);
                }
                None => stream.open.gap(side, missing, out),
            }
        }
        if end_stream {
            self.end(number, side, out);
        }
        if end_stream || is_socket {
            self.sweep(number, out);
        }
    }

    /// A header block was not captured.
    pub(super) fn lost_fields(
        &mut self,
        direction: Direction,
        number: u32,
        missing: u64,
        end_stream: bool,
        out: &mut Output<'_>,
    ) {
        let Some(side) = self.side(direction) else { return };
        // Its response may have come without it, on a connection joined late.
        let is_new = number > self.newest && !self.open.contains_key(&number);
        if side == Side::Request && is_new && self.make_room(out) {
            self.newest = number;
            self.open.insert(number, Stream::new(Open::new(out.ids.next())));
        }
        let Some(stream) = self.open.get_mut(&number) else { return };
        stream.open.gap(side, missing, out);
        if !stream.open.has_head(side) {
            stream.open.lose(side, Ended::Gap);
        } else if end_stream {
            self.end(number, side, out);
        }
        self.sweep(number, out);
    }

    /// A reset was not captured but for the stream that it ends.
    pub(super) fn lost_reset(&mut self, number: u32, out: &mut Output<'_>) {
        if let Some(stream) = self.open.remove(&number) {
            stream.open.cut(Ended::Gap, out);
        }
    }

    /// Frames of any stream may have been among bytes that were not captured.
    pub(super) fn hole(&mut self, direction: Direction, missing: u64, out: &mut Output<'_>) {
        let Some(side) = self.side(direction) else { return };
        self.missed_requests |= side == Side::Request;
        for stream in self.open.values_mut().filter(|stream| stream.open.awaits(side)) {
            stream.open.gap(side, missing, out);
            stream.holed = true;
            self.has_holed = true;
            if let Some(socket) = &mut stream.socket {
                socket.lose(side);
            }
        }
    }

    /// Nothing that follows in this direction can be read.
    pub(super) fn lose(&mut self, direction: Direction, how: Ended, out: &mut Output<'_>) {
        let Some(side) = self.side(direction) else { return };
        self.missed_requests |= side == Side::Request;
        for stream in self.open.values_mut() {
            stream.open.lose(side, how);
        }
        for (_, stream) in self.open.extract_if(.., |_, stream| stream.open.is_over()) {
            stream.open.end(out);
        }
    }

    pub(super) fn finish(&mut self, how: Ended, out: &mut Output<'_>) {
        for (_, stream) in std::mem::take(&mut self.open) {
            let is_unknown = stream.holed && how != Ended::TracerStopped;
            stream.cut(if is_unknown { Ended::Gap } else { how }, out);
        }
    }

    pub(super) fn rename(&mut self, out: &mut Output<'_>) {
        for stream in self.open.values_mut() {
            stream.open.rename(out);
        }
    }

    fn end(&mut self, number: u32, side: Side, out: &mut Output<'_>) {
        let Some(stream) = self.open.get_mut(&number) else { return };
        if !stream.open.awaits(side) {
            return;
        }
        if stream.open.has_head(side) {
            stream.open.done(side, out);
        } else {
            // §8.1: there is no message without a head, unless it was missed.
            let how = if stream.holed { Ended::Gap } else { Ended::Malformed };
            stream.open.lose(side, how);
        }
    }

    fn sweep(&mut self, number: u32, out: &mut Output<'_>) {
        if self.open.get(&number).is_some_and(|stream| stream.open.is_over())
            && let Some(stream) = self.open.remove(&number)
        {
            stream.open.end(out);
        }
    }

    /// Room for one more stream, if need be in place of the oldest whose end may have been missed.
    fn make_room(&mut self, out: &mut Output<'_>) -> bool {
        if self.open.len() < STREAMS_LIMIT {
            return true;
        }
        let mut holed = None;
        if self.has_holed {
            holed = self.open.iter().find(|(_, stream)| stream.holed).map(|(number, _)| *number);
            self.has_holed = holed.is_some();
        }
        match holed.and_then(|number| self.open.remove(&number)) {
            Some(stream) => {
                stream.open.cut(Ended::Gap, out);
                true
            }
            None => {
                out.counts.untracked_streams += 1;
                false
            }
        }
    }
}

impl Stream {
    fn new(open: Open) -> Box<Self> {
        Box::new(Self {
            open,
            asks_for_socket: false,
            socket: None,
            holed: false,
            response_left: None,
        })
    }

    /// DATA bytes passed, captured or not.
    fn passed(&mut self, side: Side, bytes: u64) {
        if side == Side::Response {
            // More than was announced is malformed (§8.1.1): then only END_STREAM counts.
            self.response_left = self.response_left.and_then(|left| left.checked_sub(bytes));
        }
    }

    /// A Close frame ends its direction of a WebSocket, whatever the stream does after it.
    fn end_socket(&mut self, side: Side, out: &mut Output<'_>) {
        if self.socket.as_ref().is_some_and(|socket| socket.is_over(side)) && self.open.awaits(side)
        {
            self.open.done(side, out);
        }
    }

    /// The stream is over without END_STREAM; whole all the same if every announced byte came.
    fn cut(mut self, how: Ended, out: &mut Output<'_>) {
        if self.response_left == Some(0) && self.open.awaits(Side::Response) {
            self.open.done(Side::Response, out);
        }
        if self.open.is_over() {
            self.open.end(out);
        } else {
            self.open.cut(how, out);
        }
    }
}
