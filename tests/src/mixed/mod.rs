//! A load of every kind of exchange from several programs at once, and what came of each.
//! Takes how many; gives the jobs of the programs, the server's truth and what a recording has.
//! The two are built apart: the truth from what was sent, the other from what llmtap captured.

mod answer;
mod body;
mod coding;
mod exchange;
mod load;
mod plan;
mod recorded;
mod stack;
mod verdict;

pub use answer::answer;
pub use body::Pieces;
pub use coding::{Coding, decode, encode};
pub use exchange::{Exchange, Print};
pub use load::{Load, Programs, curl, job, together};
pub use plan::{Call, Connection, Form, Plan, Protocol};
pub use recorded::{Recorded, Seen};
pub use stack::{Count, both_versions, calls, every_call_logged, recording_is_right, with_each};
pub use verdict::{all_right, both_legs, differences, every_span, told};
