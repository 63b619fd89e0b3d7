//! Connections played to [`Exchanges`], and what must hold for whatever comes out.
//! Takes what passed as a list of happenings; gives the events, in a form that can be compared.
//! Shared by all targets that reach their parser through a connection.

use std::collections::HashMap;

use llmtap::{
    capture::{
        CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin, PeerEnd,
        ProcessId, Security, Segment, Timestamp,
    },
    http::{Counts, ExchangeEvent, ExchangeId, Exchanges, Kind},
};

use crate::{
    meter::{self, Work},
    split::Split,
};

/// One thing that happens to a connection.
#[derive(Clone, Debug)]
pub enum Happening {
    Opened(u64, Origin),
    Bytes(u64, Direction, Vec<u8>),
    Gap(u64, Direction, u64),
    PeerEnded(u64, PeerEnd),
    Closed(u64, CloseCause),
}

pub fn sent(bytes: impl Into<Vec<u8>>) -> Happening {
    Happening::Bytes(1, Direction::Sent, bytes.into())
}

pub fn received(bytes: impl Into<Vec<u8>>) -> Happening {
    Happening::Bytes(1, Direction::Received, bytes.into())
}

/// A client's connection, known from its first byte, on which this passes.
pub fn connection(passes: impl IntoIterator<Item = Happening>) -> Vec<Happening> {
    let mut all = vec![Happening::Opened(1, Origin::Created)];
    all.extend(passes);
    all.push(Happening::Closed(1, CloseCause::Freed));
    all
}

/// Plays all of it, then stops.
pub fn play(
    happenings: &[Happening],
    split: Split,
    sink: &mut dyn FnMut(ExchangeEvent<'_>),
) -> Counts {
    let mut exchanges = Exchanges::new();
    for (number, happening) in happenings.iter().enumerate() {
        let time = Timestamp(number as u64 + 1);
        let segment = |connection: u64, direction, data| {
            let connection = ConnectionId(connection);
            Event::Segment(Segment { connection, direction, offset: 0, time, data, caller: None })
        };
        let event = match happening {
            Happening::Bytes(connection, direction, bytes) => {
                for piece in split.pieces(bytes) {
                    exchanges.on(&segment(*connection, *direction, Data::Bytes(piece)), sink);
                }
                continue;
            }
            Happening::Gap(connection, direction, missing) => {
                segment(*connection, *direction, Data::Gap(*missing))
            }
            Happening::Opened(connection, origin) => Event::Opened(Opened {
                connection: ConnectionId(*connection),
                process: ProcessId { pid: 1, incarnation: 1 },
                time,
                origin: *origin,
                security: Security::Tls,
            }),
            Happening::PeerEnded(connection, how) => {
                Event::PeerEnded { connection: ConnectionId(*connection), time, how: *how }
            }
            Happening::Closed(connection, cause) => Event::Closed(Closed {
                connection: ConnectionId(*connection),
                time,
                cause: *cause,
                last_empty_read: None,
            }),
        };
        exchanges.on(&event, sink);
    }
    exchanges.stop(Timestamp(happenings.len() as u64 + 1), sink);
    assert_eq!(exchanges.connections(), 0, "a connection is remembered after the stop");
    exchanges.counts()
}

/// What a run gave in all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub counts: Counts,
    pub events: usize,
    /// Body bytes.
    pub output: usize,
}

/// Plays it whole, within the bounds, and checks the order of what comes; `heap`: bytes that may be
/// held beside those for each byte of input.
pub fn measured(happenings: &[Happening], heap: usize) -> Totals {
    let input: usize = happenings.iter().map(input_len).sum();
    let work = |totals: &Totals| Work {
        bytes: input.max(totals.output),
        pieces: happenings.len() + totals.events,
        heap: heap + HEAP_RATIO * input,
    };
    let totals = meter::within(work, || {
        let mut totals = Totals::default();
        let counts = play(happenings, Split::Whole, &mut |event| {
            totals.events += 1;
            totals.output += body(&event.kind).map_or(0, <[u8]>::len);
        });
        Totals { counts, ..totals }
    });
    let mut order = Order::default();
    play(happenings, Split::Whole, &mut |event| order.follow(&event));
    order.finish();
    totals
}

/// Bytes of the heap for each byte of a head: a field is an entry of a table, with two strings.
const HEAP_RATIO: usize = 32;

fn input_len(happening: &Happening) -> usize {
    match happening {
        Happening::Bytes(_, _, bytes) => bytes.len(),
        _ => 0,
    }
}

fn body<'a>(kind: &Kind<'a>) -> Option<&'a [u8]> {
    match kind {
        Kind::RequestBody(bytes) | Kind::ResponseBody(bytes) => Some(bytes),
        _ => None,
    }
}

/// Whether `counts` tell of nothing after which the going on depends on where segments begin.
fn in_step(counts: &Counts) -> bool {
    let Counts { malformed_messages, resynchronised, given_up_connections, .. } = counts;
    malformed_messages + resynchronised + given_up_connections + counts.skipped_bytes == 0
}

