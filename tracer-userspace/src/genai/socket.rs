//! A WebSocket over which answers are asked for: one operation for each of them.
//! Takes the exchange's messages; gives the [`Operation`]s as they end.
//! What a message asks for, and which answer one belongs to, its [`Dialect`] says.

use std::collections::VecDeque;

use super::{
    about::{About, Course, Keep},
    answering::Answering,
    formats::{Asked, Format},
    json::{Document, Fault, Shapes},
    operation::Operation,
    recognize::Target,
};
use crate::{
    capture::Timestamp,
    http::{End, Ended, ExchangeId, Kind, RequestHead, Role, Unreadable},
};

/// Answers under way at once; when more are asked for, the oldest is told as far as it came.
const MAX_TURNS: usize = 16;

/// How a format's requests and answers are told in messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// Its request is a message of the client, which asks for an answer if it [`Asked::fits`]; its
    /// events are messages of the server.
    pub format: &'static Format,
    /// The client's own id of a message.
    pub message_id: fn(&mut Document) -> Option<String>,
    pub subject: fn(&mut Document) -> Subject,
}

/// What a message of the server is about. An answer without an id is the oldest under way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// No answer.
    Other,
    /// The connection, for which this model is set.
    Session { model: String },
    /// An answer that begins here.
    Beginning(Option<String>),
    /// The answer that is under way, of which there is one; if there is none, one that nobody asked
    /// for may begin here.
    Unnumbered { begins: bool },
    /// An answer that began before.
    Answer(Option<String>),
    /// The client's message with this id failed; without one, the oldest that asked for an answer
    /// and has none: clients that number no messages are told no number.
    Failure(Option<String>),
}

#[derive(Debug)]
pub(super) struct Socket {
    about: About,
    dialect: &'static Dialect,
    /// The message of the client under way, and since when.
    client: Document,
    asking: Option<Timestamp>,
    /// The message of the server under way.
    server: Document,
    /// In the order in which they were asked for.
    turns: VecDeque<Turn>,
    /// Operations that were told.
    told: u64,
    unknown_fields: u32,
    /// Who closed the connection in order, if one did.
    closed: Option<Ended>,
}

/// One answer, from the message that asked for it.
#[derive(Debug)]
struct Turn {
    asked: Asked,
    /// The client's id of the message that asked.
    message_id: Option<String>,
    /// The server's id of the answer, once it began.
    answer_id: Option<String>,
    begun: bool,
    start: Timestamp,
    request_end: Option<Timestamp>,
    answering: Answering,
    fault: Option<Fault>,
    unreadable: Option<Unreadable>,
}

impl Socket {
    pub(super) fn new(
        exchange: ExchangeId,
        dialect: &'static Dialect,
        target: Target,
        request: (&RequestHead, Role),
        keep: Keep,
    ) -> Self {
        let event = Shapes { facts: dialect.format.event, content: None };
        Self {
            about: About::new(exchange, target, request, keep),
            dialect,
            client: Document::new(dialect.format.request.shapes(keep.has_content())),
            asking: None,
            server: Document::new(event),
            turns: VecDeque::new(),
            told: 0,
            unknown_fields: 0,
            closed: None,
        }
    }

