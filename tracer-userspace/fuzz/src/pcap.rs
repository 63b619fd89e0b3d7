//! Target `pcap`: packet captures, as files or as packets that are put into one here.
//! Takes a byte that says which; plays the capture and checks each connection's order.

use std::{collections::HashMap, io::Cursor};

use llmtap::{
    capture::{Event, Timestamp},
    recording::pcap::Packets,
};

use crate::{
    Input,
    meter::{self, Work},
    script::{self, Step},
};

/// The first byte: a file as it is, or a script of packets. Above: the link type of those.
const FILE: u8 = 0;
const LINKS: [u32; 6] = [101, 1, 113, 276, 0, 108];

/// A packet's step, of which the first bytes are: ends (the low bits say who sends to whom, the
/// highest picks IPv6), flags, sequence number, acknowledgment, and how much more the wire had.
const HEAD: usize = 7;

/// Bytes of the heap: the buffer that holds the largest block (32 MiB, grown twofold), and what
/// each packet that is held back costs.
const HEAP: usize = 72 << 20;
const PACKET: usize = 512;

pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let file = match *first {
        FILE => rest.to_vec(),
        first => file(usize::from(first), &script::read(rest)),
    };
    let len = file.len();
    let work = |events: &usize| Work {
        bytes: len,
        pieces: *events + len / 64,
        heap: HEAP + 8 * len + PACKET * len / 24,
    };
    meter::within(work, || play(file));
}

/// One direction of a connection.
type Positions = HashMap<(u64, bool), u64>;

fn play(file: Vec<u8>) -> usize {
    let Ok(mut packets) = Packets::open(Cursor::new(file)) else { return 0 };
    let mut open: HashMap<u64, Timestamp> = HashMap::new();
    let mut positions = Positions::new();
    let mut events = 0;
    // An error is the file's; what was told before it stands.
    let _ = packets.play(&mut |event| {
        events += 1;
        follow(event, &mut open, &mut positions);
        true
    });
    assert!(open.is_empty(), "not closed: {open:?}");
    events
}

fn follow(event: &Event<'_>, open: &mut HashMap<u64, Timestamp>, positions: &mut Positions) {
    match event {
        Event::Opened(opened) => {
            let before = open.insert(opened.connection.0, opened.time);
            assert!(before.is_none(), "opened twice: {event:?}");
        }
        Event::Segment(segment) => {
            let id = segment.connection.0;
            assert!(open.contains_key(&id), "not open: {event:?}");
            let sent = segment.direction == llmtap::capture::Direction::Sent;
            let position = positions.entry((id, sent)).or_default();
            assert_eq!(segment.offset, *position, "overlap or hole: {event:?}");
            assert!(segment.data.wire_len() > 0, "nothing: {event:?}");
            *position += segment.data.wire_len();
        }
        Event::Addresses { connection, .. } | Event::PeerEnded { connection, .. } => {
            assert!(open.contains_key(&connection.0), "not open: {event:?}");
        }
        Event::Closed(closed) => {
            assert!(open.remove(&closed.connection.0).is_some(), "not open: {event:?}");
        }
        Event::Process(_) => panic!("a capture knows no processes: {event:?}"),
    }
}

