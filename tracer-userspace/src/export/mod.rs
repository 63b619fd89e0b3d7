//! Spans to the outside: OTLP over gRPC and HTTP, OTLP/JSON lines, the terminal.
//! Takes [`crate::trace::Span`]s; gives nothing back but counts of what could not be sent.
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
pub use otlp::{Compression, Otlp, OtlpError, OtlpOptions, OtlpSettings, Protocol};
pub use outputs::{Format, Outputs, Tallies};
pub use pretty::{Pretty, USUAL_WIDTH};
pub use queue::{Bounds, Tally};
pub use resource::{Host, Resources};
pub use service::{naming_arguments, service_name};
pub use variables::{NoPair, Variables, pairs};

/// Name and version of the instrumentation scope that all spans are under.
const SCOPE_NAME: &str = "llmtap";
const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");
