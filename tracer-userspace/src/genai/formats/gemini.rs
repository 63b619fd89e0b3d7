//! Google's generate-content API, as Gemini and Vertex speak it, and its embeddings.
//! Takes `POST …/models/{id}:{method}` bodies, elements of a streamed list or events; gives facts and content.
//! Every element of a stream is a whole response with counts so far.

mod answer;
pub(in crate::genai) mod code_assist;
pub(in crate::genai) mod grpc;
pub(in crate::genai) mod live;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Nothing, Views, content, error::ERROR};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Integer, Length, List, Number, Object, Strings, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static GENERATE: Format = Format {
    operation: OperationName::GenerateContent,
    flavour: "gcp.gen_ai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESPONSE,
    streams_values: true,
    read_request,
    answer: |capture_content| Box::new(answer::Gemini::new(capture_content)),
};

pub(in crate::genai) static EMBED: Format = Format {
    operation: OperationName::Embeddings,
    streams_values: false,
    read_request: read_embedding,
    ..GENERATE
};

const CONFIG: Shape = Shape::Fact;

const TOOLS: Shape = Shape::Each(&Shape::Object(&[
    ("functionDeclarations", Shape::Each(&Shape::Skip)),
    ("function_declarations", Shape::Each(&Shape::Skip)),
]));

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("contents", Shape::Sign),
    ("generationConfig", CONFIG),
    ("generation_config", CONFIG),
    ("tools", TOOLS),
]);

const NAMES: Shape = Shape::Each(&Shape::Object(&[("name", Shape::Fact)]));

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("contents", Shape::Ends(&Shape::Text)),
    ("systemInstruction", Shape::Text),
    ("system_instruction", Shape::Text),
    (
        "tools",
        Shape::Ends(&Shape::Object(&[
            ("functionDeclarations", NAMES),
            ("function_declarations", NAMES),
        ])),
    ),
]);

const RESPONSE: Shape = Shape::Object(&[
    (
        "candidates",
        Shape::Each(&Shape::Object(&[
            ("index", Shape::Fact),
            ("finishReason", Shape::Fact),
            (
                "content",
                Shape::Object(&[(
                    "parts",
                    Shape::Each(&Shape::Object(&[
                        ("text", Shape::Text),
                        ("thought", Shape::Fact),
                        (
                            "functionCall",
                            Shape::Object(&[
                                ("name", Shape::Fact),
                                ("id", Shape::Fact),
                                ("args", Shape::Text),
                            ]),
                        ),
                    ])),
                )]),
            ),
        ])),
    ),
    ("promptFeedback", Shape::Object(&[("blockReason", Shape::Fact)])),
    ("usageMetadata", Shape::Fact),
    ("modelVersion", Shape::Fact),
    ("responseId", Shape::Fact),
    ("embedding", Shape::Sign),
    ("embeddings", Shape::Sign),
    ("error", ERROR),
]);

/// The API takes both spellings of every name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    contents: Length,
    #[serde(rename = "generationConfig", alias = "generation_config", borrow)]
    config: Object<Config<'a>>,
    tools: List<Tool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tool {
    #[serde(rename = "functionDeclarations", alias = "function_declarations")]
    functions: Length,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config<'a> {
    temperature: Number,
    #[serde(rename = "topP", alias = "top_p")]
    top_p: Number,
    #[serde(rename = "topK", alias = "top_k")]
    top_k: Number,
    #[serde(rename = "candidateCount", alias = "candidate_count")]
    candidates: Integer,
    #[serde(rename = "maxOutputTokens", alias = "max_output_tokens")]
    max_tokens: Integer,
    #[serde(rename = "stopSequences", alias = "stop_sequences")]
    stop: Strings,
    seed: Integer,
    #[serde(rename = "presencePenalty", alias = "presence_penalty")]
    presence_penalty: Number,
    #[serde(rename = "frequencyPenalty", alias = "frequency_penalty")]
    frequency_penalty: Number,
    #[serde(rename = "responseMimeType", alias = "response_mime_type", borrow)]
    mime_type: Text<'a>,
    #[serde(rename = "responseModalities", alias = "response_modalities")]
    modalities: Strings,
    #[serde(rename = "thinkingConfig", alias = "thinking_config", borrow)]
    thinking: Object<Thinking<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Thinking<'a> {
    #[serde(rename = "thinkingLevel", alias = "thinking_level", borrow)]
    level: Text<'a>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let mut asked = Asked { fault, ..asked(facts) };
    if let Some((body, truncated)) = content {
        read_content(&body, &mut asked);
        asked.truncated = truncated;
    }
    asked
}

