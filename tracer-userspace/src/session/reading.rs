//! The thread that reads the ring and drives the pipeline, until it is told to stop.
//! Takes records as they come (no polling); gives the summary at its end.
//! Also decides, for each program that starts, whether `--exe` matches it.

use std::{
    fs,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::Sender,
    },
    time::Duration,
};

use aya::maps::MapError;
use aya_log::EbpfLogger;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
    time::{ClockId, clock_gettime},
};
use tracer_ebpf::{LEVEL_CONTENT, MARK_EXE, MARK_TREE};

use super::{Behind, Board, Filters, Status, Summary};
use crate::{
    capture::{Event, ProcessEvent, ProcessId, Reader, Timestamp, Use},
    discover::{Namespace, mappings},
    recording::Finish,
};

/// Records taken before the thread looks whether it should stop, and whether it keeps up.
const BATCH: usize = 256;

/// A record that is reserved and not yet written stops the reader; its writer needs a moment.
const WRITER_PAUSE: Duration = Duration::from_millis(10);

/// Tells the reading thread to end.
#[derive(Clone)]
pub(super) struct Stop(Arc<EventFd>);

impl Stop {
    pub(super) fn new() -> nix::Result<Self> {
        Ok(Self(Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?)))
    }

    pub(super) fn now(&self) {
        // Fails only where it was told 2^64 times already.
        let _ = self.0.write(1);
    }
}

/// Number of traced processes that live.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn began(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn ended(&self) {
        // One whose beginning was lost is not counted down below nothing.
        let down = |count: usize| count.checked_sub(1);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, down);
    }
}

pub(super) struct Reading {
    pub(super) reader: Reader,
    pub(super) behind: Behind,
    pub(super) filters: Arc<Filters>,
    /// Where to send processes whose files are to be looked at.
    pub(super) finder: Sender<u32>,
    /// Where the files of all processes come by the gate.
    pub(super) gated: Option<Namespace>,
    pub(super) alive: Alive,
    pub(super) messages: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Where to tell how it goes.
    pub(super) board: Option<Board>,
    pub(super) ring_bytes: u32,
}

impl Reading {
    /// Marks what runs already; gives the processes whose files are to be looked at.
    pub(super) fn mark_running(&mut self, held: Option<u32>) -> Result<Vec<u32>, MapError> {
        let mut processes = Vec::new();
        // Twice: what is forked from now on the kernel side marks itself, what was forked while
        // the first list was read is in the second.
        for _ in 0..2 {
            let filters = self.filters.clone();
            for pid in filters.pids.iter().flat_map(|pid| mappings::tree_of(*pid)).chain(held) {
                if !processes.contains(&pid) {
                    processes.push(pid);
                    self.mark(pid, MARK_TREE)?;
                }
            }
        }
        let by_tree = !processes.is_empty();
        let candidates = if by_tree { processes.clone() } else { mappings::all_processes() };
        let mut looked_at = Vec::new();
        for pid in candidates {
            if self.matches_executable(pid) {
                if !self.filters.executables.is_empty() {
                    self.mark(pid, MARK_EXE)?;
                }
                looked_at.push(pid);
            }
        }
        // What waits to become the command is still llmtap itself.
        looked_at.retain(|pid| Some(*pid) != held);
        Ok(looked_at)
    }

    fn mark(&mut self, pid: u32, marks: u32) -> Result<(), MapError> {
        // Of the form that the kernel side gives, and never met by it: no processor is 255th.
        let incarnation = (now().0 << 8) | 0xff;
        let process = self.reader.mark(pid, marks, incarnation)?;
        if process.incarnation == incarnation {
            self.alive.began();
            self.behind.learn(process);
        }
        Ok(())
    }

