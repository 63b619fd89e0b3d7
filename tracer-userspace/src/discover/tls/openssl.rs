//! The OpenSSL interface by its symbols: OpenSSL, LibreSSL, and BoringSSL where it has them.
//! Takes an image; gives the sites of both directions and of the life of connections.
//! Found in the dynamic table or the full one, of a shared library or of a program that holds it.

use super::scan;
use crate::discover::{
    Basis, Cost, Finding, Function, Image, Site, Stack,
    code::{self, Code64},
    site,
};

/// The functions by name.
pub(super) const SYMBOLS: &[(Function, &[u8])] = &[
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
    let finding = Finding {
        stack: Stack::OpenSsl,
        basis: Basis::Symbols,
        version: None,
        evidence: vec![format!("{} symbols of the OpenSSL interface", found.len())],
        sites: sites(image, &found),
    };
    let either = |plain, ex| finding.has(plain) || finding.has(ex);
    let both = either(Function::SslRead, Function::SslReadEx)
        && either(Function::SslWrite, Function::SslWriteEx);
    both.then_some(finding)
}

/// Where probes go, by the addresses of the functions.
pub(super) fn sites(image: &Image<'_>, found: &[(Function, u64)]) -> Vec<Site> {
    let mut sites: Vec<Site> = found
        .iter()
        .filter_map(|(function, address)| site::at_entry(image, *function, *address))
        .collect();
    share(Function::SslRead, Function::SslReadEx, image, found, &mut sites);
    share(Function::SslWrite, Function::SslWriteEx, image, found, &mut sites);
    sites
}

/// The version that a file's constants name (`OPENSSL_VERSION_TEXT`): `OpenSSL 3.0.17 1 Jul 2025`, and of
/// BoringSSL `OpenSSL 1.1.1 (compatible; BoringSSL)`. A shared `libssl` has it in `libcrypto`.
pub fn version(image: &Image<'_>) -> Option<String> {
    let mut found = None;
    scan::places(image, |segment| !segment.executable, NAME, &mut |_, bytes, at| {
        let text = &bytes[at + NAME.len()..];
        let text = &text[..text.len().min(VERSION_LIMIT)];
        let end = memchr::memchr(0, text);
        found = found.take().or_else(|| version_in(std::str::from_utf8(&text[..end?]).ok()?));
    });
    found
}

const NAME: &[u8] = b"OpenSSL ";

/// Bytes of a version's text.
const VERSION_LIMIT: usize = 64;

/// Of a text that goes on as a version's does; others name a version that they want.
fn version_in(text: &str) -> Option<String> {
    const COMPATIBLE: &str = "(compatible; BoringSSL)";
    let (number, rest) = text.split_once(' ')?;
    let is_number =
        number.split('.').count() == 3 && number.starts_with(|c: char| c.is_ascii_digit());
    let is_date = || {
        let day = rest.split_whitespace().next().unwrap_or_default();
        let year = rest.split_whitespace().next_back().unwrap_or_default();
        day.parse::<u8>().is_ok() && year.parse::<u16>().is_ok()
    };
    if !is_number {
        None
    } else if rest == COMPATIBLE {
        Some(text.to_owned())
    } else {
        is_date().then(|| number.to_owned())
    }
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
    sites.push(Site {
        function: ex,
        offset,
        cost: Cost::Emulated,
        parameter: 0,
        reason: reason.into(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_wishes() {
        let version = |text: &str| version_in(text);
        assert_eq!(version("3.0.17 1 Jul 2025"), Some("3.0.17".into()));
        // As OpenSSL 1.1.1 writes it.
        assert_eq!(version("1.1.1w  11 Sep 2023"), Some("1.1.1w".into()));
        let boring = "1.1.1 (compatible; BoringSSL)";
        assert_eq!(version(boring), Some(boring.into()));
        for wish in ["1.1.1 or newer is needed", "3.0 is there", "error", "", "3.0.0"] {
            assert_eq!(version(wish), None, "{wish}");
        }
    }
}
