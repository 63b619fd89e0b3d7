//! Content codings (RFC 9110 §8.4, §12.5.3) taken off as the bytes come, several in a row too.
//! Takes coded bytes split anywhere; gives all that can be decoded from them so far.
//! What comes behind the coding's own end is ignored, as browsers do; expansion is bounded.

mod codec;
mod gzip;
#[cfg(test)]
pub(super) mod tests;

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, TRANSFER_ENCODING},
};

use super::Unreadable;
use codec::{Codec, State};

/// Codings in a row that are followed; curl stops at 5 (`MAX_ENCODE_STACK`), nobody sends 3.
const MAX_CODINGS: usize = 5;

/// Decoded bytes that a body may give whatever its size, so that repetitive test bodies pass.
const FREE_OUTPUT: u64 = 32 << 20;

/// Decoded bytes for each coded byte beyond [`FREE_OUTPUT`]. JSON and SSE reach 5 to 30; a bomb
/// gives 1,000 (deflate) to 1,000,000 (br, zstd), which would stop everyone else's trace.
const MAX_RATIO: u64 = 32;

/// The codings of one body.
#[derive(Debug)]
pub(super) struct Decoder {
    /// In the order of decoding: the last applied coding first.
    stages: Vec<Stage>,
    /// Coded bytes taken in.
    read: u64,
}

#[derive(Debug)]
struct Stage {
    codec: Codec,
    /// Decoded bytes given.
    written: u64,
}

impl Decoder {
    /// Decoder for what a message's `Content-Encoding` and `Transfer-Encoding` say, `None` where
    /// the body is as it is. Transfer codings lie outside of content codings (RFC 9112 §7).
    ///
    /// # Errors
    /// [`Unreadable::UnknownCoding`], [`Unreadable::TooManyCodings`].
    pub(super) fn for_headers(headers: &HeaderMap) -> Result<Option<Self>, Unreadable> {
        let mut lists = Vec::new();
        for name in [CONTENT_ENCODING, TRANSFER_ENCODING] {
            for value in headers.get_all(name) {
                lists.push(value.to_str().map_err(|_| Unreadable::UnknownCoding)?);
            }
        }
        Self::for_codings(lists)
    }

    /// The same for comma-separated lists of codings, in the order in which they were applied.
    pub(super) fn for_codings<'a>(
        lists: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, Unreadable> {
        let mut stages = Vec::new();
        for coding in lists.into_iter().flat_map(|list| list.split(',')).map(str::trim) {
            if matches_any(coding, &["", "identity", "chunked"]) {
                continue;
            }
            if stages.len() == MAX_CODINGS {
                return Err(Unreadable::TooManyCodings);
            }
            let codec = Codec::named(coding).ok_or(Unreadable::UnknownCoding)?;
            stages.push(Stage { codec, written: 0 });
        }
        stages.reverse();
        Ok((!stages.is_empty()).then_some(Self { stages, read: 0 }))
    }

    /// The next bytes are coded by themselves. The bound on expansion goes on counting, so that
    /// many small bombs are no way around it.
    pub(super) fn restart(&mut self) {
        for stage in &mut self.stages {
            stage.codec.restart();
        }
    }

    /// Gives to `sink` what `input` decodes to, in pieces.
    ///
    /// # Errors
    /// [`Unreadable::Corrupt`] and [`Unreadable::Bomb`], after `sink` got all that came before.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Unreadable> {
        self.read += input.len() as u64;
        run(&mut self.stages, input, output_limit(self.read), sink)
    }

    /// The body is over.
    ///
    /// # Errors
    /// [`Unreadable::Truncated`] where a coding has not come to its own end, or
    /// [`Unreadable::Corrupt`] where its checksum is wrong. A body of no bytes at all is whole.
    pub(super) fn finish(&mut self) -> Result<(), Unreadable> {
        if self.read == 0 {
            return Ok(());
        }
        self.stages.iter_mut().try_for_each(|stage| stage.codec.finish())
    }
}

/// Decoded bytes that so many coded bytes may give in all.
pub(super) fn output_limit(read: u64) -> u64 {
    FREE_OUTPUT + read.saturating_mul(MAX_RATIO)
}

fn matches_any(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn run(
    stages: &mut [Stage],
    mut input: &[u8],
    limit: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Unreadable> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        sink(input);
        return Ok(());
    };
    loop {
        let step = stage.codec.step(input);
        input = &input[step.read..];
        let output = stage.codec.output();
        stage.written += output.len() as u64;
        if stage.written > limit {
            return Err(Unreadable::Bomb);
        }
        if !output.is_empty() {
            run(rest, output, limit, sink)?;
        }
        match step.state? {
            State::Finished => return Ok(()),
            State::Drained if input.is_empty() => return Ok(()),
            State::Drained | State::MoreOutput => {}
        }
    }
}
