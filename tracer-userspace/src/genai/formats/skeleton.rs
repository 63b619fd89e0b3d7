//! How the events of a stream are alike: most differ in a piece of text alone, and in padding.
//! Takes an event that was read and the place of its text; of a later one that is the same around its
//! text gives that text. What is not sure to be the same is for a reader of JSON.

use std::ops::Range;

use memchr::{memchr2, memmem};

/// Longest event that is remembered.
const LIMIT: usize = 2 << 10;

/// OpenAI pads events with a text of random length (`stream_options.include_obfuscation`).
const PADDING: &[u8] = b"\"obfuscation\":\"";

#[derive(Debug, Default)]
pub(super) struct Skeleton {
    /// Up to the quote that opens the text, which is the last byte; empty: nothing is known.
    before: Vec<u8>,
    /// From the quote that closes it: to the end, or to the quote that opens the padding.
    behind: Vec<u8>,
    /// From the quote that closes the padding to the end.
    end: Option<Vec<u8>>,
}

/// Where a text stands that was read out of some bytes, if it borrows from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    address: usize,
    len: usize,
}

impl Place {
    /// `None`: the text is empty.
    pub(super) fn of(text: &str) -> Option<Self> {
        let place = Self { address: text.as_ptr().addr(), len: text.len() };
        (!text.is_empty()).then_some(place)
    }

    /// Its place in the bytes; outside of them where it was not borrowed from these.
    fn within(self, bytes: &[u8]) -> Range<usize> {
        let start = self.address.wrapping_sub(bytes.as_ptr().addr());
        start..start.saturating_add(self.len)
    }
}

impl Skeleton {
    /// `event` is sound JSON that tells nothing but the text at `place`. `comma`: where a brace stands
    /// for now, and a comma was sent.
    pub(super) fn learn_from(&mut self, event: &[u8], place: Place, comma: Option<usize>) {
        let text = place.within(event);
        let mut event = event.to_vec();
        if let Some(byte) = comma.and_then(|at| event.get_mut(at)) {
            *byte = b',';
        }
        self.learn(&event, text);
    }

    fn learn(&mut self, event: &[u8], text: Range<usize>) {
        self.before.clear();
        let (Some(before), Some(behind)) = (event.get(..text.start), event.get(text.end..)) else {
            return;
        };
        if event.len() > LIMIT || !before.ends_with(b"\"") || !behind.starts_with(b"\"") {
            return;
        }
        // A quote within a text is escaped, so this is the name of a member.
        let padding = memmem::find(behind, PADDING).map(|at| at + PADDING.len());
        let (behind, rest) = behind.split_at(padding.unwrap_or(behind.len()));
        self.end = match (padding, plain(rest)) {
            (None, _) => None,
            (Some(_), Some(padding)) => Some(rest[padding.len()..].to_vec()),
            (Some(_), None) => return,
        };
        self.behind.clear();
        self.behind.extend_from_slice(behind);
        self.before.extend_from_slice(before);
    }

    /// The text of an event that is otherwise the same; it is not empty.
    pub(super) fn text<'e>(&self, event: &'e [u8]) -> Option<&'e str> {
        if self.before.is_empty() {
            return None;
        }
        let rest = event.strip_prefix(self.before.as_slice())?;
        let text = plain(rest).filter(|text| !text.is_empty())?;
        let rest = rest[text.len()..].strip_prefix(self.behind.as_slice())?;
        let is_same = match &self.end {
            Some(end) => rest[plain(rest)?.len()..] == *end,
            None => rest.is_empty(),
        };
        is_same.then_some(text)
    }
}

/// What stands before the quote that closes a text, if it stands for itself (RFC 8259 §7).
fn plain(bytes: &[u8]) -> Option<&str> {
    let end = memchr2(b'"', b'\\', bytes)?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    (bytes[end] == b'"' && text.bytes().all(|byte| byte >= b' ')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(before: &str, text: &str, behind: &str) -> Skeleton {
        let mut skeleton = Skeleton::default();
        let event = [before, text, behind].concat();
        skeleton.learn(event.as_bytes(), before.len()..before.len() + text.len());
        skeleton
    }

    #[test]
    fn text_alone_may_differ() {
        let skeleton = learned(r#"{"id":"a","content":""#, "one", r#"","usage":null}"#);
        let text = |event: &'static str| skeleton.text(event.as_bytes());
        assert_eq!(text(r#"{"id":"a","content":"two more","usage":null}"#), Some("two more"));
        assert_eq!(text(r#"{"id":"a","content":"ü ✓","usage":null}"#), Some("ü ✓"));
        for other in [
            r#"{"id":"b","content":"two","usage":null}"#,
            r#"{"id":"a","content":"","usage":null}"#,
            r#"{"id":"a","content":"tw\"o","usage":null}"#,
            r#"{"id":"a","content":"two","usage":1}"#,
            r#"{"id":"a","content":"two","usage":null} "#,
            r#"{"id":"a","content":"two","usage":null"#,
            r#"{"id":"a","content":null,"usage":null}"#,
            "{\"id\":\"a\",\"content\":\"t\two\",\"usage\":null}",
            r#"{"id":"a","content":"two"#,
            "",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        assert_eq!(skeleton.text(b"{\"id\":\"a\",\"content\":\"\xff\",\"usage\":null}"), None);
        assert_eq!(Skeleton::default().text(b""), None);
    }

    #[test]
    fn padding_may_differ_too() {
        let skeleton = learned(r#"{"c":""#, "one", r#"","obfuscation":"x9","n":1}"#);
        let text = |event: &'static str| skeleton.text(event.as_bytes());
        assert_eq!(text(r#"{"c":"two","obfuscation":"","n":1}"#), Some("two"));
        assert_eq!(text(r#"{"c":"two","obfuscation":"Abcdefg","n":1}"#), Some("two"));
        for other in [
            r#"{"c":"two","obfuscation":"","n":2}"#,
            r#"{"c":"two","obfuscation":"a\"b","n":1}"#,
            r#"{"c":"two","obfuscation":7,"n":1}"#,
            r#"{"c":"two","n":1}"#,
        ] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_place_of_a_text_is_not_learned() {
        assert_eq!(learned(r#"{"c":"#, "1", "}").text(br#"{"c":1}"#), None);
        let mut skeleton = Skeleton::default();
        skeleton.learn(br#"{"c":"a"}"#, 6..99);
        assert_eq!(skeleton.text(br#"{"c":"a"}"#), None);
        let long = "x".repeat(LIMIT);
        assert_eq!(learned(r#"{"c":""#, &long, r#""}"#).text(br#"{"c":"a"}"#), None);
        let open = learned(r#"{"c":""#, "a", r#"","obfuscation":"a\"b"}"#);
        assert_eq!(open.text(br#"{"c":"a","obfuscation":"a\"b"}"#), None);
    }
}
