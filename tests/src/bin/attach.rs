//! How long it takes until probes are in place: from the start with many programs that run, and from a
//! library that one of them loads. Takes nothing; `cargo xtask bench attach` starts it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use llmtap_tests::{Lab, Running, tell};

/// Programs that run, each with OpenSSL in use.
const PROGRAMS: usize = 300;
const ROUNDS: usize = 7;
const LIMIT: Duration = Duration::from_secs(60);

const WAITING: &str = "import ssl; print('up', flush=True); input()";

/// Loads what it is told to.
const LOADING: &str = "\
import ctypes, sys
print('up', flush=True)
for line in sys.stdin:
    ctypes.CDLL(line.strip())
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attach: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let lab = Lab::open()?;
    println!("milliseconds, of {ROUNDS} rounds:");
    let programs = tell(&format!("starting {PROGRAMS} programs"), || {
        (0..PROGRAMS).map(|_| python(&lab, WAITING)).collect::<Result<Vec<_>>>()
    })?;
    let pids: Vec<u32> = programs.iter().map(|(program, _)| program.pid()).collect();
    println!("start to ready, one program          {}", starts(&lab, &pids[..1])?);
    println!("start to ready, {PROGRAMS} programs         {}", starts(&lab, &pids)?);
    drop(programs);
    let ask = "import grpc._cython.cygrpc as c; print(c.__file__)";
    let mut command = Command::new(&lab.parts.python);
    command.args(["-c", ask]);
    let grpc = Running::start(command)?.finish(LIMIT)?.success()?.output.trim().to_owned();
    for (name, library) in [
        ("OpenSSL, by symbols         ", PathBuf::from("/usr/lib/x86_64-linux-gnu/libssl.so.3")),
        ("BoringSSL of grpcio, inferred", grpc.into()),
    ] {
        println!("loaded to probed, {name} {}", loads(&lab, &library)?);
    }
    Ok(())
}

fn python(lab: &Lab, program: &str) -> Result<(Running, std::process::ChildStdin)> {
    let mut command = Command::new(&lab.parts.python);
    command.args(["-c", program]);
    let (program, input) = Running::start_with_input(command)?;
    program.output.wait_for(LIMIT, |line| line == "up")?;
    Ok((program, input))
}

fn starts(lab: &Lab, pids: &[u32]) -> Result<String> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut tracer = lab.tracer();
        for pid in pids {
            tracer = tracer.arg("--pid").arg(pid.to_string());
        }
        let start = Instant::now();
        let attached = tracer.attach()?;
        times.push(start.elapsed());
        attached.stop()?;
    }
    Ok(spread(times))
}

/// Each round with a copy of its own, which no one has seen.
fn loads(lab: &Lab, library: &Path) -> Result<String> {
    let (program, mut input) = python(lab, LOADING)?;
    let log = "warn,llmtap::session::attach=debug";
    let tracer = lab.tracer().env("LLMTAP_LOG", log).arg("--pid").arg(program.pid().to_string());
    let attached = tracer.attach()?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let copy = lab.file("library.so");
        fs::copy(library, &copy).with_context(|| library.display().to_string())?;
        let name = copy.display().to_string();
        let start = Instant::now();
        writeln!(input, "{name}")?;
        let is_probed = |line: &str| line.contains("probes attached") && line.contains(&name);
        attached.process().errors.wait_for(LIMIT, is_probed)?;
        times.push(start.elapsed());
    }
    attached.stop()?;
    Ok(spread(times))
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |index: usize| times[index].as_secs_f64() * 1e3;
    let last = times.len() - 1;
    format!("median {:.0}  least {:.0}  most {:.0}", at(last / 2), at(0), at(last))
}
