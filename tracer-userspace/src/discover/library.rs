//! One file, inspected: which functions that we probe it defines, and where in the file they are.
//! Takes an open ELF file; gives a [`Target`] with its probe sites, or nothing to probe.
//! By symbols (dynamic, then full table); stripped libraries come later, beside this.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::internal::{self, Code64};
use object::{
    Endianness, ReadCache, ReadRef,
    elf::{self, FileHeader64, SectionHeader64, Sym64},
    read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _},
};

/// Bytes of a symbol table, or of its names, that are read into memory; of Chromium's unstripped
/// binary, among the largest there are, they have some 40 MiB.
const TABLE_LIMIT: u64 = 64 << 20;

/// Sections and segments of a file. Linkers write some 50 and 15; what says more is read no further.
const HEADERS_LIMIT: u32 = 4096;

/// Executable segments that are searched for an address; linkers write one or two.
const EXECUTABLE_LIMIT: usize = 16;

/// What makes a file the same file: probes are attached once a file, however it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

impl FileId {
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A function that llmtap puts probes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    SslNew,
    SslFree,
    SslUpRef,
    SslClear,
    SslSetFd,
    SslRead,
    SslReadEx,
    SslWrite,
    SslWriteEx,
    SslGetError,
    /// The dynamic linker's debugger hook (`r_debug.r_brk`): the list of libraries changed.
    LibrariesChanged,
}

impl Function {
    /// Every function with the symbol it is known by.
    pub const SYMBOLS: [(Self, &'static str); 11] = [
        (Self::SslNew, "SSL_new"),
        (Self::SslFree, "SSL_free"),
        (Self::SslUpRef, "SSL_up_ref"),
        (Self::SslClear, "SSL_clear"),
        (Self::SslSetFd, "SSL_set_fd"),
        (Self::SslRead, "SSL_read"),
        (Self::SslReadEx, "SSL_read_ex"),
        (Self::SslWrite, "SSL_write"),
        (Self::SslWriteEx, "SSL_write_ex"),
        (Self::SslGetError, "SSL_get_error"),
        (Self::LibrariesChanged, "_dl_debug_state"),
    ];

    /// `names`: a string table from the symbol's name on.
    fn of_symbol(names: &[u8]) -> Option<Self> {
        // Cheap test first: a large library has a hundred thousand names.
        if !names.starts_with(b"SSL_") && !names.starts_with(b"_dl_") {
            return None;
        }
        let is = |symbol: &str| {
            names.strip_prefix(symbol.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
        };
        Self::SYMBOLS.iter().find(|(_, symbol)| is(symbol)).map(|(this, _)| *this)
    }
}

/// Where a probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    pub function: Function,
    /// Bytes from the start of the file to the function's first instruction.
    pub offset: u64,
}

/// A file worth probing.
#[derive(Debug)]
pub struct Target {
    pub id: FileId,
    /// Keeps the file reachable (`/proc/self/fd`) though it be deleted or in another mount namespace.
    pub file: File,
    /// For people.
    pub path: PathBuf,
    pub sites: Vec<Site>,
}

impl Target {
    /// It defines both directions of the OpenSSL interface (OpenSSL, LibreSSL, BoringSSL).
    pub fn is_tls(&self) -> bool {
        let either = |plain, ex| self.has(plain) || self.has(ex);
        either(Function::SslRead, Function::SslReadEx)
            && either(Function::SslWrite, Function::SslWriteEx)
    }

    /// It is a dynamic linker.
    pub fn is_linker(&self) -> bool {
        self.has(Function::LibrariesChanged)
    }

