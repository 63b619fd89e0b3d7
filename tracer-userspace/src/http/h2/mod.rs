//! One HTTP/2 connection (RFC 9113): each stream that a client opens is an exchange.
//! Takes the bytes and gaps of both directions; gives the events of its exchanges.
//! Joined in the middle or out of step, it goes on at the next segment that begins with frames.
//!
//! Server push is not followed, only counted; its header blocks are read, since they change the
//! compression's state.

mod fields;
mod frame;
mod hpack;
pub(crate) mod redact;
mod static_table;
mod streams;
mod table;

use self::{
    frame::{Frame, FrameError, FrameReader, Header, Skip, begins_frames, flag, kind},
    hpack::{FieldList, HpackError},
    streams::Streams,
};
use super::{Ended, Role, open::Open, output::Output, sniff::HTTP2_PREFACE};
use crate::capture::{Data, Direction, Timestamp};

/// Times that a direction may break the rules before it is looked at no more. Each costs a look at
/// every stream, and an honest peer ends the connection at the first (RFC 9113 §5.4.1).
const BREAKS_LIMIT: u8 = 64;

/// Bytes of one header block over all its frames.
const BLOCK_LIMIT: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    received: Half,
    sent: Half,
    streams: Streams,
}

/// One direction.
#[derive(Debug)]
struct Half {
    /// Bytes of the client's preface still to come.
    preface: usize,
    frames: FrameReader,
    hpack: hpack::Decoder,
    block: Option<Block>,
    /// Where the next frame begins is not known.
    lost: bool,
    /// Times that it broke the rules.
    breaks: u8,
}

