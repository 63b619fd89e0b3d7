//! What a span says of an operation, by the GenAI semantic conventions.
//! Takes an [`Operation`] and what carried it; gives name, kind, status and attributes.
//! Names are those of semantic-conventions-genai `main` ("latest"); nothing else in llmtap knows
//! them, so that other profiles are a matter of this module.
//!
//! Beside the conventions' own attributes there are a few under `llmtap.`, for what the conventions
//! have no name for: see [`OURS`].

mod content;
mod failure;
mod http;
mod list;
mod mcp;
mod name;
mod own;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod times;

use opentelemetry::KeyValue;

pub(crate) use self::failure::{ended, status};
use self::list::Attributes;
pub(crate) use self::name::{kind, name};
pub(super) use self::{
    http::resent,
    own::{cost, estimate},
};
pub use self::{failure::failed, http::asked_port, own::OURS};
use crate::{genai::Operation, trace::Transport};

/// All attributes of the span.
pub(super) fn attributes(operation: &Operation, transport: Transport) -> Vec<KeyValue> {
    let mut list = Attributes(Vec::with_capacity(32));
    match &operation.mcp {
        Some(call) => list.mcp(call),
        None => {
            list.text("gen_ai.operation.name", Some(operation.name.as_str()));
            list.text("gen_ai.provider.name", Some(&operation.provider));
        }
    }
    list.text("openai.api.type", operation.api_type);
    if let Some((kind, _)) = failure::failure(operation) {
        list.text("error.type", Some(&kind));
    }
    list.request(&operation.request);
    list.response(&operation.response);
    list.conversation(&operation.request, &operation.response);
    list.agent(&operation.request, &operation.response);
    list.time_to_first_chunk(operation);
    list.times(operation);
    list.usage(operation.usage);
    list.http(&operation.http, operation.role, transport.security);
    list.network(transport.addresses);
    list.capture(operation);
    if let Some(content) = &operation.content {
        list.content(content);
    }
    list.0
}
