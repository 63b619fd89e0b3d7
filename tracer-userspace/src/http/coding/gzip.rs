//! `gzip` (RFC 1952): one member or more, checksums verified.
//! Takes coded bytes; holds what they decode to until the next step.
//! Bytes behind a member that begin no other are ignored.

use std::io::{ErrorKind, Write};

use flate2::write::GzDecoder;

use super::codec::{State, Step};
use crate::http::Unreadable;

/// First byte of a member's header (RFC 1952 §2.3.1).
const ID1: u8 = 0x1f;

pub(super) struct Gzip {
    member: Option<GzDecoder<Vec<u8>>>,
    /// Members that are whole.
    members: u64,
    /// The member under way has given bytes, so it must end.
    in_member: bool,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { member: None, members: 0, in_member: false }
    }

    /// What the last step gave: at most what flate2 decodes at a time, 32 KiB and some.
    pub(super) fn output(&self) -> &[u8] {
        self.member.as_ref().map_or(&[], |member| member.get_ref())
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Step {
        let drained = |read| Step { read, state: Ok(State::Drained) };
        if let Some(member) = &mut self.member {
            member.get_mut().clear();
        }
        let Some(first) = input.first() else { return drained(0) };
        if self.member.is_none() && self.members > 0 && *first != ID1 {
            return Step { read: input.len(), state: Ok(State::Finished) };
        }
        let member = self.member.get_or_insert_with(|| GzDecoder::new(Vec::new()));
        // `write` takes what fits its own buffer; `flush` gives all that can be told from it.
        let result = member.write(input).and_then(|read| member.flush().map(|()| read));
        if result.is_err() {
            let _ = member.flush(); // What came before the error; the error itself is told.
        }
        self.in_member |= !self.output().is_empty();
        match result {
            // Nothing taken: the member and its trailer are over before `input`.
            Ok(0) => match self.end_member() {
                Ok(()) => drained(0),
                Err(reason) => Step { read: 0, state: Err(reason) },
            },
            Ok(read) => drained(read),
            Err(_) if self.members > 0 && !self.in_member => {
                Step { read: input.len(), state: Ok(State::Finished) }
            }
            Err(_) => Step { read: 0, state: Err(Unreadable::Corrupt) },
        }
    }

    fn end_member(&mut self) -> Result<(), Unreadable> {
        if let Some(mut member) = self.member.take()
            && let Err(error) = member.try_finish()
        {
            // A member that still takes bytes lacks some of its trailer; else its sums are wrong.
            let lacks = error.kind() == ErrorKind::UnexpectedEof
                || matches!(member.write(&[0]), Ok(taken) if taken > 0);
            return Err(if lacks { Unreadable::Truncated } else { Unreadable::Corrupt });
        }
        self.members += 1;
        self.in_member = false;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), Unreadable> {
        let whole_before = self.members > 0 && !self.in_member;
        match self.end_member() {
            Err(_) if whole_before => Ok(()),
            result => result,
        }
    }
}
