//! Field values out of the bytes of an HTTP/2 direction: what is secret is overwritten in place.
//! Takes bytes and gaps; gives as many bytes back, which decode to the same but for those values.
//! Which values are secret is the business of whoever asks. What cannot be read is withheld.
//!
//! The bytes of a field block wait until it is whole, so that a value may be coded in any way and
//! spread over any number of frames and segments. An entry of the compression's table counts with
//! the size of what stands in its place, which is smaller as a rule; where it is larger, a decoder
//! forgets entries too early, and leaves fields out that refer to them.

use std::{mem, ops::Range};

use httlib_huffman::{DecoderSpeed, encoder::table::ENCODE_TABLE};

use super::{
    BLOCK_LIMIT, Malformed,
    frame::{Frame, FrameReader, Header, Skip, begins_frames, flag, kind},
    hpack::{Decoder, Octets},
};
use crate::{
    capture::{Data, Timestamp},
    http::sniff::HTTP2_PREFACE,
};

/// Bytes that wait for the end of one field block, other frames between its own included.
const HELD_LIMIT: usize = 2 * BLOCK_LIMIT;

/// What stands in for an octet, and for the 8 bits that it takes as a Huffman code.
const FILLER: u8 = b'X';
const FILLER_CODE: u8 = 0xfc;

/// What stands in for a run of Huffman codes: by how many bits are more than whole fillers take, the
/// text to put behind them and its bits. `a` takes 5, `A` 6, `Y` 7 (RFC 7541, appendix B).
const TAILS: [(&[u8], usize); 8] = [
    (b"", 0),
    (b"aAA", 17),
    (b"aa", 10),
    (b"aA", 11),
    (b"AA", 12),
    (b"a", 5),
    (b"A", 6),
    (b"Y", 7),
];

/// What of a field's value must not be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Secrecy {
    Open,
    Secret,
    /// These parts of it.
    Within(fn(&[u8]) -> Vec<Range<usize>>),
}

/// Where bytes go that wait no longer; what is withheld is a gap.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Data<'_>);

/// One direction.
#[derive(Clone, Debug)]
pub(crate) struct Redactor {
    /// By a field's name; `None`: it is not known.
    secrecy: fn(Option<&str>) -> Secrecy,
    /// Bytes of the client's preface still to come.
    preface: usize,
    frames: FrameReader,
    hpack: Decoder,
    /// From the payload of the frame that is to be read whole, or that began the block under way.
    held: Vec<u8>,
    block: Option<Block>,
    /// Where the next frame begins is not known.
    lost: bool,
    /// Bytes that were overwritten.
    pub(crate) replaced: u64,
}

/// A field block under way.
#[derive(Clone, Debug)]
struct Block {
    stream: u32,
    /// Where its parts stand in what is held.
    parts: Vec<Range<usize>>,
}

impl Redactor {
    /// Of a direction that is seen from its first byte.
    pub(crate) fn from_start(is_client: bool, secrecy: fn(Option<&str>) -> Secrecy) -> Self {
        Self {
            secrecy,
            preface: if is_client { HTTP2_PREFACE.len() } else { 0 },
            frames: FrameReader::new(),
            hpack: Decoder::new(true),
            held: Vec::new(),
            block: None,
            lost: false,
            replaced: 0,
        }
    }

    /// Of one that is seen from the middle.
    pub(crate) fn from_middle(secrecy: fn(Option<&str>) -> Secrecy) -> Self {
        Self { hpack: Decoder::new(false), lost: true, ..Self::from_start(false, secrecy) }
    }

    /// `bytes` may be the first that are seen of HTTP/2.
    pub(crate) fn begins(bytes: &[u8]) -> bool {
        begins_frames(bytes)
    }

    /// Takes a segment; `sink` gets what no longer waits, in order.
    pub(crate) fn segment(&mut self, mut input: &[u8], sink: Sink<'_>) {
        if self.lost && begins_frames(input) {
            self.lost = false;
        }
        while !input.is_empty() && !self.lost {
            let before = input.len();
            if let Err(error) = self.step(&mut input, sink) {
                tracing::debug!(%error, "HTTP/2 that cannot be recorded");
                self.lose(sink);
                // The step that failed has told nothing.
                sink(Data::Gap(before as u64));
                return;
            }
        }
        if !input.is_empty() {
            sink(Data::Gap(input.len() as u64));
        }
    }

    /// Bytes are missing here.
    pub(crate) fn gap(&mut self, missing: u64, sink: Sink<'_>) {
        let between = self.preface == 0 && self.block.is_none() && self.held.is_empty();
        let goes_on = between && !self.lost && {
            matches!(self.frames.skip(missing), Skip::Nothing | Skip::Data { .. })
        };
        if !goes_on {
            self.lose(sink);
        }
    }

    /// Nothing more comes: what waits is withheld.
    pub(crate) fn lose(&mut self, sink: Sink<'_>) {
        if !self.held.is_empty() {
            sink(Data::Gap(self.held.len() as u64));
        }
        *self = Self { replaced: self.replaced, ..Self::from_middle(self.secrecy) };
    }

