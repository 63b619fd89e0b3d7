//! One content coding, one bounded step at a time, over the libraries that know it.
//! Takes coded bytes; appends what they decode to and says whether there is more.
//! gzip is in [`super::gzip`], since it may have several members.

use std::fmt;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::{
    stream::raw::{DParameter, Decoder as ZstdDecoder, Operation},
    zstd_safe::{InBuffer, OutBuffer},
};

use super::{gzip::Gzip, matches_any};
use crate::http::Unreadable;

/// Decoded bytes a step.
const STEP: usize = 16 * 1024;

/// Largest window of zstd as a content coding, 8 MiB (RFC 9659 §3), as a power of two.
const ZSTD_WINDOW_LOG: u32 = 23;

pub(super) struct Step {
    /// Coded bytes taken.
    pub(super) read: usize,
    /// An error comes after what the step has given.
    pub(super) state: Result<State, Unreadable>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// All that the bytes read so far decode to has been given.
    Drained,
    /// A step without input would give more.
    MoreOutput,
    /// The coding came to its end; what follows is not of it.
    Finished,
}

pub(super) enum Codec {
    Gzip(Box<Gzip>),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "gzip",
            Self::Deflate(_) => "deflate",
            Self::Brotli(_) => "br",
            Self::Zstd(_) => "zstd",
        })
    }
}

impl Codec {
    /// By its name in the IANA content coding registry.
    pub(super) fn named(name: &str) -> Option<Self> {
        if matches_any(name, &["gzip", "x-gzip"]) {
            Some(Self::Gzip(Box::new(Gzip::new())))
        } else if matches_any(name, &["deflate"]) {
            Some(Self::Deflate(Deflate::Undecided(None)))
        } else if matches_any(name, &["br"]) {
            Some(Self::Brotli(Box::new(Brotli::new())))
        } else if matches_any(name, &["zstd"]) {
            Zstd::new().map(Self::Zstd)
        } else {
            None
        }
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Step {
        match self {
            Self::Gzip(codec) => codec.step(input, out),
            Self::Deflate(codec) => codec.step(input, out),
            Self::Brotli(codec) => codec.step(input, out),
            Self::Zstd(codec) => codec.step(input, out),
        }
    }

    /// The next input is a coding's beginning.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Gzip(codec) => **codec = Gzip::new(),
            Self::Deflate(codec) => *codec = Deflate::Undecided(None),
            Self::Brotli(codec) => **codec = Brotli::new(),
            Self::Zstd(codec) => codec.restart(),
        }
    }

    /// No more input will come.
    pub(super) fn finish(&mut self) -> Result<(), Unreadable> {
        let whole = match self {
            Self::Gzip(codec) => return codec.finish(),
            Self::Deflate(codec) => matches!(codec, Deflate::Finished),
            Self::Brotli(codec) => codec.finished,
            Self::Zstd(codec) => codec.frames > 0 && !codec.in_frame,
        };
        if whole { Ok(()) } else { Err(Unreadable::Truncated) }
    }
}

/// `deflate`: the zlib format (RFC 9110 §8.4.1.2), or raw deflate, which some servers send for it.
pub(super) enum Deflate {
    /// The two formats differ in the first two bytes: this is the first of them.
    Undecided(Option<u8>),
    Inflating(Decompress),
    Finished,
}

impl Deflate {
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Step {
        match self {
            Self::Undecided(first) => {
                let (first, second, read) = match (*first, input) {
                    (_, []) => return Step { read: 0, state: Ok(State::Drained) },
                    (None, [byte]) => {
                        *first = Some(*byte);
                        return Step { read: 1, state: Ok(State::Drained) };
                    }
                    (None, [first, second, ..]) => (*first, *second, 2),
                    (Some(first), [second, ..]) => (first, *second, 1),
                };
                let mut inflate = Decompress::new(is_zlib_header(first, second));
                let state = inflate_step(&mut inflate, &[first, second], out).state;
                *self = Self::Inflating(inflate);
                self.settle(Step { read, state })
            }
            Self::Inflating(inflate) => {
                let step = inflate_step(inflate, input, out);
                self.settle(step)
            }
            Self::Finished => Step { read: input.len(), state: Ok(State::Finished) },
        }
    }

