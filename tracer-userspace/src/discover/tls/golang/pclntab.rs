//! Go's table of functions (`runtime.pclntab`), which the runtime needs and stripping leaves in place.
//! Takes an [`Image`] and names; gives where the code of each begins and ends, with bounds. Layouts
//! since Go 1.16 (`src/runtime/symtab.go` and `src/cmd/link/internal/ld/pcln.go` there).

use memchr::memmem;

use crate::discover::Image;

/// Functions of a table. A program of a gigabyte (providers of Terraform) has under one million.
const FUNCTIONS_LIMIT: u64 = 4 << 20;

/// Bytes of a table: that of Kubernetes' `kubectl` has 20 MiB. It is read a [`PIECE`] at a time.
const TABLE_LIMIT: u64 = 512 << 20;

/// Bytes that are searched for a table, where no section says where it is.
const SEARCH_LIMIT: u64 = 512 << 20;

/// What looks like the start of a header, and is read, in a search.
const CANDIDATES_LIMIT: usize = 64;

/// Tables that are looked at where a search finds several.
const TABLES_LIMIT: usize = 4;

/// Bytes of the file in memory at a time.
const PIECE: usize = 64 << 10;

/// Bytes of a name that is looked for, at most.
const NAME_LIMIT: usize = 128;

/// Sections with the table: by its own name, or in what the linker makes of it for a program that is
/// loaded anywhere (GNU ld: `.data.rel.ro`, among other data).
const SECTIONS: [&str; 3] = [".gopclntab", ".data.rel.ro.gopclntab", ".data.rel.ro"];

/// What `abi.PCLnTabMagic` was, without the byte that differs between versions.
const MAGIC: [u8; 3] = [0xff; 3];

/// Padding, the instructions' alignment and the size of a pointer, as on x86-64.
const MACHINE: [u8; 4] = [0, 0, 1, 8];

/// Where a function's code is: addresses, or for [`Addresses::FromText`] distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What the table's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// Addresses (Go 1.16 and 1.17).
    Whole,
    /// Distances from `runtime.text`, which the header says unless it is 0 (not filled in since 1.26,
    /// or by a relocation).
    FromText { text: u64, slot: u64 },
}

/// A table with a header that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Of the header.
    pub(super) address: u64,
    pub(super) addresses: Addresses,
    /// Number of functions.
    pub(super) functions: u64,
    /// Where the names begin and end in the file.
    names: (u64, u64),
    /// Where in the file the entries begin; the functions' descriptions are behind them.
    entries: u64,
    /// Where in the file the section or segment ends.
    end: u64,
}

/// Which functions were found: for each name, all of that name.
pub(super) struct Functions {
    pub(super) found: Vec<Vec<Range>>,
    /// Where the code of the first begins, and that of the last ends.
    pub(super) all: Range,
}

/// Every table of a file: one, but for files that are not what linkers make.
pub(super) fn tables(image: &Image<'_>) -> Vec<Table> {
    let mut tables = Vec::new();
    for name in SECTIONS {
        let Some(section) = image.section(name) else { continue };
        // Its own section begins with it.
        let len = if name == ".data.rel.ro" { section.len } else { 8 };
        let place = Place { address: section.address, offset: section.offset, len: section.len };
        search(image, place, len, &mut tables);
        if !tables.is_empty() {
            return tables;
        }
    }
    // A file without sections: the table is among constants, or what is constant once relocated.
    if image.sections.is_empty() {
        for segment in image.segments.iter().filter(|segment| !segment.executable) {
            let (address, offset, len) = (segment.address, segment.offset, segment.len);
            search(image, Place { address, offset, len }, len, &mut tables);
        }
    }
    tables
}

/// A part of the file.
#[derive(Clone, Copy)]
struct Place {
    address: u64,
    offset: u64,
    len: u64,
}

/// Looks for headers in the first `len` bytes of a part of the file.
fn search(image: &Image<'_>, place: Place, len: u64, tables: &mut Vec<Table>) {
    let finder = memmem::Finder::new(&MACHINE);
    let len = len.min(SEARCH_LIMIT).min(place.len);
    let (mut done, mut candidates) = (0, 0);
    while done < len {
        let Some(at) = place.offset.checked_add(done) else { return };
        let Some(piece) = image.bytes_in_file(at, PIECE) else { return };
        for found in finder.find_iter(&piece) {
            // The four bytes of the magic number are before.
            let Some(start) = found.checked_sub(4) else { continue };
            if piece[start + 1..found] != MAGIC || done + start as u64 >= len {
                continue;
            }
            candidates += 1;
            if candidates > CANDIDATES_LIMIT || tables.len() >= TABLES_LIMIT {
                return;
            }
            tables.extend(Table::read(image, place, done + start as u64));
        }
        // A header may lie across two pieces: the next begins with the end of this.
        done += (PIECE - 7) as u64;
    }
}

