//! Google's generate-content API over gRPC: the fields of its messages, as REST names them.
//! Vertex and Gemini have the same messages under other numbers. Nothing but tables.

use crate::genai::protobuf::{Field, Kind, Schema, many, one};

/// `google.cloud.aiplatform.v1[beta1].PredictionService/[Stream]GenerateContent`.
pub(in crate::genai) static VERTEX: Schema =
    Schema { request: &vertex::REQUEST, response: &vertex::RESPONSE };

/// `google.ai.generativelanguage.v1[beta].GenerativeService/[Stream]GenerateContent`.
pub(in crate::genai) static GEMINI: Schema =
    Schema { request: &gemini::REQUEST, response: &gemini::RESPONSE };

/// `…GenerativeService/EmbedContent`.
pub(in crate::genai) static EMBED: Schema =
    Schema { request: &gemini::EMBED, response: &gemini::EMBEDDED };

/// `…GenerativeService/BatchEmbedContents`.
pub(in crate::genai) static BATCH_EMBED: Schema =
    Schema { request: &gemini::BATCH_EMBED, response: &gemini::BATCH_EMBEDDED };

/// `google.cloud.aiplatform.v1[beta1].PredictionService/Predict`.
pub(in crate::genai) static PREDICT: Schema = Schema {
    request: &[
        one(1, "model", Kind::Text),
        many(2, "instances", Kind::Value),
        one(3, "parameters", Kind::Value),
    ],
    response: &[many(1, "predictions", Kind::Value), one(6, "metadata", Kind::Value)],
};

/// `…PredictionService/CountTokens` and `…GenerativeService/CountTokens`.
pub(in crate::genai) static VERTEX_COUNT: Schema = Schema {
    request: &[
        one(3, "model", Kind::Text),
        many(2, "instances", Kind::Value),
        many(4, "contents", Kind::Message(&[])),
    ],
    response: &[one(1, "totalTokens", Kind::Int)],
};

pub(in crate::genai) static GEMINI_COUNT: Schema = Schema {
    request: &[
        one(1, "model", Kind::Text),
        many(2, "contents", Kind::Message(&[])),
        one(3, "generateContentRequest", Kind::Message(&[])),
    ],
    response: &[one(1, "totalTokens", Kind::Int), one(5, "cachedContentTokenCount", Kind::Int)],
};

/// `ModalityTokenCount`, of input, output and what was cached.
const COUNTED: Kind = Kind::Message(&[
    one(
        1,
        "modality",
        Kind::Enum(&[(1, "TEXT"), (2, "IMAGE"), (3, "VIDEO"), (4, "AUDIO"), (5, "DOCUMENT")]),
    ),
    one(2, "tokenCount", Kind::Int),
]);

const MODALITIES: Kind = Kind::Enum(&[(1, "TEXT"), (2, "IMAGE"), (3, "AUDIO")]);

/// `FunctionDeclaration`: only its name is told.
const FUNCTIONS: &[Field] = &[one(1, "name", Kind::Text)];

const BLOB: &[Field] = &[one(1, "mimeType", Kind::Text), one(2, "data", Kind::Bytes)];

const FILE: &[Field] = &[one(1, "mimeType", Kind::Text), one(2, "fileUri", Kind::Text)];

mod vertex {
    use super::*;

    static CONTENT: [Field; 2] =
        [one(1, "role", Kind::Text), many(2, "parts", Kind::Message(&PART))];

    static PART: [Field; 6] = [
        one(1, "text", Kind::Text),
        one(2, "inlineData", Kind::Message(BLOB)),
        one(3, "fileData", Kind::Message(FILE)),
        one(
            5,
            "functionCall",
            Kind::Message(&[one(1, "name", Kind::Text), one(2, "args", Kind::Struct)]),
        ),
        one(
            6,
            "functionResponse",
            Kind::Message(&[one(1, "name", Kind::Text), one(2, "response", Kind::Struct)]),
        ),
        one(10, "thought", Kind::Bool),
    ];

    const THINKING: &[Field] = &[one(
        4,
        "thinkingLevel",
        Kind::Enum(&[(1, "LOW"), (2, "MEDIUM"), (3, "HIGH"), (4, "MINIMAL")]),
    )];

