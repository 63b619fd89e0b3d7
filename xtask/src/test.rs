//! Runs every test and says how many there were.
//! Takes a filter and what may be left out; unit tests first, then the end-to-end tests.
//! Test files named `traced_*` run the tracer and need root; what does not run is listed.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    lab,
    setup::{self, golang, libssl, matrix, rustls},
    step,
    workspace::Workspace,
};

const PACKAGE: &str = "llmtap-tests";
/// Name of a test file that runs the tracer begins with this.
const TRACED: &str = "traced_";
/// The test files that need the SDKs of providers, which are installed for them alone.
const SDKS: [&str; 2] = ["traced_sdks", "traced_llama"];
/// The test file that needs Go, which is installed for it alone.
const GOLANG: &str = "traced_golang";
/// The test file that needs programs of rustls, which are made for it alone.
const RUSTLS: &str = "traced_rustls";

/// The test file that needs two builds of OpenSSL.
const FILES: &str = "traced_files";

/// The test file whose tests are rows of a table, each of which needs a program of its own.
const MATRIX: &str = "traced_matrix";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave out the tests that need BPF; they are listed as skipped
    #[arg(long)]
    no_bpf: bool,
    /// Loads in full size and number
    #[arg(long)]
    full: bool,
    /// Only tests whose name, or whose end-to-end file, contains this
    filter: Option<String>,
}

impl Arguments {
    /// The filter is the name of an end-to-end file that runs the tracer: the rest needs no building.
    fn names_traced_file(&self) -> bool {
        self.filter.as_deref().is_some_and(|filter| filter.starts_with(TRACED))
    }

