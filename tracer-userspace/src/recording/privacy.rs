//! What of each connection may be kept: a filter a direction, from its opening to its close.
//! Takes segments; gives them without credentials, and counts what it replaced and withheld.
//! After a fork the copy of a connection goes on where the original stands when it is first used.

use std::collections::{HashMap, VecDeque};

use super::scrub::{Scrubber, extend};
use crate::{
    capture::{
        CloseCause, Closed, ConnectionId, Data, Direction, Opened, Origin, Segment, Timestamp,
    },
    http::{NAME_LIMIT, Redactor, Secrecy, credentials_in_url, names_credential, names_url},
};

/// Captured bytes that were left out, by why their credentials could not be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// HTTP/2 that could not be followed.
    pub http2: u64,
    /// Neither HTTP/1 nor HTTP/2.
    pub foreign: u64,
    /// HTTP/1 of which bytes before them are missing, or what came before the connection was seen.
    pub after_gap: u64,
}

impl Withheld {
    pub fn all(&self) -> u64 {
        self.http2 + self.foreign + self.after_gap
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
    told: Told,
}

/// What was told of a direction just now, to be taken out of what waits of it.
#[derive(Debug, Default)]
struct Told {
    kept: Vec<u8>,
    /// Kept or withheld, and how many.
    runs: Vec<(bool, usize)>,
}

#[derive(Clone, Debug)]
struct Directions {
    received: Half,
    sent: Half,
}

/// One direction.
#[derive(Clone, Debug)]
struct Half {
    filter: Filter,
    /// Segments of which the filter has not told everything.
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, Debug)]
enum Filter {
    /// HTTP/1, or not known yet.
    Lines(Scrubber),
    Http2(Box<Redactor>),
}

/// What waits of a segment.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    time: Timestamp,
    offset: u64,
    len: usize,
}

impl Told {
    fn take(&mut self, data: Data<'_>) {
        match data {
            Data::Bytes(bytes) => {
                self.kept.extend_from_slice(bytes);
                extend(&mut self.runs, (true, bytes.len()));
            }
            Data::Gap(len) => {
                // As long as what was taken in, which was in memory.
                extend(&mut self.runs, (false, usize::try_from(len).unwrap_or(usize::MAX)));
            }
        }
    }
}

impl Half {
    fn new(scrubber: Scrubber) -> Self {
        Self { filter: Filter::Lines(scrubber), waiting: VecDeque::new() }
    }

    /// For a copy of the connection. What waits is told of the original, if at all.
    fn inherit(&self) -> Self {
        let filter = match &self.filter {
            Filter::Http2(_) if !self.waiting.is_empty() => {
                Filter::Http2(Box::new(Redactor::from_middle(secrecy)))
            }
            filter => filter.clone(),
        };
        Self { filter, waiting: VecDeque::new() }
    }

    fn replaced(&self) -> u64 {
        match &self.filter {
            Filter::Lines(scrubber) => scrubber.replaced,
            Filter::Http2(redactor) => redactor.replaced,
        }
    }

    fn why<'a>(&self, withheld: &'a mut Withheld) -> &'a mut u64 {
        match &self.filter {
            Filter::Http2(_) => &mut withheld.http2,
            Filter::Lines(scrubber) if scrubber.upgraded => &mut withheld.http2,
            Filter::Lines(scrubber) if scrubber.is_foreign() => &mut withheld.foreign,
            Filter::Lines(_) => &mut withheld.after_gap,
        }
    }

    /// Turns out to be HTTP/2; what was seen of it was kept.
    fn becomes_http2(&mut self, is_client: bool) {
        let Filter::Lines(scrubber) = &self.filter else { return };
        let redactor = match scrubber.http2() {
            Some(begun) => {
                let mut redactor = Redactor::from_start(is_client, secrecy);
                redactor.segment(&begun, &mut |_| {});
                redactor
            }
            None => Redactor::from_middle(secrecy),
        };
        self.filter = Filter::Http2(Box::new(redactor));
    }

    /// Gives what was told, each part with the time at which it passed.
    fn give<E>(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        told: &mut Told,
        sink: &mut dyn FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut kept = told.kept.as_slice();
        for (keeps, mut len) in told.runs.drain(..) {
            while len > 0
                && let Some(first) = self.waiting.front_mut()
            {
                let part = len.min(first.len);
                let Waiting { time, offset, .. } = *first;
                (first.offset, first.len) = (offset + part as u64, first.len - part);
                if first.len == 0 {
                    self.waiting.pop_front();
                }
                len -= part;
                let data = if keeps {
                    let (bytes, rest) = kept.split_at(part);
                    kept = rest;
                    Data::Bytes(bytes)
                } else {
                    Data::Gap(part as u64)
                };
                sink(&Segment { connection, direction, offset, time, data })?;
            }
        }
        told.kept.clear();
        Ok(())
    }
}

impl Directions {
    fn both(scrubber: Scrubber) -> Self {
        Self { received: Half::new(scrubber), sent: Half::new(scrubber) }
    }

    fn inherit(&self) -> Self {
        Self { received: self.received.inherit(), sent: self.sent.inherit() }
    }

