//! One connection: which protocol it speaks and who asks, and how its exchanges end with it.
//! Takes its segments, its peer's end, its close; gives the events of whatever it carries.
//! What is no HTTP costs one look at its first bytes and nothing after.

use std::mem;

use http::{HeaderValue, header::UPGRADE};

use super::{
    Counts, Ended, ExchangeEvent, Passing, Role,
    h1::{self, Switch},
    h2,
    open::{Open, Side},
    output::{Ids, Output},
    sniff::{self, HTTP2_PREFACE, Start},
    ws,
};
use crate::capture::{CloseCause, ConnectionId, Data, Direction, PeerEnd, Segment, Timestamp};

#[derive(Debug)]
pub(super) struct Connection {
    ids: Ids,
    protocol: Protocol,
    /// What the TLS library said of the peer's end.
    peer_ended: Option<(Timestamp, PeerEnd)>,
    /// When the last segment passed.
    last_segment: Timestamp,
}

#[derive(Debug)]
enum Protocol {
    /// From its first byte, which has not told enough yet.
    Starting(Box<Beginnings>),
    /// From the middle: each segment may be the first that begins a message.
    Middle,
    Http1(Box<h1::Connection>),
    Http2(Box<h2::Connection>),
    WebSocket(Box<Upgraded>),
    /// HTTP no more, after an upgrade to what is not followed. The exchange that asked for it ends with the connection.
    Upgraded(Box<Open>, Role),
    /// Was HTTP, and can't be followed any more.
    GivenUp,
    /// No HTTP.
    Foreign,
}

/// A connection that became a WebSocket (RFC 6455 §4), and the exchange that asked for it.
#[derive(Debug)]
struct Upgraded {
    open: Open,
    role: Role,
    socket: ws::Socket,
}

/// First bytes of the two directions, each too short to tell.
#[derive(Debug, Default)]
struct Beginnings {
    received: Beginning,
    sent: Beginning,
    /// Bytes of both, the empty lines before them included.
    passed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Beginning {
    bytes: [u8; HTTP2_PREFACE.len()],
    len: usize,
    /// Before them, and not among them.
    empty_lines: bool,
    /// When the first of them passed.
    started: Timestamp,
}

impl Beginning {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// With `input` behind it, as far as there is room, which is enough to tell every protocol.
    fn with(mut self, input: &[u8], time: Timestamp) -> Self {
        let behind = if self.len == 0 { sniff::skip_empty_lines(input) } else { input };
        self.empty_lines |= behind.len() < input.len();
        let input = behind;
        if self.len == 0 {
            self.started = time;
        }
        let len = input.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + len].copy_from_slice(&input[..len]);
        self.len += len;
        self
    }

    fn is_full(&self) -> bool {
        self.len == self.bytes.len()
    }

    fn start(&self) -> Start {
        if self.empty_lines {
            Start::behind_empty_lines(self.bytes())
        } else {
            Start::of(self.bytes())
        }
    }
}

impl Beginnings {
    fn of(&mut self, direction: Direction) -> &mut Beginning {
        match direction {
            Direction::Received => &mut self.received,
            Direction::Sent => &mut self.sent,
        }
    }
}

/// How a connection's end ends its exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ending {
    how: Ended,
    /// A response that lasts until the close is whole.
    close_ends_body: bool,
}

impl Connection {
    /// Bytes of the heap that a connection holds which has not told what it is.
    #[cfg(test)]
    pub(super) const STARTING_HEAP: usize = size_of::<Beginnings>();

    /// `from_start`: known from its first byte.
    pub(super) fn new(id: ConnectionId, from_start: bool) -> Self {
        let protocol =
            if from_start { Protocol::Starting(Box::default()) } else { Protocol::Middle };
        Self { ids: Ids::new(id), protocol, peer_ended: None, last_segment: Timestamp::default() }
    }

    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        counts: &mut Counts,
        sink: &mut dyn FnMut(ExchangeEvent<'_>),
    ) {
        self.last_segment = segment.time;
        let mut out = Output { time: segment.time, ids: &mut self.ids, counts, sink };
        let mut data = Some(segment.data);
        // Once more for each change of protocol, which takes at least one byte each.
        while let Some(left) = data {
            data = self.protocol.feed(segment.direction, left, &mut out);
        }
    }

