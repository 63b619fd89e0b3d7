//! Bedrock's InvokeModel: the bodies are each model vendor's own.
//! Takes `POST /model/{id}/invoke[-with-response-stream]` bodies and chunks; gives facts and content.
//! The vendor is told by the body's members, never by the model's name.

mod answer;
mod wire;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Views, anthropic, bedrock_converse, content, openai_chat};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Filled, Integer, Length, Number, Object, Sent, Strings, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static FORMAT: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "aws.bedrock",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &wire::RESPONSE, content: &wire::CONTENT },
    event: &wire::CHUNK,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(answer::Invoke::new(capture_content)),
};

const REQUEST: Shape = Shape::Object(&[
    ("messages", Shape::Sign),
    ("message", Shape::Sign),
    ("prompt", Shape::Sign),
    ("inputText", Shape::Sign),
    ("inputImage", Shape::Sign),
    ("texts", Shape::Sign),
    ("images", Shape::Sign),
    ("inputs", Shape::Sign),
    ("singleEmbeddingParams", Shape::Sign),
    ("query", Shape::Sign),
    ("documents", Shape::Sign),
    ("text_prompts", Shape::Sign),
    ("taskType", Shape::Fact),
    ("textGenerationConfig", Shape::Fact),
    ("inferenceConfig", Shape::Fact),
    ("max_tokens", Shape::Fact),
    ("maxTokens", Shape::Fact),
    ("max_tokens_to_sample", Shape::Fact),
    ("max_gen_len", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("topP", Shape::Fact),
    ("p", Shape::Fact),
    ("top_k", Shape::Fact),
    ("k", Shape::Fact),
    ("stop", Shape::Fact),
    ("stop_sequences", Shape::Fact),
    ("stopSequences", Shape::Fact),
    ("tools", Shape::Each(&Shape::Skip)),
    ("toolConfig", Shape::Object(&[("tools", Shape::Each(&Shape::Skip))])),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("messages", Shape::Ends(&Shape::Text)),
    ("system", Shape::Ends(&Shape::Text)),
    ("message", Shape::Text),
    ("prompt", Shape::Text),
    ("inputText", Shape::Text),
    ("anthropic_version", Shape::Fact),
]);

/// The union of the vendors' parameters; each vendor has its own few of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    messages: Length,
    message: Filled,
    prompt: Filled,
    #[serde(rename = "inputText")]
    input_text: Filled,
    /// Embeddings: Titan's, Cohere's, Nova's.
    #[serde(rename = "inputImage")]
    input_image: Sent,
    texts: Length,
    images: Length,
    inputs: Length,
    #[serde(rename = "singleEmbeddingParams")]
    nova_embedding: Sent,
    /// Reranking.
    query: Sent,
    documents: Length,
    /// Images: Stability's, Titan's and Nova Canvas'.
    text_prompts: Length,
    #[serde(rename = "taskType", borrow)]
    task_type: Text<'a>,
    #[serde(rename = "textGenerationConfig")]
    titan: Object<Titan>,
    #[serde(rename = "inferenceConfig")]
    nova: Object<Nova>,
    max_tokens: Integer,
    #[serde(rename = "maxTokens")]
    ai21_max_tokens: Integer,
    max_tokens_to_sample: Integer,
    max_gen_len: Integer,
    temperature: Number,
    top_p: Number,
    #[serde(rename = "topP")]
    ai21_top_p: Number,
    p: Number,
    top_k: Number,
    k: Number,
    stop: Strings,
    stop_sequences: Strings,
    #[serde(rename = "stopSequences")]
    ai21_stop: Strings,
    tools: Length,
    #[serde(rename = "toolConfig")]
    tool_config: Object<Tools>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tools {
    tools: Length,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Titan {
    max_token_count: Integer,
    temperature: Number,
    top_p: Number,
    stop_sequences: Strings,
}

/// Nova takes both spellings of its parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nova {
    max_new_tokens: Integer,
    #[serde(rename = "maxTokens")]
    max_tokens: Integer,
    temperature: Number,
    top_p: Number,
    #[serde(rename = "topP")]
    camel_top_p: Number,
    top_k: Number,
    #[serde(rename = "topK")]
    camel_top_k: Number,
    #[serde(rename = "stopSequences")]
    stop_sequences: Strings,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let operation = facts.operation();
    let titan = facts.titan.0.unwrap_or_default();
    let nova = facts.nova.0.unwrap_or_default();
    let stops = [
        facts.stop,
        facts.stop_sequences,
        facts.ai21_stop,
        titan.stop_sequences,
        nova.stop_sequences,
    ];
    let mut asked = Asked {
        // Titan's embeddings are asked for like its texts: their answer tells them.
        operation: operation.filter(|name| *name != OperationName::TextCompletion),
        fits: operation.is_some(),
        fault,
        request: Request {
            max_tokens: first([
                facts.max_tokens.0,
                facts.ai21_max_tokens.0,
                facts.max_tokens_to_sample.0,
                facts.max_gen_len.0,
                titan.max_token_count.0,
                nova.max_new_tokens.0,
                nova.max_tokens.0,
            ]),
            temperature: first([facts.temperature.0, titan.temperature.0, nova.temperature.0]),
            top_p: first([
                facts.top_p.0,
                facts.ai21_top_p.0,
                facts.p.0,
                titan.top_p.0,
                nova.top_p.0,
                nova.camel_top_p.0,
            ]),
            top_k: first([facts.top_k.0, facts.k.0, nova.top_k.0, nova.camel_top_k.0]),
            stop_sequences: stops
                .into_iter()
                .map(|stop| stop.0)
                .find(|stop| !stop.is_empty())
                .unwrap_or_default(),
            tools: facts.tools.0.or(facts.tool_config.0.and_then(|config| config.tools.0)),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        read_content(&body, &mut asked);
        asked.truncated = truncated;
    }
    asked
}

impl RequestFacts<'_> {
    /// What is asked for, by the members that are there.
    fn operation(&self) -> Option<OperationName> {
        let embeds = self.input_image.0
            || self.nova_embedding.0
            || [self.texts, self.images, self.inputs].iter().any(|list| list.0.is_some());
        if self.messages.0.is_some() || self.message.0 {
            Some(OperationName::Chat)
        } else if self.query.0 && self.documents.0.is_some() {
            Some(OperationName::Rerank)
        } else if embeds {
            Some(OperationName::Embeddings)
        } else if self.text_prompts.0.is_some() || self.task_type.filled().is_some() {
            Some(OperationName::GenerateContent)
        } else if self.prompt.0 || self.input_text.0 {
            Some(OperationName::TextCompletion)
        } else {
            None
        }
    }
}

/// The parameter, under whichever of the vendors' names it was sent.
fn first<T, const N: usize>(names: [Option<T>; N]) -> Option<T> {
    names.into_iter().flatten().next()
}

fn read_content(body: &Value, asked: &mut Asked) {
    if body.get("anthropic_version").is_some() {
        return anthropic::read_content(body, asked);
    }
    let single =
        ["message", "prompt", "inputText"].iter().find_map(|name| content::member(body, name));
    asked.input_messages = Some(match single {
        Some(text) => json!([content::message("user", &[content::text(text)])]),
        None => content::elements(body, "messages")
            .map(|message| match message.get("content") {
                // Nova's blocks have no type, OpenAI's do.
                Some(Value::Array(blocks)) if blocks.iter().all(|b| b.get("type").is_none()) => {
                    bedrock_converse::message(message)
                }
                _ => openai_chat::input(message),
            })
            .collect(),
    });
    let system: Vec<_> = content::elements(body, "system").map(bedrock_converse::block).collect();
    asked.system_instructions = (!system.is_empty()).then_some(Value::Array(system));
}
