//! Head and tail of a text that may be longer than memory should hold.
//! Takes bytes in pieces of any size; gives the text whole, or its two ends around a mark.
//! The result depends on the bytes alone, not on how they were cut into pieces.

/// Bytes kept of one text before its middle is left out: so many from its start …
pub(super) const HEAD: usize = 16 << 10;
/// … and so many from its end.
pub(super) const TAIL: usize = 16 << 10;

/// A text being collected. Holds at most [`HEAD`] + 3 × [`TAIL`] bytes.
#[derive(Debug, Default)]
pub(super) struct Clip {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Bytes between `head` and `tail` that were let go.
    dropped: u64,
}

impl Clip {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        for piece in rest.chunks(TAIL) {
            self.tail.extend_from_slice(piece);
            if self.tail.len() > 2 * TAIL {
                self.cut_tail();
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// The text and whether its middle is missing. Bytes that are no UTF-8 become U+FFFD.
    pub(super) fn take(&mut self) -> (String, bool) {
        self.cut_tail();
        let head = std::mem::take(&mut self.head);
        let tail = std::mem::take(&mut self.tail);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped == 0 {
            let mut whole = head;
            whole.extend_from_slice(&tail);
            return (lossy(whole), false);
        }
        let head_end = char_start_at_most(&head);
        let tail_start = tail.iter().take(3).take_while(|byte| is_continuation(**byte)).count();
        let missing = dropped + (head.len() - head_end) as u64 + tail_start as u64;
        let mut text = String::from_utf8_lossy(&head[..head_end]).into_owned();
        text.push_str(&format!("…[{missing} bytes left out]…"));
        text.push_str(&String::from_utf8_lossy(&tail[tail_start..]));
        (text, true)
    }

    fn cut_tail(&mut self) {
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Length of `bytes` without a character that is cut off at its end.
fn char_start_at_most(bytes: &[u8]) -> usize {
    let start = bytes.iter().rposition(|byte| !is_continuation(*byte)).unwrap_or(0);
    match std::str::from_utf8(&bytes[start..]) {
        Err(error) if error.error_len().is_none() => start,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_text_stays_whole() {
        let mut clip = Clip::default();
        clip.push("Grüße".as_bytes());
        assert_eq!(clip.take(), ("Grüße".to_owned(), false));
        assert_eq!(clip.take(), (String::new(), false));
    }

    #[test]
    fn long_text_keeps_both_ends() {
        let mut clip = Clip::default();
        // Two-byte characters, shifted by one so that both cuts fall inside a character.
        let text = format!("a{}b", "é".repeat(40_000));
        clip.push(text.as_bytes());
        let (kept, cut) = clip.take();
        assert!(cut);
        assert!(kept.starts_with("aé") && kept.ends_with("éb"));
        assert!(!kept.contains('\u{fffd}'));
        let mark: u64 =
            kept.split("…[").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let left = kept.split("…[").next().unwrap().len() + kept.split("]…").nth(1).unwrap().len();
        assert_eq!(mark + left as u64, text.len() as u64);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(sizes in prop::collection::vec(0usize..30_000, 0..12)) {
            let total: usize = sizes.iter().sum();
            let text: Vec<u8> = (0..total).map(|n| b'a' + (n % 23) as u8).collect();
            let (mut whole, mut pieces) = (Clip::default(), Clip::default());
            whole.push(&text);
            let mut rest = &text[..];
            for size in sizes {
                let (piece, after) = rest.split_at(size);
                pieces.push(piece);
                prop_assert!(pieces.tail.len() <= 3 * TAIL);
                rest = after;
            }
            prop_assert_eq!(whole.take(), pieces.take());
        }
    }
}
