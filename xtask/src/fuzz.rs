//! Runs the fuzz targets: each over its worst cases, then for a while over what the fuzzer makes.
//! Takes targets and times; gives a line of figures each, and every finding with how to see it again.
//! What a target checks, it says itself (`tracer-userspace/fuzz/src`).

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    build,
    setup::{self, stamp},
    step,
    workspace::Workspace,
};

const FOLDER: &str = "tracer-userspace/fuzz";
/// Bytes of an input at most.
const MAX_LEN: &str = "-max_len=1048576";
/// Seconds after which a single input is taken to hang. What it may cost is measured on the
/// processor, which other programs may hold meanwhile.
const TIMEOUT: &str = "-timeout=300";
/// What a target may hold in all, its corpus included.
const MEMORY: &str = "-rss_limit_mb=2048";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60, conflicts_with = "total_seconds")]
    seconds: u64,
    /// Seconds for all of them together
    #[arg(long, value_name = "N")]
    total_seconds: Option<u64>,
    /// Show what the worst cases cost in a release build, and fuzz nothing
    #[arg(long, conflicts_with_all = ["seconds", "total_seconds", "input"])]
    worst_cases: bool,
    /// Run one target on this input alone, as after a finding
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "total_seconds"])]
    input: Option<PathBuf>,
    /// All of them, if none is named
    targets: Vec<String>,
}

/// # Errors
/// Something could not be built, or there is a finding.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    build::object(workspace)?;
    lock(workspace)?;
    let targets = chosen(workspace, &arguments.targets)?;
    if arguments.worst_cases {
        return worst_cases(workspace, &targets);
    }
    let programs = programs(workspace)?;
    if let Some(input) = &arguments.input {
        let [target] = &targets[..] else { bail!("which target is the input for? Name one") };
        return step::show(target, Command::new(programs.join(target)).arg(input));
    }
    let inputs = workspace.target("fuzz-inputs");
    let seconds = arguments
        .total_seconds
        .map_or(arguments.seconds, |total| (total / targets.len() as u64).max(1));
    println!(
        "{:<10} {:>12} {:>8} {:>9} {:>9} {:>12} {:>12}",
        "target", "executions", "/s", "coverage", "RSS MiB", "slowest ms", "heap MiB"
    );
    // A short run is to find the same in the same program; the long ones look further each time.
    let seed = if arguments.total_seconds.is_some() { "-seed=1" } else { "-seed=0" };
    let mut found = Vec::new();
    for target in &targets {
        let one = Target { workspace, name: target, program: programs.join(target) };
        found.extend(one.fuzz(&inputs, seconds, seed)?);
    }
    if !found.is_empty() {
        bail!("{} findings:\n{}", found.len(), found.join("\n"));
    }
    Ok(())
}

/// The versions that the project is built with hold here too; the few crates more are pinned.
fn lock(workspace: &Workspace) -> Result<()> {
    let lock = fs::read_to_string(workspace.file("Cargo.lock")).context("can't read Cargo.lock")?;
    let own = workspace.file(FOLDER).join("Cargo.lock");
    let folder = workspace.target("fuzz-inputs");
    if own.is_file() && stamp::fits(&folder, &lock) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    fs::write(&own, &lock).with_context(|| format!("can't write {}", own.display()))?;
    stamp::set(&folder, &lock)
}

/// The targets by their names, all of them where none is given.
fn chosen(workspace: &Workspace, names: &[String]) -> Result<Vec<String>> {
    let folder = workspace.file(FOLDER).join("fuzz_targets");
    let files =
        fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))?;
    let mut all: Vec<String> = files
        .filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    Ok(if names.is_empty() { all } else { names.to_vec() })
}

/// Builds all targets; gives the folder that they are in.
fn programs(workspace: &Workspace) -> Result<PathBuf> {
    let fuzzer = setup::fuzzer::ready(workspace)?;
    let target = workspace.target("fuzz");
    let mut command = Command::new(fuzzer);
    // No sanitizer: the parsers hold no unsafe code, and then the stable compiler will do. It is
    // asked for unstable flags all the same.
    command
        .current_dir(workspace.root())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("LLMTAP_BPF_OBJECT", workspace.target("bpf/llmtap.bpf.o"))
        .args(["fuzz", "build", "--sanitizer", "none", "--release", "--debug-assertions"])
        .args(["--fuzz-dir", FOLDER, "--target-dir"])
        .arg(&target);
    crate::workspace::forget_own_package(&mut command);
    step::run(workspace, "fuzz-build", "building the fuzz targets", &mut command)?;
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    Ok(target.join(triple).join("release"))
}

/// What the worst cases cost, without the fuzzer's counters and checks.
fn worst_cases(workspace: &Workspace, targets: &[String]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo
        .env("RUSTFLAGS", "--cfg fuzzing")
        .env("LLMTAP_BPF_OBJECT", workspace.target("bpf/llmtap.bpf.o"))
        .args(["run", "--release", "--example", "worst_cases", "--manifest-path"])
        .arg(workspace.file(FOLDER).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(workspace.target("fuzz-plain"))
        .arg("--")
        .args(targets);
    step::show("the worst cases", &mut cargo)
}

struct Target<'a> {
    workspace: &'a Workspace,
    name: &'a str,
    program: PathBuf,
}

