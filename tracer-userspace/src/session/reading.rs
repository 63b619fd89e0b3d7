//! The thread that reads the ring and drives the pipeline, until it is told to stop.
//! Takes records as they come (no polling); gives the summary at its end.
//! Also decides, for each program that starts, whether it is wanted; `marking` does for those that run.

use std::{
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender},
    },
    time::Duration,
};

use aya::maps::MapError;
use aya_log::EbpfLogger;
use nix::{
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
    time::{ClockId, clock_gettime},
};
use tracer_ebpf::{LEVEL_CONTENT, MARK_PROGRAM};

use super::{Behind, Board, Filters, Seen, Status, Summary, pace::Pace};
use crate::{
    capture::{Event, FindingId, ProcessEvent, ProcessId, Reader, Refutation, Timestamp, Use},
    discover::Namespace,
    recording::Finish,
};

/// Records taken before the thread looks whether it should stop, and whether it keeps up.
const BATCH: usize = 256;

/// A record that is reserved and not yet written stops the reader; its writer needs a moment.
pub(super) const WRITER_PAUSE: Duration = Duration::from_millis(10);

/// What woke the thread.
const STOP: u64 = 0;
const RECORDS: u64 = 1;
const MESSAGES: u64 = 2;
const FILTERS: u64 = 3;

/// Something for the thread that finds files.
#[derive(Clone, Copy)]
pub(super) enum Task {
    /// A process's files are to be looked at.
    LookAt(u32),
    /// What was inferred turned out wrong.
    Refute(FindingId, Refutation),
}

/// Wakes the reading thread.
#[derive(Clone)]
pub(super) struct Bell(Arc<EventFd>);

impl Bell {
    pub(super) fn new() -> nix::Result<Self> {
        Ok(Self(Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?)))
    }

    pub(super) fn ring(&self) {
        // Fails only where it was rung 2^64 times already.
        let _ = self.0.write(1);
    }
}

/// What the reading thread is woken by, beside records and messages.
#[derive(Clone)]
pub(super) struct Bells {
    pub(super) stop: Bell,
    /// There is a [`Change`].
    pub(super) filters: Bell,
}

/// Other filters, and who asked for them: he gets the processes whose files are to be looked at.
pub(super) struct Change {
    pub(super) filters: Filters,
    pub(super) answer: Sender<Result<Vec<u32>, MapError>>,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Reading,
    Filters,
    End,
}

/// Number of traced processes that live.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn began(&self) {
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
    pub(super) changes: Receiver<Change>,
    pub(super) finder: Sender<Task>,
    /// Where the files of all processes come by the gate.
    pub(super) gated: Option<Namespace>,
    pub(super) alive: Alive,
    pub(super) seen: Seen,
    pub(super) messages: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Where to tell how it goes.
    pub(super) board: Option<Board>,
    pub(super) ring_bytes: u32,
}

impl Reading {
    /// What wakes the thread: what it is told, and the kernel side's wake-ups, each once: the ring is
    /// looked into anyway while there is something in it.
    pub(super) fn sources(&self, bells: &Bells) -> nix::Result<Epoll> {
        let sources = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |number| EpollEvent::new(EpollFlags::EPOLLIN, number);
        sources.add(bells.stop.0.as_fd(), readable(STOP))?;
        let woken = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        sources.add(bells.filters.0.as_fd(), EpollEvent::new(woken, FILTERS))?;
        sources.add(self.reader.as_fd(), EpollEvent::new(woken, RECORDS))?;
        if let Some(messages) = &self.messages {
            sources.add(messages.as_fd(), readable(MESSAGES))?;
        }
        Ok(sources)
    }

