//! A small program that holds rustls as far as the finder goes: a file for tests.
//! Takes what is to be different; gives an ELF file with fixed addresses and an unwind table, with code as
//! the compiler writes it (by objdump of reqwest 0.12 over ring, shortened).

const CODE: u64 = 0x20_1000;
const PART: usize = 0x1000;
const DATA: u64 = CODE + PART as u64;

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// The payload is one piece, as in 0.22.
    OneSlice,
    /// No algorithm leads to what makes the encrypter.
    NoAlgorithm,
    /// What the algorithm makes beside the encrypter has no table.
    NoDecrypter,
    /// Encryption adds a number of bytes that none does.
    OtherLength,
    /// Nothing shows the layout of the message.
    NoLayout,
    /// `decrypt` returns at two places.
    TwoReturns,
    /// The encrypter has no size.
    NoSize,
}

/// Offsets in the file of `encrypt`, of `decrypt` and of its return.
pub(super) type Places = [u64; 3];

#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
    starts: Vec<u64>,
}

impl Code {
    fn function(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0xcc);
        let start = CODE + self.bytes.len() as u64;
        self.starts.push(start);
        self.bytes.extend(bytes);
        start
    }

    /// Puts the distance to an address behind it.
    fn distance(&mut self, to: u64) {
        let behind = CODE + self.bytes.len() as u64 + 4;
        self.bytes.extend((to.wrapping_sub(behind) as i32).to_le_bytes());
    }

    /// Gives back a value with a table: `lea table(%rip),%rdx; ret`.
    fn maker(&mut self, table: u64) -> u64 {
        let start = self.function(&[0x48, 0x8d, 0x15]);
        self.distance(table);
        self.bytes.push(0xc3);
        start
    }
}

pub(super) fn file(flaw: Flaw) -> (Vec<u8>, Places) {
    let (encrypter, decrypter) = (DATA, DATA + 64);
    let mut code = Code::default();
    let drops = code.function(&[0xc3]);
    let added = if flaw == Flaw::OtherLength { 0x12 } else { 0x11 };
    let length = code.function(&[0x48, 0x8d, 0x46, added, 0xc3]);
    let kind = match flaw {
        Flaw::OneSlice => 0x10,
        Flaw::NoLayout => 0x30,
        _ => 0x20,
    };
    // push %rbx; mov %rdx,%rbx; movzbl kind(%rbx),%eax; pop %rbx; ret
    let encrypt = code.function(&[0x53, 0x48, 0x89, 0xd3, 0x0f, 0xb6, 0x43, kind, 0x5b, 0xc3]);
    // push %rbx; mov %rdi,%rax; pop %rbx; ret
    let decrypt = code.function(&[0x53, 0x48, 0x89, 0xf8, 0x5b, 0xc3]);
    if flaw == Flaw::TwoReturns {
        code.bytes.push(0xc3);
    }
    let makes_encrypter = code.maker(encrypter);
    let makes_decrypter = code.maker(if flaw == Flaw::NoDecrypter { 0 } else { decrypter });
    let thunk = code.function(&[0xe9]);
    code.distance(makes_encrypter);
    let size = if flaw == Flaw::NoSize { 0 } else { 32 };
    let led = if flaw == Flaw::NoAlgorithm { drops } else { thunk };
    let tables = [
        [drops, size, 8, encrypt, length, 0, 0, 0],
        [drops, 32, 8, decrypt, 0, 0, 0, 0],
        [0, 0, 1, led, makes_decrypter, 0, 0, 0],
    ];
    let data: Vec<u8> = tables.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect();
    let place = |address: u64| address - CODE + PART as u64;
    let places = [place(encrypt), place(decrypt), place(decrypt) + 5];
    (assemble(code, data), places)
}

/// Headers, code and data, a page each, then what the section headers name (System V ABI, chapters 4
/// and 5).
fn assemble(code: Code, data: Vec<u8>) -> Vec<u8> {
    let words =
        |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let names = b"\0.eh_frame_hdr\0.shstrtab\0";
    let index_at = DATA + data.len() as u64;
    let mut index = vec![1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0];
    index.extend((code.starts.len() as u32).to_le_bytes());
    for start in &code.starts {
        index.extend((start.wrapping_sub(index_at) as i32).to_le_bytes());
        index.extend([0; 4]);
    }
    let index_len = index.len() as u64;
    let index_offset = 2 * PART as u64 + data.len() as u64;
    let names_offset = 3 * PART as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC of x86-64, version 1.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    file.extend(words(&[CODE, 64, names_offset + 64]));
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 3, 0, 2, 0]);
    for (flags, address, offset) in [(5, CODE, PART), (4, DATA, 2 * PART)] {
        file.extend([1, 0, 0, 0, flags, 0, 0, 0]);
        file.extend(words(&[offset as u64, address, address, PART as u64, PART as u64, 0x1000]));
    }
    for part in [code.bytes, [data, index].concat(), names.to_vec()] {
        file.resize(file.len().next_multiple_of(PART), 0);
        file.extend(part);
    }
    file.resize(names_offset as usize + 64, 0);
    file.extend([0; 64]);
    let sections = [
        (1u32, 1u32, index_at, index_offset, index_len),
        (15, 3, 0, names_offset, names.len() as u64),
    ];
    for (name, kind, address, offset, len) in sections {
        file.extend([name.to_le_bytes(), kind.to_le_bytes()].concat());
        file.extend(words(&[0, address, offset, len, 0, 1, 0]));
    }
    file
}
