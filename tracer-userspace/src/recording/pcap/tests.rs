use std::{
    io::{BufReader, Cursor},
    net::{IpAddr, SocketAddr},
};

use proptest::prelude::*;

use super::*;
use crate::capture::{CloseCause, Data, Direction, Origin, PeerEnd};

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:80";
const REQUEST: &[u8] = b"POST /v1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A TCP packet in IP (RFC 791, RFC 8200, RFC 9293); checksums are none of our business.
fn ip(from: &str, to: &str, flags: u8, sequence: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut tcp = Vec::new();
    tcp.extend(from.port().to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    // Six words: one option of padding, so that the length of the header matters.
    tcp.extend([6 << 4, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 1, 0]);
    tcp.extend(payload);
    let mut packet = Vec::new();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend((20 + tcp.len() as u16).to_be_bytes());
            packet.extend([0, 0, 0, 0, 64, 6, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend((tcp.len() as u16).to_be_bytes());
            packet.extend([6, 64]);
            packet.extend(from.octets());
            packet.extend(to.octets());
        }
        _ => panic!("one family"),
    }
    packet.extend(tcp);
    packet
}

/// A connection with one exchange, from SYN to the last FIN.
fn exchange(client: &str, server: &str, first: u32) -> Vec<Vec<u8>> {
    let (request, response) = (REQUEST.len() as u32, RESPONSE.len() as u32);
    let (c, s) = (first.wrapping_add(1), 501);
    vec![
        ip(client, server, SYN, first, 0, b""),
        ip(server, client, SYN | ACK, 500, c, b""),
        ip(client, server, ACK, c, s, b""),
        ip(client, server, ACK, c, s, REQUEST),
        ip(server, client, ACK, s, c.wrapping_add(request), RESPONSE),
        ip(server, client, FIN | ACK, s + response, c.wrapping_add(request), b""),
        ip(client, server, FIN | ACK, c.wrapping_add(request), s + response + 1, b""),
        ip(server, client, ACK, s + response + 1, c.wrapping_add(request + 1), b""),
    ]
}

/// A pcap file in microseconds, little-endian, a packet each millisecond.
fn pcap(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(262_144_u32.to_le_bytes());
    file.extend(link.to_le_bytes());
    for (n, frame) in frames.iter().enumerate() {
        let len = frame.len() as u32;
        for number in [1_700_000_000, n as u32 * 1000, len, len] {
            file.extend(number.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// The same as big-endian pcapng in nanoseconds, with an interface before that has no packets.
fn pcapng(link: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    let section = [&0x1a2b_3c4d_u32.to_be_bytes()[..], &[0, 1, 0, 0], &[0xff; 8]].concat();
    block(&mut file, true, 0x0a0d_0d0a, &section);
    // if_tsresol: 10^-9.
    let options = [0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0];
    for link in [147, link] {
        let interface = [&link.to_be_bytes()[..], &[0, 0, 0, 4, 0, 0], &options].concat();
        block(&mut file, true, 1, &interface);
    }
    for (n, frame) in frames.iter().enumerate() {
        let time = 1_700_000_000_000_000_000 + n as u64 * 1_000_000;
        let len = frame.len() as u32;
        let mut body = 1_u32.to_be_bytes().to_vec();
        body.extend(time.to_be_bytes());
        body.extend(len.to_be_bytes());
        body.extend(len.to_be_bytes());
        body.extend(frame);
        block(&mut file, true, 6, &body);
    }
    file
}

/// What is told, shortly, with the bytes of each direction joined where nothing is between.
fn read(file: Vec<u8>) -> (Vec<String>, Result<(), PcapError>, Counts) {
    let mut told = Vec::new();
    let mut packets = match Packets::open(BufReader::new(Cursor::new(file))) {
        Ok(packets) => packets,
        Err(error) => return (told, Err(error), Counts::default()),
    };
    let result = packets.play(&mut |event| {
        told.push(match event {
            Event::Opened(opened) => {
                let late = if opened.origin == Origin::JoinedLate { " late" } else { "" };
                format!("open {}{late}", opened.connection.0)
            }
            Event::Addresses { addresses, .. } => {
                format!("{} to {}", addresses.local, addresses.peer)
            }
            Event::Segment(segment) => {
                let sign = if segment.direction == Direction::Sent { '>' } else { '<' };
                match segment.data {
                    Data::Bytes(bytes) => format!("{sign} {}", String::from_utf8_lossy(bytes)),
                    Data::Gap(missing) => format!("{sign} gap {missing}"),
                }
            }
            Event::PeerEnded { how: PeerEnd::CloseNotify, .. } => "peer ended".into(),
            Event::PeerEnded { how: PeerEnd::SystemCall, .. } => "peer reset".into(),
            Event::Closed(closed) if closed.cause == CloseCause::Freed => "closed".into(),
            Event::Closed(closed) if closed.cause == CloseCause::TracerStopped => "open".into(),
            Event::Closed(closed) if closed.cause == CloseCause::Unseen => "end unseen".into(),
            other => format!("{other:?}"),
        });
        true
    });
    (told, result, packets.counts())
}

fn all(file: Vec<u8>) -> Vec<String> {
    let (told, result, _) = read(file);
    result.unwrap();
    told
}

fn expected(client: &str, server: &str) -> Vec<String> {
    vec![
        "open 1".into(),
        format!("{client} to {server}"),
        format!("> {}", String::from_utf8_lossy(REQUEST)),
        format!("< {}", String::from_utf8_lossy(RESPONSE)),
        "peer ended".into(),
        "closed".into(),
    ]
}

fn ethernet(tags: &[u8], ethertype: u16, packet: &[u8]) -> Vec<u8> {
    // Padded, as short frames are.
    [&[0; 12], tags, &ethertype.to_be_bytes(), packet, &[0; 8]].concat()
}

#[test]
fn every_link_type_gives_the_same() {
    for (client, server, ethertype, family) in
        [(CLIENT, SERVER, 0x0800_u16, 2_u32), ("[fd00::1]:40000", "[fd00::2]:80", 0x86dd, 10)]
    {
        let protocol = ethertype.to_be_bytes();
        let wrap = |link: u16, packet: &[u8]| match link {
            0 => [&family.to_le_bytes()[..], packet].concat(),
            1 => ethernet(&[], ethertype, packet),
            // The same with two VLAN tags, under a number of our own.
            2 => ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6], ethertype, packet),
            108 => [&family.to_be_bytes()[..], packet].concat(),
            113 => [&[0; 14], &protocol[..], packet].concat(),
            276 => [&protocol[..], &[0; 18], packet].concat(),
            _ => packet.to_vec(),
        };
        for link in [0, 1, 2, 12, 101, 108, 113, 276] {
            let frames: Vec<_> =
                exchange(client, server, 9).iter().map(|packet| wrap(link, packet)).collect();
            let link = if link == 2 { 1 } else { link };
            let expected = expected(client, server);
            assert_eq!(all(pcap(link.into(), &frames)), expected, "link type {link}");
            assert_eq!(all(pcapng(link, &frames)), expected, "link type {link}, pcapng");
        }
    }
}

#[test]
fn formats_give_the_same_times() {
    let frames = exchange(CLIENT, SERVER, 9);
    for file in [pcap(101, &frames), pcapng(101, &frames)] {
        assert_eq!(times(file), [1_700_000_000_003_000_000, 1_700_000_000_004_000_000]);
    }
}

#[test]
fn resets_are_told_from_ends() {
    let mut by_server = exchange(CLIENT, SERVER, 9);
    by_server.truncate(4);
    by_server.push(ip(SERVER, CLIENT, RST, 501, 0, b""));
    let told = all(pcap(101, &by_server));
    assert_eq!(told[3..], ["peer reset", "closed"]);
    let mut by_client = exchange(CLIENT, SERVER, 9);
    by_client.truncate(5);
    by_client.push(ip(CLIENT, SERVER, RST, 10 + REQUEST.len() as u32, 0, b""));
    let told = all(pcap(101, &by_client));
    assert_eq!(told[4..], ["closed"]);
    let mut cut = exchange(CLIENT, SERVER, 9);
    cut.truncate(5);
    assert_eq!(all(pcap(101, &cut))[4..], ["open"]);
}

#[test]
fn role_without_syn_is_by_who_asks() {
    let frames = exchange(CLIENT, SERVER, 9);
    let late = |first: usize| {
        let mut told = vec!["open 1 late".to_owned(), format!("{CLIENT} to {SERVER}")];
        told.extend(expected(CLIENT, SERVER).into_iter().skip(first));
        told
    };
    assert_eq!(all(pcap(101, &frames[3..])), late(2));
    // The first thing seen is the answer.
    assert_eq!(all(pcap(101, &frames[4..])), late(3));
    let (told, _, counts) = read(pcap(101, &[ip(CLIENT, SERVER, ACK, 1, 1, b"middle")]));
    assert!(told.is_empty());
    assert_eq!(counts.unfollowed_bytes, 6);
}

#[test]
fn same_ends_connect_again() {
    let mut frames = exchange(CLIENT, SERVER, 9);
    // The end of the first was not captured.
    frames.truncate(5);
    frames.extend(exchange(CLIENT, SERVER, 70_000));
    let told = all(pcap(101, &frames));
    assert_eq!(told[4..6], ["end unseen", "open 2"]);
    assert_eq!(told.last().unwrap(), "closed");
    assert_eq!(told.len(), 11);
    // A late packet of a connection that is over begins none.
    let mut frames = exchange(CLIENT, SERVER, 9);
    frames.push(frames[4].clone());
    assert_eq!(all(pcap(101, &frames)), expected(CLIENT, SERVER));
}

#[test]
fn cut_packets_leave_gaps() {
    let frames = exchange(CLIENT, SERVER, 9);
    let mut file = pcap(101, &frames[..3]);
    let (kept, whole) = (&frames[3][..frames[3].len() - 10], frames[3].len() as u32);
    for number in [1_700_000_000, 3000, kept.len() as u32, whole] {
        file.extend(number.to_le_bytes());
    }
    file.extend(kept);
    let told = all(file);
    assert_eq!(told[3], "> gap 10");
}

#[test]
fn fragments_and_strangers_are_counted() {
    let mut fragment = exchange(CLIENT, SERVER, 9)[3].clone();
    fragment[6] = 0x20;
    let mut datagram = fragment.clone();
    (datagram[6], datagram[9]) = (0, 17);
    let (told, _, counts) = read(pcap(101, &[fragment, datagram, vec![], vec![0xff; 60]]));
    assert!(told.is_empty());
    assert_eq!((counts.fragments, counts.packets), (1, 0));
    let (_, _, counts) = read(pcap(147, &exchange(CLIENT, SERVER, 9)));
    assert_eq!(counts.unknown_link, 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_repetition_gives_the_same_bytes(
        first in any::<u32>(),
        order in Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle(),
        piece in 1..30_usize,
    ) {
        let mut frames = exchange(CLIENT, SERVER, first);
        let ends = frames.split_off(5);
        let start = frames[..3].to_vec();
        let mut data = Vec::new();
        for (n, part) in REQUEST.chunks(piece).enumerate() {
            let sequence = first.wrapping_add(1 + (n * piece) as u32);
            data.push(ip(CLIENT, SERVER, ACK, sequence, 501, part));
        }
        for (n, part) in RESPONSE.chunks(piece).enumerate() {
            data.push(ip(SERVER, CLIENT, ACK, 501 + (n * piece) as u32, first.wrapping_add(1), part));
        }
        // Some of them twice.
        data.extend(data.clone().into_iter().take(order[0]));
        let mut numbered: Vec<_> = data.into_iter().enumerate().collect();
        numbered.sort_by_key(|(n, _)| order[n % order.len()]);
        let shuffled = numbered.into_iter().map(|(_, packet)| packet).collect();
        let told = all(pcap(101, &[start, shuffled, ends].concat()));
        let joined = |sign: char| -> String {
            told.iter().filter_map(|line| line.strip_prefix(sign)?.strip_prefix(' ')).collect()
        };
        prop_assert_eq!(joined('>'), String::from_utf8_lossy(REQUEST));
        prop_assert_eq!(joined('<'), String::from_utf8_lossy(RESPONSE));
        prop_assert_eq!(&told[told.len() - 2..], ["peer ended", "closed"]);
    }

    #[test]
    fn whatever_is_cut_off_the_rest_stands(cut in any::<prop::sample::Index>(), ng in any::<bool>()) {
        let frames = exchange(CLIENT, SERVER, 9);
        let mut file = if ng { pcapng(101, &frames) } else { pcap(101, &frames) };
        let whole = all(file.clone());
        file.truncate(cut.index(file.len()));
        let (mut told, _, _) = read(file);
        if told.last().is_some_and(|last| last == "open") {
            told.pop();
        }
        prop_assert!(whole.starts_with(&told));
    }

    #[test]
    fn damage_does_no_harm(
        at in any::<prop::sample::Index>(),
        damage in prop::collection::vec(any::<u8>(), 1..40),
        ng in any::<bool>(),
    ) {
        let frames = exchange(CLIENT, SERVER, 9);
        let mut file = if ng { pcapng(101, &frames) } else { pcap(101, &frames) };
        let at = at.index(file.len());
        let len = damage.len().min(file.len() - at);
        file[at..at + len].copy_from_slice(&damage[..len]);
        let (told, ..) = read(file);
        prop_assert!(told.len() <= 100);
    }
}

#[test]
fn truncated_file_is_told() {
    let file = pcap(101, &exchange(CLIENT, SERVER, 9));
    let (told, result, _) = read(file[..file.len() - 3].to_vec());
    assert!(matches!(result, Err(PcapError::Truncated)));
    assert_eq!(told, expected(CLIENT, SERVER));
}

#[test]
fn hostile_lengths_do_not_allocate() {
    let mut file = pcap(101, &[]);
    for number in [1_u32, 1, u32::MAX, u32::MAX] {
        file.extend(number.to_le_bytes());
    }
    file.extend([0; 100]);
    let (told, result, _) = read(file);
    assert!(told.is_empty() && result.is_err());
}

/// A number in the byte order of a file.
fn ordered(number: u32, big: bool) -> [u8; 4] {
    if big { number.to_be_bytes() } else { number.to_le_bytes() }
}

#[test]
fn byte_orders_and_precisions_of_pcap_give_the_same() {
    let frames = exchange(CLIENT, SERVER, 9);
    for (big, nano) in [(false, false), (false, true), (true, false), (true, true)] {
        let magic = if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut file = ordered(magic, big).to_vec();
        file.extend(if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
        for number in [0, 0, 65_535, 101] {
            file.extend(ordered(number, big));
        }
        for (n, frame) in frames.iter().enumerate() {
            let unit = if nano { 1_000_000 } else { 1000 };
            let len = frame.len() as u32;
            for number in [1_700_000_000, n as u32 * unit, len, len] {
                file.extend(ordered(number, big));
            }
            file.extend(frame);
        }
        assert_eq!(times(file.clone()), [1_700_000_000_003_000_000, 1_700_000_000_004_000_000]);
        assert_eq!(all(file), expected(CLIENT, SERVER), "big {big}, nano {nano}");
    }
}

/// The times of what passed.
fn times(file: Vec<u8>) -> Vec<u64> {
    let mut packets = Packets::open(BufReader::new(Cursor::new(file))).unwrap();
    let mut times = Vec::new();
    packets
        .play(&mut |event| {
            if let Event::Segment(segment) = event {
                times.push(segment.time.0);
            }
            true
        })
        .unwrap();
    times
}

/// A block of pcapng.
fn block(file: &mut Vec<u8>, big: bool, kind: u32, body: &[u8]) {
    let padded = body.len().next_multiple_of(4);
    let len = (12 + padded) as u32;
    file.extend(ordered(kind, big));
    file.extend(ordered(len, big));
    file.extend(body);
    file.resize(file.len() + padded - body.len(), 0);
    file.extend(ordered(len, big));
}

#[test]
fn block_that_is_too_short_is_broken() {
    for big in [false, true] {
        let number = |number| ordered(number, big);
        let mut file = Vec::new();
        block(&mut file, big, 0x0a0d_0d0a, &[&number(0x1a2b_3c4d)[..], &[0; 12]].concat());
        // Process information, in eight bytes.
        file.extend([number(0x8000_0001), number(8), number(0), number(0)].concat());
        let mut packets = Packets::open(Cursor::new(file)).unwrap();
        let result = packets.play(&mut |_| true);
        assert!(matches!(result, Err(PcapError::BrokenBlock)), "{result:?}");
    }
}

#[test]
fn sections_and_interfaces_have_their_own_clocks() {
    let frames = exchange(CLIENT, SERVER, 9);
    let mut file = Vec::new();
    // Two sections in different byte orders; in each two interfaces: microseconds, as where nothing
    // is said, and units of 2^-20 s that begin 1,000 s later. Packets alternate between them.
    for (section, part) in frames.chunks(4).enumerate() {
        let big = section == 0;
        let number = |number| ordered(number, big);
        let short = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let header = [&number(0x1a2b_3c4d)[..], &short(1), &short(0), &[0xff; 8]].concat();
        block(&mut file, big, 0x0a0d_0d0a, &header);
        let interface = [&short(101)[..], &short(0), &number(65_535)].concat();
        block(&mut file, big, 1, &interface);
        let offset = if big { 1000_u64.to_be_bytes() } else { 1000_u64.to_le_bytes() };
        let binary = [&short(9)[..], &short(1), &[0x80 | 20, 0, 0, 0]].concat();
        let later = [&short(14)[..], &short(8), &offset, &[0; 4]].concat();
        block(&mut file, big, 1, &[&interface[..], &binary, &later].concat());
        for (n, frame) in part.iter().enumerate() {
            let seconds = 1_000_000 + (4 * section + n) as u64;
            let interface = n as u32 % 2;
            let units = if interface == 0 { seconds * 1_000_000 } else { (seconds - 1000) << 20 };
            let len = frame.len() as u32;
            let mut body = number(interface).to_vec();
            for part in [(units >> 32) as u32, units as u32, len, len] {
                body.extend(number(part));
            }
            body.extend(frame);
            block(&mut file, big, 6, &body);
        }
    }
    assert_eq!(times(file.clone()), [1_000_003_000_000_000, 1_000_004_000_000_000]);
    assert_eq!(all(file), expected(CLIENT, SERVER));
}

#[test]
fn ipv6_extension_headers_are_passed_over() {
    let (client, server) = ("[fd00::1]:40000", "[fd00::2]:80");
    // Hop-by-hop options, destination options (RFC 8200 §4), both of padding.
    let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let extended = |packet: &Vec<u8>, first: u8, headers: &[u8]| {
        let (ip, tcp) = packet.split_at(40);
        let mut packet = [ip, headers, tcp].concat();
        packet[6] = first;
        let len = (packet.len() - 40) as u16;
        packet[4..6].copy_from_slice(&len.to_be_bytes());
        packet
    };
    let frames = exchange(client, server, 9);
    let headers = [options(60), options(6)].concat();
    let with_options: Vec<_> = frames.iter().map(|packet| extended(packet, 0, &headers)).collect();
    assert_eq!(all(pcap(101, &with_options)), expected(client, server));
    // A fragment header (§4.5): of a packet that is whole all the same, and of the first of several.
    let mut fragments = Vec::new();
    for more in [0, 1] {
        let header = [6, 0, 0, more, 0, 0, 0, 1];
        fragments = frames.iter().map(|packet| extended(packet, 44, &header)).collect();
        if more == 0 {
            assert_eq!(all(pcap(101, &fragments)), expected(client, server));
        }
    }
    let (told, _, counts) = read(pcap(101, &fragments));
    assert!(told.is_empty());
    assert_eq!(counts.fragments, 8);
}
