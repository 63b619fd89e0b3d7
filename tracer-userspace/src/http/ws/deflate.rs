//! permessage-deflate (RFC 7692): what was agreed on, and its decompression over messages.
//! Takes the payload of compressed messages split anywhere; gives what it decodes to so far.
//! Expansion is bounded over the connection, as it is for content codings.

use flate2::{Decompress, FlushDecompress, Status};

use crate::http::{Unreadable, coding::output_limit};

/// Decoded bytes a step.
const STEP: usize = 16 * 1024;

/// What the sender took off the end of each message (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What the ends agreed on, of that which matters for decompression: any window up to the largest
/// is decoded with the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) client_keeps_context: bool,
    pub(super) server_keeps_context: bool,
}

impl Extension {
    /// Out of a `Sec-WebSocket-Extensions` of the server (§7.1).
    pub(super) fn parse(list: &str) -> Option<Self> {
        list.split(',').find_map(|extension| {
            let mut parameters = extension.split(';').map(str::trim);
            if parameters.next()? != "permessage-deflate" {
                return None;
            }
            let mut agreed = Self { client_keeps_context: true, server_keeps_context: true };
            for parameter in parameters {
                match parameter {
                    "client_no_context_takeover" => agreed.client_keeps_context = false,
                    "server_no_context_takeover" => agreed.server_keeps_context = false,
                    _ => {}
                }
            }
            Some(agreed)
        })
    }
}

/// Decompression of one direction.
#[derive(Debug)]
pub(super) struct Inflater {
    /// Made for the first compressed message: it holds a window of 32 KiB.
    inflate: Option<Decompress>,
    keeps_context: bool,
    /// Bytes are missing, or were corrupt: nothing can be decoded until the next fresh start.
    spoilt: Option<Unreadable>,
    read: u64,
    written: u64,
    buffer: Vec<u8>,
}

impl Inflater {
    pub(super) fn new(keeps_context: bool) -> Self {
        Self { inflate: None, keeps_context, spoilt: None, read: 0, written: 0, buffer: Vec::new() }
    }

    /// Bytes are missing.
    ///
    /// # Errors
    /// The first time until the next fresh start.
    pub(super) fn spoil(&mut self) -> Result<(), Unreadable> {
        if self.spoilt.is_some() { Ok(()) } else { Err(self.spoilt_by(Unreadable::Gap)) }
    }

    /// Why what comes next can't be decoded, if it can't.
    pub(super) fn spoilt(&self) -> Option<Unreadable> {
        self.spoilt
    }

    fn spoilt_by(&mut self, reason: Unreadable) -> Unreadable {
        self.spoilt = Some(reason);
        reason
    }

    /// # Errors
    /// [`Unreadable`], once until the next fresh start; `sink` has what came before.
    pub(super) fn inflate(
        &mut self,
        mut input: &[u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Unreadable> {
        if self.spoilt.is_some() {
            return Ok(());
        }
        self.read += input.len() as u64;
        let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
        self.buffer.resize(STEP, 0);
        loop {
            let (read_before, written_before) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(input, &mut self.buffer, FlushDecompress::None);
            // Both differences are at most the lengths of the slices given.
            let written = (inflate.total_out() - written_before) as usize;
            input = &input[(inflate.total_in() - read_before) as usize..];
            self.written += written as u64;
            if self.written > output_limit(self.read) {
                return Err(self.spoilt_by(Unreadable::Bomb));
            }
            if written > 0 {
                sink(&self.buffer[..written]);
            }
            match status {
                // §7.2.3.4: a block marked as the last may end a message; the next is a new start.
                Ok(Status::StreamEnd) => inflate.reset(false),
                Ok(_) if input.is_empty() && written < STEP => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(self.spoilt_by(Unreadable::Corrupt)),
            }
            if input.is_empty() && written < STEP {
                return Ok(());
            }
        }
    }

    /// The message is over.
    ///
    /// # Errors
    /// As [`Self::inflate`].
    pub(super) fn end_message(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), Unreadable> {
        let result = self.inflate(&TAIL, sink);
        if !self.keeps_context {
            if let Some(inflate) = &mut self.inflate {
                inflate.reset(false);
            }
            self.spoilt = None;
        }
        result
    }
}
