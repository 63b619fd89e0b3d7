//! Which program makes which calls over which connections, and the command that runs them all at once.
//! Takes tenths of the whole; gives the calls, the programs' job files and a shell command.
//! The share of each program is a row of one table.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::plan::{Call, Connection, Protocol};
use crate::Lab;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Asyncio,
    Threads,
    Node,
    Rust,
    Curl,
}

/// Connections of a tenth of the load, and the calls on each.
const SHARES: [(Program, Protocol, usize, usize); 10] = [
    (Program::Asyncio, Protocol::Http1, 16, 28),
    (Program::Asyncio, Protocol::WebSocket, 4, 1),
    (Program::Threads, Protocol::Http1, 8, 28),
    (Program::Threads, Protocol::Pipelined, 4, 28),
    (Program::Node, Protocol::Http1, 14, 28),
    (Program::Node, Protocol::Http2, 4, 3 * Connection::STREAMS),
    (Program::Rust, Protocol::Http1, 6, 28),
    (Program::Rust, Protocol::Http2, 5, 3 * Connection::STREAMS),
    (Program::Curl, Protocol::Http1, 2, 28),
    (Program::Curl, Protocol::Http2, 1, 3 * Connection::STREAMS),
];

/// Of the calls that a client can leave (over HTTP/1.1 the last of a connection), one in so many is.
const LEAVE_HTTP1: u64 = 3;
const LEAVE_HTTP2: u64 = 15;
/// Of the requests with a body by the programs that can, one in so many waits for `100 Continue`.
const EXPECT: u64 = 5;

/// Where the programs find what they need.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'a> {
    pub lab: &'a Lab,
    /// The client of this crate that uses OpenSSL.
    pub rust: &'a Path,
    pub port: u16,
    pub socket_port: u16,
}

#[derive(Debug)]
pub struct Load {
    connections: Vec<(Program, Connection)>,
}

impl Load {
    /// `tenths`: 10 is the load in full, 20,000 calls and 40 WebSockets.
    ///
    /// # Errors
    /// A body could not be encoded.
    pub fn of(tenths: usize) -> Result<Self> {
        let mut connections = Vec::new();
        let mut numbers = 1..;
        for (program, protocol, count, calls) in SHARES {
            for _ in 0..count * tenths {
                let calls = numbers.by_ref().take(calls).map(|number| match protocol {
                    Protocol::WebSocket => Ok(Call::socket(number)),
                    _ => Call::of(number),
                });
                let calls = calls.collect::<Result<_, _>>()?;
                let mut connection = Connection { protocol, calls };
                program.vary(&mut connection);
                connections.push((program, connection));
            }
        }
        Ok(Self { connections })
    }

    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.connections.iter().flat_map(|(_, connection)| &connection.calls)
    }

    /// A command that runs all programs at the same time, and fails if one does.
    ///
    /// # Errors
    /// A job could not be written.
    pub fn command(&self, with: Programs<'_>) -> Result<Command> {
        let mut commands = Vec::new();
        for program in [Program::Asyncio, Program::Threads, Program::Node, Program::Rust] {
            let whose = self.connections.iter().filter(|(whose, _)| *whose == program);
            let job = job(with.lab, whose.map(|(_, connection)| connection))?;
            commands.push(program.command(with, &job));
        }
        for (program, connection) in &self.connections {
            if *program == Program::Curl {
                commands.push(curl(Command::new("curl"), with.lab, with.port, connection)?);
            }
        }
        let mut shell = together(&commands)?;
        shell.env("NODE_PATH", &with.lab.parts.node_modules);
        with.lab.authority.trust(&mut shell);
        Ok(shell)
    }
}

/// The file of a program's connections, one a line.
///
/// # Errors
/// It could not be written.
pub fn job<'a>(
    lab: &Lab,
    connections: impl IntoIterator<Item = &'a Connection>,
) -> Result<PathBuf> {
    let mut lines = String::new();
    for connection in connections {
        writeln!(lines, "{}", serde_json::to_string(connection)?)?;
    }
    let job = lab.file("job.jsonl");
    fs::write(&job, lines)?;
    Ok(job)
}