/// A pcap file of the steps' packets, one a millisecond.
fn file(first: usize, steps: &[Step]) -> Vec<u8> {
    let link = LINKS[first % LINKS.len()];
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(262_144_u32.to_le_bytes());
    file.extend(link.to_le_bytes());
    for (number, Step { kind, bytes }) in steps.iter().enumerate() {
        let packet = match bytes.split_first_chunk::<HEAD>() {
            Some((head, payload)) if *kind == 1 => framed(link, head, payload),
            _ => bytes.clone(),
        };
        let (len, number) = (packet.len() as u32, number as u32);
        let more = if *kind == 1 { u32::from(bytes.get(6).copied().unwrap_or(0)) } else { 0 };
        // Steps of time that grow, so that waits come to their end.
        for word in [1_700_000_000 + number / 8, number % 8 * 100_000, len, len + more] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

fn framed(link: u32, head: &[u8; HEAD], payload: &[u8]) -> Vec<u8> {
    let [ends, flags, sequence_low, sequence_high, ack_low, ack_high, more] = *head;
    let is_v6 = ends & 0x80 != 0;
    let mut frame = match link {
        1 => [[0; 12].as_slice(), if is_v6 { &[0x86, 0xdd] } else { &[0x08, 0] }].concat(),
        113 => [[0; 14].as_slice(), if is_v6 { &[0x86, 0xdd] } else { &[0x08, 0] }].concat(),
        276 => [if is_v6 { &[0x86, 0xdd] } else { &[0x08, 0] }, [0; 18].as_slice()].concat(),
        0 | 108 => vec![0, 0, 0, if is_v6 { 10 } else { 2 }],
        _ => Vec::new(),
    };
    // Four hosts; a packet may even be from one to itself.
    let (from, to) = (ends & 3, ends >> 2 & 3);
    let port = |host: u8| if host == 0 { 80_u16 } else { 40_000 + u16::from(host) };
    let mut tcp = Vec::new();
    tcp.extend(port(from).to_be_bytes());
    tcp.extend(port(to).to_be_bytes());
    // Numbers begin so that they pass through zero.
    let number = |low: u8, high: u8| {
        0xffff_ff00_u32.wrapping_add(u32::from(u16::from_le_bytes([low, high])))
    };
    tcp.extend(number(sequence_low, sequence_high).to_be_bytes());
    tcp.extend(number(ack_low, ack_high).to_be_bytes());
    tcp.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(payload);
    let len = tcp.len() + usize::from(more);
    if is_v6 {
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((len as u16).to_be_bytes());
        frame.extend([6, 64]);
        for host in [from, to] {
            frame.extend([0; 15]);
            frame.push(host + 1);
        }
    } else {
        frame.extend([0x45, 0]);
        frame.extend((len as u16 + 20).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, from + 1, 10, 0, 0, to + 1]);
    }
    frame.extend(tcp);
    frame
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// Host 1 to host 0, which serves, and back.
const ASKS: u8 = 1;
const ANSWERS: u8 = 4;

fn packet(ends: u8, flags: u8, sequence: u16, ack: u16, payload: &[u8]) -> (u8, Vec<u8>) {
    let (sequence, ack) = (sequence.to_le_bytes(), ack.to_le_bytes());
    (1, [&[ends, flags, sequence[0], sequence[1], ack[0], ack[1], 0], payload].concat())
}

fn talk(family: u8) -> Vec<(u8, Vec<u8>)> {
    let request = b"POST /v1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (asked, answered) = (250 + request.len() as u16, 10 + response.len() as u16);
    let (asks, answers) = (ASKS | family, ANSWERS | family);
    vec![
        packet(asks, SYN, 249, 0, b""),
        packet(answers, SYN | ACK, 9, 250, b""),
        packet(asks, ACK, 260, 10, &request[10..]),
        packet(asks, ACK, 250, 10, &request[..10]),
        packet(answers, ACK, 10, asked, response),
        packet(answers, FIN | ACK, answered, asked, b""),
        packet(asks, FIN | ACK, asked, answered + 1, b""),
    ]
}

/// A pcapng file: section, interface, packets (draft-ietf-opsawg-pcapng).
fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = (12 + body.len().next_multiple_of(4)) as u32;
        let mut block = [kind.to_le_bytes(), len.to_le_bytes()].concat();
        block.extend(body);
        block.resize(len as usize - 4, 0);
        block.extend(len.to_le_bytes());
        block
    };
    let mut file =
        block(0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    file.extend(block(1, &[101, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]));
    for packet in packets {
        let len = (packet.len() as u32).to_le_bytes();
        let head = [&[0; 4][..], &[1, 0, 0, 0], &[0; 4], &len, &len].concat();
        file.extend(block(6, &[head, packet.clone()].concat()));
    }
    file
}

pub fn seeds() -> Vec<Input> {
    let with =
        |first: u8, steps: Vec<(u8, Vec<u8>)>| [&[first], &script::write(steps)[..]].concat();
    let mut seeds: Vec<_> = (1..=LINKS.len() as u8)
        .map(|first| Input::new(format!("talk-{first}"), with(first, talk(0x80 * (first & 1)))))
        .collect();
    let mut reset = talk(0);
    reset.truncate(4);
    reset.push(packet(ANSWERS, RST, 10, 0, b""));
    seeds.push(Input::new("reset", with(6, reset)));
    let holes = vec![
        packet(ASKS, ACK, 250, 10, b"GET / HTTP/1.1\r\n\r\n"),
        packet(ANSWERS, ACK, 30, 268, b"later"),
        packet(ANSWERS, ACK, 20, 268, b"HTTP/1.1 2"),
        packet(ASKS, ACK, 268, 400, b""),
        packet(ANSWERS, ACK, 100, 268, b"later yet"),
    ];
    seeds.push(Input::new("holes", with(6, holes)));
    let head = [ASKS, ACK, 0, 0, 0, 0, 0];
    let frames = [framed(101, &head, b"GET / HTTP/1.1\r\n\r\n")];
    seeds.push(Input::new("pcapng", [&[FILE], &pcapng(&frames)[..]].concat()));
    let legacy = file(6, &script::read(&script::write(talk(0))));
    seeds.push(Input::new("pcap", [&[FILE], &legacy[..]].concat()));
    seeds
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let raw = |name: &str, packets: Vec<(u8, Vec<u8>)>| {
        // A pcap file puts 16 bytes before each packet, IP and TCP 40.
        Input::new(name, [&[6], &script::write(packets)[..]].concat())
    };
    let count = SIZE as u16 as usize + SIZE / 57;
    let tiny = |at: &dyn Fn(usize) -> u16| -> Vec<_> {
        let start = packet(ASKS, ACK, 250, 10, b"GET / HTTP/1.1\r\n\r\n");
        let packets = (0..count).map(|number| packet(ANSWERS, ACK, at(number), 268, b"x"));
        [start].into_iter().chain(packets).collect()
    };
    let section = pcapng(&[]);
    let interfaces = [&section[..28], &section[28..].repeat(4000)].concat();
    vec![
        raw("in-order", tiny(&|number| 10 + number as u16)),
        raw("backwards", tiny(&|number| 60_000 - number as u16)),
        raw("every-other", tiny(&|number| 12 + 2 * number as u16)),
        raw("the-same", tiny(&|_| 20)),
        raw(
            "openings",
            (0..count)
                .map(|number| packet(ASKS + (number % 3) as u8, SYN, number as u16, 0, b""))
                .collect(),
        ),
        Input::new("interfaces", [&[FILE], &interfaces[..]].concat()),
        Input::new("sections", [&[FILE], &section.repeat(SIZE / section.len())[..]].concat()),
        Input::new("large-block", [&[FILE], &section[..], &[6, 0, 0, 0, 0, 0, 0xff, 1]].concat()),
    ]
}
