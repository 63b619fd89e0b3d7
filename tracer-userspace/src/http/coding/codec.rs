//! One content coding, one bounded step at a time, over the libraries that know it.
//! Takes coded bytes; holds what they decode to until the next step, and says if there is more.
//! gzip is in [`super::gzip`], since it may have several members.

use std::fmt;

use brotli_decompressor::{
    BrotliDecoderHasMoreOutput, BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc,
};
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

/// Room for one step's output.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// Bytes that the last step gave.
    len: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; STEP], len: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn is_full(&self) -> bool {
        self.len == self.bytes.len()
    }
}

/// A content coding that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
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

impl Coding {
    /// By its name in the IANA content coding registry.
    pub(super) fn named(name: &str) -> Option<Self> {
        if matches_any(name, &["gzip", "x-gzip"]) {
            Some(Self::Gzip)
        } else if matches_any(name, &["deflate"]) {
            Some(Self::Deflate)
        } else if matches_any(name, &["br"]) {
            Some(Self::Brotli)
        } else if matches_any(name, &["zstd"]) {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// `None` where the library has no memory for it.
    pub(super) fn codec(self) -> Option<Codec> {
        Some(match self {
            Self::Gzip => Codec::Gzip(Box::new(Gzip::new())),
            Self::Deflate => Codec::Deflate(Deflate::new()),
            Self::Brotli => Codec::Brotli(Box::new(Brotli::new())),
            Self::Zstd => Codec::Zstd(Zstd::new()?),
        })
    }
}

impl Codec {
    pub(super) fn step(&mut self, input: &[u8]) -> Step {
        match self {
            Self::Gzip(codec) => codec.step(input),
            Self::Deflate(codec) => codec.step(input),
            Self::Brotli(codec) => codec.step(input),
            Self::Zstd(codec) => codec.step(input),
        }
    }

    /// What the last step gave.
    pub(super) fn output(&self) -> &[u8] {
        match self {
            Self::Gzip(codec) => codec.output(),
            Self::Deflate(codec) => codec.out.output(),
            Self::Brotli(codec) => codec.out.output(),
            Self::Zstd(codec) => codec.out.output(),
        }
    }

    /// The next input is a coding's beginning.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Gzip(codec) => codec.restart(),
            Self::Deflate(codec) => codec.format = Format::Undecided(None),
            Self::Brotli(codec) => **codec = Brotli::new(),
            Self::Zstd(codec) => codec.restart(),
        }
    }

    /// No more input will come.
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        let whole = match self {
            Self::Gzip(codec) => return codec.finish(),
            Self::Deflate(codec) => matches!(codec.format, Format::Finished),
            Self::Brotli(codec) => codec.finished,
            Self::Zstd(codec) => codec.is_finished(),
        };
        if whole { Ok(()) } else { Err(Unreadable::Truncated) }
    }
}

/// `deflate`: the zlib format (RFC 9110 §8.4.1.2), or raw deflate, which some servers send for it.
pub(super) struct Deflate {
    format: Format,
    /// Kept from message to message: it holds a window of 32 KiB.
    inflate: Option<Decompress>,
    out: Buffer,
}

enum Format {
    /// The two formats differ in the first two bytes: this is the first of them.
    Undecided(Option<u8>),
    Inflating,
    Finished,
}

impl Deflate {
    fn new() -> Self {
        Self { format: Format::Undecided(None), inflate: None, out: Buffer::new() }
    }

    fn step(&mut self, input: &[u8]) -> Step {
        self.out.len = 0;
        let step = match &mut self.format {
            Format::Undecided(first) => {
                let (first, second, read) = match (*first, input) {
                    (_, []) => return Step { read: 0, state: Ok(State::Drained) },
                    (None, [byte]) => {
                        *first = Some(*byte);
                        return Step { read: 1, state: Ok(State::Drained) };
                    }
                    (None, [first, second, ..]) => (*first, *second, 2),
                    (Some(first), [second, ..]) => (first, *second, 1),
                };
                let zlib = is_zlib_header(first, second);
                let inflate = match &mut self.inflate {
                    Some(inflate) => {
                        inflate.reset(zlib);
                        inflate
                    }
                    none => none.insert(Decompress::new(zlib)),
                };
                let state = inflate_step(inflate, &[first, second], &mut self.out).state;
                self.format = Format::Inflating;
                Step { read, state }
            }
            Format::Inflating => match &mut self.inflate {
                Some(inflate) => inflate_step(inflate, input, &mut self.out),
                None => Step { read: 0, state: Err(Unreadable::Corrupt) },
            },
            Format::Finished => Step { read: input.len(), state: Ok(State::Finished) },
        };
        if step.state == Ok(State::Finished) {
            self.format = Format::Finished;
        }
        step
    }
}

