//! Calls of the Model Context Protocol: a JSON-RPC request of one side, and what the other answered.
//! Takes the exchanges' events; gives each call as an [`Operation`] with its [`McpCall`].
//! Both HTTP transports: a request's answer may come in another exchange of the same session.

mod exchange;
mod message;

use foldhash::HashMap;

use self::exchange::{Exchange, Said};
use super::{
    jsonrpc::Id,
    operation::{Operation, ProviderError},
};
use crate::{
    capture::Timestamp,
    http::{End, Ended, ExchangeEvent, ExchangeId, Kind, Role},
};

/// Requests without an answer that are held at once; what comes beyond is told without its answer.
const MAX_WAITING: usize = 2048;

/// Sessions that are known at once.
const MAX_SESSIONS: usize = 1024;

/// `error.type` of a tool that ran and failed.
const TOOL_ERROR: &str = "tool_error";

/// Where a request and its answer find each other: ids are unique in a session and for one sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// The traced process's role keeps both ends of a session apart, where both are traced.
    Session(Role, String),
    /// Without a session the answer is in the same exchange.
    Exchange(ExchangeId),
}

/// Which side of the session sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sender {
    Client,
    Server,
}

/// Boxed: a table that grows holds its entries twice, and half of it is empty.
type Waiting = HashMap<(Place, Sender, Id), Box<Operation>>;

/// The protocol's exchanges under way, and requests that wait for their answer.
#[derive(Debug, Default)]
pub(super) struct Mcp {
    capture_content: bool,
    open: HashMap<ExchangeId, Exchange>,
    waiting: Waiting,
    /// Exchanges of a session on which the server may still answer.
    streams: HashMap<Place, usize>,
}

impl Mcp {
    pub(super) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    /// Exchanges under way that may be the protocol's.
    pub(super) fn open(&self) -> impl Iterator<Item = &ExchangeId> {
        self.open.keys()
    }

    /// Feeds one event; what is finished goes to `out`.
    pub(super) fn on(&mut self, event: &ExchangeEvent<'_>, out: &mut Vec<Operation>) {
        let id = event.exchange;
        match event.kind {
            Kind::Request { head, role, started } => {
                let exchange = Exchange::new(id, head, (role, started), self.capture_content);
                if let Some(exchange) = exchange {
                    self.open.insert(id, exchange);
                }
            }
            Kind::Moved(to) => {
                if let Some(mut exchange) = self.open.remove(&id) {
                    exchange.moved(to);
                    self.open.insert(to, exchange);
                }
            }
            Kind::End(end) => {
                if let Some(mut exchange) = self.open.remove(&id) {
                    let mut said = Vec::new();
                    exchange.over(event.time, &mut said);
                    self.take(&mut exchange, said, out);
                    self.ended(&exchange, end, event.time, out);
                }
            }
            kind => {
                let Some(mut exchange) = self.open.remove(&id) else { return };
                let mut said = Vec::new();
                let possible = exchange.on(kind, event.time, &mut said);
                self.take(&mut exchange, said, out);
                if possible {
                    self.open.insert(id, exchange);
                }
            }
        }
    }

    fn take(&mut self, exchange: &mut Exchange, said: Vec<Said>, out: &mut Vec<Operation>) {
        for said in said {
            match said {
                Said::Request { sender, id, operation } => {
                    let place = exchange.place();
                    if self.waiting.len() >= MAX_WAITING {
                        out.push(*operation);
                        continue;
                    }
                    if sender == Sender::Client {
                        exchange.asked.push((place.clone(), id.clone()));
                    }
                    self.waiting.insert((place, sender, id), operation);
                }
                Said::Notification { operation } => out.push(*operation),
                Said::Answer { sender, id, answer, time } => {
                    let own = Place::Exchange(exchange.id());
                    let found = [own, exchange.place()]
                        .into_iter()
                        .find_map(|place| self.waiting.remove(&(place, sender, id.clone())));
                    if let Some(mut operation) = found {
                        answer.complete(&mut operation);
                        operation.timing.end = time;
                        operation.http.status = exchange.status().or(operation.http.status);
                        out.push(*operation);
                    }
                }
                Said::Stream => {
                    if self.streams.len() < MAX_SESSIONS {
                        *self.streams.entry(exchange.place()).or_default() += 1;
                        exchange.streams = true;
                    }
                }
            }
        }
    }

    /// What it asked and nobody answered is over, unless the session's stream may still bring it.
    fn ended(&mut self, exchange: &Exchange, end: End, time: Timestamp, out: &mut Vec<Operation>) {
        let failed = exchange.status().is_some_and(|status| status >= 400);
        for (place, id) in &exchange.asked {
            let awaits = end.how == Ended::Complete && !failed && self.streams.contains_key(place);
            if awaits {
                continue;
            }
            if let Some(mut operation) =
                self.waiting.remove(&(place.clone(), Sender::Client, id.clone()))
            {
                operation.http.status = exchange.status();
                finish(*operation, end, time, out);
            }
        }
        if !exchange.streams {
            return;
        }
        let place = exchange.place();
        let left = self.streams.get_mut(&place).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left > 0 {
            return;
        }
        self.streams.remove(&place);
        let under_way: Vec<_> = self.open.values().flat_map(|open| &open.asked).collect();
        let over = |(there, sender, id): &(Place, Sender, Id)| {
            let asked = || under_way.iter().any(|(other, known)| other == there && known == id);
            *there == place && (*sender == Sender::Server || !asked())
        };
        let over: Vec<_> = self.waiting.keys().filter(|key| over(key)).cloned().collect();
        for key in over {
            if let Some(operation) = self.waiting.remove(&key) {
                finish(*operation, end, time, out);
            }
        }
    }
}

/// Nobody answered: how the exchange ended that could have brought the answer is all there is.
fn finish(mut operation: Operation, end: End, time: Timestamp, out: &mut Vec<Operation>) {
    operation.timing.end = time;
    operation.end = end;
    out.push(operation);
}

/// What answered a request.
#[derive(Debug)]
enum Answer {
    Result(Box<message::Result>),
    Error { code: Option<i64>, message: Option<String> },
}

impl Answer {
    fn complete(self, operation: &mut Operation) {
        let Some(call) = operation.mcp.as_deref_mut() else { return };
        match self {
            Self::Result(result) => {
                if result.is_error {
                    let kind = TOOL_ERROR.to_owned();
                    operation.error = Some(ProviderError { kind, message: result.error_text });
                }
                call.protocol_version = result.protocol_version.or(call.protocol_version.take());
                if call.is_tool() {
                    call.result = result.content;
                }
            }
            Self::Error { code, message } => {
                let kind = code.map_or_else(|| "_OTHER".to_owned(), |code| code.to_string());
                operation.error = Some(ProviderError { kind, message });
                call.error_code = code;
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
