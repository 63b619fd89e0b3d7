//! Vertex AI's prediction API: embeddings, and the models that do not speak generate-content.
//! Takes `POST …/models/{id}:predict` bodies; gives facts and content of texts.
//! Instances and predictions are each model's own; what is asked is told by their members.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Answer, Answered, Asked, Format, Step, Views, content, content::Kind, gemini, texts::Texts,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Filled, Integer, Length, List, Number, Object, Strings, Text},
    },
    operation::{OperationName, Request, Usage},
};

pub(in crate::genai) static PREDICT: Format = Format {
    operation: OperationName::GenerateContent,
    flavour: "gcp.vertex_ai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &Shape::Skip,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Predictions::new(capture_content)),
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    (
        "instances",
        Shape::Each(&Shape::Object(&[
            ("content", Shape::Sign),
            ("text", Shape::Sign),
            ("image", Shape::Sign),
            ("prompt", Shape::Sign),
            ("messages", Shape::Sign),
        ])),
    ),
    ("parameters", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[(
    "instances",
    Shape::Ends(&Shape::Object(&[
        ("prompt", Shape::Text),
        ("messages", Shape::Ends(&Shape::Text)),
    ])),
)]);

const RESPONSE: Shape = Shape::Object(&[
    (
        "predictions",
        Shape::Each(&Shape::Object(&[
            ("embeddings", Shape::Object(&[("statistics", Shape::Fact)])),
            ("textEmbedding", Shape::Sign),
            ("imageEmbedding", Shape::Sign),
            ("content", Shape::Text),
            ("candidates", Shape::Each(&Shape::Object(&[("content", Shape::Text)]))),
            ("bytesBase64Encoded", Shape::Sign),
        ])),
    ),
    ("metadata", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    /// Of gRPC.
    #[serde(borrow)]
    model: Text<'a>,
    instances: List<Instance>,
    parameters: Object<Parameters>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Instance {
    content: Filled,
    text: Filled,
    image: Object<super::Nothing>,
    prompt: Filled,
    messages: Length,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Parameters {
    temperature: Number,
    max_output_tokens: Integer,
    top_p: Number,
    top_k: Number,
    stop_sequences: Strings,
    candidate_count: Integer,
    sample_count: Integer,
    seed: Integer,
    output_dimensionality: Integer,
    dimension: Integer,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let first = facts.instances.into_objects().next().unwrap_or_default();
    let generates = first.prompt.0 || first.messages.0.is_some();
    let embeds = !generates && (first.content.0 || first.text.0 || first.image.0.is_some());
    let parameters = facts.parameters.0.unwrap_or_default();
    let mut asked = Asked {
        operation: embeds.then_some(OperationName::Embeddings),
        fits: generates || embeds,
        fault,
        request: Request {
            model: gemini::model(&facts.model),
            max_tokens: parameters.max_output_tokens.0,
            temperature: parameters.temperature.0,
            top_p: parameters.top_p.0,
            top_k: parameters.top_k.0,
            seed: parameters.seed.0,
            stop_sequences: parameters.stop_sequences.0,
            choice_count: parameters
                .candidate_count
                .0
                .or(parameters.sample_count.0)
                .filter(|count| *count != 1),
            embedding_dimensions: parameters.output_dimensionality.0.or(parameters.dimension.0),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content.filter(|_| generates) {
        let messages = content::elements(&body, "instances").flat_map(messages);
        asked.input_messages = Some(messages.collect());
        asked.truncated = truncated;
    }
    asked
}

fn messages(instance: &Value) -> Vec<Value> {
    let message = |role: &str, text: &str| content::message(role, &[content::text(text)]);
    let prompt = content::member(instance, "prompt").map(|text| message("user", text));
    content::elements(instance, "messages")
        .map(|turn| {
            let role = match content::member(turn, "author") {
                Some("bot" | "assistant") => "assistant",
                _ => "user",
            };
            message(role, content::member(turn, "content").unwrap_or_default())
        })
        .chain(prompt)
        .collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    predictions: List<Prediction<'a>>,
    metadata: Object<Metadata>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prediction<'a> {
    embeddings: Object<Embedding>,
    #[serde(rename = "textEmbedding")]
    text_embedding: Filled,
    #[serde(rename = "imageEmbedding")]
    image_embedding: Filled,
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    candidates: List<Candidate<'a>>,
    #[serde(rename = "bytesBase64Encoded")]
    image: Filled,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Text<'a>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Embedding {
    statistics: Object<Statistics>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Statistics {
    token_count: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "tokenMetadata")]
    tokens: Object<Tokens>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    #[serde(rename = "inputTokenCount")]
    input: Object<Total>,
    #[serde(rename = "outputTokenCount")]
    output: Object<Total>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Total {
    #[serde(rename = "totalTokens")]
    tokens: Count,
}

#[derive(Debug)]
struct Predictions {
    texts: Texts,
    usage: Usage,
    fits: bool,
}

impl Predictions {
    fn new(capture_content: bool) -> Self {
        Self { texts: Texts::new(capture_content), usage: Usage::default(), fits: false }
    }
}

impl Answer for Predictions {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        let tokens = facts.metadata.0.unwrap_or_default().tokens.0.unwrap_or_default();
        self.usage.input_tokens = tokens.input.0.and_then(|total| total.tokens.0);
        self.usage.output_tokens = tokens.output.0.and_then(|total| total.tokens.0);
        let mut place = 0;
        for prediction in facts.predictions.into_objects() {
            let statistics = prediction.embeddings.0.map(|embedding| embedding.statistics.0);
            self.fits |= statistics.is_some()
                || prediction.text_embedding.0
                || prediction.image_embedding.0
                || prediction.image.0;
            if let Some(count) = statistics.flatten().and_then(|told| told.token_count.0) {
                let known = self.usage.input_tokens.unwrap_or(0);
                self.usage.input_tokens = Some(known.saturating_add(count));
            }
            let candidates = prediction.candidates.into_objects().map(|one| one.content);
            for text in [prediction.content].into_iter().chain(candidates) {
                if let Some(text) = text.as_str() {
                    self.texts.push(place, Kind::Text, Some(text));
                    place += 1;
                }
            }
        }
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(true, |reason| reason);
        Answered { usage: self.usage, fits: answered.fits || self.fits, ..answered }
    }
}