    fn settle(&mut self, step: Step) -> Step {
        if step.state == Ok(State::Finished) {
            *self = Self::Finished;
        }
        step
    }
}

/// RFC 1950 §2.2: method 8, window of 32 KiB at most, header divisible by 31.
fn is_zlib_header(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

fn inflate_step(inflate: &mut Decompress, input: &[u8], out: &mut Vec<u8>) -> Step {
    let (read_before, written_before) = (inflate.total_in(), inflate.total_out());
    out.resize(STEP, 0);
    let status = inflate.decompress(input, out, FlushDecompress::None);
    // Both differences are at most the lengths of the slices given.
    out.truncate((inflate.total_out() - written_before) as usize);
    let state = match status {
        Ok(Status::StreamEnd) => Ok(State::Finished),
        Ok(_) if out.len() == STEP => Ok(State::MoreOutput),
        Ok(_) => Ok(State::Drained),
        Err(_) => Err(Unreadable::Corrupt),
    };
    Step { read: (inflate.total_in() - read_before) as usize, state }
}

/// `br` (RFC 7932).
pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    finished: bool,
}

impl Brotli {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        Self { state, finished: false }
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Step {
        if self.finished {
            return Step { read: input.len(), state: Ok(State::Finished) };
        }
        out.resize(STEP, 0);
        let (mut available_in, mut read) = (input.len(), 0);
        let (mut available_out, mut written, mut total) = (STEP, 0, 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut read,
            input,
            &mut available_out,
            &mut written,
            out,
            &mut total,
            &mut self.state,
        );
        out.truncate(written);
        let state = match result {
            BrotliResult::ResultSuccess => {
                self.finished = true;
                Ok(State::Finished)
            }
            BrotliResult::NeedsMoreInput => Ok(State::Drained),
            BrotliResult::NeedsMoreOutput => Ok(State::MoreOutput),
            BrotliResult::ResultFailure => Err(Unreadable::Corrupt),
        };
        Step { read, state }
    }
}

/// `zstd` (RFC 8878): one frame or more.
pub(super) struct Zstd {
    decoder: ZstdDecoder<'static>,
    frames: u64,
    /// The frame under way has given bytes, so it must end.
    in_frame: bool,
}

impl Zstd {
    /// `None` where the library has no memory for it.
    fn new() -> Option<Self> {
        let mut decoder = ZstdDecoder::new().ok()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
        Some(Self { decoder, frames: 0, in_frame: false })
    }

    fn restart(&mut self) {
        // Resetting a session can't fail; if it did, the next step would.
        let _ = self.decoder.reinit();
        (self.frames, self.in_frame) = (0, false);
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Step {
        out.resize(STEP, 0);
        let mut source = InBuffer::around(input);
        let (result, written) = {
            let mut target = OutBuffer::around(out.as_mut_slice());
            (self.decoder.run(&mut source, &mut target), target.pos())
        };
        let read = source.pos();
        out.truncate(written);
        let state = match result {
            Ok(0) => {
                self.frames += 1;
                self.in_frame = false;
                Ok(State::Drained)
            }
            Ok(_) => {
                self.in_frame |= written > 0;
                Ok(if written == STEP { State::MoreOutput } else { State::Drained })
            }
            // Bytes behind a whole frame that begin no other.
            Err(_) if self.frames > 0 && !self.in_frame => {
                return Step { read: input.len(), state: Ok(State::Finished) };
            }
            Err(_) => Err(Unreadable::Corrupt),
        };
        Step { read, state }
    }
}
