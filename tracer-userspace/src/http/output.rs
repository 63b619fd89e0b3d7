//! The way out for all protocols: the sink with the time, identity and counters that go with it.
//! Takes what a protocol has found; gives [`ExchangeEvent`]s.
//! Knows nothing of any protocol.

use super::{Counts, ExchangeEvent, ExchangeId, Kind};
use crate::capture::{ConnectionId, Timestamp};

/// Hands out the exchange ids of one connection, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    connection: ConnectionId,
    next: u64,
}

impl Ids {
    pub(super) fn new(connection: ConnectionId) -> Self {
        Self { connection, next: 0 }
    }

    pub(super) fn next(&mut self) -> ExchangeId {
        let index = self.next;
        self.next += 1;
        ExchangeId { connection: self.connection, index }
    }
}

pub(super) struct Output<'a> {
    /// When the bytes passed that are being looked at.
    pub(super) time: Timestamp,
    pub(super) ids: &'a mut Ids,
    pub(super) counts: &'a mut Counts,
    pub(super) sink: &'a mut dyn FnMut(ExchangeEvent<'_>),
}

impl Output<'_> {
    pub(super) fn tell(&mut self, exchange: ExchangeId, kind: Kind<'_>) {
        (self.sink)(ExchangeEvent { exchange, time: self.time, kind });
    }
}