/// RFC 1950 §2.2: method 8, window of 32 KiB at most, header divisible by 31.
fn is_zlib_header(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

pub(super) fn inflate_step(inflate: &mut Decompress, input: &[u8], out: &mut Buffer) -> Step {
    let (read_before, written_before) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, &mut out.bytes, FlushDecompress::None);
    // Both differences are at most the lengths of the slices given.
    out.len = (inflate.total_out() - written_before) as usize;
    let state = match status {
        Ok(Status::StreamEnd) => Ok(State::Finished),
        Ok(_) if out.is_full() => Ok(State::MoreOutput),
        Ok(_) => Ok(State::Drained),
        Err(_) => Err(Unreadable::Corrupt),
    };
    Step { read: (inflate.total_in() - read_before) as usize, state }
}

/// `br` (RFC 7932).
pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    finished: bool,
    out: Buffer,
}

impl Brotli {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        Self { state, finished: false, out: Buffer::new() }
    }

    fn step(&mut self, input: &[u8]) -> Step {
        self.out.len = 0;
        if self.finished {
            return Step { read: input.len(), state: Ok(State::Finished) };
        }
        let (mut available_in, mut read) = (input.len(), 0);
        let (mut available_out, mut total) = (self.out.bytes.len(), 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut read,
            input,
            &mut available_out,
            &mut self.out.len,
            &mut self.out.bytes,
            &mut total,
            &mut self.state,
        );
        let state = match result {
            BrotliResult::ResultSuccess => {
                self.finished = true;
                Ok(State::Finished)
            }
            // It wants more though it has not given all.
            BrotliResult::NeedsMoreInput if BrotliDecoderHasMoreOutput(&self.state) => {
                Ok(State::MoreOutput)
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
    begun: FrameStart,
    /// What came behind the last frame begins no other: the rest is none of the body.
    is_over: bool,
    /// Bytes that the library asks for: a header or a block, and the header of the block behind it.
    wanted: usize,
    out: Buffer,
}

/// First bytes of a frame, its magic number, as far as they have come.
#[derive(Clone, Copy, Default)]
struct FrameStart {
    bytes: [u8; 4],
    len: usize,
}

impl FrameStart {
    fn with(mut self, come: &[u8]) -> Self {
        let room = &mut self.bytes[self.len..];
        let len = come.len().min(room.len());
        room[..len].copy_from_slice(&come[..len]);
        self.len += len;
        self
    }

    fn is_whole(&self) -> bool {
        self.len == self.bytes.len()
    }

    /// What has come may begin a frame, or one that is skipped (RFC 8878 §3.1.1, §3.1.2).
    fn fits(&self) -> bool {
        let come = &self.bytes[..self.len];
        let skippable = |(at, byte): (usize, &u8)| {
            if at == 0 { byte & 0xf0 == 0x50 } else { *byte == SKIPPABLE[at] }
        };
        ZSTD_MAGIC.starts_with(come) || come.iter().enumerate().all(skippable)
    }
}

/// Of each block (RFC 8878 §3.1.1.2).
const BLOCK_HEADER: usize = 3;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The first of its bytes may end otherwise.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

impl Zstd {
    /// `None` where the library has no memory for it.
    fn new() -> Option<Self> {
        let mut decoder = ZstdDecoder::new().ok()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
        let begun = FrameStart::default();
        Some(Self { decoder, frames: 0, begun, is_over: false, wanted: 0, out: Buffer::new() })
    }

    fn restart(&mut self) {
        // Resetting a session can't fail; if it did, the next step would.
        let _ = self.decoder.reinit();
        (self.frames, self.begun, self.wanted) = (0, FrameStart::default(), 0);
        self.is_over = false;
    }

    /// The body may end here: a frame did, and none has begun since.
    fn is_finished(&self) -> bool {
        self.frames > 0 && !(self.begun.is_whole() && self.begun.fits())
    }

    fn step(&mut self, input: &[u8]) -> Step {
        if self.is_over {
            self.out.len = 0;
            return Step { read: input.len(), state: Ok(State::Finished) };
        }
        // A block a step: a frame that is there whole goes another way through the library, which finds
        // other faults in it; and with a fault the library forgets what it gave in the same step.
        let missing = self.begun.bytes.len() - self.begun.len;
        let len = match (missing, self.wanted) {
            (1.., _) => missing,
            (_, wanted @ ..=BLOCK_HEADER) => wanted.max(1),
            (_, wanted) => wanted - BLOCK_HEADER,
        };
        let part = &input[..input.len().min(len)];
        let begun = self.begun.with(part);
        let mut source = InBuffer::around(part);
        let mut target = OutBuffer::around(self.out.bytes.as_mut_slice());
        let result = self.decoder.run(&mut source, &mut target);
        self.out.len = target.pos();
        let read = source.pos();
        self.begun = self.begun.with(&part[..read]);
        let state = match result {
            Ok(0) => {
                self.frames += 1;
                self.begun = FrameStart::default();
                Ok(State::Drained)
            }
            Ok(wanted) => {
                self.wanted = wanted;
                Ok(if self.out.is_full() { State::MoreOutput } else { State::Drained })
            }
            // Bytes behind a whole frame that begin no other.
            Err(_) if self.frames > 0 && !begun.fits() => {
                self.is_over = true;
                return Step { read: input.len(), state: Ok(State::Finished) };
            }
            Err(_) => Err(Unreadable::Corrupt),
        };
        Step { read, state }
    }
}
