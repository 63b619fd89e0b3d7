//! All connections under way, each with its exchanges.
//! Takes capture's events; gives exchange events in the order of the wire.
//! A connection is forgotten when it closes; what a fork shares has one owner at a time.
//!
//! After a fork two processes hold one TLS connection and at most one of them can use it. What the
//! parent was in the middle of stays the parent's until the child's copy carries its first byte,
//! then it moves to the child: exchanges go on under new ids ([`Kind::Moved`](super::Kind::Moved))
//! and the parent's copy ends in silence. A parent that exits leaves it to its children's copies;
//! if those are closed unused, the exchanges end as the parent's exit ended them, and when.

use foldhash::HashMap;

use super::{ExchangeEvent, Passing, connection::Connection};
use crate::capture::{
    CloseCause, Closed, ConnectionId, Event, Opened, Origin, PeerEnd, Segment, Timestamp,
};

/// What was met, for the loss report and the tests. All counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Exchanges that ended, however.
    pub exchanges: u64,
    /// Exchanges of which neither head could be read, and which are not told therefore.
    pub headless_exchanges: u64,
    /// Exchanges whose request was not seen, of those: it passed before the connection was joined, or
    /// was lost.
    pub unasked_exchanges: u64,
    /// Messages whose bytes break the rules of their protocol.
    pub malformed_messages: u64,
    /// Times that a direction out of step found a message's start again.
    pub resynchronised: u64,
    /// Captured bytes that belong to no message that could be followed.
    pub skipped_bytes: u64,
    /// Bodies whose content coding could not be removed to the end.
    pub unreadable_bodies: u64,
    /// Connections whose messages could not be paired any more.
    pub given_up_connections: u64,
    /// HTTP/2 streams beyond what is followed at a time on one connection.
    pub untracked_streams: u64,
    /// HTTP/2 streams that a server promised to push. Their bytes are passed over.
    pub pushed_streams: u64,
    /// Connections that carry no HTTP.
    pub foreign_connections: u64,
    /// Captured bytes of those.
    pub foreign_bytes: u64,
    /// Bytes of connections that had not been opened or were closed.
    pub stray_bytes: u64,
}

/// All connections under way.
#[derive(Debug, Default)]
pub struct Exchanges {
    slots: HashMap<ConnectionId, Slot>,
    counts: Counts,
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// Copies in forked processes that have not been used. Copies of a connection that had the same
    /// id before, in a recording that uses one again, are not among them.
    heirs: usize,
    /// The process is gone, and the heirs may go on.
    closed: Option<Closed>,
}

#[derive(Debug)]
enum State {
    Own(Connection),
    /// An unused copy of this connection.
    Heir(ConnectionId),
}

