//! The TLS libraries that llmtap knows, each found in its own way.
//! Takes an [`Image`]; gives what was found in it, with the evidence.
//! A library is one file here and one row in [`FINDERS`]; each refuses rather than guesses.

mod boringssl;
mod gnutls;
mod golang;
mod nss;
mod openssl;
mod rustls;
mod scan;

pub(super) use golang::version as go_version;
pub use openssl::version as openssl_version;
pub(super) use scan::places;

use super::{Finding, Function, Image, Site, Stack};

/// Looks for one library in a file. A malformed or foreign file has nothing to find.
type Finder = fn(&Image<'_>) -> Option<Finding>;

/// Those that cost least first.
const FINDERS: [Finder; 5] =
    [openssl_interface, gnutls::find, nss::find, golang::find, rustls::find];

/// The OpenSSL interface by its symbols; without them, where inference finds it. Both would find the
/// same functions.
fn openssl_interface(image: &Image<'_>) -> Option<Finding> {
    openssl::find(image).or_else(|| boringssl::find(image))
}

/// A function with its name and its address.
pub(super) type Named<'n> = (Function, &'n [u8], u64);

/// The functions of a library that an address alone describes, by their names; of others none.
pub(super) fn named(stack: Stack) -> &'static [(Function, &'static [u8])] {
    match stack {
        Stack::OpenSsl => openssl::SYMBOLS,
        Stack::GnuTls => gnutls::SYMBOLS,
        Stack::BoringSsl | Stack::Go | Stack::Nss | Stack::Rustls => &[],
    }
}

/// Where probes go into functions of a library that has [`named`] ones.
pub(super) fn sites(stack: Stack, image: &Image<'_>, functions: &[Named<'_>]) -> Vec<Site> {
    match stack {
        Stack::OpenSsl => {
            let functions: Vec<_> =
                functions.iter().map(|(function, _, address)| (*function, *address)).collect();
            openssl::sites(image, &functions)
        }
        Stack::GnuTls => gnutls::sites(image, functions),
        Stack::BoringSsl | Stack::Go | Stack::Nss | Stack::Rustls => Vec::new(),
    }
}

/// Everything there is in a file.
pub(super) fn find(image: &Image<'_>) -> Vec<Finding> {
    FINDERS.iter().filter_map(|find| find(image)).collect()
}
