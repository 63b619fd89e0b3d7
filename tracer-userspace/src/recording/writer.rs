//! Writes a recording: records gathered into frames, each compressed and checked by itself.
//! Takes capture's events as they come; gives counts. No credential reaches the file.
//! A frame that was written can be read whatever happens to the writer after.

use std::io::{self, Write};

use prost::Message as _;

use super::{
    format::{DATA_LIMIT, FRAME_TARGET, Kind, MAJOR, MINOR, NAME, Record, SKIPPABLE},
    item::{self, Finish, Start},
    privacy::{Privacy, Withheld},
};
use crate::{
    capture::{Data, Event, Segment},
    discover::Process,
};

/// zstd's own default. Recording is bound by the traced programs, not by compression.
const LEVEL: i32 = 3;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub records: u64,
    /// Plaintext of connections, kept.
    pub bytes: u64,
    /// Bytes of credentials that were replaced.
    pub replaced: u64,
    pub withheld: Withheld,
    /// Bytes of the file.
    pub file: u64,
}

/// Writes a recording.
pub struct Writer<W> {
    sink: W,
    compressor: zstd::bulk::Compressor<'static>,
    frame: Vec<u8>,
    /// `None` where credentials are kept.
    privacy: Option<Privacy>,
    recorded: Recorded,
}

impl<W: Write> Writer<W> {
    /// Writes what stands at the start.
    ///
    /// # Errors
    /// If the sink gives one.
    pub fn start(mut sink: W, start: &Start) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        let opening = [&SKIPPABLE[..], &NAME, &MAJOR.to_le_bytes(), &MINOR.to_le_bytes()].concat();
        sink.write_all(&opening)?;
        let privacy = (!start.credentials_kept).then(Privacy::default);
        let recorded = Recorded { file: opening.len() as u64, ..Recorded::default() };
        let mut writer = Self { sink, compressor, frame: Vec::new(), privacy, recorded };
        writer.record(start.into())?;
        writer.flush()?;
        Ok(writer)
    }

    /// Records what a process is, before anything of it.
    ///
    /// # Errors
    /// If the sink gives one. Then the recording ends where it stands.
    pub fn process(&mut self, process: &Process) -> io::Result<()> {
        self.record(item::process(process))
    }

    /// Records an event.
    ///
    /// # Errors
    /// As [`Writer::process`].
    pub fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        // Out of its place while it tells what is to be written.
        let Some(mut privacy) = self.privacy.take() else { return self.plain(event) };
        let result = match event {
            Event::Segment(segment) => privacy.segment(segment, &mut |part| self.segment(part)),
            Event::Opened(opened) => {
                privacy.opened(opened);
                self.plain(event)
            }
            Event::Closed(closed) => privacy
                .closed(closed, &mut |part| self.segment(part))
                .and_then(|()| self.plain(event)),
            _ => self.plain(event),
        };
        self.privacy = Some(privacy);
        result
    }

    fn plain(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Segment(segment) => self.segment(segment),
            event => self.record(event.into()),
        }
    }

    fn segment(&mut self, segment: &Segment<'_>) -> io::Result<()> {
        let Data::Bytes(bytes) = segment.data else {
            return self.record((&Event::Segment(*segment)).into());
        };
        self.recorded.bytes += bytes.len() as u64;
        if bytes.len() <= DATA_LIMIT {
            return self.record((&Event::Segment(*segment)).into());
        }
        let mut offset = segment.offset;
        for part in bytes.chunks(DATA_LIMIT) {
            let data = Data::Bytes(part);
            self.record((&Event::Segment(Segment { offset, data, ..*segment })).into())?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    fn record(&mut self, kind: Kind) -> io::Result<()> {
        let record = Record { kind: Some(kind) };
        self.frame.reserve(record.encoded_len() + 10);
        record.encode_length_delimited(&mut self.frame).map_err(io::Error::other)?;
        self.recorded.records += 1;
        if self.frame.len() >= FRAME_TARGET { self.flush() } else { Ok(()) }
    }

    /// Something waits for [`Writer::flush`].
    pub fn is_waiting(&self) -> bool {
        !self.frame.is_empty()
    }

    /// Writes what was gathered, as a frame of its own.
    ///
    /// # Errors
    /// As [`Writer::process`].
    pub fn flush(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let frame = self.compressor.compress(&self.frame)?;
        self.frame.clear();
        self.sink.write_all(&frame)?;
        self.sink.flush()?;
        self.recorded.file += frame.len() as u64;
        Ok(())
    }

    /// So far.
    pub fn recorded(&self) -> Recorded {
        let privacy = self.privacy.as_ref();
        let (replaced, withheld) =
            privacy.map(|privacy| (privacy.replaced, privacy.withheld)).unwrap_or_default();
        Recorded { replaced, withheld, ..self.recorded }
    }

    /// Ends the recording in order. `finish.withheld` is filled in here.
    ///
    /// # Errors
    /// As [`Writer::process`].
    pub fn finish(mut self, finish: &Finish) -> io::Result<(W, Recorded)> {
        let withheld = self.recorded().withheld.all();
        self.record((&Finish { withheld, ..*finish }).into())?;
        self.flush()?;
        let recorded = self.recorded();
        Ok((self.sink, recorded))
    }
}
