//! Forms (`multipart/form-data`, RFC 7578) as the JSON object that they stand for.
//! Takes a body in pieces of any size; gives the bytes of an object with a string for each field.
//! A file is an empty string: that it was sent is all that is of interest.
//!
//! Own code because the crates for it pull from a stream that can wait (`multer`), or hold it whole.

use ::http::{HeaderMap, header};
use httparse::{EMPTY_HEADER, Status};

/// Longest head of a part; a part with a longer one is stepped over.
const MAX_HEAD: usize = 4 << 10;
/// Header fields of a part; a part with more is stepped over.
const MAX_FIELDS: usize = 16;
/// RFC 2046 §5.1.1.
const MAX_BOUNDARY: usize = 70;

#[derive(Debug)]
pub(super) struct Multipart {
    /// What stands between two parts: line break, two hyphens and the boundary.
    delimiter: Vec<u8>,
    /// So many of its bytes were just seen.
    matched: usize,
    state: State,
    head: Vec<u8>,
    /// Members that were told.
    members: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a value that becomes a member.
    Field,
    /// In what comes before the first part, in a file, or in a part that can't be read.
    Passed,
    /// Behind a delimiter: a line break, or two hyphens at the end of all.
    Delimited {
        hyphens: usize,
    },
    Head,
    Over,
}

impl Multipart {
    /// Where the request's head says that the body is a form.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let (kind, parameters) = value.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return None;
        }
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        // The first delimiter needs no line break before it.
        Some(Self { delimiter, matched: 2, state: State::Passed, head: Vec::new(), members: 0 })
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(&[u8])) {
        while let Some(&first) = bytes.first() {
            match self.state {
                State::Field | State::Passed => {
                    bytes = &bytes[self.value(bytes, &mut sink)..];
                    continue;
                }
                State::Delimited { hyphens } => self.delimited(hyphens, first, &mut sink),
                State::Head => self.head(first, &mut sink),
                State::Over => return,
            }
            bytes = &bytes[1..];
        }
    }

    /// Bytes of a value, or the delimiter behind it; gives how many were used up.
    fn value(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> usize {
        if self.matched == 0 {
            let plain = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
            self.told(&bytes[..plain], sink);
            self.matched = usize::from(plain < bytes.len());
            return plain + self.matched;
        }
        if bytes[0] == self.delimiter[self.matched] {
            self.matched += 1;
            if self.matched == self.delimiter.len() {
                self.matched = 0;
                if self.state == State::Field {
                    sink(b"\"");
                }
                self.state = State::Delimited { hyphens: 0 };
            }
            return 1;
        }
        // No delimiter after all. A boundary has no line break in it, so none began meanwhile.
        let seen = std::mem::take(&mut self.matched);
        if self.state == State::Field {
            escape(&self.delimiter[..seen], sink);
        }
        0
    }

    fn told(&self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) {
        if self.state == State::Field {
            escape(bytes, sink);
        }
    }

    /// The rest of the delimiter's line.
    fn delimited(&mut self, hyphens: usize, byte: u8, sink: &mut impl FnMut(&[u8])) {
        self.state = match byte {
            b'-' if hyphens == 1 => {
                sink(if self.members == 0 { b"{}" } else { b"}" });
                State::Over
            }
            b'-' => State::Delimited { hyphens: hyphens + 1 },
            b'\n' => {
                self.head.clear();
                State::Head
            }
            // White space may stand there, and the line break's first half.
            _ => State::Delimited { hyphens: 0 },
        };
    }

    fn head(&mut self, byte: u8, sink: &mut impl FnMut(&[u8])) {
        self.head.push(byte);
        let ended = self.head == b"\r\n" || self.head.ends_with(b"\r\n\r\n");
        if !ended {
            if self.head.len() == MAX_HEAD {
                self.state = State::Passed;
            }
            return;
        }
        let Some((name, is_file)) = disposition(&self.head) else {
            self.state = State::Passed;
            return;
        };
        sink(if self.members == 0 { b"{\"" } else { b",\"" });
        escape(name.as_bytes(), sink);
        sink(if is_file { b"\":\"\"" } else { b"\":\"" });
        self.members += 1;
        self.state = if is_file { State::Passed } else { State::Field };
    }
}

