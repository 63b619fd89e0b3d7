//! SDKs' calls of a server that answers by itself.
//! Takes rows and a URL; gives the command that makes the calls one after another.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Runtime,
    play::{client, write_lines},
};
use crate::Lab;

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    pub runtime: Runtime,
    pub sdk: &'static str,
    pub call: &'static str,
    pub path: &'static str,
    /// JSON; a call is streamed where it says so.
    pub request: &'static str,
    pub asynchronous: bool,
}

impl Live {
    /// The client that makes those of the calls which are for its runtime, in their order.
    ///
    /// # Errors
    /// A request is no JSON.
    pub fn client(lab: &Lab, runtime: Runtime, calls: &[Self], url: &str) -> Result<Command> {
        let jobs = lab.file("jobs.jsonl");
        let calls = calls.iter().filter(|call| call.runtime == runtime);
        let lines: Vec<_> = calls.map(|call| call.job(url)).collect::<Result<_>>()?;
        write_lines(&jobs, lines.into_iter())?;
        client(lab, runtime, &jobs)
    }

    fn job(&self, url: &str) -> Result<Value> {
        let request: Value = serde_json::from_str(self.request).context(self.request)?;
        let manner = if self.asynchronous { "async" } else { "sync" };
        let stream = request["stream"] == true;
        Ok(json!({
            "case": format!("{} {} {manner} {}", self.sdk, self.call, self.request),
            "sdk": self.sdk,
            "call": self.call,
            "url": url,
            "path": self.path,
            "request": request,
            "stream": stream,
            "asynchronous": self.asynchronous,
            "retries": 0,
        }))
    }
}
