//! A request in 64 bits, so that one that is sent again is known again.
//! Takes its head, then its body in pieces of any size; gives a number that depends on the bytes alone.
//! Two requests have the same one by chance once in 2⁶⁴; it means nothing outside of this run of llmtap.

use std::{fmt, hash::Hasher};

use foldhash::{SharedSeed, quality::FoldHasher};

use super::recognize;
use crate::http::RequestHead;

/// The hash is fed with blocks of this size, wherever the pieces end.
const BLOCK: usize = 64;

/// Beside the seed that the process has drawn.
const SEED: u64 = 0;

pub(super) struct Fingerprint {
    hasher: FoldHasher<'static>,
    block: [u8; BLOCK],
    filled: usize,
    len: u64,
}

impl Fingerprint {
    /// Method, authority, path and query, in whichever form they are sent: a query may name the model.
    pub(super) fn new(head: &RequestHead) -> Self {
        let hasher = FoldHasher::with_seed(SEED, SharedSeed::global_random());
        let mut new = Self { hasher, block: [0; BLOCK], filled: 0, len: 0 };
        let authority = recognize::authority(head).unwrap_or_default();
        let (_, query) = head.target.split_once('?').unwrap_or_default();
        for part in [head.method.as_str(), authority, recognize::path(head), query] {
            new.push(part.as_bytes());
            new.push(&[0]);
        }
        new
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if self.filled > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.block[self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            bytes = rest;
            if self.filled < BLOCK {
                return;
            }
            self.hasher.write(&self.block);
            self.filled = 0;
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for block in blocks {
            self.hasher.write(block);
        }
        self.block[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    pub(super) fn finish(mut self) -> u64 {
        self.hasher.write(&self.block[..self.filled]);
        self.hasher.write_u64(self.len);
        self.hasher.finish()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprint").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderMap, Method, Version};
    use proptest::prelude::*;

    use super::*;
    use crate::splits;

    fn fingerprint<'a>(target: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> u64 {
        let mut headers = HeaderMap::new();
        headers.insert("host", "llm.example".parse().unwrap());
        let target = target.to_owned();
        let head = RequestHead { method: Method::POST, target, version: Version::HTTP_11, headers };
        let mut fingerprint = Fingerprint::new(&head);
        pieces.into_iter().for_each(|piece| fingerprint.push(piece));
        fingerprint.finish()
    }

    #[test]
    fn depends_on_the_bytes_alone() {
        let body: Vec<u8> = (0..200).collect();
        let whole = splits::check(&body, |pieces| fingerprint("/v1", pieces.iter().copied()));
        assert_ne!(whole, fingerprint("/v2", [&body[..]]));
        assert_ne!(whole, fingerprint("/v1", [&body[1..]]));
        // The bytes of the head are no bytes of the body.
        assert_ne!(fingerprint("/v", [&b"1\0"[..]]), fingerprint("/v1", [&b""[..]]));
    }

    proptest! {
        #[test]
        fn one_byte_makes_a_difference(body in prop::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index) {
            let mut other = body.clone();
            other[at.index(body.len())] ^= 1;
            prop_assert_ne!(fingerprint("/", [&body[..]]), fingerprint("/", [&other[..]]));
        }
    }
}
