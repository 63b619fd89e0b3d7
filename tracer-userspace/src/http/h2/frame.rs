//! HTTP/2 frames (RFC 9113 §4, §6), read as they come.
//! Takes the bytes of one direction split anywhere; gives DATA piece by piece, without copying,
//! and the frames that carry header blocks or control streams whole. All others are passed over.

use crate::capture::Timestamp;

/// Bytes of a frame's header (§4.1).
const HEADER_LEN: usize = 9;

/// Payload of a frame that has to be read whole. Peers accept 16 KiB unless they say otherwise
/// (§6.5.2, `SETTINGS_MAX_FRAME_SIZE`), and header lists are 8 KiB to 64 KiB at most servers.
const WHOLE_LIMIT: u32 = 256 * 1024;

/// Largest payload that a frame has as long as nobody allowed more (§4.2).
const DEFAULT_MAX_FRAME: u32 = 16 * 1024;

pub(super) mod kind {
    pub(in crate::http::h2) const DATA: u8 = 0;
    pub(in crate::http::h2) const HEADERS: u8 = 1;
    pub(in crate::http::h2) const PRIORITY: u8 = 2;
    pub(in crate::http::h2) const RST_STREAM: u8 = 3;
    pub(in crate::http::h2) const SETTINGS: u8 = 4;
    pub(in crate::http::h2) const PUSH_PROMISE: u8 = 5;
    pub(in crate::http::h2) const PING: u8 = 6;
    pub(in crate::http::h2) const GOAWAY: u8 = 7;
    pub(in crate::http::h2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::http::h2) const CONTINUATION: u8 = 9;
}

