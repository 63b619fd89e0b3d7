//! Tells of each traced program, once, whether its TLS is seen and why not, and keeps it for the metrics.
//! Takes the processes that are traced and the connections that are seen; gives log lines and the board.
//! Looks now and then, on a thread of its own, as `llmtap doctor` does.

use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use super::{Board, Seen};
use crate::{
    capture::ProcessId,
    discover::Inspector,
    doctor::{Coverage, Held, Plaintext, Program, Programs},
};

/// Before the first look: the programs that run have been given their probes.
const FIRST: Duration = Duration::from_secs(5);

/// From one look to the next. A program that lives shorter may not be told of.
const PERIOD: Duration = Duration::from_secs(60);

/// Programs that were told of and are remembered; what comes beyond is told by the metrics alone.
const MAX_TOLD: usize = 4096;

/// What makes a program another one, to those who read the log.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Told {
    executable: Option<PathBuf>,
    name: String,
    container_id: Option<String>,
    coverage: Coverage,
    why: String,
}

impl Told {
    fn of(program: &Program) -> Self {
        Self {
            executable: program.executable.clone(),
            name: program.name.clone(),
            container_id: program.container_id.clone(),
            coverage: program.coverage,
            why: program.why.clone(),
        }
    }
}

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub(super) struct Watching {
    _end: Sender<()>,
}

impl Watching {
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(
        seen: Seen,
        board: Option<Board>,
        inspector: Inspector,
    ) -> io::Result<Self> {
        let (end, ended) = channel();
        let watch = move || watch(&seen, board.as_ref(), inspector, &ended);
        thread::Builder::new().name("doctor".into()).spawn(watch)?;
        Ok(Self { _end: end })
    }
}

fn watch(seen: &Seen, board: Option<&Board>, inspector: Inspector, ended: &Receiver<()>) {
    let (mut known, mut told) = (Programs::new(inspector), HashSet::new());
    let mut pause = FIRST;
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        pause = PERIOD;
        let programs = look(seen, &mut known);
        for program in &programs {
            if told.len() < MAX_TOLD && told.insert(Told::of(program)) {
                tell(program);
            }
        }
        if let Some(board) = board {
            board.put_programs(programs);
        }
    }
}

/// The traced processes that hold TCP connections, looked at.
fn look(seen: &Seen, known: &mut Programs) -> Vec<Program> {
    known.again();
    let mut connections = seen.connections();
    let examine = |process: ProcessId| {
        let sockets = known.sockets(process.pid).filter(|sockets| !sockets.is_empty())?;
        let seen = connections.remove(&process).unwrap_or_default();
        let plaintext = Plaintext::compare(&seen, &sockets.established);
        known.examine(process.pid, Held { sockets: Some(sockets), plaintext: Some(plaintext) })
    };
    seen.processes().into_iter().filter_map(examine).collect()
}

fn tell(program: &Program) {
    let Program { name, pid, container_id, why, .. } = program;
    let container = container_id.as_deref().unwrap_or("none");
    match program.coverage {
        Coverage::Covered => tracing::info!(pid, container, "{name} is covered: {why}"),
        Coverage::Partly => tracing::warn!(pid, container, "{name} is covered in part: {why}"),
        Coverage::NotCovered => tracing::warn!(pid, container, "{name} is not covered: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::capture::{
        Addresses, ConnectionId, Event, Opened, Origin, ProcessEvent, Security, Timestamp,
    };

    #[test]
    fn traced_processes_are_held_against_their_sockets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (seen, process) =
            (Seen::default(), ProcessId { pid: std::process::id(), incarnation: 1 });
        let mut known = Programs::default();
        assert!(look(&seen, &mut known).is_empty(), "not traced");
        let time = Timestamp(1);
        seen.on(&Event::Process(ProcessEvent::Appeared { process, time }));
        let (origin, security) = (Origin::Created, Security::Tls);
        let connection = ConnectionId(1);
        seen.on(&Event::Opened(Opened { connection, process, time, origin, security }));
        let addresses =
            Addresses { local: client.local_addr().unwrap(), peer: client.peer_addr().unwrap() };
        seen.on(&Event::Addresses { connection, addresses });
        let programs = look(&seen, &mut known);
        let plaintext = programs[0].plaintext.as_ref().unwrap();
        assert_eq!((plaintext.connections, plaintext.without_socket), (1, 0));
        // Other tests have sockets too; this one is none of the others.
        assert!(!plaintext.other_peers.contains(&addresses.peer), "{plaintext:?}");
        seen.on(&Event::Process(ProcessEvent::Exited { process, time }));
        assert!(look(&seen, &mut known).is_empty(), "gone");
    }
}
