//! Captured plaintext: probes, ring and counters on one side, ordered segments on the other.
//! Takes targets (library files and probe sites) from `discover`; gives [`Event`]s.
//! Knows aya and the kernel's ABI; nothing of HTTP.

mod connections;
mod event;
#[cfg(fuzzing)]
pub mod fuzz;
mod kernel;
mod offsets;
mod reader;
mod record;

pub use event::*;
pub use kernel::{Kernel, KernelError, KernelFilters, lift_memory_limit};
pub use offsets::OffsetsError;
pub use reader::{Lost, LostCount, Reader};
