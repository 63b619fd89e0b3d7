//! Target `recording`: the reader of recordings, the writer before it, and what it keeps back.
//! Takes a byte that says which: the bytes of a file, the plain bytes of its frames, or a script of
//! events that are written and read again.

use std::{collections::HashSet, io::Cursor};

use llmtap::{
    capture::{
        CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened, Origin, PeerEnd,
        ProcessEvent, ProcessId, Security, Segment, Timestamp,
    },
    recording::{Finish, Item, Reader, Recorded, Start, Writer},
};

use crate::{
    Input, h2,
    meter::{self, Work},
    script::{self, Step},
    split::Split,
};

/// The first byte.
const FILE: u8 = 0;
const FRAMES: u8 = 1;
const KEPT: u8 = 2;
const SCRUBBED: u8 = 3;
/// A script of frames: the low bits of a step's kind are a frame's type, then flags and payload.
const HTTP2: u8 = 4;

/// Kinds of steps of events; the first byte is the connection, but for [`GO_TO`].
const SENT: u8 = 1;
const RECEIVED: u8 = 2;
const GAP: u8 = 3;
const OPENED: u8 = 4;
const CLOSED: u8 = 5;
const PEER_ENDED: u8 = 6;
const PROCESS: u8 = 7;
const GO_TO: u8 = 8;
/// A line with a credential, in the direction of the segment before.
const CREDENTIAL: u8 = 9;

/// Bytes of the heap: one frame, one record of it, and zstd's own state.
const HEAP: usize = 8 << 20;

/// What must never be in a recording that credentials were taken out of. Of the input's own, so that
/// the fuzzer does not learn it and put it elsewhere.
fn secret(data: &[u8]) -> Vec<u8> {
    format!("tzQw{:08x}{:08x}", crc32fast::hash(data), data.len()).into_bytes()
}

pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((&FILE, file)) => read_hostile(file, EXPANSION * file.len()),
        Some((&FRAMES, plain)) => {
            read_hostile(&file(script::read(plain).iter().map(frame)), plain.len());
        }
        Some((&KEPT, rest)) => round_trip(&events(&script::read(rest), &secret(rest))),
        Some((&HTTP2, rest)) => {
            let secret = secret(rest);
            scrubbed(&frames(&script::read(rest), &secret), &secret);
        }
        Some((_, rest)) => {
            let secret = secret(rest);
            scrubbed(&events(&script::read(rest), &secret), &secret);
        }
        None => {}
    }
}

/// Each step one frame.
fn frame(step: &Step) -> &[u8] {
    &step.bytes
}

const OPENING: &[u8] = b"\x5c\x2a\x4d\x18\x0c\0\0\0llmtaprc\x01\0\0\0";

fn file<'a>(frames: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut file = OPENING.to_vec();
    for frame in frames {
        file.extend(zstd::bulk::compress(frame, 1).unwrap_or_default());
    }
    file
}

/// Plain bytes for each of a file's, of those that the fuzzer makes.
const EXPANSION: usize = 64;

/// `plain`: bytes of the frames, about.
fn read_hostile(file: &[u8], plain: usize) {
    let work = |(items, bytes): &(usize, usize)| Work {
        bytes: plain.max(*bytes),
        pieces: *items,
        // Connections and processes that the file says live, in tables.
        heap: HEAP + 2048 * items,
    };
    meter::within(work, || {
        let (mut items, mut bytes) = (0, 0);
        let Ok(mut reader) = Reader::open(Cursor::new(file)) else { return (0, 0) };
        while let Ok(Some(item)) = reader.next_item() {
            items += 1;
            if let Item::Event(Event::Segment(segment)) = item
                && let Data::Bytes(data) = segment.data
            {
                bytes += data.len();
            }
        }
        (items, bytes)
    });
}

