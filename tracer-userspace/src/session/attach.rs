//! Probes into files: each file that is worth it once, whichever process shows it first, as long as it
//! has a use.
//! Takes files and processes to look at; gives attached probes through the loaded kernel side.
//! Joins `discover` (what is in the file) and `capture` (how to attach).

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::reading::Task;
use crate::{
    capture::{FindingId, Kernel, Refutation},
    discover::{FileId, Inspector, Stack, Target, mappings},
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
    inspector: Inspector,
    /// Files with probes in place.
    attached: HashMap<FileId, Attached>,
    /// Mapped files that were looked at, as `/proc/PID/maps` names them.
    known: HashMap<(String, u64), Known>,
    /// How often the mappings of all traced processes were gone through.
    round: u64,
    /// TLS libraries, in the order of their finding.
    libraries: Vec<(FileId, PathBuf)>,
    /// What was inferred, and is not refuted.
    inferred: HashMap<FindingId, (PathBuf, Stack)>,
    refuted: Vec<Refuted>,
}

/// A file that has probes.
struct Attached {
    /// It tells when nothing leads to it any more.
    file: File,
    /// The round in which a process was last seen to have it mapped.
    round: u64,
    findings: Vec<FindingId>,
}

/// What a mapped file is.
struct Known {
    /// Which of those that have probes.
    file: Option<FileId>,
    /// The round in which a process was last seen to have it mapped.
    round: u64,
}

/// Rounds without a process that has it mapped, after which a file is forgotten: its number may be
/// another's by now. One that no name leads to any more loses its probes.
const FORGOTTEN: u64 = 2;

/// Rounds after which one that has a name loses them too; before that the next process that starts
/// from it is to be seen from its first call.
const UNUSED: u64 = 60;

impl Attacher {
    pub(super) fn new(kernel: Kernel, inspector: Inspector) -> Self {
        Self {
            state: Mutex::new(State {
                kernel,
                inspector,
                attached: HashMap::new(),
                known: HashMap::new(),
                round: 0,
                libraries: Vec::new(),
                inferred: HashMap::new(),
                refuted: Vec::new(),
            }),
        }
    }

    /// TLS libraries with probes in place, in the order of their finding.
    pub(super) fn libraries(&self) -> Vec<PathBuf> {
        self.lock().libraries.iter().map(|(_, path)| path.clone()).collect()
    }

    /// Goes through what these, all traced processes, have mapped; what none of them had for some
    /// rounds is forgotten, and its probes are taken off.
    pub(super) fn sweep(&self, traced: impl Iterator<Item = u32>) {
        self.lock().round += 1;
        traced.for_each(|pid| self.process(pid));
        // One at a time: the kernel needs some 80 ms for a probe, and others may wait for the lock.
        while self.lock().drop_unused() {}
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
        let _ = self.lock().file(file, path, false);
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
            let key = (mapping.device.clone(), mapping.inode);
            if let Some(known) = self.known.get_mut(&key) {
                known.round = self.round;
                if let Some(attached) = known.file.and_then(|file| self.attached.get_mut(&file)) {
                    attached.round = self.round;
                }
                continue;
            }
            let (file, is_linker) = match mapping.open(pid) {
                Ok(file) => self.file(file, &mapping.path, true),
                // Gone with its process; another process would show it again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => (None, false),
                Err(error) => {
                    tracing::warn!(path = %mapping.path.display(), %error, "cannot look into a mapped file; what it sends or receives is not seen");
                    (None, false)
                }
            };
            linker |= is_linker;
            self.known.insert(key, Known { file, round: self.round });
        }
        linker
    }

    /// Attaches to a file if there is something to attach to. Gives which it is if it has probes,
    /// and whether it is a dynamic linker that is new.
    fn file(&mut self, file: File, path: &Path, linkers: bool) -> (Option<FileId>, bool) {
        let id = FileId::of(&file).ok();
        if let Some(attached) = id.and_then(|id| self.attached.get_mut(&id)) {
            attached.round = self.round;
            return (id, false);
        }
        let target = match self.inspector.inspect(file, path) {
            Ok(Some(target)) => target,
            Ok(None) => return (None, false),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot inspect a file");
                return (None, false);
            }
        };
        if !target.is_tls() && !linkers {
            return (None, false);
        }
        let numbers = match self.kernel.attach(&target) {
            Ok(numbers) => numbers,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot attach probes; what this library sends or receives is not seen");
                Vec::new()
            }
        };
        tracing::debug!(path = %path.display(), sites = target.sites().count(), "probes attached");
        self.remember_inferred(&target, &numbers);
        if target.is_tls() && !numbers.is_empty() {
            self.libraries.push((target.id, path.to_owned()));
        }
        let (id, is_linker) = (target.id, target.is_linker());
        let findings = numbers.into_iter().flatten().collect();
        self.attached.insert(id, Attached { file: target.file, round: self.round, findings });
        (Some(id), is_linker)
    }

    /// Takes the probes off one file that has no use any more; false if there is none.
    fn drop_unused(&mut self) -> bool {
        let Self { attached, known, round, .. } = self;
        known.retain(|_, known| known.file.is_some() || known.round + FORGOTTEN > *round);
        let is_unused = |attached: &Attached| {
            let rounds = *round - attached.round;
            rounds >= UNUSED || (rounds >= FORGOTTEN && is_deleted(&attached.file))
        };
        let unused = attached.iter().find(|(_, attached)| is_unused(attached));
        let Some(id) = unused.map(|(id, _)| *id) else { return false };
        known.retain(|_, known| known.file != Some(id));
        self.libraries.retain(|(library, _)| *library != id);
        let findings = attached.remove(&id).map(|attached| attached.findings);
        let mut result = self.kernel.detach_file(id);
        for finding in findings.unwrap_or_default() {
            self.inferred.remove(&finding);
            let detached = self.kernel.detach(finding);
            result = result.and(detached);
        }
        if let Err(error) = result {
            tracing::warn!(%error, "probes of a file that has no use cannot be taken off");
        }
        true
    }

    fn remember_inferred(&mut self, target: &Target, numbers: &[Option<FindingId>]) {
        for (finding, number) in target.findings.iter().zip(numbers) {
            if !finding.basis.needs_proof() {
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

/// No name leads to it any more.
fn is_deleted(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}