impl Target<'_> {
    /// Prints a line of figures; gives the findings.
    ///
    /// `seed`: of the inputs that are made.
    fn fuzz(&self, inputs: &Path, seconds: u64, seed: &str) -> Result<Option<String>> {
        let write = &mut Command::new(&self.program);
        step::show("writing the inputs", write.env("LLMTAP_FUZZ_INPUTS", inputs))?;
        let worst = inputs.join("worst").join(self.name);
        let mut command = self.command();
        for file in fs::read_dir(&worst).into_iter().flatten() {
            command.arg(file?.path());
        }
        let log = self.log("worst");
        if !self.logged(&mut command, &log)? {
            return Ok(Some(self.finding(&log)));
        }
        let mut slowest = Figures::read(&log);
        let corpus = self.workspace.target(&format!("fuzz-corpus/{}", self.name));
        fs::create_dir_all(&corpus).with_context(|| format!("can't make {}", corpus.display()))?;
        let mut command = self.command();
        command.arg(&corpus).arg(inputs.join("seeds").join(self.name)).args([
            &format!("-max_total_time={seconds}"),
            "-print_final_stats=1",
            seed,
        ]);
        let dictionary = self.workspace.file(FOLDER).join(format!("dictionaries/{}", self.name));
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        let log = self.log("run");
        let is_clean = self.logged(&mut command, &log)?;
        let figures = Figures::read(&log);
        slowest.slowest = slowest.slowest.max(figures.slowest);
        slowest.heap = slowest.heap.max(figures.heap);
        println!(
            "{:<10} {:>12} {:>8} {:>9} {:>9} {:>12.1} {:>12.1}",
            self.name,
            figures.executions,
            figures.a_second,
            figures.coverage,
            figures.memory,
            slowest.slowest as f64 / 1e3,
            slowest.heap as f64 / 1024.0
        );
        Ok((!is_clean).then(|| self.finding(&log)))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let artifacts = self.workspace.target(&format!("fuzz-artifacts/{}-", self.name));
        command.args([MAX_LEN, TIMEOUT, MEMORY, "-reload=0"]);
        command.arg(format!("-artifact_prefix={}", artifacts.display()));
        command
    }

    fn log(&self, kind: &str) -> PathBuf {
        self.workspace.target(&format!("fuzz-logs/{}-{kind}.log", self.name))
    }

    /// Runs it with its output in `log`; gives whether there was no finding.
    fn logged(&self, command: &mut Command, log: &Path) -> Result<bool> {
        for folder in [log.parent(), Some(&self.workspace.target("fuzz-artifacts"))] {
            let folder = folder.context("a log lies in a folder")?;
            fs::create_dir_all(folder)
                .with_context(|| format!("can't make {}", folder.display()))?;
        }
        let output = File::create(log).with_context(|| format!("can't write {}", log.display()))?;
        let errors = output.try_clone()?;
        let status = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .status()
            .with_context(|| format!("can't start {}", self.program.display()))?;
        Ok(status.success())
    }

    /// What was found, and how to see it again.
    fn finding(&self, log: &Path) -> String {
        let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
        let input = value(&text, "Test unit written to ")
            .or_else(|| text.lines().rev().find_map(|line| line.strip_prefix("Running: ")))
            .unwrap_or("INPUT");
        let why = text.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
        let why = why.or_else(|| text.lines().find(|line| line.contains("ERROR:")));
        format!(
            "  {}: {}\n    again: cargo xtask fuzz {} --input {input}\n    the whole of it: {}",
            self.name,
            why.unwrap_or("it ended without a word"),
            self.name,
            log.display()
        )
    }
}

/// What a run says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    a_second: u64,
    coverage: u64,
    /// MiB.
    memory: u64,
    /// Microseconds on the processor.
    slowest: u64,
    /// KiB of the heap.
    heap: u64,
}

impl Figures {
    fn read(log: &Path) -> Self {
        Self::of(&String::from_utf8_lossy(&fs::read(log).unwrap_or_default()))
    }

    fn of(text: &str) -> Self {
        let number = |name| value(text, name).and_then(leading_number).unwrap_or(0);
        Self {
            executions: number("stat::number_of_executed_units:"),
            a_second: number("stat::average_exec_per_sec:"),
            coverage: number(" cov: "),
            memory: number("stat::peak_rss_mb:"),
            slowest: number("METER slowest us="),
            heap: number("METER heap kib="),
        }
    }
}

/// What stands behind the last `name`, to the end of its line.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.rsplit_once(name)?;
    rest.lines().next().map(str::trim)
}

fn leading_number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_last_told() {
        let text = "METER slowest us=1200 bytes=3 pieces=1\n#2 INITED cov: 10 ft: 12 corp: 1\n\
            METER heap kib=77 bytes=9 pieces=1\nMETER slowest us=3456 bytes=9 pieces=1\n\
            #900 NEW    cov: 345 ft: 400 corp: 9\n#1000 DONE   cov: 346 ft: 401 corp: 9/1Kb\n\
            stat::number_of_executed_units: 1000\nstat::average_exec_per_sec:     500\n\
            stat::peak_rss_mb:              61\n";
        let expected = Figures {
            executions: 1000,
            a_second: 500,
            coverage: 346,
            memory: 61,
            slowest: 3456,
            heap: 77,
        };
        assert_eq!(Figures::of(text), expected);
        assert_eq!(Figures::of(""), Figures::default());
    }
}
