//! Probes into files: each file that is worth it once, whichever process shows it first.
//! Takes files and processes to look at; gives attached probes through the loaded kernel side.
//! Joins `discover` (what is in the file) and `capture` (how to attach).

use std::{
    collections::{HashMap, HashSet},
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::reading::Task;
use crate::{
    capture::{FindingId, Kernel, Refutation},
    discover::{self, Basis, FileId, Stack, Target, mappings},
};

/// A TLS library whose functions were inferred, wrongly: its probes were taken off again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuted {
    pub path: PathBuf,
    pub stack: Stack,
    pub why: Refutation,
}

impl fmt::Display for Refuted {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, stack, why } = self;
        write!(text, "{stack} in {} was not what it seemed: {why}", path.display())
    }
}

/// Shared by the threads that find files.
pub(super) struct Attacher {
    state: Mutex<State>,
}

struct State {
    kernel: Kernel,
    /// Files with probes in place.
    attached: HashSet<FileId>,
    /// Mapped files that were inspected, as `/proc/PID/maps` names them.
    inspected: HashSet<(String, u64)>,
    libraries: Vec<PathBuf>,
    /// What was inferred, and is not refuted.
    inferred: HashMap<FindingId, (PathBuf, Stack)>,
    refuted: Vec<Refuted>,
}

impl Attacher {
    pub(super) fn new(kernel: Kernel) -> Self {
        Self {
            state: Mutex::new(State {
                kernel,
                attached: HashSet::new(),
                inspected: HashSet::new(),
                libraries: Vec::new(),
                inferred: HashMap::new(),
                refuted: Vec::new(),
            }),
        }
    }

    /// TLS libraries with probes in place, in the order of their finding.
    pub(super) fn libraries(&self) -> Vec<PathBuf> {
        self.lock().libraries.clone()
    }

    /// Looks at everything that a process has mapped for execution.
    pub(super) fn process(&self, pid: u32) {
        let mut state = self.lock();
        // A library that was loaded while the linker's probe was being attached is not told by
        // it: after a new linker the list is read once more.
        while state.mapped_files(pid) {}
    }

    pub(super) fn act(&self, task: Task) {
        match task {
            Task::LookAt(pid) => self.process(pid),
            Task::Refute(finding, why) => self.refute(finding, why),
        }
    }

    /// Looks at one file that a held process opens. Its dynamic linker needs no probe: every
    /// library comes by here.
    pub(super) fn held_file(&self, file: File, path: &Path) {
        self.lock().file(file, path, false);
    }

    /// Takes the probes of a finding off that turned out wrong.
    fn refute(&self, finding: FindingId, why: Refutation) {
        let mut state = self.lock();
        let Some((path, stack)) = state.inferred.remove(&finding) else { return };
        if let Err(error) = state.kernel.detach(finding) {
            tracing::warn!(%error, "probes cannot be taken off again");
        }
        let refuted = Refuted { path, stack, why };
        tracing::warn!(
            "{refuted}; its probes were taken off again, and what it sends or receives is not seen"
        );
        state.refuted.push(refuted);
    }

    /// What turned out wrong, in the order of its finding out.
    pub(super) fn refuted(&self) -> Vec<Refuted> {
        self.lock().refuted.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is whole after each step; a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Inspects mapped files not seen before; true if one of them is a dynamic linker.
    fn mapped_files(&mut self, pid: u32) -> bool {
        // A process that is gone has nothing to look at.
        let Ok(mappings) = mappings::of_process(pid) else { return false };
        let mut linker = false;
        for mapping in mappings {
            if !self.inspected.insert((mapping.device.clone(), mapping.inode)) {
                continue;
            }
            match mapping.open(pid) {
                Ok(file) => linker |= self.file(file, &mapping.path, true),
                // Gone with its process; another process would show it again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(path = %mapping.path.display(), %error, "cannot look into a mapped file; what it sends or receives is not seen");
                }
            }
        }
        linker
    }

    /// Attaches to a file if there is something to attach to; true for a new dynamic linker.
    fn file(&mut self, file: File, path: &Path, linkers: bool) -> bool {
        if FileId::of(&file).is_ok_and(|id| self.attached.contains(&id)) {
            return false;
        }
        let target = match discover::inspect(file, path) {
            Ok(Some(target)) => target,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot inspect a file");
                return false;
            }
        };
        if !target.is_tls() && !linkers {
            return false;
        }
        self.attached.insert(target.id);
        let numbers = match self.kernel.attach(&target) {
            Ok(numbers) => numbers,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot attach probes; what this library sends or receives is not seen");
                return false;
            }
        };
        tracing::debug!(path = %path.display(), sites = target.sites().count(), "probes attached");
        self.remember_inferred(&target, &numbers);
        if target.is_tls() {
            self.libraries.push(path.to_owned());
        }
        target.is_linker()
    }

    fn remember_inferred(&mut self, target: &Target, numbers: &[Option<FindingId>]) {
        for (finding, number) in target.findings.iter().zip(numbers) {
            if finding.basis != Basis::Inference {
                continue;
            }
            let path = &target.path;
            tracing::debug!(
                path = %path.display(), stack = %finding.stack, evidence = ?finding.evidence,
                "a TLS library was inferred from its code"
            );
            match number {
                Some(number) => {
                    self.inferred.insert(*number, (path.clone(), finding.stack));
                }
                None => tracing::warn!(
                    path = %path.display(),
                    "what was inferred cannot be held against what flows: that needs Linux 5.15"
                ),
            }
        }
    }
}
