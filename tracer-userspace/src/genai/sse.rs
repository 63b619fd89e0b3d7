//! Server-sent events, by the WHATWG HTML standard §9.2.6 ("Interpreting an event stream").
//! Takes a body in pieces of any size; gives each event's name and data as they pass.
//! Holds no data: of an event only its name (to [`MAX_NAME`]) and where in a line it is.

use memchr::memchr2;

/// Longest event name that is told; a longer one is told as cut.
pub(super) const MAX_NAME: usize = 256;

/// Longest field name of the standard is `event`, `retry`: anything longer is unknown, so ignored.
const MAX_FIELD: usize = 6;

const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A piece of the data of the event under way; lines are joined by a line feed.
    Data(&'a [u8]),
    /// The event is over: it has data, and this name (empty if it was given none).
    Event(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of the stream, so many bytes of a byte order mark seen.
    Start(usize),
    /// In a field name, or before it.
    Field,
    /// Behind the colon: one space is not part of the value.
    Space(Field),
    Value(Field),
    /// After a gap: up to the next blank line nothing is known. Whether the line so far is empty.
    Lost {
        empty_line: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    /// `id`, `retry`, unknown ones and comments.
    Other,
}

#[derive(Debug)]
pub(super) struct Sse {
    state: State,
    /// The last byte was a CR: a LF now belongs to it.
    after_cr: bool,
    field: Vec<u8>,
    name: Vec<u8>,
    /// Data lines of the event so far.
    lines: u64,
}

impl Default for Sse {
    fn default() -> Self {
        Self {
            state: State::Start(0),
            after_cr: false,
            field: Vec::with_capacity(MAX_FIELD),
            name: Vec::new(),
            lines: 0,
        }
    }
}

impl Sse {
    pub(super) fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(Item<'_>)) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            if let State::Start(seen) = self.state {
                if first == BOM[seen] {
                    self.state = if seen == 2 { State::Field } else { State::Start(seen + 1) };
                    bytes = &bytes[1..];
                } else {
                    // Part of a mark is no mark: these bytes began a field of no known name.
                    self.field.extend_from_slice(&BOM[..seen]);
                    self.state = State::Field;
                }
                continue;
            }
            if let State::Space(field) = self.state {
                self.state = State::Value(field);
                if first == b' ' {
                    bytes = &bytes[1..];
                    continue;
                }
            }
            let end = memchr2(b'\n', b'\r', bytes);
            let line = &bytes[..end.unwrap_or(bytes.len())];
            let used = self.part_of_line(line, &mut sink);
            if used < line.len() {
                bytes = &bytes[used..];
                continue;
            }
            let Some(end) = end else { return };
            self.after_cr = bytes[end] == b'\r';
            self.end_line(&mut sink);
            bytes = &bytes[end + 1..];
        }
    }

    /// Bytes are missing here: the event under way is given up, its data must be forgotten.
    pub(super) fn gap(&mut self) {
        self.state = State::Lost { empty_line: false };
        self.after_cr = false;
        self.forget();
    }

    /// The stream is over. The standard drops an event that lacks its blank line; providers and
    /// proxies leave it out behind the last one, so that one is told.
    pub(super) fn finish(&mut self, mut sink: impl FnMut(Item<'_>)) {
        let in_line = matches!(self.state, State::Space(_) | State::Value(_));
        if in_line || !self.field.is_empty() {
            self.end_line(&mut sink);
        }
        self.end_event(&mut sink);
    }

    /// Bytes within one line; gives how many were used up (short of all at the colon only).
    fn part_of_line(&mut self, line: &[u8], sink: &mut impl FnMut(Item<'_>)) -> usize {
        match self.state {
            State::Field => {
                let colon = memchr::memchr(b':', line);
                let name = &line[..colon.unwrap_or(line.len())];
                let room = (MAX_FIELD + 1).saturating_sub(self.field.len());
                self.field.extend_from_slice(&name[..name.len().min(room)]);
                let Some(colon) = colon else { return line.len() };
                let field = self.field_of_name();
                if field == Field::Event {
                    self.name.clear();
                }
                self.begin_value(field, sink);
                self.state = State::Space(field);
                // The colon may be the last byte of the line: then the state is all there is to it.
                return colon + 1;
            }
            State::Value(Field::Data) if !line.is_empty() => sink(Item::Data(line)),
            State::Value(Field::Event) => {
                let room = MAX_NAME - self.name.len();
                self.name.extend_from_slice(&line[..line.len().min(room)]);
            }
            State::Lost { .. } if !line.is_empty() => {
                self.state = State::Lost { empty_line: false };
            }
            _ => {}
        }
        line.len()
    }

    fn field_of_name(&self) -> Field {
        match self.field.as_slice() {
            b"data" => Field::Data,
            b"event" => Field::Event,
            _ => Field::Other,
        }
    }

    fn begin_value(&mut self, field: Field, sink: &mut impl FnMut(Item<'_>)) {
        if field == Field::Data {
            if self.lines > 0 {
                sink(Item::Data(b"\n"));
            }
            self.lines += 1;
        }
    }

    fn end_line(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        match self.state {
            State::Lost { empty_line: true } => self.state = State::Field,
            State::Lost { empty_line: false } => self.state = State::Lost { empty_line: true },
            State::Field if self.field.is_empty() => self.end_event(sink),
            State::Field => {
                // A line without a colon is a field with an empty value.
                let field = self.field_of_name();
                if field == Field::Event {
                    self.name.clear();
                }
                self.begin_value(field, sink);
                self.field.clear();
            }
            _ => {
                self.field.clear();
                self.state = State::Field;
            }
        }
    }

    fn end_event(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        if self.lines > 0 {
            sink(Item::Event(&self.name));
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.field.clear();
        self.name.clear();
        self.lines = 0;
    }
}

#[cfg(test)]
mod tests;
