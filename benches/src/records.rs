//! The ring's records, as the kernel side writes them.
//! Takes traffic; gives the bytes of each record, from the connection's opening to its close.

use llmtap::capture::Direction;
use tracer_ebpf::{Closed, FLAG_SENT, HEADER_LEN, Header, Kind, Opened};

use crate::traffic::Part;

/// The records of one connection, from its opening to its close.
pub fn records(connection: u64, parts: &[Part]) -> Vec<Vec<u8>> {
    let header = Header { tgid: 1, process: 1, connection, time: 1, ..Header::default() };
    let opened = Opened { object: 16 * connection, ..Opened::default() };
    let mut all = vec![record(
        Header { kind: Kind::Opened as u32, ..header },
        &plain(&[opened.object, opened.parent, u64::from(opened.origin)]),
    )];
    let mut passed = Closed::default();
    let mut time = 1;
    for part in parts {
        let is_sent = part.direction == Direction::Sent;
        for bytes in part.segments() {
            time += 1;
            let position = if is_sent { &mut passed.sent } else { &mut passed.received };
            let header = Header {
                kind: Kind::Data as u32,
                flags: if is_sent { FLAG_SENT } else { 0 },
                offset: *position,
                time,
                ..header
            };
            *position += bytes.len() as u64;
            all.push(record(header, bytes));
        }
    }
    let closed = plain(&[passed.received, passed.sent, passed.last_empty_read]);
    all.push(record(Header { kind: Kind::Closed as u32, time: time + 1, ..header }, &closed));
    all
}

/// Gives a record to another connection, which has an object of its own: a second connection of one
/// object would be the first one's end.
pub fn readdress(record: &mut [u8], connection: u64) {
    // Behind four numbers of 4 bytes and the process.
    record[24..32].copy_from_slice(&connection.to_ne_bytes());
    if record[..4] == (Kind::Opened as u32).to_ne_bytes() {
        record[HEADER_LEN..HEADER_LEN + 8].copy_from_slice(&(16 * connection).to_ne_bytes());
    }
}

fn plain(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// As it stands in the ring: the header's fields in their order, then the payload.
fn record(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    for field in [header.kind, header.flags, header.tgid, header.tid] {
        bytes.extend(field.to_ne_bytes());
    }
    for field in [header.process, header.connection, header.time, header.offset, header.task] {
        bytes.extend(field.to_ne_bytes());
    }
    bytes.extend(u32::try_from(payload.len()).expect("a record's length").to_ne_bytes());
    bytes.extend(header.finding.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
