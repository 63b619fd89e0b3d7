//! `gzip` (RFC 1952): one member or more, checksums verified.
//! Takes coded bytes; holds what they decode to until the next step.
//! Bytes behind a member that begin no other are ignored.
//!
//! The members' frame is read here: flate2's own reader of it takes microseconds for each piece.

use flate2::{Crc, Decompress};

use super::codec::{Buffer, State, Step, inflate_step};
use crate::http::Unreadable;

/// What a member begins with: ID1, ID2 and deflate as its method (§2.3.1).
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Bytes of a header before its optional fields.
const FIXED_LEN: u8 = 10;

/// Bytes of a trailer: checksum and size.
const TRAILER_LEN: usize = 8;

mod flag {
    pub(super) const HEADER_CRC: u8 = 2;
    pub(super) const EXTRA: u8 = 4;
    pub(super) const NAME: u8 = 8;
    pub(super) const COMMENT: u8 = 16;
    pub(super) const RESERVED: u8 = 0xe0;
}

/// What comes next of a member, in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// So many bytes of the header's fixed part are read.
    Fixed(u8),
    /// So many bytes of the optional fields' length are read, the first of them is this.
    ExtraLen(Option<u8>),
    Extra(u16),
    Name,
    Comment,
    HeaderCrc(u8),
    Body,
    Trailer {
        bytes: [u8; TRAILER_LEN],
        len: usize,
    },
}

pub(super) struct Gzip {
    part: Part,
    /// Of the header under way.
    flags: u8,
    inflate: Decompress,
    sum: Crc,
    /// Members that are whole.
    members: u64,
    /// The member under way has given bytes, so it must end.
    in_member: bool,
    out: Buffer,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Fixed(0),
            flags: 0,
            inflate: Decompress::new(false),
            sum: Crc::new(),
            members: 0,
            in_member: false,
            out: Buffer::new(),
        }
    }

    /// The next input is a coding's beginning.
    pub(super) fn restart(&mut self) {
        self.begin_member();
        self.members = 0;
    }

    fn begin_member(&mut self) {
        self.part = Part::Fixed(0);
        self.in_member = false;
        // One that has not been used is as new; a reset clears its window.
        if self.inflate.total_in() > 0 {
            self.inflate.reset(false);
        }
        self.sum.reset();
    }

    /// What the last step gave.
    pub(super) fn output(&self) -> &[u8] {
        self.out.output()
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Step {
        self.out.clear();
        if self.part == Part::Body {
            return self.body(input);
        }
        for (at, byte) in input.iter().enumerate() {
            if self.part == Part::Body {
                return Step { read: at, state: Ok(State::Drained) };
            }
            if let Err(reason) = self.frame(*byte) {
                return self.broken(input, reason);
            }
        }
        Step { read: input.len(), state: Ok(State::Drained) }
    }

    fn body(&mut self, input: &[u8]) -> Step {
        let step = inflate_step(&mut self.inflate, input, &mut self.out);
        self.sum.update(self.out.output());
        self.in_member |= !self.output().is_empty();
        match step.state {
            Ok(State::Finished) => {
                self.part = Part::Trailer { bytes: [0; TRAILER_LEN], len: 0 };
                Step { state: Ok(State::Drained), ..step }
            }
            Ok(_) => step,
            Err(reason) if self.out.output().is_empty() => self.broken(input, reason),
            Err(_) => step,
        }
    }

    /// One byte of a member's header or trailer.
    fn frame(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.part = match self.part {
            Part::Fixed(at) => {
                let fits = match at {
                    0..3 => byte == MAGIC[usize::from(at)],
                    3 => byte & flag::RESERVED == 0,
                    _ => true,
                };
                if !fits {
                    return Err(Unreadable::Corrupt);
                }
                if at == 3 {
                    self.flags = byte;
                }
                if at + 1 < FIXED_LEN { Part::Fixed(at + 1) } else { self.optional(flag::EXTRA) }
            }
            Part::ExtraLen(None) => Part::ExtraLen(Some(byte)),
            Part::ExtraLen(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => self.optional(flag::NAME),
                len => Part::Extra(len),
            },
            Part::Extra(1) => self.optional(flag::NAME),
            Part::Extra(left) => Part::Extra(left - 1),
            Part::Name if byte == 0 => self.optional(flag::COMMENT),
            Part::Comment if byte == 0 => self.optional(flag::HEADER_CRC),
            part @ (Part::Name | Part::Comment | Part::Body) => part,
            // Few write the header's checksum, and the body has one of its own.
            Part::HeaderCrc(0) => Part::HeaderCrc(1),
            Part::HeaderCrc(_) => Part::Body,
            Part::Trailer { mut bytes, len } => {
                bytes[len] = byte;
                if len + 1 == TRAILER_LEN {
                    return self.end_member(bytes);
                }
                Part::Trailer { bytes, len: len + 1 }
            }
        };
        Ok(())
    }

    /// The first of the optional fields that is there, from this one on.
    fn optional(&self, from: u8) -> Part {
        let has = |field: u8| field >= from && self.flags & field != 0;
        // In the order of the wire, the header's checksum comes last.
        if from != flag::HEADER_CRC {
            if has(flag::EXTRA) {
                return Part::ExtraLen(None);
            }
            if has(flag::NAME) {
                return Part::Name;
            }
            if has(flag::COMMENT) {
                return Part::Comment;
            }
        }
        if self.flags & flag::HEADER_CRC != 0 { Part::HeaderCrc(0) } else { Part::Body }
    }

    fn end_member(&mut self, trailer: [u8; TRAILER_LEN]) -> Result<(), Unreadable> {
        let told = u64::from_le_bytes(trailer);
        if told != u64::from(self.sum.amount()) << 32 | u64::from(self.sum.sum()) {
            self.in_member = true;
            return Err(Unreadable::Corrupt);
        }
        self.members += 1;
        self.begin_member();
        Ok(())
    }

    /// Behind a whole member, what begins no other is passed over.
    fn broken(&self, input: &[u8], reason: Unreadable) -> Step {
        if self.members > 0 && !self.in_member {
            Step { read: input.len(), state: Ok(State::Finished) }
        } else {
            Step { read: 0, state: Err(reason) }
        }
    }

    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        if self.members > 0 && !self.in_member { Ok(()) } else { Err(Unreadable::Truncated) }
    }
}
