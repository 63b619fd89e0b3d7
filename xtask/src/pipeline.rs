//! `cargo xtask bench pipeline`: runs the benchmarks of the pipeline and makes tables of their figures.
//! Takes what criterion and the test of memory leave; gives Markdown, into docs/overhead.md if asked.
//! Knows the three kinds of figures (rates, times by size, bytes held), and no benchmark by name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{step, workspace::Workspace};

const PACKAGE: &str = "llmtap-benches";
/// The group of benchmarks whose figures are times of one call.
const CALLS: &str = "one call";
const BEGIN: &str = "<!-- begin: cargo xtask bench pipeline --write -->";
const END: &str = "<!-- end -->";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Put the figures into docs/overhead.md
    #[arg(long)]
    write: bool,
    /// Only benchmarks whose name contains this
    #[arg(conflicts_with = "write")]
    filter: Option<String>,
}

/// One benchmark's figures.
struct Figure {
    group: String,
    name: String,
    nanoseconds: f64,
    /// Bytes or elements a run, and which.
    throughput: Option<(f64, String)>,
}

/// # Errors
/// The benchmarks do not build or run, or what they leave is not understood.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut build = workspace.cargo();
    build.args(["build", "--release", "--package", PACKAGE]);
    step::show("the build of the benchmarks", &mut build)?;
    let folder = workspace.target("criterion");
    // Figures of before would stand among those of now.
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("can't clear {}", folder.display()))?;
    }
    let mut program = Command::new(workspace.target("release/pipeline"));
    program.args(["--bench", "--noplot"]).args(&arguments.filter).env("CRITERION_HOME", &folder);
    step::show("the benchmarks", &mut program)?;
    let mut figures = Vec::new();
    collect(&folder, &mut figures)?;
    let mut tables = tables(&figures);
    if arguments.filter.is_none() {
        tables += &memory(workspace)?;
    }
    println!("\n{tables}");
    if arguments.write {
        write(&workspace.file("docs/overhead.md"), &format!("{}\n{tables}", conditions()))?;
    }
    Ok(())
}

/// What inspections of these files take, as a table.
///
/// # Errors
/// The program does not build, or cannot look at a file.
pub(crate) fn inspection(workspace: &Workspace, files: &[PathBuf]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--release", "--package", PACKAGE, "--bin", "inspection", "--"]);
    step::show("the inspections", cargo.args(files))
}

/// Criterion leaves a folder a benchmark, with a description and its estimates.
fn collect(folder: &Path, figures: &mut Vec<Figure>) -> Result<()> {
    let (about, estimates) = (folder.join("benchmark.json"), folder.join("estimates.json"));
    if folder.ends_with("new") && about.exists() {
        let (about, estimates) = (json(&about)?, json(&estimates)?);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let amount = about["throughput"].as_object().and_then(|kinds| kinds.iter().next());
        figures.push(Figure {
            group: text(&about["group_id"]),
            name: text(&about["function_id"]),
            nanoseconds: estimates["median"]["point_estimate"].as_f64().context("no median")?,
            throughput: amount.and_then(|(kind, amount)| Some((amount.as_f64()?, kind.clone()))),
        });
        return Ok(());
    }
    let mut entries = fs::read_dir(folder)
        .with_context(|| format!("can't list {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| entry.path().is_dir()) {
        collect(&entry.path(), figures)?;
    }
    Ok(())
}

fn json(file: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))
}

fn tables(figures: &[Figure]) -> String {
    let mut text = String::from("| work | rate |\n|---|---|\n");
    for figure in figures {
        if let Some((amount, kind)) = &figure.throughput {
            let rate = amount / figure.nanoseconds * 1e9;
            let unit = if kind == "Bytes" { "MB/s" } else { "million/s" };
            let Figure { group, name, .. } = figure;
            text += &format!("| {group}: {name} | {:.2} {unit} |\n", rate / 1e6);
        }
    }
    text += "\n| one call | time | each of its 2,000 events |\n|---|---|---|\n";
    for figure in figures.iter().filter(|figure| figure.group == CALLS) {
        let Figure { name, nanoseconds, .. } = figure;
        let event = if name.contains("stream") {
            format!("{:.2} µs", nanoseconds / 1e3 / 2000.0)
        } else {
            "–".to_owned()
        };
        text += &format!("| {name} | {:.2} ms | {event} |\n", nanoseconds / 1e6);
    }
    text += "\n| input | 1 MiB | 2 MiB : 1 MiB | 4 MiB : 1 MiB |\n|---|---|---|---|\n";
    for (name, sizes) in by_size(figures) {
        let Some(one) = sizes.get("1") else { continue };
        let ratio = |size: &str| {
            sizes.get(size).map_or_else(|| "–".to_owned(), |time| format!("{:.1}", time / one))
        };
        text += &format!("| {name} | {:.1} ms | {} | {} |\n", one / 1e6, ratio("2"), ratio("4"));
    }
    text
}

/// Nanoseconds by name and size, of the benchmarks that have a size behind their name.
fn by_size(figures: &[Figure]) -> BTreeMap<&str, BTreeMap<&str, f64>> {
    let mut sizes: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for figure in figures.iter().filter(|figure| figure.throughput.is_none()) {
        if let Some((name, size)) = figure.name.rsplit_once('/') {
            sizes.entry(name).or_default().insert(size, figure.nanoseconds);
        }
    }
    sizes
}

/// The test of memory prints rows of a table.
fn memory(workspace: &Workspace) -> Result<String> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--package", PACKAGE, "--test", "memory", "--", "--nocapture"]);
    let output = cargo.stdin(Stdio::null()).output().context("can't start cargo")?;
    if !output.status.success() {
        bail!("memory is beyond its bounds: {}", String::from_utf8_lossy(&output.stderr));
    }
    let rows = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<_> = rows.lines().filter(|line| line.starts_with("| ")).collect();
    Ok(format!("\n| connection | bytes |\n|---|---|\n{}\n", rows.join("\n")))
}

/// What the figures were taken on.
fn conditions() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores, load {} at the end (1 is this benchmark). Medians.\n",
        model.trim_start_matches([' ', '\t', ':']),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// Puts the text between the marks of the file, which must be there.
fn write(file: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    let (before, rest) =
        old.split_once(BEGIN).context("the mark of the section's begin is gone")?;
    let (_, after) = rest.split_once(END).context("the mark of the section's end is gone")?;
    fs::write(file, format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
        .with_context(|| format!("can't write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_rows() {
        let figure = |name: &str, nanoseconds, throughput| Figure {
            group: "g".into(),
            name: name.into(),
            nanoseconds,
            throughput,
        };
        let text = tables(&[
            figure("bodies", 2e6, Some((4e6, "Bytes".into()))),
            Figure { group: CALLS.into(), ..figure("a stream", 1e6, None) },
            figure("slow/1", 5e6, None),
            figure("slow/2", 1e7, None),
        ]);
        assert!(text.contains("| g: bodies | 2000.00 MB/s |"), "{text}");
        assert!(text.contains("| a stream | 1.00 ms | 0.50 µs |"), "{text}");
        assert!(text.contains("| slow | 5.0 ms | 2.0 | – |"), "{text}");
    }
}
