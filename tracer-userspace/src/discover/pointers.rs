//! Pointers to code that a file's data holds: what relocations make relative to the load address, or,
//! in a program that is always loaded at one address, the words themselves.
//! Takes an [`Image`]; gives slots and where they point, sorted, with bounds. Knows RELA, RELR
//! (System V ABI, chapter 4) and nothing of what the pointers are for.

use object::elf;

use super::{Image, Section};

/// Pointers to code that are kept, of 16 bytes each. The largest known program (Codex, 294 MB) has
/// 0.3 million, Chromium a million; a file with more is refused.
const POINTERS_LIMIT: usize = 2 << 20;

/// Bytes of relocations that are read; of a million there are 24 MB.
const RELOCATIONS_LIMIT: u64 = 128 << 20;

/// Bytes of data that are searched for words of a program with fixed addresses.
const DATA_LIMIT: u64 = 256 << 20;

/// Bytes that are read at a time: a multiple of every entry's size.
const PIECE: u64 = 24 << 12;

#[cfg(target_arch = "x86_64")]
const RELATIVE: u32 = elf::R_X86_64_RELATIVE.0;
#[cfg(target_arch = "aarch64")]
const RELATIVE: u32 = elf::R_AARCH64_RELATIVE.0;

/// Slots that point to code, by address.
#[derive(Debug, Default)]
pub(super) struct Pointers {
    /// Address of the slot, and where it points.
    sorted: Vec<(u64, u64)>,
}

impl Pointers {
    /// `None`: there are more than anybody writes.
    pub(super) fn read(image: &Image<'_>) -> Option<Self> {
        let mut found = Found { image, sorted: Vec::new(), full: false };
        if image.fixed {
            found.words();
        }
        for section in image.sections.iter().filter(|section| section.address != 0) {
            match section.kind {
                kind if kind == elf::SHT_RELA.0 => found.rela(section),
                kind if kind == elf::SHT_RELR.0 => found.relr(section),
                _ => {}
            }
        }
        let Found { mut sorted, full, .. } = found;
        if full {
            return None;
        }
        sorted.sort_unstable();
        sorted.dedup_by_key(|pointer| pointer.0);
        Some(Self { sorted })
    }

    /// Where the slot at an address points, if to code.
    pub(super) fn at(&self, slot: u64) -> Option<u64> {
        let index = self.sorted.binary_search_by_key(&slot, |pointer| pointer.0).ok()?;
        Some(self.sorted[index].1)
    }

    /// Every slot and where it points.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.sorted.iter().copied()
    }

    /// Where they point, in no order.
    pub(super) fn targets(&self) -> impl Iterator<Item = u64> {
        self.iter().map(|(_, target)| target)
    }

    /// Every slot that is followed by another, with where the two point.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.sorted.windows(2).filter_map(|two| match two {
            [(slot, first), (next, second)] if slot.checked_add(8) == Some(*next) => {
                Some((*slot, *first, *second))
            }
            _ => None,
        })
    }
}

struct Found<'i, 'f> {
    image: &'i Image<'f>,
    sorted: Vec<(u64, u64)>,
    full: bool,
}

impl Found<'_, '_> {
    fn add(&mut self, slot: u64, target: u64) {
        if self.image.code_offset(target).is_none() {
            return;
        }
        if self.sorted.len() < POINTERS_LIMIT {
            self.sorted.push((slot, target));
        } else {
            self.full = true;
        }
    }

    /// The entries of a table, a piece at a time.
    fn entries<const LEN: usize>(
        &mut self,
        section: &Section,
        act: &mut dyn FnMut(&mut Self, [u8; LEN]),
    ) {
        let len = section.len.min(RELOCATIONS_LIMIT);
        let mut done = 0;
        while done < len && !self.full {
            let piece = PIECE.min(len - done) as usize;
            let at = section.offset.checked_add(done);
            let Some(bytes) = at.and_then(|at| self.image.bytes_in_file(at, piece)) else { return };
            if bytes.len() < LEN {
                return;
            }
            for entry in bytes.as_chunks::<LEN>().0 {
                act(self, *entry);
            }
            done += PIECE;
        }
    }

    fn rela(&mut self, section: &Section) {
        self.entries::<24>(section, &mut |found, entry| {
            let [slot, info, addend] = words(entry);
            if info as u32 == RELATIVE {
                found.add(slot, addend);
            }
        });
    }

    /// An even entry is an address, an odd one a bitmap of the 63 words behind the last.
    fn relr(&mut self, section: &Section) {
        let mut base = 0u64;
        let mut window = Window::new(self.image);
        self.entries::<8>(section, &mut |found, entry| {
            let entry = u64::from_le_bytes(entry);
            let mut point = |slot: u64| {
                if let Some(target) = window.word(slot) {
                    found.add(slot, target);
                }
            };
            if entry & 1 == 0 {
                point(entry);
                base = entry.wrapping_add(8);
                return;
            }
            let mut bits = entry >> 1;
            while bits != 0 {
                point(base.wrapping_add(8 * u64::from(bits.trailing_zeros())));
                bits &= bits - 1;
            }
            base = base.wrapping_add(63 * 8);
        });
    }

    /// Words of data that are addresses of code.
    fn words(&mut self) {
        let mut left = DATA_LIMIT;
        let segments = self.image.segments.clone();
        for segment in segments.iter().filter(|segment| !segment.executable) {
            let mut window = Window::new(self.image);
            let end = segment.address.saturating_add(segment.len.min(left));
            left = left.saturating_sub(segment.len);
            let mut next = segment.address.checked_next_multiple_of(8);
            while let Some(slot) = next.filter(|slot| *slot < end && !self.full) {
                let Some(target) = window.word(slot) else { break };
                self.add(slot, target);
                next = slot.checked_add(8);
            }
        }
    }
}

fn words(entry: [u8; 24]) -> [u64; 3] {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&entry[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    [word(0), word(8), word(16)]
}

/// Reads at addresses that mostly ascend: a piece of the file is kept.
pub(super) struct Window<'i, 'f> {
    image: &'i Image<'f>,
    start: u64,
    bytes: Vec<u8>,
}

/// Bytes that a [`Window`] keeps.
const WINDOW: usize = 64 << 10;

impl<'i, 'f> Window<'i, 'f> {
    pub(super) fn new(image: &'i Image<'f>) -> Self {
        Self { image, start: 0, bytes: Vec::new() }
    }

    /// Up to `len` bytes, as many as the segment has in the file.
    pub(super) fn bytes(&mut self, address: u64, len: usize) -> &[u8] {
        debug_assert!(len <= WINDOW);
        if self.inside(address, len).is_none() {
            self.start = address;
            self.bytes = self.image.bytes(address, WINDOW).unwrap_or_default();
        }
        match self.inside(address, len) {
            Some(at) => &self.bytes[at..at + len],
            // The segment's end is nearer than that.
            None => &self.bytes,
        }
    }

    fn inside(&self, address: u64, len: usize) -> Option<usize> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        (at.checked_add(len)? <= self.bytes.len()).then_some(at)
    }

    pub(super) fn word(&mut self, address: u64) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(address, 8).try_into().ok()?))
    }
}
