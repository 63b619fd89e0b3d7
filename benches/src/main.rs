//! What the pipeline takes in a second, and how it bears input made to be slow.
//! Takes criterion's arguments; `cargo xtask bench pipeline` runs it and makes tables of its figures.

mod costs;
mod cpu;
mod files;
mod pipeline;
mod rates;
mod slow;

use criterion::Criterion;

/// Criterion, measuring the time of this thread alone.
type Bench = Criterion<cpu::CpuTime>;

fn main() {
    let mut criterion = Criterion::default().with_measurement(cpu::CpuTime).configure_from_args();
    rates::all(&mut criterion);
    costs::all(&mut criterion);
    slow::all(&mut criterion);
    criterion.final_summary();
}