/// The field's name, and whether it is a file, by the part's head (RFC 7578 §4.2).
fn disposition(head: &[u8]) -> Option<(String, bool)> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let Ok(Status::Complete((_, fields))) = httparse::parse_headers(head, &mut fields) else {
        return None;
    };
    let field =
        fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-disposition"))?;
    let value = String::from_utf8_lossy(field.value);
    let (_, parameters) = value.split_once(';')?;
    let name = parameter(parameters, "name").filter(|name| !name.is_empty())?;
    let is_file = ["filename", "filename*"].iter().any(|key| parameter(parameters, key).is_some());
    Some((name, is_file))
}

/// A parameter of a header field, a token or a quoted string (RFC 9110 §5.6.6).
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), after)
            }
        };
        let name = name.trim_matches(|c: char| c == ';' || c.is_ascii_whitespace());
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// A quoted string without its first quote, and what stands behind it.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, character) in quoted.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => {
                escaped = true;
                continue;
            }
            '"' => return (value, &quoted[at + 1..]),
            _ => {}
        }
        value.push(character);
    }
    (value, "")
}

/// The bytes as they stand in a JSON string (RFC 8259 §7).
fn escape(bytes: &[u8], sink: &mut impl FnMut(&[u8])) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !matches!(byte, 0..=0x1f | b'"' | b'\\') {
            continue;
        }
        sink(&bytes[from..at]);
        from = at + 1;
        match byte {
            b'"' => sink(b"\\\""),
            b'\\' => sink(b"\\\\"),
            control => {
                let digits = [HEX[usize::from(control >> 4)], HEX[usize::from(control & 0xf)]];
                sink(b"\\u00");
                sink(&digits);
            }
        }
    }
    sink(&bytes[from..]);
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::splits;

    fn form(kind: &str) -> Option<Multipart> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        Multipart::of(&headers)
    }

    fn read(pieces: &[&[u8]]) -> Vec<u8> {
        let mut form = form("multipart/form-data; charset=utf-8; boundary=\"x-y\"").unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            form.push(piece, |bytes| out.extend_from_slice(bytes));
        }
        out
    }

    fn check(body: &str, expected: &Value) {
        let whole = splits::check(body.as_bytes(), read);
        assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), *expected);
    }

    #[test]
    fn fields_become_members() {
        check(
            "preamble\r\n--x-y\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\
             whisper\r\n--x-y  \r\ncontent-type: text/plain\r\n\
             content-disposition: form-data; name=prompt\r\n\r\n\
             a \"quoted\"\\\n\r\n-- \r\n--x- line\r\n--x-y\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a.\\\"mp3\"\r\n\
             Content-Type: audio/mpeg\r\n\r\n\x00\r\n--x-z\r\n\r\n--x-y--\r\nepilogue",
            &json!({"model": "whisper", "prompt": "a \"quoted\"\\\n\r\n-- \r\n--x- line",
                "file": ""}),
        );
    }

    #[test]
    fn odd_parts_cost_no_others() {
        check("--x-y--", &json!({}));
        let long = "a".repeat(2 * MAX_HEAD);
        check(
            &format!(
                "--x-y\r\n\r\nno head\r\n--x-y\r\nContent-Disposition: form-data\r\n\r\nno name\
                 \r\n--x-y\r\nX-Long: {long}\r\n\r\nlong head\r\n--x-y\r\n\
                 Content-Disposition: form-data; name=\"n\"\r\n\r\n\r\n--x-y--"
            ),
            &json!({"n": ""}),
        );
    }

    #[test]
    fn only_forms_are_forms() {
        for kind in [
            "application/json",
            "multipart/mixed; boundary=a",
            "multipart/form-data",
            "multipart/form-data; boundary=",
        ] {
            assert!(form(kind).is_none(), "{kind}");
        }
        assert!(form(&format!("multipart/form-data; boundary={}", "b".repeat(71))).is_none());
    }

    proptest! {
        #[test]
        fn splits_make_no_difference(
            body in "(--x-y|\r\n|-|x|a|\"|Content-Disposition: form-data; name=n){0,30}",
        ) {
            splits::check(body.as_bytes(), read);
        }
    }
}
