//! Chat completions as they are on the wire, the members that are read.
//! Takes a whole completion or a streamed chunk (the one has `message`, the other `delta`).
//! Every field is optional and lax; texts are borrowed from the bytes. What a chunk seldom has is
//! boxed: structures are moved about while they are read, and that was a fifth of a chunk's cost.

use serde::Deserialize;

use crate::genai::{
    formats::error::ErrorMember,
    json::lax::{Count, List, Object, Text, TextOrList},
    operation::Usage,
};

/// A whole completion, or one chunk of a streamed one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Completion<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) model: Text<'a>,
    #[serde(borrow)]
    pub(super) service_tier: Text<'a>,
    #[serde(borrow)]
    pub(super) system_fingerprint: Text<'a>,
    pub(super) usage: Object<Box<Tokens>>,
    #[serde(borrow)]
    pub(super) x_groq: Object<XGroq<'a>>,
    #[serde(borrow)]
    pub(super) error: ErrorMember<'a>,
    #[serde(borrow)]
    pub(super) choices: Option<List<Choice<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct XGroq<'a> {
    pub(super) usage: Object<Box<Tokens>>,
    #[serde(borrow)]
    pub(super) error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
    /// Moonshot's streams carry usage here.
    pub(super) usage: Object<Box<Tokens>>,
    /// Of a text completion; some repeat a chat's delta here.
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) delta: Object<Message<'a>>,
    #[serde(borrow)]
    pub(super) message: Object<Box<Message<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Text<'a>,
    #[serde(borrow)]
    pub(super) content: TextOrList<'a, Part<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Text<'a>,
    #[serde(borrow)]
    pub(super) reasoning_content: Text<'a>,
    #[serde(borrow)]
    pub(super) reasoning: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: List<Call<'a>>,
    #[serde(borrow)]
    pub(super) function_call: Object<Box<Called<'a>>>,
}

/// One element of a message's content where that is a list, as Mistral's is while it thinks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) thinking: List<Thought<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Thought<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) function: Object<Called<'a>>,
    /// A tool with free-form input.
    #[serde(borrow)]
    pub(super) custom: Object<Called<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Called<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) arguments: Text<'a>,
    #[serde(borrow)]
    pub(super) input: Text<'a>,
}

/// `usage`. Cached and reasoning tokens are parts of prompt and completion tokens already.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub(super) prompt_tokens: Count,
    pub(super) completion_tokens: Count,
    pub(super) prompt_tokens_details: Object<InputDetails>,
    pub(super) completion_tokens_details: Object<OutputDetails>,
    /// DeepSeek's name for cached tokens.
    pub(super) prompt_cache_hit_tokens: Count,
    pub(super) total_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InputDetails {
    pub(super) cached_tokens: Count,
    pub(super) cache_write_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputDetails {
    pub(super) reasoning_tokens: Count,
}

impl Tokens {
    /// Counts that are told replace those told before: streams repeat them cumulatively.
    pub(super) fn add_to(self, usage: &mut Usage) {
        let input = self.prompt_tokens_details.0.unwrap_or_default();
        let output = self.completion_tokens_details.0.unwrap_or_default();
        let cached = Count(input.cached_tokens.0.or(self.prompt_cache_hit_tokens.0));
        let told = [
            (&mut usage.input_tokens, self.prompt_tokens),
            (&mut usage.output_tokens, Count(self.output(output.reasoning_tokens.0))),
            (&mut usage.cache_read_input_tokens, cached),
            (&mut usage.cache_write_input_tokens, input.cache_write_tokens),
            (&mut usage.reasoning_output_tokens, output.reasoning_tokens),
        ];
        for (known, told) in told {
            *known = told.0.or(*known);
        }
    }

    /// xAI counts reasoning beside the completion, not in it: the total says so.
    fn output(&self, reasoning: Option<u64>) -> Option<u64> {
        let completion = self.completion_tokens.0?;
        let both = completion.checked_add(reasoning.unwrap_or(0));
        let all =
            self.prompt_tokens.0.zip(both).and_then(|(prompt, both)| prompt.checked_add(both));
        if all.is_some() && all == self.total_tokens.0 { both } else { Some(completion) }
    }
}
