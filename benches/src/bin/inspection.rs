//! What it takes to inspect files: time of this thread and memory of this process.
//! Takes paths; gives a row of a table for each. `cargo xtask bench inspection FILE…` runs it.

#[path = "../cpu.rs"]
mod cpu;

use std::{
    env,
    fs::{self, File},
    io::{self, Error},
    path::Path,
};

use criterion::measurement::Measurement as _;
use llmtap::discover::inspect;

/// Each file is inspected so often; the median counts.
const TIMES: usize = 5;

fn main() -> io::Result<()> {
    println!("| file | MiB | found | ms | resident memory, MiB more |\n|---|---|---|---|---|");
    for path in env::args_os().skip(1) {
        row(Path::new(&path))?;
    }
    Ok(())
}

fn row(path: &Path) -> io::Result<()> {
    let mut times = Vec::new();
    let mut found = String::new();
    // Resets the peak (Linux `Documentation/filesystems/proc.rst`, `clear_refs`).
    fs::write("/proc/self/clear_refs", "5")?;
    let before = resident("VmRSS")?;
    for _ in 0..TIMES {
        let file = File::open(path)?;
        let start = cpu::CpuTime.start();
        let target = inspect(file, path)?;
        times.push(cpu::CpuTime.end(start));
        let findings = target.map(|target| target.findings).unwrap_or_default();
        let stacks: Vec<_> = findings.iter().map(|finding| finding.stack.to_string()).collect();
        found = if stacks.is_empty() { "–".to_owned() } else { stacks.join(", ") };
    }
    times.sort();
    println!(
        "| `{}` | {:.1} | {found} | {:.1} | {:.1} |",
        path.file_name().unwrap_or(path.as_os_str()).display(),
        fs::metadata(path)?.len() as f64 / f64::from(1 << 20),
        times[TIMES / 2].as_secs_f64() * 1e3,
        resident("VmHWM")?.saturating_sub(before) as f64 / 1024.0,
    );
    Ok(())
}

/// KiB, as the kernel says.
fn resident(key: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Error::other(format!("the kernel told no {key}")))
}
