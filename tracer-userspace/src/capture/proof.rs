//! Findings that were inferred from code, held against what flows: plaintext begins as a protocol.
//! Takes the ring's records; gives the findings that turned out wrong. Knows how conversations begin,
//! not what they say. One connection that begins as a protocol proves a finding for good.

use foldhash::HashMap;
use tracer_ebpf::Origin;

use super::{
    event::Direction,
    record::{Body, Record},
};

/// What was inferred about one file, by the number that its probes are attached with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FindingId(pub u32);

/// Connections that begin as ciphertext does before a finding is wrong, while none begins as a
/// protocol …
const CIPHERTEXTS: u32 = 8;
/// … and that begin as nothing known. Many, since a program may speak what is not known here.
const STRANGERS: u32 = 64;

/// First bytes of a direction that are judged: fewer than the least say nothing.
const LEAST: usize = 4;
const MOST: usize = 64;

/// Connections that are watched at once, of all findings; others are not judged.
const WATCHED: usize = 4096;

/// Why a finding is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refutation {
    /// The functions are given objects of another kind.
    OtherObjects,
    /// What flows is no plaintext.
    Ciphertext,
    /// What flows begins as no protocol.
    NoProtocol,
}

impl std::fmt::Display for Refutation {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.write_str(match self {
            Self::OtherObjects => "its functions are given objects of another kind",
            Self::Ciphertext => "what flows through its functions is ciphertext",
            Self::NoProtocol => "what flows through its functions begins as no known protocol",
        })
    }
}

/// All findings that were seen at work.
#[derive(Debug, Default)]
pub(super) struct Proof {
    findings: HashMap<u32, State>,
    /// By their ids.
    watched: HashMap<u64, Watched>,
    refuted: Vec<(FindingId, Refutation)>,
}

#[derive(Debug, Default)]
struct State {
    /// Proven or refuted.
    settled: bool,
    ciphertexts: u32,
    strangers: u32,
}

/// A connection whose beginning is not known whole yet.
#[derive(Debug)]
struct Watched {
    finding: u32,
    process: u64,
    /// What is seen first is its very first.
    whole: bool,
    /// Of the direction that was seen.
    first: Option<(Direction, Beginning)>,
}

/// What the first bytes of a direction look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Beginning {
    Protocol,
    Strange,
    Ciphertext,
}

impl Proof {
    pub(super) fn apply(&mut self, record: &Record<'_>) {
        let header = &record.header;
        match &record.body {
            Body::Opened(opened) if header.finding != 0 => {
                let state = self.findings.entry(header.finding).or_default();
                if !state.settled && self.watched.len() < WATCHED {
                    let whole = opened.origin == Origin::Created as u32;
                    let (finding, process) = (header.finding, header.process);
                    let watched = Watched { finding, process, whole, first: None };
                    self.watched.insert(header.connection, watched);
                }
            }
            // Objects of the right kind would have opened connections.
            Body::Doubted if !self.findings.contains_key(&header.finding) => {
                self.settle(header.finding, Some(Refutation::OtherObjects));
            }
            _ if self.watched.is_empty() => {}
            Body::Data(direction, bytes) if header.offset == 0 => {
                self.begins(header.connection, *direction, bytes);
            }
            Body::Closed(_) => self.ends(header.connection),
            Body::Exited => self.end_process(header.process),
            Body::Executed(executed) => self.end_process(executed.previous),
            _ => {}
        }
    }

    /// Findings that turned out wrong since the last call.
    pub(super) fn take_refuted(&mut self) -> Vec<(FindingId, Refutation)> {
        std::mem::take(&mut self.refuted)
    }

    fn begins(&mut self, connection: u64, direction: Direction, bytes: &[u8]) {
        let Some(watched) = self.watched.get_mut(&connection) else { return };
        let finding = watched.finding;
        match (Beginning::of(bytes), watched.first) {
            (Some(Beginning::Protocol), _) => {
                self.watched.remove(&connection);
                self.settle(finding, None);
            }
            (Some(beginning), None) => watched.first = Some((direction, beginning)),
            (Some(beginning), Some((other, first))) if other != direction => {
                watched.first = Some((direction, first.max(beginning)));
                self.ends(connection);
            }
            _ => {}
        }
    }

