//! The scriptable LLM server `server.py`, and what it says it did.
//! Takes a certificate; gives a port on loopback and the records of its answers.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{Authority, Parts, Record, Running, records};

#[derive(Debug)]
pub struct Server {
    pub port: u16,
    log: PathBuf,
    _process: Running,
}

impl Server {
    /// # Errors
    /// It did not start.
    pub fn start(parts: &Parts, authority: &Authority, log: PathBuf) -> Result<Self> {
        let mut command = Command::new(&parts.python);
        command.arg(Parts::program("python/server.py")).args([
            &authority.certificate,
            &authority.key,
            &log,
        ]);
        let process = Running::start(command)?;
        Ok(Self { port: process.port()?, log, _process: process })
    }

    /// One record an answer so far.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn answers(&self) -> Result<Vec<Record>> {
        let text = fs::read_to_string(&self.log)
            .with_context(|| format!("can't read {}", self.log.display()))?;
        Ok(records(&text))
    }
}
