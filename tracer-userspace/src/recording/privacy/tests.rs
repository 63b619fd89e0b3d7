use super::*;
use crate::capture::{ProcessId, Security};

#[derive(Default)]
struct Run {
    privacy: Privacy,
    offsets: HashMap<(u64, bool), u64>,
    /// Of each connection and direction, what was told of: up to where, and as `~` what is withheld.
    told: HashMap<(u64, bool), (u64, Vec<u8>)>,
    time: u64,
    times: Vec<u64>,
}

impl Run {
    fn open(&mut self, connection: u64, origin: Origin) {
        let process = ProcessId { pid: 1, incarnation: 1 };
        let (connection, time) = (ConnectionId(connection), Timestamp(1));
        let security = Security::Tls;
        self.privacy.opened(&Opened { connection, process, time, origin, security });
    }

    fn close(&mut self, connection: u64, cause: CloseCause) {
        let (connection, time) = (ConnectionId(connection), Timestamp(1));
        let closed = Closed { connection, time, cause, last_empty_read: None };
        let (told, times) = (&mut self.told, &mut self.times);
        let result: Result<(), ()> = self.privacy.closed(&closed, &mut |part| {
            note(told, times, part);
            Ok(())
        });
        assert!(result.is_ok());
    }

    /// What is told because of a segment, each at its own time; `~` for each byte that is withheld.
    fn pass(&mut self, connection: u64, sent: bool, bytes: &[u8]) -> String {
        let next = self.offsets.entry((connection, sent)).or_default();
        let offset = *next;
        *next += bytes.len() as u64;
        self.time += 1;
        let direction = if sent { Direction::Sent } else { Direction::Received };
        let (time, data) = (Timestamp(self.time), Data::Bytes(bytes));
        let segment = Segment {
            connection: ConnectionId(connection),
            direction,
            offset,
            time,
            data,
            caller: None,
        };
        let known = self.told.get(&(connection, sent)).map_or(0, |(_, text)| text.len());
        let (told, times) = (&mut self.told, &mut self.times);
        let result: Result<(), ()> = self.privacy.segment(&segment, &mut |part| {
            note(told, times, part);
            Ok(())
        });
        assert!(result.is_ok());
        let text = self.told.get(&(connection, sent)).map_or(&[][..], |(_, text)| &text[known..]);
        String::from_utf8_lossy(text).into_owned()
    }
}

