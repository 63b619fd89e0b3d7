//! What to trace and where: processes, the files they map, the probe sites in them.
//! Takes process events and `/proc`; gives [`Process`]es and probe [`Target`]s.
//! Knows ELF and `/proc`; nothing of HTTP.

mod gate;
mod internal;
mod library;
pub mod mappings;
mod process;

pub use gate::{Gate, Namespace};
pub use library::*;
pub use process::*;
