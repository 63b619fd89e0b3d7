//! The frames of a recording, decompressed one after the other with one decoder: to make a decoder costs
//! more than most frames.
//! Takes the file's bytes; gives a frame's bytes, whole and checked. Holds one frame, whatever the file says.

use std::{
    fmt,
    io::{self, BufRead},
};

use zstd::{
    stream::raw::{Decoder, Operation as _},
    zstd_safe::{DParameter, InBuffer, OutBuffer},
};

use super::format::{FRAME_LIMIT, WINDOW_LOG};

/// Room that is made for a step.
const STEP: usize = 16 << 10;

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum FrameError {
    Read(io::Error),
    Truncated,
    Corrupt(io::Error),
    TooLarge,
}

pub(super) struct Frames {
    decoder: Decoder<'static>,
}

impl fmt::Debug for Frames {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.debug_struct("Frames").finish_non_exhaustive()
    }
}

impl Frames {
    pub(super) fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Self { decoder })
    }

    /// Puts the next frame's bytes into `frame`; false where there is none. Skippable frames give none.
    pub(super) fn next(
        &mut self,
        source: &mut impl BufRead,
        frame: &mut Vec<u8>,
    ) -> Result<bool, FrameError> {
        frame.clear();
        if source.fill_buf().map_err(FrameError::Read)?.is_empty() {
            return Ok(false);
        }
        self.decoder.reinit().map_err(FrameError::Corrupt)?;
        loop {
            let coded = source.fill_buf().map_err(FrameError::Read)?;
            let at_end = coded.is_empty();
            let mut from = InBuffer::around(coded);
            let before = frame.len();
            frame.reserve(STEP);
            let mut to = OutBuffer::around_pos(frame, before);
            let left = self.decoder.run(&mut from, &mut to).map_err(FrameError::Corrupt)?;
            let taken = from.pos();
            source.consume(taken);
            if frame.len() > FRAME_LIMIT {
                return Err(FrameError::TooLarge);
            }
            if left == 0 {
                return Ok(true);
            }
            if at_end && frame.len() == before {
                return Err(FrameError::Truncated);
            }
        }
    }
}
