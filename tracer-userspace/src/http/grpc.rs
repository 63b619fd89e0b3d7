//! gRPC's messages within a body (gRPC over HTTP/2, "Length-Prefixed-Message"; gRPC-web).
//! Takes body bytes split anywhere; gives the messages' bytes, compression removed, and their ends.
//! A message is passed on as it comes, so none is too large; its status is in the trailers.

mod base64;

use http::{HeaderMap, HeaderName, header::CONTENT_TYPE};

use self::base64::Base64;
use super::{
    Unreadable,
    coding::Decoder,
    trailers::{self, TRAILER_LIMIT},
};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes of a message's prefix: a flag, and the length as a big-endian number.
const PREFIX_LEN: usize = 5;

/// Bits of the flag. The second is gRPC-web's alone: the trailers follow, as lines.
const COMPRESSED: u8 = 0x01;
const TRAILERS: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Bytes(&'a [u8]),
    MessageEnd,
    /// gRPC-web's last frame. So many of its fields can't be told.
    Trailers {
        fields: &'a HeaderMap,
        unknown: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Prefix { bytes: [u8; PREFIX_LEN], len: usize },
    Message { left: u32, flags: u8 },
}

const START: State = State::Prefix { bytes: [0; PREFIX_LEN], len: 0 };

#[derive(Debug)]
pub(super) struct Reader {
    /// The frames are written in base64.
    base64: Option<Base64>,
    frames: Frames,
}

#[derive(Debug)]
struct Frames {
    state: State,
    is_web: bool,
    /// For messages that are compressed; an error if the coding is not known.
    decoder: Result<Option<Decoder>, Unreadable>,
    /// Lines of the trailers so far.
    trailer: Vec<u8>,
}

impl Reader {
    /// `None` where the head's fields are not of a gRPC message.
    pub(super) fn for_headers(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.as_bytes();
        // With a `+proto` or a parameter behind it.
        let end = content_type.iter().position(|byte| matches!(byte, b'+' | b';' | b' '));
        let (is_web, is_text) = match &content_type[..end.unwrap_or(content_type.len())] {
            b"application/grpc" => (false, false),
            b"application/grpc-web" => (true, false),
            b"application/grpc-web-text" => (true, true),
            _ => return None,
        };
        let decoder = match headers.get(GRPC_ENCODING) {
            Some(coding) => coding
                .to_str()
                .map_err(|_| Unreadable::UnknownCoding)
                .and_then(|coding| Decoder::for_codings([coding])),
            None => Ok(None),
        };
        let frames = Frames { state: START, is_web, decoder, trailer: Vec::new() };
        Some(Self { base64: is_text.then(Base64::default), frames })
    }

    /// Gives to `sink` what `input` holds of messages.
    ///
    /// # Errors
    /// [`Unreadable`]: nothing more can be read of this body. `sink` has what came before.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        sink: &mut dyn FnMut(Part<'_>),
    ) -> Result<(), Unreadable> {
        match &mut self.base64 {
            Some(base64) => {
                let (bytes, result) = base64.decode(input);
                self.frames.read(bytes, sink)?;
                result
            }
            None => self.frames.read(input, sink),
        }
    }

    /// `missing` bytes were not captured.
    ///
    /// # Errors
    /// [`Unreadable::Gap`] unless they lie within one message that is not coded.
    pub(super) fn skip(
        &mut self,
        missing: u64,
        sink: &mut dyn FnMut(Part<'_>),
    ) -> Result<(), Unreadable> {
        match (&self.base64, &mut self.frames.state) {
            (None, State::Message { left, flags: 0 }) => {
                let rest =
                    u32::try_from(missing).ok().and_then(|missing| left.checked_sub(missing));
                *left = rest.ok_or(Unreadable::Gap)?;
                self.frames.read(&[], sink)
            }
            _ => Err(Unreadable::Gap),
        }
    }

    /// No more bytes will come.
    ///
    /// # Errors
    /// [`Unreadable::Truncated`] in the middle of a message.
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        let is_whole = self.base64.as_ref().is_none_or(Base64::is_whole);
        if is_whole && self.frames.state == START { Ok(()) } else { Err(Unreadable::Truncated) }
    }
}

impl Frames {
    fn read(&mut self, mut input: &[u8], sink: &mut dyn FnMut(Part<'_>)) -> Result<(), Unreadable> {
        loop {
            match &mut self.state {
                State::Prefix { bytes, len } => {
                    let Some((byte, rest)) = input.split_first() else { return Ok(()) };
                    input = rest;
                    bytes[*len] = *byte;
                    *len += 1;
                    if *len == PREFIX_LEN {
                        let [flags, length @ ..] = *bytes;
                        let known = if self.is_web { COMPRESSED | TRAILERS } else { COMPRESSED };
                        if flags & !known != 0 {
                            return Err(Unreadable::Corrupt);
                        }
                        self.state = State::Message { left: u32::from_be_bytes(length), flags };
                    }
                }
                State::Message { left, flags } => {
                    let len = input.len().min(*left as usize);
                    let (bytes, rest) = input.split_at(len);
                    input = rest;
                    *left -= len as u32;
                    let (is_over, flags) = (*left == 0, *flags);
                    self.message(bytes, is_over, flags, sink)?;
                    if !is_over {
                        return Ok(());
                    }
                    self.state = START;
                }
            }
        }
    }

    /// Bytes of a message, or of the trailers.
    fn message(
        &mut self,
        bytes: &[u8],
        is_over: bool,
        flags: u8,
        sink: &mut dyn FnMut(Part<'_>),
    ) -> Result<(), Unreadable> {
        let Self { decoder, trailer, .. } = self;
        let is_compressed = flags & COMPRESSED != 0;
        if flags & TRAILERS == 0 {
            decode(decoder, bytes, is_compressed, is_over, &mut |part| sink(Part::Bytes(part)))?;
            if is_over {
                sink(Part::MessageEnd);
            }
            return Ok(());
        }
        let mut is_too_long = false;
        decode(decoder, bytes, is_compressed, is_over, &mut |part| {
            is_too_long |= trailer.len() + part.len() > TRAILER_LIMIT;
            if !is_too_long {
                trailer.extend_from_slice(part);
            }
        })?;
        if is_too_long {
            return Err(Unreadable::Corrupt);
        }
        if is_over {
            let (fields, unknown) = trailers::parse(std::mem::take(trailer));
            sink(Part::Trailers { fields: &fields, unknown });
        }
        Ok(())
    }
}

/// Gives to `sink` what bytes of a message stand for.
fn decode(
    decoder: &mut Result<Option<Decoder>, Unreadable>,
    bytes: &[u8],
    is_compressed: bool,
    is_over: bool,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Unreadable> {
    if !is_compressed {
        if !bytes.is_empty() {
            sink(bytes);
        }
        return Ok(());
    }
    match decoder {
        Ok(Some(decoder)) => {
            decoder.decode(bytes, sink)?;
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

#[cfg(test)]
mod tests;
