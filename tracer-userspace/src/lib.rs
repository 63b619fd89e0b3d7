//! llmtap shows every LLM call that unmodified programs make or serve.
//!
//! Data flows one way: `discover` → `capture` → `http` → `genai` → `trace` → `meter` → `export`.
//! Each stage knows the ones before it and none of the ones after; `docs/architecture.md` tells more.

pub mod capture;
#[cfg(not(fuzzing))]
pub mod cli;
#[cfg(not(fuzzing))]
pub mod config;
pub mod discover;
#[cfg(not(fuzzing))]
pub mod doctor;
#[cfg(not(fuzzing))]
pub mod export;
#[cfg(fuzzing)]
pub mod fuzz_bridge;
pub mod genai;
pub mod http;
#[cfg(not(fuzzing))]
pub mod meter;
#[cfg(not(fuzzing))]
pub mod metrics;
pub mod recording;
#[cfg(not(fuzzing))]
pub mod session;
#[cfg(test)]
mod splits;
#[cfg(not(fuzzing))]
pub mod trace;
#[cfg(not(fuzzing))]
mod yaml;
