//! The demo's real LLM, plain and behind TLS, and the real clients that call it.
//! Takes a [`Lab`]; gives ports, and a command that runs every client once.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{Lab, Nginx, Parts, Running};

/// llama.cpp's server with a small model.
#[derive(Debug)]
pub struct Model {
    /// Of plain HTTP.
    pub port: u16,
    _server: Running,
}

impl Model {
    /// The clients run one after another; `set -e`: one that fails ends the round.
    pub const ROUND: &str = r#"
        "$1" "$2/openai_client.py"
        "$1" "$2/anthropic_client.py"
        "$3" "$4/openai_client.cjs"
    "#;
    /// Calls of a round: four by each Python client, two by Node's.
    pub const CALLS: usize = 10;

    /// # Errors
    /// It did not start.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::start_with(lab, &[])
    }

    /// As [`Self::start`], for embeddings too.
    ///
    /// # Errors
    /// It did not start.
    pub fn start_with_embeddings(lab: &Lab) -> Result<Self> {
        Self::start_with(lab, &["embeddings"])
    }

    fn start_with(lab: &Lab, what: &[&str]) -> Result<Self> {
        let mut server = Command::new(&lab.parts.python);
        server.arg(Parts::program("python/llama.py")).arg("0").args(what);
        let server = Running::start(server)?;
        Ok(Self { port: server.port()?, _server: server })
    }

    /// nginx with TLS in front of it.
    ///
    /// # Errors
    /// It did not start.
    pub fn behind_tls(&self, lab: &Lab) -> Result<Nginx> {
        Nginx::before(lab.folder(), &lab.authority, self.port)
    }

    /// The shell that runs `script`, which has [`Model::ROUND`] in it, against the server at `url`.
    /// What the clients received goes to the file `records`.
    pub fn clients(lab: &Lab, script: &str, url: &str, records: &Path) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "clients"])
            .arg(&lab.parts.python)
            .arg(Parts::program("python"))
            .arg(&lab.parts.node)
            .arg(Parts::program("node"))
            .env("OPENAI_BASE_URL", format!("{url}/v1"))
            .env("ANTHROPIC_BASE_URL", url)
            .env("OPENAI_API_KEY", Self::KEY)
            .env("ANTHROPIC_API_KEY", Self::KEY)
            .env("NODE_PATH", &lab.parts.node_modules)
            .env("RECORDS", records)
            .stdin(Stdio::null());
        lab.authority.trust(&mut command);
        command
    }

    /// What the clients take for a credential; the server asks for none.
    pub const KEY: &str = "sk-none-needed-0123456789";
}
