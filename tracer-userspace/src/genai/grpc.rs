//! The messages of one gRPC call, as JSON, and the status that it ended with.
//! Takes messages' bytes and trailers; gives JSON that the format's reader takes, and a [`ProviderError`].
//! Framing and compression are `http`'s.

use ::http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{
    operation::ProviderError,
    protobuf::{self, Collector, Field, Schema},
};

#[derive(Debug)]
pub(super) struct Grpc {
    schema: &'static Schema,
    pub request: Collector,
    pub response: Collector,
    pub error: Option<ProviderError>,
}

impl Grpc {
    pub(super) fn new(schema: &'static Schema) -> Self {
        let (request, response) = (Collector::default(), Collector::default());
        Self { schema, request, response, error: None }
    }

    /// The request's message that is over; `None` where it can't be read.
    pub(super) fn request(&mut self) -> Option<Vec<u8>> {
        json(&mut self.request, self.schema.request)
    }

    pub(super) fn response(&mut self) -> Option<Vec<u8>> {
        json(&mut self.response, self.schema.response)
    }

    /// Looks for `grpc-status` among trailers, or in the head of a response without a body.
    pub(super) fn ended(&mut self, headers: &HeaderMap) {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(status) = text("grpc-status").filter(|status| *status != "0") else { return };
        let message = text("grpc-message")
            .map(|message| percent_decode_str(message).decode_utf8_lossy().into_owned());
        self.error = Some(ProviderError { kind: name(status).to_owned(), message });
    }
}

fn json(collector: &mut Collector, fields: &[Field]) -> Option<Vec<u8>> {
    let message = protobuf::read(&collector.take()?, fields).ok()?;
    Some(message.to_string().into_bytes())
}

/// Names of the status codes, by number; another stays what was sent.
fn name(status: &str) -> &str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let known = status.parse::<usize>().ok().and_then(|number| NAMES.get(number));
    known.copied().unwrap_or(status)
}
