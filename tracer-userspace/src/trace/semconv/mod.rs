//! What is told of an operation, by the GenAI semantic conventions: a span, metrics, events.
//! Takes an [`Operation`] and what carried it; gives name, kind, status and attributes of its span,
//! its measurements and its events, in the profile that the user chose.
//!
//! Nothing else in llmtap knows the conventions' names. Each attribute, metric and event is declared
//! once (`declared`, `instruments`, `events`), and `docs/telemetry.md` is made of the declarations.
//! Beside the conventions' own there are a few attributes under `llmtap.`, for what the conventions
//! have no name for.

mod content;
mod declared;
mod events;
mod failure;
mod http;
mod instruments;
mod list;
mod mcp;
mod measure;
mod name;
mod own;
mod profile;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod times;

use opentelemetry::KeyValue;

use self::list::Attributes;
pub(in crate::trace) use self::own::PARENT_EVIDENCE;
pub use self::{
    declared::{ATTRIBUTES, Attribute, Type},
    events::{EVENTS, Event, EventKind, Severity, events},
    failure::failed,
    http::asked_port,
    instruments::{INSTRUMENTS, Instrument, InstrumentKind},
    measure::{Amount, Label, LabelSet, Measurement, OVERFLOW, measurements},
    profile::{ContentPlace, Conventions, Edition, OPT_IN, Profile},
};
pub(crate) use self::{
    events::structured,
    failure::{ended, status},
    name::{kind, name},
};
use crate::{
    genai::Operation,
    trace::{Transport, context::Context, prices::Cost, resends::Resent, tokens::Estimate},
};

/// All attributes of the span.
pub(super) fn attributes(
    operation: &Operation,
    transport: Transport,
    conventions: Conventions,
) -> Vec<KeyValue> {
    let mut list = Attributes::new(conventions.profile);
    if let Some(call) = &operation.mcp {
        list.mcp(call, conventions.content);
    }
    list.operation(operation);
    list.times(operation);
    list.http(&operation.http, operation.role, transport.security);
    list.server(operation, transport.security);
    list.network(transport.addresses);
    list.capture(operation);
    if let Some(content) = operation.content.as_ref().filter(|_| conventions.content.on_spans()) {
        list.content(content);
    }
    list.all
}

/// What the operation does not tell by itself. No edition of the conventions has names of its own for it.
pub(super) fn beside(
    resent: Option<Resent>,
    estimate: Option<Estimate>,
    cost: Option<Cost>,
) -> Vec<KeyValue> {
    let mut list = Attributes::new(Profile::default());
    if let Some(resent) = resent {
        list.resent(resent);
    }
    if let Some(estimate) = estimate {
        list.estimate(estimate);
    }
    if let Some(cost) = cost {
        list.cost(&cost);
    }
    list.all
}

/// How the span's place in its trace is known.
pub(super) fn place(context: &Context) -> Vec<KeyValue> {
    let mut list = Attributes::new(Profile::default());
    list.place(context);
    list.all
}

impl Attributes {
    /// What the span tells of the operation itself, and its event too.
    fn operation(&mut self, operation: &Operation) {
        if operation.mcp.is_none() {
            self.text("gen_ai.operation.name", Some(operation.name.as_str()));
            self.text("gen_ai.provider.name", Some(&operation.provider));
        }
        self.text("openai.api.type", operation.api_type);
        if let Some((kind, _)) = failure::failure(operation) {
            self.text("error.type", Some(&kind));
        }
        self.request(&operation.request);
        self.response(&operation.response);
        self.conversation(&operation.request, &operation.response);
        self.agent(&operation.request, &operation.response);
        self.time_to_first_chunk(operation);
        self.usage(operation.usage);
    }
}
