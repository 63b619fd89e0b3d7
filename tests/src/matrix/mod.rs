//! The matrix: one row for each program with a TLS library of its own, and what came of tracing it.
//! Takes the programs that `cargo xtask` installed; runs one row and leaves its outcome in a file.
//! Each row does the same work against the same server, and is compared as the mixed load is.

mod agent;
mod boundary;
mod clients;
mod gateways;
mod grpc;
mod load;
mod outcome;
mod page;
mod part;
mod rows;
mod run;

pub use agent::{Agent, CODEX, every_answer};
pub use page::page;
pub use part::Parts;
pub use rows::{ROWS, Row};
pub use run::{Programs, run};