    /// No more will be known of how a connection began, and it did not begin as a protocol.
    fn ends(&mut self, connection: u64) {
        let Some(watched) = self.watched.remove(&connection) else { return };
        let Some((_, beginning)) = watched.first.filter(|_| watched.whole) else { return };
        let state = self.findings.entry(watched.finding).or_default();
        let count = match beginning {
            Beginning::Ciphertext => &mut state.ciphertexts,
            Beginning::Strange | Beginning::Protocol => &mut state.strangers,
        };
        *count += 1;
        let wrong = if state.ciphertexts >= CIPHERTEXTS {
            Refutation::Ciphertext
        } else if state.ciphertexts + state.strangers >= STRANGERS {
            Refutation::NoProtocol
        } else {
            return;
        };
        self.settle(watched.finding, Some(wrong));
    }

    /// The connections of a process are over.
    pub(super) fn end_process(&mut self, process: u64) {
        let of_process = self.watched.iter().filter(|(_, watched)| watched.process == process);
        let over: Vec<u64> = of_process.map(|(connection, _)| *connection).collect();
        over.into_iter().for_each(|connection| self.ends(connection));
    }

    /// A finding is proven, or wrong, for good.
    fn settle(&mut self, finding: u32, wrong: Option<Refutation>) {
        let state = self.findings.entry(finding).or_default();
        if std::mem::replace(&mut state.settled, true) {
            return;
        }
        self.watched.retain(|_, watched| watched.finding != finding);
        self.refuted.extend(wrong.map(|wrong| (FindingId(finding), wrong)));
    }
}

impl Beginning {
    /// `None`: too few bytes to tell.
    fn of(bytes: &[u8]) -> Option<Self> {
        let bytes = &bytes[..bytes.len().min(MOST)];
        if bytes.len() < LEAST {
            return None;
        }
        // A record of TLS (RFC 8446 §5.1), which plaintext may hold, but not begin with.
        if matches!(bytes, [0x14..=0x17, 3, 0..=4, ..]) {
            return Some(Self::Ciphertext);
        }
        let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
        Some(if is_text(bytes) || is_known_binary(bytes) {
            Self::Protocol
        } else if bytes.len() >= MOST / 2 && high > bytes.len() / 3 {
            // Of random bytes every other has its highest bit set; numbers and text have few.
            Self::Ciphertext
        } else {
            Self::Strange
        })
    }
}

/// HTTP/1, the client's side of HTTP/2, and whatever else is made of lines.
fn is_text(bytes: &[u8]) -> bool {
    let first = &bytes[..bytes.len().min(MOST / 4)];
    first.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t'))
}

