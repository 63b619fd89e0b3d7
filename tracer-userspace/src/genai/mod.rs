//! LLM operations out of HTTP exchanges: recognition, providers' formats, streams.
//! Takes [`crate::http::ExchangeEvent`]s; gives [`Operation`]s.
//! Knows the providers' wire formats; nothing of eBPF or OTLP.

mod body;
mod call;
mod clip;
#[cfg(test)]
mod corpus_tests;
mod eventstream;
mod formats;
#[cfg(fuzzing)]
pub mod fuzz;
mod json;
#[cfg_attr(not(test), expect(dead_code, reason = "for the protocols over it, which come next"))]
mod jsonrpc;
mod operation;
mod providers;
mod recognize;
mod sse;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

use self::call::{Call, Keep};
pub use self::operation::*;
use crate::{
    capture::ConnectionId,
    http::{ExchangeEvent, ExchangeId, Kind},
};

/// What to keep of calls beside their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep prompts, answers and tool definitions ([`Operation::content`]), head and tail of each.
    pub capture_content: bool,
}

/// The exchanges under way that may be LLM calls.
///
/// What is no call by its request's head, and what its bodies show to be none, is left at once and
/// takes no memory. A call holds a few KiB; one with bodies of 20 MiB each way about 200 KiB, with
/// their content 450 KiB, and a body made to harm a few MiB (the bounds of `json` and `clip`).
#[derive(Debug, Default)]
pub struct Calls {
    options: Options,
    /// There is no time for content.
    hurried: bool,
    open: BTreeMap<ExchangeId, Call>,
}

impl Calls {
    pub fn new(options: Options) -> Self {
        Self { options, hurried: false, open: BTreeMap::new() }
    }

    /// Feeds one event; gives the operation when its exchange ended and it was an LLM call.
    ///
    /// An exchange whose request's head was not seen is left: nothing says what was asked.
    pub fn on(&mut self, event: &ExchangeEvent<'_>) -> Option<Operation> {
        if let Kind::Request { head, role, started } = event.kind {
            if let Some(recognized) = recognize::recognize(head) {
                let keep = match (self.options.capture_content, self.hurried) {
                    (false, _) => Keep::Numbers,
                    (true, true) => Keep::NumbersForNow,
                    (true, false) => Keep::Content,
                };
                let call = Call::new(event.exchange, recognized, (head, role, started), keep);
                self.open.insert(event.exchange, call);
            }
            return None;
        }
        if let Kind::End(end) = event.kind {
            return self.open.remove(&event.exchange)?.finish(end, event.time);
        }
        if let Kind::Moved(exchange) = event.kind {
            let mut call = self.open.remove(&event.exchange)?;
            call.moved(exchange);
            self.open.insert(exchange, call);
            return None;
        }
        let call = self.open.get_mut(&event.exchange)?;
        let mut possible = true;
        match event.kind {
            Kind::RequestBody(bytes) => possible = call.request_body(bytes),
            Kind::RequestGap => call.request_gap(),
            Kind::RequestEnd => possible = call.request_end(event.time),
            Kind::Response { head, .. } => call.response(head),
            Kind::ResponseBody(bytes) => call.response_body(bytes, event.time),
            Kind::ResponseGap => call.response_gap(),
            Kind::ResponseEnd => call.response_end(event.time),
            Kind::RequestUnreadable(reason) | Kind::ResponseUnreadable(reason) => {
                call.unreadable(reason);
            }
            Kind::RequestFieldsUnknown(count) | Kind::ResponseFieldsUnknown(count) => {
                call.fields_unknown(count);
            }
            // Messages of gRPC and WebSocket, and trailers: no format reads them yet.
            Kind::RequestMessageEnd(_)
            | Kind::ResponseMessageEnd(_)
            | Kind::RequestClose(_)
            | Kind::ResponseClose(_)
            | Kind::RequestTrailers(_)
            | Kind::ResponseTrailers(_) => {}
            Kind::Request { .. } | Kind::Moved(_) | Kind::End(_) => {}
        }
        if !possible {
            self.open.remove(&event.exchange);
        }
        None
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

    /// Exchanges under way that may be LLM calls.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}
