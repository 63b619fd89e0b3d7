//! cargo-fuzz, and the C++ compiler that its runtime is built with.
//! Takes the workspace; gives the program, installed below the target folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::system;
use crate::{step, workspace::Workspace};

const VERSION: &str = "0.13.2";

/// Finds cargo-fuzz, or installs it.
///
/// # Errors
/// It is not there and could not be installed.
pub(crate) fn ready(workspace: &Workspace) -> Result<PathBuf> {
    system::tools(workspace, &[("c++", "g++")])?;
    let tools = workspace.target("tools");
    let own = tools.join("bin/cargo-fuzz");
    if suitable(&own) {
        return Ok(own);
    }
    let mut cargo = workspace.cargo();
    cargo.args(["install", "cargo-fuzz", "--version", VERSION, "--locked", "--root"]);
    cargo.arg(&tools).env("CARGO_TARGET_DIR", workspace.target("tools-build"));
    step::run(workspace, "cargo-fuzz", "building cargo-fuzz (about a minute)", &mut cargo)?;
    // Its intermediate files are of no further use; failing to remove them harms nothing.
    let _ = fs::remove_dir_all(workspace.target("tools-build"));
    Ok(own)
}

fn suitable(program: &Path) -> bool {
    step::answer(Command::new(program).arg("--version"))
        .is_some_and(|version| version.split_whitespace().last() == Some(VERSION))
}
