//! Spans out of operations: ids, parents, sampling, names and attributes by the conventions.
//! Takes [`crate::genai::Operation`]s and the process of each; gives [`Span`]s.
//! Knows the headers that name a place in a trace; nothing of OTLP.

mod clock;
mod context;
#[cfg(test)]
mod ends_tests;
mod ids;
mod prices;
mod resends;
#[cfg(test)]
pub(crate) mod sample;
mod sampler;
pub mod semconv;
mod span;
mod spans;
mod tokens;

pub use clock::{Clock, Offset, measured_boot};
pub use ids::Ids;
pub use prices::{Prices, PricesError};
pub use sampler::{Sampler, UnknownSampler};
pub use span::*;
pub use spans::Spans;
