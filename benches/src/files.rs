//! What comes from files and from the ring: packet captures, recordings, records.

use std::io::Cursor;

use llmtap::{
    capture::{
        ConnectionId, Connections, Data, Direction, Event, Origin, Record, Segment, Timestamp,
    },
    recording::{Finish, Reader, Start, Writer, pcap::Packets},
};
use llmtap_benches::traffic;

/// Makes input of that size, and what reads it.
type Make = fn(usize) -> Box<dyn Fn()>;

pub(crate) const CASES: &[(&str, Make)] = &[
    ("packet capture of one-byte segments", |size| packets(size, |n| n)),
    ("packet capture of one-byte segments, the last first", |size| {
        packets(size, |n| u32::MAX / 2 - n)
    }),
    ("packet capture of one-byte segments with a hole behind each", |size| {
        packets(size, |n| 2 * n)
    }),
    ("packet capture of one segment again and again", |size| packets(size, |_| 0)),
    ("recording of segments of one byte", |size| {
        let file = recording(size);
        Box::new(move || {
            let mut reader = Reader::open(Cursor::new(&file)).expect("a recording");
            while reader.next_item().expect("whole").is_some() {}
        })
    }),
    ("records of the ring with one byte each", |size| records(size, 1)),
    ("records of the ring of no kind", |size| records(size, 99)),
];

/// A packet capture of raw IPv4 with TCP segments of one byte, `at` gives the place of each.
fn packets(size: usize, at: fn(u32) -> u32) -> Box<dyn Fn()> {
    const PACKET: usize = 41;
    let mut file = Vec::new();
    // Magic, version 2.4, time zone, accuracy, longest packet, link type 101 (raw IP).
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 101] {
        file.extend(word.to_le_bytes());
    }
    for n in 0..(size / (16 + PACKET)) as u32 {
        for word in [n / 1_000_000, n % 1_000_000, PACKET as u32, PACKET as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0x45, 0, 0, PACKET as u8, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        file.extend([0x9c, 0x40, 0, 80]);
        let is_first = n == 0;
        let sequence = if is_first { 0 } else { 1 + at(n) };
        file.extend(sequence.to_be_bytes());
        let flags = if is_first { 0x02 } else { 0x10 };
        file.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0, b'x']);
    }
    Box::new(move || {
        let mut packets = Packets::open(Cursor::new(file.clone())).expect("a packet capture");
        packets.play(&mut |_| true).expect("whole");
    })
}

/// Of about that many bytes before they are compressed.
fn recording(size: usize) -> Vec<u8> {
    let mut writer = Writer::start(Vec::new(), &Start::default()).expect("writes to memory");
    let connection = ConnectionId(1);
    writer.event(&traffic::opened(connection)).expect("writes to memory");
    for n in 0..size as u64 / 16 {
        let (direction, time) = (Direction::Received, Timestamp(n + 2));
        let data = Data::Bytes(b"x");
        let segment = Segment { connection, direction, offset: n, time, data };
        writer.event(&Event::Segment(segment)).expect("writes to memory");
    }
    writer.event(&traffic::closed(connection)).expect("writes to memory");
    writer.finish(&Finish::default()).expect("writes to memory").0
}

fn records(size: usize, kind: u32) -> Box<dyn Fn()> {
    let bytes: Vec<Vec<u8>> = (0..size as u64 / 65)
        .map(|n| {
            let mut record: Vec<u8> =
                [kind, 0, 1, 1].iter().flat_map(|w| w.to_ne_bytes()).collect();
            // Process, connection, time, offset: a connection each.
            record.extend([1, n + 1, n, 0].iter().flat_map(|word: &u64| word.to_ne_bytes()));
            record.extend([1_u32, 0].iter().flat_map(|word| word.to_ne_bytes()));
            record.push(b'x');
            record
        })
        .collect();
    Box::new(move || {
        let mut connections = Connections::default();
        for record in bytes.iter().filter_map(|bytes| Record::read(bytes)) {
            connections.apply(&record, &mut |_| None, &mut |event| {
                if let Event::Opened(opened) = event {
                    assert_eq!(opened.origin, Origin::JoinedLate);
                }
            });
        }
    })
}
