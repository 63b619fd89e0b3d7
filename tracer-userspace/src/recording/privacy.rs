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
