//! A small program that holds BoringSSL as far as the finder goes: a file for tests and the fuzzer.
//! Takes what is to be different; gives an ELF file with fixed addresses and no unwind table, with
//! code as Clang writes it (by objdump of curl_cffi 0.17, shortened).

/// Address of the code; that of the constants follows the code's page.
const CODE: u64 = 0x20_1000;
const CONSTANTS: u64 = CODE + PART as u64;
const PART: usize = 0x1000;

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// The record layer's file has another name.
    OtherFile,
    /// Another function puts the same errors and calls the same method as `SSL_write`.
    SecondWrite,
    /// Another function reads as `SSL_read` does.
    SecondRead,
    /// A method of the table is missing.
    ShortTable,
    /// There are two tables.
    SecondTable,
    /// The table is that of DTLS.
    Datagrams,
    /// `SSL_write` puts an error of another number.
    OtherReason,
}

/// Where things are in the file that [`file`] gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) write: u64,
    pub(super) read: u64,
    pub(super) tls_new: u64,
    pub(super) tls_free: u64,
    pub(super) table: u64,
}

struct Code {
    bytes: Vec<u8>,
}

impl Code {
    /// Begins a function: its address.
    fn function(&mut self) -> u64 {
        while !self.bytes.len().is_multiple_of(16) {
            self.bytes.push(0xcc);
        }
        CODE + self.bytes.len() as u64
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    fn call(&mut self, target: u64) {
        let behind = CODE + self.bytes.len() as u64 + 5;
        self.add(&[0xe8]);
        self.add(&(target.wrapping_sub(behind) as i32).to_le_bytes());
    }

    /// `ERR_put_error(ERR_LIB_SSL, 0, reason, file, …)`
    fn put(&mut self, put_error: u64, reason: u32, file: u64) {
        self.add(&[0xbf, 16, 0, 0, 0, 0x31, 0xf6, 0xba]);
        self.add(&reason.to_le_bytes());
        self.add(&[0xb9]);
        self.add(&(file as u32).to_le_bytes());
        self.call(put_error);
    }

    /// `call *slot(%rax)`
    fn method(&mut self, slot: u8) {
        self.add(&[0xff, 0x50, slot]);
    }
}

const PUSH: &[u8] = &[0x53];
const POP_AND_RETURN: &[u8] = &[0x5b, 0xc3];
/// `mov %rbx,8(%rax)`
const STORE: &[u8] = &[0x48, 0x89, 0x58, 0x08];

/// The whole file.
pub(super) fn file(flaw: Flaw) -> (Vec<u8>, Places) {
    let other = if flaw == Flaw::OtherFile { "s3_xyz.cc" } else { "s3_pkt.cc" };
    let names = format!("\0../vendor/ssl/ssl_lib.cc\0../vendor/ssl/{other}\0");
    let (api, record) = (CONSTANTS + 1, CONSTANTS + 28);
    let mut code = Code { bytes: Vec::new() };
    let (mut places, put_error) = (Places::default(), code.function());
    code.add(&[0xc3]);
    let writes = if flaw == Flaw::SecondWrite { 2 } else { 1 };
    let mut called = Vec::new();
    for _ in 0..writes {
        places.write = code.function();
        code.add(PUSH);
        let reason = if flaw == Flaw::OtherReason { 227 } else { 226 };
        [reason, 215].into_iter().for_each(|reason| code.put(put_error, reason, api));
        code.method(0x48);
        code.add(POP_AND_RETURN);
        called.push(places.write);
    }
    let read_impl = code.function();
    code.add(PUSH);
    code.put(put_error, 226, api);
    [0x18, 0x20, 0x40].into_iter().for_each(|slot| code.method(slot));
    code.add(POP_AND_RETURN);
    let reads = if flaw == Flaw::SecondRead { 2 } else { 1 };
    for takes in std::iter::repeat_n(true, reads).chain([false]) {
        let wrapper = code.function();
        code.add(PUSH);
        code.put(put_error, 0x42, api);
        code.call(read_impl);
        if takes {
            code.add(STORE);
            places.read = wrapper;
        }
        code.add(POP_AND_RETURN);
        called.push(wrapper);
    }
    let mut methods: Vec<u64> = Vec::new();
    for number in 0..18 {
        methods.push(code.function());
        if number == 7 || number == 8 {
            code.put(put_error, 100, record);
        }
        code.add(&[0xc3]);
    }
    (places.tls_new, places.tls_free) = (methods[0], methods[1]);
    let _program = code.function();
    called.into_iter().for_each(|function| code.call(function));
    code.add(&[0xc3]);
    let mut constants = names.into_bytes();
    constants.resize(constants.len().next_multiple_of(8), 0);
    let tables = if flaw == Flaw::SecondTable { 2 } else { 1 };
    for _ in 0..tables {
        places.table = CONSTANTS + constants.len() as u64;
        constants.extend(u64::from(flaw == Flaw::Datagrams).to_le_bytes());
        let short = if flaw == Flaw::ShortTable { 12 } else { methods.len() };
        constants.extend(methods[..short].iter().flat_map(|method| method.to_le_bytes()));
        constants.extend([0; 8]);
    }
    (assemble(code.bytes, constants), places)
}

/// Headers, code and constants, a page each (System V ABI, chapters 4 and 5).
fn assemble(mut code: Vec<u8>, mut constants: Vec<u8>) -> Vec<u8> {
    let words =
        |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC of x86-64, version 1.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    // Entry, program headers, no section headers.
    file.extend(words(&[CODE, 64, 0]));
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    for (flags, address, offset) in [(5, CODE, PART), (4, CONSTANTS, 2 * PART)] {
        file.extend([1, 0, 0, 0, flags, 0, 0, 0]);
        let (len, align) = (PART as u64, PART as u64);
        file.extend(words(&[offset as u64, address, address, len, len, align]));
    }
    for part in [&mut code, &mut constants] {
        part.resize(PART, 0);
        file.resize(file.len().next_multiple_of(PART), 0);
        file.append(part);
    }
    file
}
