//! Ways to cut bytes into pieces, the same for the same bytes.
//! Takes bytes; gives the pieces, which are the bytes again when they are put together.

/// Bytes that are cut one by one at most; longer inputs are cut into a few each.
const SINGLE_LIMIT: usize = 1024;

/// Bytes that the largest record of the kernel side holds.
const RECORD: usize = tracer_ebpf::TIERS[tracer_ebpf::TIERS.len() - 1];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Whole,
    /// As much as one record of the kernel side holds.
    Records,
    /// One byte each, or as few as [`SINGLE_LIMIT`] allows.
    Fine,
    /// Pieces of very different sizes.
    Uneven,
}

impl Split {
    pub const CUT: [Self; 2] = [Self::Fine, Self::Uneven];

    pub fn pieces(self, bytes: &[u8]) -> Pieces<'_> {
        let state = match self {
            Self::Uneven => u64::from(crc32fast::hash(bytes)) | 1 << 32,
            Self::Whole | Self::Records | Self::Fine => 0,
        };
        Pieces { split: self, fine: bytes.len() / SINGLE_LIMIT + 1, rest: bytes, state }
    }
}

#[derive(Debug)]
pub struct Pieces<'a> {
    split: Split,
    fine: usize,
    rest: &'a [u8],
    state: u64,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let len = match self.split {
            Split::Whole => self.rest.len(),
            Split::Records => RECORD,
            Split::Fine => self.fine,
            Split::Uneven => {
                // xorshift64 (Marsaglia): sizes of 1 to 2^15, small ones as likely as large ones.
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                1 + (self.state >> 32) as usize % (1 << (self.state % 16))
            }
        };
        let (piece, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}
