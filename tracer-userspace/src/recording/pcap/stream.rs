//! One direction of a TCP connection, put in order.
//! Takes segments as they were captured, in any order and more than once; gives its bytes once.
//! What did not come is a gap, told when it cannot come any more or the wait for it is over.
//! RFC 9293 §3.4: sequence numbers are compared modulo 2^32.

use std::collections::BTreeMap;

use crate::capture::{Data, Timestamp};

/// Bytes that one direction holds back while it waits for those before them.
const HELD_LIMIT: usize = 4 << 20;

/// What a held segment costs beside its bytes, about.
const SEGMENT_COST: usize = 128;

/// How far ahead a segment can be: the largest window there is (RFC 7323 §2.3).
const WINDOW: i64 = 1 << 30;

/// How long bytes that the receiver has acknowledged are waited for. It has them, so they will not
/// be sent again; a capture may have put them a little later.
const REORDERING: u64 = 1_000_000_000;

pub(super) type Deliver<'a> = &'a mut dyn FnMut(Timestamp, u64, Data<'_>);

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Sequence number of the next byte; `None` as long as nothing tells.
    next: Option<u32>,
    /// Bytes delivered, those missing included.
    position: u64,
    /// Behind what is missing, by position.
    held: BTreeMap<u64, Held>,
    cost: usize,
    /// Where the sender ended, if it said.
    end: Option<u64>,
    /// Since when something is missing.
    waiting: Option<Timestamp>,
    latest: Timestamp,
}

#[derive(Debug)]
struct Held {
    time: Timestamp,
    bytes: Vec<u8>,
    /// Bytes behind them that were sent and not captured.
    cut: u64,
}

/// A segment, as it was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) time: Timestamp,
    /// Sequence number of the first byte.
    pub(super) sequence: u32,
    pub(super) bytes: &'a [u8],
    /// Bytes behind them that were sent and not captured.
    pub(super) cut: u64,
}

impl Stream {
    /// The next byte has this number, if nothing told before.
    pub(super) fn begins(&mut self, sequence: u32) {
        self.next.get_or_insert(sequence);
    }

    /// The sender has ended it, and all that it sent was delivered.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| end <= self.position)
    }

    /// Takes a segment. One that cannot belong to the connection is none of it.
    pub(super) fn push(&mut self, part: &Part<'_>, deliver: Deliver<'_>) {
        let Some(start) = self.place(part.sequence) else { return };
        let Part { time, bytes, cut, .. } = *part;
        let position = self.position as i64;
        if start > position {
            self.hold(start as u64, Held { time, bytes: bytes.to_vec(), cut });
            self.waiting.get_or_insert(time);
            while self.cost > HELD_LIMIT {
                self.skip(deliver);
            }
            return;
        }
        self.give(time, (position - start) as u64, bytes, cut, deliver);
        self.release(Some(time), deliver);
    }

    /// The sender ends it here.
    pub(super) fn ends(&mut self, sequence: u32) {
        if let Some(end) = self.place(sequence) {
            self.end.get_or_insert(end.max(0) as u64);
        }
    }

    /// The receiver has everything before this number.
    pub(super) fn acknowledged(&mut self, sequence: u32, now: Timestamp, deliver: Deliver<'_>) {
        let waited = self.waiting.map_or(0, |since| now.since(since));
        let Some(reached) = self.place(sequence) else { return };
        let first = self.held.first_key_value().map(|(at, _)| *at);
        if waited >= REORDERING && first.is_some_and(|first| first as i64 <= reached) {
            self.skip(deliver);
        }
    }

    /// Bytes that are held back, with what holding them costs.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Waits no longer: what is held is given, and what is missing before it told.
    pub(super) fn give_up(&mut self, deliver: Deliver<'_>) {
        while !self.held.is_empty() {
            self.skip(deliver);
        }
    }

    /// Nothing more comes.
    pub(super) fn flush(&mut self, deliver: Deliver<'_>) {
        self.give_up(deliver);
        if let Some(missing) = self.end.map(|end| end.saturating_sub(self.position))
            && missing > 0
        {
            self.tell(self.latest, Data::Gap(missing), deliver);
        }
    }

    /// The position of a sequence number; `None` where it is too far ahead.
    fn place(&self, sequence: u32) -> Option<i64> {
        let ahead = i64::from(sequence.wrapping_sub(self.next?) as i32);
        (ahead <= WINDOW).then(|| self.position as i64 + ahead)
    }

    fn hold(&mut self, at: u64, held: Held) {
        let len = |held: &Held| held.bytes.len() as u64 + held.cut;
        if self.held.get(&at).is_some_and(|known| len(known) >= len(&held)) {
            return;
        }
        self.cost += held.bytes.len() + SEGMENT_COST;
        if let Some(known) = self.held.insert(at, held) {
            self.cost -= known.bytes.len() + SEGMENT_COST;
        }
    }

    /// Gives up what is missing before the first segment that is held.
    fn skip(&mut self, deliver: Deliver<'_>) {
        let Some((at, held)) = self.held.first_key_value() else { return };
        let (missing, time) = (at.saturating_sub(self.position), held.time);
        if missing > 0 {
            self.tell(time, Data::Gap(missing), deliver);
        }
        self.release(None, deliver);
    }

    /// Gives what is held and follows on. `now`: when the last missing byte came, which is when the
    /// receiver could go on; without it, each at its own time.
    fn release(&mut self, now: Option<Timestamp>, deliver: Deliver<'_>) {
        while let Some(entry) = self.held.first_entry()
            && *entry.key() <= self.position
        {
            let (at, held) = entry.remove_entry();
            self.cost -= held.bytes.len() + SEGMENT_COST;
            let known = self.position - at;
            self.give(now.unwrap_or(held.time), known, &held.bytes, held.cut, deliver);
        }
        self.waiting = self.held.first_key_value().map(|(_, held)| held.time);
    }

    /// Gives a segment without its first `known` bytes, which were given before.
    fn give(&mut self, time: Timestamp, known: u64, bytes: &[u8], cut: u64, deliver: Deliver<'_>) {
        let skipped = bytes.len().min(usize::try_from(known).unwrap_or(usize::MAX));
        let cut = cut.saturating_sub(known - skipped as u64);
        if skipped < bytes.len() {
            self.tell(time, Data::Bytes(&bytes[skipped..]), deliver);
        }
        if cut > 0 {
            self.tell(time, Data::Gap(cut), deliver);
        }
    }

    fn tell(&mut self, time: Timestamp, data: Data<'_>, deliver: Deliver<'_>) {
        // Captures may be out of order by a little; a connection's time does not go back.
        self.latest = self.latest.max(time);
        deliver(self.latest, self.position, data);
        let len = data.wire_len();
        self.position += len;
        self.next = self.next.map(|next| next.wrapping_add(len as u32));
    }
}

#[cfg(test)]
mod tests;
