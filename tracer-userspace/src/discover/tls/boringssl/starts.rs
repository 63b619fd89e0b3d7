//! Where functions may begin in code without an unwind table: at what is called or pointed to.
//! Takes an [`Image`] and its pointers; gives the starts before and behind an address. One bit a byte
//! of code is kept: 10 MB for the largest known program, 64 MB at most.

use super::facts::FUNCTION_LIMIT;
use crate::discover::{Image, pointers::Pointers, tls::scan};

/// `call` with a distance of four bytes.
const CALL: u8 = 0xe8;
const CALL_LEN: u64 = 5;

pub(super) struct Starts {
    segments: Vec<Bits>,
}

struct Bits {
    address: u64,
    words: Vec<u64>,
}

impl Bits {
    fn set(&mut self, address: u64) -> bool {
        let Some(bit) = address.checked_sub(self.address) else { return false };
        let Some(word) = self.words.get_mut((bit / 64) as usize) else { return false };
        *word |= 1 << (bit % 64);
        true
    }

    fn covers(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|bit| bit / 64 < self.words.len() as u64)
    }

    fn has(&self, address: u64) -> bool {
        let Some(bit) = address.checked_sub(self.address) else { return false };
        self.words.get((bit / 64) as usize).is_some_and(|word| word >> (bit % 64) & 1 != 0)
    }
}

impl Starts {
    pub(super) fn read(image: &Image<'_>, pointers: &Pointers) -> Self {
        let code = image.segments.iter().filter(|segment| segment.executable);
        let mut left = scan::SEARCHED;
        let segments = code.map(|segment| {
            let len = segment.len.min(left);
            left -= len;
            Bits { address: segment.address, words: vec![0; (len as usize).div_ceil(64)] }
        });
        let mut starts = Self { segments: segments.collect() };
        scan::bytes(image, CALL, &mut |at, four| {
            let distance = i64::from(i32::from_le_bytes(four));
            starts.set(at.wrapping_add(CALL_LEN).wrapping_add_signed(distance));
        });
        pointers.targets().for_each(|target| starts.set(target));
        starts
    }

    fn set(&mut self, address: u64) {
        let _ = self.segments.iter_mut().any(|bits| bits.set(address));
    }

    /// Starts at or before an address, the nearest first, each with the start behind it.
    pub(super) fn before(&self, image: &Image<'_>, address: u64) -> Vec<(u64, u64)> {
        let reach = FUNCTION_LIMIT as u64;
        let Some(bits) = self.segments.iter().find(|bits| bits.covers(address)) else {
            return Vec::new();
        };
        let low = address.saturating_sub(reach).max(bits.address);
        // One byte before the first, to see what it ends in.
        let code = image.bytes(low, 2 * FUNCTION_LIMIT).unwrap_or_default();
        let begins = |start: u64| bits.has(start) && begins(&code, start, low);
        let mut end = (address + 1..address.saturating_add(reach)).find(|at| begins(*at));
        let mut found = Vec::new();
        for start in (low..=address).rev().filter(|at| begins(*at)) {
            found.push((start, end.unwrap_or(u64::MAX)));
            end = Some(start);
        }
        found
    }
}

/// Whether the code before an address does not run on into it: it ends in `ret`, `ud2`, `int3` or
/// `nop`, or was padded.
fn begins(code: &[u8], start: u64, low: u64) -> bool {
    let before = code.get(..(start - low) as usize).unwrap_or_default();
    start.is_multiple_of(16) || matches!(before, [.., 0xc3 | 0xcc | 0x90] | [.., 0x0f, 0x0b])
}