/// An event of a script.
#[derive(Clone, Debug)]
enum Happening {
    Other(Event<'static>),
    Bytes(u64, Direction, Vec<u8>),
}

fn process(byte: u8) -> ProcessId {
    ProcessId { pid: u32::from(byte), incarnation: u64::from(byte) << 40 }
}

fn events(steps: &[Step], secret: &[u8]) -> Vec<Happening> {
    let (mut now, mut direction) = (1, Direction::Sent);
    let (mut all, mut used) = (Vec::new(), HashSet::new());
    for (number, Step { kind, bytes }) in steps.iter().enumerate() {
        let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
        // Ids are never used again: a connection begins with its opening, if that was seen.
        let is_new = !matches!(*kind, GO_TO | PROCESS) && used.insert(now);
        if *kind == OPENED && !is_new {
            continue;
        }
        let (time, connection) = (Timestamp(number as u64), ConnectionId(now));
        all.push(match *kind {
            GO_TO => {
                now = u64::from(at(0) % 8);
                continue;
            }
            RECEIVED => {
                direction = Direction::Received;
                Happening::Bytes(now, direction, bytes.clone())
            }
            CREDENTIAL => {
                const LINES: [&[u8]; 3] =
                    [b"\r\nAuthorization: Bearer ", b"\r\nx-api-key:", b"\nCookie: a="];
                let line = LINES[usize::from(at(0)) % LINES.len()];
                Happening::Bytes(now, direction, [line, secret, b"\r\n"].concat())
            }
            GAP => Happening::Other(Event::Segment(Segment {
                connection,
                direction,
                offset: 0,
                time,
                data: Data::Gap(u64::from(at(0)) + 1),
                caller: None,
            })),
            OPENED => Happening::Other(Event::Opened(Opened {
                connection,
                process: process(at(0)),
                time,
                security: if at(3) == 0 { Security::Tls } else { Security::Plain },
                origin: match at(1) % 3 {
                    0 => Origin::Created,
                    1 => Origin::JoinedLate,
                    _ => Origin::Inherited(ConnectionId(u64::from(at(2) % 8))),
                },
            })),
            CLOSED => {
                use CloseCause::{Freed, ProcessExecuted, ProcessExited, TracerStopped, Unseen};
                let causes = [Freed, ProcessExited, ProcessExecuted, TracerStopped, Unseen];
                Happening::Other(Event::Closed(Closed {
                    connection,
                    time,
                    cause: causes[usize::from(at(0) % 5)],
                    last_empty_read: (at(1) > 0).then_some(time),
                }))
            }
            PEER_ENDED => {
                use PeerEnd::{Broken, CloseNotify, EndOfStream, SystemCall};
                let ends = [CloseNotify, Broken, SystemCall, EndOfStream];
                let how = ends[usize::from(at(0) % 4)];
                Happening::Other(Event::PeerEnded { connection, time, how })
            }
            PROCESS => {
                let (process, other) = (process(at(1)), process(at(2)));
                Happening::Other(Event::Process(match at(0) % 5 {
                    0 => ProcessEvent::Appeared { process, time },
                    1 => ProcessEvent::Forked { parent: process, child: other, time },
                    2 => ProcessEvent::Executed { previous: other, process, time },
                    3 => ProcessEvent::Exited { process, time },
                    _ => ProcessEvent::LibrariesChanged { process, time },
                }))
            }
            _ if bytes.is_empty() => continue,
            _ => {
                direction = Direction::Sent;
                Happening::Bytes(now, direction, bytes.clone())
            }
        });
    }
    all
}

/// In a step's kind of [`HTTP2`]: the server sends it.
const ANSWERS: u8 = 0x20;

/// One connection of HTTP/2; where a step is a credential's, it is a whole header block.
fn frames(steps: &[Step], secret: &[u8]) -> Vec<Happening> {
    let (connection, origin, security) = (ConnectionId(1), Origin::Created, Security::Tls);
    let opened = Opened { connection, process: process(1), time: Timestamp(0), origin, security };
    let mut all = vec![
        Happening::Other(Event::Opened(opened)),
        Happening::Bytes(1, Direction::Sent, h2::client_start()),
        Happening::Bytes(1, Direction::Received, h2::server_start()),
    ];
    for Step { kind, bytes } in steps {
        let direction = if kind & ANSWERS == 0 { Direction::Sent } else { Direction::Received };
        let (flags, payload) = bytes.split_first().unwrap_or((&0, &[]));
        let frame = if kind & 0x0f == CREDENTIAL_FIELD {
            // Never indexed, indexed, not indexed; the name written out, and out of the table.
            const FIELDS: [&[u8]; 4] = [
                b"\x82\x10\x0dauthorization",
                b"\x82\x40\x09x-api-key",
                b"\x82\x0f\x08",
                b"\x82\x57",
            ];
            let field = FIELDS[usize::from(flags % 4)];
            let block = [field, &[secret.len() as u8], secret].concat();
            h2::frame(1, 4, 1, &block)
        } else {
            h2::frame(kind & 0x0f, *flags, u32::from(kind & 0x0f != 4), payload)
        };
        all.push(Happening::Bytes(1, direction, frame));
    }
    all
}

/// A type that no frame has.
const CREDENTIAL_FIELD: u8 = 0x0f;

/// Gives every event, bytes cut and each position its own.
fn each(happenings: &[Happening], split: Split, sink: &mut dyn FnMut(&Event<'_>)) {
    let mut offsets = std::collections::HashMap::<(u64, Direction), u64>::new();
    for happening in happenings {
        match happening {
            Happening::Other(Event::Segment(gap)) => {
                let offset = offsets.entry((gap.connection.0, gap.direction)).or_default();
                sink(&Event::Segment(Segment { offset: *offset, ..*gap }));
                *offset += gap.data.wire_len();
            }
            Happening::Other(event) => sink(event),
            Happening::Bytes(connection, direction, bytes) => {
                let offset = offsets.entry((*connection, *direction)).or_default();
                for piece in split.pieces(bytes) {
                    sink(&Event::Segment(Segment {
                        connection: ConnectionId(*connection),
                        direction: *direction,
                        offset: *offset,
                        time: Timestamp(1),
                        data: Data::Bytes(piece),
                        caller: None,
                    }));
                    *offset += piece.len() as u64;
                }
            }
        }
    }
}

fn written(happenings: &[Happening], split: Split, credentials_kept: bool) -> (Vec<u8>, Recorded) {
    let start = Start { credentials_kept, ..Start::default() };
    let mut writer = Writer::start(Vec::new(), &start).expect("memory can be written");
    each(happenings, split, &mut |event| writer.event(event).expect("memory can be written"));
    writer.finish(&Finish::default()).expect("memory can be written")
}

/// What a reader tells of a file that we wrote.
fn told(file: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
    let mut reader = Reader::open(Cursor::new(file)).expect("a file of our own");
    loop {
        match reader.next_item() {
            Ok(Some(item)) => sink(item),
            Ok(None) => break,
            Err(error) => panic!("a file of our own: {error}"),
        }
    }
    assert_eq!(reader.unknown(), 0);
}

fn round_trip(happenings: &[Happening]) {
    let (file, _) = written(happenings, Split::Whole, true);
    let mut expected = Vec::new();
    each(happenings, Split::Whole, &mut |event| expected.push(format!("{event:?}")));
    let mut found = Vec::new();
    told(&file, &mut |item| {
        if let Item::Event(event) = item {
            found.push(format!("{event:?}"));
        }
    });
    let long = happenings.iter().any(
        |happening| matches!(happening, Happening::Bytes(_, _, bytes) if bytes.len() > SEGMENT),
    );
    // A segment that is too long for one record is written as several.
    assert!(long || found == expected, "{found:?}\n{expected:?}");
}

/// Bytes of a segment that stays one record.
const SEGMENT: usize = 256 << 10;

/// A byte of a direction as it was kept; gaps are written out up to here.
const GAP_SHOWN: u64 = 1 << 20;

/// What is kept of each direction, a byte for each that passed.
fn kept(file: &[u8]) -> std::collections::BTreeMap<(u64, bool), Vec<Option<u8>>> {
    let mut all = std::collections::BTreeMap::<_, Vec<_>>::new();
    told(file, &mut |item| {
        let Item::Event(Event::Segment(segment)) = item else { return };
        let key = (segment.connection.0, segment.direction == Direction::Sent);
        let one = all.entry(key).or_default();
        assert_eq!(segment.offset, one.len() as u64, "overlap or hole");
        match segment.data {
            Data::Bytes(bytes) => one.extend(bytes.iter().copied().map(Some)),
            Data::Gap(missing) => {
                assert!(missing <= GAP_SHOWN);
                one.resize(one.len() + missing as usize, None);
            }
        }
    });
    all
}

fn scrubbed(happenings: &[Happening], secret: &[u8]) {
    let input: usize = happenings
        .iter()
        .map(|happening| match happening {
            Happening::Bytes(_, _, bytes) => bytes.len(),
            Happening::Other(_) => 0,
        })
        .sum();
    let work = |(file, recorded): &(Vec<u8>, Recorded)| Work {
        bytes: input,
        pieces: recorded.records as usize,
        heap: HEAP + 4 * input + 2 * file.len(),
    };
    let (file, recorded) = meter::within(work, || written(happenings, Split::Whole, false));
    let whole = kept(&file);
    // Behind a gap, and joined late, all depends on where a segment begins.
    let from_start = happenings.iter().all(|happening| match happening {
        Happening::Other(Event::Segment(_)) => false,
        Happening::Other(Event::Opened(opened)) => opened.origin == Origin::Created,
        _ => true,
    });
    let opened = |id: u64| {
        happenings.iter().position(|happening| {
            matches!(happening, Happening::Other(Event::Opened(opened)) if opened.connection.0 == id)
        })
    };
    let known = happenings.iter().enumerate().all(|(number, happening)| match happening {
        Happening::Bytes(id, ..) => opened(*id).is_some_and(|at| at < number),
        Happening::Other(Event::Closed(_)) => false,
        Happening::Other(_) => true,
    });
    // What nobody saw begin may look like frames of HTTP/2, which all begin with a zero: of a body in
    // them nothing is taken out, nor of frames of a type that no one knows. Where the beginning was
    // seen, only its own bytes can: a server's first are SETTINGS (RFC 9113 §3.4).
    let of_any = || {
        happenings.iter().filter_map(|happening| match happening {
            Happening::Bytes(id, _, bytes) => Some((*id, bytes.first() == Some(&0))),
            Happening::Other(_) => None,
        })
    };
    let may_be_frames = |id: u64| {
        let first = || of_any().find(|(of, _)| *of == id);
        if from_start && known {
            first().is_some_and(|(_, zero)| zero)
        } else {
            of_any().any(|(_, zero)| zero)
        }
    };
    for (key, bytes) in whole.iter().filter(|((id, _), _)| !may_be_frames(*id)) {
        let text: Vec<u8> = bytes.iter().map(|byte| byte.unwrap_or(0)).collect();
        let found = text.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "a credential is kept: {key:?}");
    }
    // And of HTTP/2 that turns out to be malformed, how much had come by then.
    if !from_start || !known || recorded.withheld.http2 > 0 {
        return;
    }
    for split in Split::CUT {
        let (file, cut) = written(happenings, split, false);
        assert!(kept(&file) == whole, "whole, and cut {split:?}");
        assert_eq!(cut.replaced, recorded.replaced, "replaced, whole and cut {split:?}");
    }
}

fn talk() -> Vec<(u8, Vec<u8>)> {
    vec![
        (OPENED, vec![1, 0, 0]),
        (SENT, b"GET /a?key=abc&x=1 HTTP/1.1\r\nHost: h".to_vec()),
        (CREDENTIAL, vec![0]),
        (SENT, b"Cookie: a\r\n b\r\nReferer: http://x/?token=1\r\n\r\n{}".to_vec()),
        (RECEIVED, b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nLocation: /?sig=1\r\n\r\n".to_vec()),
        (PEER_ENDED, vec![1]),
        (CLOSED, vec![0, 1]),
    ]
}

pub fn seeds() -> Vec<Input> {
    let with =
        |first: u8, steps: Vec<(u8, Vec<u8>)>| [&[first], &script::write(steps)[..]].concat();
    let fork = vec![
        (PROCESS, vec![0, 1]),
        (OPENED, vec![1, 0, 0]),
        (PROCESS, vec![1, 1, 2]),
        (SENT, b"GET / HTTP/1.1\r\nCookie: a".to_vec()),
        (GO_TO, vec![2]),
        (OPENED, vec![2, 2, 1]),
        (SENT, b"bc\r\nA: b".to_vec()),
        (GAP, vec![5]),
        (SENT, b"x\r\nA: c\r\n".to_vec()),
        (PROCESS, vec![2, 3, 2]),
        (PROCESS, vec![3, 3]),
    ];
    let http2 = vec![(OPENED, vec![1]), (SENT, b"PRI * HTTP/2.0\r\n\r\n".to_vec())];
    let (file, _) =
        written(&events(&script::read(&script::write(talk())), b"secret"), Split::Whole, true);
    // The plain frames of that file: the first holds the start alone.
    let plain = zstd::stream::decode_all(&file[..]).unwrap_or_default();
    let start = plain.len().min(1 + usize::from(plain.first().copied().unwrap_or(0)));
    let plain = vec![(1, plain[..start].to_vec()), (1, plain[start..].to_vec())];
    let frames = vec![
        (0x11, b"\x04\x82\x84\x40\x06cookie\x03a=b".to_vec()),
        (CREDENTIAL_FIELD | 0x10, vec![1]),
        (0x11, b"\x00\x82\x84\xbe".to_vec()),
        (0x19, b"\x04\xbf".to_vec()),
        (0x31, b"\x04\x88\x40\x0aset-cookie\x03a=b".to_vec()),
        (CREDENTIAL_FIELD | ANSWERS, vec![3]),
        (0x10, b"\x01hello".to_vec()),
    ];
    vec![
        Input::new("file", [&[FILE], &file[..]].concat()),
        Input::new("frames", with(FRAMES, plain)),
        Input::new("kept", with(KEPT, talk())),
        Input::new("kept-fork", with(KEPT, fork.clone())),
        Input::new("scrubbed", with(SCRUBBED, talk())),
        Input::new("scrubbed-fork", with(SCRUBBED, fork)),
        Input::new("http2", with(HTTP2, frames)),
        Input::new("scrubbed-http2", with(SCRUBBED, http2)),
    ]
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let start = b"\x02\x0a\0".to_vec();
    let frames = |name: &str, one: &[u8]| {
        let steps = vec![(1, start.clone()), (1, one.repeat(SIZE / one.len()))];
        Input::new(name, [&[FRAMES], &script::write(steps)[..]].concat())
    };
    let segment = |name: &str, text: &[u8]| {
        let steps = vec![(OPENED, vec![1]), (SENT, text.repeat(SIZE / text.len()))];
        Input::new(name, [&[SCRUBBED], &script::write(steps)[..]].concat())
    };
    let opened: Vec<u8> = (0..120_000_u32)
        .flat_map(|number| {
            let [a, b, c, _] = number.to_le_bytes();
            let id = [a & 0x7f | 0x80, b & 0x7f | 0x80, (c << 1 | b >> 7) & 0x7f];
            [&[12, 0x42, 10, 0x08][..], &id, b"\x12\x02\x08\x01\x20\x01"].concat()
        })
        .collect();
    vec![
        frames("empty-records", b"\0"),
        frames("unknown-records", b"\x03\xfa\x01\0"),
        frames("empty-segments", b"\x06\x52\x04\x08\x01\x2a\0"),
        frames("appearances", b"\x06\x1a\x04\x0a\x02\x08\x01"),
        Input::new("openings", {
            let steps = vec![(1, start.clone()), (1, opened[..opened.len().min(SIZE)].to_vec())];
            [&[FRAMES], &script::write(steps)[..]].concat()
        }),
        Input::new("tiny-frames", {
            let one = zstd::bulk::compress(b"\x03\xfa\x01\0", 1).unwrap_or_default();
            let first = zstd::bulk::compress(&start, 1).unwrap_or_default();
            [&[FILE], OPENING, &first, &one.repeat(SIZE / one.len())[..]].concat()
        }),
        segment("names", b"GET /\r\na:\r\n"),
        segment("parameters", b"GET /?a=b&key=c&"),
        segment("alternating", b"\na-key:1\nb:2"),
        segment("methods", b"GET ?GET ?"),
        segment("long-line", b"GET /aaaaaaaaaaaaaaaa"),
    ]
}
