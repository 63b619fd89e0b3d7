//! What of each connection may be kept: a scrubber a direction, from its opening to its close.
//! Takes segments; gives them without credentials, and counts what it replaced and withheld.
//! After a fork the copy of a connection goes on where the original stands when it is first used.

use std::{
    collections::HashMap,
    ops::{Add, AddAssign},
};

use super::scrub::Scrubber;
use crate::capture::{CloseCause, ConnectionId, Data, Direction, Opened, Origin, Segment};

/// Captured bytes that were left out, by why their credentials could not be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Header blocks of HTTP/2 are coded, and are not recoded.
    pub http2: u64,
    /// Neither HTTP/1 nor HTTP/2.
    pub foreign: u64,
    /// Bytes before them are missing, or came before the connection was seen.
    pub after_gap: u64,
}

impl Withheld {
    pub fn all(&self) -> u64 {
        self.http2.add(self.foreign).add(self.after_gap)
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Privacy {
    connections: HashMap<ConnectionId, Directions>,
    /// Unused copies in forked processes, with the original.
    heirs: HashMap<ConnectionId, ConnectionId>,
    pub(super) withheld: Withheld,
    /// Bytes of credentials that were replaced.
    pub(super) replaced: u64,
    /// What is kept of the segment under way, and how it is cut.
    kept: Vec<u8>,
    runs: Vec<(bool, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Directions {
    received: Scrubber,
    sent: Scrubber,
    http2: bool,
}

impl Directions {
    fn both(scrubber: Scrubber) -> Self {
        Self { received: scrubber, sent: scrubber, http2: false }
    }

    fn of(&mut self, direction: Direction) -> &mut Scrubber {
        match direction {
            Direction::Received => &mut self.received,
            Direction::Sent => &mut self.sent,
        }
    }
}

impl Privacy {
    pub(super) fn opened(&mut self, opened: &Opened) {
        let scrubber = match opened.origin {
            Origin::Created => Scrubber::from_start(),
            Origin::JoinedLate => Scrubber::from_middle(),
            Origin::Inherited(parent) => {
                let original = self.heirs.get(&parent).copied().unwrap_or(parent);
                if self.connections.contains_key(&original) {
                    self.heirs.insert(opened.connection, original);
                    return;
                }
                Scrubber::from_middle()
            }
        };
        self.connections.insert(opened.connection, Directions::both(scrubber));
    }

    pub(super) fn closed(&mut self, connection: ConnectionId, cause: CloseCause) {
        self.heirs.remove(&connection);
        let Some(directions) = self.connections.remove(&connection) else { return };
        if matches!(cause, CloseCause::ProcessExited | CloseCause::ProcessExecuted) {
            // What the process left to its children goes on there.
            let left = self.heirs.extract_if(|_, original| *original == connection);
            self.connections.extend(left.map(|(heir, _)| (heir, directions)));
        }
    }

    /// Gives the segment to `sink` in the parts that remain of it, none overlapping and none missing.
    pub(super) fn segment<E>(
        &mut self,
        segment: &Segment<'_>,
        sink: &mut dyn FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let connection = segment.connection;
        if let Some(original) = self.heirs.remove(&connection) {
            let middle = Directions::both(Scrubber::from_middle());
            let directions = self.connections.get(&original).copied().unwrap_or(middle);
            self.connections.insert(connection, directions);
        }
        let directions = self
            .connections
            .entry(connection)
            .or_insert_with(|| Directions::both(Scrubber::from_middle()));
        let scrubber = directions.of(segment.direction);
        let Data::Bytes(bytes) = segment.data else {
            scrubber.gap();
            return sink(segment);
        };
        if bytes.is_empty() {
            return sink(segment);
        }
        self.kept.clear();
        self.runs.clear();
        let before = scrubber.replaced;
        scrubber.segment(bytes, &mut self.kept, &mut self.runs);
        self.replaced += scrubber.replaced - before;
        let foreign = scrubber.is_foreign();
        if scrubber.http2 && !directions.http2 {
            directions.http2 = true;
            directions.received.give_up();
            directions.sent.give_up();
        }
        let why = match (directions.http2, foreign) {
            (true, _) => &mut self.withheld.http2,
            (false, true) => &mut self.withheld.foreign,
            (false, false) => &mut self.withheld.after_gap,
        };
        let (mut offset, mut kept) = (segment.offset, self.kept.as_slice());
        for (keeps, len) in &self.runs {
            let data = if *keeps {
                let (run, rest) = kept.split_at(*len);
                kept = rest;
                Data::Bytes(run)
            } else {
                why.add_assign(*len as u64);
                Data::Gap(*len as u64)
            };
            sink(&Segment { offset, data, ..*segment })?;
            offset += *len as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{ProcessId, Security, Timestamp};

    #[derive(Default)]
    struct Run {
        privacy: Privacy,
        offsets: HashMap<(u64, bool), u64>,
    }

    impl Run {
        fn open(&mut self, connection: u64, origin: Origin) {
            let process = ProcessId { pid: 1, incarnation: 1 };
            let (connection, time) = (ConnectionId(connection), Timestamp(1));
            let security = Security::Tls;
            self.privacy.opened(&Opened { connection, process, time, origin, security });
        }

        /// What is kept of a segment; `~` for each byte that is withheld.
        fn pass(&mut self, connection: u64, sent: bool, bytes: &[u8]) -> String {
            let next = self.offsets.entry((connection, sent)).or_default();
            let offset = *next;
            *next += bytes.len() as u64;
            let direction = if sent { Direction::Sent } else { Direction::Received };
            let (connection, time) = (ConnectionId(connection), Timestamp(1));
            let data = Data::Bytes(bytes);
            let segment = Segment { connection, direction, offset, time, data };
            let (mut kept, mut at) = (Vec::new(), offset);
            let result: Result<(), ()> = self.privacy.segment(&segment, &mut |part| {
                assert_eq!((part.offset, part.time), (at, time), "overlap or hole");
                at += part.data.wire_len();
                match part.data {
                    Data::Bytes(bytes) => kept.extend_from_slice(bytes),
                    Data::Gap(len) => kept.resize(kept.len() + len as usize, b'~'),
                }
                Ok(())
            });
            assert!(result.is_ok());
            String::from_utf8_lossy(&kept).into_owned()
        }
    }

    #[test]
    fn http2_withholds_both_directions() {
        let mut run = Run::default();
        run.open(1, Origin::Created);
        assert_eq!(run.pass(1, true, b"PRI * HTTP/2.0\r\n"), format!("PRI{}", "~".repeat(13)));
        assert_eq!(run.pass(1, false, b"HTTP/1.1 200"), "~".repeat(12));
        assert_eq!(run.privacy.withheld, Withheld { http2: 25, ..Withheld::default() });
        run.open(2, Origin::Created);
        assert_eq!(run.pass(2, true, b"AUTH x"), "~".repeat(6));
        assert_eq!(run.pass(2, false, b"HTTP/1.1 200"), "HTTP/1.1 200");
        assert_eq!(run.privacy.withheld.foreign, 6);
    }

    #[test]
    fn forked_connection_goes_on_where_it_stands() {
        let mut run = Run::default();
        run.open(1, Origin::Created);
        run.open(2, Origin::Inherited(ConnectionId(1)));
        // The parent goes on after the fork, into a credential that the child finishes.
        run.pass(1, true, b"GET / HTTP/1.1\r\nCookie: a");
        assert_eq!(run.pass(2, true, b"bc\r\nA: b"), "XX\r\nA: b");
    }

    #[test]
    fn parent_that_exits_leaves_its_state() {
        for (cause, expected) in
            [(CloseCause::ProcessExited, "XX\r\nA: b"), (CloseCause::Freed, "~~~~~~~~")]
        {
            let mut run = Run::default();
            run.open(1, Origin::Created);
            run.open(2, Origin::Inherited(ConnectionId(1)));
            run.open(3, Origin::Inherited(ConnectionId(2)));
            run.pass(1, true, b"GET / HTTP/1.1\r\nCookie: a");
            run.privacy.closed(ConnectionId(1), cause);
            assert_eq!(run.pass(3, true, b"bc\r\nA: b"), expected);
            run.privacy.closed(ConnectionId(2), cause);
            run.privacy.closed(ConnectionId(3), cause);
            assert!(run.privacy.connections.is_empty() && run.privacy.heirs.is_empty());
        }
    }
}
