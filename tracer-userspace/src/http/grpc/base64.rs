//! Base64 (RFC 4648 §4) as gRPC-web's text form sends it: padded wherever the sender flushed.
//! Takes characters split anywhere; gives the bytes that they stand for.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::http::Unreadable;

/// Characters that stand for three bytes, or fewer where they are padded.
const GROUP: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Base64 {
    group: [u8; GROUP],
    len: usize,
    decoded: Vec<u8>,
}

impl Base64 {
    /// What `input` stands for, as far as groups are whole and are base64.
    pub(super) fn decode(&mut self, input: &[u8]) -> (&[u8], Result<(), Unreadable>) {
        self.decoded.clear();
        let result = self.groups(input);
        (&self.decoded, result)
    }

    fn groups(&mut self, input: &[u8]) -> Result<(), Unreadable> {
        for byte in input {
            self.group[self.len] = *byte;
            self.len += 1;
            if self.len == GROUP {
                self.len = 0;
                BASE64_STANDARD
                    .decode_vec(self.group, &mut self.decoded)
                    .map_err(|_| Unreadable::Corrupt)?;
            }
        }
        Ok(())
    }

    pub(super) fn is_whole(&self) -> bool {
        self.len == 0
    }
}
