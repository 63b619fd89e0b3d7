//! Support for the end-to-end tests, the demo and the benchmarks: real programs around the real tracer.
//! Takes paths from `cargo xtask` (see [`Parts`]); gives servers, clients, tracers and their spans.
//! Every process is ended by its own id, and only processes started here are traced.

mod authority;
mod compare;
mod event;
mod lab;
pub mod matrix;
pub mod mixed;
mod model;
mod nginx;
mod parts;
mod phoenix;
mod point;
mod process;
mod receiver;
pub mod sdks;
mod server;
mod span;
mod tracer;

pub use authority::Authority;
pub use compare::{differences, differences_of_attributes, without_span};
pub use event::Event;
pub use lab::{Lab, OPENSSL};
pub use model::Model;
pub use nginx::Nginx;
pub use parts::Parts;
pub use phoenix::Phoenix;
pub use point::{Point, Value};
pub use process::{Finished, Lines, Running, tell, wait_until};
pub use receiver::{Protocol, Receiver};
pub use server::Server;
pub use span::{CLIENT, SERVER, Span};
pub use tracer::{Attached, Trace, Tracer, no_bytes_lost, no_bytes_lost_but};

/// One call as the program that made it (or answered it) saw it: a JSON object, see `calls.py`.
pub type Record = serde_json::Value;

/// The JSON objects among the lines of a program's output.
pub fn records(output: &str) -> Vec<Record> {
    output
        .lines()
        .filter(|line| line.starts_with('{'))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
