//! The chunked transfer coding (RFC 9112 §7.1), byte by byte outside of the chunks' data.
//! Takes the bytes after a head, split anywhere; gives the chunks' data, the trailers and the end.
//! Extensions are passed over. A bare LF ends a line too (RFC 9112 §2.2).

use super::body::{FramingError, Step};
use crate::http::trailers::TRAILER_LIMIT;

/// Bytes of chunk extensions in one message.
const EXTENSIONS_LIMIT: u32 = 16 * 1024;

/// Hexadecimal digits of a chunk's size, leading zeros included.
const SIZE_DIGITS_LIMIT: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Within the size, this many digits so far.
    Size(u8),
    /// Space or tab between the size and what follows it ("bad" whitespace, RFC 9110 §5.6.3).
    Space,
    Extension,
    /// Expects the LF that ends the size line.
    SizeLf,
    Data,
    /// Expects the CR behind the data.
    DataCr,
    DataLf,
    /// At the start of a line of the trailer section.
    TrailerStart,
    Trailer,
    /// Expects the LF that ends the message.
    EndLf,
    End,
}

#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Of the chunk under way: first its size as far as it is read, then the data to come.
    left: u64,
    extensions: u32,
    /// Lines of the trailer section so far.
    trailer: Vec<u8>,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { state: State::Size(0), left: 0, extensions: 0, trailer: Vec::new() }
    }

    /// The next piece of data, or the end, or that `input` is used up.
    ///
    /// # Errors
    /// [`FramingError`]; the decoder must not be used any more.
    pub(super) fn step<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, FramingError> {
        loop {
            match self.state {
                State::End => return Ok(Step::End),
                State::Data if !input.is_empty() => {
                    let len =
                        usize::try_from(self.left).map_or(input.len(), |l| l.min(input.len()));
                    let (data, rest) = input.split_at(len);
                    *input = rest;
                    self.left -= len as u64;
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Step::Data(data));
                }
                _ => {}
            }
            let Some((byte, rest)) = input.split_first() else { return Ok(Step::NeedMore) };
            *input = rest;
            self.state = self.next(*byte)?;
        }
    }

    fn next(&mut self, byte: u8) -> Result<State, FramingError> {
        Ok(match (self.state, byte) {
            (State::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == SIZE_DIGITS_LIMIT {
                    return Err(FramingError::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                // 16 digits of 4 bits fit.
                self.left = self.left << 4 | u64::from(digit);
                State::Size(digits + 1)
            }
            (State::Size(0), _) => return Err(FramingError::ChunkSize),
            (State::Size(_) | State::Space, b' ' | b'\t') => State::Space,
            (State::Size(_) | State::Space, b';') => State::Extension,
            (State::Size(_) | State::Space | State::Extension, b'\r') => State::SizeLf,
            (State::Size(_) | State::Space | State::Extension | State::SizeLf, b'\n') => {
                if self.left == 0 { State::TrailerStart } else { State::Data }
            }
            (State::Size(_) | State::Space | State::SizeLf, _) => {
                return Err(FramingError::ChunkSize);
            }
            (State::Extension, _) => {
                self.extensions += 1;
                if self.extensions > EXTENSIONS_LIMIT {
                    return Err(FramingError::Extensions);
                }
                State::Extension
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataCr | State::DataLf, b'\n') => State::Size(0),
            (State::DataCr | State::DataLf, _) => return Err(FramingError::ChunkEnd),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::EndLf, b'\n') => State::End,
            (State::EndLf, _) => return Err(FramingError::Trailer),
            (State::TrailerStart | State::Trailer, _) => {
                if self.trailer.len() == TRAILER_LIMIT {
                    return Err(FramingError::Trailer);
                }
                self.trailer.push(byte);
                if byte == b'\n' { State::TrailerStart } else { State::Trailer }
            }
            (State::Data | State::End, _) => self.state,
        })
    }

    /// The lines of the trailer section, for once, behind [`Step::End`].
    pub(super) fn take_trailer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailer)
    }

    /// `missing` bytes were not captured. False where they reach beyond the chunk under way, so
    /// that the next chunk can't be found.
    pub(super) fn skip(&mut self, missing: u64) -> bool {
        if self.state != State::Data || missing > self.left {
            return false;
        }
        self.left -= missing;
        if self.left == 0 {
            self.state = State::DataCr;
        }
        true
    }
}

/// `segment` begins with a whole chunk, its length borne out by the end of line behind its data,
/// or is the whole end of a chunked body. For going on in the middle of one, behind a gap.
pub(super) fn begins_chunks(segment: &[u8]) -> bool {
    let mut chunked = Chunked::new();
    let mut rest = segment;
    loop {
        match chunked.step(&mut rest) {
            Ok(Step::Data(_)) => {}
            Ok(Step::End) => return rest.is_empty(),
            Ok(Step::NeedMore) | Err(_) => return false,
        }
        // The chunk's data is there in whole, and so is what ends it.
        if chunked.state == State::DataCr {
            return rest.starts_with(b"\r\n");
        }
    }
}
