//! How each client is started: the command that makes the calls of a job.
//! Takes the program and where the server is; gives a command. Those that make one call a process are
//! started by a shell, many at a time.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::part::Part;
use crate::{
    Lab, Parts as Sources,
    mixed::{self, Call, Connection, Protocol, together},
};

/// What a client is started with.
pub(super) struct Start<'a> {
    pub(super) lab: &'a Lab,
    pub(super) part: &'a Part,
    pub(super) port: u16,
    pub(super) connections: &'a [Connection],
    /// The port of a proxy that is to be gone through.
    pub(super) proxy: Option<u16>,
}

pub(super) type Client = fn(&Start<'_>) -> Result<Command>;

impl Start<'_> {
    /// The program with a script of `tests/programs`, the port and the job.
    fn script(&self, script: &str) -> Result<Command> {
        let mut command = self.program();
        command.arg(Sources::program(script));
        self.job(&mut command)?;
        Ok(command)
    }

    fn program(&self) -> Command {
        let mut command = Command::new(&self.part.program);
        self.lab.authority.trust(&mut command);
        command
    }

    fn job(&self, command: &mut Command) -> Result<()> {
        command.arg(self.port.to_string()).arg(mixed::job(self.lab, self.connections)?);
        Ok(())
    }

    fn is_http2(&self) -> bool {
        self.connections.iter().any(|connection| connection.protocol == Protocol::Http2)
    }

    /// As many shells as connections, each of which makes its calls after each other.
    fn one_call_a_process(&self, command: impl Fn(&Call) -> Result<String>) -> Result<Command> {
        let mut shells = Vec::new();
        for connection in self.connections {
            let calls = connection.calls.iter().map(&command).collect::<Result<Vec<_>>>()?;
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(calls.join(" && "));
            shells.push(shell);
        }
        let mut all = together(&shells)?;
        self.lab.authority.trust(&mut all);
        Ok(all)
    }
}

pub(super) fn cpython(start: &Start<'_>) -> Result<Command> {
    start.script("python/mixed_threads.py")
}

pub(super) fn curl(start: &Start<'_>) -> Result<Command> {
    let commands = start
        .connections
        .iter()
        .map(|one| {
            let mut curl = Command::new(&start.part.program);
            if let Some(proxy) = start.proxy {
                curl.args(["--proxytunnel", "--proxy", &format!("http://127.0.0.1:{proxy}")]);
            }
            mixed::curl(curl, start.lab, start.port, one)
        })
        .collect::<Result<Vec<_>>>()?;
    together(&commands)
}

pub(super) fn node(start: &Start<'_>) -> Result<Command> {
    start.script("node/mixed.cjs")
}

pub(super) fn node_debian(start: &Start<'_>) -> Result<Command> {
    let mut command = node(start)?;
    command.env("LD_LIBRARY_PATH", start.part.library()?);
    Ok(command)
}

pub(super) fn ruby(start: &Start<'_>) -> Result<Command> {
    start.script("matrix/client.rb")
}

pub(super) fn php(start: &Start<'_>) -> Result<Command> {
    start.script("matrix/client.php")
}

pub(super) fn perl(start: &Start<'_>) -> Result<Command> {
    start.script("matrix/client.pl")
}

pub(super) fn curl_cffi(start: &Start<'_>) -> Result<Command> {
    let mut command = start.script("matrix/client_cffi.py")?;
    command.env("PYTHONPATH", start.part.library()?);
    Ok(command)
}

pub(super) fn primp(start: &Start<'_>) -> Result<Command> {
    let mut command = start.script("matrix/client_primp.py")?;
    command.env("PYTHONPATH", start.part.library()?);
    Ok(command)
}

/// Bun's `fetch` knows HTTP/1.1 alone.
pub(super) fn bun(start: &Start<'_>) -> Result<Command> {
    let mut command =
        start.script(if start.is_http2() { "node/mixed.cjs" } else { "matrix/fetch.mjs" })?;
    // Else it writes a cache into the user's home.
    command.env("BUN_RUNTIME_TRANSPILER_CACHE_PATH", "0");
    Ok(command)
}

