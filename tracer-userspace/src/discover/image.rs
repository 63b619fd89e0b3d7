//! One ELF file, opened for reading: its headers, checked, and any of its bytes by address.
//! Takes an open file; gives segments, sections and symbols, with bounds on everything a hostile file
//! could say. Knows the format (System V ABI, chapters 4 and 5); nothing of TLS.
//!
//! A file is read and never mapped into memory, since its owner could cut it short.

use std::{cell::RefCell, fs::File, os::unix::fs::FileExt as _};

use object::{
    Endianness, ReadCache,
    elf::{self, FileHeader64, SectionHeader64, Sym64},
    pod::slice_from_all_bytes,
    read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _},
};

/// Bytes of a symbol table, or of its names, that are read into memory; of Chromium's unstripped
/// binary, among the largest there are, they have some 40 MiB.
const TABLE_LIMIT: u64 = 64 << 20;

/// Bytes of a symbol table that are read at a time: whole entries.
const SYMBOLS_READ: usize = 4096 * size_of::<Sym64<Endianness>>();

/// Sections and segments of a file. Linkers write some 50 and 15; what says more is read no further.
const HEADERS_LIMIT: u32 = 4096;

/// Bytes of a section of notes that is read; linkers write less than a hundred.
const NOTES_LIMIT: u64 = 64 << 10;

/// Loadable segments that are searched for an address; linkers write four or five.
const SEGMENTS_LIMIT: usize = 64;

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;

/// A loadable part of the file (`PT_LOAD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first byte, before any load bias.
    pub address: u64,
    /// Where that byte is in the file.
    pub offset: u64,
    /// Bytes that are in the file.
    pub len: u64,
    pub executable: bool,
    pub writable: bool,
}

impl Segment {
    fn file_offset(&self, address: u64) -> Option<u64> {
        let inside = address.checked_sub(self.address).filter(|inside| *inside < self.len)?;
        inside.checked_add(self.offset)
    }
}

/// A section, by its header. Stripped files have them too; a file without any is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    /// `SHT_*`.
    pub kind: u32,
    pub address: u64,
    pub offset: u64,
    pub len: u64,
}

/// A defined function of a symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, without the ending NUL; hostile bytes are possible.
    pub name: &'a [u8],
    pub address: u64,
    /// 0 where the table does not say.
    pub len: u64,
}

/// An ELF file of this machine, 64 bits.
#[derive(Debug)]
pub struct Image<'f> {
    file: &'f File,
    /// Addresses are what the program uses (`ET_EXEC`), not relative to where it is loaded.
    pub fixed: bool,
    pub segments: Vec<Segment>,
    pub sections: Vec<Section>,
    /// The two tables of function symbols, dynamic first; read when they are asked for.
    tables: RefCell<Option<Tables>>,
}

type Tables = std::rc::Rc<Vec<Table>>;

#[derive(Debug)]
struct Table {
    /// Start of the name in `names`, address, size.
    symbols: Vec<(u32, u64, u64)>,
    names: Vec<u8>,
}

impl<'f> Image<'f> {
    /// `None`: no such file, or its headers are malformed.
    pub fn read(file: &'f File) -> Option<Self> {
        let cache = ReadCache::new(file);
        let header = FileHeader64::<Endianness>::parse(&cache).ok()?;
        let endian = header.endian().ok()?;
        if header.e_machine(endian) != MACHINE {
            return None;
        }
        let headers = [header.shnum(endian, &cache).ok()?, header.phnum(endian, &cache).ok()?];
        if headers.iter().any(|count| *count > HEADERS_LIMIT) {
            return None;
        }
        let segments = header.program_headers(endian, &cache).ok()?;
        let segments = segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
        let segments = segments.take(SEGMENTS_LIMIT).map(|segment| {
            let flags = segment.p_flags(endian).0;
            Segment {
                address: segment.p_vaddr(endian),
                offset: segment.p_offset(endian),
                len: segment.p_filesz(endian),
                executable: flags & elf::PF_X.0 != 0,
                writable: flags & elf::PF_W.0 != 0,
            }
        });
        let table = header.sections(endian, &cache).ok()?;
        let sections = table.iter().map(|section| Section {
            name: String::from_utf8_lossy(table.section_name(endian, section).unwrap_or_default())
                .into_owned(),
            kind: section.sh_type(endian).0,
            address: section.sh_addr(endian),
            offset: section.sh_offset(endian),
            len: section.sh_size(endian),
        });
        Some(Self {
            file,
            fixed: header.e_type(endian) == elf::ET_EXEC,
            segments: segments.collect(),
            sections: sections.collect(),
            tables: RefCell::new(None),
        })
    }

