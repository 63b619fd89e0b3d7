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
    json::lax::{Code, Count, List, Object, Text, TextOrList},
};

/// A whole completion, or one chunk of a streamed one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Completion<'a> {
    /// `error` where the value is one (Mistral, vLLM).
    #[serde(borrow)]
    pub(in crate::genai::formats) object: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) id: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) model: Text<'a>,
    /// watsonx's name.
    #[serde(borrow)]
    pub(in crate::genai::formats) model_id: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) service_tier: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) system_fingerprint: Text<'a>,
    pub(in crate::genai::formats) usage: Object<Box<Tokens>>,
    /// Of Cerebras and of the llama.cpp server.
    pub(in crate::genai::formats) time_info: Object<Box<Seconds>>,
    pub(in crate::genai::formats) timings: Object<Box<Timings>>,
    #[serde(borrow)]
    pub(in crate::genai::formats) x_groq: Object<XGroq<'a>>,
    #[serde(borrow)]
    pub(in crate::genai::formats) error: ErrorMember<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) choices: Option<List<Choice<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct XGroq<'a> {
    pub(in crate::genai::formats) usage: Object<Box<Tokens>>,
    #[serde(borrow)]
    pub(in crate::genai::formats) error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Choice<'a> {
    pub(in crate::genai::formats) index: Count,
    #[serde(borrow)]
    pub(in crate::genai::formats) finish_reason: Text<'a>,
    /// DeepSeek's on Bedrock; vLLM tells here which stop sequence it met, beside the reason.
    #[serde(borrow)]
    pub(in crate::genai::formats) stop_reason: Text<'a>,
    /// Moonshot's streams carry usage here.
    pub(in crate::genai::formats) usage: Object<Box<Tokens>>,
    /// Of a text completion; some repeat a chat's delta here.
    #[serde(borrow)]
    pub(in crate::genai::formats) text: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) delta: Object<Message<'a>>,
    #[serde(borrow)]
    pub(in crate::genai::formats) message: Object<Box<Message<'a>>>,
    /// OpenRouter's, where a model failed midway.
    #[serde(borrow)]
    pub(in crate::genai::formats) error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Message<'a> {
    #[serde(borrow)]
    pub(in crate::genai::formats) role: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) content: TextOrList<'a, Part<'a>>,
    #[serde(borrow)]
    pub(in crate::genai::formats) refusal: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) reasoning_content: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) reasoning: Text<'a>,
    /// OpenRouter's third form of the same, in pieces; models that hide their thoughts have none other.
    #[serde(borrow)]
    pub(in crate::genai::formats) reasoning_details: List<Box<Detail<'a>>>,
    /// Spoken: its words are the answer's text.
    #[serde(borrow)]
    pub(in crate::genai::formats) audio: Object<Box<Audio<'a>>>,
    #[serde(borrow)]
    pub(in crate::genai::formats) tool_calls: List<Call<'a>>,
    #[serde(borrow)]
    pub(in crate::genai::formats) function_call: Object<Box<Called<'a>>>,
}

/// One element of a message's content where that is a list, as Mistral's is while it thinks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Part<'a> {
    #[serde(borrow)]
    pub(in crate::genai::formats) text: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) thinking: List<Thought<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Thought<'a> {
    #[serde(borrow)]
    pub(in crate::genai::formats) text: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Detail<'a> {
    #[serde(borrow)]
    pub(in crate::genai::formats) text: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) summary: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Audio<'a> {
    #[serde(borrow)]
    pub(in crate::genai::formats) transcript: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) data: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Call<'a> {
    pub(in crate::genai::formats) index: Count,
    /// Absent in later deltas. Over gRPC a number where the provider runs the tool itself.
    #[serde(rename = "type")]
    pub(in crate::genai::formats) kind: Code,
    #[serde(borrow)]
    pub(in crate::genai::formats) id: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) function: Object<Called<'a>>,
    /// A tool with free-form input.
    #[serde(borrow)]
    pub(in crate::genai::formats) custom: Object<Called<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::genai::formats) struct Called<'a> {
    #[serde(borrow)]
    pub(in crate::genai::formats) name: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) arguments: Text<'a>,
    #[serde(borrow)]
    pub(in crate::genai::formats) input: Text<'a>,
}