/// A header block under way.
#[derive(Debug)]
struct Block {
    /// The frame that began it.
    header: Header,
    started: Timestamp,
    bytes: Vec<u8>,
    /// Part of it was not captured: it is only waited for its end.
    lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Malformed {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Hpack(#[from] HpackError),
    #[error("header block longer than {BLOCK_LIMIT} bytes")]
    BlockTooLong,
    #[error("header block interrupted, or continued that was not begun")]
    Continuation,
    #[error("client's preface is wrong")]
    Preface,
}

/// What the frames of a direction say, header blocks decoded.
#[derive(Debug)]
enum Said {
    Fields {
        stream: u32,
        list: FieldList,
        end_stream: bool,
        started: Timestamp,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    GoAway {
        last_stream: u32,
    },
    /// The server will answer what nobody asked (§8.4).
    Promise,
    Nothing,
}

impl Connection {
    /// From its first byte on.
    pub(super) fn new(role: Role) -> Self {
        let half = |is_client| Half {
            preface: if is_client { HTTP2_PREFACE.len() } else { 0 },
            frames: FrameReader::new(),
            hpack: hpack::Decoder::new(true),
            block: None,
            lost: false,
            breaks: 0,
        };
        Self {
            received: half(role == Role::Server),
            sent: half(role == Role::Client),
            streams: Streams::new(Some(role)),
        }
    }

    /// From its first byte on, behind an exchange of HTTP/1 that goes on as stream 1 (RFC 7540 §3.2).
    pub(super) fn upgraded(role: Role, exchange: Open) -> Self {
        let mut connection = Self::new(role);
        connection.streams.adopt(exchange);
        connection
    }

    /// From somewhere in the middle: who is who shows with the first header block.
    pub(super) fn joined_late() -> Self {
        let half = || Half {
            preface: 0,
            frames: FrameReader::new(),
            hpack: hpack::Decoder::new(false),
            block: None,
            lost: true,
            breaks: 0,
        };
        Self { received: half(), sent: half(), streams: Streams::new(None) }
    }

    /// `bytes` may be the first that are seen of such a connection.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        begins_frames(bytes)
    }

    pub(super) fn role(&self) -> Option<Role> {
        self.streams.role()
    }

    pub(super) fn feed(&mut self, direction: Direction, data: Data<'_>, out: &mut Output<'_>) {
        let half = match direction {
            Direction::Received => &mut self.received,
            Direction::Sent => &mut self.sent,
        };
        match data {
            Data::Gap(missing) => half.gap(direction, missing, &mut self.streams, out),
            Data::Bytes(input) => half.bytes(direction, input, &mut self.streams, out),
        }
    }

    /// The connection is over.
    pub(super) fn finish(&mut self, how: Ended, out: &mut Output<'_>) {
        self.streams.finish(how, out);
    }

    /// A forked process took the connection over: its exchanges go on under new ids.
    pub(super) fn rename(&mut self, out: &mut Output<'_>) {
        self.streams.rename(out);
    }
}

impl Half {
    fn bytes(
        &mut self,
        direction: Direction,
        mut input: &[u8],
        streams: &mut Streams,
        out: &mut Output<'_>,
    ) {
        if self.lost && self.breaks < BREAKS_LIMIT && begins_frames(input) {
            self.lost = false;
            self.frames = FrameReader::new();
            out.counts.resynchronised += 1;
        }
        if self.lost {
            out.counts.skipped_bytes += input.len() as u64;
            return;
        }
        if let Err(error) = self.frames(direction, &mut input, streams, out) {
            tracing::debug!(%error, "malformed HTTP/2");
            out.counts.malformed_messages += 1;
            out.counts.skipped_bytes += input.len() as u64;
            self.breaks += 1;
            out.counts.given_up_connections += u64::from(self.breaks == BREAKS_LIMIT);
            self.lose();
            streams.lose(direction, Ended::Malformed, out);
        }
    }

    fn frames(
        &mut self,
        direction: Direction,
        input: &mut &[u8],
        streams: &mut Streams,
        out: &mut Output<'_>,
    ) -> Result<(), Malformed> {
        if self.preface > 0 {
            let expected = &HTTP2_PREFACE[HTTP2_PREFACE.len() - self.preface..];
            let len = expected.len().min(input.len());
            if input[..len] != expected[..len] {
                return Err(Malformed::Preface);
            }
            self.preface -= len;
            *input = &input[len..];
        }
        while let Some(frame) = self.frames.next(input, out.time)? {
            match frame {
                Frame::Data { .. } if self.block.is_some() => return Err(Malformed::Continuation),
                Frame::Data { header, bytes, last } => {
                    let end_stream = last && header.has(flag::END_STREAM);
                    streams.data(direction, header.stream, bytes, end_stream, out);
                }
                Frame::Whole { header, payload, started } => {
                    let said = whole(&mut self.block, &mut self.hpack, header, payload, started)?;
                    streams.said(direction, said, out);
                }
            }
        }
        Ok(())
    }

    fn gap(
        &mut self,
        direction: Direction,
        missing: u64,
        streams: &mut Streams,
        out: &mut Output<'_>,
    ) {
        if self.lost || self.preface > 0 {
            self.lose();
            return streams.hole(direction, missing, out);
        }
        match self.frames.skip(missing) {
            Skip::Nothing => {}
            Skip::Data { header, last } => {
                let end_stream = last && header.has(flag::END_STREAM);
                streams.data_gap(direction, header.stream, missing, end_stream, out);
            }
            Skip::Whole(header) => {
                if header.kind == kind::RST_STREAM {
                    return streams.lost_reset(header.stream, out);
                }
                if header.kind == kind::GOAWAY {
                    return;
                }
                self.hpack.forget();
                let begun = self.block.take().map_or(header, |block| block.header);
                if !header.has(flag::END_HEADERS) {
                    let (started, bytes) = (out.time, Vec::new());
                    self.block = Some(Block { header: begun, started, bytes, lost: true });
                }
                if begun.kind == kind::HEADERS {
                    let end_stream = begun.has(flag::END_STREAM);
                    streams.lost_fields(direction, begun.stream, missing, end_stream, out);
                }
            }
            Skip::Lost => {
                self.lose();
                streams.hole(direction, missing, out);
            }
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.preface = 0;
        self.hpack.forget();
        self.block = None;
        self.frames = FrameReader::new();
    }
}

/// Reads a frame that came whole.
fn whole(
    block: &mut Option<Block>,
    hpack: &mut hpack::Decoder,
    header: Header,
    payload: &[u8],
    started: Timestamp,
) -> Result<Said, Malformed> {
    // RFC 9113 §6.10: nothing comes between the frames of a header block.
    let is_next = match &*block {
        Some(begun) => header.kind == kind::CONTINUATION && header.stream == begun.header.stream,
        None => header.kind != kind::CONTINUATION,
    };
    if !is_next {
        return Err(Malformed::Continuation);
    }
    let number = |at: usize| {
        payload[at..].first_chunk().map_or(0, |bytes: &[u8; 4]| u32::from_be_bytes(*bytes))
    };
    match header.kind {
        kind::RST_STREAM => return Ok(Said::Reset { stream: header.stream, code: number(0) }),
        kind::GOAWAY => return Ok(Said::GoAway { last_stream: number(0) & 0x7fff_ffff }),
        _ => {}
    }
    let ends = header.has(flag::END_HEADERS);
    let (begun, started, list) = match block {
        None if ends => (header, started, hpack.decode(payload)?),
        None => {
            let bytes = payload.to_vec();
            *block = Some(Block { header, started, bytes, lost: false });
            return Ok(Said::Nothing);
        }
        Some(begun) => {
            if begun.bytes.len() + payload.len() > BLOCK_LIMIT {
                return Err(Malformed::BlockTooLong);
            }
            begun.bytes.extend_from_slice(payload);
            if !ends {
                return Ok(Said::Nothing);
            }
            let Some(begun) = block.take().filter(|begun| !begun.lost) else {
                return Ok(Said::Nothing);
            };
            (begun.header, begun.started, hpack.decode(&begun.bytes)?)
        }
    };
    if begun.kind != kind::HEADERS {
        return Ok(Said::Promise);
    }
    let end_stream = begun.has(flag::END_STREAM);
    Ok(Said::Fields { stream: begun.stream, list, end_stream, started })
}
