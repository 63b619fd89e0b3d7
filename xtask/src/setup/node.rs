//! The Node packages of the test programs and the demo.
//! Takes `tests/programs/node/package.json` and its lock file.
//! Gives `node` and a `node_modules` folder in the target folder, for `NODE_PATH`.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use super::{stamp, system};
use crate::{step, workspace::Workspace};

const SOURCE: &str = "tests/programs/node";
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
const OLDEST_MAJOR: u32 = 18;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) program: PathBuf,
    pub(crate) modules: PathBuf,
}

impl Node {
    /// Finds Node and the packages, or installs them.
    ///
    /// # Errors
    /// Node is missing or too old, or its packages could not be installed.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        system::tools(workspace, &[("node", "nodejs")])?;
        let program = system::program("node").context("the package nodejs brought no `node`")?;
        let folder = workspace.target("node");
        let node = Self { program, modules: folder.join("node_modules") };
        node.check_version()?;
        let mut wanted = String::new();
        for name in FILES {
            let file = workspace.file(SOURCE).join(name);
            wanted += &fs::read_to_string(&file)
                .with_context(|| format!("can't read {}", file.display()))?;
        }
        if node.modules.is_dir() && stamp::fits(&folder, &wanted) {
            return Ok(node);
        }
        system::tools(workspace, &[("npm", "npm")])?;
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        for name in FILES {
            fs::copy(workspace.file(SOURCE).join(name), folder.join(name))
                .with_context(|| format!("can't copy {name}"))?;
        }
        step::run(
            workspace,
            "npm-ci",
            "installing Node packages (LLM clients)",
            Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&folder),
        )?;
        stamp::set(&folder, &wanted)?;
        Ok(node)
    }

    fn check_version(&self) -> Result<()> {
        let version = step::answer(Command::new(&self.program).arg("--version"))
            .with_context(|| format!("{} does not run", self.program.display()))?;
        let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
        if major.parse::<u32>().is_ok_and(|major| major >= OLDEST_MAJOR) {
            return Ok(());
        }
        bail!(
            "{} is version {version}; the LLM clients need {OLDEST_MAJOR} or later",
            self.program.display()
        )
    }
}
