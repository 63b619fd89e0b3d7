//! Message content: what was said to the model and by it.
//! Takes messages in the conventions' JSON; gives attributes, where the user asked for them.
//! Knows nothing of numbers.

use super::{
    list::Attributes,
    own::{CONTENT_SHED, CONTENT_TRUNCATED},
};
use crate::genai::Content;

impl Attributes {
    /// Structured values are not allowed on spans yet, so they are JSON text, as the conventions say.
    pub(super) fn content(&mut self, content: &Content) {
        for (key, value) in [
            ("gen_ai.system_instructions", &content.system_instructions),
            ("gen_ai.input.messages", &content.input_messages),
            ("gen_ai.output.messages", &content.output_messages),
            ("gen_ai.tool.definitions", &content.tool_definitions),
        ] {
            if let Some(value) = value {
                self.set(key, value.to_string());
            }
        }
        self.flag(CONTENT_TRUNCATED, content.truncated);
        self.flag(CONTENT_SHED, content.shed);
    }
}
