//! Target `h2`: frames of both directions, whole, broken or cut, and header blocks.
//! Takes a script of frames; plays them as one connection behind the preface.
//! Header blocks by themselves are also given to another decoder, which must find the same fields.

use http::{HeaderMap, HeaderName, HeaderValue, header::HOST};
use llmtap::{
    capture::{CloseCause, Direction, Origin, PeerEnd},
    http::Kind,
};

use crate::{
    Input, coding,
    script::{self, Step},
    split::Split,
    wire::{self, Happening, connection, received, sent},
};

/// Kinds of steps: bytes as they are, and gaps of as many bytes as the first two say.
const SENT: u8 = 1;
const RECEIVED: u8 = 2;
const SENT_GAP: u8 = 3;
const RECEIVED_GAP: u8 = 4;
const PEER_ENDED: u8 = 5;
/// The connection was joined in the middle.
const LATE: u8 = 7;
/// A header block for both decoders.
const BLOCK: u8 = 8;
/// With a frame's type below: flags, stream, payload.
const SENT_FRAME: u8 = 0x10;
const RECEIVED_FRAME: u8 = 0x20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Bytes of the heap that one connection may hold: header blocks of both directions, their tables,
/// and the 2,048 streams that are followed, each of which may be in the middle of a coded body.
const HEAP: usize = (16 << 20) + 2048 * DECODER;

/// What a decoder holds: a window of 32 KiB and its tables, and a step's output.
const DECODER: usize = 80 << 10;

pub fn run(data: &[u8]) {
    let steps = script::read(data);
    let happenings = happenings(&steps);
    wire::measured(&happenings, HEAP);
    wire::same_for_every_split(&happenings);
    compare_blocks(steps.iter().filter(|step| step.kind == BLOCK).map(|step| &step.bytes[..]));
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface, with no settings.
pub fn client_start() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, b"")[..]].concat()
}

/// The settings that a server begins with.
pub fn server_start() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])
}

fn happenings(steps: &[Step]) -> Vec<Happening> {
    let is_late = steps.iter().any(|step| step.kind == LATE);
    let mut all = if is_late {
        vec![Happening::Opened(1, Origin::JoinedLate)]
    } else {
        vec![Happening::Opened(1, Origin::Created), sent(client_start()), received(server_start())]
    };
    for Step { kind, bytes } in steps {
        let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
        let missing = u64::from(u16::from_le_bytes([at(0), at(1)])) + 1;
        let payload = bytes.get(2..).unwrap_or_default();
        let frame = || frame(kind & 0x0f, at(0), at(1).into(), payload);
        all.push(match *kind {
            RECEIVED => received(bytes.clone()),
            SENT_GAP => Happening::Gap(1, Direction::Sent, missing),
            RECEIVED_GAP => Happening::Gap(1, Direction::Received, missing),
            PEER_ENDED => Happening::PeerEnded(1, PeerEnd::Broken),
            LATE | BLOCK => continue,
            kind if kind & 0xf0 == SENT_FRAME => sent(frame()),
            kind if kind & 0xf0 == RECEIVED_FRAME => received(frame()),
            _ if bytes.is_empty() => continue,
            _ => sent(bytes.clone()),
        });
    }
    all.push(Happening::Closed(1, CloseCause::Freed));
    all
}

/// What a request's header block says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fields {
    known: HeaderMap,
    unknown: u32,
}

/// `:method: GET`, out of the static table: without it there is no request to tell of.
const METHOD: u8 = 0x82;

/// Bytes of fields of all blocks: up to there no bound of ours matters, of a block's or of the table.
const LIST_LIMIT: usize = 60 << 10;

/// Each block is a request of its own, on one connection.
fn compare_blocks<'a>(blocks: impl Iterator<Item = &'a [u8]>) {
    let mut theirs = loona_hpack::Decoder::new();
    let mut bytes = client_start();
    let (mut expected, mut size) = (Vec::new(), 0);
    for (number, block) in blocks.enumerate() {
        let block = [&[METHOD], block].concat();
        // What one refuses and the other understands in part is no subject of comparison.
        let Ok(list) = theirs.decode(&block) else { break };
        size += list.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>();
        if size > LIST_LIMIT {
            break;
        }
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * number as u32 + 1, &block));
        expected.push(fields(&list));
    }
    let mut found: Vec<Option<Fields>> = expected.iter().map(|_| None).collect();
    let happenings = connection([sent(bytes)]);
    wire::play(&happenings, Split::Whole, &mut |event| {
        let fields = &mut found[event.exchange.index as usize];
        match event.kind {
            Kind::Request { head, .. } => {
                *fields = Some(Fields { known: head.headers.clone(), unknown: 0 });
            }
            Kind::RequestFieldsUnknown(count) => {
                if let Some(fields) = fields {
                    fields.unknown = count;
                }
            }
            _ => {}
        }
    });
    for (found, expected) in found.iter().zip(&expected) {
        // A request whose method is not valid is not told.
        if let (Some(found), Some(expected)) = (found, expected) {
            assert_eq!(found, expected);
        }
    }
}

