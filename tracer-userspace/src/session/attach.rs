//! Probes into files: each file that is worth it once, whichever process shows it first.
//! Takes files and processes to look at; gives attached probes through the loaded kernel side.
//! Joins `discover` (what is in the file) and `capture` (how to attach).

use std::{
    collections::HashSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    capture::Kernel,
    discover::{self, FileId, mappings},
};

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
}

impl Attacher {
    pub(super) fn new(kernel: Kernel) -> Self {
        Self {
            state: Mutex::new(State {
                kernel,
                attached: HashSet::new(),
                inspected: HashSet::new(),
                libraries: Vec::new(),
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

    /// Looks at one file that a held process opens. Its dynamic linker needs no probe: every
    /// library comes by here.
    pub(super) fn held_file(&self, file: File, path: &Path) {
        self.lock().file(file, path, false);
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
        if let Err(error) = self.kernel.attach(&target) {
            tracing::error!(path = %path.display(), %error, "cannot attach probes; what this library sends or receives is not seen");
            return false;
        }
        tracing::debug!(path = %path.display(), sites = target.sites().count(), "probes attached");
        if target.is_tls() {
            self.libraries.push(path.to_owned());
        }
        target.is_linker()
    }
}
