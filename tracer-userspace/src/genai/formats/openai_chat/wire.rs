//! Chat completions as they are on the wire, the members that are read.
//! Takes a whole completion or a streamed chunk (the one has `message`, the other `delta`).
//! Every field is optional and lax; texts are borrowed from the bytes. What a chunk seldom has is
//! boxed: structures are moved about while they are read, and that was a fifth of a chunk's cost.

use serde::Deserialize;

use crate::genai::{
    formats::{
        error::ErrorMember,
        openai_usage::Tokens,
        times::{Seconds, Timings},
    },
    json::lax::{Count, List, Object, Text, TextOrList},
};

/// A whole completion, or one chunk of a streamed one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Completion<'a> {
    /// `error` where the value is one (Mistral, vLLM).
    #[serde(borrow)]
    pub(super) object: Text<'a>,
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
    /// Of Cerebras and of the llama.cpp server.
    pub(super) time_info: Object<Box<Seconds>>,
    pub(super) timings: Object<Box<Timings>>,
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
