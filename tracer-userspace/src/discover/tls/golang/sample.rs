//! A small program as Go's linker lays it out, written by Go's documents and not by what reads it.
//! Takes a layout and code; gives an ELF file. For the tests here and the fuzz target `elf`, which
//! compiles this file too: nothing but the standard library.

/// Where the code is, in memory and in the file.
pub(crate) const TEXT: u64 = 0x40_1000;
pub(crate) const TEXT_OFFSET: u64 = 0x1000;
/// Where the table is.
pub(crate) const TABLE: u64 = 0x50_0000;
pub(crate) const TABLE_OFFSET: u64 = 0x2000;

/// A function that does nothing but check its stack, and begins anew where it is too small.
pub(crate) const SMALL: &[u8] = &[
    0x49, 0x3b, 0x66, 0x10, // cmp 0x10(%r14),%rsp
    0x76, 0x01, // jbe 7
    0xc3, // ret
    0xeb, 0xf7, // jmp 0
];

/// Calls a function at `from`, in the code.
pub(crate) fn call(from: u64, to: u64) -> [u8; 5] {
    let distance = (to as i64 - from as i64 - 5) as i32;
    let [a, b, c, d] = distance.to_le_bytes();
    [0xe8, a, b, c, d]
}

/// `(*Conn).Read` as Go 1.21 and later make it, without what does not matter.
pub(crate) fn read(at: u64, record: u64, memmove: u64) -> Vec<u8> {
    [
        &[0x49, 0x3b, 0x66, 0x10][..],         // 00 cmp 0x10(%r14),%rsp
        &[0x76, 0x31],                         // 04 jbe 37
        &[0x55],                               // 06 push %rbp
        &[0x48, 0x89, 0xe5],                   // 07 mov %rsp,%rbp
        &[0x48, 0x83, 0xec, 0x20],             // 0a sub $0x20,%rsp
        &[0x48, 0x89, 0x44, 0x24, 0x30],       // 0e mov %rax,0x30(%rsp)
        &[0x48, 0x89, 0x5c, 0x24, 0x38],       // 13 mov %rbx,0x38(%rsp)
        &call(at + 0x18, record),              // 18
        &[0x48, 0x85, 0xc0],                   // 1d test %rax,%rax
        &[0x75, 0x0f],                         // 20 jne 31
        &[0x48, 0x8b, 0x44, 0x24, 0x38],       // 22 mov 0x38(%rsp),%rax
        &[0x48, 0x39, 0xd8],                   // 27 cmp %rbx,%rax
        &[0x74, 0x05],                         // 2a je 31
        &call(at + 0x2c, memmove),             // 2c
        &[0x48, 0x83, 0xc4, 0x20, 0x5d, 0xc3], // 31 add $0x20,%rsp; pop %rbp; ret
        &[0x48, 0x89, 0x44, 0x24, 0x08],       // 37 mov %rax,0x8(%rsp)
        &[0x48, 0x8b, 0x44, 0x24, 0x08],       // 3c mov 0x8(%rsp),%rax
        &[0xeb, 0xbd],                         // 41 jmp 0
    ]
    .concat()
}

pub(crate) const READ_AT: u64 = 0x40;
pub(crate) const COPY_AT: u64 = READ_AT + 0x2c;
pub(crate) const OUTCOME_AT: u64 = READ_AT + 0x20;
/// Where the others are, each aligned.
pub(crate) const RECORD_AT: u64 = 0;
pub(crate) const MEMMOVE_AT: u64 = 0x20;
pub(crate) const OTHERS_AT: u64 = 0xa0;

pub(crate) fn functions() -> Vec<(&'static str, u64)> {
    vec![
        ("crypto/tls.(*Conn).readRecordOrCCS", RECORD_AT),
        ("runtime.memmove", MEMMOVE_AT),
        ("crypto/tls.(*Conn).Read", READ_AT),
        ("crypto/tls.(*Conn).ReadFrom", OTHERS_AT),
        ("crypto/tls.(*Conn).writeRecordLocked", OTHERS_AT + 0x10),
        ("crypto/tls.(*Conn).Close", OTHERS_AT + 0x20),
        ("crypto/tls.(*Conn).clientHandshake", OTHERS_AT + 0x30),
    ]
}
pub(crate) const END: u64 = OTHERS_AT + 0x40;

