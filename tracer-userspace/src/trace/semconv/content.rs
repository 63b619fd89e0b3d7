//! Message content on spans: what was said to the model and by it.
//! Takes messages in the conventions' JSON; gives attributes, where the user asked for them.
//! Knows nothing of numbers.

use super::{
    events::structured,
    list::Attributes,
    own::{CONTENT_SHED, CONTENT_TRUNCATED},
};
use crate::genai::Content;

impl Attributes {
    /// Structured values are not allowed on spans yet, so they are JSON text, as the conventions say.
    pub(super) fn content(&mut self, content: &Content) {
        for (key, value) in structured(content) {
            self.set(key, value.to_string());
        }
        self.content_marks(content);
    }

    /// Whether the content is whole.
    pub(super) fn content_marks(&mut self, content: &Content) {
        self.flag(CONTENT_TRUNCATED, content.truncated);
        self.flag(CONTENT_SHED, content.shed);
    }
}
