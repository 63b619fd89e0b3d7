//! The commands that run real programs around the real tracer: the demo and the benchmarks.
//! Takes their arguments; sets up, builds, and hands over to a binary of the `tests` crate, as root.
//! What needs no privileges (building, installing) is done before, as the user.

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{build, pipeline, setup, step, workspace::Workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArguments {
    /// End after one round; the exit status tells whether all calls were seen right
    #[arg(long)]
    once: bool,
    /// Send the calls, with their texts, to Arize Phoenix, a backend with a web page (1 GB on disk)
    #[arg(long)]
    backend: bool,
    /// Put pictures of the backend's page into this folder at the end
    #[arg(long, value_name = "FOLDER", requires = "backend")]
    pictures: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// What the tracer costs a client: the same work with and without it, by turns
    Overhead(OverheadArguments),
    /// What the stages behind the ring take in a second, how they bear hostile input, what they hold
    Pipeline(pipeline::Arguments),
    /// How far the tracer's times are from the client's own
    Accuracy,
    /// How long it takes until probes are in place, at the start and in a library that is loaded
    Attach,
    /// What it takes to find the TLS libraries in files: time and memory
    Inspection(InspectionArguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct OverheadArguments {
    /// Pairs of measurements for each kind of work
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// Put the figures into docs/overhead.md
    #[arg(long)]
    write: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InspectionArguments {
    /// Programs and libraries
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MatrixArguments {
    /// Put the table into docs/tls-coverage.md
    #[arg(long)]
    write: bool,
}

/// The page of what the tests of the matrix have left.
///
/// # Errors
/// They were not run, or the page can't be written.
pub(crate) fn matrix(workspace: &Workspace, arguments: &MatrixArguments) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--package", "llmtap-tests", "--bin", "matrix", "--"]);
    cargo.arg(setup::matrix::parts(workspace));
    if arguments.write {
        cargo.arg("--write").arg(workspace.file("docs/tls-coverage.md"));
    }
    step::show("the page of the matrix", &mut cargo)
}

/// # Errors
/// Something could not be set up or built, or the demo found a difference.
pub(crate) fn demo(workspace: &Workspace, arguments: &DemoArguments) -> Result<()> {
    let mut list: Vec<OsString> = Vec::new();
    if arguments.once {
        list.push("--once".into());
    }
    if arguments.backend {
        list.push("--phoenix".into());
        list.push(setup::Python::with_phoenix(workspace)?.interpreter.into());
    }
    if let Some(folder) = &arguments.pictures {
        list.push("--browser".into());
        list.push(setup::browser(workspace)?.into());
        list.push("--pictures".into());
        list.push(std::path::absolute(folder).context("--pictures is no usable path")?.into());
    }
    hand_over(workspace, "demo", &list)
}

/// # Errors
/// Something could not be set up or built, or the measurement failed.
pub(crate) fn bench(workspace: &Workspace, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Overhead(arguments) => {
            let mut list: Vec<OsString> =
                vec!["--rounds".into(), arguments.rounds.to_string().into()];
            if arguments.write {
                list.push("--write".into());
                list.push(workspace.file("docs/overhead.md").into());
            }
            hand_over(workspace, "overhead", &list)
        }
        Bench::Pipeline(arguments) => pipeline::run(workspace, arguments),
        Bench::Accuracy => hand_over(workspace, "accuracy", &[]),
        Bench::Attach => hand_over(workspace, "attach", &[]),
        Bench::Inspection(arguments) => pipeline::inspection(workspace, &arguments.files),
    }
}

/// What the programs of the `tests` crate are told of the environment, as variables.
///
/// # Errors
/// Something could not be set up or built.
pub(crate) fn variables(workspace: &Workspace) -> Result<Vec<(&'static str, OsString)>> {
    let python = setup::Python::ready(workspace)?;
    let node = setup::Node::ready(workspace)?;
    setup::servers(workspace)?;
    setup::openssl(workspace)?;
    let llmtap = build::llmtap(workspace, true)?;
    Ok(vec![
        ("LLMTAP_BINARY", llmtap.into()),
        ("LLMTAP_PYTHON", python.interpreter.into()),
        ("LLMTAP_NODE", node.program.into()),
        ("LLMTAP_NODE_MODULES", node.modules.into()),
        // An error of a test is a sentence; where it was made is of no use.
        ("RUST_LIB_BACKTRACE", "0".into()),
        // Programs that run as root leave nothing in the user's tree.
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
    ])
}

fn hand_over(workspace: &Workspace, name: &str, arguments: &[OsString]) -> Result<()> {
    let variables = variables(workspace)?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "llmtap-tests", "--bin", name]);
    step::show(&format!("the build of {name}"), &mut cargo)?;
    let mut program = as_root(workspace.target("debug").join(name), &variables)?;
    // It takes this process's place: Ctrl-C is then for it alone to handle.
    let error = program.args(arguments).exec();
    Err(error).with_context(|| format!("can't start {name}"))
}

/// A command that runs as root with these variables, which sudo would not pass on by itself.
///
/// # Errors
/// We are not root and there is no sudo.
pub(crate) fn as_root(
    program: impl Into<OsString>,
    variables: &[(&str, OsString)],
) -> Result<Command> {
    let mut command = setup::as_root("env")?;
    for (name, value) in variables {
        let mut setting = OsString::from(name);
        setting.push("=");
        setting.push(value);
        command.arg(setting);
    }
    command.arg(program.into());
    Ok(command)
}