    /// What is left to filter by within a file of that name.
    fn filter_within(&self, file: &str) -> Option<&str> {
        self.filter.as_deref().filter(|filter| !file.contains(filter))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// A test file of the end-to-end tests, built.
struct Binary {
    name: String,
    path: PathBuf,
}

/// # Errors
/// Something could not be set up or built, or a test failed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut variables = lab::variables(workspace)?;
    if arguments.full {
        variables.push(("LLMTAP_FULL", "1".into()));
    }
    let mut count = Count::default();
    if !arguments.names_traced_file() {
        count.add(unit_tests(workspace, arguments)?);
    }
    for binary in binaries(workspace)? {
        let wanted = tests_of(&binary, arguments)?;
        if wanted.is_empty() {
            continue;
        }
        let part = if arguments.no_bpf && binary.name.starts_with(TRACED) {
            list_skipped(&binary, &wanted)
        } else {
            if SDKS.contains(&binary.name.as_str()) {
                let sdks = setup::Python::with_sdks(workspace)?;
                variables.push(("LLMTAP_SDKS_PYTHON", sdks.interpreter.into()));
            }
            if binary.name == GOLANG {
                let programs = golang::ready(workspace, arguments.full)?;
                variables.push(("LLMTAP_GOLANG", programs.into()));
            }
            if binary.name == FILES {
                variables.push(("LLMTAP_LIBSSL", libssl::ready(workspace)?.into()));
            }
            if binary.name == RUSTLS {
                let programs = rustls::ready(workspace, arguments.full)?;
                variables.push(("LLMTAP_RUSTLS", programs.into()));
                variables.push(("LLMTAP_PRIMP", rustls::primp(workspace)?.into()));
                variables.push(("LLMTAP_CODEX", rustls::codex(workspace)?.into()));
            }
            if binary.name == MATRIX {
                of_matrix(workspace, &binary, &wanted, arguments.full, &mut variables)?
            } else {
                end_to_end(&binary, arguments.filter_within(&binary.name), &variables)?
            }
        };
        count.add(part);
    }
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    if count.failed > 0 {
        bail!("{} tests failed, see above", count.failed);
    }
    if count == Count::default() {
        bail!("no test has a name like that");
    }
    Ok(())
}

fn unit_tests(workspace: &Workspace, arguments: &Arguments) -> Result<Count> {
    let mut count = Count::default();
    for package in [&["--workspace", "--exclude", PACKAGE][..], &["--package", PACKAGE, "--lib"]] {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--no-fail-fast"]).args(package).arg("--");
        cargo.args(&arguments.filter);
        count.add(counted("the unit tests", &mut cargo)?);
    }
    Ok(count)
}

/// Builds the end-to-end tests; gives one binary a file, in the order of their names.
fn binaries(workspace: &Workspace) -> Result<Vec<Binary>> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--package", PACKAGE, "--no-run", "--test", "*"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let output = cargo
        .stderr(Stdio::inherit())
        .stdin(Stdio::null())
        .output()
        .context("can't start cargo")?;
    if !output.status.success() {
        bail!("the end-to-end tests do not build, see above");
    }
    let mut found: Vec<_> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(binary).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The binary that one of cargo's messages tells of.
fn binary(message: &str) -> Option<Binary> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    if target["kind"][0] != "test" {
        return None;
    }
    Some(Binary {
        name: target["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
    })
}

/// The tests of a file that the filter lets pass.
fn tests_of(binary: &Binary, arguments: &Arguments) -> Result<Vec<String>> {
    let filter = arguments.filter_within(&binary.name);
    let list = step::answer(Command::new(&binary.path).arg("--list").args(filter))
        .with_context(|| format!("{} does not list its tests", binary.name))?;
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

fn list_skipped(binary: &Binary, names: &[String]) -> Count {
    let mut count = Count::default();
    for name in names {
        println!("not run (--no-bpf): {}::{name}", binary.name);
        count.skipped += 1;
    }
    count
}

/// Installs what the rows need that are to be run; the tests of the others are listed as skipped.
fn of_matrix(
    workspace: &Workspace,
    binary: &Binary,
    wanted: &[String],
    full: bool,
    variables: &mut Vec<(&'static str, OsString)>,
) -> Result<Count> {
    let left_out = matrix::ready(workspace, wanted, full)?;
    let mut count = Count::default();
    for (name, reason) in &left_out {
        println!("not run ({reason}): {}::{name}", binary.name);
        count.skipped += 1;
    }
    let run: Vec<_> = wanted.iter().filter(|name| !left_out.contains_key(*name)).collect();
    if !run.is_empty() {
        variables.push(("LLMTAP_MATRIX", matrix::parts(workspace).into()));
        let names = run.into_iter().map(String::as_str);
        count.add(end_to_end(binary, std::iter::once("--exact").chain(names), variables)?);
    }
    Ok(count)
}

/// `filter`: what the file's own program is told of which tests to run.
fn end_to_end<'a>(
    binary: &Binary,
    filter: impl IntoIterator<Item = &'a str>,
    variables: &[(&str, OsString)],
) -> Result<Count> {
    println!("\n{} (end to end)", binary.name);
    let mut command = if binary.name.starts_with(TRACED) {
        lab::as_root(&binary.path, variables)?
    } else {
        let mut command = Command::new(&binary.path);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    };
    // One at a time: they compare times, and each has load of its own.
    command.arg("--test-threads=1").args(filter);
    counted(&binary.name, &mut command)
}

/// Runs tests with their output shown, and adds up what they say of themselves.
fn counted(what: &str, command: &mut Command) -> Result<Count> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {what}"))?;
    let mut count = Count::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.with_context(|| format!("can't read what {what} print"))?;
            println!("{line}");
            count.add(result_line(&line).unwrap_or_default());
        }
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        // It did not build, or a test took the whole program down.
        println!("{what}: ended with {status} without saying that a test failed");
        count.failed += 1;
    }
    Ok(count)
}

/// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
fn result_line(line: &str) -> Option<Count> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut count = Count::default();
    for part in numbers.split("; ") {
        let Some((number, word)) = part.split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match word {
            "passed" => count.passed = number,
            "failed" => count.failed = number,
            "ignored" => count.skipped = number,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_line_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 4 ignored; 0 measured; 5 filtered \
                    out; finished in 0.01s";
        assert_eq!(result_line(line), Some(Count { passed: 12, failed: 3, skipped: 4 }));
        assert_eq!(result_line("test foo ... ok"), None);
    }

    #[test]
    fn test_binaries_are_found() {
        let message = r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"traced_load"},"executable":"/x/traced_load-1"}"#;
        let found = binary(message).unwrap();
        assert_eq!(found.name, "traced_load");
        assert_eq!(found.path, PathBuf::from("/x/traced_load-1"));
        assert!(binary(r#"{"target":{"kind":["lib"],"name":"x"},"executable":null}"#).is_none());
    }
}
