//! The test program of rustls as it is built in several ways, and programs of others that hold rustls.
//! Takes the workspace; gives the folder of the programs, named by provider and way, and what was
//! installed.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{Python, stamp, system};
use crate::{step, workspace::Workspace};

const SOURCE: &str = "tests/rustls-client";
const FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "src/main.rs"];

/// A client for Python that is made of rustls and aws-lc, stripped.
pub(crate) const PRIMP: &str = "primp==2.0.1";
/// A program of 290 MB that is made of rustls, linked to musl and stripped.
pub(crate) const CODEX: &str = "@openai/codex@0.169.0-linux-x64";

/// How the program is built: a name, the provider, the profile and where cargo puts it, whether it is
/// built in every run.
struct Way {
    name: &'static str,
    provider: &'static str,
    profile: &'static str,
    always: bool,
}

const WAYS: [Way; 4] = [
    Way { name: "ring", provider: "ring", profile: "release", always: true },
    Way { name: "aws-lc-shipped", provider: "aws-lc", profile: "shipped", always: false },
    Way { name: "ring-shipped", provider: "ring", profile: "shipped", always: false },
    Way { name: "aws-lc", provider: "aws-lc", profile: "release", always: false },
];

/// The folder of the programs, made if need be.
///
/// `full`: in every way; else in the one that none of the programs of others is built in.
///
/// # Errors
/// The program could not be built.
pub(crate) fn ready(workspace: &Workspace, full: bool) -> Result<PathBuf> {
    let programs = workspace.target("rustls/programs");
    fs::create_dir_all(&programs).with_context(|| format!("can't make {}", programs.display()))?;
    let mut sources = String::new();
    for name in FILES {
        let file = workspace.file(SOURCE).join(name);
        sources +=
            &fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    }
    for way in WAYS.iter().filter(|way| full || way.always) {
        let program = programs.join(way.name);
        let stamped = workspace.target(&format!("rustls/made/{}", way.name));
        if program.exists() && stamp::fits(&stamped, &sources) {
            continue;
        }
        let built = workspace.target("rustls/build");
        let mut cargo = workspace.cargo();
        cargo.current_dir(workspace.file(SOURCE)).arg("build").arg("--locked");
        cargo.args(["--profile", way.profile, "--no-default-features", "--features", way.provider]);
        cargo.arg("--target-dir").arg(&built);
        let what = format!("building a test program with rustls ({}, some minutes)", way.name);
        step::run(workspace, &format!("rustls-{}", way.name), &what, &mut cargo)?;
        fs::copy(built.join(way.profile).join("rustls-client"), &program)
            .with_context(|| format!("can't make {}", program.display()))?;
        fs::create_dir_all(&stamped)?;
        stamp::set(&stamped, &sources)?;
    }
    Ok(programs)
}

/// The folder of primp, for `PYTHONPATH`, installed if need be.
///
/// # Errors
/// It could not be installed.
pub(crate) fn primp(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target("rustls/primp");
    if stamp::fits(&folder, PRIMP) {
        return Ok(folder);
    }
    let python = Python::ready(workspace)?;
    step::run(
        workspace,
        "primp",
        "installing primp (5 MB)",
        Command::new(python.interpreter)
            .args(["-m", "pip", "install", "--no-deps", "--no-input", "--upgrade", "--target"])
            .arg(&folder)
            .arg(PRIMP),
    )?;
    stamp::set(&folder, PRIMP)?;
    Ok(folder)
}

/// Codex's program, installed if need be.
///
/// # Errors
/// It could not be installed.
pub(crate) fn codex(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target("rustls/codex");
    let program = || {
        let vendor = folder.join("node_modules/@openai/codex/vendor/x86_64-unknown-linux-musl");
        ["bin/codex", "codex/codex"]
            .map(|name| vendor.join(name))
            .into_iter()
            .find(|it| it.exists())
    };
    if !stamp::fits(&folder, CODEX) {
        system::tools(workspace, &[("npm", "npm")])?;
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        step::run(
            workspace,
            "codex",
            "installing Codex (290 MB on disk)",
            Command::new("npm")
                .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
                .arg(&folder)
                .arg(CODEX),
        )?;
        stamp::set(&folder, CODEX)?;
    }
    program().context("the package of Codex has no program where it was in other versions")
}
