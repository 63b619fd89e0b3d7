//! AWS event stream framing (`application/vnd.amazon.eventstream`, as smithy.io describes it).
//! Takes a body in pieces of any size; gives each message's payload in pieces, then its end and name.
//! Both checksums are checked; after one that is wrong nothing more is read, for lengths frame it all.

use crc32fast::Hasher;

/// Total length, headers' length and the checksum of both.
const PRELUDE: usize = 12;

/// Largest header section of the format's specification.
const MAX_HEADERS: usize = 128 << 10;

/// Prelude and the message's checksum behind its payload.
const OVERHEAD: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A piece of the payload of the message under way.
    Data(&'a [u8]),
    /// The message is whole: an event of this `:event-type`.
    Event(&'a str),
    /// The message is whole: an error or exception of this kind. An error has words of its own, and
    /// no payload.
    Exception(&'a str, Option<&'a str>),
    /// The message is damaged: its payload must be forgotten. Nothing comes after it.
    Corrupt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Prelude,
    Headers { len: usize, payload: u32 },
    Payload { left: u32 },
    Checksum,
    Failed,
}

#[derive(Debug)]
pub(super) struct EventStream {
    state: State,
    /// The prelude, headers or checksum being collected.
    head: Vec<u8>,
    checksum: Hasher,
    exception: bool,
    name: String,
    /// `:error-message`.
    words: Option<String>,
}

impl Default for EventStream {
    fn default() -> Self {
        Self {
            state: State::Prelude,
            head: Vec::new(),
            checksum: Hasher::new(),
            exception: false,
            name: String::new(),
            words: None,
        }
    }
}

impl EventStream {
    pub(super) fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(Item<'_>)) {
        while !bytes.is_empty() {
            let wanted = match self.state {
                State::Prelude => PRELUDE,
                State::Headers { len, .. } => len,
                State::Checksum => 4,
                State::Failed => return,
                State::Payload { left } => {
                    let used = bytes.len().min(left as usize);
                    self.checksum.update(&bytes[..used]);
                    sink(Item::Data(&bytes[..used]));
                    self.after_payload(left - used as u32);
                    bytes = &bytes[used..];
                    continue;
                }
            };
            let used = bytes.len().min(wanted - self.head.len());
            self.head.extend_from_slice(&bytes[..used]);
            bytes = &bytes[used..];
            if self.head.len() == wanted && self.section(&mut sink).is_none() {
                self.state = State::Failed;
                sink(Item::Corrupt);
            }
        }
    }

    /// Bytes are missing: where the next message begins is unknown.
    pub(super) fn gap(&mut self) {
        self.state = State::Failed;
    }

    /// Whether the bytes so far end with a whole message.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Prelude && self.head.is_empty()
    }

    /// A section is collected; `None` if it is damaged.
    fn section(&mut self, sink: &mut impl FnMut(Item<'_>)) -> Option<()> {
        let section = std::mem::take(&mut self.head);
        match self.state {
            State::Prelude => {
                let total = be32(&section, 0)?;
                let headers = be32(&section, 4)?;
                if crc32fast::hash(&section[..8]) != be32(&section, 8)? {
                    return None;
                }
                let payload = total.checked_sub(headers)?.checked_sub(OVERHEAD)?;
                let len = usize::try_from(headers).ok().filter(|len| *len <= MAX_HEADERS)?;
                self.checksum.update(&section);
                self.name.clear();
                self.words = None;
                self.exception = false;
                if len == 0 {
                    self.after_payload(payload);
                } else {
                    self.state = State::Headers { len, payload };
                }
            }
            State::Headers { payload, .. } => {
                self.checksum.update(&section);
                self.headers(&section)?;
                self.after_payload(payload);
            }
            State::Checksum => {
                let checksum = std::mem::take(&mut self.checksum).finalize();
                if be32(&section, 0)? != checksum {
                    return None;
                }
                self.state = State::Prelude;
                sink(if self.exception {
                    Item::Exception(&self.name, self.words.as_deref())
                } else {
                    Item::Event(&self.name)
                });
            }
            State::Payload { .. } | State::Failed => {}
        }
        // The buffer is used again for the next section.
        self.head = section;
        self.head.clear();
        Some(())
    }

    fn after_payload(&mut self, left: u32) {
        self.state = if left == 0 { State::Checksum } else { State::Payload { left } };
    }

    /// Reads kind and name; `None` if the headers are not well formed.
    fn headers(&mut self, mut bytes: &[u8]) -> Option<()> {
        while let Some((&len, rest)) = bytes.split_first() {
            let (name, rest) = rest.split_at_checked(usize::from(len))?;
            let (&kind, rest) = rest.split_first()?;
            let (value, rest) = match kind {
                0 | 1 => rest.split_at(0),
                2 => rest.split_at_checked(1)?,
                3 => rest.split_at_checked(2)?,
                4 => rest.split_at_checked(4)?,
                5 | 8 => rest.split_at_checked(8)?,
                6 | 7 => {
                    let (len, rest) = rest.split_first_chunk::<2>()?;
                    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?
                }
                9 => rest.split_at_checked(16)?,
                _ => return None,
            };
            match name {
                b":message-type" => self.exception = value != b"event",
                b":event-type" | b":exception-type" | b":error-code" => {
                    self.name = String::from_utf8_lossy(value).into_owned();
                }
                b":error-message" => self.words = Some(String::from_utf8_lossy(value).into_owned()),
                _ => {}
            }
            bytes = rest;
        }
        Some(())
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

#[cfg(test)]
pub(super) mod tests;
