//! Where functions begin, also in a file without symbols: by the index of its unwind table.
//! Takes an [`Image`]; gives the bounds of the function around an address. Knows `.eh_frame_hdr`
//! (Linux Standard Base, "Exception Frames") in the form that linkers write; searched in the file,
//! so that it takes no memory.

use super::Image;

/// Version 1, a frame pointer of any form, a count of four bytes, a table of pairs of signed four
/// bytes relative to the section (`DW_EH_PE_udata4`, `DW_EH_PE_datarel | DW_EH_PE_sdata4`).
const VERSION: u8 = 1;
const COUNT_FORM: u8 = 0x03;
const TABLE_FORM: u8 = 0x3b;

const HEADER: u64 = 12;
const ENTRY: u64 = 8;

/// The index of an image's unwind table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Functions<'i, 'f> {
    image: &'i Image<'f>,
    /// Address of the section, which the entries are relative to, and where it is in the file.
    base: u64,
    offset: u64,
    count: u64,
}

impl<'i, 'f> Functions<'i, 'f> {
    pub(super) fn read(image: &'i Image<'f>) -> Option<Self> {
        let section = image.section(".eh_frame_hdr")?;
        let header = image.bytes_in_file(section.offset, HEADER as usize)?;
        let &[VERSION, _, COUNT_FORM, TABLE_FORM, ..] = &header[..] else { return None };
        let count = u32::from_le_bytes(header.get(8..12)?.try_into().ok()?);
        let room = section.len.checked_sub(HEADER)? / ENTRY;
        let count = u64::from(count).min(room);
        Some(Self { image, base: section.address, offset: section.offset, count })
    }

    /// First address of the function around an address, and that of the next one. Code between the
    /// end of a function and the next is taken as its own: padding, or what has no unwind entry.
    pub(super) fn around(&self, address: u64) -> Option<(u64, u64)> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.start(middle)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let start = self.start(low.checked_sub(1)?)?;
        let end = if low < self.count { self.start(low)? } else { self.end_of_code(start)? };
        (start <= address && address < end).then_some((start, end))
    }

    fn start(&self, index: u64) -> Option<u64> {
        let at = self.offset.checked_add(HEADER + index * ENTRY)?;
        let relative = i32::from_le_bytes(self.image.bytes_in_file(at, 4)?.try_into().ok()?);
        Some(self.base.wrapping_add_signed(i64::from(relative)))
    }

    fn end_of_code(&self, address: u64) -> Option<u64> {
        let inside = |start: u64, len: u64| address.checked_sub(start).is_some_and(|at| at < len);
        let mut segments = self.image.segments.iter().filter(|segment| segment.executable);
        let segment = segments.find(|segment| inside(segment.address, segment.len))?;
        segment.address.checked_add(segment.len)
    }
}