    fn matches_executable(&self, pid: u32) -> bool {
        self.filters.executables.is_empty()
            || fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|executable| self.filters.executables.matches(&executable))
    }

    /// Reads until told to stop, then what is left.
    pub(super) fn run(mut self, stop: &Stop) -> Summary {
        while !self.wait(stop) {
            self.take();
            self.behind.settle(now());
            self.tell();
        }
        self.take_the_rest();
        let end = now();
        let Self { mut reader, mut behind, .. } = self;
        reader.stop(end, &mut |event| behind.on(event));
        let (lost, unreadable) = (reader.lost().unwrap_or_default(), reader.unreadable());
        let finish = Finish { time: end, lost, unreadable, withheld: 0 };
        Summary {
            outcome: Some(behind.finish(&finish)),
            captured: Some(reader.captured()),
            lost,
            strain: reader.strain().unwrap_or_default(),
            unreadable,
        }
    }

    /// Puts what was counted on the board, where there is one, now and then.
    fn tell(&mut self) {
        let Some(board) = self.board.as_mut().filter(|board| board.patience().is_zero()) else {
            return;
        };
        let mut status = Status {
            captured: self.reader.captured(),
            lost: self.reader.lost().unwrap_or_default(),
            unreadable: self.reader.unreadable(),
            strain: self.reader.strain().unwrap_or_default(),
            ring_bytes: self.ring_bytes,
            processes: self.alive.count(),
            connections: self.reader.open_connections(),
            ..Status::default()
        };
        self.behind.fill(&mut status);
        board.write(status);
    }

    /// Sleeps until there is something to read; true when the run is to end.
    fn wait(&mut self, stop: &Stop) -> bool {
        let mut sources = vec![
            PollFd::new(stop.0.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.reader.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(messages) = &self.messages {
            sources.push(PollFd::new(messages.as_fd(), PollFlags::POLLIN));
        }
        // Rounded up, so that there is something to do when it ends.
        let patience = [self.behind.patience(now()), self.board.as_ref().map(Board::patience)];
        let patience =
            patience.into_iter().flatten().min().map(|left| left + Duration::from_millis(1));
        let timeout = patience.and_then(|left| PollTimeout::try_from(left).ok());
        // An interrupted wait is as good as one that ended.
        let _ = poll(&mut sources, timeout.unwrap_or(PollTimeout::NONE));
        let stopped = sources[0].any().unwrap_or(false);
        if let Some(messages) = &mut self.messages {
            messages.flush();
        }
        stopped
    }

    fn take_the_rest(&mut self) {
        while self.take() > 0 {}
        std::thread::sleep(WRITER_PAUSE);
        while self.take() > 0 {}
    }

    fn take(&mut self) -> usize {
        let Self { reader, behind, alive, .. } = self;
        let level = reader.strain().map_or(0, |strain| strain.level);
        behind.hurry(level >= LEVEL_CONTENT);
        let (mut noticed, mut touched) = (Vec::new(), Vec::new());
        let taken = reader.read(BATCH, &mut |event| {
            behind.on(event);
            match event {
                Event::Process(event) => {
                    follow(alive, event);
                    noticed.push(*event);
                }
                Event::Segment(segment) => touched.push(segment.connection),
                _ => {}
            }
        });
        touched.sort_unstable();
        touched.dedup();
        for connection in touched {
            match behind.usage(connection) {
                // As long as everything has room, only what must be kept is worth telling.
                usage if level > 0 || usage == Use::Call => reader.judge(connection, usage),
                _ => reader.judge(connection, Use::Unknown),
            }
        }
        for event in noticed {
            self.notice(&event);
        }
        taken
    }

    /// A process that may have files that were not looked at, or that `--exe` has to be held against.
    fn notice(&mut self, event: &ProcessEvent) {
        match *event {
            ProcessEvent::Executed { process, .. } => {
                if self.keeps(process) {
                    self.look_at(process);
                }
            }
            ProcessEvent::Appeared { process, .. }
            | ProcessEvent::LibrariesChanged { process, .. } => self.look_at(process),
            ProcessEvent::Forked { .. } | ProcessEvent::Exited { .. } => {}
        }
    }

    fn keeps(&mut self, process: ProcessId) -> bool {
        if self.filters.executables.is_empty() {
            return true;
        }
        if !self.matches_executable(process.pid) {
            if !self.filters.command && self.filters.pids.is_empty() {
                self.reader.unmark(process);
                self.alive.ended();
            }
            return false;
        }
        match self.reader.mark(process.pid, MARK_EXE, process.incarnation) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(pid = process.pid, %error, "a process cannot be traced");
                false
            }
        }
    }

    /// Has a process's files looked at, unless they come by the gate: to look at those from here
    /// would wait for the gate, which may be waiting for whoever looks.
    fn look_at(&self, process: ProcessId) {
        let held = self.gated.as_ref().is_some_and(|gated| {
            // One that is gone has nothing to look at.
            Namespace::of(process.pid).map_or(true, |namespace| namespace == *gated)
        });
        if !held {
            // The thread lives as long as this end does.
            let _ = self.finder.send(process.pid);
        }
    }
}

/// Keeps count of the processes that live.
fn follow(alive: &Alive, event: &ProcessEvent) {
    match event {
        ProcessEvent::Appeared { .. } | ProcessEvent::Forked { .. } => alive.began(),
        ProcessEvent::Executed { previous, .. } if previous.incarnation == 0 => alive.began(),
        ProcessEvent::Exited { .. } => alive.ended(),
        ProcessEvent::Executed { .. } | ProcessEvent::LibrariesChanged { .. } => {}
    }
}

pub(super) fn now() -> Timestamp {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    Timestamp(now.as_nanos() as u64)
}
