//! Captured plaintext: probes, ring and counters on one side, ordered segments on the other.
//! Takes targets (library files and probe sites) from `discover`; gives [`Event`]s.
//! Knows aya and the kernel's ABI; nothing of HTTP.

mod apart;
mod connections;
mod event;
mod filters;
mod kernel;
mod offsets;
mod overload;
mod ports;
mod proof;
mod reader;
mod record;

pub use connections::{Connections, Forget, Positions};
pub use event::*;
pub use filters::{Generation, KernelFilters};
pub use kernel::{Kernel, KernelError, Limits, lift_memory_limit, tells_probes_apart};
pub use offsets::{KERNEL_BTF, OffsetsError};
pub use overload::{Thresholds, Use};
pub use ports::{PortRange, PortRangeError};
pub use proof::{FindingId, Refutation};
pub use reader::{Captured, Lost, LostCount, Reader, Strain};
pub use record::Record;