pub(super) fn go(start: &Start<'_>) -> Result<Command> {
    let mut command = start.program();
    command.arg("client");
    start.job(&mut command)?;
    Ok(command)
}

pub(super) fn libcurl(start: &Start<'_>) -> Result<Command> {
    let mut command = start.program();
    command.arg(Sources::program("matrix/libcurl.py")).arg(start.part.library()?);
    start.job(&mut command)?;
    Ok(command)
}

pub(super) fn wget(start: &Start<'_>) -> Result<Command> {
    start.one_call_a_process(|call| {
        let body = start.lab.file("body");
        fs::write(&body, call.pieces()?.concat())?;
        let mut line = format!(
            "{} --quiet --output-document=/dev/null --tries=1 --ca-certificate={} --method={} \
             --body-file={}",
            start.part.program.display(),
            start.lab.authority.root.display(),
            call.method,
            body.display()
        );
        for (name, value) in call.fields()? {
            line += &format!(" --header='{name}: {value}'");
        }
        Ok(format!("{line} https://localhost:{}{}", start.port, call.path))
    })
}

/// It sends what comes on its standard input, and ends when the server closes.
pub(super) fn tstclnt(start: &Start<'_>) -> Result<Command> {
    let trusted = certificates(start.lab)?;
    start.one_call_a_process(|call| {
        let request = start.lab.file("request");
        fs::write(&request, wire(call, start.port, "close")?)?;
        Ok(format!(
            "{} -4 -h localhost -p {} -d sql:{} -V tls1.2:tls1.3 < {} > /dev/null",
            start.part.program.display(),
            start.port,
            trusted,
            request.display()
        ))
    })
}

/// It sends what is in files, and reads answers by Netty's decoder.
pub(super) fn netty(start: &Start<'_>) -> Result<Command> {
    let mut lines = String::new();
    for connection in start.connections {
        let mut requests = Vec::new();
        for call in &connection.calls {
            let request = start.lab.file("request");
            fs::write(&request, wire(call, start.port, "keep-alive")?)?;
            requests.push(request.to_str().context("a path is no text")?.to_owned());
        }
        lines += &(requests.join("\t") + "\n");
    }
    let job = start.lab.file("requests");
    fs::write(&job, lines)?;
    let folder = start.part.library()?.to_str().context("a path is no text")?;
    let mut command = start.program();
    command.arg(format!("@{folder}/arguments")).arg(start.port.to_string());
    command.arg(job).arg(&start.lab.authority.root);
    Ok(command)
}

/// A folder of NSS' own kind that has the authority's certificate.
fn certificates(lab: &Lab) -> Result<String> {
    let folder = lab.file("nss");
    fs::create_dir(&folder)?;
    let folder = folder.to_str().context("a path is no text")?.to_owned();
    let authority = lab.authority.root.to_str().context("a path is no text")?;
    let database = format!("sql:{folder}");
    let steps: [&[&str]; 2] = [
        &["-N", "-d", &database, "--empty-password"],
        &["-A", "-d", &database, "-n", "authority", "-t", "C,,", "-i", authority],
    ];
    for step in steps {
        let status = Command::new("certutil").args(step).stdin(Stdio::null()).status();
        ensure!(status.context("can't start certutil")?.success(), "certutil {step:?} failed");
    }
    Ok(folder)
}

/// A request as its bytes are. `after`: what becomes of the connection then.
fn wire(call: &Call, port: u16, after: &str) -> Result<Vec<u8>> {
    let body = call.pieces()?.concat();
    let mut head = format!("{} {} HTTP/1.1\r\nhost: localhost:{port}\r\n", call.method, call.path);
    for (name, value) in call.fields()? {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\nconnection: {after}\r\n\r\n", body.len());
    Ok([head.into_bytes(), body].concat())
}

/// Whether a file is there: what a shell runs is not told otherwise.
pub(super) fn is_there(program: &Path) -> Result<()> {
    ensure!(program.exists(), "{} is not there", program.display());
    Ok(())
}
