//! LLM operations out of HTTP exchanges: recognition, providers' formats, streams.
//! Takes [`crate::http::ExchangeEvent`]s; gives [`Operation`]s.
//! Knows the providers' wire formats; nothing of eBPF or OTLP.

mod about;
mod answering;
mod body;
mod call;
mod clip;
#[cfg(test)]
mod corpus_tests;
mod eventstream;
mod fingerprint;
mod formats;
#[cfg(fuzzing)]
pub mod fuzz;
mod grpc;
mod heads;
mod json;
mod jsonrpc;
mod mcp;
mod multipart;
mod named;
mod operation;
mod protobuf;
mod providers;
mod recognize;
mod server_times;
mod socket;
mod sse;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

use self::{about::Keep, call::Call, mcp::Mcp, socket::Socket};
pub use self::{
    named::{Named, WireFormat},
    operation::*,
};
use crate::{
    capture::{ConnectionId, Timestamp},
    http::{ExchangeEvent, ExchangeId, Kind, RequestHead, Role},
};

/// What to keep of calls beside their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep prompts, answers and tool definitions ([`Operation::content`]), head and tail of each.
    pub capture_content: bool,
}

/// The exchanges under way that may be LLM calls, or of the Model Context Protocol.
///
/// What is no call by its request's head, and what its bodies show to be none, is left at once and
/// takes no memory. A call holds a few KiB; one with bodies of 20 MiB each way about 200 KiB, with
/// their content 450 KiB, and a body made to harm a few MiB (the bounds of `json` and `clip`).
#[derive(Debug, Default)]
pub struct Calls {
    options: Options,
    named: Vec<Named>,
    /// There is no time for content.
    hurried: bool,
    open: BTreeMap<ExchangeId, Open>,
    mcp: Mcp,
}

/// An exchange under way.
#[derive(Debug)]
enum Open {
    Call(Box<Call>),
    Socket(Box<Socket>),
}

impl Calls {
    pub fn new(options: Options) -> Self {
        let mcp = Mcp::new(options.capture_content);
        Self { options, named: Vec::new(), hurried: false, open: BTreeMap::new(), mcp }
    }

    /// What these hosts and paths speak; the first entry that a request belongs to counts.
    #[must_use]
    pub fn naming(mut self, named: Vec<Named>) -> Self {
        self.named = named;
        self
    }

    /// Feeds one event; gives the operations that it ended: one of an exchange that was an LLM
    /// call, or any number of those that were asked for over a WebSocket or by the Model Context
    /// Protocol.
    ///
    /// An exchange whose request's head was not seen is left: nothing says what was asked.
    pub fn on(&mut self, event: &ExchangeEvent<'_>) -> Vec<Operation> {
        let mut ended = self.llm(event);
        self.mcp.on(event, &mut ended);
        ended
    }

    fn llm(&mut self, event: &ExchangeEvent<'_>) -> Vec<Operation> {
        let ExchangeEvent { exchange, time, kind } = *event;
        match kind {
            Kind::Request { head, role, started } => self.begin(exchange, (head, role, started)),
            Kind::End(end) => {
                return match self.open.remove(&exchange) {
                    Some(Open::Call(call)) => call.finish(end, time).into_iter().collect(),
                    Some(Open::Socket(socket)) => socket.finish(end, time),
                    None => Vec::new(),
                };
            }
            Kind::Moved(to) => {
                if let Some(mut open) = self.open.remove(&exchange) {
                    match &mut open {
                        Open::Call(call) => call.moved(to),
                        Open::Socket(socket) => socket.moved(to),
                    }
                    self.open.insert(to, open);
                }
            }
            kind => match self.open.get_mut(&exchange) {
                Some(Open::Call(call)) => {
                    let possible = call.on(kind, time);
                    if !possible {
                        self.open.remove(&exchange);
                    }
                }
                Some(Open::Socket(socket)) => return socket.on(kind, time),
                None => {}
            },
        }
        Vec::new()
    }

    fn begin(&mut self, exchange: ExchangeId, request: (&RequestHead, Role, Timestamp)) {
        let keep = match (self.options.capture_content, self.hurried) {
            (false, _) => Keep::Numbers,
            (true, true) => Keep::NumbersForNow,
            (true, false) => Keep::Content,
        };
        let (head, role, _) = request;
        let open = if let Some((dialect, target)) = recognize::socket(head) {
            let socket = Socket::new(exchange, dialect, target, (head, role), keep);
            Open::Socket(Box::new(socket))
        } else if let Some(recognized) = recognize::recognize(head, &self.named) {
            Open::Call(Box::new(Call::new(exchange, recognized, request, keep)))
        } else {
            return;
        };
        self.open.insert(exchange, open);
    }

    /// Under overload no content is kept of calls that begin; [`Content::shed`] tells it.
    pub fn hurry(&mut self, hurried: bool) {
        self.hurried = hurried;
    }

    /// The connection has an exchange that may be an LLM call.
    pub fn is_under_way_on(&self, connection: ConnectionId) -> bool {
        let id = |index| ExchangeId { connection, index };
        self.open.range(id(0)..=id(u64::MAX)).next().is_some()
    }

    /// Exchanges under way that may be LLM calls, or of the Model Context Protocol.
    pub fn open(&self) -> usize {
        let other = self.mcp.open().filter(|exchange| !self.open.contains_key(exchange));
        self.open.len() + other.count()
    }
}