/// `None` where pseudo-header fields decide what is told.
fn fields(list: &[(Vec<u8>, Vec<u8>)]) -> Option<Fields> {
    let mut fields = Fields::default();
    let mut authority = None;
    for (name, value) in list {
        let value = HeaderValue::from_bytes(value);
        let pseudo = matches!(
            &name[..],
            b":authority" | b":method" | b":path" | b":protocol" | b":scheme" | b":status"
        );
        match (value, HeaderName::from_lowercase(name)) {
            (Ok(value), _) if &name[..] == b":authority" => authority = Some(value),
            (Ok(_), _) if &name[..] == b":method" => {}
            (Ok(_), _) if pseudo => {}
            (Ok(value), Ok(name)) => {
                fields.known.try_append(name, value).ok()?;
            }
            _ => fields.unknown += 1,
        }
    }
    if let Some(authority) = authority
        && !fields.known.contains_key(HOST)
    {
        fields.known.insert(HOST, authority);
    }
    Some(fields)
}

/// RFC 7541, C.4 and C.6: requests, and responses for a table of 256 bytes.
const BLOCKS: [&str; 6] = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    "3fe10148826402 5885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff",
    "4883640effc1c0bf",
    "88c1 0f0d 0131",
];

fn block(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn step_frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> (u8, Vec<u8>) {
    (kind, [&[flags, stream], payload].concat())
}

pub fn seeds() -> Vec<Input> {
    let blocks = BLOCKS.map(block);
    let request = |stream, flags| {
        step_frame(
            SENT_FRAME | HEADERS,
            flags,
            stream,
            b"\x83\x84\x87\x41\x01h\x5f\x10application/grpc",
        )
    };
    let answer = |stream| step_frame(RECEIVED_FRAME | HEADERS, 4, stream, b"\x88\x5c\x02\x31\x30");
    let text = |name: &str, steps: Vec<(u8, Vec<u8>)>| Input::new(name, script::write(steps));
    vec![
        text("blocks", blocks.iter().map(|block| (BLOCK, block.clone())).collect()),
        text(
            "exchange",
            vec![
                request(1, 4),
                step_frame(SENT_FRAME | DATA, 1, 1, b"\0\0\0\0\x02hi"),
                answer(1),
                step_frame(RECEIVED_FRAME | DATA, 0, 1, b"\0\0\0\0\x05"),
                step_frame(RECEIVED_FRAME | DATA, 8, 1, b"\x02hello\0\0"),
                step_frame(RECEIVED_FRAME | HEADERS, 5, 1, b"\x40\x0bgrpc-status\x010"),
            ],
        ),
        text(
            "streams",
            vec![
                request(1, 5),
                request(3, 1),
                step_frame(SENT_FRAME | CONTINUATION, 4, 3, b"\x40\x01a\x01b"),
                answer(3),
                answer(1),
                step_frame(RECEIVED_FRAME | RST_STREAM, 0, 1, &[0, 0, 0, 8]),
                step_frame(RECEIVED_FRAME | GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]),
                step_frame(RECEIVED_FRAME | DATA, 1, 3, b"0123456789"),
            ],
        ),
        text(
            "socket",
            vec![
                step_frame(
                    SENT_FRAME | HEADERS,
                    4,
                    1,
                    b"\x42\x07CONNECT\x40\x09:protocol\x09websocket\x84",
                ),
                step_frame(RECEIVED_FRAME | HEADERS, 4, 1, b"\x88"),
                step_frame(SENT_FRAME | DATA, 0, 1, b"\x81\x82\x01\x02\x03\x04\x69\x6b"),
                step_frame(RECEIVED_FRAME | DATA, 0, 1, b"\x88\x02\x03\xe8"),
            ],
        ),
        text(
            "gaps",
            vec![
                request(1, 5),
                answer(1),
                (RECEIVED_GAP, vec![4, 0]),
                step_frame(RECEIVED_FRAME | DATA, 1, 1, b"0123456789"),
                (SENT_GAP, vec![20, 0]),
                request(5, 5),
                (PEER_ENDED, vec![]),
            ],
        ),
        text(
            "late",
            vec![
                (LATE, vec![]),
                request(7, 5),
                answer(5),
                answer(7),
                step_frame(RECEIVED_FRAME | DATA, 1, 7, b"x"),
            ],
        ),
        text(
            "raw",
            vec![
                (SENT, frame(HEADERS, 0x2d, 1, b"\x01\0\0\0\0\x10\x82\x84\0")),
                (RECEIVED, frame(HEADERS, 5, 1, b"\x88")),
            ],
        ),
    ]
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let open = |flags| frame(HEADERS, flags, 1, b"\x82\x84\x87");
    let answer = frame(HEADERS, END_HEADERS, 1, b"\x88");
    let all = |name: &str, start: &[u8], one: &[u8]| {
        let mut bytes = answer.clone();
        bytes.extend(start);
        bytes.extend(one.repeat(SIZE / one.len()));
        Input::new(name, script::write([(SENT, open(5)), (RECEIVED, bytes)]))
    };
    // A table entry of 4,000 bytes, and a block that refers to it with every byte.
    let mut bomb = b"\x82\x84\x87\x40\x01k\x7f\xa1\x1e".to_vec();
    bomb.extend([b'x'; 4000]);
    bomb.extend([0xbe; 200_000]);
    // As many fields of one octet each as a block can name.
    let mut names = b"\x82\x84\x87".to_vec();
    for number in 0..50_000_u32 {
        let [.., a, b, c] = number.to_be_bytes().map(|byte| b'a' + byte % 26);
        names.extend([0, 3, a, b, c, 0]);
    }
    let many_streams = |payload: &[u8], answer: &[u8], data: &[u8]| {
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        for stream in (1..2 * 2048).step_by(2) {
            requests.extend(frame(HEADERS, 5, stream, payload));
            answers.extend(frame(HEADERS, 4, stream, answer));
        }
        while answers.len() < SIZE {
            for stream in (1..2 * 2048).step_by(2) {
                answers.extend(frame(DATA, 0, stream, data));
            }
        }
        script::write([(SENT, requests), (RECEIVED, answers)])
    };
    let codings = b"\x88\x5a\x18br, br, zstd, gzip, zstd";
    let huffman = [b"\x82\x00\x01k\xff\x81\xfe\x05".to_vec(), vec![0x55; 98_304]].concat();
    let opened = |one: &dyn Fn(u32) -> Vec<u8>| {
        let mut bytes = Vec::new();
        let mut stream = 1;
        while bytes.len() < SIZE {
            bytes.extend(one(stream));
            stream += 2;
        }
        script::write([(SENT, bytes)])
    };
    vec![
        all("one-byte-data", b"", &frame(DATA, 0, 1, b"x")),
        all("empty-data", b"", &frame(DATA, 0, 1, b"")),
        all("padded-data", b"", &frame(DATA, 8, 1, b"\0")),
        all("other-streams-data", b"", &frame(DATA, 0, 3, b"x")),
        all("pings", b"", &frame(6, 0, 0, &[0; 8])),
        all("resets", b"", &frame(RST_STREAM, 0, 3, &[0; 4])),
        all("empty-continuations", &frame(HEADERS, 0, 3, b""), &frame(CONTINUATION, 0, 3, b"")),
        all(
            "interim-answers",
            &frame(HEADERS, 4, 3, b"\x08\x03100"),
            &frame(HEADERS, 4, 1, b"\x88"),
        ),
        all("goaways", b"", &frame(GOAWAY, 0, 0, &[0; 8])),
        Input::new(
            "reference-bomb",
            script::write([(SENT, frame(HEADERS, 5, 1, &bomb).repeat(5))]),
        ),
        Input::new(
            "many-names",
            script::write([(SENT, frame(HEADERS, 5, 1, &names[..250_000]).repeat(4))]),
        ),
        Input::new("huffman", script::write([(SENT, frame(HEADERS, 5, 1, &huffman).repeat(10))])),
        Input::new(
            "open-and-reset",
            opened(&|stream| {
                [frame(HEADERS, 4, stream, b"\x82"), frame(RST_STREAM, 0, stream, &[0; 4])].concat()
            }),
        ),
        Input::new("open-for-ever", opened(&|stream| frame(HEADERS, 4, stream, b"\x82"))),
        Input::new(
            "table-churn",
            opened(&|stream| frame(HEADERS, 5, stream, b"\x82\x40\x01a\x01b")),
        ),
        Input::new("streams-at-once", many_streams(b"\x82", b"\x88", b"x")),
        Input::new("streams-with-codings", many_streams(b"\x82", codings, b"x")),
        Input::new("streams-with-gzip", {
            let data = coding::coded("gzip", &coding::noise(64));
            many_streams(b"\x82", b"\x88\x5a\x04gzip", &data[..40])
        }),
        Input::new("gaps-with-streams", {
            let mut steps = vec![(
                SENT,
                (1..4095).step_by(2).fold(Vec::new(), |mut all, stream| {
                    all.extend(frame(HEADERS, 4, stream, b"\x82"));
                    all
                }),
            )];
            for _ in 0..1024 {
                steps.push((RECEIVED_GAP, vec![1, 0]));
                steps.push((RECEIVED, frame(6, 0, 0, &[0; 8]).repeat(60)));
            }
            script::write(steps)
        }),
    ]
}
