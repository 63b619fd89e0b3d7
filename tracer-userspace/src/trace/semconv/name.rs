//! A span's name and kind.
//! Takes an operation; gives what it is called by the conventions.
//! Knows no attributes.

use opentelemetry::trace::SpanKind;

use crate::{
    genai::{Operation, OperationName},
    http::Role,
};

/// The operation, and the model or agent that it is for. A response that is fetched has no name but
/// its id, which is no part of a span's.
pub(crate) fn name(operation: &Operation) -> String {
    if let Some(call) = &operation.mcp {
        return match call.target() {
            Some(target) => format!("{} {target}", call.method),
            None => call.method.clone(),
        };
    }
    let subject = match operation.name {
        OperationName::FetchResponse => None,
        OperationName::CreateAgent | OperationName::InvokeAgent => {
            let Operation { request, response, .. } = operation;
            response.agent.name.as_ref().or(request.agent.name.as_ref())
        }
        OperationName::Retrieval => operation.request.data_source_id.as_ref(),
        _ => operation.request.model.as_ref(),
    };
    match subject {
        Some(subject) => format!("{} {subject}", operation.name.as_str()),
        None => operation.name.as_str().to_owned(),
    }
}

pub(crate) fn kind(operation: &Operation) -> SpanKind {
    match operation.role {
        Role::Client => SpanKind::Client,
        Role::Server => SpanKind::Server,
    }
}
