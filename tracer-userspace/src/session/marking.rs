//! Who is traced among those that run: at the start, and anew when the filters of a run change.
//! Takes filters on the reading thread; gives the processes whose files are to be looked at.
//! Filters change at once: processes are marked for the new ones before those are in force, and let go
//! after that, so that nothing is read between that neither lets through, and nothing is missed that
//! both do.

use std::{collections::HashSet, sync::Arc};

use aya::maps::MapError;
use tracer_ebpf::{HEADER_LEN, MARK_PROGRAM, MARK_TREE};

use super::{
    Filters, filters,
    reading::{Reading, WRITER_PAUSE, now},
};
use crate::{capture::Generation, discover::mappings};

impl Reading {
    /// Puts the first filters in force and marks what runs already.
    pub(super) fn mark_running(&mut self, held: Option<u32>) -> Result<Vec<u32>, MapError> {
        let filters = Arc::clone(&self.filters);
        let generation = self.reader.prepare(&filters.for_kernel(), 0)?;
        self.reader.enforce(generation)?;
        // Twice: what is forked from now on the kernel side marks itself, what was forked while
        // the first list was read is in the second.
        for _ in 0..2 {
            self.mark_trees(&filters, held, generation)?;
        }
        let mut fitting = self.mark_programs(&filters, generation)?;
        // What waits to become the command is still llmtap itself.
        fitting.retain(|pid| Some(*pid) != held);
        Ok(fitting)
    }

    /// Other filters from now on; those before stay in force where this fails.
    pub(super) fn refilter(&mut self, filters: Filters) -> Result<Vec<u32>, MapError> {
        // Who descends from a process that was named before, and is named still, may have lost the
        // parents by which `/proc` would tell; and a program that fitted when it began may call itself
        // otherwise by now.
        let trees = self.filters.pids.iter().all(|pid| filters.pids.contains(pid));
        let programs = filters.programs.are_asked_as(&self.filters.programs);
        let kept = if trees { MARK_TREE } else { 0 } | if programs { MARK_PROGRAM } else { 0 };
        let generation = self.reader.prepare(&filters.for_kernel(), kept)?;
        self.mark_trees(&filters, None, generation)?;
        self.mark_programs(&filters, generation)?;
        self.reader.enforce(generation)?;
        self.filters = Arc::new(filters);
        self.catch_up();
        let filters = Arc::clone(&self.filters);
        self.behind.filter(&filters);
        // Again, for what began before the kernel side told of it.
        let marked = self.mark_trees(&filters, None, generation);
        let fitting = marked.and_then(|()| self.mark_programs(&filters, generation));
        self.let_go(&filters, generation);
        Ok(fitting.unwrap_or_else(|error| {
            tracing::warn!(%error, "a process cannot be traced");
            Vec::new()
        }))
    }

    fn mark_trees(
        &mut self,
        filters: &Filters,
        held: Option<u32>,
        generation: Generation,
    ) -> Result<(), MapError> {
        let named = filters.pids.iter().copied().filter(|pid| mappings::is_alive(*pid));
        let trees = mappings::trees_of(named);
        trees.into_iter().chain(held).try_for_each(|pid| self.mark(pid, MARK_TREE, generation))
    }

    /// Marks the programs that fit, of those that may be traced; gives those.
    fn mark_programs(
        &mut self,
        filters: &Filters,
        generation: Generation,
    ) -> Result<Vec<u32>, MapError> {
        let candidates = if filters.is_by_tree() {
            let entered = self.reader.entered().into_iter();
            let trees = entered.filter(|entered| entered.has(MARK_TREE, generation));
            trees.map(|entered| entered.process.pid).collect()
        } else {
            mappings::all_processes()
        };
        let fits = |pid: &u32| filters.programs.matches(*pid);
        let fitting: Vec<u32> = candidates.into_iter().filter(fits).collect();
        if !filters.programs.is_empty() {
            fitting.iter().try_for_each(|pid| self.mark(*pid, MARK_PROGRAM, generation))?;
        }
        Ok(fitting)
    }

    fn mark(&mut self, pid: u32, marks: u32, generation: Generation) -> Result<(), MapError> {
        // Of the form that the kernel side gives, and never met by it: no processor is 255th.
        let incarnation = (now().0 << 8) | 0xff;
        let process = self.reader.mark(pid, marks, generation, incarnation)?;
        if process.incarnation == incarnation {
            self.alive.began();
            self.seen.began(process);
            self.behind.learn(process);
        }
        Ok(())
    }

    /// Reads what was in the ring when this began, and no more than it can hold: others go on writing.
    fn catch_up(&mut self) {
        let mut left = self.ring_bytes as usize / HEADER_LEN;
        for pause in [None, Some(WRITER_PAUSE)] {
            if let Some(pause) = pause {
                std::thread::sleep(pause);
            }
            while left > 0 {
                let taken = self.take();
                if taken == 0 {
                    break;
                }
                left = left.saturating_sub(taken);
            }
        }
    }

    /// Takes those out that are not to be traced any more, and ends the connections of those that may
    /// be again, by what they become.
    fn let_go(&mut self, filters: &Filters, generation: Generation) {
        let required = filters.for_kernel().required_marks;
        let kept_by = if filters.is_by_tree() { MARK_TREE } else { required };
        let entered = self.reader.entered();
        // Read behind the table, since what is in that began before.
        let within = filters::within(&filters.cgroups);
        let mut others = HashSet::new();
        for entered in entered {
            let process = entered.process;
            let is_within = within.as_ref().is_none_or(|pids| pids.contains(&process.pid));
            if entered.has(required, generation) && is_within {
                continue;
            }
            others.insert(process.pid);
            // One that is known by its cgroup alone is entered again by what it does there.
            if entered.has(kept_by, generation) && required != 0 {
                self.end_connections(process);
            } else {
                self.release(process);
            }
        }
        self.reader.forget_calls(&|pid| others.contains(&pid));
    }
}