fn note(told: &mut HashMap<(u64, bool), (u64, Vec<u8>)>, times: &mut Vec<u64>, part: &Segment<'_>) {
    let key = (part.connection.0, part.direction == Direction::Sent);
    let (at, text) = told.entry(key).or_insert((part.offset, Vec::new()));
    assert_eq!(part.offset, *at, "overlap or hole");
    *at += part.data.wire_len();
    times.push(part.time.0);
    match part.data {
        Data::Bytes(bytes) => text.extend_from_slice(bytes),
        Data::Gap(len) => text.resize(text.len() + len as usize, b'~'),
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// Stream 1, END_HEADERS; `authorization` by the static table, its value not Huffman-coded.
const HEADERS: &[u8] = b"\0\0\x0a\x01\x04\0\0\0\x01\x0f\x08\x07Bearer!";
const CLEAN: &[u8] = b"\0\0\x0a\x01\x04\0\0\0\x01\x0f\x08\x07XXXXXXX";

fn text(parts: &[&[u8]]) -> String {
    String::from_utf8_lossy(&parts.concat()).into_owned()
}

#[test]
fn http2_is_cleaned_whoever_begins() {
    // The client first; the server first, as a server's program or a client's sees it; by bytes.
    for (order, client_sends, piece) in
        [(0, true, 100), (1, true, 100), (1, false, 100), (0, true, 1), (1, false, 1)]
    {
        let mut run = Run::default();
        run.open(1, Origin::Created);
        let client = [PREFACE, SETTINGS, HEADERS].concat();
        let server = [SETTINGS, HEADERS].concat();
        let mut turns = [(client_sends, client), (!client_sends, server)];
        turns.rotate_left(order);
        for (sent, bytes) in &turns {
            bytes.chunks(piece).for_each(|part| drop(run.pass(1, *sent, part)));
        }
        let told = |sent| String::from_utf8_lossy(&run.told[&(1, sent)].1).into_owned();
        assert_eq!(told(client_sends), text(&[PREFACE, SETTINGS, CLEAN]), "{order} {piece}");
        assert_eq!(told(!client_sends), text(&[SETTINGS, CLEAN]), "{order} {piece}");
        assert_eq!((run.privacy.withheld.all(), run.privacy.replaced), (0, 14));
    }
}

/// RFC 9113 §6.5: the length is a multiple of 6. What follows may look like frames where a segment ends.
#[test]
fn settings_of_a_wrong_length_are_none() {
    let bytes = [&[0, 0, 0x2c, 4][..], &[0; 11], &[0xd1, 0, 0, 0x2e, 1, 0x12, 9]].concat();
    for piece in [bytes.len(), 9, 1] {
        let mut run = Run::default();
        run.open(1, Origin::Created);
        bytes.chunks(piece).for_each(|part| drop(run.pass(1, true, part)));
        assert_eq!(run.told[&(1, true)].1, [&[0, 0][..], &[b'~'; 20]].concat(), "{piece}");
    }
}

#[test]
fn parts_of_a_field_block_keep_their_times() {
    let mut run = Run::default();
    run.open(1, Origin::Created);
    run.pass(1, true, &[PREFACE, SETTINGS, &HEADERS[..11]].concat());
    assert_eq!(run.pass(1, true, &HEADERS[11..14]), "");
    // Another connection's bytes do not wait for it.
    run.open(2, Origin::Created);
    assert_eq!(run.pass(2, true, b"GET / HTTP/1.1\r\n"), "GET / HTTP/1.1\r\n");
    run.pass(1, true, &HEADERS[14..]);
    assert_eq!(run.times.iter().rev().take(3).rev().copied().collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(run.told[&(1, true)].1, [PREFACE, SETTINGS, CLEAN].concat());
}

#[test]
fn field_block_without_end_is_withheld() {
    let mut run = Run::default();
    run.open(1, Origin::Created);
    run.pass(1, true, &[PREFACE, SETTINGS, &HEADERS[..16]].concat());
    run.close(1, CloseCause::Freed);
    let whole = [PREFACE, SETTINGS, &HEADERS[..9], b"~~~~~~~"].concat();
    assert_eq!(run.told[&(1, true)].1, whole);
    assert_eq!(run.privacy.withheld, Withheld { http2: 7, ..Withheld::default() });
    assert!(run.privacy.connections.is_empty());
}

#[test]
fn late_join_of_http2_begins_at_frames() {
    let mut run = Run::default();
    run.open(1, Origin::JoinedLate);
    assert_eq!(run.pass(1, false, b"\x05hello"), "~~~~~~");
    assert_eq!(run.pass(1, true, &[SETTINGS, HEADERS].concat()), text(&[SETTINGS, CLEAN]));
    assert_eq!(run.pass(1, false, b"more"), "~~~~");
    assert_eq!(run.pass(1, false, HEADERS), text(&[CLEAN]));
    assert_eq!(run.privacy.withheld, Withheld { after_gap: 6, http2: 4, ..Withheld::default() });
}

#[test]
fn what_is_no_http_is_withheld() {
    let mut run = Run::default();
    run.open(1, Origin::Created);
    assert_eq!(run.pass(1, true, b"AUTH x"), "~".repeat(6));
    assert_eq!(run.pass(1, false, b"HTTP/1.1 200"), "HTTP/1.1 200");
    assert_eq!(run.privacy.withheld, Withheld { foreign: 6, ..Withheld::default() });
    // What began like a preface and is none.
    run.open(2, Origin::Created);
    assert_eq!(run.pass(2, true, b"PRI secret"), "PRI ~~~~~~");
    assert_eq!(run.privacy.withheld.http2, 6);
}

#[test]
fn upgrade_to_http2_withholds_both_directions() {
    let mut run = Run::default();
    run.open(1, Origin::Created);
    run.pass(1, true, b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n");
    assert_eq!(run.pass(1, true, PREFACE), format!("PRI {}", "~".repeat(20)));
    assert_eq!(run.pass(1, false, b"HTTP/1.1 200"), "~".repeat(12));
    assert_eq!(run.privacy.withheld, Withheld { http2: 32, ..Withheld::default() });
}

#[test]
fn forked_connection_goes_on_where_it_stands() {
    let mut run = Run::default();
    run.open(1, Origin::Created);
    run.open(2, Origin::Inherited(ConnectionId(1)));
    // The parent goes on after the fork, into a credential that the child finishes.
    run.pass(1, true, b"GET / HTTP/1.1\r\nCookie: a");
    assert_eq!(run.pass(2, true, b"bc\r\nA: b"), "XX\r\nA: b");
}

#[test]
fn forked_connection_in_a_field_block_waits_for_frames() {
    let mut run = Run::default();
    run.open(1, Origin::Created);
    run.open(2, Origin::Inherited(ConnectionId(1)));
    run.pass(1, true, &[PREFACE, SETTINGS, &HEADERS[..16]].concat());
    assert_eq!(run.pass(2, true, &HEADERS[16..]), "~~~");
    assert_eq!(run.pass(2, true, HEADERS), text(&[CLEAN]));
}

#[test]
fn parent_that_exits_leaves_its_state() {
    for (cause, expected) in
        [(CloseCause::ProcessExited, "XX\r\nA: b"), (CloseCause::Freed, "~~~~~~~~")]
    {
        let mut run = Run::default();
        run.open(1, Origin::Created);
        run.open(2, Origin::Inherited(ConnectionId(1)));
        run.open(3, Origin::Inherited(ConnectionId(2)));
        run.pass(1, true, b"GET / HTTP/1.1\r\nCookie: a");
        run.close(1, cause);
        assert_eq!(run.pass(3, true, b"bc\r\nA: b"), expected);
        run.close(2, cause);
        run.close(3, cause);
        assert!(run.privacy.connections.is_empty() && run.privacy.heirs.is_empty());
    }
}

/// A body whose bytes look like frames, and behind it the next request of HTTP/1.
#[test]
fn message_behind_what_looked_like_frames_is_withheld() {
    let mut run = Run::default();
    let frame = b"\0\0\x02\0\0\0\0\0\x01hi";
    let request = b"GET / HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n\r\n";
    // Between frames, in the data of one, and in a field block, of which what waits is withheld too.
    for (connection, (first, waiting)) in
        [(&frame[..], 0), (&frame[..10], 0), (&HEADERS[..12], 3)].into_iter().enumerate()
    {
        let connection = connection as u64 + 1;
        run.open(connection, Origin::JoinedLate);
        assert_eq!(run.pass(connection, true, first), text(&[&first[..first.len() - waiting]]));
        assert_eq!(run.pass(connection, true, request), "~".repeat(waiting + request.len()));
        assert_eq!(run.pass(connection, true, CLEAN), text(&[CLEAN]), "it is HTTP/2");
    }
    assert_eq!(run.privacy.withheld.http2, 3 + 3 * request.len() as u64);
}
