//! Every metric of operations, declared once: name, unit, buckets, edition, when it is recorded.
//! Takes nothing; gives the table that `measure` records by and that `docs/telemetry.md` is made of.

use super::profile::Edition;
use crate::genai::CHUNK_TIME_BOUNDS;

/// A metric instrument of the conventions.
#[derive(Debug)]
pub struct Instrument {
    pub name: &'static str,
    pub unit: &'static str,
    pub kind: InstrumentKind,
    pub edition: Edition,
    pub description: &'static str,
    /// When it is recorded.
    pub when: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InstrumentKind {
    /// Of whole numbers; it only grows.
    Counter,
    /// With the upper bounds of all its buckets but the last, which has none.
    Histogram(&'static [f64]),
}

const SECONDS: &str = "s";
const TOKENS: &str = "{token}";

/// Buckets of durations, in seconds.
pub(super) const DURATIONS: [f64; CHUNK_TIME_BOUNDS.len()] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Buckets of tokens.
const TOKEN_COUNTS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const FIRST_TOKENS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const OUTPUT_TOKENS: [f64; 13] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
const MCP_DURATIONS: [f64; 14] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

const fn seconds(
    name: &'static str,
    bounds: &'static [f64],
    edition: Edition,
    description: &'static str,
    when: &'static str,
) -> Instrument {
    let kind = InstrumentKind::Histogram(bounds);
    Instrument { name, unit: SECONDS, kind, edition, description, when }
}

const fn tokens(
    name: &'static str,
    kind: InstrumentKind,
    edition: Edition,
    description: &'static str,
    when: &'static str,
) -> Instrument {
    Instrument { name, unit: TOKENS, kind, edition, description, when }
}

const TOKEN_HISTOGRAM: InstrumentKind = InstrumentKind::Histogram(&TOKEN_COUNTS);

pub(super) static CLIENT_TOKEN_USAGE: Instrument = tokens(
    "gen_ai.client.token.usage",
    TOKEN_HISTOGRAM,
    Edition::V1_41,
    "Number of input and output tokens used.",
    "client calls that used tokens of their own and were told how many; never where it was not told",
);
pub(super) static OPERATION_DURATION: Instrument = seconds(
    "gen_ai.client.operation.duration",
    &DURATIONS,
    Edition::Both,
    "GenAI operation duration.",
    "every client call; in `latest` those that are neither inference nor embeddings",
);
pub(super) static OPERATION_FIRST_CHUNK: Instrument = seconds(
    "gen_ai.client.operation.time_to_first_chunk",
    &DURATIONS,
    Edition::V1_41,
    "Time to receive the first chunk in a streaming response.",
    "streamed answers to a client",
);
pub(super) static OPERATION_OUTPUT_CHUNK: Instrument = seconds(
    "gen_ai.client.operation.time_per_output_chunk",
    &DURATIONS,
    Edition::V1_41,
    "Time between a chunk of a streaming response and the one before it.",
    "each chunk of a streamed answer to a client, after the first",
);
pub(super) static INFERENCE_DURATION: Instrument = seconds(
    "gen_ai.client.inference.duration",
    &DURATIONS,
    Edition::Latest,
    "GenAI client inference operation duration.",
    "inference by a client (`chat`, `generate_content`, `text_completion`)",
);
pub(super) static INFERENCE_FIRST_CHUNK: Instrument = seconds(
    "gen_ai.client.inference.time_to_first_chunk",
    &DURATIONS,
    Edition::Latest,
    "Time to receive the first chunk in a streaming response.",
    "streamed inference by a client",
);
pub(super) static INFERENCE_OUTPUT_CHUNK: Instrument = seconds(
    "gen_ai.client.inference.time_per_output_chunk",
    &DURATIONS,
    Edition::Latest,
    "Time between a chunk of a streaming response and the one before it.",
    "each chunk of streamed inference by a client, after the first",
);
pub(super) static USAGE_INPUT: Instrument = tokens(
    "gen_ai.client.inference.usage.input_tokens",
    InstrumentKind::Counter,
    Edition::Latest,
    "The number of input (prompt) tokens used, including cached tokens.",
    "inference by a client, by modality; 0 of modality `unknown` where no usage was told, as the conventions say",
);
pub(super) static USAGE_OUTPUT: Instrument = tokens(
    "gen_ai.client.inference.usage.output_tokens",
    InstrumentKind::Counter,
    Edition::Latest,
    "The number of output (completion) tokens used, including reasoning tokens.",
    "as the input tokens",
);
pub(super) static USAGE_CACHE_READ: Instrument = tokens(
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    InstrumentKind::Counter,
    Edition::Latest,
    "The number of input tokens served from a provider-managed cache.",
    "as the input tokens, of which they are part",
);
pub(super) static USAGE_CACHE_WRITE: Instrument = tokens(
    "gen_ai.client.inference.usage.cache_write.input_tokens",
    InstrumentKind::Counter,
    Edition::Latest,
    "The number of input tokens written to a provider-managed cache.",
    "as the input tokens, of which they are part",
);
pub(super) static USAGE_REASONING: Instrument = tokens(
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    InstrumentKind::Counter,
    Edition::Latest,
    "The number of output tokens used for reasoning.",
    "as the output tokens, of which they are part",
);
pub(super) static INFERENCE_INPUT: Instrument = tokens(
    "gen_ai.client.inference.operation.input_tokens",
    TOKEN_HISTOGRAM,
    Edition::Latest,
    "The number of input (prompt) tokens used per inference operation.",
    "inference by a client that was told its input tokens",
);
pub(super) static INFERENCE_OUTPUT: Instrument = tokens(
    "gen_ai.client.inference.operation.output_tokens",
    TOKEN_HISTOGRAM,
    Edition::Latest,
    "The number of output (completion) tokens used per inference operation.",
    "inference by a client that was told its output tokens",
);
pub(super) static EMBEDDINGS_DURATION: Instrument = seconds(
    "gen_ai.client.embeddings.duration",
    &DURATIONS,
    Edition::Latest,
    "GenAI client embeddings operation duration.",
    "embeddings by a client",
);
pub(super) static EMBEDDINGS_INPUT: Instrument = tokens(
    "gen_ai.client.embeddings.operation.input_tokens",
    TOKEN_HISTOGRAM,
    Edition::Latest,
    "The number of input tokens used per embeddings operation.",
    "embeddings by a client that was told its input tokens",
);
pub(super) static SERVER_DURATION: Instrument = seconds(
    "gen_ai.server.request.duration",
    &DURATIONS,
    Edition::Both,
    "Generative AI server request duration such as time-to-last byte or last output token.",
    "every call that a traced server answers",
);
pub(super) static SERVER_FIRST_TOKEN: Instrument = seconds(
    "gen_ai.server.time_to_first_token",
    &FIRST_TOKENS,
    Edition::Both,
    "Time to generate first token for successful responses.",
    "successful streams of a traced server, up to the first chunk with a piece of the answer",
);
pub(super) static SERVER_OUTPUT_TOKEN: Instrument = seconds(
    "gen_ai.server.time_per_output_token",
    &OUTPUT_TOKENS,
    Edition::Both,
    "Time per output token generated after the first token for successful responses.",
    "as the time to first token, where the output tokens are told and more than one: (duration − time to first token) / (tokens − 1)",
);
pub(super) static MCP_CLIENT_DURATION: Instrument = seconds(
    "mcp.client.operation.duration",
    &MCP_DURATIONS,
    Edition::Both,
    "The duration of the MCP request or notification as observed on the sender.",
    "MCP requests and notifications that the traced process sends",
);
pub(super) static MCP_SERVER_DURATION: Instrument = seconds(
    "mcp.server.operation.duration",
    &MCP_DURATIONS,
    Edition::Both,
    "The duration of the MCP request or notification as observed on the receiver.",
    "MCP requests and notifications that the traced process receives",
);

/// All of them, in the order in which they are told.
pub static INSTRUMENTS: [&Instrument; 21] = [
    &CLIENT_TOKEN_USAGE,
    &OPERATION_DURATION,
    &OPERATION_FIRST_CHUNK,
    &OPERATION_OUTPUT_CHUNK,
    &INFERENCE_DURATION,
    &INFERENCE_FIRST_CHUNK,
    &INFERENCE_OUTPUT_CHUNK,
    &USAGE_INPUT,
    &USAGE_OUTPUT,
    &USAGE_CACHE_READ,
    &USAGE_CACHE_WRITE,
    &USAGE_REASONING,
    &INFERENCE_INPUT,
    &INFERENCE_OUTPUT,
    &EMBEDDINGS_DURATION,
    &EMBEDDINGS_INPUT,
    &SERVER_DURATION,
    &SERVER_FIRST_TOKEN,
    &SERVER_OUTPUT_TOKEN,
    &MCP_CLIENT_DURATION,
    &MCP_SERVER_DURATION,
];
