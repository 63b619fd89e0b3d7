//! What `cargo xtask` installed for the rows, or why it did not.
//! Takes the file that it wrote; gives the program of a row, with its version.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const VARIABLE: &str = "LLMTAP_MATRIX";

/// The program of a row.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Part {
    pub(super) program: PathBuf,
    pub(super) version: String,
    /// A library by its name, or the folder of libraries or modules.
    #[serde(default)]
    library: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    There(Part),
    Absent { reason: String },
}

#[derive(Debug)]
pub struct Parts {
    file: PathBuf,
    told: BTreeMap<String, Told>,
}

impl Parts {
    /// # Errors
    /// Not run by `cargo xtask`.
    pub fn find() -> Result<Self> {
        let file = env::var_os(VARIABLE).map(PathBuf::from).with_context(|| {
            format!("{VARIABLE} is not set: run this by `cargo xtask test traced_matrix`")
        })?;
        Self::read(&file)
    }

    /// # Errors
    /// The file is not there, or not as `cargo xtask` writes it.
    pub fn read(file: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
        Ok(Self { file: file.to_owned(), told: serde_json::from_str(&text)? })
    }

    /// The folder of everything that belongs to the matrix.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    pub(super) fn of(&self, row: &str) -> Result<&Part> {
        match self.told.get(row) {
            Some(Told::There(part)) => Ok(part),
            Some(Told::Absent { reason }) => bail!("{row}: {reason}"),
            None => bail!("cargo xtask does not know the row {row}"),
        }
    }

    /// Why a row has no program.
    pub(super) fn reason(&self, row: &str) -> Option<&str> {
        match self.told.get(row)? {
            Told::There(_) => None,
            Told::Absent { reason } => Some(reason),
        }
    }
}

impl Part {
    pub(super) fn library(&self) -> Result<&Path> {
        self.library.as_deref().context("cargo xtask told of no library")
    }
}
