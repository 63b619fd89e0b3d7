//! Capture's events kept in a file, and read back from it or from a packet capture.
//! Takes [`crate::capture::Event`]s and [`crate::discover::Process`]es; gives the same again.
//! Knows the formats (docs/record-format.md) and which bytes are credentials; nothing of what calls mean.

mod format;
mod frames;
mod item;
mod live;
pub mod pcap;
mod privacy;
mod reader;
mod scrub;
mod source;
mod writer;

pub use item::{Finish, Item, Start};
pub use live::Broken;
pub use privacy::Withheld;
pub use reader::{ReadError, Reader};
pub use source::{OpenError, PlayError, Source};
pub use writer::{Recorded, Writer};
