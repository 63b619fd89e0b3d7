//! What the kernel side lets through, in its maps: two halves, of which one is in force.
//! Takes filters; writes them where none reads, then puts them in force by one number. So whatever runs
//! meanwhile goes by the old ones or by the new ones, never by some of each.

use aya::maps::{Array, MapData, MapError};
use tracer_ebpf::{Cgroup, Filters, MAX_CGROUPS, MAX_PORTS, NO_FILTERS, Ports, half};

use super::PortRange;

/// What the kernel side compares.
#[derive(Clone, Debug, Default)]
pub struct KernelFilters {
    /// `MARK_*` that a process must have.
    pub required_marks: u32,
    /// At most [`MAX_CGROUPS`].
    pub cgroups: Vec<Cgroup>,
    /// Either end; at most [`MAX_PORTS`].
    pub ports: Vec<PortRange>,
}

/// Which filters: those of one change, and their half of the maps and marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u32);

impl Generation {
    /// None yet: nothing passes.
    pub(super) const NONE: Self = Self(NO_FILTERS);

    pub(super) fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            // The half of the number before is in force.
            NO_FILTERS => Self(NO_FILTERS + 2),
            next => Self(next),
        }
    }

    /// `MARK_*` as they stand in [`tracer_ebpf::Process::marks`].
    pub(super) fn marks(self, marks: u32) -> u32 {
        tracer_ebpf::marks(marks, self.0)
    }
}

/// The values of one generation, and where in each map they begin.
#[derive(Debug, PartialEq, Eq)]
struct Entries {
    filters: (u32, Filters),
    cgroups: (u32, Vec<Cgroup>),
    ports: (u32, Vec<Ports>),
}

fn entries(wanted: &KernelFilters, generation: Generation) -> Entries {
    let half = half(generation.0);
    let cgroups: Vec<_> = wanted.cgroups.iter().take(MAX_CGROUPS as usize).copied().collect();
    let ports = wanted.ports.iter().take(MAX_PORTS as usize);
    let ports: Vec<_> =
        ports.map(|range| Ports { first: range.first(), last: range.last() }).collect();
    let filters = Filters {
        required_marks: generation.marks(wanted.required_marks),
        cgroups: cgroups.len() as u32,
        ports: ports.len() as u32,
        reserved: 0,
    };
    Entries {
        filters: (half, filters),
        cgroups: (half * MAX_CGROUPS, cgroups),
        ports: (half * MAX_PORTS, ports),
    }
}

/// The filters' maps.
pub struct FilterMaps {
    pub in_force: Array<MapData, u32>,
    pub filters: Array<MapData, Filters>,
    pub cgroups: Array<MapData, Cgroup>,
    pub ports: Array<MapData, Ports>,
}

impl FilterMaps {
    /// Writes filters into the half of a generation, which must not be the one in force.
    pub(super) fn write(
        &mut self,
        wanted: &KernelFilters,
        generation: Generation,
    ) -> Result<(), MapError> {
        let Entries { filters, cgroups, ports } = entries(wanted, generation);
        for (index, cgroup) in (cgroups.0..).zip(&cgroups.1) {
            self.cgroups.set(index, cgroup, 0)?;
        }
        for (index, range) in (ports.0..).zip(&ports.1) {
            self.ports.set(index, range, 0)?;
        }
        self.filters.set(filters.0, filters.1, 0)
    }

    /// Puts the filters of a generation in force, at once for all programs.
    pub(super) fn enforce(&mut self, generation: Generation) -> Result<(), MapError> {
        self.in_force.set(0, generation.0, 0)
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::{HALVES, MARK_PROGRAM, MARK_TREE};

    use super::*;

    fn most() -> KernelFilters {
        KernelFilters {
            required_marks: MARK_TREE | MARK_PROGRAM,
            cgroups: vec![Cgroup { id: 7, level: 1, reserved: 0 }; MAX_CGROUPS as usize],
            ports: vec!["1-2".parse().unwrap(); MAX_PORTS as usize],
        }
    }

    #[test]
    fn neighbours_share_nothing() {
        let first = Generation::NONE.next();
        let [one, other] = [first, first.next()].map(|generation| entries(&most(), generation));
        assert_eq!(one.filters.1.required_marks & other.filters.1.required_marks, 0);
        assert_ne!(one.filters.0, other.filters.0);
        let range = |start: u32, count: usize| start..start + count as u32;
        let places = |entries: &Entries| {
            let cgroups = range(entries.cgroups.0, entries.cgroups.1.len());
            let ports = range(entries.ports.0, entries.ports.1.len());
            (cgroups.collect::<Vec<_>>(), ports.collect::<Vec<_>>())
        };
        let ((cgroups, ports), (other_cgroups, other_ports)) = (places(&one), places(&other));
        assert!(cgroups.iter().all(|index| !other_cgroups.contains(index)));
        assert!(ports.iter().all(|index| !other_ports.contains(index)));
        for (places, others, most) in
            [(cgroups, other_cgroups, MAX_CGROUPS), (ports, other_ports, MAX_PORTS)]
        {
            assert_eq!(places.len(), most as usize);
            assert!(places.iter().chain(&others).all(|index| *index < HALVES * most));
        }
    }

    #[test]
    fn halves_take_turns_for_ever() {
        for start in [NO_FILTERS, 5, u32::MAX - 1, u32::MAX] {
            let before = Generation(start);
            let next = before.next();
            assert_ne!(next, Generation::NONE);
            assert_ne!(half(next.0), half(before.0), "{start}");
        }
    }

    #[test]
    fn no_filter_is_told_by_its_count() {
        let Entries { filters, .. } = entries(&KernelFilters::default(), Generation(1));
        assert_eq!(filters, (1, Filters::default()));
    }
}
