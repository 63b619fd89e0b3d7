//! Input that was made to be slow: through `http` and `genai`, and the readers of files.
//! Takes criterion; measures each kind at 1, 2 and 4 MiB, to show that time grows with the bytes alone.
//! The bound is 50 ms for 1 MiB. Content is kept, since that takes longer.

use std::time::Duration;

use llmtap_benches::{hostile, traffic};

use crate::{Bench, files};

const SIZES: [usize; 3] = [1 << 20, 2 << 20, 4 << 20];

pub(crate) fn all(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("hostile input");
    group.sample_size(10).warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_millis(600));
    for (name, make) in hostile::cases() {
        for size in SIZES {
            let parts = make(size);
            let made = traffic::bytes(&parts);
            assert!((size - size / 8..size + size / 4).contains(&made), "{name}: {made} bytes");
            group.bench_function(format!("{name}/{}", size >> 20), |bencher| {
                bencher.iter(|| traffic::operations(&parts, true));
            });
        }
    }
    for (name, make) in files::CASES {
        for size in SIZES {
            let read = make(size);
            group.bench_function(format!("{name}/{}", size >> 20), |bencher| bencher.iter(&read));
        }
    }
    group.finish();
}