impl Table {
    /// `None`: no header, or one that makes no sense.
    fn read(image: &Image<'_>, place: Place, inside: u64) -> Option<Self> {
        let address = place.address.checked_add(inside)?;
        let offset = place.offset.checked_add(inside)?;
        let end = place.offset.checked_add(place.len)?;
        let header = image.bytes_in_file(offset, 72)?;
        let word = |index: usize| {
            let word = header.get(8 + index * 8..16 + index * 8)?;
            Some(u64::from_le_bytes(word.try_into().ok()?))
        };
        // `Go116PCLnTabMagic`, `Go118PCLnTabMagic`, `Go120PCLnTabMagic` of internal/abi.
        let (addresses, first) = match header.first()? {
            0xfa => (Addresses::Whole, 2),
            0xf0 | 0xf1 => {
                (Addresses::FromText { text: word(2)?, slot: address.checked_add(24)? }, 3)
            }
            _ => return None,
        };
        let functions = word(0).filter(|count| (1..=FUNCTIONS_LIMIT).contains(count))?;
        // Names, compilation units, files, program counters, functions, in this order.
        let offsets =
            [word(first)?, word(first + 1)?, word(first + 2)?, word(first + 3)?, word(first + 4)?];
        let limit = (end - offset).min(TABLE_LIMIT);
        if !offsets.is_sorted() || offsets[0] < 64 || offsets[4] >= limit {
            return None;
        }
        let names = (offset + offsets[0], offset + offsets[1]);
        let entries = offset + offsets[4];
        let table = Self { address, addresses, functions, names, entries, end: offset + limit };
        (table.descriptions()? < table.end).then_some(table)
    }

    /// Bytes of each of an entry's two numbers.
    fn width(&self) -> u64 {
        if self.addresses == Addresses::Whole { 8 } else { 4 }
    }

    /// Where the first function's description is in the file: behind the entries and the end of the
    /// last function.
    fn descriptions(&self) -> Option<u64> {
        self.entries.checked_add((self.functions * 2 + 1) * self.width())
    }

    /// Looks functions up by their names. `None`: none of them is there, or the table is malformed.
    pub(super) fn look_up(&self, image: &Image<'_>, names: &[&[u8]]) -> Option<Functions> {
        let places = self.places_of_names(image, names)?;
        if places.iter().all(Option::is_none) {
            return None;
        }
        let mut found = vec![Vec::new(); names.len()];
        let width = self.width();
        let (mut entries, mut descriptions) = (Pieces::new(image), Pieces::new(image));
        let last_end = self.entries + self.functions * 2 * width;
        let mut start = entries.number(self.entries, width)?;
        let all = Range { start, end: Pieces::new(image).number(last_end, width)? };
        let mut last = 0;
        for index in 0..self.functions {
            let entry = self.entries + index * 2 * width;
            let description = entries.number(entry + width, width)?;
            let end = entries.number(entry + 2 * width, width)?;
            // Both ascend in every table there is: no one is led around in it.
            if end < start || (index > 0 && description <= last) {
                return None;
            }
            last = description;
            // `_func`: the entry again, then the place of the name.
            let at = self.entries.checked_add(description)?.checked_add(width)?;
            if at >= self.end {
                return None;
            }
            let name = descriptions.number(at, 4)?;
            if let Some(which) = places.iter().position(|place| *place == Some(name)) {
                found[which].push(Range { start, end });
            }
            start = end;
        }
        Some(Functions { found, all })
    }

    /// Where among the names each of `names` is; every name stands there once.
    fn places_of_names(&self, image: &Image<'_>, names: &[&[u8]]) -> Option<Vec<Option<u64>>> {
        let wanted: Vec<Vec<u8>> = names
            .iter()
            .map(|name| [b"\0", &name[..name.len().min(NAME_LIMIT)], b"\0"].concat())
            .collect();
        let finders: Vec<_> = wanted.iter().map(memmem::Finder::new).collect();
        let mut places = vec![None; names.len()];
        // Before the first name there is nothing that ends another.
        let mut text = vec![0];
        let mut start = self.names.0;
        let mut first = 0u64.wrapping_sub(1);
        while start < self.names.1 {
            let len = PIECE.min(usize::try_from(self.names.1 - start).ok()?);
            let piece = image.bytes_in_file(start, len).filter(|piece| piece.len() == len)?;
            start += len as u64;
            text.extend(piece);
            for (finder, place) in finders.iter().zip(&mut places) {
                if let (None, Some(at)) = (&place, finder.find(&text)) {
                    *place = Some(first.wrapping_add(at as u64 + 1));
                }
            }
            // What may be the beginning of one that goes on.
            let done = text.len().saturating_sub(NAME_LIMIT + 1);
            text.drain(..done);
            first = first.wrapping_add(done as u64);
        }
        Some(places)
    }
}

/// Numbers of the file, read in ascending order a piece at a time.
struct Pieces<'i, 'f> {
    image: &'i Image<'f>,
    start: u64,
    bytes: Vec<u8>,
}

impl<'i, 'f> Pieces<'i, 'f> {
    fn new(image: &'i Image<'f>) -> Self {
        Self { image, start: 0, bytes: Vec::new() }
    }

    /// The number of four or eight bytes at a place in the file.
    fn number(&mut self, offset: u64, width: u64) -> Option<u64> {
        let width = usize::try_from(width).ok()?;
        let inside = |pieces: &Self| {
            let from = usize::try_from(offset.checked_sub(pieces.start)?).ok()?;
            let bytes = pieces.bytes.get(from..from.checked_add(width)?)?;
            let mut number = [0; 8];
            number[..width].copy_from_slice(bytes);
            Some(u64::from_le_bytes(number))
        };
        if let Some(number) = inside(self) {
            return Some(number);
        }
        self.bytes = self.image.bytes_in_file(offset, PIECE)?;
        self.start = offset;
        inside(self)
    }
}
