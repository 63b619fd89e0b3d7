//! gRPC's messages within a body (gRPC over HTTP/2, "Length-Prefixed-Message").
//! Takes body bytes split anywhere; gives the messages' bytes, compression removed, and their ends.
//! A message is passed on as it comes, so none is too large; its status is in the trailers.

use http::{HeaderMap, HeaderName, header::CONTENT_TYPE};

use super::{Unreadable, coding::Decoder};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes of a message's prefix: a flag, and the length as a big-endian number.
const PREFIX_LEN: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Bytes(&'a [u8]),
    MessageEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Prefix { bytes: [u8; PREFIX_LEN], len: usize },
    Message { left: u32, compressed: bool },
}

const START: State = State::Prefix { bytes: [0; PREFIX_LEN], len: 0 };

#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// For messages that are compressed; an error if the coding is not known.
    decoder: Result<Option<Decoder>, Unreadable>,
}

impl Reader {
    /// `None` where the head's fields are not of a gRPC message.
    pub(super) fn for_headers(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.as_bytes();
        // `application/grpc`, with a `+proto` or a parameter behind it; not `grpc-web`.
        let rest = content_type.strip_prefix(b"application/grpc")?;
        if !matches!(rest, [] | [b'+' | b';' | b' ', ..]) {
            return None;
        }
        let decoder = match headers.get(GRPC_ENCODING) {
            Some(coding) => coding
                .to_str()
                .map_err(|_| Unreadable::UnknownCoding)
                .and_then(|coding| Decoder::for_codings([coding])),
            None => Ok(None),
        };
        Some(Self { state: START, decoder })
    }

    /// Gives to `sink` what `input` holds of messages.
    ///
    /// # Errors
    /// [`Unreadable`]: nothing more can be read of this body. `sink` has what came before.
    pub(super) fn read(
        &mut self,
        mut input: &[u8],
        sink: &mut dyn FnMut(Part<'_>),
    ) -> Result<(), Unreadable> {
        loop {
            match &mut self.state {
                State::Prefix { bytes, len } => {
                    let Some((byte, rest)) = input.split_first() else { return Ok(()) };
                    input = rest;
                    bytes[*len] = *byte;
                    *len += 1;
                    if *len == PREFIX_LEN {
                        let [flag, length @ ..] = *bytes;
                        let compressed = match flag {
                            0 => false,
                            1 => true,
                            _ => return Err(Unreadable::Corrupt),
                        };
                        let left = u32::from_be_bytes(length);
                        self.state = State::Message { left, compressed };
                    }
                }
                State::Message { left, compressed } => {
                    let len = input.len().min(*left as usize);
                    let (bytes, rest) = input.split_at(len);
                    input = rest;
                    *left -= len as u32;
                    let (is_over, compressed) = (*left == 0, *compressed);
                    if compressed {
                        self.decode(bytes, is_over, sink)?;
                    } else if !bytes.is_empty() {
                        sink(Part::Bytes(bytes));
                    }
                    if !is_over {
                        return Ok(());
                    }
                    sink(Part::MessageEnd);
                    self.state = START;
                }
            }
        }
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        is_over: bool,
        sink: &mut dyn FnMut(Part<'_>),
    ) -> Result<(), Unreadable> {
        match &mut self.decoder {
            Ok(Some(decoder)) => {
                decoder.decode(bytes, &mut |decoded| sink(Part::Bytes(decoded)))?;
                if is_over {
                    decoder.finish()?;
                    decoder.restart();
                }
                Ok(())
            }
            // Compressed, though the head names no coding.
            Ok(None) => Err(Unreadable::UnknownCoding),
            Err(reason) => Err(*reason),
        }
    }

    /// `missing` bytes were not captured.
    ///
    /// # Errors
    /// [`Unreadable::Gap`] unless they lie within one message that is not compressed.
    pub(super) fn skip(
        &mut self,
        missing: u64,
        sink: &mut dyn FnMut(Part<'_>),
    ) -> Result<(), Unreadable> {
        let State::Message { left, compressed: false } = &mut self.state else {
            return Err(Unreadable::Gap);
        };
        let rest = u32::try_from(missing).ok().and_then(|missing| left.checked_sub(missing));
        *left = rest.ok_or(Unreadable::Gap)?;
        self.read(&[], sink)
    }

    /// No more bytes will come.
    ///
    /// # Errors
    /// [`Unreadable::Truncated`] in the middle of a message.
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        if self.state == START { Ok(()) } else { Err(Unreadable::Truncated) }
    }
}

#[cfg(test)]
mod tests;
