//! WebSocket frames (RFC 6455 §5.2), read as they come and unmasked.
//! Takes the bytes of one direction split anywhere; gives headers, pieces of payload, ends.
//! Unmasked payload is borrowed from what was taken; masked goes through a buffer of fixed size.

/// Bytes of the longest header: two, eight of length, four of mask.
const HEADER_LIMIT: usize = 14;

/// Longest payload of a control frame (§5.5).
const CONTROL_LIMIT: u64 = 125;

/// Payload bytes that are unmasked at a time.
const UNMASKED_STEP: usize = 4096;

pub(super) mod opcode {
    pub(in crate::http::ws) const CONTINUATION: u8 = 0;
    pub(in crate::http::ws) const TEXT: u8 = 1;
    pub(in crate::http::ws) const BINARY: u8 = 2;
    pub(in crate::http::ws) const CLOSE: u8 = 8;
    pub(in crate::http::ws) const PING: u8 = 9;
    pub(in crate::http::ws) const PONG: u8 = 10;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("reserved opcode {0}")]
    Opcode(u8),
    #[error("reserved bits without an extension that gives them meaning")]
    Reserved,
    #[error("control frame in fragments, compressed or too long")]
    Control,
    #[error("length beyond 63 bits")]
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    /// RSV1 (RFC 7692 §6).
    pub(super) compressed: bool,
    pub(super) opcode: u8,
    len: u64,
    mask: [u8; 4],
}

impl Header {
    pub(super) fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }

    /// Bytes of the whole header, as soon as the first two are there.
    fn wire_len(bytes: &[u8]) -> Option<usize> {
        let length = match bytes.get(1)? & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if bytes[1] & 0x80 != 0 { 4 } else { 0 };
        Some(2 + length + mask)
    }

    fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        let (first, second) = (bytes[0], bytes[1]);
        let (len, mask) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([bytes[2], bytes[3]])), &bytes[4..]),
            127 => {
                let len = bytes[2..].first_chunk().map_or(0, |len| u64::from_be_bytes(*len));
                (len, &bytes[10..])
            }
            len => (u64::from(len), &bytes[2..]),
        };
        let header = Self {
            fin: first & 0x80 != 0,
            compressed: first & 0x40 != 0,
            opcode: first & 0x0f,
            len,
            mask: mask.first_chunk().copied().unwrap_or_default(),
        };
        if first & 0x30 != 0 {
            return Err(FrameError::Reserved);
        }
        if len >> 63 != 0 {
            return Err(FrameError::Length);
        }
        match header.opcode {
            opcode::CONTINUATION | opcode::TEXT | opcode::BINARY => Ok(header),
            opcode::CLOSE | opcode::PING | opcode::PONG => {
                let is_well_formed = header.fin && !header.compressed && len <= CONTROL_LIMIT;
                if is_well_formed { Ok(header) } else { Err(FrameError::Control) }
            }
            other => Err(FrameError::Opcode(other)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Header(Header),
    Payload(Header, &'a [u8]),
    End(Header),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header {
        bytes: [u8; HEADER_LIMIT],
        len: usize,
    },
    /// `done` bytes of the payload have passed.
    Payload {
        header: Header,
        done: u64,
    },
}

const START: State = State::Header { bytes: [0; HEADER_LIMIT], len: 0 };

#[derive(Debug)]
pub(super) struct FrameReader {
    state: State,
    unmasked: Vec<u8>,
}

impl FrameReader {
    pub(super) fn new() -> Self {
        Self { state: START, unmasked: Vec::new() }
    }

    /// The next piece; `None` when `input` is used up.
    ///
    /// # Errors
    /// [`FrameError`]: by §7.1.7 the connection is failed.
    pub(super) fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Piece<'a>>, FrameError> {
        loop {
            match &mut self.state {
                State::Header { bytes, len } => {
                    let Some((byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    bytes[*len] = *byte;
                    *len += 1;
                    if Header::wire_len(&bytes[..*len]) == Some(*len) {
                        let header = Header::parse(&bytes[..*len])?;
                        self.state = State::Payload { header, done: 0 };
                        return Ok(Some(Piece::Header(header)));
                    }
                }
                State::Payload { header, done } if *done == header.len => {
                    let header = *header;
                    self.state = START;
                    return Ok(Some(Piece::End(header)));
                }
                State::Payload { header, done } => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let header = *header;
                    let left = usize::try_from(header.len - *done).unwrap_or(usize::MAX);
                    let is_masked = header.mask != [0; 4];
                    let step = if is_masked { UNMASKED_STEP } else { usize::MAX };
                    let (part, rest) = input.split_at(left.min(step).min(input.len()));
                    *input = rest;
                    let at = *done;
                    *done += part.len() as u64;
                    if !is_masked {
                        return Ok(Some(Piece::Payload(header, part)));
                    }
                    unmask(part, header.mask, at, &mut self.unmasked);
                    return Ok(Some(Piece::Payload(header, &self.unmasked)));
                }
            }
        }
    }

    /// `missing` payload bytes of the frame under way were not captured: which it is, or `None`
    /// where they reach beyond it.
    pub(super) fn skip(&mut self, missing: u64) -> Option<Header> {
        let State::Payload { header, done } = &mut self.state else { return None };
        let after = done.checked_add(missing).filter(|after| *after <= header.len)?;
        *done = after;
        Some(*header)
    }
}

/// §5.3; `at` is the position of `bytes` in the frame's payload.
fn unmask(bytes: &[u8], mask: [u8; 4], at: u64, out: &mut Vec<u8>) {
    let mut mask = mask;
    mask.rotate_left((at % 4) as usize);
    out.clear();
    out.extend(bytes.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
}
