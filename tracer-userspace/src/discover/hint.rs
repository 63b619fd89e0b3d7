//! What says that a program has TLS that no finder took.
//! Takes an open file; gives the one thing that is sure of it, for people. No probe depends on it.

use std::fs::File;

use super::{Image, Segment, tls};

/// What is known of a program that llmtap finds no TLS library in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// No 64-bit ELF file of this machine.
    OtherMachine,
    /// Built by Go, by the version that it names.
    Go(Option<String>),
    /// Holds rustls, of the version that its own panic messages name.
    Rustls(String),
}

/// Where cargo unpacks a crate, as panic messages name its files.
const RUSTLS: &[u8] = b"/rustls-";

/// Digits and points of a version.
const VERSION_LIMIT: usize = 16;

/// `None`: nothing is known of it.
pub fn hint(file: &File) -> Option<Hint> {
    let Some(image) = Image::read(file) else { return Some(Hint::OtherMachine) };
    if image.section(".gopclntab").is_some() || image.section(".go.buildinfo").is_some() {
        return Some(Hint::Go(tls::go_version(&image)));
    }
    let is_constant = |segment: &Segment| !segment.executable;
    let mut version = None;
    tls::places(&image, is_constant, RUSTLS, &mut |_, bytes, at| {
        version = version.take().or_else(|| crate_version(&bytes[at + RUSTLS.len()..]));
    });
    version.map(Hint::Rustls)
}

/// `0.21.12/src/…`
fn crate_version(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().take(VERSION_LIMIT).position(|byte| *byte == b'/')?;
    let version = std::str::from_utf8(&bytes[..end]).ok()?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = version.split('.').count() == 3 && version.split('.').all(is_number);
    is_version.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crate_versions_are_whole() {
        let version = |text: &str| crate_version(text.as_bytes());
        assert_eq!(version("0.21.12/src/conn.rs"), Some("0.21.12".into()));
        for other in ["webpki-0.101.7/src", "0.21/src", "0.21.x/src", "0..1/src", "", "0.21.12"] {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_program_is_said() {
        let file = File::open("Cargo.toml").unwrap();
        assert_eq!(hint(&file), Some(Hint::OtherMachine));
        assert_eq!(hint(&File::open("/bin/sh").unwrap()), None);
    }
}
