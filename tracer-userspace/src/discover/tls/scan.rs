//! The code of an image, searched for what refers to some addresses or has some bytes.
//! Takes an [`Image`]; gives addresses of instructions. A piece of code is in memory at a time.
//! Nothing is decoded here: a hit may be in the middle of an instruction, and whoever takes it
//! decodes from a function's start.

use std::ops::Range;

use crate::discover::{Image, Segment};

/// Bytes of code in memory at a time.
const PIECE: usize = 1 << 20;

/// Bytes of a piece that are looked at with the next one: longer than any instruction (15) and what
/// is looked for beside a hit.
const OVERLAP: usize = 256;

/// Bytes of a file that are searched, of code and of constants each; the largest known (Claude Code)
/// has 57 MB and 26 MB.
pub(super) const SEARCHED: u64 = 512 << 20;

/// An operand of four bytes that says an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand<'b> {
    /// The address that it says.
    pub(super) target: u64,
    /// Where the operand is.
    pub(super) at: u64,
    /// Relative to its own end, or absolute.
    pub(super) relative: bool,
    /// Bytes just before the operand, as many as are there, up to [`OVERLAP`].
    pub(super) before: &'b [u8],
}

/// Every place in code where four bytes say an address in `wanted`, as a distance from their own end
/// or, in an image with fixed addresses, as the address itself.
pub(super) fn operands(image: &Image<'_>, wanted: &Range<u64>, act: &mut dyn FnMut(Operand<'_>)) {
    let is_absolute = image.fixed && u32::try_from(wanted.end).is_ok();
    each_piece(image, |segment| segment.executable, &mut |start, bytes, seen| {
        let sieve = Sieve::new(start, wanted, is_absolute);
        let mut at = seen.saturating_sub(OPERAND - 1);
        while at + OPERAND <= bytes.len() {
            // Few blocks have one.
            if sieve.passes_block(bytes, at) {
                at += BLOCK;
                continue;
            }
            let end = (at + BLOCK).min(bytes.len() - OPERAND + 1);
            for at in at..end {
                let Some(value) = bytes[at..].first_chunk().map(|four| u32::from_le_bytes(*four))
                else {
                    break;
                };
                let place = start.wrapping_add(at as u64);
                let behind = place.wrapping_add(OPERAND as u64);
                let distant = behind.wrapping_add_signed(i64::from(value as i32));
                let before = &bytes[at.saturating_sub(OVERLAP)..at];
                if wanted.contains(&distant) {
                    act(Operand { target: distant, at: place, relative: true, before });
                }
                if is_absolute && wanted.contains(&u64::from(value)) {
                    act(Operand { target: value.into(), at: place, relative: false, before });
                }
            }
            at = end;
        }
    });
}

const OPERAND: usize = 4;
/// Bytes that are tested at once.
const BLOCK: usize = 64;

/// The test on the lower half of addresses, where it costs least.
struct Sieve {
    /// What a distance of 0 at the piece's first byte would say, from the lowest wanted address on.
    near: u32,
    low: u32,
    span: u32,
    is_absolute: bool,
}

impl Sieve {
    fn new(start: u64, wanted: &Range<u64>, is_absolute: bool) -> Self {
        let low = wanted.start as u32;
        let span = u32::try_from(wanted.end.saturating_sub(wanted.start)).unwrap_or(u32::MAX);
        let near = (start as u32).wrapping_add(OPERAND as u32).wrapping_sub(low);
        Self { near, low, span, is_absolute }
    }

    /// Whether no operand that begins in the block from `at` on can be wanted; false near the end.
    fn passes_block(&self, bytes: &[u8], at: usize) -> bool {
        let Some(block) = bytes.get(at..at + BLOCK + OPERAND - 1) else { return false };
        let mut hits = 0u32;
        // One of four alignments at a time, which the compiler makes vector code of.
        for phase in 0..OPERAND {
            let near = self.near.wrapping_add((at + phase) as u32);
            let (words, _) = block[phase..phase + BLOCK].as_chunks::<OPERAND>();
            for (index, word) in words.iter().enumerate() {
                let value = u32::from_le_bytes(*word);
                let distance = value.wrapping_add(near).wrapping_add((index * OPERAND) as u32);
                hits |= u32::from(distance < self.span);
            }
            if self.is_absolute {
                for word in words {
                    let value = u32::from_le_bytes(*word);
                    hits |= u32::from(value.wrapping_sub(self.low) < self.span);
                }
            }
        }
        hits == 0
    }
}

/// Every place where `byte` is in code, with the four bytes behind it.
pub(super) fn bytes(image: &Image<'_>, byte: u8, act: &mut dyn FnMut(u64, [u8; 4])) {
    each_piece(image, |segment| segment.executable, &mut |start, bytes, seen| {
        for at in memchr::memchr_iter(byte, bytes) {
            if let Some(four) = bytes[at + 1..].first_chunk()
                && at + 1 + four.len() > seen
            {
                act(start.wrapping_add(at as u64), *four);
            }
        }
    });
}

/// Every place where `bytes` are: its address, the bytes around as far as they are in memory (at least
/// [`OVERLAP`] each way, or to the segment's end), and where in them it is. Some are told twice.
pub(in crate::discover) fn places(
    image: &Image<'_>,
    of: fn(&Segment) -> bool,
    bytes: &[u8],
    act: &mut dyn FnMut(u64, &[u8], usize),
) {
    let finder = memchr::memmem::Finder::new(bytes);
    each_piece(image, of, &mut |start, piece, _| {
        for at in finder.find_iter(piece) {
            act(start.wrapping_add(at as u64), piece, at);
        }
    });
}

/// Segments a piece at a time: its address, its bytes, and how many of them were in the one before.
fn each_piece(image: &Image<'_>, of: fn(&Segment) -> bool, act: &mut dyn FnMut(u64, &[u8], usize)) {
    let mut left = SEARCHED;
    for segment in image.segments.iter().filter(|segment| of(segment)) {
        let len = segment.len.min(left);
        left -= len;
        let mut done = 0;
        let mut seen = 0;
        while done < len {
            let (from, wanted) = (done - seen, (PIECE as u64).min(len - done) + seen);
            let at = segment.offset.saturating_add(from);
            let Some(bytes) = image.bytes_in_file(at, wanted as usize) else { break };
            act(segment.address.wrapping_add(from), &bytes, seen as usize);
            if bytes.len() < wanted as usize {
                break;
            }
            done = from + wanted;
            seen = (OVERLAP as u64).min(done);
        }
    }
}
