//! What the tests are run with: `llmtap` itself, and the environments that `cargo xtask` sets up.
//! Takes environment variables; gives paths.
//! Without the variables there is nothing to test with, which is an error that says what to run.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

#[derive(Clone, Debug)]
pub struct Parts {
    pub llmtap: PathBuf,
    pub python: PathBuf,
    pub node: PathBuf,
    /// For `NODE_PATH`.
    pub node_modules: PathBuf,
}

impl Parts {
    /// # Errors
    /// A variable is not set: not run by `cargo xtask`.
    pub fn find() -> Result<Self> {
        Ok(Self {
            llmtap: path("LLMTAP_BINARY")?,
            python: path("LLMTAP_PYTHON")?,
            node: path("LLMTAP_NODE")?,
            node_modules: path("LLMTAP_NODE_MODULES")?,
        })
    }

    /// The Python that has the SDKs.
    ///
    /// # Errors
    /// Not run by `cargo xtask test`.
    pub fn sdks() -> Result<PathBuf> {
        path("LLMTAP_SDKS_PYTHON")
    }

    /// Source of a test program, below `tests/programs`.
    pub fn program(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name)
    }
}

fn path(variable: &str) -> Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).with_context(|| {
        format!("{variable} is not set: run this through `cargo xtask` (test, demo or bench)")
    })
}
