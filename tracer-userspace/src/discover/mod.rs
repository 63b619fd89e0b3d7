//! What to trace and where: processes, the files they map, the probe sites in them.
//! Takes process events and `/proc`; gives [`Process`]es and probe targets.
//! Knows ELF and `/proc`; nothing of HTTP.

mod process;

pub use process::*;
