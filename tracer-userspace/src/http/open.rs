//! An exchange under way: which of its two messages are over, what is missing, its decoders.
//! Takes heads, body bytes still in their content coding, gaps; gives events in the wire's order.
//! Shared by all protocols; knows nothing of framing.

use http::HeaderMap;

use super::{
    End, Ended, ExchangeId, Kind, MessageKind, RequestHead, ResponseHead, Role, Unreadable,
    coding::Decoder, grpc, output::Output,
};
use crate::capture::Timestamp;

/// One of the two messages of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

impl Side {
    fn body(self, bytes: &[u8]) -> Kind<'_> {
        match self {
            Self::Request => Kind::RequestBody(bytes),
            Self::Response => Kind::ResponseBody(bytes),
        }
    }

    fn gap(self) -> Kind<'static> {
        match self {
            Self::Request => Kind::RequestGap,
            Self::Response => Kind::ResponseGap,
        }
    }

    fn unreadable(self, reason: Unreadable) -> Kind<'static> {
        match self {
            Self::Request => Kind::RequestUnreadable(reason),
            Self::Response => Kind::ResponseUnreadable(reason),
        }
    }

    fn message_end(self, kind: MessageKind) -> Kind<'static> {
        match self {
            Self::Request => Kind::RequestMessageEnd(kind),
            Self::Response => Kind::ResponseMessageEnd(kind),
        }
    }

    fn close(self, code: Option<u16>) -> Kind<'static> {
        match self {
            Self::Request => Kind::RequestClose(code),
            Self::Response => Kind::ResponseClose(code),
        }
    }

    fn fields_unknown(self, count: u32) -> Kind<'static> {
        match self {
            Self::Request => Kind::RequestFieldsUnknown(count),
            Self::Response => Kind::ResponseFieldsUnknown(count),
        }
    }

    fn trailers(self, fields: &HeaderMap) -> Kind<'_> {
        match self {
            Self::Request => Kind::RequestTrailers(fields),
            Self::Response => Kind::ResponseTrailers(fields),
        }
    }

    fn end(self) -> Kind<'static> {
        match self {
            Self::Request => Kind::RequestEnd,
            Self::Response => Kind::ResponseEnd,
        }
    }
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Not yet seen, or under way.
    Open,
    Done,
    /// Its end won't be found, and why.
    Lost(Ended),
    /// It passed before the connection was joined.
    Unseen,
}

#[derive(Debug)]
enum Coding {
    /// Bytes pass as they are.
    Identity,
    /// Boxed: an idle connection must not pay for it.
    Decoding(Box<Decoder>),
    Grpc(Box<grpc::Reader>),
    /// Can't be decoded, which matters once there is a body.
    Unknown(Unreadable),
    /// Told as unreadable; what comes is left out.
    Unreadable,
}

#[derive(Debug)]
struct Message {
    progress: Progress,
    missing: u64,
    coding: Coding,
}

impl Message {
    fn new(progress: Progress) -> Self {
        Self { progress, missing: 0, coding: Coding::Identity }
    }
}

#[derive(Debug)]
pub(super) struct Open {
    id: ExchangeId,
    request: Message,
    response: Message,
    joined_late: bool,
    /// The request's head was told.
    asked: bool,
    /// The response's head was told.
    answered: bool,
    /// The two directions are those of what the connection or stream was upgraded to.
    upgraded: bool,
}

impl Open {
    /// A request begins.
    pub(super) fn new(id: ExchangeId) -> Self {
        Self {
            id,
            request: Message::new(Progress::Open),
            response: Message::new(Progress::Open),
            joined_late: false,
            asked: false,
            answered: false,
            upgraded: false,
        }
    }

    /// A response begins to which no request was seen, since it was lost for the reason given or
    /// passed before the connection was joined.
    pub(super) fn unasked(id: ExchangeId, lost: Option<Ended>, joined_late: bool) -> Self {
        let request = lost.map_or(Progress::Unseen, Progress::Lost);
        Self { request: Message::new(request), joined_late, ..Self::new(id) }
    }