    static CONFIG: [Field; 12] = [
        one(1, "temperature", Kind::Float),
        one(2, "topP", Kind::Float),
        one(3, "topK", Kind::Float),
        one(4, "candidateCount", Kind::Int),
        one(5, "maxOutputTokens", Kind::Int),
        many(6, "stopSequences", Kind::Text),
        one(8, "presencePenalty", Kind::Float),
        one(9, "frequencyPenalty", Kind::Float),
        one(12, "seed", Kind::Int),
        one(13, "responseMimeType", Kind::Text),
        many(21, "responseModalities", MODALITIES),
        one(25, "thinkingConfig", Kind::Message(THINKING)),
    ];

    const TOOL: &[Field] = &[many(1, "functionDeclarations", Kind::Message(FUNCTIONS))];

    pub(super) static REQUEST: [Field; 5] = [
        many(2, "contents", Kind::Message(&CONTENT)),
        one(4, "generationConfig", Kind::Message(&CONFIG)),
        one(5, "model", Kind::Text),
        many(6, "tools", Kind::Message(TOOL)),
        one(8, "systemInstruction", Kind::Message(&CONTENT)),
    ];

    const REASONS: Kind = Kind::Enum(&[
        (1, "STOP"),
        (2, "MAX_TOKENS"),
        (3, "SAFETY"),
        (4, "RECITATION"),
        (5, "OTHER"),
        (6, "BLOCKLIST"),
        (7, "PROHIBITED_CONTENT"),
        (8, "SPII"),
        (9, "MALFORMED_FUNCTION_CALL"),
        (10, "MODEL_ARMOR"),
    ]);

    const BLOCKED: Kind = Kind::Enum(&[
        (1, "SAFETY"),
        (2, "OTHER"),
        (3, "BLOCKLIST"),
        (4, "PROHIBITED_CONTENT"),
        (5, "MODEL_ARMOR"),
        (6, "JAILBREAK"),
    ]);

    static CANDIDATE: [Field; 3] = [
        one(1, "index", Kind::Int),
        one(2, "content", Kind::Message(&CONTENT)),
        one(3, "finishReason", REASONS),
    ];

    const USAGE: &[Field] = &[
        one(1, "promptTokenCount", Kind::Int),
        one(2, "candidatesTokenCount", Kind::Int),
        one(3, "totalTokenCount", Kind::Int),
        one(5, "cachedContentTokenCount", Kind::Int),
        one(14, "thoughtsTokenCount", Kind::Int),
        many(9, "promptTokensDetails", COUNTED),
        many(10, "cacheTokensDetails", COUNTED),
        many(11, "candidatesTokensDetails", COUNTED),
        many(12, "toolUsePromptTokensDetails", COUNTED),
    ];

    pub(super) static RESPONSE: [Field; 5] = [
        many(2, "candidates", Kind::Message(&CANDIDATE)),
        one(3, "promptFeedback", Kind::Message(&[one(1, "blockReason", BLOCKED)])),
        one(4, "usageMetadata", Kind::Message(USAGE)),
        one(11, "modelVersion", Kind::Text),
        one(13, "responseId", Kind::Text),
    ];
}

mod gemini {
    use super::*;

    static CONTENT: [Field; 2] =
        [many(1, "parts", Kind::Message(&PART)), one(2, "role", Kind::Text)];

    static PART: [Field; 6] = [
        one(2, "text", Kind::Text),
        one(3, "inlineData", Kind::Message(BLOB)),
        one(
            4,
            "functionCall",
            Kind::Message(&[
                one(1, "name", Kind::Text),
                one(2, "args", Kind::Struct),
                one(3, "id", Kind::Text),
            ]),
        ),
        one(
            5,
            "functionResponse",
            Kind::Message(&[
                one(1, "name", Kind::Text),
                one(2, "response", Kind::Struct),
                one(3, "id", Kind::Text),
            ]),
        ),
        one(6, "fileData", Kind::Message(FILE)),
        one(11, "thought", Kind::Bool),
    ];

