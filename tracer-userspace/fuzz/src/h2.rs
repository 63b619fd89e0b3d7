//! Target `h2`: frames of both directions, whole, broken or cut, and header blocks.
//! Takes a script of frames; plays them as one connection behind the preface.
//! Header blocks by themselves are also given to another decoder, which must find the same fields.

mod inputs;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{HOST, UPGRADE},
};
use llmtap::{
    capture::{CloseCause, Direction, Origin, PeerEnd},
    http::Kind,
};

pub use self::inputs::{seeds, worst};
use crate::{
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
    let (mut authority, mut protocol) = (None, None);
    for (name, value) in list {
        let value = HeaderValue::from_bytes(value);
        let pseudo = matches!(
            &name[..],
            b":authority" | b":method" | b":path" | b":protocol" | b":scheme" | b":status"
        );
        match (value, HeaderName::from_lowercase(name)) {
            (Ok(value), _) if &name[..] == b":authority" => authority = Some(value),
            (Ok(value), _) if &name[..] == b":protocol" => protocol = Some(value),
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
    if let Some(protocol) = protocol {
        fields.known.insert(UPGRADE, protocol);
    }
    Some(fields)
}
