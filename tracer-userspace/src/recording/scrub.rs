//! Credentials out of plaintext, before it is kept: their bytes become `X`, as many as there were.
//! Takes a direction's bytes however they are cut; gives each byte back, or withholds it.
//! What is neither HTTP/1 nor HTTP/2, which it leaves to another, is withheld whole.
//!
//! No framing is followed that a message could break: every line counts, of bodies too, and so does
//! every request target, wherever a method and a space stand before it. A line of a body that looks
//! like such a header loses its value as well; a body that is one JSON text or a stream of `data:`
//! lines has none. After a gap nothing is told until a line ends or a segment begins a message,
//! since what comes first may be the rest of a credential.

use memchr::memchr3;

use crate::http::{FieldName, UrlPart, names_url, settings_header};

/// What stands in for each byte of a credential. Valid in a header's value and in a URL.
const FILLER: u8 = b'X';

/// What a message of HTTP/1 begins with; requests of other methods are taken for another protocol.
const BEGINNINGS: [&[u8]; 11] = [
    b"GET ",
    b"PUT ",
    b"HEAD ",
    b"POST ",
    b"PATCH ",
    b"QUERY ",
    b"TRACE ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    RESPONSE,
];

const RESPONSE: &[u8] = b"HTTP/1.";

/// The longest of them.
const LONGEST: usize = 8;

/// What an HTTP/2 client begins with, as far as it is looked at (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI ";

/// One direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scrubber {
    at: At,
    /// The last bytes, the newest lowest.
    recent: u64,
    /// Bytes of credentials that were replaced.
    pub(super) replaced: u64,
    /// HTTP/1 became HTTP/2, which is not followed; the other direction is to be given up as well.
    pub(super) upgraded: bool,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// Its first bytes, which have not told what it is; behind empty lines it is no HTTP/2.
    Beginning { len: u8, behind_lines: bool },
    /// As the frame that an HTTP/2 server begins with (RFC 9113 §3.4).
    Settings { len: u8 },
    /// The first bytes told HTTP/2, which goes on behind them.
    Http2,
    /// The first bytes told neither.
    Foreign,
    /// In the middle of what nobody saw begin. Goes on where a segment begins a message.
    Joining,
    /// In the middle of HTTP/1, behind a gap.
    AfterGap,
    /// At a line's start, or in what may be a header's name.
    Name(FieldName),
    /// In a line, or a part of it, that holds nothing.
    Rest,
    /// In a header's value that is a credential.
    Credential,
    /// In a request's target, or (`header`) in a header that holds a URL.
    Url { part: UrlPart, header: bool },
}

impl Scrubber {
    /// Of a direction that is seen from its first byte.
    pub(super) fn from_start() -> Self {
        Self {
            at: At::Beginning { len: 0, behind_lines: false },
            recent: 0,
            replaced: 0,
            upgraded: false,
        }
    }

    /// Of one that is seen from the middle.
    pub(super) fn from_middle() -> Self {
        Self { at: At::Joining, ..Self::from_start() }
    }

    /// Bytes are missing here.
    pub(super) fn gap(&mut self) {
        self.at = match self.at {
            At::Beginning { .. } | At::Settings { .. } | At::Joining => At::Joining,
            At::Foreign => At::Foreign,
            _ => At::AfterGap,
        };
    }

    /// The connection is none of HTTP/1 any more.
    pub(super) fn give_up(&mut self) {
        self.at = At::Foreign;
    }

