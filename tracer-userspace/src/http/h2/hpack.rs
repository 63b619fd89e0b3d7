//! HPACK decoding (RFC 7541) that also works from the middle of a connection.
//! Takes whole header blocks of one direction in order; gives their fields.
//! A reference to an entry that was not seen gives no field and is counted, never a wrong one.
//!
//! No crate offers a table with entries that are known to exist but not what they are, so the
//! table is here; Huffman codes are `httlib-huffman`'s. Entries are found by counting from the
//! newest, so forgetting old ones early is always safe. It is only needed to know whether an
//! insertion took place: it did unless the entry is larger than the table (§4.4), and then an
//! unknown entry in its place is safe as well, since nothing refers to it.

use std::{collections::VecDeque, ops::Range};

use httlib_huffman::DecoderSpeed;
use http::{HeaderName, HeaderValue};

use super::static_table::STATIC_TABLE;

/// Table size before any update (RFC 9113 §6.5.2, `SETTINGS_HEADER_TABLE_SIZE`).
const INITIAL_TABLE_SIZE: usize = 4096;

/// Bytes of entries (§4.1) kept of a direction, whatever size its ends agreed on.
const TABLE_SIZE_LIMIT: usize = 64 * 1024;

/// Bytes added to an entry's size by §4.1.
const ENTRY_OVERHEAD: usize = 32;

/// Entries kept, unknown ones included.
const ENTRIES_LIMIT: usize = TABLE_SIZE_LIMIT / ENTRY_OVERHEAD;

/// Bytes of fields (names, values, overhead) that one block may give; what is more is not told.
/// A block can refer to a 4 KiB entry with a single byte.
const LIST_SIZE_LIMIT: usize = 1024 * 1024;

/// Largest number that is read: longer than any block, and no overflow with another 7 bits.
const INTEGER_LIMIT: usize = 1 << 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HpackError {
    #[error("header block ends within a field")]
    Truncated,
    #[error("index 0")]
    ZeroIndex,
    #[error("number too large")]
    Integer,
    #[error("malformed Huffman code")]
    Huffman,
}

/// A field's name: pseudo-header fields (RFC 9113 §8.3) apart from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Authority,
    Method,
    Path,
    Protocol,
    Scheme,
    Status,
    Field(HeaderName),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Name,
    pub(super) value: HeaderValue,
}

/// What a header block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldList {
    pub(super) fields: Vec<Field>,
    /// Fields that are there and can't be told: they refer to what passed before the connection
    /// was joined, are no valid fields, or came after [`LIST_SIZE_LIMIT`].
    pub(super) unknown: u32,
}

/// A value that a block spells out rather than refers to.
#[derive(Debug)]
pub(super) struct Literal<'a> {
    /// `None`: it refers to an entry that is not known, or is no valid name.
    pub(super) name: Option<&'a str>,
    pub(super) value: Octets,
}

/// Where the octets of a string stand in its block, and how they are coded (§5.2).
#[derive(Clone, Debug)]
pub(super) struct Octets {
    pub(super) place: Range<usize>,
    pub(super) huffman: bool,
}

impl FieldList {
    pub(super) fn has(&self, name: &Name) -> bool {
        self.fields.iter().any(|field| field.name == *name)
    }
}

/// The name and the value of an entry, each as far as it is known and valid.
#[derive(Clone, Debug, Default)]
struct Entry {
    name: Option<Name>,
    value: Option<HeaderValue>,
    /// By §4.1; only the overhead where name or value are not known.
    size: usize,
}

/// State of one direction.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    max_size: usize,
}

impl Decoder {
    /// `from_start`: no header block has passed before.
    pub(super) fn new(from_start: bool) -> Self {
        let max_size = if from_start { INITIAL_TABLE_SIZE } else { TABLE_SIZE_LIMIT };
        Self { entries: VecDeque::new(), size: 0, max_size }
    }

    /// Header blocks were missed: no entry is known any more, nor the table's size.
    pub(super) fn forget(&mut self) {
        *self = Self::new(false);
    }

    /// # Errors
    /// [`HpackError`]: by RFC 9113 §4.3 the connection can't go on.
    pub(super) fn decode(&mut self, block: &[u8]) -> Result<FieldList, HpackError> {
        let mut list = FieldList::default();
        let mut list_size = 0;
        self.walk(block, &mut |entry, _| {
            list_size += entry.size;
            match entry {
                Entry { name: Some(name), value: Some(value), .. }
                    if list_size <= LIST_SIZE_LIMIT =>
                {
                    list.fields.push(Field { name, value });
                }
                _ => list.unknown = list.unknown.saturating_add(1),
            }
        })?;
        Ok(list)
    }

    /// In place of [`Decoder::decode`]: tells where the values stand that the block spells out.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub(super) fn literals(
        &mut self,
        block: &[u8],
        sink: &mut dyn FnMut(Literal<'_>),
    ) -> Result<(), HpackError> {
        self.walk(block, &mut |entry, octets| {
            if let Some(value) = octets {
                sink(Literal { name: entry.name.as_ref().map(Name::as_str), value });
            }
        })
    }

