//! One process, looked at: what it is, the TLS libraries in what it has mapped, and the verdict.
//! Takes a pid; gives a [`Program`]. Each file is inspected once, whoever has it mapped.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{
    Library, Plaintext, Program,
    sockets::{Sockets, Tables},
    verdict,
};
use crate::{
    capture::ProcessId,
    discover::{self, Image, Inspector, Process, Stack, container, hint, mappings},
};

/// What a mapped file has.
#[derive(Debug, Default)]
struct Contents {
    findings: Vec<discover::Finding>,
    /// The version that a `libcrypto` says, for a `libssl` that says none.
    openssl: Option<String>,
}

/// What was found out of files and network namespaces so far.
#[derive(Debug, Default)]
pub struct Programs {
    inspector: Inspector,
    files: HashMap<(String, u64), Rc<Result<Contents, String>>>,
    /// Those that were asked for.
    used: HashSet<(String, u64)>,
    sockets: Tables,
}

/// What is known of a process before it is looked at.
#[derive(Debug, Default)]
pub struct Held {
    /// `None`: they cannot be read.
    pub sockets: Option<Sockets>,
    /// `None`: nothing was traced.
    pub plaintext: Option<Plaintext>,
}

impl Programs {
    pub fn new(inspector: Inspector) -> Self {
        Self { inspector, ..Self::default() }
    }

    /// `None`: they cannot be read.
    pub fn sockets(&mut self, pid: u32) -> Option<Sockets> {
        self.sockets.of_process(pid)
    }

    /// `None`: there is no such process, or nothing of it can be read.
    pub fn examine(&mut self, pid: u32, held: Held) -> Option<Program> {
        // The description wants an id that lasts; here it lives no longer than this call.
        let process = Process::read(ProcessId { pid, incarnation: 0 }).ok()?;
        let mapped = mappings::of_process(pid).unwrap_or_default();
        let mut found = verdict::Found::default();
        let (mut libraries, mut openssl) = (Vec::new(), None);
        for mapping in &mapped {
            found.jvm |= mapping.path.ends_with("libjvm.so");
            let contents = self.contents(mapping, pid);
            match &*contents {
                Ok(Contents { findings, openssl: version }) => {
                    let path = || mapping.path.clone();
                    libraries.extend(findings.iter().map(|finding| Library::of(path(), finding)));
                    openssl = openssl.or_else(|| version.clone());
                }
                Err(error) => found.unreadable.push((mapping.path.clone(), error.clone())),
            }
        }
        for library in &mut libraries {
            if library.version.is_none() && library.stack == Stack::OpenSsl {
                library.version.clone_from(&openssl);
            }
        }
        if libraries.is_empty() {
            found.hint = File::open(format!("/proc/{pid}/exe")).ok().and_then(|file| hint(&file));
        }
        found.nothing_mapped = mapped.is_empty();
        let (coverage, why) = verdict::of(&libraries, &found);
        Some(Program {
            pid,
            name: name(&process),
            container_id: container::of_process(pid).ok().flatten(),
            tcp_connections: held.sockets.map(|sockets| sockets.counts()),
            plaintext: held.plaintext,
            executable: process.executable,
            command: process.command,
            libraries,
            coverage,
            why,
        })
    }

    /// Before processes are looked at again: sockets have changed, and files that none of them had
    /// mapped since the last time are forgotten.
    pub fn again(&mut self) {
        self.sockets = Tables::default();
        let used = std::mem::take(&mut self.used);
        self.files.retain(|key, _| used.contains(key));
    }

    fn contents(&mut self, mapping: &mappings::Mapping, pid: u32) -> Rc<Result<Contents, String>> {
        let key = (mapping.device.clone(), mapping.inode);
        self.used.insert(key.clone());
        let known = self.files.entry(key).or_insert_with(|| {
            let file = mapping.open(pid).map_err(|error| error.to_string());
            Rc::new(file.and_then(|file| contents(&self.inspector, file, &mapping.path)))
        });
        Rc::clone(known)
    }
}

fn contents(inspector: &Inspector, file: File, path: &Path) -> Result<Contents, String> {
    let file_of_version = file.try_clone().map_err(|error| error.to_string())?;
    let target = inspector.inspect(file, path).map_err(|error| error.to_string())?;
    let mut findings = target.map(|target| target.findings).unwrap_or_default();
    let own = findings.iter_mut().find(|finding| finding.stack == Stack::OpenSsl);
    let is_crypto =
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libcrypto"));
    if own.is_none() && !is_crypto {
        return Ok(Contents { findings, openssl: None });
    }
    let openssl = Image::read(&file_of_version).and_then(|image| discover::openssl_version(&image));
    match own {
        Some(own) => {
            own.version = openssl;
            Ok(Contents { findings, openssl: None })
        }
        None => Ok(Contents { findings, openssl }),
    }
}

fn name(process: &Process) -> String {
    let of = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let executable = process.executable.as_ref().and_then(of);
    executable
        .or_else(|| process.command.first().cloned())
        .unwrap_or_else(|| format!("process {}", process.id.pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Coverage;

    #[test]
    fn own_process_is_described() {
        let own = Programs::default().examine(std::process::id(), Held::default()).unwrap();
        assert_eq!(own.executable, std::env::current_exe().ok());
        assert!(own.name.starts_with("llmtap"), "{}", own.name);
        assert!(!own.why.is_empty());
        assert!(Programs::default().examine(u32::MAX, Held::default()).is_none());
    }

    #[test]
    fn files_that_nobody_has_mapped_are_forgotten() {
        let mut programs = Programs::default();
        programs.examine(std::process::id(), Held::default()).unwrap();
        let known = programs.files.len();
        programs.again();
        assert_eq!(programs.files.len(), known);
        programs.again();
        assert!(known > 0 && programs.files.is_empty());
    }

    /// `sleep` has nothing but the C library.
    #[test]
    fn program_without_tls_is_not_covered() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        // Until it has become `sleep`.
        let is_there = || Process::read(ProcessId { pid: child.id(), incarnation: 0 });
        while !is_there().unwrap().command.iter().any(|word| word == "30") {
            std::thread::yield_now();
        }
        let program = Programs::default().examine(child.id(), Held::default()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(program.coverage, Coverage::NotCovered);
        assert_eq!(program.libraries, []);
    }
}
