//! Records into events: each connection's bytes in order, what is missing as a gap, every end told.
//! Takes the ring's records; gives [`Event`]s. Pure: what the kernel still knows of a connection
//! when its process ends is asked through a function.

use std::{collections::BTreeSet, num::NonZeroU64};

use foldhash::HashMap;
use tracer_ebpf::{Header, ObjectKey, Verdict};

use super::{
    event::{
        Caller, CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin,
        ProcessEvent, ProcessId, Security, Segment, Timestamp,
    },
    overload::{self, Use},
    record::{self, Body, Record},
};

/// How far each direction of a connection came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    pub received: u64,
    pub sent: u64,
}

impl Positions {
    fn of(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::Received => &mut self.received,
            Direction::Sent => &mut self.sent,
        }
    }
}

#[derive(Debug)]
struct Connection {
    key: ObjectKey,
    positions: Positions,
    /// What the kernel side was told of it.
    verdict: Verdict,
    /// Filters leave it out: its end was told, and the kernel side still has it.
    is_excluded: bool,
}

impl Connection {
    /// So far it has come: what did not arrive is a gap.
    fn reach(
        &mut self,
        connection: ConnectionId,
        mut reached: Positions,
        time: Timestamp,
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        for direction in [Direction::Sent, Direction::Received] {
            let (position, end) = (self.positions.of(direction), *reached.of(direction));
            let offset = *position;
            if end > offset {
                *position = end;
                let data = Data::Gap(end - offset);
                sink(&Event::Segment(Segment {
                    connection,
                    direction,
                    offset,
                    time,
                    data,
                    caller: None,
                }));
            }
        }
    }
}

/// Forgets a connection in the kernel's table and says how far it came there, if it was there.
pub type Forget<'a> = &'a mut dyn FnMut(ObjectKey) -> Option<Positions>;

/// All connections that live.
#[derive(Debug, Default)]
pub struct Connections {
    alive: HashMap<ConnectionId, Connection>,
    of_process: HashMap<u64, BTreeSet<ConnectionId>>,
    of_object: HashMap<ObjectKey, ConnectionId>,
    captured: Captured,
    /// Closed ones of which the kernel side was told something.
    judged: Vec<ConnectionId>,
}

