//! What llmtap tells of itself, for Prometheus: OpenMetrics text over HTTP.
//! Takes an address and the board of a run; gives `/metrics` to whoever asks there.
//! Knows nothing of how the counts come about, and never makes the run wait.

mod declarations;
mod process;
mod server;
mod text;

pub use server::{Metrics, MetricsError};

#[cfg(test)]
mod tests;
