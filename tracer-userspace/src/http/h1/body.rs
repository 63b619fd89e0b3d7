//! Where a message's body ends (RFC 9112 §6.3), and the step-by-step reading of it.
//! Takes the head's framing fields, then the bytes after the head, split anywhere.
//! Gives the body without its framing, borrowed from what was taken.

use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use super::chunked::Chunked;
use crate::http::open::Side;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum FramingError {
    #[error("Content-Length is no number, or several that differ")]
    ContentLength,
    #[error("request with a Transfer-Encoding that does not end in chunked")]
    TransferEncoding,
    #[error("malformed chunk size")]
    ChunkSize,
    #[error("chunk extensions too long")]
    Extensions,
    #[error("chunk data not followed by the end of its line")]
    ChunkEnd,
    #[error("malformed or too long trailer section")]
    Trailer,
}

#[derive(Debug)]
pub(super) enum Body {
    Length(u64),
    Chunked(Chunked),
    /// The response's body ends with the connection.
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Data(&'a [u8]),
    /// The message is over; what is left of the input belongs to the next.
    End,
    NeedMore,
}

/// What a gap did to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    /// The body goes on behind it.
    Within,
    /// The body ended within it, and so many more bytes are missing.
    Past(u64),
    /// Where the body goes on can't be told.
    Lost,
}

impl Body {
    /// Framing by the header fields, for a message that may have a body.
    ///
    /// # Errors
    /// [`FramingError::ContentLength`], [`FramingError::TransferEncoding`]: the end of the message
    /// is open to interpretation, which is how requests are smuggled.
    pub(super) fn of(side: Side, headers: &HeaderMap) -> Result<Self, FramingError> {
        // RFC 9112 §6.3 rule 3: Transfer-Encoding overrides Content-Length.
        match (last_transfer_coding(headers), side) {
            (Some(last), _) if last.eq_ignore_ascii_case("chunked") => {
                return Ok(Self::Chunked(Chunked::new()));
            }
            // Rule 4.
            (Some(_), Side::Response) => return Ok(Self::UntilClose),
            (Some(_), Side::Request) => return Err(FramingError::TransferEncoding),
            (None, _) => {}
        }
        match (content_length(headers)?, side) {
            (Some(length), _) => Ok(Self::Length(length)),
            (None, Side::Request) => Ok(Self::Length(0)),
            (None, Side::Response) => Ok(Self::UntilClose),
        }
    }

    pub(super) fn step<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, FramingError> {
        match self {
            Self::Chunked(chunked) => chunked.step(input),
            Self::Length(0) => Ok(Step::End),
            _ if input.is_empty() => Ok(Step::NeedMore),
            Self::Length(left) => {
                let len = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                let (data, rest) = input.split_at(len);
                *input = rest;
                *left -= len as u64;
                Ok(Step::Data(data))
            }
            Self::UntilClose => Ok(Step::Data(std::mem::take(input))),
        }
    }

    /// The lines of the trailer section of a body that has ended; of most there are none.
    pub(super) fn take_trailer(&mut self) -> Vec<u8> {
        match self {
            Self::Chunked(chunked) => chunked.take_trailer(),
            Self::Length(_) | Self::UntilClose => Vec::new(),
        }
    }

    /// `missing` bytes were not captured.
    pub(super) fn skip(&mut self, missing: u64) -> Skip {
        match self {
            Self::Length(left) => match missing.checked_sub(*left) {
                None | Some(0) => {
                    *left -= missing;
                    Skip::Within
                }
                Some(more) => {
                    *left = 0;
                    Skip::Past(more)
                }
            },
            Self::Chunked(chunked) => match chunked.skip(missing) {
                true => Skip::Within,
                false => Skip::Lost,
            },
            Self::UntilClose => Skip::Within,
        }
    }
}

/// The coding applied last, `None` where there is none but the obsolete `identity`.
fn last_transfer_coding(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get_all(TRANSFER_ENCODING).iter().next_back()?;
    // A value that is no text is some coding, and not chunked.
    let last = value.to_str().unwrap_or("?").rsplit(',').next().unwrap_or("").trim();
    (!last.eq_ignore_ascii_case("identity")).then_some(last)
}

/// RFC 9112 §6.3 rule 5: a list is tolerated if all its values are the same.
pub(in crate::http) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, FramingError> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let list = value.to_str().map_err(|_| FramingError::ContentLength)?;
        for member in list.split(',').map(str::trim) {
            // `parse` would take a plus sign.
            if !member.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(FramingError::ContentLength);
            }
            let value: u64 = member.parse().map_err(|_| FramingError::ContentLength)?;
            if length.is_some_and(|length| length != value) {
                return Err(FramingError::ContentLength);
            }
            length = Some(value);
        }
    }
    Ok(length)
}
