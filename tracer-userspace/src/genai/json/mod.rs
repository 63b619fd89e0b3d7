//! JSON of unknown size and unknown honesty.
//! Takes the bytes of one value in pieces; gives typed facts and, apart from them, content.
//! Small values are read by `serde_json` in place; large or broken ones by [`reader`], in bounded memory.

mod document;
mod ends;
pub(super) mod lax;
mod reader;
mod shape;
mod word;

pub(super) use document::Document;
pub(super) use shape::{Shape, Shapes};

/// Why a value was not read to its end. What was read before stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not JSON (RFC 8259).
    Syntax,
    /// It ended before its end.
    Truncated,
    /// What is of interest in it passes the bound on memory.
    TooLarge,
    /// The framing around it is damaged: a checksum is wrong.
    Corrupt,
    /// Captured bytes are missing inside it.
    Gap,
}

impl Fault {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "json-syntax",
            Self::Truncated => "json-truncated",
            Self::TooLarge => "json-too-large",
            Self::Corrupt => "event-stream-corrupt",
            Self::Gap => "gap",
        }
    }
}

/// Reads one value by a shape, in pieces.
#[cfg(fuzzing)]
pub(super) fn read<'a>(
    shape: &'static Shape,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (serde_json::Value, Option<Fault>, bool) {
    let mut reader = reader::Reader::new(shape);
    pieces.for_each(|piece| reader.push(piece));
    reader.finish(None)
}

#[cfg(test)]
mod tests;