    fn of(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Received => &mut self.received,
            Direction::Sent => &mut self.sent,
        }
    }

    /// Nothing has told what it is.
    fn is_joining(&self) -> bool {
        let joins = |half: &Half| matches!(&half.filter, Filter::Lines(one) if one.is_joining());
        joins(&self.received) && joins(&self.sent)
    }

    fn becomes_http2(&mut self, client: Direction) {
        self.of(client).becomes_http2(true);
        self.of(client.opposite()).becomes_http2(false);
    }

    fn take(&mut self, direction: Direction, bytes: &[u8], told: &mut Told) {
        if self.is_joining() && Redactor::begins(bytes) {
            self.becomes_http2(direction);
        }
        let mut rest = bytes;
        if let Filter::Lines(scrubber) = &mut self.of(direction).filter {
            rest = scrubber.segment(bytes, &mut told.kept, &mut told.runs);
            let (http2, upgraded) = (scrubber.is_http2(), scrubber.upgraded);
            if http2 {
                // Only a client begins with letters.
                let begins = scrubber.http2().is_some_and(|begun| begun.first() != Some(&0));
                self.becomes_http2(if begins { direction } else { direction.opposite() });
            } else if upgraded
                && let Filter::Lines(other) = &mut self.of(direction.opposite()).filter
            {
                other.give_up();
                other.upgraded = true;
            }
        }
        if let Filter::Http2(redactor) = &mut self.of(direction).filter {
            redactor.segment(rest, &mut |data| told.take(data));
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

    /// Gives what still waits of the connection to `sink`: its end is not known any more.
    pub(super) fn closed<E>(
        &mut self,
        closed: &Closed,
        sink: &mut dyn FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let connection = closed.connection;
        self.heirs.remove(&connection);
        let Some(mut directions) = self.connections.remove(&connection) else { return Ok(()) };
        if matches!(closed.cause, CloseCause::ProcessExited | CloseCause::ProcessExecuted) {
            // What the process left to its children goes on there.
            let left = self.heirs.extract_if(|_, original| *original == connection);
            self.connections.extend(left.map(|(heir, _)| (heir, directions.inherit())));
        }
        for direction in [Direction::Received, Direction::Sent] {
            self.lose(connection, direction, directions.of(direction), sink)?;
        }
        Ok(())
    }

    fn lose<E>(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        half: &mut Half,
        sink: &mut dyn FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Filter::Http2(redactor) = &mut half.filter {
            redactor.lose(&mut |data| self.told.take(data));
        }
        self.count(half, half.replaced());
        half.give(connection, direction, &mut self.told, sink)
    }

    /// Counts what was told of a direction that had replaced so many bytes before.
    fn count(&mut self, half: &Half, before: u64) {
        self.replaced += half.replaced().saturating_sub(before);
        let gone = self.told.runs.iter().filter(|(keeps, _)| !keeps).map(|(_, len)| *len as u64);
        *half.why(&mut self.withheld) += gone.sum::<u64>();
    }

    /// Gives the segment to `sink` in the parts that remain of it, none overlapping and none missing;
    /// some of them when later ones come, or at the connection's close.
    pub(super) fn segment<E>(
        &mut self,
        segment: &Segment<'_>,
        sink: &mut dyn FnMut(&Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Segment { connection, direction, offset, time, data } = *segment;
        // Out of the table while it is at work.
        let mut directions = self.taken(connection);
        let before = directions.of(direction).replaced();
        match data {
            Data::Gap(missing) => match &mut directions.of(direction).filter {
                Filter::Lines(scrubber) => scrubber.gap(),
                Filter::Http2(redactor) => redactor.gap(missing, &mut |data| self.told.take(data)),
            },
            Data::Bytes(bytes) if !bytes.is_empty() => {
                let waiting = Waiting { time, offset, len: bytes.len() };
                directions.of(direction).waiting.push_back(waiting);
                directions.take(direction, bytes, &mut self.told);
            }
            Data::Bytes(_) => {}
        }
        let half = directions.of(direction);
        self.count(half, before);
        let given = half.give(connection, direction, &mut self.told, sink);
        self.connections.insert(connection, directions);
        given?;
        if data.wire_len() == 0 || matches!(data, Data::Gap(_)) { sink(segment) } else { Ok(()) }
    }

    /// What is known of a connection; of an heir that is used, what is known of the original.
    fn taken(&mut self, connection: ConnectionId) -> Directions {
        if let Some(original) = self.heirs.remove(&connection) {
            let original = self.connections.get(&original);
            return original
                .map_or_else(|| Directions::both(Scrubber::from_middle()), Directions::inherit);
        }
        let known = self.connections.remove(&connection);
        known.unwrap_or_else(|| Directions::both(Scrubber::from_middle()))
    }
}

/// What of a field's value must not be kept, by its name in lower case; `None`: it is not known.
fn secrecy(name: Option<&str>) -> Secrecy {
    match name.map(str::as_bytes) {
        Some(b":path") => Secrecy::Within(credentials_in_url),
        Some(name) if name.len() > NAME_LIMIT || names_credential(name) => Secrecy::Secret,
        Some(name) if names_url(name) => Secrecy::Within(credentials_in_url),
        Some(_) => Secrecy::Open,
        None => Secrecy::Secret,
    }
}

#[cfg(test)]
mod tests;