/// Beginnings of binary protocols that programs speak over TLS.
fn is_known_binary(bytes: &[u8]) -> bool {
    let at = |from: usize, what: &[u8]| bytes.get(from..from + what.len()) == Some(what);
    // HTTP/2's SETTINGS frame (RFC 9113 §6.5), PostgreSQL's startup message (version 3.0),
    // MongoDB's OP_MSG, MQTT's CONNECT.
    (at(0, &[0]) && at(3, &[4, 0, 0, 0, 0, 0]))
        || (at(0, &[0, 0]) && at(4, &[0, 3, 0, 0]))
        || at(12, &2013_u32.to_le_bytes())
        || (at(0, &[0x10]) && at(4, b"MQTT"))
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::Header;

    use super::*;

    const FINDING: u32 = 3;

    struct Run {
        proof: Proof,
        connections: u64,
    }

    impl Run {
        fn new() -> Self {
            Self { proof: Proof::default(), connections: 0 }
        }

        fn apply(&mut self, body: Body<'_>) {
            let (connection, finding) = (self.connections, FINDING);
            let header = Header { connection, finding, process: 9, tgid: 1, ..Header::default() };
            self.proof.apply(&Record { header, body });
        }

        fn open(&mut self, origin: Origin) {
            self.connections += 1;
            let opened = tracer_ebpf::Opened { origin: origin as u32, ..Default::default() };
            self.apply(Body::Opened(opened));
        }

        /// A connection with these first bytes each way.
        fn connection(&mut self, sent: &[u8], received: &[u8]) {
            self.open(Origin::Created);
            self.apply(Body::Data(Direction::Sent, sent));
            self.apply(Body::Data(Direction::Received, received));
            self.apply(Body::Closed(tracer_ebpf::Closed::default()));
        }

        fn refuted(&mut self) -> Option<Refutation> {
            let refuted = self.proof.take_refuted();
            assert!(refuted.len() <= 1, "told once");
            refuted.first().map(|(finding, why)| {
                assert_eq!(*finding, FindingId(FINDING));
                *why
            })
        }
    }

    /// Bytes as a cipher gives them: those of a generator (xorshift).
    fn noise(seed: u64) -> Vec<u8> {
        let mut state = seed * 2 + 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        (0..64).map(|_| next()).collect()
    }

    #[test]
    fn ciphertext_refutes_after_some_connections() {
        let mut run = Run::new();
        for number in 1..CIPHERTEXTS {
            run.connection(&noise(number.into()), b"\x17\x03\x03\x00\x20....");
            assert_eq!(run.refuted(), None, "{number}");
        }
        run.connection(b"\x16\x03\x01\x02\x00\x01", &noise(99));
        assert_eq!(run.refuted(), Some(Refutation::Ciphertext));
        run.connection(&noise(1), &noise(2));
        assert_eq!(run.refuted(), None, "told already");
    }

    #[test]
    fn one_protocol_proves_for_good() {
        for first in [
            &b"POST /v1/messages HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
            b"\x00\x00\x00\x29\x00\x03\x00\x00user\x00me\x00",
            b"*1\r\n$4\r\nPING\r\n",
        ] {
            for swapped in [false, true] {
                let mut run = Run::new();
                let (sent, received) =
                    if swapped { (&[1, 2, 3, 4][..], first) } else { (first, &[][..]) };
                run.connection(sent, received);
                for number in 0..100 {
                    run.connection(&noise(number), &noise(number + 200));
                }
                assert_eq!(run.refuted(), None, "{first:?}");
            }
        }
    }

    #[test]
    fn strange_beginnings_need_many() {
        let mut run = Run::new();
        for number in 1..STRANGERS {
            run.connection(&[number as u8, 0, 0, 1, 0, 2], &[0; 40]);
            assert_eq!(run.refuted(), None);
        }
        run.connection(&[7, 0, 0, 1], &[]);
        assert_eq!(run.refuted(), Some(Refutation::NoProtocol));
    }

    #[test]
    fn joined_late_or_cut_short_refutes_nothing() {
        let mut run = Run::new();
        for number in 0..200 {
            run.open(Origin::JoinedLate);
            run.apply(Body::Data(Direction::Sent, &noise(number)));
            run.apply(Body::Closed(tracer_ebpf::Closed::default()));
            run.connection(&[0x16, 3], &[]);
            run.connection(&[], &[]);
        }
        assert_eq!(run.refuted(), None);
    }

    #[test]
    fn connections_of_an_ended_process_are_forgotten() {
        let mut run = Run::new();
        for number in 0..CIPHERTEXTS {
            run.open(Origin::Created);
            run.apply(Body::Data(Direction::Sent, &noise(number.into())));
        }
        assert_eq!(run.refuted(), None);
        run.apply(Body::Exited);
        assert_eq!(run.refuted(), Some(Refutation::Ciphertext));
        assert!(run.proof.watched.is_empty());
    }

    #[test]
    fn other_objects_refute_what_had_none_of_its_own() {
        let mut run = Run::new();
        run.apply(Body::Doubted);
        assert_eq!(run.refuted(), Some(Refutation::OtherObjects));
        let mut run = Run::new();
        run.open(Origin::Created);
        run.apply(Body::Doubted);
        assert_eq!(run.refuted(), None);
    }

    #[test]
    fn watched_connections_are_bounded() {
        let mut run = Run::new();
        for _ in 0..2 * WATCHED {
            run.open(Origin::Created);
        }
        assert_eq!(run.proof.watched.len(), WATCHED);
    }
}