    /// Reads until told to stop, then what is left.
    pub(super) fn run(mut self, sources: &Epoll) -> Summary {
        let mut pace = Pace::Sleeping;
        loop {
            match self.wait(sources, pace) {
                Due::End => break,
                Due::Filters => self.change(),
                Due::Reading => {}
            }
            pace = self.keep_pace(pace);
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
            refuted: Vec::new(),
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

    /// Reads; gives the pace from now on, which the kernel side was told of.
    fn keep_pace(&mut self, pace: Pace) -> Pace {
        let mut next = pace.after(self.take(), BATCH);
        let mut slept = pace == Pace::Sleeping;
        if next == Pace::Sleeping && !slept {
            self.wake_at_all(true);
            slept = true;
            // What came before the kernel side knew does not wake the thread.
            next = next.after(self.take(), BATCH);
        }
        if slept && next != Pace::Sleeping {
            self.wake_at_all(false);
        }
        next
    }

    fn wake_at_all(&mut self, all: bool) {
        if let Err(error) = self.reader.wake_at_all(all) {
            tracing::debug!(%error, "the kernel side cannot be told when to wake the reader");
        }
    }

    /// Does what was asked for since the last time.
    fn change(&mut self) {
        while let Ok(Change { filters, answer }) = self.changes.try_recv() {
            let done = self.refilter(filters);
            // Who does not wait for it does not need it.
            let _ = answer.send(done);
        }
    }

    /// Waits until there is something to do.
    fn wait(&mut self, sources: &Epoll, pace: Pace) -> Due {
        let patience = [self.behind.patience(now()), self.board.as_ref().map(Board::patience)];
        // Rounded up, so that there is something to do when it ends.
        let patience = patience.into_iter().flatten().map(|left| left + Duration::from_millis(1));
        let wait = patience.chain([pace.wait()]).min().unwrap_or_default();
        let timeout = EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO);
        let mut events = [EpollEvent::empty(); 4];
        // An interrupted wait is as good as one that ended.
        let count = sources.wait(&mut events, timeout).unwrap_or_default();
        if let Some(messages) = &mut self.messages {
            messages.flush();
        }
        let rang = |number| events[..count].iter().any(|event| event.data() == number);
        if rang(STOP) {
            Due::End
        } else if rang(FILTERS) {
            Due::Filters
        } else {
            Due::Reading
        }
    }

    fn take_the_rest(&mut self) {
        while self.take() > 0 {}
        std::thread::sleep(WRITER_PAUSE);
        while self.take() > 0 {}
    }

    pub(super) fn take(&mut self) -> usize {
        let Self { reader, behind, alive, seen, .. } = self;
        let level = reader.strain().map_or(0, |strain| strain.level);
        behind.hurry(level >= LEVEL_CONTENT);
        let (mut noticed, mut touched) = (Vec::new(), Vec::new());
        let taken = reader.read(BATCH, &mut |event| {
            behind.on(event);
            seen.on(event);
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
        for (finding, why) in self.reader.take_refuted() {
            // The thread lives as long as this end does.
            let _ = self.finder.send(Task::Refute(finding, why));
        }
        for event in noticed {
            self.notice(&event);
        }
        taken
    }

    /// A process that may have files that were not looked at, or that may not be wanted.
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
        if self.filters.programs.is_empty() {
            return true;
        }
        if !self.filters.programs.matches(process.pid) {
            if !self.filters.is_by_tree() {
                self.release(process);
            }
            return false;
        }
        let generation = self.reader.generation();
        match self.reader.mark(process.pid, MARK_PROGRAM, generation, process.incarnation) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(pid = process.pid, %error, "a process cannot be traced");
                false
            }
        }
    }

    /// A process is not traced any more.
    pub(super) fn release(&mut self, process: ProcessId) {
        let Self { reader, behind, alive, seen, .. } = self;
        reader.release(process, now(), &mut |event| {
            behind.on(event);
            seen.on(event);
            if let Event::Process(event) = event {
                follow(alive, event);
            }
        });
    }

    /// What a process is doing is not traced any more.
    pub(super) fn end_connections(&mut self, process: ProcessId) {
        let Self { reader, behind, seen, .. } = self;
        reader.end_connections(process, now(), &mut |event| {
            behind.on(event);
            seen.on(event);
        });
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
            let _ = self.finder.send(Task::LookAt(process.pid));
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
