//! GnuTLS by its symbols, which are its whole interface.
//! Takes an image; gives the sites of both directions and of the life of sessions.
//! Probed are the exported functions alone: what they share differs with every version.

use crate::discover::{
    Basis, Finding, Function, Image, Site, Stack,
    code::{self, Code64},
    site,
};

/// The functions by name.
pub(super) const SYMBOLS: &[(Function, &[u8])] = &[
    (Function::GnutlsInit, INIT),
    (Function::SslFree, DEINIT),
    (Function::GnutlsSetInt2, b"gnutls_transport_set_int2"),
    (Function::GnutlsRecv, RECV),
    (Function::GnutlsRecv, b"gnutls_record_recv_seq"),
    (Function::GnutlsRecv, b"gnutls_record_recv_early_data"),
    (Function::GnutlsSend, SEND),
    (Function::GnutlsSend, SEND2),
    (Function::GnutlsSend, b"gnutls_record_send_early_data"),
];

const INIT: &[u8] = b"gnutls_init";
const DEINIT: &[u8] = b"gnutls_deinit";
const RECV: &[u8] = b"gnutls_record_recv";
const SEND: &[u8] = b"gnutls_record_send";
const SEND2: &[u8] = b"gnutls_record_send2";

/// Registers of the session, the data and their length.
const ARGUMENTS: usize = 3;

pub(super) fn find(image: &Image<'_>) -> Option<Finding> {
    let mut found: Vec<(Function, &[u8], u64)> = Vec::new();
    image.each_function(&mut |symbol| {
        if !symbol.name.starts_with(b"gnutls_") {
            return;
        }
        let known = SYMBOLS.iter().find(|(_, name)| *name == symbol.name);
        let Some((function, name)) = known else { return };
        if !found.iter().any(|(_, have, _)| have == name) {
            found.push((*function, name, symbol.address));
        }
    });
    let has = |name: &[u8]| found.iter().any(|(_, have, _)| *have == name);
    if !(has(RECV) && has(SEND) && has(INIT) && has(DEINIT)) {
        return None;
    }
    let sites = sites(image, &found);
    Some(Finding {
        stack: Stack::GnuTls,
        basis: Basis::Symbols,
        version: None,
        evidence: vec![format!("{} symbols of GnuTLS", found.len())],
        sites,
    })
}

/// Where probes go, by the names and addresses of the functions.
pub(super) fn sites(image: &Image<'_>, found: &[(Function, &[u8], u64)]) -> Vec<Site> {
    // Since 3.6.3 `SEND` hands all on to the other; probes on both would see the same bytes twice.
    let both = found.iter().any(|(_, name, _)| *name == SEND2);
    let probed = found
        .iter()
        .filter(|(_, name, address)| !(both && *name == SEND && hands_on(image, *address)));
    probed.filter_map(|(function, _, address)| site::at_entry(image, *function, *address)).collect()
}

/// Whether a function gives its first arguments to another, unchanged, whatever else it does.
fn hands_on(image: &Image<'_>, address: u64) -> bool {
    let bytes = image.bytes(address, code::LOOK).unwrap_or_default();
    code::leaves_with(Code64 { address, bytes: &bytes }, ARGUMENTS)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use super::*;

    /// Debian's, where it is there: one function of the two that send hands all on to the other.
    #[test]
    fn function_that_hands_on_is_not_probed() {
        let path = Path::new("/usr/lib/x86_64-linux-gnu/libgnutls.so.30");
        let Ok(file) = File::open(path) else {
            println!("not run: no {}", path.display());
            return;
        };
        let image = Image::read(&file).unwrap();
        let finding = find(&image).unwrap();
        let mut send = None;
        image.each_function(&mut |symbol| {
            if symbol.name == SEND {
                send = image.code_offset(symbol.address);
            }
        });
        assert!(finding.sites.iter().all(|site| Some(site.offset) != send));
        let count =
            |function| finding.sites.iter().filter(|site| site.function == function).count();
        // Two that send (early data too), three that receive.
        assert_eq!([count(Function::GnutlsSend), count(Function::GnutlsRecv)], [2, 3]);
        assert!(finding.has(Function::GnutlsInit) && finding.has(Function::SslFree));
    }

    #[test]
    fn own_program_has_none() {
        let file = File::open("/proc/self/exe").unwrap();
        assert_eq!(find(&Image::read(&file).unwrap()), None);
    }
}