    static CONFIG: [Field; 11] = [
        one(1, "candidateCount", Kind::Int),
        many(2, "stopSequences", Kind::Text),
        one(4, "maxOutputTokens", Kind::Int),
        one(5, "temperature", Kind::Float),
        one(6, "topP", Kind::Float),
        one(7, "topK", Kind::Int),
        one(8, "seed", Kind::Int),
        one(13, "responseMimeType", Kind::Text),
        one(15, "presencePenalty", Kind::Float),
        one(16, "frequencyPenalty", Kind::Float),
        many(20, "responseModalities", MODALITIES),
    ];

    const TOOL: &[Field] = &[many(1, "functionDeclarations", Kind::Message(FUNCTIONS))];

    pub(super) static REQUEST: [Field; 5] = [
        one(1, "model", Kind::Text),
        many(2, "contents", Kind::Message(&CONTENT)),
        one(4, "generationConfig", Kind::Message(&CONFIG)),
        many(5, "tools", Kind::Message(TOOL)),
        one(8, "systemInstruction", Kind::Message(&CONTENT)),
    ];

    const REASONS: Kind = Kind::Enum(&[
        (1, "STOP"),
        (2, "MAX_TOKENS"),
        (3, "SAFETY"),
        (4, "RECITATION"),
        (5, "OTHER"),
        (6, "LANGUAGE"),
        (7, "BLOCKLIST"),
        (8, "PROHIBITED_CONTENT"),
        (9, "SPII"),
        (10, "MALFORMED_FUNCTION_CALL"),
        (11, "IMAGE_SAFETY"),
        (12, "UNEXPECTED_TOOL_CALL"),
        (13, "TOO_MANY_TOOL_CALLS"),
        (14, "IMAGE_PROHIBITED_CONTENT"),
        (15, "IMAGE_OTHER"),
        (16, "NO_IMAGE"),
        (17, "IMAGE_RECITATION"),
    ]);

    const BLOCKED: Kind = Kind::Enum(&[
        (1, "SAFETY"),
        (2, "OTHER"),
        (3, "BLOCKLIST"),
        (4, "PROHIBITED_CONTENT"),
        (5, "IMAGE_SAFETY"),
    ]);

    static CANDIDATE: [Field; 3] = [
        one(1, "content", Kind::Message(&CONTENT)),
        one(2, "finishReason", REASONS),
        one(3, "index", Kind::Int),
    ];

    const USAGE: &[Field] = &[
        one(1, "promptTokenCount", Kind::Int),
        one(2, "candidatesTokenCount", Kind::Int),
        one(3, "totalTokenCount", Kind::Int),
        one(4, "cachedContentTokenCount", Kind::Int),
        one(8, "toolUsePromptTokenCount", Kind::Int),
        one(10, "thoughtsTokenCount", Kind::Int),
        many(5, "promptTokensDetails", COUNTED),
        many(6, "cacheTokensDetails", COUNTED),
        many(7, "candidatesTokensDetails", COUNTED),
        many(9, "toolUsePromptTokensDetails", COUNTED),
    ];

    pub(super) static RESPONSE: [Field; 5] = [
        many(1, "candidates", Kind::Message(&CANDIDATE)),
        one(2, "promptFeedback", Kind::Message(&[one(1, "blockReason", BLOCKED)])),
        one(3, "usageMetadata", Kind::Message(USAGE)),
        one(4, "modelVersion", Kind::Text),
        one(5, "responseId", Kind::Text),
    ];

    pub(super) static EMBED: [Field; 3] = [
        one(1, "model", Kind::Text),
        one(2, "content", Kind::Message(&CONTENT)),
        one(5, "outputDimensionality", Kind::Int),
    ];

    /// The vector itself is stepped over.
    const VECTOR: Kind = Kind::Message(&[]);

    pub(super) static EMBEDDED: [Field; 1] = [one(1, "embedding", VECTOR)];

    pub(super) static BATCH_EMBED: [Field; 2] =
        [one(1, "model", Kind::Text), many(2, "requests", Kind::Message(&EMBED))];

    pub(super) static BATCH_EMBEDDED: [Field; 1] = [many(1, "embeddings", VECTOR)];
}