    /// Every field of a block, with the octets of its value where it is a literal.
    fn walk(
        &mut self,
        mut block: &[u8],
        sink: &mut dyn FnMut(Entry, Option<Octets>),
    ) -> Result<(), HpackError> {
        let len = block.len();
        while let Some(first) = block.first() {
            let (entry, octets) = match first {
                // §6.1 indexed field
                0x80.. => (self.entry(integer(&mut block, 7)?)?, None),
                // §6.2.1 literal, to be inserted
                0x40.. => {
                    let (entry, octets) = self.literal(&mut block, 6, len)?;
                    self.insert(entry.clone());
                    (entry, Some(octets))
                }
                // §6.3 table size update
                0x20.. => {
                    self.max_size = integer(&mut block, 5)?.min(TABLE_SIZE_LIMIT);
                    self.evict();
                    continue;
                }
                // §6.2.2 and §6.2.3 literal, not to be inserted (ever)
                _ => {
                    let (entry, octets) = self.literal(&mut block, 4, len)?;
                    (entry, Some(octets))
                }
            };
            sink(entry, octets);
        }
        Ok(())
    }

    /// `whole`: length of the block, of which `block` is the rest.
    fn literal(
        &self,
        block: &mut &[u8],
        prefix: u32,
        whole: usize,
    ) -> Result<(Entry, Octets), HpackError> {
        let (name, name_size) = match integer(block, prefix)? {
            0 => {
                let (_, bytes) = string(block)?;
                (name(&bytes), bytes.len())
            }
            index => {
                let name = self.entry(index)?.name;
                let size = name.as_ref().map_or(0, |name| name.as_str().len());
                (name, size)
            }
        };
        let huffman = is_huffman(block);
        let (coded, value) = string(block)?;
        let end = whole - block.len();
        let octets = Octets { place: end - coded..end, huffman };
        let size = name_size + value.len() + ENTRY_OVERHEAD;
        let value = HeaderValue::from_maybe_shared(value).ok();
        Ok((Entry { name, value, size }, octets))
    }

    /// §2.3.3. An index beyond what is known gives an entry without name and value.
    fn entry(&self, index: usize) -> Result<Entry, HpackError> {
        let Some(at) = index.checked_sub(1) else { return Err(HpackError::ZeroIndex) };
        Ok(match STATIC_TABLE.get(at) {
            Some((name_text, value)) => Entry {
                name: name(name_text.as_bytes()),
                value: Some(HeaderValue::from_static(value)),
                size: name_text.len() + value.len() + ENTRY_OVERHEAD,
            },
            None => self.entries.get(at - STATIC_TABLE.len()).cloned().unwrap_or_default(),
        })
    }

    fn insert(&mut self, entry: Entry) {
        if entry.size > self.max_size {
            self.entries.clear();
            self.size = 0;
            self.entries.push_front(Entry::default());
            return;
        }
        self.size += entry.size;
        self.entries.push_front(entry);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.max_size || self.entries.len() > ENTRIES_LIMIT {
            let Some(entry) = self.entries.pop_back() else { return };
            self.size -= entry.size;
        }
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Authority => ":authority",
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Protocol => ":protocol",
            Self::Scheme => ":scheme",
            Self::Status => ":status",
            Self::Field(name) => name.as_str(),
        }
    }
}

/// `None` for what is no valid name, as one with capitals (RFC 9113 §8.2.1).
fn name(bytes: &[u8]) -> Option<Name> {
    Some(match bytes {
        b":authority" => Name::Authority,
        b":method" => Name::Method,
        b":path" => Name::Path,
        b":protocol" => Name::Protocol,
        b":scheme" => Name::Scheme,
        b":status" => Name::Status,
        _ => Name::Field(HeaderName::from_lowercase(bytes).ok()?),
    })
}

/// §5.1, with a prefix of that many bits.
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, HpackError> {
    let mask = (1usize << prefix) - 1;
    let mut value = usize::from(take(block)?) & mask;
    if value < mask {
        return Ok(value);
    }
    let mut shift = 0;
    loop {
        let byte = take(block)?;
        value += usize::from(byte & 0x7f) << shift;
        if value > INTEGER_LIMIT {
            return Err(HpackError::Integer);
        }
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
        // Zeros behind a number may go on for ever.
        if shift > 28 {
            return Err(HpackError::Integer);
        }
    }
}

fn is_huffman(string: &[u8]) -> bool {
    string.first().is_some_and(|first| first & 0x80 != 0)
}

/// §5.2. Gives the number of octets as well.
fn string(block: &mut &[u8]) -> Result<(usize, bytes::Bytes), HpackError> {
    let huffman = is_huffman(block);
    let len = integer(block, 7)?;
    let (string, rest) = block.split_at_checked(len).ok_or(HpackError::Truncated)?;
    *block = rest;
    if !huffman {
        return Ok((len, bytes::Bytes::copy_from_slice(string)));
    }
    // The shortest code has 5 bits.
    let mut decoded = Vec::with_capacity(string.len() * 8 / 5);
    httlib_huffman::decode(string, &mut decoded, DecoderSpeed::FourBits)
        .map_err(|_| HpackError::Huffman)?;
    Ok((len, decoded.into()))
}

fn take(block: &mut &[u8]) -> Result<u8, HpackError> {
    let (first, rest) = block.split_first().ok_or(HpackError::Truncated)?;
    *block = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests;
