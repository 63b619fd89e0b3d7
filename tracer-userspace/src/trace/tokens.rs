//! An estimate of tokens that the provider did not report, by the model's own tokenizer.
//! Takes an operation with its content; gives counts and which tokenizer counted.
//! Tells nothing where it would have to guess: of another model, of text that was cut, of what is no text.
//!
//! The tokens are those of the messages' text. What a provider adds around it (roles, the form of the
//! conversation, about four a message) is not in it.

use serde_json::Value;
use tiktoken_rs::{
    CoreBPE, cl100k_base_singleton, o200k_base_singleton,
    tokenizer::{Tokenizer, get_tokenizer},
};

use crate::genai::{Content, Operation};

/// Longest text that is counted, and about how much of it takes a millisecond. `genai` keeps no
/// longer one whole.
const MAX_TEXT: usize = 32 << 10;

/// Text counted of one operation's input, and of its output; with more there is no estimate.
const MAX_ALL: usize = 512 << 10;

/// Tokens that nobody reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub tokenizer: &'static str,
}

/// The tokenizers, with their vocabularies in memory (some 100 MB).
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimator(());

impl Estimator {
    /// Reads the vocabularies now, which takes a while, so that no call waits for it.
    pub(super) fn new() -> Self {
        cl100k_base_singleton();
        o200k_base_singleton();
        Self(())
    }

    pub(super) fn of(self, operation: &Operation) -> Option<Estimate> {
        let content = operation.content.as_ref().filter(|content| !content.truncated)?;
        if operation.http.status.is_none_or(|status| status >= 400) || operation.error.is_some() {
            return None;
        }
        let model = operation.response.model.as_ref().or(operation.request.model.as_ref())?;
        let (tokenizer, name) = tokenizer(model)?;
        let unknown = |reported: Option<u64>| reported.is_none().then_some(());
        let input = unknown(operation.usage.input_tokens).and_then(|()| input(tokenizer, content));
        let output = unknown(operation.usage.output_tokens)
            .and_then(|()| text(tokenizer, [content.output_messages.as_ref()?]));
        (input.is_some() || output.is_some()).then_some(Estimate { input, output, tokenizer: name })
    }
}

/// By the model's name as OpenAI gives them; no other vendor ships a vocabulary that a count could
/// be made with. A server that calls another model so is taken at its word.
fn tokenizer(model: &str) -> Option<(&'static CoreBPE, &'static str)> {
    match get_tokenizer(model)? {
        // The first has the second's vocabulary for text.
        Tokenizer::O200kHarmony | Tokenizer::O200kBase => {
            Some((o200k_base_singleton(), "o200k_base"))
        }
        Tokenizer::Cl100kBase => Some((cl100k_base_singleton(), "cl100k_base")),
        _ => None,
    }
}

/// Tools are told to the model in a form that is not known.
fn input(tokenizer: &CoreBPE, content: &Content) -> Option<u64> {
    if content.tool_definitions.is_some() {
        return None;
    }
    let messages = content.input_messages.as_ref()?;
    text(tokenizer, [messages].into_iter().chain(&content.system_instructions))
}

/// Tokens of the text of all parts; `None` where one is no text, or there is none.
fn text<'a>(tokenizer: &CoreBPE, lists: impl IntoIterator<Item = &'a Value>) -> Option<u64> {
    let mut tokens = 0;
    let mut bytes = 0;
    for element in lists.into_iter().filter_map(Value::as_array).flatten() {
        // A message has parts; system instructions are parts.
        let parts = match element.get("parts") {
            Some(parts) => parts.as_array()?.as_slice(),
            None => std::slice::from_ref(element),
        };
        for part in parts {
            let text = part.get("content").filter(|_| part["type"] == "text")?.as_str()?;
            bytes += text.len();
            if text.len() > MAX_TEXT || bytes > MAX_ALL {
                return None;
            }
            tokens += tokenizer.encode_ordinary(text).len() as u64;
        }
    }
    (bytes > 0).then_some(tokens)
}

#[cfg(test)]
mod tests;