/// A shell that runs all commands at the same time, and fails if one does. What they are told by
/// variables is for the caller to set.
///
/// # Errors
/// A word is no text.
pub fn together(commands: &[Command]) -> Result<Command> {
    let (mut starts, mut ends) = (String::new(), String::new());
    for (number, command) in commands.iter().enumerate() {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        for word in words {
            let word = word.to_str().context("a word is no text")?;
            write!(starts, "'{}' ", word.replace('\'', "'\\''"))?;
        }
        writeln!(starts, "& p{number}=$!")?;
        writeln!(ends, "wait $p{number} || {{ failed=1; echo program {number} failed >&2; }}")?;
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{starts}failed=0\n{ends}exit $failed\n")]);
    Ok(shell)
}

impl Program {
    /// What not every program can do.
    fn vary(self, connection: &mut Connection) {
        let last = connection.calls.len() - 1;
        for (index, call) in connection.calls.iter_mut().enumerate() {
            let number = call.plan.number;
            let leaves = match (self, connection.protocol) {
                (Self::Curl, _) | (_, Protocol::Pipelined | Protocol::WebSocket) => false,
                (_, Protocol::Http1) => index == last && number % LEAVE_HTTP1 == 0,
                (_, Protocol::Http2) => number % LEAVE_HTTP2 == 0,
            };
            call.plan.hangs = leaves && call.plan.status == 200 && call.method != "HEAD";
            if call.plan.hangs {
                // One to send, and one that never comes.
                call.plan.pieces = call.plan.pieces.max(2);
            }
            let can_wait = matches!(self, Self::Node | Self::Curl)
                && connection.protocol == Protocol::Http1
                && !call.body.is_empty();
            if can_wait && number % EXPECT == 0 {
                call.headers.push(("expect".into(), "100-continue".into()));
            }
        }
    }

    fn command(self, with: Programs<'_>, job: &Path) -> Command {
        let (port, socket_port) = (with.port.to_string(), with.socket_port.to_string());
        let mut command = match self {
            Self::Asyncio => with.lab.python("mixed_asyncio.py", &[&port, &socket_port]),
            Self::Threads => with.lab.python("mixed_threads.py", &[&port]),
            Self::Node => with.lab.node("mixed.cjs", &[&port]),
            Self::Rust => {
                let mut command = Command::new(with.rust);
                command.arg(&port);
                command
            }
            Self::Curl => Command::new("curl"),
        };
        command.arg(job);
        command
    }
}

/// curl makes the calls of one connection, as its configuration file says.
///
/// # Errors
/// The file could not be written.
pub fn curl(mut curl: Command, lab: &Lab, port: u16, connection: &Connection) -> Result<Command> {
    let mut lines = String::from("no-progress-meter\nshow-error\n");
    if connection.protocol == Protocol::Http2 {
        writeln!(lines, "parallel\nparallel-max = {}", Connection::STREAMS)?;
    }
    for (index, call) in connection.calls.iter().enumerate() {
        if index > 0 {
            lines.push_str("next\nshow-error\n");
        }
        let version = if connection.protocol == Protocol::Http2 { "http2" } else { "http1.1" };
        writeln!(lines, "{version}\nurl = \"https://localhost:{port}{}\"", call.path)?;
        writeln!(lines, "cacert = \"{}\"", lab.authority.root.display())?;
        writeln!(lines, "output = \"/dev/null\"")?;
        match call.method.as_str() {
            "HEAD" => lines.push_str("head\n"),
            method => writeln!(lines, "request = {method}")?,
        }
        for (name, value) in call.fields()? {
            writeln!(lines, "header = \"{name}: {}\"", value.replace('"', "\\\""))?;
        }
        if !call.body.is_empty() {
            let body = lab.file("body");
            fs::write(&body, call.pieces()?.concat())?;
            writeln!(lines, "data-binary = \"@{}\"", body.display())?;
            if call.body.len() > 1 && connection.protocol == Protocol::Http1 {
                lines.push_str("header = \"transfer-encoding: chunked\"\n");
            }
        }
    }
    let file = lab.file("curl.conf");
    fs::write(&file, lines)?;
    curl.arg("--config").arg(file);
    Ok(curl)
}
