//! What passes now: the filters that userspace wrote last, as a whole.
//! Takes nothing; gives their generation, which says where in each map they are, and their counts.
//! The half that is not in force may be written while programs run: none reads it.

use tracer_ebpf::{Filters, NO_FILTERS, half};

use crate::maps::{FILTERS, IN_FORCE};

/// `None` before there are any.
#[inline(always)]
pub(crate) fn in_force() -> Option<(u32, Filters)> {
    let generation = IN_FORCE.get_ptr(0)?;
    // SAFETY: a pointer to a map value is valid while the program runs. It is read once: both what is
    // looked up by it and what is remembered are of the same filters.
    let generation = unsafe { generation.read_volatile() };
    if generation == NO_FILTERS {
        return None;
    }
    FILTERS.get(half(generation)).map(|filters| (generation, *filters))
}
