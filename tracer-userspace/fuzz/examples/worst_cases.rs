//! Runs the worst cases of every target and says what they cost, without the fuzzer's counters.
//! Takes names of targets, or nothing for all; gives a table.

use std::env;

use llmtap_fuzz::{TARGETS, meter};

fn main() {
    let names: Vec<String> = env::args().skip(1).collect();
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    println!("{:<12} {:<26} {:>8} {:>10} {:>10}", "target", "input", "KiB", "ms", "heap KiB");
    for target in TARGETS.iter().filter(|target| is_wanted(target.name)) {
        for input in (target.worst)() {
            meter::forget();
            (target.run)(&input.bytes);
            let worst = meter::worst();
            println!(
                "{:<12} {:<26} {:>8} {:>10.1} {:>10}",
                target.name,
                input.name,
                input.bytes.len() >> 10,
                worst.time.as_secs_f64() * 1e3,
                worst.heap >> 10
            );
        }
    }
}
