//! Which parts of a JSON value are of interest, as constant data beside each wire format.
//! Takes nothing; a [`Shape`] is followed by the reader down the value, what it lacks is skipped.

/// What to keep of a value. A scalar is kept by every shape but [`Shape::Skip`], since several
/// formats allow one in place of a list or an object (`stop`, `error`, `system`).
#[derive(Debug)]
pub(in crate::genai) enum Shape {
    /// Nothing; in a list its place is held by a null, so that lists can be counted.
    Skip,
    /// That it is there: a list, object or string is kept as an empty one.
    Sign,
    /// The whole value, exactly: a string past the bound on facts is left out, never cut.
    Fact,
    /// The whole value; of long strings the two ends ([`crate::genai::clip`]).
    Text,
    /// Of an object these members.
    Object(&'static [(&'static str, Shape)]),
    /// Of a list each element.
    Each(&'static Shape),
    /// Of a list the elements at its two ends, within the bound on content.
    Ends(&'static Shape),
}

/// The two views on one body: numbers and names, and what people wrote.
#[derive(Clone, Copy, Debug)]
pub(in crate::genai) struct Shapes {
    pub facts: &'static Shape,
    /// `None` where content is not asked for.
    pub content: Option<&'static Shape>,
}