/// How a program is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) magic: u8,
    /// `textStart` of the header, where it has that.
    pub(crate) text: u64,
    /// It has sections.
    pub(crate) sections: bool,
    /// Functions besides, of a byte each and all of one name.
    pub(crate) more: u64,
}

pub(crate) const NEWEST: Layout = Layout { magic: 0xf1, text: 0, sections: true, more: 0 };

pub(crate) fn code() -> Vec<u8> {
    let mut code = vec![0xcc; END as usize];
    let mut put = |at: u64, bytes: &[u8]| code[at as usize..][..bytes.len()].copy_from_slice(bytes);
    for (_, at) in functions() {
        put(at, SMALL);
    }
    put(READ_AT, &read(READ_AT, RECORD_AT, MEMMOVE_AT));
    code
}

/// `runtime.pclntab`, by `src/cmd/link/internal/ld/pcln.go`.
pub(crate) fn table(layout: Layout) -> Vec<u8> {
    let whole = layout.magic == 0xfa;
    let number = |number: u64| {
        let bytes = number.to_le_bytes();
        if whole { bytes.to_vec() } else { bytes[..4].to_vec() }
    };
    let base = if whole { TEXT } else { 0 };
    let (mut names, mut entries, mut descriptions) = (Vec::new(), Vec::new(), Vec::new());
    let mut functions = functions();
    functions.extend((0..layout.more).map(|more| ("", END + more)));
    let count = functions.len();
    let entries_len = (2 * count + 1) * number(0).len();
    for (name, at) in functions {
        entries.extend(number(base + at));
        entries.extend(number((entries_len + descriptions.len()) as u64));
        descriptions.extend(number(base + at));
        descriptions.extend((names.len() as u32).to_le_bytes());
        descriptions.extend([0; 36]);
        if !name.is_empty() {
            names.extend(name.as_bytes());
            names.push(0);
        }
    }
    entries.extend(number(base + END + layout.more));
    let mut words = vec![count as u64, 1];
    words.extend((!whole).then_some(layout.text));
    let names_at = 8 + 8 * (words.len() as u64 + 5);
    let rest_at = names_at + names.len() as u64;
    words.extend([names_at, rest_at, rest_at, rest_at, rest_at]);
    let words: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    let magic = [layout.magic, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    [&magic[..], &words, &names, &entries, &descriptions].concat()
}

/// An ELF file (System V ABI, chapter 4) of code and table.
pub(crate) fn program(layout: Layout, code: &[u8]) -> Vec<u8> {
    let table = table(layout);
    let names = b"\0.text\0.gopclntab\0.shstrtab\0";
    let names_at = TABLE_OFFSET + table.len() as u64;
    let sections_at = names_at + names.len() as u64;
    let sections: &[(u32, u32, u64, u64, u64)] = &[
        (0, 0, 0, 0, 0),
        (1, 1, TEXT, TEXT_OFFSET, code.len() as u64),
        (7, 1, TABLE, TABLE_OFFSET, table.len() as u64),
        (18, 3, 0, names_at, names.len() as u64),
    ];
    let count = if layout.sections { sections.len() as u16 } else { 0 };
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for word in [TEXT, 64, if layout.sections { sections_at } else { 0 }] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 4]);
    for number in [64, 56, 2, 64, count, count.saturating_sub(1)] {
        file.extend(number.to_le_bytes());
    }
    for (flags, address, offset, len) in
        [(5u32, TEXT, TEXT_OFFSET, code.len() as u64), (4, TABLE, TABLE_OFFSET, table.len() as u64)]
    {
        file.extend([1u32, flags].map(u32::to_le_bytes).concat());
        file.extend([offset, address, address, len, len, 0x1000].map(u64::to_le_bytes).concat());
    }
    file.resize(TEXT_OFFSET as usize, 0);
    file.extend(code);
    file.resize(TABLE_OFFSET as usize, 0);
    file.extend(table);
    if layout.sections {
        file.extend(names);
        for (name, kind, address, offset, len) in sections {
            file.extend([*name, *kind].map(u32::to_le_bytes).concat());
            file.extend([0, *address, *offset, *len].map(u64::to_le_bytes).concat());
            file.extend([0; 8]);
            file.extend([1u64, 0].map(u64::to_le_bytes).concat());
        }
    }
    file
}
