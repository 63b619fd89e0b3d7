//! Captured plaintext: probes, rings and counters on one side, ordered segments on the other.
//! Takes targets (library files and probe sites) from `discover`; gives [`Event`]s.
//! Knows aya and the kernel's ABI; nothing of HTTP.

mod event;

pub use event::*;
