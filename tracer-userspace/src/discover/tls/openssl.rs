//! The OpenSSL interface by its symbols: OpenSSL, LibreSSL, and BoringSSL where it has them.
//! Takes an image; gives the sites of both directions and of the life of connections.
//! Found in the dynamic table or the full one, of a shared library or of a program that holds it.

use crate::discover::{
    Basis, Cost, Finding, Function, Image, Site, Stack,
    code::{self, Code64},
    site,
};

/// The functions by name.
const SYMBOLS: [(Function, &[u8]); 10] = [
    (Function::SslNew, b"SSL_new"),
    (Function::SslFree, b"SSL_free"),
    (Function::SslUpRef, b"SSL_up_ref"),
    (Function::SslClear, b"SSL_clear"),
    (Function::SslSetFd, b"SSL_set_fd"),
    (Function::SslRead, b"SSL_read"),
    (Function::SslReadEx, b"SSL_read_ex"),
    (Function::SslWrite, b"SSL_write"),
    (Function::SslWriteEx, b"SSL_write_ex"),
    (Function::SslGetError, b"SSL_get_error"),
];

pub(super) fn find(image: &Image<'_>) -> Option<Finding> {
    let mut found: Vec<(Function, u64)> = Vec::new();
    image.each_function(&mut |symbol| {
        // Cheap test first: a large library has a hundred thousand names.
        if !symbol.name.starts_with(b"SSL_") {
            return;
        }
        let known = SYMBOLS.iter().find(|(_, name)| *name == symbol.name);
        let Some((function, _)) = known else { return };
        // The first definition stands: the dynamic table is what other files call.
        if !found.iter().any(|(have, _)| have == function) {
            found.push((*function, symbol.address));
        }
    });
    let mut sites: Vec<Site> = found
        .iter()
        .filter_map(|(function, address)| site::at_entry(image, *function, *address))
        .collect();
    share(Function::SslRead, Function::SslReadEx, image, &found, &mut sites);
    share(Function::SslWrite, Function::SslWriteEx, image, &found, &mut sites);
    let finding = Finding {
        stack: Stack::OpenSsl,
        basis: Basis::Symbols,
        version: None,
        evidence: vec![format!("{} symbols of the OpenSSL interface", found.len())],
        sites,
    };
    let either = |plain, ex| finding.has(plain) || finding.has(ex);
    let both = either(Function::SslRead, Function::SslReadEx)
        && either(Function::SslWrite, Function::SslWriteEx);
    both.then_some(finding)
}

/// Puts one probe on the function that two exported ones share, where that is right and cheaper.
fn share(
    plain: Function,
    ex: Function,
    image: &Image<'_>,
    found: &[(Function, u64)],
    sites: &mut Vec<Site>,
) {
    let address = |function| found.iter().find(|(have, _)| *have == function).map(|found| found.1);
    let read = |address| Some((address, image.bytes(address, code::LOOK)?));
    let of = |function| address(function).and_then(read);
    let (Some((plain_at, plain_code)), Some((ex_at, ex_code))) = (of(plain), of(ex)) else {
        return;
    };
    let plain_code = Code64 { address: plain_at, bytes: &plain_code };
    let ex_code = Code64 { address: ex_at, bytes: &ex_code };
    let Some(shared) = code::shared(plain_code, ex_code) else { return };
    let Some(offset) = image.code_offset(shared) else { return };
    let shared = read(shared);
    let cheap = shared
        .is_some_and(|(address, bytes)| code::emulated_entry(Code64 { address, bytes: &bytes }));
    if code::emulated_entry(plain_code) || !cheap {
        return;
    }
    sites.retain(|site| site.function != plain && site.function != ex);
    let reason = "the function that both exported ones call";
    sites.push(Site { function: ex, offset, cost: Cost::Emulated, parameter: 0, reason });
}