    /// What the linker made of all that is in the file, where it did (`NT_GNU_BUILD_ID`).
    pub fn build_id(&self) -> Option<Vec<u8>> {
        let cache = ReadCache::new(self.file);
        let header = FileHeader64::<Endianness>::parse(&cache).ok()?;
        let endian = header.endian().ok()?;
        for section in header.sections(endian, &cache).ok()?.iter() {
            if section.sh_size(endian) > NOTES_LIMIT {
                continue;
            }
            let Ok(Some(mut notes)) = section.notes(endian, &cache) else { continue };
            while let Ok(Some(note)) = notes.next() {
                if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID {
                    return Some(note.desc().to_vec());
                }
            }
        }
        None
    }

    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Where the byte at an address is in the file.
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| segment.file_offset(address))
    }

    /// The same for code: a probe goes nowhere else.
    pub fn code_offset(&self, address: u64) -> Option<u64> {
        let executable = self.segments.iter().filter(|segment| segment.executable);
        executable.filter_map(|segment| segment.file_offset(address)).next()
    }

    /// Up to `len` bytes from an address on, as far as its segment has them in the file.
    pub fn bytes(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let segment =
            self.segments.iter().find(|segment| segment.file_offset(address).is_some())?;
        let left = segment.len - (address - segment.address);
        self.bytes_in_file(segment.file_offset(address)?, len.min(usize::try_from(left).ok()?))
    }

    /// Up to `len` bytes of the file. What is read piece by piece this way takes bounded memory.
    pub fn bytes_in_file(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let end = self.file.metadata().ok()?.len();
        let len = len.min(usize::try_from(end.checked_sub(offset)?).ok()?);
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    /// Every defined function of the symbol tables, those of the dynamic table first.
    pub fn each_function(&self, act: &mut dyn FnMut(Symbol<'_>)) {
        let tables = self.tables.borrow().clone();
        let tables = tables.unwrap_or_else(|| {
            let read = Tables::new(self.read_tables().unwrap_or_default());
            self.tables.replace(Some(read.clone()));
            read
        });
        for table in tables.iter() {
            for (name, address, len) in &table.symbols {
                let Some(rest) = table.names.get(*name as usize..) else { continue };
                let end = memchr::memchr(0, rest).unwrap_or(rest.len());
                act(Symbol { name: &rest[..end], address: *address, len: *len });
            }
        }
    }

    fn read_tables(&self) -> Option<Vec<Table>> {
        let cache = ReadCache::new(self.file);
        let header = FileHeader64::<Endianness>::parse(&cache).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.sections(endian, &cache).ok()?;
        let mut tables = Vec::new();
        // A file has at most one section of each of these types (System V ABI, chapter 4).
        for kind in [elf::SHT_DYNSYM, elf::SHT_SYMTAB] {
            let fits = |section: &&SectionHeader64<Endianness>| {
                section.sh_type(endian) == kind && section.sh_size(endian) <= TABLE_LIMIT
            };
            let Some(section) = sections.iter().find(fits) else { continue };
            let names = sections.section(section.link(endian)).ok();
            let names = names.filter(|names| names.sh_size(endian) <= TABLE_LIMIT);
            let names = names.map(|names| (names.sh_offset(endian), names.sh_size(endian)));
            let Some(names) = names.and_then(|(at, len)| self.bytes_in_file(at, len as usize))
            else {
                continue;
            };
            let symbols =
                self.functions(endian, section.sh_offset(endian), section.sh_size(endian));
            tables.push(Table { symbols, names });
        }
        Some(tables)
    }

    /// The functions that a symbol table defines, as far as the file has it: start of the name,
    /// address, size. Of the table a piece is in memory at a time.
    fn functions(&self, endian: Endianness, offset: u64, len: u64) -> Vec<(u32, u64, u64)> {
        let mut functions = Vec::new();
        for at in (0..len).step_by(SYMBOLS_READ) {
            let wanted = (len - at).min(SYMBOLS_READ as u64) as usize;
            let Some(bytes) = offset.checked_add(at).and_then(|at| self.bytes_in_file(at, wanted))
            else {
                break;
            };
            let whole = bytes.len() - bytes.len() % size_of::<Sym64<Endianness>>();
            let Ok(symbols) = slice_from_all_bytes::<Sym64<Endianness>>(&bytes[..whole]) else {
                break;
            };
            let defined = symbols
                .iter()
                .filter(|symbol| !symbol.is_undefined(endian) && symbol.st_type() == elf::STT_FUNC);
            functions.extend(defined.map(|symbol| {
                (symbol.st_name(endian), symbol.st_value(endian), symbol.st_size(endian))
            }));
        }
        functions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_program_is_read() {
        let file = File::open("/proc/self/exe").unwrap();
        let image = Image::read(&file).unwrap();
        assert!(image.segments.iter().any(|segment| segment.executable));
        let text = image.section(".text").unwrap();
        assert_eq!(image.code_offset(text.address), Some(text.offset));
        assert_eq!(image.bytes(text.address, 8), image.bytes_in_file(text.offset, 8));
        let mut functions = 0;
        image.each_function(&mut |_| functions += 1);
        assert!(functions > 100);
    }

    #[test]
    fn data_is_no_code() {
        let file = File::open("/proc/self/exe").unwrap();
        let image = Image::read(&file).unwrap();
        let data = image.section(".data").unwrap();
        assert_eq!(image.code_offset(data.address), None);
        assert_eq!(image.file_offset(data.address), Some(data.offset));
        assert_eq!(image.bytes(u64::MAX, 8), None);
    }
}
