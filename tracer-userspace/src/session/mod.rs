//! One run of the tracer: the stages joined, the threads they run on, start and stop.
//! Takes validated settings; gives spans to the outputs and a summary at the end.
//! The only place that knows every stage.

mod attach;
pub mod command;

pub use attach::Attacher;
