//! xAI's services over gRPC (`xai_api`): the fields of their messages, under the names of OpenAI's REST API.
//! Nothing but tables.

use crate::genai::protobuf::{Field, Kind, Schema, many, one};

/// `GetCompletion`.
pub(in crate::genai) static WHOLE: Schema = Schema { request: &REQUEST, response: &RESPONSE };

/// `GetCompletionChunk`.
pub(in crate::genai) static STREAMED: Schema = Schema { request: &REQUEST, response: &CHUNK };

/// `GetStoredCompletion`.
pub(in crate::genai) static STORED: Schema = Schema { request: &[], response: &RESPONSE };

/// `xai_api.Sample/SampleText[Streaming]`.
pub(in crate::genai) static SAMPLE: Schema = Schema {
    request: &[
        many(1, "prompt", Kind::Text),
        one(3, "model", Kind::Text),
        one(7, "max_tokens", Kind::Int),
        one(8, "n", Kind::Int),
        one(9, "presence_penalty", Kind::Float),
        one(11, "seed", Kind::Int),
        many(12, "stop", Kind::Text),
        one(13, "frequency_penalty", Kind::Float),
        one(14, "temperature", Kind::Float),
        one(15, "top_p", Kind::Float),
    ],
    response: &[
        one(1, "id", Kind::Text),
        many(
            2,
            "choices",
            Kind::Message(&[
                one(1, "finish_reason", REASONS),
                one(2, "index", Kind::Int),
                one(3, "text", Kind::Text),
            ]),
        ),
        one(6, "model", Kind::Text),
        one(7, "system_fingerprint", Kind::Text),
        one(9, "usage", Kind::Message(USAGE)),
    ],
};

/// `xai_api.Embedder/Embed`, which counts no tokens.
pub(in crate::genai) static EMBED: Schema = Schema {
    request: &[
        many(1, "input", Kind::Message(&[])),
        one(2, "model", Kind::Text),
        one(3, "encoding_format", Kind::Enum(&[(1, "float"), (2, "base64")])),
    ],
    response: &[
        one(1, "id", Kind::Text),
        many(2, "data", Kind::Message(&[])),
        one(3, "usage", Kind::Message(&[])),
        one(4, "model", Kind::Text),
    ],
};

/// `xai_api.Image/GenerateImage`.
pub(in crate::genai) static IMAGE: Schema = Schema {
    request: &[one(1, "prompt", Kind::Text), one(2, "model", Kind::Text), one(3, "n", Kind::Int)],
    response: &[
        many(1, "data", Kind::Message(&[one(3, "url", Kind::Text)])),
        one(2, "model", Kind::Text),
        one(3, "usage", Kind::Message(USAGE)),
    ],
};

const ROLES: Kind = Kind::Enum(&[
    (1, "user"),
    (2, "assistant"),
    (3, "system"),
    (4, "function"),
    (5, "tool"),
    (6, "developer"),
]);

const CONTENT: &[Field] =
    &[one(1, "text", Kind::Text), one(2, "image_url", Kind::Message(&[one(1, "url", Kind::Text)]))];

const CALL: &[Field] = &[
    one(1, "id", Kind::Text),
    // The others are of tools that xAI runs itself.
    one(2, "type", Kind::Enum(&[(1, "function")])),
    one(
        10,
        "function",
        Kind::Message(&[one(1, "name", Kind::Text), one(2, "arguments", Kind::Text)]),
    ),
];

const ASKED: &[Field] = &[
    many(1, "content", Kind::Message(CONTENT)),
    one(2, "role", ROLES),
    many(4, "tool_calls", Kind::Message(CALL)),
    one(5, "reasoning_content", Kind::Text),
    one(7, "tool_call_id", Kind::Text),
];

const FORMAT: &[Field] =
    &[one(1, "type", Kind::Enum(&[(1, "text"), (2, "json_object"), (3, "json_schema")]))];

const TOOL: &[Field] = &[one(1, "function", Kind::Message(&[one(1, "name", Kind::Text)]))];

static REQUEST: [Field; 14] = [
    many(1, "messages", Kind::Message(ASKED)),
    one(2, "model", Kind::Text),
    one(3, "frequency_penalty", Kind::Float),
    one(7, "max_tokens", Kind::Int),
    one(8, "n", Kind::Int),
    one(9, "presence_penalty", Kind::Float),
    one(10, "response_format", Kind::Message(FORMAT)),
    one(11, "seed", Kind::Int),
    many(12, "stop", Kind::Text),
    one(14, "temperature", Kind::Float),
    one(15, "top_p", Kind::Float),
    many(17, "tools", Kind::Message(TOOL)),
    one(19, "reasoning_effort", Kind::Enum(&[(1, "low"), (2, "medium"), (3, "high"), (4, "none")])),
    one(22, "previous_response_id", Kind::Text),
];

const REASONS: Kind = Kind::Enum(&[
    (1, "REASON_MAX_LEN"),
    (2, "REASON_MAX_CONTEXT"),
    (3, "REASON_STOP"),
    (4, "REASON_TOOL_CALLS"),
    (5, "REASON_TIME_LIMIT"),
]);

const SAID: &[Field] = &[
    one(1, "content", Kind::Text),
    one(2, "role", ROLES),
    many(3, "tool_calls", Kind::Message(CALL)),
    one(4, "reasoning_content", Kind::Text),
];

const USAGE: &[Field] = &[
    one(1, "completion_tokens", Kind::Int),
    one(2, "prompt_tokens", Kind::Int),
    one(3, "total_tokens", Kind::Int),
    one(4, "prompt_tokens_details/text_tokens", Kind::Int),
    one(5, "prompt_tokens_details/image_tokens", Kind::Int),
    one(6, "completion_tokens_details/reasoning_tokens", Kind::Int),
    one(7, "prompt_tokens_details/cached_tokens", Kind::Int),
];

const OUTPUT: &[Field] = &[
    one(1, "finish_reason", REASONS),
    one(2, "index", Kind::Int),
    one(3, "message", Kind::Message(SAID)),
];

static RESPONSE: [Field; 5] = [
    one(1, "id", Kind::Text),
    many(2, "choices", Kind::Message(OUTPUT)),
    one(6, "model", Kind::Text),
    one(7, "system_fingerprint", Kind::Text),
    one(9, "usage", Kind::Message(USAGE)),
];

const OUTPUT_CHUNK: &[Field] = &[
    one(1, "delta", Kind::Message(SAID)),
    one(3, "finish_reason", REASONS),
    one(4, "index", Kind::Int),
];

static CHUNK: [Field; 5] = [
    one(1, "id", Kind::Text),
    many(2, "choices", Kind::Message(OUTPUT_CHUNK)),
    one(4, "model", Kind::Text),
    one(5, "system_fingerprint", Kind::Text),
    one(6, "usage", Kind::Message(USAGE)),
];
