//! Target `records`: what the kernel side may write into the ring, or something like it.
//! Takes a script, each step one record; gives the events to [`llmtap::http::Exchanges`] as well.

use std::collections::HashMap;

use llmtap::{
    capture::{Connections, Direction, Event, Positions, Record, Timestamp},
    http::Exchanges,
};

use crate::{
    Input,
    meter::{self, Work},
    script::{self, Step},
};

/// A step of this kind is a record's bytes; of others its low bits are the record's kind, and the
/// first bytes fill the header.
const RAW: u8 = 0xff;

/// Process, connection, flags, and two bytes of the position.
const HEAD: usize = 5;

/// Bytes of the heap for each record: a connection here and one in `http`.
const HEAP: usize = 1 << 20;
const RECORD: usize = 4096;

pub fn run(data: &[u8]) {
    let records: Vec<Vec<u8>> = script::read(data).iter().enumerate().map(record).collect();
    let work = |_: &()| Work {
        bytes: data.len(),
        pieces: 3 * records.len(),
        heap: HEAP + RECORD * records.len() + 32 * data.len(),
    };
    meter::within(work, || play(&records));
}

/// As `tracer_ebpf::Header` lays it out.
fn record((number, step): (usize, &Step)) -> Vec<u8> {
    let Step { kind, bytes } = step;
    let Some((head, payload)) = bytes.split_first_chunk::<HEAD>().filter(|_| *kind != RAW) else {
        return bytes.clone();
    };
    let [process, connection, flags, low, high] = *head;
    let mut record = Vec::new();
    for word in [u32::from(kind % 12), u32::from(flags), u32::from(process), 1] {
        record.extend(word.to_le_bytes());
    }
    let offset = u64::from(u16::from_le_bytes([low, high]));
    let [process, connection] = [process, connection].map(u64::from);
    for number in [process, connection, number as u64, offset, u64::from(low)] {
        record.extend(number.to_le_bytes());
    }
    record.extend((payload.len() as u32).to_le_bytes());
    record.extend([0; 4]);
    record.extend(payload);
    record
}

fn play(records: &[Vec<u8>]) {
    let mut exchanges = Exchanges::new();
    let mut positions: HashMap<(u64, Direction), u64> = HashMap::new();
    let mut sink = |event: &Event<'_>| {
        if let Event::Opened(opened) = event {
            positions.retain(|(connection, _), _| *connection != opened.connection.0);
        }
        if let Event::Segment(segment) = event {
            let position = positions.entry((segment.connection.0, segment.direction)).or_default();
            // The kernel's positions may go back; none is left out in silence.
            assert!(segment.offset <= *position, "a hole that is not told: {event:?}");
            *position = segment.offset + segment.data.wire_len();
        }
        exchanges.on(event, &mut |_| {});
    };
    let mut connections = Connections::default();
    let mut known = |key: tracer_ebpf::ObjectKey| {
        let positions = Positions { received: key.process, sent: key.object };
        key.object.is_multiple_of(2).then_some(positions)
    };
    for record in records.iter().filter_map(|bytes| Record::read(bytes)) {
        connections.apply(&record, &mut known, &mut sink);
    }
    connections.stop(Timestamp(u64::MAX), &mut sink);
}

/// Kinds of records.
const DATA: u8 = 1;
const OPENED: u8 = 2;
const CLOSED: u8 = 3;
const PEER_ENDED: u8 = 4;
const SOCKET: u8 = 5;
const FORKED: u8 = 6;
const EXECUTED: u8 = 7;
const EXITED: u8 = 8;

fn step(kind: u8, connection: u8, offset: u8, payload: &[u8]) -> (u8, Vec<u8>) {
    (kind, [&[7, connection, offset & 1, offset, 0], payload].concat())
}

pub fn seeds() -> Vec<Input> {
    let text = |name: &str, steps: Vec<(u8, Vec<u8>)>| Input::new(name, script::write(steps));
    let mut socket = [0; 48];
    (socket[0], socket[16], socket[32]) = (2, 127, 127);
    vec![
        text(
            "connection",
            vec![
                step(OPENED, 1, 0, &[0; 24]),
                step(SOCKET, 1, 0, &socket),
                step(DATA, 1, 0, b"HTTP/1.1 200 OK\r\n\r\n"),
                step(DATA, 1, 40, b"behind a gap"),
                step(PEER_ENDED, 1, 0, &[6, 0, 0, 0, 0, 0, 0, 0]),
                step(CLOSED, 1, 0, &[99; 24]),
            ],
        ),
        text(
            "processes",
            vec![
                step(FORKED, 0, 0, &[8, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]),
                step(
                    OPENED,
                    2,
                    0,
                    &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
                ),
                step(DATA, 3, 8, b"without beginning"),
                step(EXECUTED, 0, 0, &[7, 0, 0, 0, 0, 0, 0, 0]),
                step(EXITED, 0, 0, b""),
                step(9, 0, 0, b""),
                step(10, 0, 0, b""),
            ],
        ),
        text("raw", vec![(RAW, record((1, &Step { kind: 1, bytes: vec![1; 20] })))]),
    ]
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let many = |name: &str, steps: &[(u8, Vec<u8>)]| {
        let each: usize = steps.iter().map(|(_, bytes)| 64 + bytes.len() - HEAD).sum();
        let count = steps.len() * SIZE / each;
        Input::new(name, script::write(steps.iter().cycle().take(count).cloned()))
    };
    vec![
        many("openings", &[step(OPENED, 1, 0, &[0; 24])]),
        many("open-and-close", &[step(OPENED, 1, 0, &[0; 24]), step(CLOSED, 1, 0, &[0; 24])]),
        many("holes", &[step(DATA, 1, 9, b"x"), step(DATA, 1, 0, b"x")]),
        many("ends", &[step(OPENED, 1, 0, &[0; 24]), step(EXITED, 0, 0, b"")]),
    ]
}
