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

use super::{Finding, Image};

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

/// Everything there is in a file.
pub(super) fn find(image: &Image<'_>) -> Vec<Finding> {
    FINDERS.iter().filter_map(|find| find(image)).collect()
}