    fn has(&self, function: Function) -> bool {
        self.sites.iter().any(|site| site.function == function)
    }
}

/// Inspects a file. `None`: not a 64-bit ELF file of this machine, or nothing in it to probe.
pub fn inspect(file: File, path: &Path) -> io::Result<Option<Target>> {
    let id = FileId::of(&file)?;
    let sites = sites(&ReadCache::new(&file)).unwrap_or_default();
    let target = Target { id, file, path: path.to_owned(), sites };
    Ok((target.is_tls() || target.is_linker()).then_some(target))
}

/// A malformed file has no sites: what a hostile file says beyond that is of no interest.
fn sites<'data, R: ReadRef<'data>>(data: R) -> Option<Vec<Site>> {
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if header.e_machine(endian) != MACHINE {
        return None;
    }
    let headers = [header.shnum(endian, data).ok()?, header.phnum(endian, data).ok()?];
    if headers.iter().any(|count| *count > HEADERS_LIMIT) {
        return None;
    }
    let sections = header.sections(endian, data).ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let executable = segments.iter().filter(|segment| {
        segment.p_type(endian) == elf::PT_LOAD && segment.p_flags(endian).0 & elf::PF_X.0 != 0
    });
    let executable: Vec<_> = executable.take(EXECUTABLE_LIMIT).collect();
    let file_offset = |address: u64| {
        executable.iter().find_map(|segment| {
            let start = segment.p_vaddr(endian);
            let end = start.checked_add(segment.p_filesz(endian))?;
            let inside = (start..end).contains(&address).then_some(address)? - start;
            inside.checked_add(segment.p_offset(endian))
        })
    };
    let mut sites = Vec::new();
    // A file has at most one section of each of these types (System V ABI, chapter 4).
    for table in [elf::SHT_DYNSYM, elf::SHT_SYMTAB] {
        let fits = |section: &&SectionHeader64<Endianness>| {
            section.sh_type(endian) == table && section.sh_size(endian) <= TABLE_LIMIT
        };
        let Some(section) = sections.iter().find(fits) else { continue };
        let Ok(symbols) = section.data_as_array::<Sym64<Endianness>, _>(endian, data) else {
            continue;
        };
        let names = sections.section(section.link(endian)).ok();
        let names = names.filter(|names| names.sh_size(endian) <= TABLE_LIMIT);
        let Some(names) = names.and_then(|names| names.data(endian, data).ok()) else {
            continue;
        };
        collect(symbols, names, endian, &file_offset, &mut sites);
    }
    share(Function::SslRead, Function::SslReadEx, data, &mut sites);
    share(Function::SslWrite, Function::SslWriteEx, data, &mut sites);
    Some(sites)
}

/// Puts one probe on the function that two exported ones share, where that is right and cheaper.
/// Both are in one segment, so distances in memory and in the file are the same.
fn share<'data, R: ReadRef<'data>>(plain: Function, ex: Function, data: R, sites: &mut Vec<Site>) {
    let code = |offset: u64| {
        let bytes = data.read_bytes_at(offset, internal::LOOK as u64).ok()?;
        Some(Code64 { address: offset, bytes })
    };
    let of = |function: Function| code(sites.iter().find(|site| site.function == function)?.offset);
    let (Some(plain_code), Some(ex_code)) = (of(plain), of(ex)) else { return };
    let Some(offset) = internal::shared(plain_code, ex_code) else { return };
    if internal::emulated_entry(plain_code) || !code(offset).is_some_and(internal::emulated_entry) {
        return;
    }
    sites.retain(|site| site.function != plain && site.function != ex);
    sites.push(Site { function: ex, offset });
}

fn collect(
    symbols: &[Sym64<Endianness>],
    names: &[u8],
    endian: Endianness,
    file_offset: &impl Fn(u64) -> Option<u64>,
    sites: &mut Vec<Site>,
) {
    for symbol in symbols {
        if symbol.is_undefined(endian) || symbol.st_type() != elf::STT_FUNC {
            continue;
        }
        let Some(name) = names.get(symbol.st_name(endian) as usize..) else { continue };
        let Some(function) = Function::of_symbol(name) else { continue };
        // The first definition stands: the dynamic table is what other files call.
        if sites.iter().any(|site| site.function == function) {
            continue;
        }
        if let Some(offset) = file_offset(symbol.st_value(endian)) {
            sites.push(Site { function, offset });
        }
    }
}

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect_bytes(bytes: &[u8]) -> Option<Target> {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        inspect(file, Path::new("test")).unwrap()
    }

    #[test]
    fn hostile_files_have_no_sites() {
        assert!(inspect_bytes(b"").is_none());
        assert!(inspect_bytes(b"\x7fELF").is_none());
        assert!(inspect_bytes(&[0xff; 4096]).is_none());
        let mut cut = std::fs::read("/proc/self/exe").unwrap();
        for keep in [16, 63, 64, 100, 1000, cut.len() / 2] {
            let _ = inspect_bytes(&cut[..keep]);
        }
        // Section headers that point everywhere.
        for byte in cut.iter_mut().skip(32).take(24) {
            *byte = 0xff;
        }
        assert!(inspect_bytes(&cut).is_none());
    }

    /// Debian's OpenSSL 3.0, where it is there: `SSL_read_ex` is `sub $8,%rsp; call`.
    #[test]
    fn shared_function_of_a_real_library_is_found() {
        let path = Path::new("/usr/lib/x86_64-linux-gnu/libssl.so.3");
        let Ok(file) = File::open(path) else {
            println!("not run: no {}", path.display());
            return;
        };
        let target = inspect(file, path).unwrap().unwrap();
        assert!(target.is_tls() && !target.is_linker());
        // One site serves both forms, or each form has its own.
        for (plain, ex) in
            [(Function::SslRead, Function::SslReadEx), (Function::SslWrite, Function::SslWriteEx)]
        {
            assert!(target.has(ex));
            let shared = !target.has(plain);
            let offset = target.sites.iter().find(|site| site.function == ex).unwrap().offset;
            let mut first = [0; 2];
            std::os::unix::fs::FileExt::read_exact_at(&target.file, &mut first, offset).unwrap();
            let push = matches!(first, [0x50..=0x57, _] | [0x41, 0x50..=0x57]);
            assert!(!shared || push, "{first:x?}");
        }
    }

    #[test]
    fn unrelated_program_is_no_target() {
        let file = File::open("/bin/sh").unwrap();
        assert!(inspect(file, Path::new("/bin/sh")).unwrap().is_none());
    }
}
