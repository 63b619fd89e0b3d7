//! A run of JSON values: one a line (NDJSON), one behind the other, or the elements of one list.
//! Takes a body in pieces of any size; gives each object or list in pieces, then its end.
//! Only quotes, escapes and brackets are followed; the values are read by `json`.

use memchr::memchr2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A piece of the value under way.
    Data(&'a [u8]),
    /// The value is over.
    End,
}

#[derive(Debug, Default)]
pub(super) struct Values {
    /// Brackets open inside the value under way; 0 between values.
    depth: u64,
    text: bool,
    escaped: bool,
    /// The values are elements of a list.
    list: bool,
    started: bool,
    lost: bool,
}

impl Values {
    pub(super) fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(Item<'_>)) {
        while !bytes.is_empty() && !self.lost {
            if self.depth == 0 {
                // Between values: white space, commas, the list's own brackets.
                let Some(at) = bytes.iter().position(|byte| matches!(byte, b'{' | b'[')) else {
                    return;
                };
                bytes = &bytes[at..];
                let opens_list = bytes[0] == b'[' && !self.started;
                self.started = true;
                if opens_list {
                    self.list = true;
                    bytes = &bytes[1..];
                    continue;
                }
            }
            let used = self.inside(bytes);
            sink(Item::Data(&bytes[..used]));
            if self.depth == 0 {
                sink(Item::End);
            }
            bytes = &bytes[used..];
        }
    }

    /// The values are one list, which only a stream is.
    pub(super) fn is_list(&self) -> bool {
        self.list
    }

    /// Bytes are missing: whether a value or a string is open is unknown.
    pub(super) fn gap(&mut self) {
        self.lost = true;
    }

    /// Bytes of the value under way, up to its end.
    fn inside(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if std::mem::take(&mut self.escaped) {
                at += 1;
            } else if self.text {
                let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else { return bytes.len() };
                at += found + 1;
                self.escaped = bytes[at - 1] == b'\\';
                self.text = self.escaped;
            } else {
                match bytes[at] {
                    b'"' => self.text = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
                at += 1;
                if self.depth == 0 {
                    return at;
                }
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::splits;

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut values = Values::default();
        let mut all = Vec::new();
        let mut value = Vec::new();
        for piece in pieces {
            values.push(piece, |item| match item {
                Item::Data(data) => value.extend_from_slice(data),
                Item::End => all.push(String::from_utf8(std::mem::take(&mut value)).unwrap()),
            });
        }
        all
    }

    fn check(body: &str, expected: &[&str]) {
        let values = splits::check(body.as_bytes(), |pieces| read(pieces.iter().copied()));
        assert_eq!(values, expected);
    }

    #[test]
    fn lines_and_lists_are_split() {
        check("{\"a\":1}\n{\"b\":[2]}\r\n\n{}", &["{\"a\":1}", "{\"b\":[2]}", "{}"]);
        check("[{\"a\":[]}\n,\r\n{\"b\":\"]}\"}]", &["{\"a\":[]}", "{\"b\":\"]}\"}"]);
        check("{\"a\":\"\\\"}\\\\\"}{}", &["{\"a\":\"\\\"}\\\\\"}", "{}"]);
        check("[]", &[]);
        check("{\"cut\": [", &[]);
    }

    proptest! {
        #[test]
        fn splits_make_no_difference(body in "[\\[\\]{}\",\\\\a \\n]{0,60}", size in 1usize..9) {
            prop_assert_eq!(read([body.as_bytes()]), read(body.as_bytes().chunks(size)));
        }
    }
}
