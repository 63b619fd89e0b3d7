//! llmtap shows every LLM call that unmodified programs make or serve.
//!
//! Data flows one way: `discover` → `capture` → `http` → `genai` → `trace` → `export`.
//! Each stage knows the ones before it and none of the ones after; `docs/architecture.md` tells more.

pub mod capture;
pub mod cli;
pub mod config;
pub mod discover;
pub mod export;
pub mod genai;
pub mod http;
pub mod metrics;
pub mod recording;
pub mod session;
pub mod trace;
