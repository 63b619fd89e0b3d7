//! One JSON value as it arrives: a body, or the data of one stream event.
//! Takes its bytes in pieces; gives its facts as a typed struct, and its content as a value.
//! Up to [`SMALL`] bytes it is kept as it is and read in place; past that only what its shapes keep.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{Fault, Shape, Shapes, lax::List, reader::Reader};

/// Values up to this size are held whole until they are read.
pub(super) const SMALL: usize = 64 << 10;

#[derive(Debug)]
struct Large {
    facts: Reader,
    content: Option<Reader>,
}

#[derive(Debug)]
pub(in crate::genai) struct Document {
    shapes: Shapes,
    small: Vec<u8>,
    large: Option<Box<Large>>,
    /// Bytes are missing from here on.
    gap: bool,
    /// What the slow path kept, for the facts to borrow from, and its fault.
    kept: Option<(Value, Option<Fault>)>,
    /// A bound left a part out of `kept`.
    clipped: bool,
    /// Where a comma of `small` is a brace for now ([`Self::facts_behind`]).
    opened: Option<usize>,
}

impl Document {
    pub(in crate::genai) fn new(shapes: Shapes) -> Self {
        Self {
            shapes,
            small: Vec::new(),
            large: None,
            gap: false,
            kept: None,
            clipped: false,
            opened: None,
        }
    }

    pub(in crate::genai) fn push(&mut self, bytes: &[u8]) {
        if self.gap {
            return;
        }
        if self.large.is_none() {
            if self.small.len() + bytes.len() <= SMALL {
                return self.small.extend_from_slice(bytes);
            }
            let mut large = Large {
                facts: Reader::new(self.shapes.facts),
                content: self.shapes.content.map(Reader::new),
            };
            large.push(&std::mem::take(&mut self.small));
            self.large = Some(Box::new(large));
        }
        if let Some(large) = &mut self.large {
            large.push(bytes);
        }
    }

    /// Bytes of the value are missing here: what comes after is not read.
    pub(in crate::genai) fn gap(&mut self) {
        self.gap = true;
    }

    pub(in crate::genai) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_none() && self.kept.is_none() && !self.gap
    }

    /// The bytes, where they are few enough to be held.
    pub(in crate::genai) fn bytes(&self) -> Option<&[u8]> {
        (self.large.is_none() && self.kept.is_none()).then_some(self.small.as_slice())
    }

    /// Whether a bound left a part of a text out of the facts read last.
    pub(in crate::genai) fn is_clipped(&self) -> bool {
        self.clipped
    }

    /// Ready for the next value.
    pub(in crate::genai) fn clear(&mut self) {
        self.small.clear();
        self.large = None;
        self.gap = false;
        self.kept = None;
        self.clipped = false;
        self.opened = None;
    }

    /// The content, if it is asked for, and whether a part was left out. Call before [`Self::facts`].
    pub(in crate::genai) fn content(&mut self) -> Option<(Value, bool)> {
        let shape = self.shapes.content?;
        let cut_short = self.gap.then_some(Fault::Gap);
        let reader = match &mut self.large {
            Some(large) => large.content.take()?,
            None => {
                if !self.gap
                    && let Ok(value) = serde_json::from_slice(&self.small)
                {
                    return Some((value, false));
                }
                let mut reader = Reader::new(shape);
                reader.push(&self.small);
                reader
            }
        };
        let (value, fault, clipped) = reader.finish(cut_short);
        Some((value, clipped || fault.is_some()))
    }

    /// The facts of an object without its first members, which end before the comma at `at`: they
    /// are known from another value that began with the same bytes. `None`: [`Self::facts`] reads
    /// all of it.
    pub(in crate::genai) fn facts_behind<'a, T: Deserialize<'a>>(
        &'a mut self,
        at: usize,
    ) -> Option<T> {
        if self.gap || self.large.is_some() || self.kept.is_some() {
            return None;
        }
        let byte = self.small.get_mut(at).filter(|byte| **byte == b',')?;
        *byte = b'{';
        self.opened = Some(at);
        let text = std::str::from_utf8(&self.small[at..]).ok()?;
        serde_json::from_str(text).ok()
    }

    /// The elements of a list that are objects, where it is held whole.
    pub(in crate::genai) fn objects<'a, T: Deserialize<'a>>(&'a self) -> List<T> {
        self.bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// The facts, as far as they could be read, and why they end before the value does.
    pub(in crate::genai) fn facts<'a, T>(&'a mut self) -> (T, Option<Fault>)
    where
        T: Deserialize<'a> + Default,
    {
        let cut_short = self.gap.then_some(Fault::Gap);
        if let Some(at) = self.opened.take()
            && let Some(byte) = self.small.get_mut(at)
        {
            *byte = b',';
        }
        if let Some(large) = self.large.take() {
            let (kept, fault, clipped) = large.facts.finish(cut_short);
            self.clipped = clipped;
            self.kept = Some((kept, fault));
        } else if self.kept.is_none() {
            if cut_short.is_none()
                && let Ok(text) = std::str::from_utf8(&self.small)
                && let Some(facts) = self.read(text)
            {
                return (facts, None);
            }
            // Broken, cut, or with a member given twice: read as far as it goes.
            let mut reader = Reader::new(self.shapes.facts);
            reader.push(&self.small);
            let (kept, fault, clipped) = reader.finish(cut_short);
            self.clipped = clipped;
            self.kept = Some((kept, fault));
        }
        match &self.kept {
            Some((kept, fault)) => (T::deserialize(kept).unwrap_or_default(), *fault),
            None => (T::default(), None),
        }
    }
}

impl Document {
    /// `None`: it takes the slow path to say how far it goes, and why no further.
    fn read<'a, T>(&self, text: &'a str) -> Option<T>
    where
        T: Deserialize<'a> + Default,
    {
        let value = text.trim_matches([' ', '\t', '\n', '\r']);
        match (self.shapes.facts, value.as_bytes()) {
            (_, b"{}") => Some(T::default()),
            // An error of serde's costs more than an event.
            (_, [b'{', .., b'}']) => serde_json::from_str(value).ok(),
            (_, [] | [b'{', ..]) => None,
            // What has no members has none of these facts, though serde takes a list for a struct.
            (Shape::Object(_), _) => {
                serde_json::from_str::<IgnoredAny>(value).ok().map(|_| T::default())
            }
            _ => serde_json::from_str(value).ok(),
        }
    }
}

impl Large {
    fn push(&mut self, bytes: &[u8]) {
        self.facts.push(bytes);
        if let Some(content) = &mut self.content {
            content.push(bytes);
        }
    }
}
