//! Spans, metrics and events to the outside: OTLP over gRPC and HTTP, OTLP/JSON lines, the terminal.
//! Takes [`crate::trace::Span`]s and what meters collect; gives counts of what could not be sent.
//! Knows the wire formats of the outside.

mod encode;
mod json;
mod lines;
mod otlp;
mod outputs;
mod pretty;
mod queue;
mod resource;
mod service;
mod text;
mod variables;

pub use lines::Lines;
pub use otlp::{
    Compression, MetricsReading, Otlp, OtlpError, OtlpOptions, OtlpSettings, OtlpTallies, Protocol,
    Receivers, Signal,
};
pub use outputs::{Format, Outputs, Tallies};
pub use pretty::{Pretty, USUAL_WIDTH};
pub use queue::{Bounds, Tally};
pub use resource::{Host, Resources, Service};
pub use service::{naming_arguments, service_name};
pub use variables::{NoPair, Variables, pairs};

/// Name and version of the instrumentation scope that all is under.
pub(crate) const SCOPE_NAME: &str = "llmtap";
pub(crate) const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");
