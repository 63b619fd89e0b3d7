//! Target `elf`: files that a traced process may have mapped, and the list of its mappings.
//! Takes a byte that says which, then the bytes of the file.

// Its tests use more of it.
#[allow(dead_code)]
#[path = "../../src/discover/tls/golang/sample.rs"]
mod golang;

use std::{
    collections::HashSet,
    io::{Cursor, Seek as _, Write as _},
    path::Path,
};

use llmtap::discover::{inspect, mappings};

use crate::{
    Input,
    meter::{self, Work},
};

/// The first byte.
const LIBRARY: u8 = 0;
const MAPS: u8 = 1;

/// Bytes of the heap: one table of symbols and one of names, each as large as the file.
const HEAP: usize = 1 << 20;

pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((&LIBRARY, file)) => library(file),
        Some((_, text)) => maps(text),
        None => {}
    }
}

fn library(bytes: &[u8]) {
    let work = |_: &_| Work { bytes: bytes.len(), pieces: 1, heap: HEAP + 4 * bytes.len() };
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).and_then(|()| file.rewind()).expect("a file that can be written");
    let target = meter::within(work, || inspect(file, Path::new("fuzz")));
    let Some(target) = target.expect("a file that can be read") else { return };
    for finding in &target.findings {
        let sites: HashSet<_> =
            finding.sites.iter().map(|site| (site.function, site.offset)).collect();
        assert_eq!(sites.len(), finding.sites.len(), "a probe twice at one place");
    }
}

/// Of mappings that are told, no two are of one file.
fn maps(text: &[u8]) {
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let work = |_: &_| Work {
        bytes: text.len(),
        pieces: lines,
        heap: HEAP + 8 * text.len() + 256 * lines,
    };
    let found = meter::within(work, || mappings::read(Cursor::new(text)));
    let found = found.expect("memory can be read");
    let files: HashSet<_> = found.iter().map(|one| (&one.device, one.inode)).collect();
    assert_eq!(files.len(), found.len(), "one file twice");
}

const HEADER: usize = 64;
const SECTION: usize = 64;
const SEGMENT: usize = 56;
const SYMBOL: usize = 24;

/// What a library is made of (System V ABI, chapter 4 and 5).
struct Library {
    segments: usize,
    sections: usize,
    symbols: usize,
    /// Where the functions say that they are.
    address: u64,
    name: &'static str,
}

impl Library {
    /// Headers, then segments, symbols, their names, sections.
    fn bytes(&self) -> Vec<u8> {
        let names = format!("\0{}\0SSL_write\0", self.name);
        let symbols_at = HEADER + self.segments * SEGMENT;
        let names_at = symbols_at + self.symbols * SYMBOL;
        let sections_at = names_at + names.len();
        let machine: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        file.extend(machine.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        for number in [0, HEADER, sections_at] {
            file.extend((number as u64).to_le_bytes());
        }
        file.extend([0; 4]);
        for number in [HEADER, SEGMENT, self.segments, SECTION, self.sections, 0] {
            file.extend((number as u16).to_le_bytes());
        }
        for _ in 0..self.segments {
            // Loaded, readable and executable, the whole of 64 KiB as it lies in the file.
            file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
            for number in [0_u64, 0, 0, 1 << 16, 1 << 16, 1] {
                file.extend(number.to_le_bytes());
            }
        }
        for number in 0..self.symbols {
            let name = if number % 2 == 0 { 1 } else { 2 + self.name.len() as u32 };
            file.extend(name.to_le_bytes());
            // A global function, in the first section.
            file.extend([0x12, 0, 1, 0]);
            file.extend((self.address + number as u64).to_le_bytes());
            file.extend(8_u64.to_le_bytes());
        }
        file.extend(names.as_bytes());
        for number in 0..self.sections {
            let (kind, at, len, link, size) = match number {
                0 => (0, 0, 0, 0, 0),
                1 => (3, names_at, names.len(), 0, 0),
                _ => (11, symbols_at, self.symbols * SYMBOL, 1, SYMBOL),
            };
            file.extend([0_u32, kind].map(u32::to_le_bytes).concat());
            for word in [0, 0, at as u64, len as u64] {
                file.extend(word.to_le_bytes());
            }
            file.extend([link, 1_u32].map(u32::to_le_bytes).concat());
            file.extend([8, size as u64].map(u64::to_le_bytes).concat());
        }
        file
    }
}

pub fn seeds() -> Vec<Input> {
    let library = |name| Library { segments: 1, sections: 3, symbols: 2, address: 64, name };
    let maps = "7f01a000-7f02b000 r-xp 0001a000 fd:01 1234   /usr/lib/a b/libssl.so.3 (deleted)\n\
        7f01a000-7f02b000 rw-p 0001a000 fd:01 1234 /usr/lib/libssl.so.3\n\
        7ffc000-7ffd000 r-xp 00000000 00:00 0 [vdso]\n";
    vec![
        Input::new("library", [&[LIBRARY], &library("SSL_read").bytes()[..]].concat()),
        Input::new("linker", [&[LIBRARY], &library("_dl_debug_state").bytes()[..]].concat()),
        Input::new("maps", [&[MAPS], maps.as_bytes()].concat()),
        golang("golang-newest", golang::NEWEST),
        golang("golang-1.17", golang::Layout { magic: 0xfa, ..golang::NEWEST }),
        golang(
            "golang-bare",
            golang::Layout { text: golang::TEXT, sections: false, ..golang::NEWEST },
        ),
    ]
}

fn golang(name: &str, layout: golang::Layout) -> Input {
    Input::new(name, [&[LIBRARY], &golang::program(layout, &golang::code())[..]].concat())
}

pub fn worst() -> Vec<Input> {
    let library = |name: &str, library: &Library| {
        Input::new(name, [&[LIBRARY], &library.bytes()[..]].concat())
    };
    let name = "SSL_read";
    let maps: String = (1..12_000)
        .map(|inode| {
            format!("7f01a000-7f02b000 r-xp 0001a000 fd:01 {inode} /usr/lib/libssl.so.3\n")
        })
        .collect();
    let one = Library { segments: 1, sections: 3, symbols: 40_000, address: 64, name };
    vec![
        library("symbols", &one),
        golang("golang", golang::Layout { more: 16_000, ..golang::NEWEST }),
        library("tables", &Library { sections: 8_000, symbols: 20_000, ..one }),
        library("segments", &Library { segments: 8_000, symbols: 20_000, address: 1 << 40, ..one }),
        Input::new("maps", [&[MAPS], maps.as_bytes()].concat()),
    ]
}
