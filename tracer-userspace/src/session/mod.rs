//! One run of the tracer: the stages joined, the threads they run on, start and stop.
//! Takes validated settings; gives spans to the outputs and a summary at the end.
//! The only place that knows every stage.

mod attach;
mod behind;
pub mod command;
mod coverage;
mod filters;
mod hosts;
mod marking;
mod measuring;
mod pace;
mod pipeline;
mod processes;
mod programs;
mod reading;
mod recorder;
mod replay;
mod seen;
mod status;
mod summary;

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

pub use behind::{Behind, Outcome, Traced};
pub use filters::{CgroupError, CgroupFilter, FilterError, Filters};
pub use hosts::Hosts;
pub use measuring::{About, Measuring, Scrape};
pub use pipeline::{Counts, Pipeline};
use processes::Processes;
pub use programs::{Programs, ProgramsError};
pub use reading::Alive;
pub use recorder::{Ended, Recorder};
pub use replay::{Pace, replay};
pub use seen::Seen;
pub use status::{Board, Reloads, Status};
pub use summary::Summary;

use crate::{
    capture::{Kernel, KernelError, Limits, Reader, lift_memory_limit},
    discover::{Gate, Inspector},
};
use attach::Attacher;
pub use attach::Refuted;
use coverage::Watching;
use reading::{Bell, Bells, Change, Reading, Task};

/// Everything that a run is made with.
pub struct Settings {
    pub filters: Arc<Filters>,
    /// What the events go into.
    pub behind: Behind,
    pub limits: Limits,
    /// The kernel side writes messages of its own, to the log.
    pub kernel_log: bool,
    /// Where to tell how the run is doing, while it goes on.
    pub board: Option<Board>,
    /// Tell of each program, once, whether it is covered: in the log, and on the board.
    pub tell_coverage: bool,
    pub inspector: Inspector,
    /// From one look for files that have no use any more to the next.
    pub sweep: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("the kernel did not take a process to trace: {0}")]
    Mark(#[from] aya::maps::MapError),
    #[error("cannot start a thread of llmtap: {0}")]
    Thread(#[from] io::Error),
}

/// Filters that could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum RefilterError {
    #[error("the kernel did not take the filters: {0}")]
    Kernel(#[from] aya::maps::MapError),
    #[error("llmtap reads nothing any more, after an error of its own; start it again")]
    Ended,
}

/// A tracer with its probes in place.
pub struct Session {
    attacher: Arc<Attacher>,
    reading: thread::JoinHandle<Summary>,
    bells: Bells,
    changes: mpsc::Sender<Change>,
    alive: Alive,
    seen: Seen,
    _watching: Option<Watching>,
}

impl Session {
    /// Loads the kernel side, marks what is to be traced, attaches to what is mapped already.
    /// `held`: the process that waits to become the command.
    ///
    /// # Errors
    /// If the kernel refuses something. Then nothing stays attached.
    pub fn start(settings: Settings, held: Option<u32>) -> Result<Self, SessionError> {
        let _ = lift_memory_limit(); // Only kernels before 5.11 count BPF memory against it.
        let filters = settings.filters;
        let (mut kernel, maps) = Kernel::load(&settings.limits, settings.kernel_log)?;
        let messages = if settings.kernel_log { Some(kernel.messages()?) } else { None };
        let attacher = Arc::new(Attacher::new(kernel, settings.inspector.clone()));
        let (finder, found) = mpsc::channel();
        let (changes, changed) = mpsc::channel();
        let gate = held.and_then(gate_around);
        // To open what a gated process has mapped would wait for the gate; and with the command all ends.
        let sweep = gate.is_none().then_some(settings.sweep);
        let mut reading = Reading {
            reader: Reader::new(maps),
            behind: settings.behind,
            filters,
            changes: changed,
            finder,
            gated: gate.as_ref().map(|gate| gate.namespace().clone()),
            alive: Alive::default(),
            seen: Seen::default(),
            messages,
            board: settings.board.clone(),
            ring_bytes: settings.limits.ring_bytes,
        };
        let (alive, seen) = (reading.alive.clone(), reading.seen.clone());
        reading.mark_running(held)?.into_iter().for_each(|pid| attacher.process(pid));
        if let Some(gate) = gate {
            serve(gate, attacher.clone())?;
        }
        let (looking, traced) = (attacher.clone(), seen.clone());
        thread::Builder::new()
            .name("finder".into())
            .spawn(move || find(&looking, &found, &traced, sweep))?;
        let bell = || Bell::new().map_err(io::Error::from);
        let bells = Bells { stop: bell()?, filters: bell()? };
        let sources = reading.sources(&bells).map_err(io::Error::from)?;
        let reading =
            thread::Builder::new().name("reader".into()).spawn(move || reading.run(&sources))?;
        let watch = || Watching::start(seen.clone(), settings.board, settings.inspector);
        let watching = settings.tell_coverage.then(watch).transpose()?;
        Ok(Self { attacher, reading, bells, changes, alive, seen, _watching: watching })
    }

    /// What is traced now, and which of its connections are followed.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Traces by other filters from now on. What fits both goes on as it is; what fits no longer ends as
    /// when the tracer stops. Probes are in place when this returns.
    ///
    /// # Errors
    /// If the kernel refuses something; the filters stay as they are.
    pub fn refilter(&self, filters: Filters) -> Result<(), RefilterError> {
        let (answer, answered) = mpsc::channel();
        let change = Change { filters, answer };
        self.changes.send(change).map_err(|_| RefilterError::Ended)?;
        self.bells.filters.ring();
        let fitting = answered.recv().map_err(|_| RefilterError::Ended)??;
        fitting.into_iter().for_each(|pid| self.attacher.process(pid));
        Ok(())
    }

    /// Counts the traced processes that live.
    pub fn alive(&self) -> &Alive {
        &self.alive
    }

    /// TLS libraries with probes in place.
    pub fn libraries(&self) -> Vec<std::path::PathBuf> {
        self.attacher.libraries()
    }

    /// Ends the run: takes what the ring still has, ends what is under way, flushes the outputs.
    pub fn finish(self) -> Summary {
        self.bells.stop.ring();
        // The thread ends by its own return; a panic in it was printed by then.
        let summary = self.reading.join().unwrap_or_default();
        Summary { refuted: self.attacher.refuted(), ..summary }
    }
}

/// Looks at files as it is told to, and now and then for those that have no use any more.
fn find(attacher: &Attacher, tasks: &Receiver<Task>, traced: &Seen, sweep: Option<Duration>) {
    let mut swept = Instant::now();
    loop {
        let left = sweep.map(|period| period.saturating_sub(swept.elapsed()));
        if left == Some(Duration::ZERO) {
            attacher.sweep(traced.processes().into_iter().map(|process| process.pid));
            swept = Instant::now();
            continue;
        }
        match tasks.recv_timeout(left.unwrap_or(Duration::MAX)) {
            Ok(task) => attacher.act(task),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn gate_around(pid: u32) -> Option<Gate> {
    Gate::around(pid)
        .inspect_err(|error| {
            tracing::warn!(
                %error,
                "the command cannot be held while its libraries are looked at; \
                 the first calls of a library may be missed"
            );
        })
        .ok()
}

fn serve(mut gate: Gate, attacher: Arc<Attacher>) -> io::Result<()> {
    let serve = move || {
        let Err(error) = gate.serve(&mut |file, path| attacher.held_file(file, path));
        tracing::error!(%error, "libraries that are loaded from now on may not be seen");
    };
    thread::Builder::new().name("gate".into()).spawn(serve)?;
    Ok(())
}
