//! What came of a row, kept in a file: what the page is made of.
//! Takes a row that was run; gives the same back, however long ago it was.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{boundary, part::Parts};

/// Below the folder of the matrix.
const FOLDER: &str = "outcomes";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) version: String,
    /// For each file with probes: its name and how the library in it was found.
    pub(super) found: Vec<String>,
    /// Protocols that were run to their end and were right, as people name them.
    pub(super) protocols: Vec<String>,
    pub(super) exchanges: usize,
    /// What was not right.
    pub(super) failure: Option<String>,
    /// The day, UTC.
    pub(super) day: String,
}

impl Outcome {
    /// `None`: it was not run.
    ///
    /// # Errors
    /// What is there is not what a run leaves.
    pub(super) fn of(parts: &Parts, row: &str) -> Result<Option<Self>> {
        let file = parts.folder().join(FOLDER).join(row);
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(_) => Ok(None),
        }
    }

    pub(super) fn keep(&self, parts: &Parts, row: &str) -> Result<()> {
        let folder = parts.folder().join(FOLDER);
        let written = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(row), serde_json::to_string_pretty(self)?));
        written.with_context(|| format!("can't write into {}", folder.display()))
    }

    pub(super) fn add_found(&mut self, what: Vec<String>) {
        for one in what {
            if !self.found.contains(&one) {
                self.found.push(one);
            }
        }
    }
}

/// The files that the tracer put probes into, by its log, and how a library was found in each.
///
/// # Errors
/// A site in one of them is no instruction.
pub(super) fn found(errors: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in errors.lines().filter(|line| line.contains("probes attached")) {
        let Some((_, rest)) = line.split_once("path=") else { continue };
        let path = Path::new(rest.split(" sites=").next().unwrap_or(rest));
        let Ok(file) = fs::File::open(path) else { continue };
        let target = llmtap::discover::inspect(file, path)?;
        target.as_ref().map_or(Ok(()), boundary::check)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for finding in target.iter().flat_map(|target| &target.findings) {
            found.push(format!("`{name}`: {}, {}", finding.stack, by(finding)));
        }
    }
    Ok(found)
}

fn by(finding: &llmtap::discover::Finding) -> &'static str {
    match finding.basis {
        llmtap::discover::Basis::Symbols => "by symbols",
        llmtap::discover::Basis::Inference => "inferred from its code, proven by what flowed",
        llmtap::discover::Basis::Told => "by addresses that were given",
    }
}
