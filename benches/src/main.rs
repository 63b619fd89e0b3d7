//! What the pipeline takes in a second, and how it bears input made to be slow.
//! Takes criterion's arguments; `cargo xtask bench pipeline` runs it and makes tables of its figures.

mod cpu;
mod hostile;
mod pipeline;
mod rates;

use criterion::Criterion;

/// Criterion, measuring the time of this thread alone.
type Bench = Criterion<cpu::CpuTime>;

fn main() {
    let mut criterion = Criterion::default().with_measurement(cpu::CpuTime).configure_from_args();
    rates::all(&mut criterion);
    hostile::all(&mut criterion);
    criterion.final_summary();
}
