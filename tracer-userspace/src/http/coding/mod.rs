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
use codec::{Codec, Coding, State};

/// Codings in a row that are followed; curl stops at 5 (`MAX_ENCODE_STACK`), nobody sends 3.
const MAX_CODINGS: usize = 5;

/// Decoded bytes that a body may give whatever its size, so that repetitive test bodies pass.
const FREE_OUTPUT: u64 = 32 << 20;

/// Decoded bytes for each coded byte beyond [`FREE_OUTPUT`]. JSON and SSE reach 5 to 30; a bomb
/// gives 1,000 (deflate) to 1,000,000 (br, zstd), which would stop everyone else's trace.
const MAX_RATIO: u64 = 32;

/// The same for what a coding gives to another: what was coded already hardly shrinks once more, and
/// every byte of it costs time.
const FREE_BETWEEN: u64 = 1 << 20;
const MAX_RATIO_BETWEEN: u64 = 2;

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
    coding: Coding,
    /// Made for the first byte: it takes some 100 KiB, and a connection has 2,048 streams.
    codec: Option<Codec>,
    /// Bytes came since the start.
    begun: bool,
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
            let coding = Coding::named(coding).ok_or(Unreadable::UnknownCoding)?;
            stages.push(Stage { coding, codec: None, begun: false, written: 0 });
        }
        stages.reverse();
        Ok((!stages.is_empty()).then_some(Self { stages, read: 0 }))
    }

    /// The next bytes are coded by themselves. The bound on expansion goes on counting, so that
    /// many small bombs are no way around it.
    pub(super) fn restart(&mut self) {
        for stage in self.stages.iter_mut().filter(|stage| stage.begun) {
            stage.begun = false;
            if let Some(codec) = &mut stage.codec {
                codec.restart();
            }
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
        if input.is_empty() {
            return Ok(());
        }
        self.read += input.len() as u64;
        run(&mut self.stages, input, self.read, sink)
    }

    /// The body is over.
    ///
    /// # Errors
    /// [`Unreadable::Truncated`] where a coding has not come to its own end, or
    /// [`Unreadable::Corrupt`] where its checksum is wrong. A body of no bytes at all is whole.
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        self.stages.iter().try_for_each(Stage::finish)
    }
}

impl Stage {
    fn codec(&mut self) -> Result<&mut Codec, Unreadable> {
        Ok(match &mut self.codec {
            Some(codec) => codec,
            none => none.insert(self.coding.codec().ok_or(Unreadable::UnknownCoding)?),
        })
    }

    fn finish(&self) -> Result<(), Unreadable> {
        match &self.codec {
            Some(codec) if self.begun => codec.finish(),
            _ => Ok(()),
        }
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
    read: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), Unreadable> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        sink(input);
        return Ok(());
    };
    let limit = if rest.is_empty() {
        output_limit(read)
    } else {
        FREE_BETWEEN + read.saturating_mul(MAX_RATIO_BETWEEN)
    };
    stage.begun |= !input.is_empty();
    let mut written = stage.written;
    let codec = stage.codec()?;
    let result = loop {
        let step = codec.step(input);
        input = &input[step.read..];
        let output = codec.output();
        written += output.len() as u64;
        if written > limit {
            break Err(Unreadable::Bomb);
        }
        if !output.is_empty()
            && let Err(reason) = run(rest, output, read, sink)
        {
            break Err(reason);
        }
        match step.state {
            Err(reason) => break Err(reason),
            Ok(State::Finished) => break Ok(()),
            Ok(State::Drained) if input.is_empty() => break Ok(()),
            Ok(State::Drained | State::MoreOutput) => {}
        }
    };
    stage.written = written;
    result
}
