//! Functions of TLS libraries that the user names, by the build id of the file that has them.
//! Takes a YAML file (docs/offsets.md); gives findings for an image with that build id.
//! An address that begins no function is refused: a probe elsewhere could break the program.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::{Basis, Finding, Function, Image, Stack, tls, unwind};
use crate::yaml::{self, Fault};

/// Bytes of a build id; linkers write 8 to 32.
const BUILD_ID: std::ops::RangeInclusive<usize> = 4..=64;

/// What the user says of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// One a build id and library.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    build_id: Vec<u8>,
    stack: Stack,
    /// With their names and addresses.
    functions: Vec<(Function, String, u64)>,
}

/// A file of offsets that cannot be used. The words are for the user.
#[derive(Debug, thiserror::Error)]
pub enum OffsetsError {
    #[error("cannot read the offsets {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// `place` is `LINE:COLUMN:`, from 1, or empty where it is the file as a whole.
    #[error("{path}:{place} {words}")]
    Value { path: PathBuf, place: String, words: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    build_id: Spanned<String>,
    library: Library,
    functions: Spanned<BTreeMap<String, Address>>,
}

/// Libraries whose functions an address alone describes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Library {
    OpenSsl,
    GnuTls,
}

/// As tools show it: `0x12f40`, or a number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Address(u64);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.map(Self).map_err(|_| {
            format!("{text:?} is no address; give it as `nm` and `objdump` show it, 0x before it")
        })
    }
}

impl Library {
    fn stack(self) -> Stack {
        match self {
            Self::OpenSsl => Stack::OpenSsl,
            Self::GnuTls => Stack::GnuTls,
        }
    }
}

impl Offsets {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// If it cannot be read, is no YAML, or has a key or a value that is not known.
    pub fn read(path: &Path) -> Result<Self, OffsetsError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|Fault { place, words }| OffsetsError::Value {
                path: path.to_owned(),
                place,
                words,
            }),
            Err(source) => Err(OffsetsError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let raw: Vec<Raw> = yaml::read(text)?;
        let mut entries: Vec<Entry> = Vec::new();
        for raw in raw {
            let place = raw.build_id.defined;
            let entry = Entry::checked(raw)?;
            let is_same =
                |other: &Entry| (&other.build_id, other.stack) == (&entry.build_id, entry.stack);
            if entries.iter().any(is_same) {
                return Err(Fault::at(place, "build_id: the same library of it is above already"));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is said of this file, or in a sentence why it cannot be so.
    pub(super) fn find(&self, image: &Image<'_>) -> Vec<Result<Finding, String>> {
        if self.is_empty() {
            return Vec::new();
        }
        let Some(build_id) = image.build_id() else { return Vec::new() };
        let of_it = self.entries.iter().filter(|entry| entry.build_id == build_id);
        of_it.map(|entry| entry.finding(image)).collect()
    }
}

impl Entry {
    fn checked(raw: Raw) -> Result<Self, Fault> {
        let Spanned { value: build_id, defined, .. } = raw.build_id;
        let build_id = bytes(&build_id).filter(|bytes| BUILD_ID.contains(&bytes.len()));
        let wrong = "build_id: hexadecimal digits are needed, as `readelf -n FILE` shows them";
        let build_id = build_id.ok_or_else(|| Fault::at(defined, wrong))?;
        let place: Location = raw.functions.defined;
        let mut functions = Vec::new();
        for (name, Address(address)) in raw.functions.value {
            let named = tls::named(raw.library.stack());
            let known = named.iter().find(|(_, known)| *known == name.as_bytes());
            let Some((function, _)) = known else {
                let names: Vec<_> =
                    named.iter().map(|(_, name)| String::from_utf8_lossy(name)).collect();
                let words =
                    format!("functions: {name} is none that llmtap probes: {}", names.join(", "));
                return Err(Fault::at(place, &words));
            };
            functions.push((*function, name, address));
        }
        let has = |wanted: &[Function]| functions.iter().any(|(have, ..)| wanted.contains(have));
        if !has(RECEIVING) || !has(SENDING) {
            let words = "functions: one that receives and one that sends are needed";
            return Err(Fault::at(place, words));
        }
        Ok(Self { build_id, stack: raw.library.stack(), functions })
    }

    fn finding(&self, image: &Image<'_>) -> Result<Finding, String> {
        let starts = unwind::Functions::read(image);
        let mut named = Vec::new();
        image.each_function(&mut |symbol| named.push(symbol.address));
        let begins = |address: u64| {
            let by_unwinding = starts.and_then(|starts| starts.around(address));
            by_unwinding.is_some_and(|(start, _)| start == address) || named.contains(&address)
        };
        let is_wrong = |address| !begins(address) || image.code_offset(address).is_none();
        if let Some((_, name, address)) = self.functions.iter().find(|(.., at)| is_wrong(*at)) {
            return Err(format!("no function begins at {address:#x} ({name})"));
        }
        let functions: Vec<tls::Named<'_>> = self
            .functions
            .iter()
            .map(|(function, name, address)| (*function, name.as_bytes(), *address))
            .collect();
        let names: Vec<_> = self.functions.iter().map(|(_, name, _)| name.as_str()).collect();
        Ok(Finding {
            stack: self.stack,
            basis: Basis::Told,
            version: None,
            evidence: vec![format!("addresses that the user gave: {}", names.join(", "))],
            sites: tls::sites(self.stack, image, &functions),
        })
    }
}

const RECEIVING: &[Function] = &[Function::SslRead, Function::SslReadEx, Function::GnutlsRecv];
const SENDING: &[Function] = &[Function::SslWrite, Function::SslWriteEx, Function::GnutlsSend];

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    hexadecimal.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests;