    /// What passes now that may not matter, see [`Passing`].
    pub(super) fn passing(&self) -> Option<Passing> {
        match &self.protocol {
            Protocol::Http1(http1) => {
                let (side, left) = http1.body()?;
                let direction = direction_of(side, http1.role());
                Some(Passing::Body { direction, left })
            }
            Protocol::GivenUp | Protocol::Foreign => Some(Passing::Nothing),
            Protocol::Starting(_)
            | Protocol::Middle
            | Protocol::Http2(_)
            | Protocol::WebSocket(_)
            | Protocol::Upgraded(..) => None,
        }
    }

    /// The peer will send nothing more.
    pub(super) fn peer_ended(
        &mut self,
        time: Timestamp,
        how: PeerEnd,
        counts: &mut Counts,
        sink: &mut dyn FnMut(ExchangeEvent<'_>),
    ) {
        self.peer_ended = Some((time, how));
        // A client that only closed its sending half still gets its answer (RFC 8446 §6.1).
        if let Some(role) = self.protocol.role()
            && (role != Role::Server || !how.may_be_half())
        {
            let mut out = Output { time, ids: &mut self.ids, counts, sink };
            self.protocol.finish(Ending::by_peer(role, how), &mut out);
        }
    }

    /// The connection is over for the traced process.
    pub(super) fn closed(
        mut self,
        time: Timestamp,
        cause: CloseCause,
        counts: &mut Counts,
        sink: &mut dyn FnMut(ExchangeEvent<'_>),
    ) {
        if let Protocol::Starting(beginnings) = &self.protocol {
            counts.skipped_bytes += beginnings.passed;
        }
        let Some(role) = self.protocol.role() else { return };
        let (ending, time) = match self.peer_ended {
            _ if cause == CloseCause::TracerStopped => (Ending::by_close(role, cause), time),
            // Known since then, unless the exchange went on regardless.
            Some((ended, how)) if self.last_segment <= ended => (Ending::by_peer(role, how), ended),
            _ if cause == CloseCause::Unseen => (Ending::by_close(role, cause), time),
            Some((_, how)) => (Ending::by_peer(role, how), time),
            None => (Ending::by_close(role, cause), time),
        };
        let mut out = Output { time, ids: &mut self.ids, counts, sink };
        self.protocol.finish(ending, &mut out);
    }

    /// Goes on, at `time`, with what `parent` was in the middle of; `parent` loses it.
    pub(super) fn take_over(
        id: ConnectionId,
        parent: &mut Self,
        time: Timestamp,
        counts: &mut Counts,
        sink: &mut dyn FnMut(ExchangeEvent<'_>),
    ) -> Self {
        let mut child = Self {
            ids: Ids::new(id),
            protocol: mem::replace(&mut parent.protocol, Protocol::Middle),
            peer_ended: parent.peer_ended,
            last_segment: parent.last_segment,
        };
        let mut out = Output { time, ids: &mut child.ids, counts, sink };
        match &mut child.protocol {
            Protocol::Http1(http1) => http1.rename(&mut out),
            Protocol::Http2(http2) => http2.rename(&mut out),
            Protocol::WebSocket(upgraded) => upgraded.open.rename(&mut out),
            Protocol::Upgraded(open, _) => open.rename(&mut out),
            Protocol::Starting(_) | Protocol::Middle | Protocol::GivenUp | Protocol::Foreign => {}
        }
        child
    }
}

impl Ending {
    fn by_peer(role: Role, how: PeerEnd) -> Self {
        let (how, close_ends_body) = match (role, how) {
            (Role::Client, PeerEnd::CloseNotify | PeerEnd::EndOfStream) => {
                (Ended::ServerClosed, true)
            }
            // An end of file or a protocol error. Whose fault it was is not known; servers that
            // end a body by closing often leave `close_notify` out (RFC 9112 §9.8).
            (Role::Client, PeerEnd::Broken) => (Ended::ConnectionLost, true),
            (Role::Client, PeerEnd::SystemCall) => (Ended::ServerReset, false),
            (Role::Server, PeerEnd::CloseNotify | PeerEnd::EndOfStream | PeerEnd::SystemCall) => {
                (Ended::ClientGone, false)
            }
            (Role::Server, PeerEnd::Broken) => (Ended::ConnectionLost, false),
        };
        Self { how, close_ends_body }
    }

    fn by_close(role: Role, cause: CloseCause) -> Self {
        let (how, close_ends_body) = match (role, cause) {
            (_, CloseCause::TracerStopped) => (Ended::TracerStopped, false),
            (_, CloseCause::Unseen) => (Ended::Gap, false),
            (Role::Client, _) => (Ended::ClientGone, false),
            (Role::Server, CloseCause::Freed) => (Ended::ServerClosed, true),
            (Role::Server, _) => (Ended::ServerClosed, false),
        };
        Self { how, close_ends_body }
    }
}

pub(super) fn role_of(direction: Direction, side: Side) -> Role {
    match (direction, side) {
        (Direction::Sent, Side::Request) | (Direction::Received, Side::Response) => Role::Client,
        (Direction::Received, Side::Request) | (Direction::Sent, Side::Response) => Role::Server,
    }
}

fn direction_of(side: Side, role: Role) -> Direction {
    match (side, role) {
        (Side::Request, Role::Client) | (Side::Response, Role::Server) => Direction::Sent,
        (Side::Request, Role::Server) | (Side::Response, Role::Client) => Direction::Received,
    }
}

pub(super) fn side_of(direction: Direction, role: Role) -> Side {
    match (direction, role) {
        (Direction::Sent, Role::Client) | (Direction::Received, Role::Server) => Side::Request,
        (Direction::Received, Role::Client) | (Direction::Sent, Role::Server) => Side::Response,
    }
}

impl Protocol {
    /// Who the traced process is, once that is known.
    fn role(&self) -> Option<Role> {
        match self {
            Self::Http1(http1) => Some(http1.role()),
            Self::Http2(http2) => http2.role(),
            Self::WebSocket(upgraded) => Some(upgraded.role),
            Self::Upgraded(_, role) => Some(*role),
            Self::Starting(_) | Self::Middle | Self::GivenUp | Self::Foreign => None,
        }
    }

    /// Takes what passed; gives back what is left of it for the protocol that `self` has become.
    fn feed<'a>(
        &mut self,
        direction: Direction,
        data: Data<'a>,
        out: &mut Output<'_>,
    ) -> Option<Data<'a>> {
        match (&mut *self, data) {
            (Self::Starting(beginnings), Data::Gap(_)) => {
                out.counts.skipped_bytes += beginnings.passed;
                *self = Self::Middle;
            }
            (Self::Starting(beginnings), Data::Bytes(input)) => {
                let before = beginnings.of(direction);
                let beginning = before.with(input, out.time);
                match beginning.start() {
                    Start::TooShort if !beginning.is_full() => {
                        *before = beginning;
                        beginnings.passed += input.len() as u64;
                    }
                    start => return self.start(start, direction, input, out),
                }
            }
            (Self::Middle, Data::Gap(_)) => {}
            (Self::Middle, Data::Bytes(input)) => match found_in(direction, input) {
                Some(protocol) => {
                    *self = protocol;
                    return Some(data);
                }
                None => out.counts.skipped_bytes += input.len() as u64,
            },
            (Self::Http2(http2), data) => {
                // What looked like frames was none, if a message of HTTP/1 begins.
                if let (None, Data::Bytes(input)) = (http2.role(), data)
                    && let Some(http1 @ Self::Http1(_)) = found_in(direction, input)
                {
                    *self = http1;
                    return Some(data);
                }
                http2.feed(direction, data, out);
            }
            (Self::Http1(http1), data) => {
                let side = side_of(direction, http1.role());
                let (switch, rest) = http1.feed(side, data, out)?;
                self.switch(switch, out);
                return (!rest.is_empty()).then_some(Data::Bytes(rest));
            }
            (Self::WebSocket(upgraded), data) => {
                let Upgraded { open, role, socket } = &mut **upgraded;
                let side = side_of(direction, *role);
                match data {
                    Data::Bytes(input) => socket.feed(side, input, open, out),
                    Data::Gap(missing) => socket.gap(side, missing, open, out),
                }
                if socket.is_over(side) && open.awaits(side) {
                    open.done(side, out);
                }
                if open.is_over()
                    && let Self::WebSocket(upgraded) = mem::replace(self, Self::GivenUp)
                {
                    upgraded.open.end(out);
                }
            }
            (Self::Upgraded(..) | Self::GivenUp, data) => {
                out.counts.skipped_bytes += captured(data);
            }
            (Self::Foreign, data) => out.counts.foreign_bytes += captured(data),
        }
        None
    }

    /// The first bytes of `direction` have told `start`; `input` is the last segment of them.
    fn start<'a>(
        &mut self,
        start: Start,
        direction: Direction,
        input: &'a [u8],
        out: &mut Output<'_>,
    ) -> Option<Data<'a>> {
        let side = match start {
            Start::Request | Start::Http2Preface => Side::Request,
            Start::Response | Start::Http2Settings => Side::Response,
            Start::TooShort | Start::Foreign => {
                out.counts.foreign_connections += 1;
                if let Self::Starting(beginnings) = mem::replace(self, Self::Foreign) {
                    out.counts.foreign_bytes += beginnings.passed;
                }
                return Some(Data::Bytes(input));
            }
        };
        let role = role_of(direction, side);
        let protocol = match start {
            Start::Http2Preface | Start::Http2Settings => {
                Self::Http2(Box::new(h2::Connection::new(role)))
            }
            _ => Self::Http1(Box::new(h1::Connection::new(role, false))),
        };
        let Self::Starting(mut before) = mem::replace(self, protocol) else { return None };
        // What the two directions held back goes first, at its own time.
        let now = out.time;
        for direction in [direction.opposite(), direction] {
            let beginning = before.of(direction);
            if beginning.len > 0 {
                out.time = beginning.started;
                self.feed(direction, Data::Bytes(beginning.bytes()), out);
            }
        }
        out.time = now;
        Some(Data::Bytes(input))
    }

    fn switch(&mut self, switch: Switch, out: &mut Output<'_>) {
        let next = match switch {
            // What goes through a tunnel is found out as on a connection of its own.
            Switch::Tunnel { begun: false } => Self::Starting(Box::default()),
            Switch::Tunnel { begun: true } => Self::Middle,
            Switch::Http2 { exchange } => {
                let role = self.role().unwrap_or(Role::Client);
                Self::Http2(Box::new(h2::Connection::upgraded(role, exchange)))
            }
            Switch::Upgrade { exchange: mut open, head } => {
                let role = self.role().unwrap_or(Role::Client);
                let to = head.headers.get(UPGRADE).map_or(&b""[..], HeaderValue::as_bytes);
                if to.eq_ignore_ascii_case(b"websocket") {
                    open.reopen();
                    let socket = ws::Socket::new(&head.headers);
                    Self::WebSocket(Box::new(Upgraded { open, role, socket }))
                } else {
                    Self::Upgraded(Box::new(open), role)
                }
            }
            Switch::GivenUp => {
                out.counts.given_up_connections += 1;
                Self::GivenUp
            }
        };
        let before = mem::replace(self, next);
        if let Self::Http1(mut http1) = before {
            http1.finish(Ended::Gap, false, out);
        }
    }

    /// The connection is over, or one of its directions in a way that ends all exchanges.
    fn finish(&mut self, ending: Ending, out: &mut Output<'_>) {
        match self {
            Self::Http2(http2) => http2.finish(ending.how, out),
            Self::Http1(http1) => http1.finish(ending.how, ending.close_ends_body, out),
            Self::WebSocket(_) => {
                if let Self::WebSocket(upgraded) = mem::replace(self, Self::GivenUp) {
                    upgraded.open.cut(ending.how, out);
                }
            }
            Self::Upgraded(..) => {
                let Self::Upgraded(open, _) = mem::replace(self, Self::GivenUp) else { return };
                let how = if ending.close_ends_body { Ended::Complete } else { ending.how };
                open.cut(how, out);
            }
            Self::Starting(_) | Self::Middle | Self::GivenUp | Self::Foreign => {}
        }
    }
}

/// The protocol of a connection joined in the middle, if `input` begins something of it.
fn found_in(direction: Direction, input: &[u8]) -> Option<Protocol> {
    let side = if sniff::begins_request(input) {
        Side::Request
    } else if sniff::begins_response(input) {
        Side::Response
    } else if h2::Connection::begins(input) {
        return Some(Protocol::Http2(Box::new(h2::Connection::joined_late())));
    } else {
        return None;
    };
    let role = role_of(direction, side);
    Some(Protocol::Http1(Box::new(h1::Connection::new(role, true))))
}

fn captured(data: Data<'_>) -> u64 {
    match data {
        Data::Bytes(bytes) => bytes.len() as u64,
        Data::Gap(_) => 0,
    }
}
