//! Reads a recording, frame by frame, each checked before anything of it is told.
//! Takes the file's bytes; gives its items in order, then its end or what is wrong with the rest.
//! Holds one frame in memory, whatever the file says.

use std::{
    io::{self, BufRead},
    ops::Range,
};

use prost::Message as _;

use super::{
    format::{FRAME_LIMIT, Kind, MAJOR, NAME, OPENING_LEN, RECORD_LIMIT, Record, SKIPPABLE},
    frames::{FrameError, Frames},
    item::{self, Item, Start},
    live::{Broken, Live},
};

/// Why a recording can't be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is no recording of llmtap")]
    NotARecording,
    #[error("its format has version {0}, and this llmtap reads version {MAJOR}")]
    Version(u16),
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    #[error("it ends in the middle: the recorder was stopped, or the file was cut")]
    Truncated,
    #[error("it is corrupt: {0}")]
    Corrupt(io::Error),
    #[error("it is corrupt: a frame is larger than {FRAME_LIMIT} bytes")]
    FrameTooLarge,
    #[error("it is corrupt: a record is broken")]
    BrokenRecord,
    #[error("it is corrupt: {0}")]
    Rule(#[from] Broken),
}

/// Reads a recording.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    frames: Frames,
    start: Start,
    frame: Vec<u8>,
    /// Where the next record begins.
    at: usize,
    /// The record that was told last.
    kind: Option<Kind>,
    live: Live,
    finished: bool,
    unknown: u64,
}

/// The first bytes of a file are those of a recording.
pub(crate) fn begins_recording(bytes: &[u8]) -> bool {
    bytes.starts_with(&SKIPPABLE) && bytes[SKIPPABLE.len()..].starts_with(&NAME)
}

impl<R: BufRead> Reader<R> {
    /// Reads what stands at the start.
    ///
    /// # Errors
    /// If it is no recording, one of another version, or ends before its start is complete.
    pub fn open(mut source: R) -> Result<Self, ReadError> {
        let mut opening = [0; OPENING_LEN];
        source.read_exact(&mut opening).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::NotARecording,
            _ => ReadError::Read(error),
        })?;
        if !begins_recording(&opening) {
            return Err(ReadError::NotARecording);
        }
        let [.., low, high, _, _] = opening;
        let major = u16::from_le_bytes([low, high]);
        if major != MAJOR {
            return Err(ReadError::Version(major));
        }
        let mut reader = Self {
            source,
            frames: Frames::new().map_err(ReadError::Read)?,
            start: Start::default(),
            frame: Vec::new(),
            at: 0,
            kind: None,
            live: Live::default(),
            finished: false,
            unknown: 0,
        };
        if !reader.next_frame()? {
            return Err(ReadError::Truncated);
        }
        let Some(Kind::Start(start)) = reader.next_record()? else {
            return Err(ReadError::BrokenRecord);
        };
        reader.start = start.read().ok_or(ReadError::BrokenRecord)?;
        Ok(reader)
    }

    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Records of kinds that a later minor version added.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// The next item; `None` after the end of a recording that was ended in order.
    ///
    /// # Errors
    /// If the rest is missing or corrupt. What was told before stands.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, ReadError> {
        loop {
            if self.at == self.frame.len() && !self.next_frame()? {
                return if self.finished { Ok(None) } else { Err(ReadError::Truncated) };
            }
            if self.finished {
                return Err(ReadError::BrokenRecord);
            }
            self.kind = self.next_record()?;
            if self.kind.is_some() {
                break;
            }
            self.unknown += 1;
        }
        let item = self.kind.as_mut().and_then(item::read).ok_or(ReadError::BrokenRecord)?;
        self.live.follow(&item)?;
        self.finished = matches!(item, Item::Finish(_));
        Ok(Some(item))
    }

    /// Reads and checks a frame; false where there is none.
    fn next_frame(&mut self) -> Result<bool, ReadError> {
        loop {
            self.at = 0;
            match self.frames.next(&mut self.source, &mut self.frame) {
                // Skippable frames hold nothing for us.
                Ok(true) if self.frame.is_empty() => {}
                Ok(is_there) => return Ok(is_there),
                Err(FrameError::Read(error)) => return Err(ReadError::Read(error)),
                Err(FrameError::Truncated) => return Err(ReadError::Truncated),
                Err(FrameError::Corrupt(error)) => return Err(ReadError::Corrupt(error)),
                Err(FrameError::TooLarge) => return Err(ReadError::FrameTooLarge),
            }
        }
    }

    /// Takes a record of the frame; `None`: of an unknown kind.
    fn next_record(&mut self) -> Result<Option<Kind>, ReadError> {
        let range = self.next_range().ok_or(ReadError::BrokenRecord)?;
        self.at = range.end;
        let record = Record::decode(&self.frame[range]).map_err(|_| ReadError::BrokenRecord)?;
        Ok(record.kind)
    }

    fn next_range(&self) -> Option<Range<usize>> {
        let mut rest = self.frame.get(self.at..)?;
        let len = prost::decode_length_delimiter(&mut rest).ok()?;
        let start = self.frame.len() - rest.len();
        (len <= RECORD_LIMIT && len <= rest.len()).then(|| start..start + len)
    }
}

#[cfg(test)]
mod tests;
