//! A temporary folder with an authority, and everything that starts in it.
//! Takes [`Parts`]; gives servers, client commands and tracers that fit together.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Authority, Parts, Protocol, Receiver, Running, Server, Tracer};

/// Links a C program to OpenSSL without its development files.
pub const OPENSSL: [&str; 2] = ["-l:libssl.so.3", "-l:libcrypto.so.3"];

#[derive(Debug)]
pub struct Lab {
    pub parts: Parts,
    pub authority: Authority,
    folder: TempDir,
    files: AtomicU32,
}

impl Lab {
    /// # Errors
    /// Not run by `cargo xtask`, or the certificates could not be made.
    pub fn open() -> Result<Self> {
        Self::open_for(&[])
    }

    /// With a certificate for these hosts beside `localhost`.
    ///
    /// # Errors
    /// As [`Lab::open`].
    pub fn open_for(hosts: &[&str]) -> Result<Self> {
        let parts = Parts::find()?;
        let folder = tempfile::Builder::new()
            .prefix("llmtap-lab-")
            .tempdir()
            .context("can't make a temporary folder")?;
        let authority = Authority::make(folder.path(), hosts)?;
        Ok(Self { parts, authority, folder, files: AtomicU32::new(0) })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A name in the folder that nothing has yet.
    pub fn file(&self, name: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.folder.path().join(format!("{number}-{name}"))
    }

    /// # Errors
    /// The server did not start.
    pub fn server(&self) -> Result<Server> {
        Server::start(&self.parts, &self.authority, self.file("server.jsonl"))
    }

    /// # Errors
    /// The receiver did not start.
    pub fn receiver(&self, protocol: Protocol) -> Result<Receiver> {
        Receiver::start(&self.parts, protocol, 0, "ok", self.file("receiver.jsonl"))
    }

    /// A Python program of `tests/programs/python` that trusts the authority.
    pub fn python(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.parts.python);
        command.arg(Parts::program("python").join(program)).args(arguments);
        self.authority.trust(&mut command);
        command
    }

    /// A program of `tests/programs/sdks`, in the environment that has the SDKs.
    ///
    /// # Errors
    /// Not run by `cargo xtask test`.
    pub fn sdks_python(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(Parts::sdks()?);
        command.arg(Parts::program("sdks").join(program));
        self.authority.trust(&mut command);
        Ok(command)
    }

    /// A Node program of `tests/programs/node` that trusts the authority.
    pub fn node(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.parts.node);
        command.arg(Parts::program("node").join(program)).args(arguments);
        command.env("NODE_PATH", &self.parts.node_modules);
        self.authority.trust(&mut command);
        command
    }

    /// Compiles `tests/programs/c/call.c`; `late`: it opens the TLS library by itself.
    ///
    /// # Errors
    /// As [`Lab::compile_c`].
    pub fn compile(&self, late: bool) -> Result<PathBuf> {
        self.compile_c("call.c", if late { &["-DLATE", "-ldl"] } else { &OPENSSL })
    }

    /// Compiles a program of `tests/programs/c`.
    ///
    /// # Errors
    /// The compiler is missing or failed.
    pub fn compile_c(&self, source: &str, arguments: &[&str]) -> Result<PathBuf> {
        let binary = self.file("program");
        let mut compiler = Command::new("cc");
        compiler.args(["-Wall", "-Werror", "-o"]).arg(&binary);
        compiler.arg(Parts::program("c").join(source)).args(arguments);
        Running::start(compiler)?.finish(Duration::from_secs(60))?.success()?;
        Ok(binary)
    }

    /// `tests/programs/c/passes.c`, compiled, with its first arguments; files that it waits for are
    /// those of the folder.
    ///
    /// # Errors
    /// The compiler is missing or failed.
    pub fn passes(&self) -> Result<Command> {
        let binary = self.file("passes");
        let mut compiler = Command::new("cc");
        compiler.args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"]).arg(&binary);
        compiler.arg(Parts::program("c/passes.c"));
        compiler.args(["-l:libssl.so.3", "-l:libcrypto.so.3"]);
        Running::start(compiler)?.finish(Duration::from_secs(60))?.success()?;
        let mut command = Command::new(binary);
        command.args([&self.authority.certificate, &self.authority.key]).arg(self.folder());
        Ok(command)
    }

    /// Starts a server that takes a certificate, its key and a log, and prints its port.
    ///
    /// # Errors
    /// It could not be started.
    pub fn serve(&self, mut server: Command) -> Result<(Running, PathBuf)> {
        let log = self.file("server.jsonl");
        server.args([&self.authority.certificate, &self.authority.key, &log]);
        Ok((Running::start(server)?, log))
    }

    /// `llmtap trace` with its spans in a file of the folder.
    pub fn tracer(&self) -> Tracer {
        Tracer::new(Command::new(&self.parts.llmtap), self.file("spans.jsonl"))
    }

    /// As [`Lab::tracer`], where the file `hosts` is `/etc/hosts`: in a mount namespace of its own.
    pub fn tracer_where(&self, hosts: &Path) -> Tracer {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg("mount --bind \"$0\" /etc/hosts && exec \"$@\"");
        command.arg(hosts).arg(&self.parts.llmtap);
        Tracer::new(command, self.file("spans.jsonl"))
    }

    /// `llmtap record` of a command into `file`, without credentials.
    pub fn recorder(&self, file: &Path, program: &Command) -> Command {
        let mut command = self.llmtap(&["record", "-o"]);
        command.arg(file).arg("--").arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// `llmtap` with these arguments only.
    pub fn llmtap<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.parts.llmtap);
        command.args(arguments);
        command
    }
}
