//! The harness for tests of whole connections, and the tests themselves by topic.
//! A script of what passed gives owned events, runs of body bytes joined.
//! [`check`] runs a script at every way of splitting its bytes.

mod bodies;
mod ends;
mod fork;
mod http2;
mod loss;
mod messages;
mod properties;
mod real_h2;
mod redacted_h2;
mod streams;

use super::{End, Ended, ExchangeEvent, Exchanges, Kind, MessageKind, Role, Unreadable};
use crate::capture::{
    CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin, PeerEnd, ProcessId,
    Security, Segment, Timestamp,
};

/// One thing that happens to a connection. Time is the step's number, from 1.
#[derive(Clone, Debug)]
enum Step {
    Open(u64, Origin),
    Sent(u64, Vec<u8>),
    Received(u64, Vec<u8>),
    SentGap(u64, u64),
    ReceivedGap(u64, u64),
    PeerEnded(u64, PeerEnd),
    Closed(u64, CloseCause),
}

use Step::{Open, PeerEnded, ReceivedGap, SentGap};

fn sent(bytes: impl AsRef<[u8]>) -> Step {
    Step::Sent(1, bytes.as_ref().to_vec())
}

fn received(bytes: impl AsRef<[u8]>) -> Step {
    Step::Received(1, bytes.as_ref().to_vec())
}

fn closed(cause: CloseCause) -> Step {
    Step::Closed(1, cause)
}

fn created() -> Step {
    Open(1, Origin::Created)
}

/// An event with what it borrowed. Times are in `.2` of the pair below.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// Method, target, number of header fields.
    Request(Role, String, usize),
    RequestBody(String),
    RequestGap,
    RequestUnreadable(Unreadable),
    RequestEnd,
    Response(Role, u16, usize),
    ResponseBody(String),
    ResponseGap,
    ResponseUnreadable(Unreadable),
    ResponseEnd,
    RequestMessageEnd(MessageKind),
    ResponseMessageEnd(MessageKind),
    RequestClose(Option<u16>),
    ResponseClose(Option<u16>),
    RequestFieldsUnknown(u32),
    ResponseFieldsUnknown(u32),
    RequestTrailers(String),
    ResponseTrailers(String),
    Moved(u64, u64),
    End(End),
}

/// Connection, index of the exchange, what was told.
type Line = (u64, u64, Told);

/// A character a byte, so that pieces join to what the whole gives.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn owned(kind: Kind<'_>) -> Told {
    match kind {
        Kind::Request { head, role, .. } => {
            Told::Request(role, format!("{} {}", head.method, head.target), head.headers.len())
        }
        Kind::RequestBody(bytes) => Told::RequestBody(text(bytes)),
        Kind::RequestGap => Told::RequestGap,
        Kind::RequestUnreadable(reason) => Told::RequestUnreadable(reason),
        Kind::RequestEnd => Told::RequestEnd,
        Kind::Response { head, role, .. } => {
            Told::Response(role, head.status.as_u16(), head.headers.len())
        }
        Kind::ResponseBody(bytes) => Told::ResponseBody(text(bytes)),
        Kind::ResponseGap => Told::ResponseGap,
        Kind::ResponseUnreadable(reason) => Told::ResponseUnreadable(reason),
        Kind::ResponseEnd => Told::ResponseEnd,
        Kind::RequestMessageEnd(kind) => Told::RequestMessageEnd(kind),
        Kind::ResponseMessageEnd(kind) => Told::ResponseMessageEnd(kind),
        Kind::RequestClose(code) => Told::RequestClose(code),
        Kind::ResponseClose(code) => Told::ResponseClose(code),
        Kind::RequestFieldsUnknown(count) => Told::RequestFieldsUnknown(count),
        Kind::ResponseFieldsUnknown(count) => Told::ResponseFieldsUnknown(count),
        Kind::RequestTrailers(fields) => Told::RequestTrailers(format!("{fields:?}")),
        Kind::ResponseTrailers(fields) => Told::ResponseTrailers(format!("{fields:?}")),
        Kind::Moved(to) => Told::Moved(to.connection.0, to.index),
        Kind::End(end) => Told::End(end),
    }
}

/// How one run splits a step's bytes: positions, ascending.
type Cuts<'a> = &'a dyn Fn(usize, usize) -> Vec<usize>;

