//! What to trace and where: processes, the files they map, the probe sites in them.
//! Takes process events and `/proc`; gives [`Process`]es and probe [`Target`]s.
//! Knows ELF and `/proc`; nothing of HTTP.

mod code;
pub mod container;
mod gate;
mod hint;
mod image;
mod inspect;
pub mod mappings;
mod pointers;
mod process;
mod site;
mod target;
mod tls;
mod unwind;

pub use gate::{Gate, Namespace};
pub use hint::{Hint, hint};
pub use image::{Image, Section, Segment, Symbol};
pub use inspect::inspect;
pub use process::*;
pub use target::*;
pub use tls::openssl_version;