    fn message(&mut self, side: Side) -> &mut Message {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    pub(super) fn request_head(
        &mut self,
        head: &RequestHead,
        role: Role,
        started: Timestamp,
        out: &mut Output<'_>,
    ) {
        self.asked = true;
        out.tell(self.id, Kind::Request { head, role, started });
        self.begin_body(Side::Request, &head.headers);
    }

    pub(super) fn response_head(
        &mut self,
        head: &ResponseHead,
        role: Role,
        started: Timestamp,
        out: &mut Output<'_>,
    ) {
        self.answered = true;
        out.tell(self.id, Kind::Response { head, role, started });
        self.begin_body(Side::Response, &head.headers);
    }

    fn begin_body(&mut self, side: Side, headers: &HeaderMap) {
        self.message(side).coding = match Decoder::for_headers(headers) {
            Ok(None) => match grpc::Reader::for_headers(headers) {
                Some(reader) => Coding::Grpc(Box::new(reader)),
                None => Coding::Identity,
            },
            Ok(Some(decoder)) => Coding::Decoding(Box::new(decoder)),
            Err(reason) => Coding::Unknown(reason),
        };
    }

    fn unreadable(&mut self, side: Side, reason: Unreadable, out: &mut Output<'_>) {
        self.message(side).coding = Coding::Unreadable;
        out.counts.unreadable_bodies += 1;
        out.tell(self.id, side.unreadable(reason));
    }

    /// Fields of the head or the trailers can't be told.
    pub(super) fn fields_unknown(&mut self, side: Side, count: u32, out: &mut Output<'_>) {
        if count > 0 {
            out.tell(self.id, side.fields_unknown(count));
        }
    }

    /// `unknown`: fields of the trailers that can't be told.
    pub(super) fn trailers(
        &mut self,
        side: Side,
        fields: &HeaderMap,
        unknown: u32,
        out: &mut Output<'_>,
    ) {
        tell_part(self.id, side, grpc::Part::Trailers { fields, unknown }, out);
    }

    /// Body bytes as the framing gave them.
    pub(super) fn body(&mut self, side: Side, bytes: &[u8], out: &mut Output<'_>) {
        let id = self.id;
        let result = match &mut self.message(side).coding {
            Coding::Identity => {
                out.tell(id, side.body(bytes));
                Ok(())
            }
            Coding::Decoding(decoder) => {
                decoder.decode(bytes, &mut |decoded| out.tell(id, side.body(decoded)))
            }
            Coding::Grpc(reader) => reader.read(bytes, &mut |part| tell_part(id, side, part, out)),
            Coding::Unknown(reason) => Err(*reason),
            Coding::Unreadable => Ok(()),
        };
        if let Err(reason) = result {
            self.unreadable(side, reason, out);
        }
    }

    /// The connection was upgraded: both directions go on with what is told as it is.
    pub(super) fn reopen(&mut self) {
        self.upgraded = true;
        for message in [&mut self.request, &mut self.response] {
            message.progress = Progress::Open;
            message.coding = Coding::Identity;
        }
    }

    /// Bytes of a message within what the connection was upgraded to.
    pub(super) fn tell_body(&self, side: Side, bytes: &[u8], out: &mut Output<'_>) {
        out.tell(self.id, side.body(bytes));
    }

    pub(super) fn tell_message_end(&self, side: Side, kind: MessageKind, out: &mut Output<'_>) {
        out.tell(self.id, side.message_end(kind));
    }

    pub(super) fn tell_close(&self, side: Side, code: Option<u16>, out: &mut Output<'_>) {
        out.tell(self.id, side.close(code));
    }

    /// A message can't be read; others may follow that can.
    pub(super) fn tell_unreadable(&self, side: Side, reason: Unreadable, out: &mut Output<'_>) {
        out.counts.unreadable_bodies += 1;
        out.tell(self.id, side.unreadable(reason));
    }

    /// Bytes of the message passed and were not captured.
    pub(super) fn gap(&mut self, side: Side, missing: u64, out: &mut Output<'_>) {
        if self.is_told() {
            out.tell(self.id, side.gap());
        }
        let id = self.id;
        let message = self.message(side);
        message.missing = message.missing.saturating_add(missing);
        let result = match &mut message.coding {
            Coding::Decoding(_) => Err(Unreadable::Gap),
            Coding::Grpc(reader) => {
                reader.skip(missing, &mut |part| tell_part(id, side, part, out))
            }
            Coding::Identity | Coding::Unknown(_) | Coding::Unreadable => Ok(()),
        };
        if let Err(reason) = result {
            self.unreadable(side, reason, out);
        }
    }

    /// The message is whole by its framing.
    pub(super) fn done(&mut self, side: Side, out: &mut Output<'_>) {
        let result = match &mut self.message(side).coding {
            Coding::Decoding(decoder) => decoder.finish(),
            Coding::Grpc(reader) => reader.finish(),
            Coding::Identity | Coding::Unknown(_) | Coding::Unreadable => Ok(()),
        };
        if let Err(reason) = result {
            self.unreadable(side, reason, out);
        }
        let message = self.message(side);
        message.progress = Progress::Done;
        message.coding = Coding::Identity;
        out.tell(self.id, side.end());
    }

    /// The end of the message won't be found.
    pub(super) fn lose(&mut self, side: Side, how: Ended) {
        let message = self.message(side);
        if message.progress == Progress::Open {
            message.progress = Progress::Lost(how);
            message.coding = Coding::Identity;
        }
    }

    /// The message has not come to its end.
    pub(super) fn awaits(&self, side: Side) -> bool {
        let message = match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        };
        message.progress == Progress::Open
    }