/// What arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Plaintext.
    pub bytes: u64,
    /// Records of any kind.
    pub records: u64,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.alive.len()
    }

    /// What a record tells.
    pub fn apply(
        &mut self,
        record: &Record<'_>,
        forget: Forget<'_>,
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        let header = &record.header;
        let time = Timestamp(header.time);
        let connection = ConnectionId(header.connection);
        let process = ProcessId { pid: header.tgid, incarnation: header.process };
        self.captured.records += 1;
        match record.body {
            Body::Data(direction, bytes) => self.data(header, direction, bytes, sink),
            Body::Opened(opened) => {
                let key = ObjectKey { process: process.incarnation, object: opened.object };
                let is_open = match self.alive.get_mut(&connection) {
                    // What another thread moved was told first: new is only which object it is.
                    Some(known) if known.key == (ObjectKey { object: 0, ..key }) => {
                        known.key = key;
                        true
                    }
                    Some(_) => return,
                    None => false,
                };
                self.replace(key, connection, time, sink);
                if is_open {
                    return;
                }
                self.open(connection, key);
                let (origin, security) = (record::origin(&opened), Security::Tls);
                sink(&Event::Opened(Opened { connection, process, time, origin, security }));
            }
            Body::Closed(closed) => {
                let end = Positions { received: closed.received, sent: closed.sent };
                let last_empty_read =
                    (closed.last_empty_read != 0).then_some(Timestamp(closed.last_empty_read));
                self.close(
                    connection,
                    Some(end),
                    sink,
                    Closed { connection, time, cause: CloseCause::Freed, last_empty_read },
                );
            }
            Body::Skipped(skipped) => {
                let reached = Positions { received: skipped.received, sent: skipped.sent };
                if let Some(known) = self.alive.get_mut(&connection) {
                    known.reach(connection, reached, time, sink);
                }
            }
            // Of a finding, and no connection; and what was held apart was set free before.
            Body::Doubted | Body::Joined(_) => {}
            Body::Excluded => self.exclude(connection, time, sink),
            Body::PeerEnded(how) => sink(&Event::PeerEnded { connection, time, how }),
            Body::Socket(addresses) => sink(&Event::Addresses { connection, addresses }),
            Body::Forked(forked) => sink(&Event::Process(ProcessEvent::Forked {
                parent: process,
                child: ProcessId { pid: forked.child_tgid, incarnation: forked.child_process },
                time,
            })),
            Body::Executed(executed) => {
                let previous = ProcessId { pid: header.tgid, incarnation: executed.previous };
                self.end_process(previous, time, CloseCause::ProcessExecuted, forget, sink);
                sink(&Event::Process(ProcessEvent::Executed { previous, process, time }));
            }
            Body::Exited => {
                self.end_process(process, time, CloseCause::ProcessExited, forget, sink);
                sink(&Event::Process(ProcessEvent::Exited { process, time }));
            }
            Body::LibrariesChanged => {
                sink(&Event::Process(ProcessEvent::LibrariesChanged { process, time }));
            }
            Body::Appeared => sink(&Event::Process(ProcessEvent::Appeared { process, time })),
        }
    }

    /// The connection ends here, though the kernel side still has it.
    fn exclude(
        &mut self,
        connection: ConnectionId,
        time: Timestamp,
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        let Some(known) = self.alive.get_mut(&connection) else { return };
        if !std::mem::replace(&mut known.is_excluded, true) {
            let cause = CloseCause::TracerStopped;
            sink(&Event::Closed(Closed { connection, time, cause, last_empty_read: None }));
        }
    }

    /// What the kernel side is to be told of a connection, if that is news.
    pub(super) fn judge(&mut self, connection: ConnectionId, usage: Use) -> Option<Verdict> {
        let known = self.alive.get_mut(&connection)?;
        let verdict = overload::verdict(usage, known.positions);
        (std::mem::replace(&mut known.verdict, verdict) != verdict).then_some(verdict)
    }

    pub(super) fn captured(&self) -> Captured {
        self.captured
    }

    /// Closed connections of which the kernel side still knows something.
    pub(super) fn take_judged(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.judged)
    }

    /// Ends every connection, since the tracer stops.
    pub fn stop(&mut self, time: Timestamp, sink: &mut dyn FnMut(&Event<'_>)) {
        let mut all: Vec<ConnectionId> = self.alive.keys().copied().collect();
        all.sort_unstable();
        for connection in all {
            let cause = CloseCause::TracerStopped;
            self.close(
                connection,
                None,
                sink,
                Closed { connection, time, cause, last_empty_read: None },
            );
        }
    }

    fn open(&mut self, connection: ConnectionId, key: ObjectKey) {
        self.alive.insert(
            connection,
            Connection {
                key,
                positions: Positions::default(),
                verdict: Verdict::default(),
                is_excluded: false,
            },
        );
        self.of_process.entry(key.process).or_default().insert(connection);
    }

    /// The object is this connection's from now on. One that still has it ended before: the notice
    /// was lost, and counted.
    fn replace(
        &mut self,
        key: ObjectKey,
        connection: ConnectionId,
        time: Timestamp,
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        let before = self.of_object.insert(key, connection);
        if let Some(connection) = before.filter(|before| *before != connection) {
            let cause = CloseCause::Unseen;
            let closed = Closed { connection, time, cause, last_empty_read: None };
            self.close(connection, None, sink, closed);
        }
    }

    fn data(
        &mut self,
        header: &Header,
        direction: Direction,
        bytes: &[u8],
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        let connection = ConnectionId(header.connection);
        let time = Timestamp(header.time);
        if !self.alive.contains_key(&connection) {
            // The notice of its beginning was lost (and counted). What came before is unknown.
            let process = ProcessId { pid: header.tgid, incarnation: header.process };
            self.open(connection, ObjectKey { process: process.incarnation, object: 0 });
            let (origin, security) = (Origin::JoinedLate, Security::Tls);
            sink(&Event::Opened(Opened { connection, process, time, origin, security }));
        }
        let Some(known) = self.alive.get_mut(&connection) else { return };
        let position = known.positions.of(direction);
        let missing = header.offset.saturating_sub(*position);
        *position = header.offset + bytes.len() as u64;
        self.captured.bytes += bytes.len() as u64;
        if missing > 0 {
            let offset = header.offset - missing;
            let data = Data::Gap(missing);
            sink(&Event::Segment(Segment {
                connection,
                direction,
                offset,
                time,
                data,
                caller: None,
            }));
        }
        let (offset, data) = (header.offset, Data::Bytes(bytes));
        let caller = Some(Caller { thread: header.tid, task: NonZeroU64::new(header.task) });
        sink(&Event::Segment(Segment { connection, direction, offset, time, data, caller }));
    }

    /// `end`: how far it came, where that is known; what is missing until there becomes a gap.
    fn close(
        &mut self,
        connection: ConnectionId,
        end: Option<Positions>,
        sink: &mut dyn FnMut(&Event<'_>),
        closed: Closed,
    ) {
        let Some(mut known) = self.alive.remove(&connection) else { return };
        if known.verdict != Verdict::default() {
            self.judged.push(connection);
        }
        if self.of_object.get(&known.key) == Some(&connection) {
            self.of_object.remove(&known.key);
        }
        if let Some(siblings) = self.of_process.get_mut(&known.key.process) {
            siblings.remove(&connection);
            if siblings.is_empty() {
                self.of_process.remove(&known.key.process);
            }
        }
        if known.is_excluded {
            return;
        }
        if let Some(end) = end {
            known.reach(connection, end, closed.time, sink);
        }
        sink(&Event::Closed(closed));
    }

    /// Ends the connections of a process.
    pub(super) fn end_process(
        &mut self,
        process: ProcessId,
        time: Timestamp,
        cause: CloseCause,
        forget: Forget<'_>,
        sink: &mut dyn FnMut(&Event<'_>),
    ) {
        for connection in self.of_process.remove(&process.incarnation).unwrap_or_default() {
            let end = self.alive.get(&connection).and_then(|known| forget(known.key));
            self.close(
                connection,
                end,
                sink,
                Closed { connection, time, cause, last_empty_read: None },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::{Executed, Kind};

    use super::*;

    const PROCESS: u64 = 7;

    fn record(connection: u64, offset: u64, body: Body<'_>) -> Record<'_> {
        let header = Header {
            kind: Kind::Data as u32,
            tgid: 42,
            process: PROCESS,
            connection,
            time: 100,
            offset,
            ..Header::default()
        };
        Record { header, body }
    }

    fn opened(connection: u64) -> Record<'static> {
        record(
            connection,
            0,
            Body::Opened(tracer_ebpf::Opened { object: connection * 16, ..Default::default() }),
        )
    }

    /// What the events say, shortly.
    fn run(connections: &mut Connections, records: &[Record<'_>]) -> Vec<String> {
        let mut said = Vec::new();
        let mut forget = |key: ObjectKey| Some(Positions { received: 1000 + key.object, sent: 0 });
        for record in records {
            connections.apply(record, &mut forget, &mut |event| {
                said.push(match event {
                    Event::Opened(opened) => format!("open {}", opened.connection.0),
                    Event::Segment(segment) => match segment.data {
                        Data::Bytes(bytes) => format!("bytes {}+{}", segment.offset, bytes.len()),
                        Data::Gap(missing) => format!("gap {}+{missing}", segment.offset),
                    },
                    Event::Closed(closed) => format!("close {:?}", closed.cause),
                    Event::Process(event) => {
                        let text = format!("{event:?}");
                        text[..text.find(' ').unwrap()].to_owned()
                    }
                    other => format!("{other:?}"),
                });
            });
        }
        said
    }

    #[test]
    fn missing_bytes_become_a_gap() {
        let mut connections = Connections::default();
        let said = run(
            &mut connections,
            &[
                opened(1),
                record(1, 0, Body::Data(Direction::Received, b"abc")),
                record(1, 10, Body::Data(Direction::Received, b"de")),
                record(1, 0, Body::Data(Direction::Sent, b"x")),
            ],
        );
        assert_eq!(said, ["open 1", "bytes 0+3", "gap 3+7", "bytes 10+2", "bytes 0+1"]);
    }

    #[test]
    fn opening_that_is_told_behind_data_takes_nothing_back() {
        let mut connections = Connections::default();
        let said = run(
            &mut connections,
            &[
                record(1, 0, Body::Data(Direction::Received, b"abc")),
                opened(1),
                record(1, 3, Body::Data(Direction::Received, b"de")),
                record(0, 0, Body::Exited),
            ],
        );
        let expected =
            ["open 1", "bytes 0+3", "bytes 3+2", "gap 5+1011", "close ProcessExited", "Exited"];
        assert_eq!(said, expected);
    }

    /// The notice of the first one's end had no room in the ring.
    #[test]
    fn end_that_was_not_told_comes_with_the_next_at_its_place() {
        let mut connections = Connections::default();
        let reused =
            |connection| record(connection, 0, Body::Opened(tracer_ebpf::Opened::default()));
        let end = |connection| record(connection, 0, Body::Closed(tracer_ebpf::Closed::default()));
        let said = run(
            &mut connections,
            &[reused(1), opened(2), reused(3), reused(3), end(3), reused(4), end(4), end(2)],
        );
        let expected = [
            "open 1",
            "open 2",
            "close Unseen",
            "open 3",
            "close Freed",
            "open 4",
            "close Freed",
            "close Freed",
        ];
        assert_eq!(said, expected);
        assert_eq!(connections.len(), 0);
        assert!(connections.of_object.is_empty());
    }

    #[test]
    fn loss_before_the_end_becomes_a_gap() {
        let mut connections = Connections::default();
        let closed = tracer_ebpf::Closed { received: 9, sent: 4, last_empty_read: 0 };
        let said = run(
            &mut connections,
            &[
                opened(1),
                record(1, 0, Body::Data(Direction::Received, b"abc")),
                record(1, 0, Body::Closed(closed)),
            ],
        );
        assert_eq!(said, ["open 1", "bytes 0+3", "gap 0+4", "gap 3+6", "close Freed"]);
        assert_eq!(connections.len(), 0);
    }

    #[test]
    fn process_end_closes_its_connections() {
        let mut connections = Connections::default();
        let said = run(&mut connections, &[opened(1), opened(2), record(0, 0, Body::Exited)]);
        assert_eq!(
            said,
            [
                "open 1",
                "open 2",
                "gap 0+1016",
                "close ProcessExited",
                "gap 0+1032",
                "close ProcessExited",
                "Exited"
            ]
        );
        assert_eq!(connections.len(), 0);
        assert!(connections.of_process.is_empty());
    }

    #[test]
    fn exec_ends_the_previous_program_only() {
        let mut connections = Connections::default();
        let mut executed = record(0, 0, Body::Executed(Executed { previous: PROCESS }));
        executed.header.process = PROCESS + 1;
        let said = run(&mut connections, &[opened(1), executed]);
        assert_eq!(said, ["open 1", "gap 0+1016", "close ProcessExecuted", "Executed"]);
    }

    /// Filters of ports were changed, and changed back.
    #[test]
    fn excluded_connection_ends_once_and_is_another_later() {
        let mut connections = Connections::default();
        let at = |connection| {
            let opened = tracer_ebpf::Opened { object: 16, ..Default::default() };
            record(connection, 0, Body::Opened(opened))
        };
        let data = |connection| record(connection, 0, Body::Data(Direction::Received, b"abc"));
        let excluded = |connection| record(connection, 0, Body::Excluded);
        let said = run(
            &mut connections,
            &[at(1), data(1), excluded(1), excluded(1), excluded(9), at(2), data(2), excluded(2)],
        );
        let expected = [
            "open 1",
            "bytes 0+3",
            "close TracerStopped",
            "open 2",
            "bytes 0+3",
            "close TracerStopped",
        ];
        assert_eq!(said, expected);
        // The kernel side has it until then.
        assert_eq!(connections.len(), 1);
        assert_eq!(run(&mut connections, &[record(0, 0, Body::Exited)]), ["Exited"]);
        assert_eq!(connections.len(), 0);
        assert!(connections.of_object.is_empty() && connections.of_process.is_empty());
    }

    #[test]
    fn skipped_bytes_are_told_before_what_follows() {
        let mut connections = Connections::default();
        let skipped =
            |received, sent| record(1, 0, Body::Skipped(tracer_ebpf::Skipped { received, sent }));
        let said = run(
            &mut connections,
            &[
                opened(1),
                record(1, 0, Body::Data(Direction::Received, b"abc")),
                skipped(90, 0),
                record(1, 0, Body::Data(Direction::Sent, b"x")),
                record(1, 90, Body::Data(Direction::Received, b"de")),
                skipped(92, 1),
            ],
        );
        assert_eq!(said, ["open 1", "bytes 0+3", "gap 3+87", "bytes 0+1", "bytes 90+2"]);
    }

    #[test]
    fn kernel_side_is_told_what_changed() {
        let mut connections = Connections::default();
        let data = record(1, 0, Body::Data(Direction::Received, b"abc"));
        run(&mut connections, &[opened(1), opened(2), data]);
        let [first, second, unknown] = [1, 2, 3].map(ConnectionId);
        let body = Use::Body { direction: Direction::Received, left: None };
        let told = connections.judge(first, body).unwrap();
        assert_eq!(told, overload::verdict(body, Positions { received: 3, sent: 0 }));
        assert_eq!(connections.judge(first, body), None, "nothing is new");
        assert_eq!(connections.judge(second, Use::Unknown), None);
        assert_eq!(connections.judge(unknown, Use::Call), None);
        // Bytes in the other direction may begin another message.
        run(&mut connections, &[record(1, 0, Body::Data(Direction::Sent, b"x"))]);
        assert_ne!(connections.judge(first, body), None);
        run(&mut connections, &[record(0, 0, Body::Exited)]);
        assert_eq!(connections.take_judged(), [first]);
        assert_eq!(connections.captured(), Captured { bytes: 4, records: 5 });
    }

    #[test]
    fn data_without_beginning_is_joined_late() {
        let mut connections = Connections::default();
        let said = run(&mut connections, &[record(5, 20, Body::Data(Direction::Sent, b"abc"))]);
        assert_eq!(said, ["open 5", "gap 0+20", "bytes 20+3"]);
    }
}
