//! A file to replay, whichever of the formats it is in.
//! Takes the file; gives its start, then its items to a sink.
//! Formats are told apart by their first bytes, never by the file's name.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
};

use super::{
    Item, ReadError, Reader, Start,
    pcap::{self, Packets, PcapError},
    reader::begins_recording,
};

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

/// Something to replay.
pub struct Source(Format);

enum Format {
    Recording(Box<Reader<BufReader<File>>>),
    Packets(Box<Packets>),
}

/// A file cannot be replayed at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("it is neither a recording of llmtap nor a packet capture (pcap, pcapng)")]
    Unknown,
    #[error(transparent)]
    Recording(#[from] ReadError),
    #[error(transparent)]
    Packets(#[from] PcapError),
}

/// A file cannot be replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    #[error(transparent)]
    Recording(#[from] ReadError),
    #[error(transparent)]
    Packets(#[from] PcapError),
}

impl Source {
    /// Opens a file and reads its start.
    ///
    /// # Errors
    /// If it cannot be read or is in no format that is known.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
        let first = file.fill_buf()?;
        let format = if begins_recording(first) {
            Format::Recording(Box::new(Reader::open(file)?))
        } else if pcap::begins_capture(first) {
            Format::Packets(Box::new(Packets::open(file)?))
        } else {
            return Err(OpenError::Unknown);
        };
        Ok(Self(format))
    }

    /// What it says of itself.
    pub fn start(&self) -> &Start {
        match &self.0 {
            Format::Recording(reader) => reader.start(),
            Format::Packets(packets) => packets.start(),
        }
    }

    /// Gives every item in order, until `sink` says no more.
    ///
    /// # Errors
    /// If the rest is missing or not understood. What was given before stands.
    pub fn play(&mut self, sink: &mut dyn FnMut(Item<'_>) -> bool) -> Result<(), PlayError> {
        match &mut self.0 {
            Format::Recording(reader) => {
                while let Some(item) = reader.next_item()? {
                    if !sink(item) {
                        break;
                    }
                }
                Ok(())
            }
            Format::Packets(packets) => Ok(packets.play(&mut |event| sink(Item::Event(*event)))?),
        }
    }

    /// What was passed over, in words for the user; nothing where all was understood.
    pub fn passed_over(&self) -> Vec<String> {
        match &self.0 {
            Format::Recording(reader) if reader.unknown() > 0 => {
                vec![format!("{} records of a later version of the format", reader.unknown())]
            }
            Format::Recording(_) => Vec::new(),
            Format::Packets(packets) => packets.counts().passed_over(),
        }
    }
}
