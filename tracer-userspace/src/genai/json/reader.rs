//! Streaming JSON reader: follows a [`Shape`] down a value of any size, in bounded memory.
//! Takes bytes in pieces of any size; gives what the shape keeps, as a value, and the fault if one was met.
//! What the shape skips is only measured out by its quotes and brackets, not checked.
//!
//! Own code because the crates that read JSON in a streaming way either pull from a reader that can
//! wait (`struson`, `serde_json`), or need each string whole in memory (`json-event-parser`, `actson`).

use memchr::memchr2;
use serde_json::{Map, Value};

use super::{Fault, Shape, ends::Ends, word};
use crate::genai::clip::Clip;

/// Nesting that is kept; what lies deeper is skipped.
pub(super) const MAX_DEPTH: usize = 64;

/// Longest string kept as a fact.
const MAX_FACT: usize = 4 << 10;

/// Longest member name that is compared with a shape or kept.
const MAX_KEY: usize = 1 << 10;

/// Longest number: the shortest exact decimal of a double has at most 767 significant digits.
pub(super) const MAX_NUMBER: usize = 800;

/// Weight of the facts, and again of the texts, kept outside of [`Shape::Ends`] or of one element
/// inside.
const MAX_WEIGHT: usize = 512 << 10;

/// Weight of a value beside its text: about what it takes in memory.
const NODE: usize = 64;

/// Weight of an object beside its members: a map makes room for eleven at once.
const OBJECT: usize = 640;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value begins here, or a list ends if `may_close`.
    Value {
        may_close: bool,
    },
    /// A member name begins here, or the object ends if `may_close`.
    Key {
        may_close: bool,
    },
    Colon,
    /// A value ended inside a container.
    After,
    Text {
        key: bool,
    },
    Escape {
        key: bool,
    },
    Unicode {
        key: bool,
        digits: u8,
        unit: u16,
    },
    /// A number or literal, up to its delimiter.
    Word,
    /// A skipped string or container, and how deep inside.
    Skipped {
        depth: u64,
        text: bool,
        escaped: bool,
    },
    SkippedWord,
    /// The value is complete.
    Done,
    Failed,
}

#[derive(Debug)]
enum Node {
    Object { members: Map<String, Value>, key: String },
    List { items: Vec<Value>, ends: Option<Ends> },
}

#[derive(Debug)]
struct Frame {
    shape: &'static Shape,
    node: Node,
}

/// Reads one value. Holds at most about 2 × [`MAX_WEIGHT`], and for each list of which the ends are kept
/// 3 × [`super::ends::MAX_END`].
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    stack: Vec<Frame>,
    shape: &'static Shape,
    root: Option<Value>,
    /// The number, literal, member name or fact being read.
    word: Vec<u8>,
    /// The text being read, where its ends suffice.
    clip: Clip,
    /// The string being read goes to `clip`, not to `word`.
    clipping: bool,
    /// `word` ran over its bound: the value is left out.
    overlong: bool,
    /// First half of a surrogate pair, waiting for the second (RFC 8259 §7).
    high_surrogate: Option<u16>,
    weight: usize,
    text_weight: usize,
    fault: Option<Fault>,
    /// Something was left out because of a bound.
    clipped: bool,
}