    /// Something was told under this id, so its end must be too.
    fn is_told(&self) -> bool {
        self.asked || self.answered
    }

    /// The message's head was told.
    pub(super) fn has_head(&self, side: Side) -> bool {
        match side {
            Side::Request => self.asked,
            Side::Response => self.answered,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        !self.awaits(Side::Request) && !self.awaits(Side::Response)
    }

    /// The exchange is over by itself.
    pub(super) fn end(self, out: &mut Output<'_>) {
        let how = match (self.request.progress, self.response.progress) {
            (_, Progress::Lost(how)) | (Progress::Lost(how), _) => how,
            _ => Ended::Complete,
        };
        self.end_as(how, out);
    }

    /// The connection or stream is over, as `how` says. A response that was lost before stays lost,
    /// and one that is whole needs no more of its request.
    pub(super) fn cut(self, how: Ended, out: &mut Output<'_>) {
        let is_seen = !matches!(how, Ended::Gap | Ended::TracerStopped);
        let how = match self.response.progress {
            Progress::Lost(lost) => lost,
            Progress::Done if is_seen && !self.upgraded => Ended::AnsweredEarly,
            _ => how,
        };
        self.end_as(how, out);
    }

    fn end_as(self, how: Ended, out: &mut Output<'_>) {
        if !self.is_told() {
            // Not even a head was read: no call to tell of, but not silence either.
            out.counts.headless_exchanges += 1;
            return;
        }
        out.counts.exchanges += 1;
        out.counts.unasked_exchanges += u64::from(!self.asked);
        let end = End {
            how,
            missing_request: self.request.missing,
            missing_response: self.response.missing,
            joined_late: self.joined_late,
        };
        out.tell(self.id, Kind::End(end));
    }

    /// The exchange goes on under an id of the connection that `out` is for.
    pub(super) fn rename(&mut self, out: &mut Output<'_>) {
        let id = out.ids.next();
        if self.is_told() {
            out.tell(self.id, Kind::Moved(id));
        }
        self.id = id;
    }
}

fn tell_part(id: ExchangeId, side: Side, part: grpc::Part<'_>, out: &mut Output<'_>) {
    match part {
        grpc::Part::Bytes(bytes) => out.tell(id, side.body(bytes)),
        grpc::Part::MessageEnd => out.tell(id, side.message_end(MessageKind::Grpc)),
        grpc::Part::Trailers { fields, unknown } => {
            if !fields.is_empty() {
                out.tell(id, side.trailers(fields));
            }
            if unknown > 0 {
                out.tell(id, side.fields_unknown(unknown));
            }
        }
    }
}