fn asked(facts: RequestFacts<'_>) -> Asked {
    let config = facts.config.0.unwrap_or_default();
    // A tool is a list of functions, or one of the provider's own.
    let tools = facts
        .tools
        .0
        .iter()
        .map(|tool| tool.0.as_ref().and_then(|tool| tool.functions.0).unwrap_or(1));
    Asked {
        fits: facts.contents.0.is_some(),
        request: Request {
            model: model(&facts.model),
            output_type: output_type(&config),
            max_tokens: config.max_tokens.0,
            temperature: config.temperature.0,
            top_p: config.top_p.0,
            top_k: config.top_k.0,
            frequency_penalty: config.frequency_penalty.0,
            presence_penalty: config.presence_penalty.0,
            seed: config.seed.0,
            stop_sequences: config.stop.0,
            choice_count: config.candidates.0.filter(|count| *count != 1),
            reasoning_level: config.thinking.0.and_then(|thinking| thinking.level.into_filled()),
            tools: (!facts.tools.0.is_empty()).then(|| tools.sum()),
            ..Request::default()
        },
        ..Asked::default()
    }
}

/// REST names the model in the path; gRPC here, as the last segment of a resource's name.
pub(super) fn model(name: &Text<'_>) -> Option<String> {
    name.filled().and_then(|name| name.rsplit('/').next()).map(str::to_owned)
}

fn output_type(config: &Config<'_>) -> Option<&'static str> {
    let asked_for = |modality: &str| {
        config.modalities.0.iter().any(|asked| asked.eq_ignore_ascii_case(modality))
    };
    match config.mime_type.as_str() {
        Some("application/json") => Some("json"),
        _ if asked_for("audio") => Some("speech"),
        _ if asked_for("image") => Some("image"),
        Some("text/plain") => Some("text"),
        _ => None,
    }
}

fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> Option<&'a Value> {
    value.get(camel).or_else(|| value.get(snake))
}

fn read_content(body: &Value, asked: &mut Asked) {
    let messages = content::elements(body, "contents").map(|message| {
        let role = match content::member(message, "role") {
            Some("model") => "assistant",
            role => role.unwrap_or("user"),
        };
        content::message(role, &parts(message))
    });
    asked.input_messages = Some(messages.collect());
    let system = either(body, "systemInstruction", "system_instruction").map(parts);
    asked.system_instructions = system.filter(|parts| !parts.is_empty()).map(Value::Array);
    let tools: Vec<_> = content::elements(body, "tools")
        .filter_map(|tool| either(tool, "functionDeclarations", "function_declarations"))
        .flat_map(|functions| functions.as_array().into_iter().flatten())
        .map(|function| content::tool("function", content::member(function, "name")))
        .collect();
    asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
}

fn parts(message: &Value) -> Vec<Value> {
    content::elements(message, "parts").map(part).collect()
}

fn part(part: &Value) -> Value {
    if let Some(text) = content::member(part, "text") {
        let thought = part.get("thought").and_then(Value::as_bool) == Some(true);
        return if thought { content::reasoning(text) } else { content::text(text) };
    }
    let named = |value: &Value| content::member(value, "name").unwrap_or_default().to_owned();
    if let Some(call) = either(part, "functionCall", "function_call") {
        return content::tool_call(content::member(call, "id"), &named(call), call.get("args"));
    }
    if let Some(answer) = either(part, "functionResponse", "function_response") {
        let response = answer.get("response").unwrap_or(&Value::Null);
        return content::tool_response(content::member(answer, "id"), response);
    }
    let kind = |value: &Value| -> Option<String> {
        either(value, "mimeType", "mime_type").and_then(Value::as_str).map(str::to_owned)
    };
    if let Some(data) = either(part, "inlineData", "inline_data") {
        let kind = kind(data);
        let bytes = content::member(data, "data").unwrap_or_default();
        return content::blob(modality(kind.as_deref()), kind.as_deref(), bytes);
    }
    if let Some(file) = either(part, "fileData", "file_data") {
        let uri = either(file, "fileUri", "file_uri").and_then(Value::as_str).unwrap_or_default();
        return content::link(modality(kind(file).as_deref()), uri);
    }
    let kind = part.as_object().and_then(|members| members.keys().next());
    content::generic(&json!({"type": kind.map_or("unknown", String::as_str), "content": part}))
}

/// By the first half of the media type; what it does not tell is a document.
fn modality(mime_type: Option<&str>) -> &'static str {
    match mime_type.and_then(|kind| kind.split('/').next()) {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "document",
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EmbeddingFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    requests: List<Embedding>,
    content: Object<Nothing>,
    #[serde(rename = "outputDimensionality", alias = "output_dimensionality")]
    dimensions: Integer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Embedding {
    #[serde(rename = "outputDimensionality", alias = "output_dimensionality")]
    dimensions: Integer,
}

fn read_embedding(body: &mut Document) -> Asked {
    let (facts, fault) = body.facts::<EmbeddingFacts<'_>>();
    let first = facts.requests.0.iter().find_map(|request| request.0.as_ref());
    Asked {
        fits: facts.content.0.is_some() || !facts.requests.0.is_empty(),
        fault,
        request: Request {
            model: model(&facts.model),
            embedding_dimensions: facts
                .dimensions
                .0
                .or_else(|| first.and_then(|request| request.dimensions.0)),
            ..Request::default()
        },
        ..Asked::default()
    }
}
