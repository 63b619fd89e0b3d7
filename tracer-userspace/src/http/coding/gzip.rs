//! `gzip` (RFC 1952): one member or more, checksums verified.
//! Takes coded bytes; holds what they decode to until the next step.
//! Bytes behind a member that begin no other are ignored.
//!
//! Own code because flate2's decoder makes its memory anew for each member, and a member can be 20
//! bytes: a body of nothing else took 50 times as long as any other of its size.

use crc32fast::Hasher;
use flate2::Decompress;

use super::codec::{Buffer, State, Step, inflate_step};
use crate::http::Unreadable;

/// Identification and compression method, the only one there is (§2.3.1).
const BEGINNING: [u8; 3] = [0x1f, 0x8b, 8];

/// Flags (§2.3.1) of the parts that may follow the header's fixed part, in their order.
const PARTS: [(u8, At); 4] =
    [(4, At::ExtraLen(None)), (8, At::Text), (16, At::Text), (2, At::HeaderChecksum(None))];

/// Flags that a decoder must refuse.
const RESERVED: u8 = 0xe0;

const FLAGS_AT: u8 = 3;
const FIXED_LEN: u8 = 10;
const TRAILER_LEN: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// So many bytes of the header's fixed part have passed.
    Fixed(u8),
    /// The length of the extra field, of which this is the first byte.
    ExtraLen(Option<u8>),
    /// So many bytes of the extra field are to come.
    Extra(u16),
    /// The original name or a comment, up to its zero byte.
    Text,
    HeaderChecksum(Option<u8>),
    Body,
    /// So many bytes of the trailer have passed.
    Trailer(u8),
    /// What comes is none of ours.
    Behind,
}

pub(super) struct Gzip {
    at: At,
    /// Of the header's parts that are to come.
    flags: u8,
    /// Checksum of the header, then of what the member gave.
    checksum: Hasher,
    /// Bytes that the member gave, modulo 2^32.
    given: u32,
    trailer: [u8; TRAILER_LEN as usize],
    inflate: Decompress,
    out: Buffer,
    /// Members that are whole.
    members: u64,
    /// The member under way has given bytes, so it must end.
    in_member: bool,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            at: At::Fixed(0),
            flags: 0,
            checksum: Hasher::new(),
            given: 0,
            trailer: [0; TRAILER_LEN as usize],
            inflate: Decompress::new(false),
            out: Buffer::new(),
            members: 0,
            in_member: false,
        }
    }

    /// The next byte is a first member's first.
    pub(super) fn restart(&mut self) {
        self.begin_member();
        self.members = 0;
    }

    pub(super) fn output(&self) -> &[u8] {
        self.out.output()
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Step {
        self.out.clear();
        if self.at == At::Behind {
            return Step { read: input.len(), state: Ok(State::Finished) };
        }
        let mut read = 0;
        loop {
            if self.at == At::Body {
                let step = inflate_step(&mut self.inflate, &input[read..], &mut self.out);
                read += step.read;
                self.checksum.update(self.out.output());
                self.given = self.given.wrapping_add(self.out.output().len() as u32);
                self.in_member |= !self.out.output().is_empty();
                match step.state {
                    Ok(State::Finished) => self.at = At::Trailer(0),
                    Ok(state) => return Step { read, state: Ok(state) },
                    Err(_) => return self.wrong(input),
                }
                if !self.out.output().is_empty() {
                    return Step { read, state: Ok(State::MoreOutput) };
                }
            }
            let Some(byte) = input.get(read) else {
                return Step { read, state: Ok(State::Drained) };
            };
            read += 1;
            match self.byte(*byte) {
                Some(at) => self.at = at,
                None => return self.wrong(input),
            }
        }
    }

    /// What a byte outside of the compressed data leads to; `None` where it is wrong.
    fn byte(&mut self, byte: u8) -> Option<At> {
        if !matches!(self.at, At::HeaderChecksum(_) | At::Trailer(_)) {
            self.checksum.update(&[byte]);
        }
        match self.at {
            At::Fixed(at) => {
                let is_wrong = BEGINNING.get(usize::from(at)).is_some_and(|want| *want != byte);
                if is_wrong || (at == FLAGS_AT && byte & RESERVED != 0) {
                    return None;
                }
                if at == FLAGS_AT {
                    self.flags = byte;
                }
                if at + 1 < FIXED_LEN { Some(At::Fixed(at + 1)) } else { Some(self.next_part()) }
            }
            At::ExtraLen(None) => Some(At::ExtraLen(Some(byte))),
            At::ExtraLen(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => Some(self.next_part()),
                len => Some(At::Extra(len)),
            },
            At::Extra(1) => Some(self.next_part()),
            At::Extra(left) => Some(At::Extra(left - 1)),
            At::Text if byte == 0 => Some(self.next_part()),
            At::Text => Some(At::Text),
            At::HeaderChecksum(None) => Some(At::HeaderChecksum(Some(byte))),
            At::HeaderChecksum(Some(low)) => {
                let is_right =
                    self.checksum.clone().finalize() as u16 == u16::from_le_bytes([low, byte]);
                is_right.then(|| self.next_part())
            }
            At::Trailer(at) => {
                self.trailer[usize::from(at)] = byte;
                if at + 1 < TRAILER_LEN {
                    return Some(At::Trailer(at + 1));
                }
                self.end_member().then_some(At::Fixed(0))
            }
            At::Body | At::Behind => Some(self.at),
        }
    }

    /// The next part of the header that is there, or the compressed data.
    fn next_part(&mut self) -> At {
        for (flag, part) in PARTS {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                return part;
            }
        }
        self.checksum = Hasher::new();
        At::Body
    }

    /// The trailer is whole: false where it says something else than what was given.
    fn end_member(&mut self) -> bool {
        let [checksum @ .., l0, l1, l2, l3] = self.trailer;
        let is_right = u32::from_le_bytes(checksum) == self.checksum.clone().finalize()
            && u32::from_le_bytes([l0, l1, l2, l3]) == self.given;
        if is_right {
            self.begin_member();
            self.members += 1;
        }
        is_right
    }

    fn begin_member(&mut self) {
        self.at = At::Fixed(0);
        self.checksum = Hasher::new();
        self.given = 0;
        self.inflate.reset(false);
        self.in_member = false;
    }

    /// No member goes on like this. Behind a whole one that is the end.
    fn wrong(&mut self, input: &[u8]) -> Step {
        if self.members > 0 && !self.in_member {
            self.at = At::Behind;
            return Step { read: input.len(), state: Ok(State::Finished) };
        }
        Step { read: 0, state: Err(Unreadable::Corrupt) }
    }

    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        if self.members > 0 && !self.in_member { Ok(()) } else { Err(Unreadable::Truncated) }
    }
}