    /// What the exchange tells before its end; gives the operations that ended with it.
    pub(super) fn on(&mut self, kind: Kind<'_>, time: Timestamp) -> Vec<Operation> {
        match kind {
            Kind::Response { head, .. } => self.about.response(head),
            Kind::RequestBody(bytes) => {
                self.asking.get_or_insert(time);
                self.client.push(bytes);
            }
            Kind::RequestGap | Kind::RequestUnreadable(_) => {
                self.asking.get_or_insert(time);
                self.client.gap();
            }
            Kind::RequestMessageEnd(_) => return self.client_message(time).into_iter().collect(),
            Kind::ResponseBody(bytes) => self.server.push(bytes),
            Kind::ResponseGap => {
                self.server.gap();
                for turn in &mut self.turns {
                    turn.fault = Some(Fault::Gap);
                }
            }
            Kind::ResponseUnreadable(reason) => {
                self.server.gap();
                for turn in &mut self.turns {
                    turn.unreadable.get_or_insert(reason);
                }
            }
            Kind::ResponseMessageEnd(_) => return self.server_message(time).into_iter().collect(),
            Kind::RequestClose(_) => {
                self.closed.get_or_insert(Ended::ClientGone);
            }
            Kind::ResponseClose(_) => {
                self.closed.get_or_insert(Ended::ServerClosed);
            }
            Kind::RequestFieldsUnknown(count) | Kind::ResponseFieldsUnknown(count) => {
                self.unknown_fields = self.unknown_fields.saturating_add(count);
            }
            // Ends of the handshake and of the two directions; the rest is not of WebSockets.
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn moved(&mut self, exchange: ExchangeId) {
        self.about.exchange = exchange;
    }

    /// The exchange is over: the operations that were still under way.
    pub(super) fn finish(mut self, end: End, time: Timestamp) -> Vec<Operation> {
        // A WebSocket that was closed in order is complete; an answer that it cut short is not.
        let how = match end.how {
            Ended::Complete => self.closed.unwrap_or(Ended::ConnectionLost),
            how => how,
        };
        let turns = std::mem::take(&mut self.turns);
        turns.into_iter().map(|turn| self.tell(turn, End { how, ..end }, time)).collect()
    }

    fn client_message(&mut self, time: Timestamp) -> Option<Operation> {
        let start = self.asking.take().unwrap_or(time);
        let asked = (self.dialect.format.read_request)(&mut self.client);
        let message_id = (self.dialect.message_id)(&mut self.client);
        self.client.clear();
        if !asked.fits {
            // It may set the connection up.
            if let Some(model) = asked.request.model {
                self.about.target.model = Some(model);
            }
            return None;
        }
        self.begin(Turn {
            asked,
            message_id,
            request_end: Some(time),
            ..Turn::new(self.dialect.format, self.about.keep.has_content(), start)
        })
    }

    /// Adds an answer; gives the oldest if there are too many.
    fn begin(&mut self, turn: Turn) -> Option<Operation> {
        self.turns.push_back(turn);
        if self.turns.len() <= MAX_TURNS {
            return None;
        }
        let mut oldest = self.turns.pop_front()?;
        oldest.fault = Some(Fault::TooLarge);
        let time = oldest.start;
        Some(self.tell(oldest, whole(Ended::Gap), time))
    }

    fn server_message(&mut self, time: Timestamp) -> Option<Operation> {
        let mut dropped = None;
        let at = match (self.dialect.subject)(&mut self.server) {
            Subject::Other => None,
            Subject::Session { model } => {
                self.about.target.model.get_or_insert(model);
                None
            }
            Subject::Beginning(id) => {
                if self.turns.iter().all(|turn| turn.begun) {
                    // Nobody asked: the server answers by itself when the user stops speaking.
                    let turn = Turn::new(self.dialect.format, self.about.keep.has_content(), time);
                    dropped = self.begin(turn);
                }
                let at = self.turns.iter().position(|turn| !turn.begun);
                if let Some(turn) = at.and_then(|at| self.turns.get_mut(at)) {
                    turn.begun = true;
                    turn.answer_id = id;
                }
                at
            }
            Subject::Unnumbered { begins } => {
                if begins && self.turns.is_empty() {
                    let turn = Turn::new(self.dialect.format, self.about.keep.has_content(), time);
                    self.turns.push_back(turn);
                }
                (!self.turns.is_empty()).then_some(0)
            }
            Subject::Answer(None) => (!self.turns.is_empty()).then_some(0),
            Subject::Answer(id) => self.turns.iter().position(|turn| turn.answer_id == id),
            Subject::Failure(None) => self.turns.iter().position(|turn| !turn.begun),
            Subject::Failure(id) => self.turns.iter().position(|turn| turn.message_id == id),
        };
        let ended = at.and_then(|at| {
            let turn = &mut self.turns[at];
            turn.answering.event(b"", &mut self.server, time);
            if turn.answering.is_done() { self.turns.remove(at) } else { None }
        });
        self.server.clear();
        ended.map(|turn| self.tell(turn, whole(Ended::Complete), time)).or(dropped)
    }

    fn tell(&mut self, turn: Turn, end: End, time: Timestamp) -> Operation {
        let course = Course {
            turn: self.told,
            start: turn.start,
            fingerprint: None,
            request_end: turn.request_end,
            response_end: (end.how == Ended::Complete).then_some(time),
            over: time,
            end,
            unknown_fields: self.unknown_fields,
            unreadable: turn.unreadable,
        };
        self.told += 1;
        let read = turn.answering.finish(turn.fault);
        self.about.clone().operation(self.dialect.format, turn.asked, read, course)
    }
}

impl Turn {
    fn new(format: &Format, capture_content: bool, start: Timestamp) -> Self {
        Self {
            asked: Asked::default(),
            message_id: None,
            answer_id: None,
            begun: false,
            start,
            request_end: None,
            answering: Answering::new((format.answer)(capture_content)),
            fault: None,
            unreadable: None,
        }
    }
}

/// What is missing of an exchange is known only when that ends.
fn whole(how: Ended) -> End {
    End { how, missing_request: 0, missing_response: 0, joined_late: false }
}