type Sink<'a> = &'a mut dyn FnMut(ExchangeEvent<'_>);

impl Exchanges {
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds one capture event. `sink` is called for every exchange event it gives, in order.
    pub fn on(&mut self, event: &Event<'_>, sink: Sink<'_>) {
        match event {
            Event::Opened(opened) => self.opened(opened, sink),
            Event::Segment(segment) => self.segment(segment, sink),
            Event::PeerEnded { connection, time, how } => {
                self.peer_ended(*connection, *time, *how, sink);
            }
            Event::Closed(closed) => self.closed(closed, sink),
            Event::Process(_) | Event::Addresses { .. } => {}
        }
    }

    /// llmtap stops: every exchange under way ends with [`Ended::TracerStopped`](super::Ended).
    pub fn stop(&mut self, time: Timestamp, sink: Sink<'_>) {
        // In an order of its own, so that a replay ends them as the run did.
        let mut slots: Vec<_> = self.slots.drain().collect();
        slots.sort_unstable_by_key(|(id, _)| *id);
        for (_, slot) in slots {
            if let State::Own(connection) = slot.state {
                let (time, cause) =
                    slot.closed.map_or((time, CloseCause::TracerStopped), |c| (c.time, c.cause));
                connection.closed(time, cause, &mut self.counts, sink);
            }
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What passes on a connection now that may not matter.
    pub fn passing(&self, connection: ConnectionId) -> Option<Passing> {
        match &self.slots.get(&connection)?.state {
            State::Own(connection) => connection.passing(),
            State::Heir(_) => None,
        }
    }

    /// Connections that are remembered.
    pub fn connections(&self) -> usize {
        self.slots.len()
    }

    fn opened(&mut self, opened: &Opened, sink: Sink<'_>) {
        let id = opened.connection;
        // Ids are never used again; in a recording that says otherwise, the one before is over.
        let (time, cause) = (opened.time, CloseCause::Freed);
        self.closed(&Closed { connection: id, time, cause, last_empty_read: None }, sink);
        let state = match opened.origin {
            Origin::Created => State::Own(Connection::new(id, true)),
            Origin::JoinedLate => State::Own(Connection::new(id, false)),
            Origin::Inherited(parent) => {
                let owner = match self.slots.get(&parent).map(|slot| &slot.state) {
                    Some(State::Heir(owner)) => *owner,
                    _ => parent,
                };
                match self.slots.get_mut(&owner) {
                    Some(slot) => {
                        slot.heirs += 1;
                        State::Heir(owner)
                    }
                    None => State::Own(Connection::new(id, false)),
                }
            }
        };
        self.slots.insert(id, Slot { state, heirs: 0, closed: None });
    }

    fn segment(&mut self, segment: &Segment<'_>, sink: Sink<'_>) {
        let Self { slots, counts } = self;
        match in_use(slots, segment.connection, segment.time, counts, sink) {
            Some(connection) => connection.segment(segment, counts, sink),
            None => {
                counts.stray_bytes = counts.stray_bytes.saturating_add(segment.data.wire_len());
            }
        }
    }

    fn peer_ended(&mut self, id: ConnectionId, time: Timestamp, how: PeerEnd, sink: Sink<'_>) {
        let Self { slots, counts } = self;
        if let Some(connection) = in_use(slots, id, time, counts, sink) {
            connection.peer_ended(time, how, counts, sink);
        }
    }

    fn closed(&mut self, closed: &Closed, sink: Sink<'_>) {
        let Some(slot) = self.slots.get_mut(&closed.connection) else { return };
        let exited =
            matches!(closed.cause, CloseCause::ProcessExited | CloseCause::ProcessExecuted);
        if exited && slot.heirs > 0 {
            slot.closed = Some(*closed);
            return;
        }
        match self.slots.remove(&closed.connection).map(|slot| slot.state) {
            Some(State::Own(connection)) => {
                connection.closed(closed.time, closed.cause, &mut self.counts, sink);
            }
            Some(State::Heir(owner)) => self.disinherit(owner, sink),
            None => {}
        }
    }

    /// An unused copy of `owner`'s connection was closed.
    fn disinherit(&mut self, owner: ConnectionId, sink: Sink<'_>) {
        let Some(slot) = self.slots.get_mut(&owner) else { return };
        slot.heirs = slot.heirs.saturating_sub(1);
        if slot.heirs == 0
            && let Some(closed) = slot.closed
        {
            self.closed(&closed, sink);
        }
    }
}

/// The connection `id`, which is about to be used at `time`: a copy that was not used before takes
/// over what the original is in the middle of.
fn in_use<'a>(
    slots: &'a mut HashMap<ConnectionId, Slot>,
    id: ConnectionId,
    time: Timestamp,
    counts: &mut Counts,
    sink: Sink<'_>,
) -> Option<&'a mut Connection> {
    if let State::Heir(owner) = slots.get(&id)?.state {
        let connection = match slots.get_mut(&owner) {
            Some(Slot { state: State::Own(parent), heirs, .. }) => {
                *heirs = heirs.saturating_sub(1);
                Connection::take_over(id, parent, time, counts, sink)
            }
            _ => Connection::new(id, false),
        };
        if slots.get(&owner).is_some_and(|slot| slot.closed.is_some()) {
            slots.remove(&owner);
        }
        slots.get_mut(&id)?.state = State::Own(connection);
    }
    match &mut slots.get_mut(&id)?.state {
        State::Own(connection) => Some(connection),
        State::Heir(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::http::h1;

    /// Bytes of an idle connection, by construction (see the bound).
    const IDLE_LIMIT: usize = 4096;

    #[test]
    fn idle_connection_stays_small() {
        // A hash table is at most 7/8 full and at least half of that: 16/7 slots an entry.
        let slot = (size_of::<(ConnectionId, Slot)>() + 1) * 16 / 7;
        assert!(slot + h1::Connection::IDLE_HEAP < IDLE_LIMIT);
        assert!(slot + Connection::STARTING_HEAP < IDLE_LIMIT);
    }
}