    /// Takes the preface, a frame, or what there is of one.
    fn step(&mut self, input: &mut &[u8], sink: Sink<'_>) -> Result<(), Malformed> {
        let whole = *input;
        if self.preface > 0 {
            let expected = &HTTP2_PREFACE[HTTP2_PREFACE.len() - self.preface..];
            let len = expected.len().min(whole.len());
            if whole[..len] != expected[..len] {
                return Err(Malformed::Preface);
            }
            self.preface -= len;
            *input = &whole[len..];
            sink(Data::Bytes(&whole[..len]));
            return Ok(());
        }
        let (ended, inside) = match self.frames.next(input, Timestamp::default())? {
            Some(Frame::Data { .. }) if self.block.is_some() => {
                return Err(Malformed::Continuation);
            }
            Some(Frame::Data { .. }) => (None, 0),
            Some(Frame::Whole { header, payload, .. }) => {
                (Some((header, payload.len())), header.len as usize)
            }
            None => (None, self.frames.gathered()),
        };
        let taken = &whole[..whole.len() - input.len()];
        let inside = if self.block.is_some() { taken.len() } else { inside.min(taken.len()) };
        let (free, held) = taken.split_at(taken.len() - inside);
        let before = self.held.len();
        self.held.extend_from_slice(held);
        let result = ended.map_or(Ok(false), |(header, block)| self.frame(header, block));
        if result.is_err() || self.held.len() > HELD_LIMIT {
            // What came with this step is told by the caller.
            self.held.truncate(before);
            return Err(result.err().unwrap_or(Malformed::BlockTooLong));
        }
        if !free.is_empty() {
            sink(Data::Bytes(free));
        }
        if matches!(result, Ok(true)) && !self.held.is_empty() {
            sink(Data::Bytes(&mem::take(&mut self.held)));
        }
        Ok(())
    }

    /// A frame is whole, `len` bytes of whose payload belong to a field block; true: nothing waits
    /// any more.
    fn frame(&mut self, header: Header, len: usize) -> Result<bool, Malformed> {
        // RFC 9113 §6.10: nothing comes between the frames of a field block.
        let is_next = match &self.block {
            Some(block) => header.kind == kind::CONTINUATION && header.stream == block.stream,
            None => header.kind != kind::CONTINUATION,
        };
        if !is_next {
            return Err(Malformed::Continuation);
        }
        if matches!(header.kind, kind::RST_STREAM | kind::GOAWAY) {
            return Ok(true);
        }
        let start = self.held.len() - header.len as usize + header.before_block();
        let new = Block { stream: header.stream, parts: Vec::new() };
        let block = self.block.get_or_insert(new);
        block.parts.push(start..start + len);
        if !header.has(flag::END_HEADERS) {
            return Ok(false);
        }
        let parts = mem::take(&mut block.parts);
        self.block = None;
        self.redact(&parts)?;
        Ok(true)
    }

    /// Overwrites what is secret of the block whose parts stand there in what is held.
    fn redact(&mut self, parts: &[Range<usize>]) -> Result<(), Malformed> {
        let block: Vec<u8> =
            parts.iter().flat_map(|part| &self.held[part.clone()]).copied().collect();
        let (mut clean, mut replaced, mut fits) = (block.clone(), 0, true);
        let secrecy = self.secrecy;
        self.hpack.literals(&block, &mut |literal| {
            let octets = &mut clean[literal.value.place.clone()];
            match secrecy(literal.name) {
                Secrecy::Open => {}
                Secrecy::Secret => {
                    octets.fill(if literal.value.huffman { FILLER_CODE } else { FILLER });
                    replaced += octets.len();
                }
                Secrecy::Within(find) => match without(octets, &literal.value, find) {
                    Some(hidden) => replaced += hidden,
                    None => fits = false,
                },
            }
        })?;
        if !fits {
            return Err(Malformed::Hpack(super::HpackError::Huffman));
        }
        let mut rest = clean.as_slice();
        for part in parts {
            let (bytes, behind) = rest.split_at(part.len());
            self.held[part.clone()].copy_from_slice(bytes);
            rest = behind;
        }
        self.replaced += replaced as u64;
        Ok(())
    }
}

/// Overwrites the parts of a value that `find` names; gives how many bytes of its text they were.
/// `None`: the value is coded in a way that nobody uses.
fn without(
    octets: &mut [u8],
    value: &Octets,
    find: fn(&[u8]) -> Vec<Range<usize>>,
) -> Option<usize> {
    let mut text = octets.to_vec();
    if value.huffman {
        text.clear();
        httlib_huffman::decode(octets, &mut text, DecoderSpeed::FourBits).ok()?;
    }
    let hidden = find(&text);
    let replaced = hidden.iter().map(Range::len).sum();
    if replaced == 0 {
        return Some(0);
    }
    if !value.huffman {
        hidden.into_iter().for_each(|part| octets[part].fill(FILLER));
        return Some(replaced);
    }
    let (mut shown, mut at) = (Vec::with_capacity(text.len()), 0);
    for part in hidden {
        shown.extend_from_slice(&text[at..part.start]);
        at = part.end;
        shown.extend(filler(&text[part])?);
    }
    shown.extend_from_slice(&text[at..]);
    let mut coded = Vec::with_capacity(octets.len());
    httlib_huffman::encode(&shown, &mut coded).ok()?;
    (coded.len() == octets.len()).then(|| {
        octets.copy_from_slice(&coded);
        replaced
    })
}

/// A text that says nothing, and takes as many bits in Huffman code as `text` does.
fn filler(text: &[u8]) -> Option<Vec<u8>> {
    let codes: &[(u8, u32)] = &ENCODE_TABLE;
    let bits: usize = text.iter().map(|byte| usize::from(codes[usize::from(*byte)].0)).sum();
    let (tail, tail_bits) = TAILS[bits % 8];
    // No text takes 1 to 4 or 9 bits.
    let whole = bits.checked_sub(tail_bits)? / 8;
    let mut filler = vec![FILLER; whole];
    filler.extend_from_slice(tail);
    Some(filler)
}

#[cfg(test)]
mod tests;