/// Runs a script; `cuts` is given a step's number and its length.
fn run_with(exchanges: &mut Exchanges, steps: &[Step], cuts: Cuts<'_>) -> Vec<(Line, Timestamp)> {
    let mut lines: Vec<(Line, Timestamp)> = Vec::new();
    let mut sink = |event: ExchangeEvent<'_>| {
        let ExchangeEvent { exchange, time, kind } = event;
        let told = owned(kind);
        if let Some((last, last_time)) = lines.last_mut()
            && (last.0, last.1) == (exchange.connection.0, exchange.index)
        {
            match (&mut last.2, &told) {
                (Told::RequestBody(text), Told::RequestBody(more))
                | (Told::ResponseBody(text), Told::ResponseBody(more)) => {
                    text.push_str(more);
                    *last_time = time;
                    return;
                }
                _ => {}
            }
        }
        lines.push(((exchange.connection.0, exchange.index, told), time));
    };
    for (number, step) in steps.iter().enumerate() {
        let time = Timestamp(number as u64 + 1);
        let mut bytes = |id: u64, direction, bytes: &[u8]| {
            let mut from = 0;
            for to in cuts(number, bytes.len()).into_iter().chain([bytes.len()]) {
                let data = Data::Bytes(&bytes[from..to]);
                from = to;
                let connection = ConnectionId(id);
                let segment =
                    Segment { connection, direction, offset: 0, time, data, caller: None };
                exchanges.on(&Event::Segment(segment), &mut sink);
            }
        };
        let gap = |id: u64, direction, missing| {
            let (connection, data) = (ConnectionId(id), Data::Gap(missing));
            Event::Segment(Segment { connection, direction, offset: 0, time, data, caller: None })
        };
        let event = match step {
            Step::Sent(id, part) => {
                bytes(*id, Direction::Sent, part);
                continue;
            }
            Step::Received(id, part) => {
                bytes(*id, Direction::Received, part);
                continue;
            }
            SentGap(id, missing) => gap(*id, Direction::Sent, *missing),
            ReceivedGap(id, missing) => gap(*id, Direction::Received, *missing),
            Open(id, origin) => Event::Opened(Opened {
                connection: ConnectionId(*id),
                process: ProcessId { pid: 1, incarnation: 1 },
                time,
                origin: *origin,
                security: Security::Tls,
            }),
            PeerEnded(id, how) => {
                Event::PeerEnded { connection: ConnectionId(*id), time, how: *how }
            }
            Step::Closed(id, cause) => Event::Closed(Closed {
                connection: ConnectionId(*id),
                time,
                cause: *cause,
                last_empty_read: None,
            }),
        };
        exchanges.on(&event, &mut sink);
    }
    lines
}

/// Each step's bytes as one segment.
fn run(steps: &[Step]) -> Vec<Line> {
    let mut exchanges = Exchanges::new();
    run_with(&mut exchanges, steps, &|_, _| Vec::new()).into_iter().map(|(line, _)| line).collect()
}

/// The same events come out whole, byte by byte, and for every single split of every step.
#[track_caller]
fn check(steps: &[Step], expected: &[Told]) {
    let expected: Vec<Line> = expected.iter().map(|told| (1, 0, told.clone())).collect();
    check_lines(steps, &expected);
}

#[track_caller]
fn check_lines(steps: &[Step], expected: &[Line]) {
    let lines = |cuts: Cuts<'_>| {
        let lines = run_with(&mut Exchanges::new(), steps, cuts);
        lines.into_iter().map(|(line, _)| line).collect::<Vec<_>>()
    };
    assert_eq!(lines(&|_, _| Vec::new()), expected, "whole");
    assert_eq!(lines(&|_, len| (1..len).collect()), expected, "byte by byte");
    for (split, step) in steps.iter().enumerate() {
        let (Step::Sent(_, bytes) | Step::Received(_, bytes)) = step else { continue };
        for at in 1..bytes.len() {
            let cuts = |number, _| if number == split { vec![at] } else { Vec::new() };
            assert_eq!(lines(&cuts), expected, "step {split} split at {at}");
        }
    }
}

fn request(line: &str, fields: usize) -> Told {
    Told::Request(Role::Client, line.to_owned(), fields)
}

fn response(status: u16, fields: usize) -> Told {
    Told::Response(Role::Client, status, fields)
}

fn request_body(text: &str) -> Told {
    Told::RequestBody(text.to_owned())
}

fn response_body(text: &str) -> Told {
    Told::ResponseBody(text.to_owned())
}

fn end(how: Ended) -> Told {
    Told::End(End { how, missing_request: 0, missing_response: 0, joined_late: false })
}

fn complete() -> Told {
    end(Ended::Complete)
}
