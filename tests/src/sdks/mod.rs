//! Real SDKs against a server that gives back answers to the byte, and what their objects say of them.
//! Takes an [`Sdk`], a row of the table; gives the differences between its objects and llmtap's spans.
//! The truth is what the SDK says; of what it could not read there is none.

mod exchange;
mod live;
mod play;
mod said;
mod table;

pub use exchange::Exchange;
pub use live::Live;
pub use play::{Played, play};
pub use said::{answer_differences, differences};
pub use table::{Call, NODE, PYTHON, Runtime, Sdk};
