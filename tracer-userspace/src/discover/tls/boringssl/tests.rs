use std::{fs::File, io::Write as _, path::Path};

use super::{
    find,
    sample::{self, Flaw, Places},
};
use crate::discover::{Basis, Finding, Function, Image, tls::openssl};

fn found_in(bytes: &[u8]) -> Option<Finding> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    find(&Image::read(&file)?)
}

/// Where in the file a function's site is, and how far from it the table of methods.
fn site(finding: &Finding, function: Function) -> (u64, i64) {
    let mut sites = finding.sites.iter().filter(|site| site.function == function);
    let site = sites.next().unwrap();
    assert!(sites.next().is_none());
    (site.offset, site.parameter)
}

#[cfg(target_arch = "x86_64")]
#[test]
fn sample_is_found_where_it_is() {
    let (bytes, Places { write, read, tls_new, tls_free, table }) = sample::file(Flaw::None);
    let finding = found_in(&bytes).unwrap();
    assert_eq!(finding.basis, Basis::Inference);
    for (function, address) in [
        (Function::SslWrite, write),
        (Function::SslRead, read),
        (Function::TlsNew, tls_new),
        (Function::TlsFree, tls_free),
    ] {
        let (offset, parameter) = site(&finding, function);
        // The file is laid out so that addresses and offsets differ by this.
        assert_eq!(offset, address - 0x20_0000, "{function:?}");
        assert_eq!(address.wrapping_add_signed(parameter), table, "{function:?}");
    }
}

#[test]
fn whatever_is_not_unique_is_refused() {
    for flaw in [
        Flaw::OtherFile,
        Flaw::SecondWrite,
        Flaw::SecondRead,
        Flaw::ShortTable,
        Flaw::SecondTable,
        Flaw::Datagrams,
        Flaw::OtherReason,
    ] {
        assert_eq!(found_in(&sample::file(flaw).0), None, "{flaw:?}");
    }
}

/// A file cut short anywhere is refused or found, and nothing worse.
#[test]
fn cut_files_do_no_harm() {
    let (bytes, _) = sample::file(Flaw::None);
    for len in (0..bytes.len()).step_by(61) {
        let _ = found_in(&bytes[..len]);
    }
}

#[test]
fn own_program_has_none() {
    let file = File::open("/proc/self/exe").unwrap();
    assert_eq!(find(&Image::read(&file).unwrap()), None);
}

/// Debian's OpenSSL and the C library: no BoringSSL.
#[test]
fn other_libraries_have_none() {
    for path in ["/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/lib/x86_64-linux-gnu/libc.so.6"] {
        let Ok(file) = File::open(Path::new(path)) else {
            println!("not run: no {path}");
            continue;
        };
        let image = Image::read(&file).unwrap();
        assert_eq!(find(&image), None, "{path}");
        assert!(path.ends_with("libc.so.6") || openssl::find(&image).is_some());
    }
}
