//! HPACK decoding (RFC 7541) that also works from the middle of a connection.
//! Takes whole header blocks of one direction in order; gives their fields.
//! A reference to an entry that was not seen gives no field and is counted, never a wrong one.
//!
//! No crate offers a table with entries that are known to exist but not what they are, so the
//! table is here; Huffman codes are `httlib-huffman`'s.

use std::{borrow::Cow, ops::Range};

use httlib_huffman::DecoderSpeed;
use http::{HeaderName, HeaderValue};

use super::{
    static_table::STATIC_TABLE,
    table::{ENTRY_OVERHEAD, SIZE_LIMIT, Table},
};

/// Table size before any update (RFC 9113 §6.5.2, `SETTINGS_HEADER_TABLE_SIZE`).
const INITIAL_TABLE_SIZE: usize = 4096;

/// Bytes of fields (names, values, overhead) that one block may give; what is more is not told.
/// A block can refer to a 4 KiB entry with a single byte.
const LIST_SIZE_LIMIT: usize = 1024 * 1024;

/// The same over many blocks: so much for each of their bytes. Heads that a table of 4 KiB has in
/// whole give some 50.
const MAX_RATIO: usize = 128;

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

/// State of one direction.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    table: Table,
    /// Bytes of fields that may be given, at most [`LIST_SIZE_LIMIT`].
    room: usize,
}

impl Decoder {
    /// `from_start`: no header block has passed before.
    pub(super) fn new(from_start: bool) -> Self {
        let max_size = if from_start { INITIAL_TABLE_SIZE } else { SIZE_LIMIT };
        Self { table: Table::new(max_size), room: LIST_SIZE_LIMIT }
    }

    /// Header blocks were missed: no entry is known any more, nor the table's size.
    pub(super) fn forget(&mut self) {
        *self = Self::new(false);
    }

    /// # Errors
    /// [`HpackError`]: by RFC 9113 §4.3 the connection can't go on.
    pub(super) fn decode(&mut self, block: &[u8]) -> Result<FieldList, HpackError> {
        let mut list = FieldList::default();
        self.walk(block, &mut |pair, _| {
            let field = pair.and_then(|(octets, value)| {
                Some(Field { name: name(octets)?, value: HeaderValue::from_bytes(value).ok()? })
            });
            match field {
                Some(field) => list.fields.push(field),
                None => list.unknown = list.unknown.saturating_add(1),
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
        self.walk(block, &mut |pair, octets| {
            if let Some(value) = octets {
                let name = pair.and_then(|(octets, _)| name(octets));
                sink(Literal { name: name.as_ref().map(Name::as_str), value });
            }
        })
    }

    /// Name and value of every field of a block, if they are known and there is room for them, with
    /// the place of the value's octets where it is a literal.
    fn walk(&mut self, mut block: &[u8], sink: Sink<'_>) -> Result<(), HpackError> {
        let whole = block.len();
        let Self { table, room } = self;
        *room = LIST_SIZE_LIMIT.min(*room + whole.saturating_mul(MAX_RATIO));
        while let Some(first) = block.first() {
            match first {
                // §6.1 indexed field
                0x80.. => {
                    let pair = entry(table, integer(&mut block, 7)?)?;
                    sink(pair.filter(|pair| fits(room, *pair)), None);
                }
                // §6.2.1 literal, to be inserted
                0x40.. => {
                    let name = literal_name(table, &mut block, 6)?;
                    // Owned, since it may be an entry's, which this insertion evicts (§4.4).
                    let name = name.map(Cow::into_owned);
                    let (value, octets) = literal_value(&mut block, whole)?;
                    let pair = name.as_deref().map(|name| (name, &*value));
                    let pair = pair.filter(|pair| fits(room, *pair));
                    match pair {
                        Some((name, value)) => table.insert(name, value),
                        None => table.insert_unknown(),
                    }
                    sink(pair, Some(octets));
                }
                // §6.3 table size update
                0x20.. => table.resize(integer(&mut block, 5)?),
                // §6.2.2 and §6.2.3 literal, not to be inserted (ever)
                _ => {
                    let name = literal_name(table, &mut block, 4)?;
                    let (value, octets) = literal_value(&mut block, whole)?;
                    let pair = name.as_deref().map(|name| (name, &*value));
                    sink(pair.filter(|pair| fits(room, *pair)), Some(octets));
                }
            }
        }
        Ok(())
    }
}

type Sink<'a> = &'a mut dyn FnMut(Option<Pair<'_>>, Option<Octets>);

/// Octets of a name and of its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// Takes the field's size (§4.1) off the room that is left.
fn fits(room: &mut usize, (name, value): Pair<'_>) -> bool {
    let left = room.checked_sub(name.len() + value.len() + ENTRY_OVERHEAD);
    *room = left.unwrap_or(0);
    left.is_some()
}

/// §2.3.3. Nothing for an index beyond what is known.
fn entry(table: &Table, index: usize) -> Result<Option<Pair<'_>>, HpackError> {
    let Some(at) = index.checked_sub(1) else { return Err(HpackError::ZeroIndex) };
    Ok(match STATIC_TABLE.get(at) {
        Some((name, value)) => Some((name.as_bytes(), value.as_bytes())),
        None => table.get(at - STATIC_TABLE.len()),
    })
}

/// Out of the table or out of the block.
fn literal_name<'t, 'b: 't>(
    table: &'t Table,
    block: &mut &'b [u8],
    prefix: u32,
) -> Result<Option<Cow<'t, [u8]>>, HpackError> {
    Ok(match integer(block, prefix)? {
        0 => Some(string(block)?.0),
        index => entry(table, index)?.map(|(name, _)| name.into()),
    })
}

/// `whole`: length of the block, of which `block` is the rest.
fn literal_value<'b>(
    block: &mut &'b [u8],
    whole: usize,
) -> Result<(Cow<'b, [u8]>, Octets), HpackError> {
    let huffman = is_huffman(block);
    let (value, coded) = string(block)?;
    let end = whole - block.len();
    Ok((value, Octets { place: end - coded..end, huffman }))
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

/// §5.2. Gives the number of its octets in the block as well.
fn string<'b>(block: &mut &'b [u8]) -> Result<(Cow<'b, [u8]>, usize), HpackError> {
    let huffman = is_huffman(block);
    let len = integer(block, 7)?;
    let (string, rest) = block.split_at_checked(len).ok_or(HpackError::Truncated)?;
    *block = rest;
    if !huffman {
        return Ok((string.into(), len));
    }
    // The shortest code has 5 bits.
    let mut decoded = Vec::with_capacity(string.len() * 8 / 5);
    httlib_huffman::decode(string, &mut decoded, DecoderSpeed::FourBits)
        .map_err(|_| HpackError::Huffman)?;
    Ok((decoded.into(), len))
}

fn take(block: &mut &[u8]) -> Result<u8, HpackError> {
    let (first, rest) = block.split_first().ok_or(HpackError::Truncated)?;
    *block = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests;