impl Reader {
    pub(super) fn new(shape: &'static Shape) -> Self {
        Self {
            state: State::Value { may_close: false },
            stack: Vec::new(),
            shape,
            root: None,
            word: Vec::new(),
            clip: Clip::default(),
            clipping: false,
            overlong: false,
            high_surrogate: None,
            weight: 0,
            text_weight: 0,
            fault: None,
            clipped: false,
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Text { key } => self.text(key, bytes),
                State::Skipped { depth, text, escaped } => self.skip(depth, text, escaped, bytes),
                State::Word | State::SkippedWord => self.word(bytes),
                State::Failed => return,
                _ => {
                    self.step(bytes[0]);
                    1
                }
            };
            bytes = &bytes[used..];
        }
    }

    /// No more bytes come: gives what was kept, the fault met, and whether a bound left something out.
    pub(super) fn finish(mut self, cut_short: Option<Fault>) -> (Value, Option<Fault>, bool) {
        if matches!(self.state, State::Word | State::SkippedWord) {
            // Only a delimiter or the end shows that a number is whole. At a cut it may go on.
            if cut_short.is_none() && self.stack.is_empty() {
                self.end_word();
            }
        }
        if self.fault.is_none() && self.state != State::Done {
            self.fault = Some(cut_short.unwrap_or(Fault::Truncated));
        }
        // A text that was cut is worth keeping as far as it came, a fact is not.
        if self.clipping && matches!(self.state, State::Text { key: false }) {
            self.end_text();
        }
        while let Some(frame) = self.stack.pop() {
            let value = Self::close(frame.node);
            self.place(value);
        }
        (self.root.unwrap_or(Value::Null), self.fault.or(cut_short), self.clipped)
    }

    fn fail(&mut self) {
        self.fault.get_or_insert(Fault::Syntax);
        self.state = State::Failed;
    }

    /// One byte outside of strings, words and skipped values.
    fn step(&mut self, byte: u8) {
        if let State::Escape { key } = self.state {
            return self.escape(key, byte);
        }
        if let State::Unicode { key, digits, unit } = self.state {
            return self.unicode(key, digits, unit, byte);
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return;
        }
        match (self.state, byte) {
            (State::Value { may_close: true }, b']') => self.end_container(),
            (State::Value { .. }, _) => self.begin(byte),
            (State::Key { may_close: true }, b'}') => self.end_container(),
            (State::Key { .. }, b'"') => {
                self.word.clear();
                self.overlong = false;
                self.state = State::Text { key: true };
            }
            (State::Colon, b':') => self.state = State::Value { may_close: false },
            (State::After, b',') => {
                self.state = match self.stack.last() {
                    Some(Frame { node: Node::Object { .. }, .. }) => {
                        State::Key { may_close: false }
                    }
                    _ => State::Value { may_close: false },
                };
            }
            (State::After, b'}' | b']') => {
                let object =
                    matches!(self.stack.last(), Some(Frame { node: Node::Object { .. }, .. }));
                if object == (byte == b'}') { self.end_container() } else { self.fail() }
            }
            _ => self.fail(),
        }
    }

    /// The shape of the value that begins now.
    fn shape_here(&mut self) -> &'static Shape {
        let depth = self.stack.len();
        let shape = match self.stack.last() {
            None => self.shape,
            Some(Frame { shape, node: Node::Object { key, .. } }) => match shape {
                Shape::Object(members) => members
                    .iter()
                    .find(|(name, _)| name == key)
                    .map_or(&Shape::Skip, |(_, shape)| shape),
                shape => shape,
            },
            Some(Frame { shape: Shape::Each(element) | Shape::Ends(element), .. }) => element,
            Some(Frame { shape, .. }) => shape,
        };
        let text = matches!(shape, Shape::Text);
        let weight = if text { self.text_weight } else { self.weight };
        if matches!(shape, Shape::Skip | Shape::Sign) || (depth < MAX_DEPTH && weight < MAX_WEIGHT)
        {
            return shape;
        }
        // Of texts a part suffices; a fact that is left out is a fault.
        self.clipped = true;
        if weight >= MAX_WEIGHT && !text {
            self.fault.get_or_insert(Fault::TooLarge);
        }
        &Shape::Skip
    }

    fn begin(&mut self, byte: u8) {
        let shape = self.shape_here();
        let skip = matches!(shape, Shape::Skip | Shape::Sign);
        self.word.clear();
        self.overlong = false;
        if let Shape::Sign = shape {
            match byte {
                b'"' => self.place(Value::String(String::new())),
                b'[' => self.place(Value::Array(Vec::new())),
                b'{' => self.place(Value::Object(Map::new())),
                _ => {}
            }
        }
        match byte {
            b'"' if !skip => {
                self.clipping = matches!(shape, Shape::Text);
                self.state = State::Text { key: false };
            }
            b'"' => self.state = State::Skipped { depth: 0, text: true, escaped: false },
            b'{' | b'[' => {
                let kept = match shape {
                    Shape::Fact | Shape::Text => true,
                    Shape::Object(_) => byte == b'{',
                    Shape::Each(_) | Shape::Ends(_) => byte == b'[',
                    Shape::Skip | Shape::Sign => false,
                };
                if kept {
                    self.open(shape, byte);
                } else {
                    self.state = State::Skipped { depth: 1, text: false, escaped: false };
                }
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.word.push(byte);
                let kept = !matches!(shape, Shape::Skip);
                self.state = if kept { State::Word } else { State::SkippedWord };
            }
            _ => self.fail(),
        }
    }

    fn open(&mut self, shape: &'static Shape, byte: u8) {
        let weight = if byte == b'{' { OBJECT } else { NODE };
        self.add_weight(matches!(shape, Shape::Text), weight);
        let node = if byte == b'{' {
            self.state = State::Key { may_close: true };
            Node::Object { members: Map::new(), key: String::new() }
        } else {
            self.state = State::Value { may_close: true };
            let ends = matches!(shape, Shape::Ends(_)).then(Ends::default);
            if ends.is_some() {
                self.weight = 0;
                self.text_weight = 0;
            }
            Node::List { items: Vec::new(), ends }
        };
        self.stack.push(Frame { shape, node });
    }

    fn close(node: Node) -> Value {
        match node {
            Node::Object { members, .. } => Value::Object(members),
            Node::List { items, .. } => Value::Array(items),
        }
    }

    fn end_container(&mut self) {
        match self.stack.pop() {
            Some(frame) => {
                let value = Self::close(frame.node);
                self.ended(Some(value));
            }
            None => self.fail(),
        }
    }

    /// A value ended; `None` if it is not kept.
    fn ended(&mut self, value: Option<Value>) {
        match value {
            Some(value) => self.place(value),
            None => self.place_nothing(),
        }
        self.state = if self.stack.is_empty() { State::Done } else { State::After };
    }

    fn place(&mut self, value: Value) {
        match self.stack.last_mut() {
            None => self.root = Some(value),
            Some(Frame { node: Node::Object { members, key }, .. }) => {
                // Of members of the same name the last counts, as in most readers (RFC 8259 §4).
                members.insert(std::mem::take(key), value);
            }
            Some(Frame { node: Node::List { items, ends }, .. }) => {
                items.push(value);
                if let Some(ends) = ends {
                    let text = std::mem::take(&mut self.text_weight);
                    self.clipped |= ends.added(items, std::mem::take(&mut self.weight) + text);
                }
            }
        }
    }

    /// Holds the place of a skipped element where the list is to be counted.
    fn place_nothing(&mut self) {
        if let Some(Frame { shape: Shape::Each(Shape::Skip), node: Node::List { items, .. } }) =
            self.stack.last_mut()
        {
            if self.weight < MAX_WEIGHT {
                self.weight += NODE;
                items.push(Value::Null);
            } else {
                self.clipped = true;
                self.fault.get_or_insert(Fault::TooLarge);
            }
        }
    }

    /// Bytes inside a string, up to its end or the next escape.
    fn text(&mut self, key: bool, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let stop = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            if stop > 0 {
                self.lone_surrogate(key);
                self.keep(key, &rest[..stop]);
            }
            at += stop + 1;
            match rest.get(stop..) {
                None | Some([]) => return at - 1,
                // Most escapes are of one letter and not cut.
                Some([b'\\', letter, ..]) if plain(*letter).is_some() => {
                    self.escape(key, *letter);
                    at += 1;
                }
                Some([b'\\', ..]) => {
                    self.state = State::Escape { key };
                    return at;
                }
                Some(_) => {
                    self.lone_surrogate(key);
                    if key {
                        self.end_key();
                    } else {
                        self.end_text();
                    }
                    return at;
                }
            }
        }
    }

    fn keep(&mut self, key: bool, bytes: &[u8]) {
        if !key && self.clipping {
            return self.clip.push(bytes);
        }
        let limit = if key { MAX_KEY } else { MAX_FACT };
        // The same part of it, however it is cut into pieces.
        let room = limit.saturating_sub(self.word.len());
        self.overlong |= bytes.len() > room;
        self.word.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn escape(&mut self, key: bool, byte: u8) {
        match (plain(byte), byte) {
            (Some(plain), _) => {
                self.lone_surrogate(key);
                self.keep(key, &[plain]);
                self.state = State::Text { key };
            }
            (None, b'u') => self.state = State::Unicode { key, digits: 0, unit: 0 },
            (None, _) => self.fail(),
        }
    }

    fn unicode(&mut self, key: bool, digits: u8, unit: u16, byte: u8) {
        let Some(digit) = char::from(byte).to_digit(16) else { return self.fail() };
        let unit = unit << 4 | digit as u16;
        if digits < 3 {
            self.state = State::Unicode { key, digits: digits + 1, unit };
            return;
        }
        self.state = State::Text { key };
        match (self.high_surrogate.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x10000 + ((u32::from(high) - 0xd800) << 10) + u32::from(unit) - 0xdc00;
                self.keep_char(key, char::from_u32(code));
            }
            (high, _) => {
                if high.is_some() {
                    self.keep_char(key, None);
                }
                match unit {
                    0xd800..=0xdbff => self.high_surrogate = Some(unit),
                    _ => self.keep_char(key, char::from_u32(u32::from(unit))),
                }
            }
        }
    }

    /// Half a surrogate pair that nothing completed has no meaning (RFC 8259 §8.2).
    fn lone_surrogate(&mut self, key: bool) {
        if self.high_surrogate.take().is_some() {
            self.keep_char(key, None);
        }
    }

    fn keep_char(&mut self, key: bool, character: Option<char>) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        self.keep(key, character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn end_key(&mut self) {
        self.state = State::Colon;
        let word = String::from_utf8_lossy(&self.word).into_owned();
        if let Some(Frame { node: Node::Object { key, .. }, shape }) = self.stack.last_mut() {
            // An overlong name is in no shape; where all members are kept it shows as cut.
            *key = match shape {
                Shape::Object(_) if self.overlong => String::new(),
                _ => word,
            };
        }
        let text = matches!(self.stack.last(), Some(Frame { shape: Shape::Text, .. }));
        self.add_weight(text, self.word.len());
    }

    fn add_weight(&mut self, text: bool, weight: usize) {
        *(if text { &mut self.text_weight } else { &mut self.weight }) += weight;
    }

    fn end_text(&mut self) {
        let value = if self.clipping {
            let (text, cut) = self.clip.take();
            self.clipped |= cut;
            Some(text)
        } else if self.overlong {
            self.clipped = true;
            None
        } else {
            Some(String::from_utf8_lossy(&self.word).into_owned())
        };
        self.add_weight(self.clipping, NODE + value.as_ref().map_or(0, String::len));
        self.ended(Some(value.map_or(Value::Null, Value::String)));
    }

    fn word(&mut self, bytes: &[u8]) -> usize {
        let end = bytes
            .iter()
            .position(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'))
            .unwrap_or(bytes.len());
        if self.state == State::Word {
            let room = MAX_NUMBER.saturating_sub(self.word.len());
            self.overlong |= end > room;
            self.word.extend_from_slice(&bytes[..end.min(room)]);
        }
        if end < bytes.len() {
            self.end_word();
        }
        end
    }

    fn end_word(&mut self) {
        if self.state == State::SkippedWord {
            return self.ended(None);
        }
        self.clipped |= self.overlong;
        let value = if self.overlong { Some(Value::Null) } else { word::value(&self.word) };
        match value {
            Some(value) => {
                let text = matches!(self.stack.last(), Some(Frame { shape: Shape::Text, .. }));
                self.add_weight(text, NODE);
                self.ended(Some(value));
            }
            None => self.fail(),
        }
    }

    /// Inside a skipped value: only quotes, escapes and brackets matter.
    fn skip(&mut self, mut depth: u64, mut text: bool, mut escaped: bool, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if escaped {
                escaped = false;
                at += 1;
            } else if text {
                let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else {
                    at = bytes.len();
                    break;
                };
                at += found + 1;
                escaped = bytes[at - 1] == b'\\';
                text = escaped;
            } else {
                match bytes[at] {
                    b'"' => text = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
            }
            if depth == 0 && !text && !escaped {
                self.ended(None);
                return at;
            }
        }
        self.state = State::Skipped { depth, text, escaped };
        at
    }
}

/// What an escape of one letter stands for (RFC 8259 §7).
fn plain(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}
