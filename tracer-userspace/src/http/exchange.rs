//! What `http` gives: request and response of one exchange as a run of events, bodies decoded.
//! Takes connection ids and times from capture; says nothing of what the bodies mean.
//! For each exchange: any order the wire had, then [`Kind::End`] or [`Kind::Moved`] exactly once, last.

use ::http::{HeaderMap, Method, StatusCode, Version};

use crate::capture::{ConnectionId, Direction, Timestamp};

/// One request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    pub connection: ConnectionId,
    /// Counts the exchanges of a connection from 0.
    pub index: u64,
}

/// Which end of the exchange the traced process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It sent the request.
    Client,
    /// It received the request.
    Server,
}

#[derive(Clone, Debug)]
pub struct RequestHead {
    pub method: Method,
    /// Request target as sent (RFC 9112 §3.2): origin, absolute, authority or asterisk form.
    /// Of HTTP/2 `:path`, or `:authority` for CONNECT; empty where it is not known.
    pub target: String,
    pub version: Version,
    /// With a `host` made of HTTP/2's `:authority`, unless it has one (RFC 9113 §8.3.1), and an
    /// `upgrade` made of its `:protocol` (RFC 8441 §4): it asks for the same.
    pub headers: HeaderMap,
}

#[derive(Clone, Debug)]
pub struct ResponseHead {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
}

#[derive(Clone, Copy, Debug)]
pub struct ExchangeEvent<'a> {
    pub exchange: ExchangeId,
    /// When the last byte of what this event tells passed.
    pub time: Timestamp,
    pub kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// The request's head is complete. `started` is when its first byte passed.
    Request {
        head: &'a RequestHead,
        role: Role,
        started: Timestamp,
    },
    /// So many fields of the request's head or trailers are not known, since they refer to what passed before
    /// the connection was joined, or are no valid fields. Those that were told are right.
    RequestFieldsUnknown(u32),
    /// Body bytes, content codings removed. Of gRPC and WebSocket the messages' bytes only, without
    /// their framing, compression removed.
    RequestBody(&'a [u8]),
    /// A gRPC or WebSocket message of the client ends here: the body bytes since the last one.
    RequestMessageEnd(MessageKind),
    /// The client sent a WebSocket Close frame, with this status code if any (RFC 6455 §7.4).
    RequestClose(Option<u16>),
    /// Bytes of the request are missing here; how many is in the end's [`End::missing_request`].
    RequestGap,
    /// The request's content coding could not be removed from here on; what was told before stands.
    /// Of a WebSocket: the message under way can't be read, others may follow that can.
    RequestUnreadable(Unreadable),
    /// Fields behind the body: of HTTP/2, of a chunked body, or in the last frame of gRPC-web.
    RequestTrailers(&'a HeaderMap),
    /// The request is whole. Where the response is 101, the two directions go on as those of what
    /// the connection was upgraded to, and each ends once more if that has an end of its own.
    RequestEnd,
    /// The final response's head (interim 1xx responses are not told). `started`: its first byte.
    /// `role` is repeated since the request may not have been seen.
    Response {
        head: &'a ResponseHead,
        role: Role,
        started: Timestamp,
    },
    ResponseFieldsUnknown(u32),
    ResponseBody(&'a [u8]),
    ResponseMessageEnd(MessageKind),
    ResponseClose(Option<u16>),
    ResponseGap,
    ResponseUnreadable(Unreadable),
    ResponseTrailers(&'a HeaderMap),
    ResponseEnd,
    /// The exchange goes on under this id: a forked process took its connection over. Nothing more
    /// comes under the old id, and the first events under the new one continue where it stood.
    Moved(ExchangeId),
    End(End),
}

/// What kind of message came to its end within a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    Grpc,
    /// WebSocket, opcode 1: UTF-8.
    Text,
    /// WebSocket, opcode 2.
    Binary,
}

/// Why a body's content coding could not be removed (RFC 9110 §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unreadable {
    #[error("unknown content coding")]
    UnknownCoding,
    #[error("more content codings in a row than are followed")]
    TooManyCodings,
    #[error("corrupt content coding")]
    Corrupt,
    #[error("content coding ends before its end")]
    Truncated,
    #[error("content coding expands beyond all proportion")]
    Bomb,
    #[error("bytes of a content coding are missing")]
    Gap,
}

impl Unreadable {
    /// The reason as a value of telemetry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCoding => "coding-unknown",
            Self::TooManyCodings => "coding-nested",
            Self::Corrupt => "coding-corrupt",
            Self::Truncated => "coding-truncated",
            Self::Bomb => "coding-bomb",
            Self::Gap => "coding-gap",
        }
    }
}

/// How an exchange ended, and what of it was not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub how: Ended,
    /// Wire bytes of the request that passed and were not captured, or whose place in it was not
    /// known behind such a gap. Where they may have belonged to any of several HTTP/2 streams, they
    /// are in each one's number.
    pub missing_request: u64,
    pub missing_response: u64,
    /// The connection was joined after its start and this exchange may have begun before.
    pub joined_late: bool,
}

/// The ways an exchange can end, told apart by what was seen, never by an idle timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Both messages are whole by their framing.
    Complete,
    /// The response is whole, and the request never was: the server did not wait for the rest of it,
    /// and it did not come.
    AnsweredEarly,
    /// The client closed, freed or abandoned the connection, or its process ended, before the end.
    ClientGone,
    /// The server closed the connection in order (`close_notify`, end of file) before the end.
    ServerClosed,
    /// The transport broke (reset) before the end.
    ServerReset,
    /// The connection ended before the response did, and which end did it is not known.
    ConnectionLost,
    /// The server went away (GOAWAY) without having taken the HTTP/2 stream up: the request can be
    /// sent again (RFC 9113 §6.8).
    Refused,
    /// An HTTP/2 stream was reset, with this error code (RFC 9113 §7).
    StreamReset(u32),
    /// The bytes were not the protocol they began as.
    Malformed,
    /// Captured bytes are missing, so that the message's end could not be found.
    Gap,
    /// llmtap stopped while the exchange went on.
    TracerStopped,
}

/// What passes on a connection, where whoever has no use for it may do without: HTTP goes on right
/// behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The body of one message, and nothing else until it is over or something passes in the other
    /// direction: no other exchange is under way. `left`: bytes of it that are to come, where that is known.
    Body { direction: Direction, left: Option<u64> },
    /// Bytes that no message will come of any more.
    Nothing,
}