pub(super) mod flag {
    pub(in crate::http::h2) const END_STREAM: u8 = 0x1;
    pub(in crate::http::h2) const END_HEADERS: u8 = 0x4;
    pub(in crate::http::h2) const PADDED: u8 = 0x8;
    pub(in crate::http::h2) const PRIORITY: u8 = 0x20;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("frame of {0} bytes that has to be read whole")]
    TooLong(u32),
    #[error("padding longer than its frame")]
    Padding,
    #[error("frame type {0} of a wrong length, or on a wrong stream")]
    Shape(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the payload.
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Header {
    fn parse(bytes: [u8; HEADER_LEN]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        Self {
            len: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            // The highest bit is reserved and ignored.
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of the payload before the header block: the length of the padding, then the priority or
    /// the number of the promised stream (§6.2, §6.6).
    pub(super) fn before_block(&self) -> usize {
        let padding = usize::from(self.has(flag::PADDED));
        match self.kind {
            kind::PUSH_PROMISE => padding + 4,
            kind::HEADERS if self.has(flag::PRIORITY) => padding + 5,
            kind::HEADERS => padding,
            _ => 0,
        }
    }

    /// Length and stream are such as §6 demands of the frame's type.
    fn is_well_formed(&self) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            kind::DATA | kind::HEADERS | kind::CONTINUATION => on_stream,
            kind::PRIORITY => on_stream && self.len == 5,
            kind::RST_STREAM => on_stream && self.len == 4,
            kind::SETTINGS => !on_stream && self.len.is_multiple_of(6),
            kind::PUSH_PROMISE => on_stream && self.len >= 4,
            kind::PING => !on_stream && self.len == 8,
            kind::GOAWAY => !on_stream && self.len >= 8,
            kind::WINDOW_UPDATE => self.len == 4,
            _ => true, // §5.5: unknown types are ignored
        }
    }
}

/// `bytes` are, as far as they go, a run of frames of known types, with the flags and lengths of
/// their types. For finding a frame's start in the middle of a connection; at least one header.
pub(super) fn begins_frames(mut bytes: &[u8]) -> bool {
    if bytes.len() < HEADER_LEN {
        return false;
    }
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let is_reserved_clear = header[5] & 0x80 == 0;
        let header = Header::parse(*header);
        let known_flags = match header.kind {
            kind::DATA => flag::END_STREAM | flag::PADDED,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            kind::PUSH_PROMISE => flag::END_HEADERS | flag::PADDED,
            kind::CONTINUATION => flag::END_HEADERS,
            // Bit 0 is ACK.
            kind::SETTINGS | kind::PING => 1,
            kind::PRIORITY | kind::RST_STREAM | kind::GOAWAY | kind::WINDOW_UPDATE => 0,
            _ => return false,
        };
        if !is_reserved_clear
            || header.flags & !known_flags != 0
            || header.len > DEFAULT_MAX_FRAME
            || !header.is_well_formed()
        {
            return false;
        }
        bytes = rest.get(header.len as usize..).unwrap_or(&[]);
    }
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// Some of a DATA frame; `last` once the frame is over, padding included.
    Data { header: Header, bytes: &'a [u8], last: bool },
    /// A frame of the types that matter. `started` is when its first byte passed.
    Whole { header: Header, payload: &'a [u8], started: Timestamp },
}

/// What a gap did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    /// Within a frame that does not matter.
    Nothing,
    /// Within this DATA frame; `last` if up to its end.
    Data { header: Header, last: bool },
    /// Within this frame that has to be read whole.
    Whole(Header),
    /// Where the next frame begins can't be told.
    Lost,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header {
        bytes: [u8; HEADER_LEN],
        len: usize,
    },
    /// The first payload byte of a padded DATA frame is next.
    PadLength(Header),
    /// `left` bytes of the payload to come, the last `padding` of them padding.
    Data {
        header: Header,
        left: u32,
        padding: u32,
    },
    /// Collects the payload.
    Whole(Header),
    Skip {
        left: u32,
    },
}

const START: State = State::Header { bytes: [0; HEADER_LEN], len: 0 };

#[derive(Clone, Debug)]
pub(super) struct FrameReader {
    state: State,
    /// When the first byte of the frame under way passed.
    started: Timestamp,
    /// Payload of a frame that came in several parts.
    payload: Vec<u8>,
}

impl FrameReader {
    pub(super) fn new() -> Self {
        Self { state: START, started: Timestamp::default(), payload: Vec::new() }
    }

    /// The next frame, or piece of one; `None` when `input`, which passed at `time`, is used up.
    ///
    /// # Errors
    /// [`FrameError`]: no frame can be found any more.
    pub(super) fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        time: Timestamp,
    ) -> Result<Option<Frame<'a>>, FrameError> {
        loop {
            match &mut self.state {
                State::Header { bytes, len } => {
                    if *len == 0 {
                        self.started = time;
                        self.payload = Vec::new();
                    }
                    let part = take(input, HEADER_LEN - *len);
                    bytes[*len..*len + part.len()].copy_from_slice(part);
                    *len += part.len();
                    if *len < HEADER_LEN {
                        return Ok(None);
                    }
                    self.state = payload_of(Header::parse(*bytes))?;
                }
                State::PadLength(header) => {
                    let [padding] = take(input, 1) else { return Ok(None) };
                    let (left, padding) = (header.len - 1, u32::from(*padding));
                    if padding > left {
                        return Err(FrameError::Padding);
                    }
                    self.state = State::Data { header: *header, left, padding };
                }
                State::Data { header, left, padding } => {
                    if input.is_empty() && *left > 0 {
                        return Ok(None);
                    }
                    let header = *header;
                    let bytes = take(input, (*left - *padding) as usize);
                    *left -= bytes.len() as u32;
                    if *left == *padding {
                        *left -= take(input, *left as usize).len() as u32;
                        *padding = *left;
                    }
                    let last = *left == 0;
                    if last {
                        self.state = START;
                    }
                    return Ok(Some(Frame::Data { header, bytes, last }));
                }
                State::Skip { left } => {
                    *left -= take(input, *left as usize).len() as u32;
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = START;
                }
                State::Whole(header) => {
                    let (header, len) = (*header, header.len as usize);
                    let part = take(input, len - self.payload.len());
                    let is_here = self.payload.is_empty() && part.len() == len;
                    if !is_here {
                        self.payload.extend_from_slice(part);
                        if self.payload.len() < len {
                            return Ok(None);
                        }
                    }
                    self.state = START;
                    let payload = if is_here { part } else { &self.payload };
                    let payload = without_padding(header, payload)?;
                    return Ok(Some(Frame::Whole { header, payload, started: self.started }));
                }
            }
        }
    }

    /// Payload taken so far of the frame under way, if that is one to be read whole.
    pub(super) fn gathered(&self) -> usize {
        if let State::Whole(_) = self.state { self.payload.len() } else { 0 }
    }

    /// `missing` bytes were not captured.
    pub(super) fn skip(&mut self, missing: u64) -> Skip {
        let left = match &self.state {
            State::Header { .. } | State::PadLength(_) => return Skip::Lost,
            State::Data { left, .. } | State::Skip { left } => *left,
            State::Whole(header) => header.len - self.payload.len() as u32,
        };
        let Some(left) = u32::try_from(missing).ok().and_then(|gap| left.checked_sub(gap)) else {
            return Skip::Lost;
        };
        let last = left == 0;
        let next = |state| if last { START } else { state };
        match self.state {
            State::Data { header, padding, .. } => {
                let padding = padding.min(left);
                self.state = next(State::Data { header, left, padding });
                Skip::Data { header, last }
            }
            State::Whole(header) => {
                self.state = next(State::Skip { left });
                Skip::Whole(header)
            }
            _ => {
                self.state = next(State::Skip { left });
                Skip::Nothing
            }
        }
    }
}

fn payload_of(header: Header) -> Result<State, FrameError> {
    if !header.is_well_formed() {
        return Err(FrameError::Shape(header.kind));
    }
    Ok(match header.kind {
        kind::DATA if header.has(flag::PADDED) && header.len > 0 => State::PadLength(header),
        kind::DATA if header.has(flag::PADDED) => return Err(FrameError::Padding),
        kind::DATA => State::Data { header, left: header.len, padding: 0 },
        kind::HEADERS
        | kind::PUSH_PROMISE
        | kind::CONTINUATION
        | kind::RST_STREAM
        | kind::GOAWAY => {
            if header.len > WHOLE_LIMIT {
                return Err(FrameError::TooLong(header.len));
            }
            State::Whole(header)
        }
        _ => State::Skip { left: header.len },
    })
}

/// Removes what stands around a header block (§6.2, §6.6).
fn without_padding(header: Header, payload: &[u8]) -> Result<&[u8], FrameError> {
    let mut end = payload.len();
    if matches!(header.kind, kind::HEADERS | kind::PUSH_PROMISE) && header.has(flag::PADDED) {
        let padding = payload.first().ok_or(FrameError::Padding)?;
        end = end.checked_sub(usize::from(*padding)).ok_or(FrameError::Padding)?;
    }
    payload.get(header.before_block()..end).ok_or(FrameError::Padding)
}

/// At most `len` bytes off the front.
fn take<'i>(input: &mut &'i [u8], len: usize) -> &'i [u8] {
    let (part, rest) = input.split_at(len.min(input.len()));
    *input = rest;
    part
}
