//! TCP connections out of packets, each told as the client that made it would see it.
//! Takes TCP packets in the order of the capture; gives capture's events.
//! The client is who sent the SYN; where that was not captured, who sends a request.

use std::{collections::HashMap, net::SocketAddr};

use super::stream::{Part, Stream};
use crate::capture::{
    Addresses, CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin, PeerEnd,
    ProcessId, Security, Segment, Timestamp,
};

/// Connections that are followed at a time.
const CONNECTION_LIMIT: usize = 1 << 16;

/// Bytes that all connections together hold back while they wait for those before them.
const HELD_LIMIT: usize = 256 << 20;

/// Nothing in a packet says which process sent it.
const UNKNOWN_PROCESS: ProcessId = ProcessId { pid: 0, incarnation: 0 };

/// Methods of LLM calls, and what an HTTP/2 client begins with.
const REQUESTS: [&[u8]; 8] =
    [b"GET ", b"POST ", b"PUT ", b"DELETE ", b"PATCH ", b"OPTIONS ", b"HEAD ", b"PRI * HTTP/2"];
const RESPONSE: &[u8] = b"HTTP/1.";

/// A TCP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) time: Timestamp,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    /// Acknowledgment number, if the flag is set.
    pub(super) acknowledges: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) bytes: &'a [u8],
    /// Bytes behind them that were sent and not captured.
    pub(super) cut: u64,
}

/// What was not followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unfollowed {
    /// Connections beyond those that are followed at a time.
    pub(super) connections: u64,
    /// Bytes of connections whose beginning was not captured, before a message began.
    pub(super) bytes: u64,
}

/// The connections of a capture.
#[derive(Debug, Default)]
pub(super) struct Connections {
    known: HashMap<(SocketAddr, SocketAddr), Connection>,
    /// Of [`Connections::known`], those that are over.
    over: usize,
    /// Bytes that are held back.
    held: usize,
    opened: u64,
    pub(super) unfollowed: Unfollowed,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    client: SocketAddr,
    /// Sequence number of the SYN, to tell it from that of another connection between the same ends.
    syn: Option<u32>,
    sent: Stream,
    received: Stream,
    peer_ended: bool,
    /// It is over. Late packets are still its own.
    over: bool,
}

