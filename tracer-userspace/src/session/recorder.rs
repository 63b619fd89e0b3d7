//! A recording of a live run, in a file.
//! Takes capture's events and what describes processes; tells at the end what was written.
//! Goes on beside the pipeline or without it; where writing fails, the recording alone ends.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    capture::Event,
    discover::Process,
    export::naming_arguments,
    recording::{Finish, Recorded, Start, Writer},
};

/// What a recorder that is killed may lose at most, beside what its frame still lacks.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Writes a recording of a live run.
pub struct Recorder {
    path: PathBuf,
    /// `None` after an error.
    writer: Option<Writer<File>>,
    flushed: Instant,
    ended: Ended,
}

/// What became of a recording.
#[derive(Debug, Default)]
pub struct Ended {
    pub path: PathBuf,
    pub recorded: Recorded,
    /// Writing failed, and what came after is missing.
    pub error: Option<io::Error>,
    /// Events that came after.
    pub unwritten: u64,
}

impl Recorder {
    /// Makes the file, readable by its owner only: it holds what was asked and answered.
    ///
    /// # Errors
    /// If it cannot be made or written to.
    pub fn create(path: &Path, start: &Start) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        if file.metadata()?.is_file() {
            // It may have been there, with other permissions.
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(Self {
            path: path.to_owned(),
            writer: Some(Writer::start(file, start)?),
            flushed: Instant::now(),
            ended: Ended::default(),
        })
    }

    pub(super) fn on(&mut self, event: &Event<'_>) {
        self.write(|writer| writer.event(event));
    }

    /// What a process is, before anything of it is told. Arguments may hold secrets: only those are
    /// kept that name the service.
    pub(super) fn describe(&mut self, process: &Process) {
        let command = naming_arguments(process).to_vec();
        self.write(|writer| writer.process(&Process { command, ..process.clone() }));
    }

    /// How long what was gathered may wait; `None` where nothing waits.
    pub(super) fn patience(&self) -> Option<Duration> {
        let waiting = self.writer.as_ref().is_some_and(Writer::is_waiting);
        waiting.then(|| FLUSH_EVERY.saturating_sub(self.flushed.elapsed()))
    }

    /// Writes what has waited long enough.
    pub(super) fn settle(&mut self) {
        if self.patience().is_some_and(|left| left.is_zero()) {
            self.flushed = Instant::now();
            self.write(Writer::flush);
        }
    }

    pub(super) fn finish(mut self, finish: &Finish) -> Ended {
        if let Some(writer) = self.writer.take() {
            let recorded = writer.recorded();
            match writer.finish(finish) {
                Ok((_, recorded)) => self.ended.recorded = recorded,
                Err(error) => {
                    self.ended.recorded = recorded;
                    self.ended.error = Some(error);
                }
            }
        }
        Ended { path: self.path, ..self.ended }
    }

    fn write(&mut self, action: impl FnOnce(&mut Writer<File>) -> io::Result<()>) {
        let Some(writer) = &mut self.writer else {
            self.ended.unwritten += 1;
            return;
        };
        if let Err(error) = action(writer) {
            tracing::error!(path = %self.path.display(), %error, "the recording ends here");
            self.ended.recorded = writer.recorded();
            self.ended.error = Some(error);
            self.writer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::{ProcessEvent, ProcessId, Timestamp},
        recording::{Item, Source},
        session::Behind,
    };

    #[test]
    fn processes_are_described_before_their_events() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        // Of an earlier run, and open to all.
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let recorder = Recorder::create(&path, &Start::default()).unwrap();
        let mut behind = Behind::new(None, Some(recorder));
        let process = ProcessId { pid: std::process::id(), incarnation: 1 };
        let event = ProcessEvent::Appeared { process, time: Timestamp(1) };
        behind.on(&Event::Process(event));
        assert!(behind.patience(Timestamp(0)).is_some_and(|left| left <= FLUSH_EVERY));
        let ended = behind.finish(&Finish::default()).recorded.unwrap();
        assert!(ended.error.is_none() && ended.unwritten == 0);
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(metadata.len(), ended.recorded.file);
        let mut told = Vec::new();
        let mut source = Source::open(&path).unwrap();
        source
            .play(&mut |item| {
                told.push(match item {
                    Item::Process(process) => {
                        // This program is no interpreter: its own name is all that counts.
                        assert_eq!(process.command.len(), 1);
                        assert!(process.executable.is_some());
                        process.id
                    }
                    Item::Event(Event::Process(ProcessEvent::Appeared { process, .. })) => process,
                    other => {
                        assert!(matches!(other, Item::Finish(_)));
                        process
                    }
                });
                true
            })
            .unwrap();
        assert_eq!(told, [process; 3]);
    }

    #[test]
    fn file_that_cannot_be_written_is_told() {
        let error = Recorder::create(Path::new("/dev/full"), &Start::default()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn failing_writer_ends_the_recording_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut recorder = Recorder::create(&path, &Start::default()).unwrap();
        recorder.write(|_| Err(io::ErrorKind::StorageFull.into()));
        let event = ProcessEvent::Exited {
            process: ProcessId { pid: 1, incarnation: 1 },
            time: Timestamp(1),
        };
        recorder.on(&Event::Process(event));
        let ended = recorder.finish(&Finish::default());
        assert_eq!(
            (ended.error.map(|error| error.kind()), ended.unwritten),
            (Some(io::ErrorKind::StorageFull), 1)
        );
        assert!(ended.recorded.file > 0);
    }
}