/// The same events come for every way of cutting the bytes, where nothing was out of step.
pub fn same_for_every_split(happenings: &[Happening]) {
    let from_the_middle = |happening: &Happening| {
        matches!(happening, Happening::Gap(..))
            || matches!(happening, Happening::Opened(_, origin) if *origin != Origin::Created)
    };
    if happenings.iter().any(from_the_middle) {
        return;
    }
    let (mut whole, counts) = log(happenings, Split::Whole);
    // Where exactly a bomb is refused depends on how much of it has come.
    let is_bomb = whole.iter().any(|line| line.what.contains("Bomb"));
    if !in_step(&counts) || is_bomb {
        return;
    }
    without_corrupt(&mut whole);
    for split in Split::CUT {
        let (mut cut, cut_counts) = log(happenings, split);
        without_corrupt(&mut cut);
        for (one, other) in whole.iter().zip(&cut) {
            assert_eq!(one, other, "whole, and cut {split:?}");
        }
        assert_eq!(whole.len(), cut.len(), "events, whole and cut {split:?}");
        assert_eq!(counts, cut_counts, "counts, whole and cut {split:?}");
    }
}

/// Leaves out the body before a coding that is found corrupt: the library for `br` tells it only if
/// it has come in an earlier piece.
fn without_corrupt(lines: &mut Vec<Line>) {
    let is_corrupt = |line: &Line| line.what.contains("Unreadable(Corrupt)");
    let mut at = 1;
    while at < lines.len() {
        let (before, line) = (&lines[at - 1], &lines[at]);
        if is_corrupt(line) && before.body.0 > 0 && before.exchange == line.exchange {
            lines.remove(at - 1);
        } else {
            at += 1;
        }
    }
}

/// An event without what it borrows. Of body bytes that follow each other: how many, and a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    exchange: ExchangeId,
    time: u64,
    what: String,
    body: (u64, u32),
}

fn log(happenings: &[Happening], split: Split) -> (Vec<Line>, Counts) {
    let mut lines: Vec<Line> = Vec::new();
    let mut sums: HashMap<(ExchangeId, &'static str), (u64, crc32fast::Hasher)> = HashMap::new();
    let counts = play(happenings, split, &mut |event| {
        let exchange = event.exchange;
        let side = match event.kind {
            Kind::RequestBody(_) => "RequestBody",
            Kind::ResponseBody(_) => "ResponseBody",
            _ => "",
        };
        if let Some(bytes) = body(&event.kind) {
            let (len, sum) = sums.entry((exchange, side)).or_default();
            *len += bytes.len() as u64;
            sum.update(bytes);
            let body = (*len, sum.clone().finalize());
            match lines.last_mut() {
                Some(last) if last.exchange == exchange && last.what == side => {
                    (last.time, last.body) = (event.time.0, body);
                }
                _ => {
                    let what = side.to_owned();
                    lines.push(Line { exchange, time: event.time.0, what, body });
                }
            }
            return;
        }
        let (time, what) = (event.time.0, format!("{:?}", event.kind));
        lines.push(Line { exchange, time, what, body: (0, 0) });
    });
    (lines, counts)
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    request: bool,
    response: bool,
    request_end: bool,
    response_end: bool,
    over: bool,
}

/// The order that `http::exchange` promises.
#[derive(Debug, Default)]
struct Order {
    exchanges: HashMap<ExchangeId, Progress>,
    latest: Timestamp,
}

impl Order {
    fn follow(&mut self, event: &ExchangeEvent<'_>) {
        assert!(event.time <= self.latest || event.time.0 > 0);
        self.latest = self.latest.max(event.time);
        let progress = self.exchanges.entry(event.exchange).or_default();
        assert!(!progress.over, "behind its end: {event:?}");
        match event.kind {
            Kind::Request { .. } => {
                assert!(!progress.request, "a second request: {event:?}");
                progress.request = true;
            }
            Kind::Response { head, .. } => {
                assert!(!progress.response, "a second response: {event:?}");
                progress.response = true;
                if head.status.as_u16() == 101 {
                    // What was asked for may not have been readable; both sides go on all the same.
                    progress.request = true;
                    (progress.request_end, progress.response_end) = (false, false);
                }
            }
            Kind::RequestBody(_) | Kind::RequestMessageEnd(_) | Kind::RequestTrailers(_) => {
                assert!(progress.request && !progress.request_end, "not within it: {event:?}");
            }
            Kind::ResponseBody(_) | Kind::ResponseMessageEnd(_) | Kind::ResponseTrailers(_) => {
                assert!(progress.response && !progress.response_end, "not within it: {event:?}");
            }
            Kind::RequestEnd => progress.request_end = true,
            Kind::ResponseEnd => progress.response_end = true,
            Kind::Moved(to) => {
                progress.over = true;
                let moved = Progress { over: false, ..*progress };
                assert!(self.exchanges.insert(to, moved).is_none(), "moved to another: {event:?}");
            }
            Kind::End(_) => progress.over = true,
            _ => {}
        }
    }

    fn finish(&self) {
        let open = self.exchanges.iter().find(|(_, progress)| !progress.over);
        assert!(open.is_none(), "without an end: {open:?}");
    }
}
