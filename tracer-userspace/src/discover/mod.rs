//! What to trace and where: processes, the files they map, the probe sites in them.
//! Takes process events and `/proc`; gives [`Process`]es and probe [`Target`]s.
//! Knows ELF and `/proc`; nothing of HTTP.

#[cfg(not(fuzzing))]
mod cache;
mod code;
pub mod container;
mod gate;
mod hint;
mod image;
mod inspect;
#[cfg(not(fuzzing))]
mod inspector;
pub mod mappings;
#[cfg(not(fuzzing))]
mod offsets;
mod pointers;
mod process;
mod site;
mod target;
mod tls;
mod unwind;

#[cfg(not(fuzzing))]
pub use cache::{Cache, CacheError};
pub use gate::{Gate, Namespace};
pub use hint::{Hint, hint};
pub use image::{Image, Section, Segment, Symbol};
pub use inspect::inspect;
#[cfg(not(fuzzing))]
pub use inspector::Inspector;
#[cfg(not(fuzzing))]
pub use offsets::{Offsets, OffsetsError};
pub use process::*;
pub use target::*;
pub use tls::openssl_version;