type Sink<'a> = &'a mut dyn FnMut(&Event<'_>);

impl Connections {
    pub(super) fn packet(&mut self, packet: &Packet<'_>, sink: Sink<'_>) {
        let key = (packet.from.min(packet.to), packet.from.max(packet.to));
        let begins = packet.syn && packet.acknowledges.is_none();
        if begins
            && let Some(known) = self.known.get(&key)
            && (known.client != packet.from || known.syn != Some(packet.sequence))
        {
            // Another connection between the same ends: the end of the one before was not captured.
            self.end(key, packet.time, CloseCause::Unseen, sink);
            self.known.remove(&key);
            self.over -= 1;
        }
        if !self.known.contains_key(&key) && !self.open(key, packet, sink) {
            return;
        }
        let Some(known) = self.known.get_mut(&key) else { return };
        if known.over {
            return;
        }
        let before = known.held();
        known.packet(packet, sink);
        if self.held - before + known.held() > HELD_LIMIT {
            known.give_up(sink);
        }
        self.held = self.held - before + known.held();
        if known.over {
            self.over += 1;
        }
    }

    /// The capture ends: what is open was still open then.
    pub(super) fn stop(&mut self, time: Timestamp, sink: Sink<'_>) {
        let mut keys: Vec<_> = self.known.iter().map(|(key, known)| (known.id, *key)).collect();
        keys.sort_unstable_by_key(|(id, _)| *id);
        for (_, key) in keys {
            self.end(key, time, CloseCause::TracerStopped, sink);
        }
    }

    /// Enters the connection of a packet, if it tells who the client is.
    fn open(&mut self, key: (SocketAddr, SocketAddr), packet: &Packet<'_>, sink: Sink<'_>) -> bool {
        let Some((client, origin)) = client(packet) else {
            self.unfollowed.bytes += packet.bytes.len() as u64 + packet.cut;
            return false;
        };
        if self.known.len() - self.over == CONNECTION_LIMIT {
            self.unfollowed.connections += 1;
            return false;
        }
        if self.known.len() == 2 * CONNECTION_LIMIT {
            self.known.retain(|_, known| !known.over);
            self.over = 0;
        }
        self.opened += 1;
        let id = ConnectionId(self.opened);
        let peer = if client == packet.from { packet.to } else { packet.from };
        let (process, time) = (UNKNOWN_PROCESS, packet.time);
        let security = Security::Plain;
        sink(&Event::Opened(Opened { connection: id, process, time, origin, security }));
        let addresses = Addresses { local: client, peer };
        sink(&Event::Addresses { connection: id, addresses });
        let syn = match packet.acknowledges {
            _ if !packet.syn => None,
            None => Some(packet.sequence),
            // The answer to a SYN acknowledges it.
            Some(acknowledged) => Some(acknowledged.wrapping_sub(1)),
        };
        let connection = Connection {
            id,
            client,
            syn,
            sent: Stream::default(),
            received: Stream::default(),
            peer_ended: false,
            over: false,
        };
        self.known.insert(key, connection);
        true
    }

    fn end(
        &mut self,
        key: (SocketAddr, SocketAddr),
        time: Timestamp,
        cause: CloseCause,
        sink: Sink<'_>,
    ) {
        if let Some(known) = self.known.get_mut(&key)
            && !known.over
        {
            self.held -= known.held();
            known.close(time, cause, sink);
            self.over += 1;
        }
    }
}

/// The client's end, and whether the connection is seen from its start.
fn client(packet: &Packet<'_>) -> Option<(SocketAddr, Origin)> {
    if packet.rst {
        None
    } else if packet.syn {
        let answers = packet.acknowledges.is_some();
        Some((if answers { packet.to } else { packet.from }, Origin::Created))
    } else if REQUESTS.iter().any(|request| packet.bytes.starts_with(request)) {
        Some((packet.from, Origin::JoinedLate))
    } else if packet.bytes.starts_with(RESPONSE) {
        Some((packet.to, Origin::JoinedLate))
    } else {
        None
    }
}

impl Connection {
    fn packet(&mut self, packet: &Packet<'_>, sink: Sink<'_>) {
        let direction =
            if packet.from == self.client { Direction::Sent } else { Direction::Received };
        // A SYN takes a sequence number of its own (RFC 9293 §3.4).
        let sequence = packet.sequence.wrapping_add(u32::from(packet.syn));
        self.of(direction).begins(sequence);
        if let Some(acknowledged) = packet.acknowledges {
            self.of(direction.opposite()).begins(acknowledged);
            self.with(direction.opposite(), sink, |stream, deliver| {
                stream.acknowledged(acknowledged, packet.time, deliver);
            });
        }
        if packet.rst {
            self.reset(direction, packet.time, sink);
            return;
        }
        let Packet { time, bytes, cut, .. } = *packet;
        if !bytes.is_empty() || cut > 0 {
            self.with(direction, sink, |stream, deliver| {
                stream.push(&Part { time, sequence, bytes, cut }, deliver);
            });
        }
        if packet.fin {
            let len = bytes.len() as u64 + cut;
            self.of(direction).ends(sequence.wrapping_add(len as u32));
        }
        self.settle(time, sink);
    }

    /// Tells of directions that came to their end.
    fn settle(&mut self, time: Timestamp, sink: Sink<'_>) {
        if self.received.is_over() && !self.peer_ended {
            self.peer_ended = true;
            let how = PeerEnd::CloseNotify;
            sink(&Event::PeerEnded { connection: self.id, time, how });
        }
        if self.received.is_over() && self.sent.is_over() {
            self.close(time, CloseCause::Freed, sink);
        }
    }

    fn reset(&mut self, by: Direction, time: Timestamp, sink: Sink<'_>) {
        self.flush(sink);
        if by == Direction::Received && !self.peer_ended {
            self.peer_ended = true;
            let how = PeerEnd::SystemCall;
            sink(&Event::PeerEnded { connection: self.id, time, how });
        }
        self.close(time, CloseCause::Freed, sink);
    }

    fn close(&mut self, time: Timestamp, cause: CloseCause, sink: Sink<'_>) {
        self.flush(sink);
        self.over = true;
        let (connection, last_empty_read) = (self.id, None);
        sink(&Event::Closed(Closed { connection, time, cause, last_empty_read }));
        // What a late packet would need is kept, nothing else.
        (self.sent, self.received) = (Stream::default(), Stream::default());
    }

    fn flush(&mut self, sink: Sink<'_>) {
        for direction in [Direction::Sent, Direction::Received] {
            self.with(direction, sink, |stream, deliver| stream.flush(deliver));
        }
    }

    fn held(&self) -> usize {
        self.sent.cost() + self.received.cost()
    }

    fn give_up(&mut self, sink: Sink<'_>) {
        for direction in [Direction::Sent, Direction::Received] {
            self.with(direction, sink, |stream, deliver| stream.give_up(deliver));
        }
    }

    fn of(&mut self, direction: Direction) -> &mut Stream {
        match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        }
    }

    /// Lets a direction deliver to `sink`.
    fn with(
        &mut self,
        direction: Direction,
        sink: Sink<'_>,
        action: impl FnOnce(&mut Stream, super::stream::Deliver<'_>),
    ) {
        let connection = self.id;
        action(self.of(direction), &mut |time, offset, data: Data<'_>| {
            sink(&Event::Segment(Segment { connection, direction, offset, time, data }));
        });
    }
}