    /// It was found to be no HTTP/1.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self.at, At::Foreign)
    }

    /// What was seen of a direction that speaks HTTP/2, if nothing else was: its first bytes.
    pub(super) fn http2(&self) -> Option<Vec<u8>> {
        let recent = self.recent.to_be_bytes();
        let newest = |len: u8| recent[LONGEST - usize::from(len)..].to_vec();
        match self.at {
            At::Beginning { behind_lines: true, .. } => None,
            At::Beginning { len, .. } | At::Settings { len } => Some(newest(len)),
            At::Http2 if ends_with(self.recent, HTTP2) => Some(HTTP2.to_vec()),
            At::Http2 => Some(first_of_settings(self.recent).to_vec()),
            _ => None,
        }
    }

    /// It began as HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.at, At::Http2)
    }

    /// Nothing has told what it is: a segment may be the first of any protocol.
    pub(super) fn is_joining(&self) -> bool {
        matches!(self.at, At::Joining)
    }

    /// Appends to `kept` what may be kept of a segment, as runs: kept or withheld, and how many.
    /// Gives what is left of it where it turns out that HTTP/2 begins.
    pub(super) fn segment<'a>(
        &mut self,
        input: &'a [u8],
        kept: &mut Vec<u8>,
        runs: &mut Vec<(bool, usize)>,
    ) -> &'a [u8] {
        if matches!(self.at, At::Joining | At::AfterGap) && begins_message(input) {
            self.at = At::Name(FieldName::EMPTY);
        }
        let mut rest = input;
        while let Some((byte, behind)) = rest.split_first() {
            let run = match self.at {
                At::Foreign | At::Joining => (false, rest.len()),
                At::Rest => (true, memchr3(b' ', b'\r', b'\n', rest).unwrap_or(rest.len())),
                _ => (false, 0),
            };
            if run.1 > 0 {
                let (same, behind) = rest.split_at(run.1);
                let newest = same.iter().skip(same.len().saturating_sub(LONGEST));
                self.recent = newest.fold(self.recent, |recent, byte| appended(recent, *byte));
                if run.0 {
                    kept.extend_from_slice(same);
                }
                extend(runs, run);
                rest = behind;
                continue;
            }
            let byte = self.byte(*byte);
            kept.extend(byte);
            extend(runs, (byte.is_some(), 1));
            rest = behind;
            if self.is_http2() {
                break;
            }
        }
        rest
    }

    /// The byte, or what stands in for it; `None`: withheld.
    fn byte(&mut self, byte: u8) -> Option<u8> {
        self.recent = appended(self.recent, byte);
        match &mut self.at {
            // Empty lines before a request are passed over (RFC 9112 §2.2).
            At::Beginning { len: 0, behind_lines } if matches!(byte, b'\r' | b'\n') => {
                *behind_lines = true;
            }
            At::Beginning { len, behind_lines } => {
                self.at = beginning(self.recent, *len + 1, *behind_lines);
                if self.is_foreign() {
                    return None;
                }
            }
            At::Settings { len } => {
                let len = *len + 1;
                let seen = first_of_settings(self.recent);
                self.at = match settings_header(&seen[seen.len() - usize::from(len)..]) {
                    Some(true) => At::Http2,
                    Some(false) => At::Settings { len },
                    None => At::Foreign,
                };
                if self.is_foreign() {
                    return None;
                }
            }
            At::Http2 => {}
            At::Foreign | At::Joining => return None,
            At::AfterGap => {
                if byte == b'\n' {
                    self.at = At::Name(FieldName::EMPTY);
                }
                return None;
            }
            At::Credential if byte == b'\n' => {
                self.at = At::Name(FieldName::FOLDED);
            }
            At::Credential if byte != b'\r' => {
                self.replaced += 1;
                return Some(FILLER);
            }
            At::Credential => {}
            // A lone CR ends a line for some readers.
            _ if matches!(byte, b'\r' | b'\n') => self.at = At::Name(FieldName::EMPTY),
            At::Name(_) | At::Rest if byte == b' ' && asks(self.recent) => {
                self.at = At::Url { part: UrlPart::Path, header: false };
            }
            At::Name(name) => {
                if let Some(next) = in_name(name, byte) {
                    self.at = next;
                }
                if self.is_foreign() {
                    self.upgraded = true;
                    return None;
                }
            }
            At::Rest => {}
            At::Url { header: false, .. } if byte == b' ' => self.at = At::Rest,
            At::Url { part, .. } => {
                if part.hides(byte) {
                    self.replaced += 1;
                    return Some(FILLER);
                }
            }
        }
        Some(byte)
    }
}

/// A direction whose first `len` bytes are the newest of `recent`.
fn beginning(recent: u64, len: u8, behind_lines: bool) -> At {
    let bytes = recent.to_be_bytes();
    let seen = &bytes[LONGEST - usize::from(len)..];
    if seen == RESPONSE {
        At::Rest
    } else if BEGINNINGS.contains(&seen) {
        At::Url { part: UrlPart::Path, header: false }
    } else if seen == HTTP2 && !behind_lines {
        At::Http2
    } else if seen == [0] && !behind_lines {
        At::Settings { len }
    } else if BEGINNINGS.iter().chain([&HTTP2]).any(|one| one.starts_with(seen) && *one != seen) {
        At::Beginning { len, behind_lines }
    } else {
        At::Foreign
    }
}

/// A segment begins a message of HTTP/1.
pub(super) fn begins_message(segment: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| segment.starts_with(beginning))
}

fn ends_with(recent: u64, end: &[u8]) -> bool {
    recent.to_be_bytes().ends_with(end)
}

/// The newest bytes, and before them the first of a SETTINGS frame: one more than are remembered.
fn first_of_settings(recent: u64) -> [u8; LONGEST + 1] {
    let mut first = [0; LONGEST + 1];
    first[1..].copy_from_slice(&recent.to_be_bytes());
    first
}

fn appended(recent: u64, byte: u8) -> u64 {
    recent << 8 | u64::from(byte)
}

/// Adds a run to those before it.
pub(super) fn extend(runs: &mut Vec<(bool, usize)>, (keeps, len): (bool, usize)) {
    match runs.last_mut() {
        Some((kept, before)) if *kept == keeps => *before += len,
        _ => runs.push((keeps, len)),
    }
}

/// The newest byte is the space behind a method.
fn asks(recent: u64) -> bool {
    let [.., before, _] = recent.to_be_bytes();
    before.is_ascii_uppercase()
        && BEGINNINGS.iter().any(|method| *method != RESPONSE && ends_with(recent, method))
}

/// What comes after a byte that may belong to a header's name, if that is another thing.
fn in_name(name: &mut FieldName, byte: u8) -> Option<At> {
    match byte {
        b' ' | b'\t' if name.folds => Some(At::Credential),
        b' ' | b'\t' => {
            name.ended = name.len > 0;
            None
        }
        b':' if name.is_credential() => Some(At::Credential),
        b':' if names_url(name.bytes()) => Some(At::Url { part: UrlPart::Path, header: true }),
        b'*' if name.ended && name.bytes() == b"pri" => Some(At::Foreign),
        byte if is_token(byte) && !name.ended => {
            name.folds = false;
            name.push(byte);
            None
        }
        _ => Some(At::Rest),
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
