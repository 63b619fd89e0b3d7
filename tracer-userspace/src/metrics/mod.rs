//! What llmtap tells of itself and of calls, for Prometheus: OpenMetrics text over HTTP.
//! Takes an address, the board of a run and its calls' metrics; gives `/metrics` to whoever asks.
//! Knows nothing of how the counts come about, and never makes the run wait.

mod calls;
mod declarations;
mod process;
mod programs;
mod server;
mod text;

pub use server::{Metrics, MetricsError};

#[cfg(test)]
mod tests;
