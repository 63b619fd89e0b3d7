//! Answers of the model vendors on Bedrock that have no format of their own elsewhere.
//! Takes a whole answer or one chunk; every member is some vendor's, all optional and lax.

use serde::Deserialize;

use crate::genai::{
    formats::{Nothing, bedrock_converse::answer::Event, error::ERROR},
    json::{
        Shape,
        lax::{Count, Filled, List, Number, Object, Sent, Text},
    },
};

/// Of a chunk: the vendor's JSON in base64, and padding (`p`) that hides its length.
pub(super) const CHUNK: Shape = Shape::Object(&[("bytes", Shape::Fact)]);

/// A stop reason is a member, or an object with one.
const LISTED: Shape = Shape::Each(&Shape::Object(&[
    ("text", Shape::Text),
    ("outputText", Shape::Text),
    ("tokenCount", Shape::Fact),
    ("completionReason", Shape::Fact),
    ("stop_reason", Shape::Fact),
    ("finish_reason", Shape::Fact),
    ("finishReason", Shape::Fact),
    ("data", Shape::Object(&[("text", Shape::Text)])),
    ("relevance_score", Shape::Fact),
]));

pub(super) const RESPONSE: Shape = Shape::Object(&[
    // Anthropic's, OpenAI's and Nova's, for their own formats.
    ("type", Shape::Fact),
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("content", Shape::Text),
    ("completion", Shape::Text),
    ("stop_reason", Shape::Fact),
    ("choices", Shape::Text),
    ("usage", Shape::Fact),
    ("output", Shape::Text),
    ("stopReason", Shape::Fact),
    ("error", ERROR),
    // The others'.
    ("results", LISTED),
    ("outputs", LISTED),
    ("generations", LISTED),
    ("completions", LISTED),
    ("outputText", Shape::Text),
    ("completionReason", Shape::Fact),
    ("inputTextTokenCount", Shape::Fact),
    ("totalOutputTextTokenCount", Shape::Fact),
    ("generation", Shape::Text),
    ("prompt_token_count", Shape::Fact),
    ("generation_token_count", Shape::Fact),
    ("text", Shape::Text),
    ("finish_reason", Shape::Fact),
    ("generation_id", Shape::Fact),
    ("response_id", Shape::Fact),
    ("event_type", Shape::Fact),
    ("embedding", Shape::Sign),
    ("embeddings", Shape::Sign),
    ("images", Shape::Sign),
    ("artifacts", Shape::Sign),
    ("amazon-bedrock-invocationMetrics", Shape::Fact),
]);

/// Content is as free as the vendors are; what is long in it is cut.
pub(super) const CONTENT: Shape = Shape::Text;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub(super) bytes: Text<'a>,
}

/// Which format the answer is in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Signs<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) completion: Text<'a>,
    pub(super) choices: Filled,
    pub(super) output: Object<Nothing>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) generation_id: Text<'a>,
    #[serde(borrow)]
    pub(super) response_id: Text<'a>,
    /// Titan.
    #[serde(borrow)]
    pub(super) results: List<Listed<'a>>,
    /// Mistral.
    #[serde(borrow)]
    pub(super) outputs: List<Listed<'a>>,
    /// Cohere.
    #[serde(borrow)]
    pub(super) generations: List<Listed<'a>>,
    /// AI21.
    #[serde(borrow)]
    pub(super) completions: List<Listed<'a>>,
    /// Titan, streamed.
    #[serde(rename = "outputText", borrow)]
    pub(super) output_text: Text<'a>,
    #[serde(rename = "completionReason", borrow)]
    pub(super) completion_reason: Text<'a>,
    #[serde(rename = "inputTextTokenCount")]
    pub(super) input_text_tokens: Count,
    #[serde(rename = "totalOutputTextTokenCount")]
    pub(super) total_output_tokens: Count,
    /// Llama.
    #[serde(borrow)]
    pub(super) generation: Text<'a>,
    pub(super) prompt_token_count: Count,
    pub(super) generation_token_count: Count,
    #[serde(borrow)]
    pub(super) stop_reason: Text<'a>,
    /// Cohere's chat, and its stream.
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
    #[serde(borrow)]
    pub(super) event_type: Text<'a>,
    pub(super) embedding: Filled,
    /// A list, or lists by type.
    pub(super) embeddings: Sent,
    pub(super) images: Filled,
    pub(super) artifacts: Filled,
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    pub(super) metrics: Object<Metrics>,
    // Nova, streamed: Converse's events under their names.
    #[serde(rename = "messageStart", borrow)]
    pub(super) message_start: Object<Event<'a>>,
    #[serde(rename = "contentBlockStart", borrow)]
    pub(super) block_start: Object<Event<'a>>,
    #[serde(rename = "contentBlockDelta", borrow)]
    pub(super) block_delta: Object<Event<'a>>,
    #[serde(rename = "contentBlockStop", borrow)]
    pub(super) block_stop: Object<Event<'a>>,
    #[serde(rename = "messageStop", borrow)]
    pub(super) message_stop: Object<Event<'a>>,
    #[serde(borrow)]
    pub(super) metadata: Object<Event<'a>>,
}

/// One of several answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listed<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(rename = "outputText", borrow)]
    pub(super) output_text: Text<'a>,
    #[serde(rename = "tokenCount")]
    pub(super) tokens: Count,
    #[serde(rename = "completionReason", borrow)]
    pub(super) completion_reason: Text<'a>,
    #[serde(borrow)]
    pub(super) stop_reason: Text<'a>,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
    #[serde(rename = "finishReason", borrow)]
    pub(super) finish: Object<Reason<'a>>,
    #[serde(borrow)]
    pub(super) data: Object<Data<'a>>,
    /// Of a document that was ranked, which is no answer.
    pub(super) relevance_score: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reason<'a> {
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
}

/// Bedrock's own count, in the last chunk.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metrics {
    pub(super) input_token_count: Count,
    pub(super) output_token_count: Count,
    pub(super) cache_read_input_token_count: Count,
    pub(super) cache_write_input_token_count: Count,
    /// In milliseconds, as the next.
    pub(super) invocation_latency: Number,
    pub(super) first_byte_latency: Number,
}
