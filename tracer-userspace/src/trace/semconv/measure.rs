//! What an operation adds to the metrics, by the conventions.
//! Takes an operation that is over; gives measurements, each with its instrument and attributes.
//! Knows which operations each metric is for; nothing of series, readers or OTLP.
//!
//! Nothing is measured of a call that was under way when llmtap ended, and no time of one whose end
//! fell into a gap of the capture: that end is not the call's.

use std::time::Duration;

use super::{failure::failure, http::asked_server, instruments::*, profile::Profile};
use crate::{
    genai::{ChunkTimes, McpCall, Modalities, Operation, OperationName, Usage},
    http::{Ended, Role},
    trace::Transport,
};

/// Attributes of a measurement, sorted by name.
pub type LabelSet = Vec<(&'static str, Label)>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    Text(String),
    Int(i64),
    /// True.
    Flag,
}

/// Marks the series of what had no room for its attributes (SDK specification, "Cardinality limits").
pub const OVERFLOW: &str = "otel.metric.overflow";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Count(u64),
    /// Of a histogram.
    Value(f64),
    /// Many values of a histogram whose buckets are those of durations.
    Times(ChunkTimes),
}

#[derive(Clone, Debug)]
pub struct Measurement {
    pub instrument: &'static Instrument,
    pub labels: LabelSet,
    pub amount: Amount,
}

/// What kind of work an operation is, as far as metrics tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Inference,
    Embeddings,
    /// What it used was or will be told by another operation.
    RetoldUsage,
    Other,
}

fn work(name: OperationName) -> Work {
    match name {
        OperationName::Chat
        | OperationName::TextCompletion
        | OperationName::GenerateContent
        | OperationName::Compaction => Work::Inference,
        OperationName::Embeddings => Work::Embeddings,
        // A run that is polled tells its usage each time; a response is fetched after it was made.
        OperationName::InvokeAgent | OperationName::FetchResponse => Work::RetoldUsage,
        OperationName::CreateAgent
        | OperationName::Moderation
        | OperationName::Retrieval
        | OperationName::ExecuteTool
        | OperationName::Rerank
        | OperationName::Classification
        | OperationName::InvokeWorkflow
        // What is counted is not used.
        | OperationName::CountTokens => Work::Other,
    }
}

/// Whether the operation makes a model generate something.
pub(super) fn is_inference(operation: &Operation) -> bool {
    operation.mcp.is_none() && work(operation.name) == Work::Inference
}

/// All measurements of an operation.
pub fn measurements(
    operation: &Operation,
    transport: Transport,
    profile: Profile,
) -> Vec<Measurement> {
    let mut measures = Measures { profile, labels: Vec::new(), all: Vec::new() };
    if operation.end.how == Ended::TracerStopped {
        return measures.all;
    }
    let error = failure(operation).map(|(kind, _)| kind);
    match &operation.mcp {
        Some(call) => measures.mcp(operation, call, transport, error.as_deref()),
        None => {
            measures.common(operation, transport);
            match operation.role {
                Role::Client => measures.client(operation, error.as_deref()),
                Role::Server => measures.server(operation, error.as_deref()),
            }
        }
    }
    measures.all
}

struct Measures {
    profile: Profile,
    /// What all measurements of the operation have in common.
    labels: LabelSet,
    all: Vec<Measurement>,
}

impl Measures {
    fn text(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.labels.push((name, Label::Text(value.to_owned())));
        }
    }

    fn server_asked(&mut self, operation: &Operation, transport: Transport) {
        if let Some((address, port)) = asked_server(operation, transport.security) {
            self.labels.push(("server.address", Label::Text(address)));
            if let Some(port) = port {
                self.labels.push(("server.port", Label::Int(port.into())));
            }
        }
    }

    fn common(&mut self, operation: &Operation, transport: Transport) {
        let Operation { request, response, .. } = operation;
        self.text("gen_ai.operation.name", Some(operation.name.as_str()));
        self.text("gen_ai.provider.name", Some(&operation.provider));
        self.text("gen_ai.request.model", request.model.as_deref());
        self.text("gen_ai.response.model", response.model.as_deref());
        self.server_asked(operation, transport);
    }

    fn add(
        &mut self,
        instrument: &'static Instrument,
        own: &[(&'static str, Option<&str>)],
        amount: Amount,
    ) {
        if !self.profile.speaks(instrument.edition) {
            return;
        }
        let mut labels = self.labels.clone();
        let own = own.iter().filter_map(|(name, value)| Some((*name, (*value)?.to_owned())));
        labels.extend(own.map(|(name, value)| (name, Label::Text(value))));
        labels.sort_unstable();
        self.all.push(Measurement { instrument, labels, amount });
    }

    fn client(&mut self, operation: &Operation, error: Option<&str>) {
        let work = work(operation.name);
        let is_inference = work == Work::Inference;
        if let Some(seconds) = duration(operation) {
            let own = [("error.type", error)];
            let latest = match work {
                Work::Inference => Some(&INFERENCE_DURATION),
                Work::Embeddings => Some(&EMBEDDINGS_DURATION),
                Work::RetoldUsage | Work::Other => None,
            };
            if let Some(latest) = latest {
                self.add(latest, &own, Amount::Value(seconds));
            }
            // The conventions' newer edition has it for what has no duration of its own.
            if latest.is_none() || self.profile != Profile::Latest {
                let tier = openai(operation);
                self.add(&OPERATION_DURATION, &[own[0], tier[0], tier[1]], Amount::Value(seconds));
            }
        }
        if let Some(seconds) = first_chunk(operation) {
            self.add(&OPERATION_FIRST_CHUNK, &[], Amount::Value(seconds));
            if is_inference {
                self.add(&INFERENCE_FIRST_CHUNK, &[], Amount::Value(seconds));
            }
        }
        let between = operation.timing.output_chunk_times;
        if between.count() > 0 {
            self.add(&OPERATION_OUTPUT_CHUNK, &[], Amount::Times(between));
            if is_inference {
                self.add(&INFERENCE_OUTPUT_CHUNK, &[], Amount::Times(between));
            }
        }
        self.tokens(operation, work, error);
    }

    fn tokens(&mut self, operation: &Operation, work: Work, error: Option<&str>) {
        let usage = operation.usage;
        if work == Work::RetoldUsage {
            return;
        }
        let [tier, fingerprint] = openai(operation);
        for (kind, count) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
            if let Some(count) = count {
                let own = [("gen_ai.token.type", Some(kind)), tier, fingerprint];
                self.add(&CLIENT_TOKEN_USAGE, &own, Amount::Value(count as f64));
            }
        }
        let histograms = match work {
            Work::Inference => {
                [(&INFERENCE_INPUT, usage.input_tokens), (&INFERENCE_OUTPUT, usage.output_tokens)]
            }
            Work::Embeddings => {
                [(&EMBEDDINGS_INPUT, usage.input_tokens), (&EMBEDDINGS_INPUT, None)]
            }
            Work::RetoldUsage | Work::Other => return,
        };
        for (instrument, count) in histograms {
            if let Some(count) = count {
                let own = [("error.type", error), tier, fingerprint];
                self.add(instrument, &own, Amount::Value(count as f64));
            }
        }
        if work == Work::Inference {
            self.usage(usage, [tier, fingerprint]);
        }
    }

    /// The counters of what was used. "The recorded value SHOULD match the token count returned by
    /// the provider, or `0` if the response was not received or did not contain token usage. When
    /// no usage is received, the `0` is recorded with `gen_ai.token.modality` set to `unknown`."
    fn usage(&mut self, usage: Usage, own: [(&'static str, Option<&str>); 2]) {
        let told = usage.input_tokens.or(usage.output_tokens).is_some();
        let whole = Modalities::default();
        for (instrument, count, parts, is_part) in [
            (&USAGE_INPUT, usage.input_tokens, usage.input, false),
            (&USAGE_OUTPUT, usage.output_tokens, usage.output, false),
            (&USAGE_CACHE_READ, usage.cache_read_input_tokens, usage.cache_read, true),
            (&USAGE_CACHE_WRITE, usage.cache_write_input_tokens, whole, true),
            (&USAGE_REASONING, usage.reasoning_output_tokens, whole, true),
        ] {
            // A part that a usage leaves out may be none, or not told.
            let Some(count) = count.or((!told || !is_part).then_some(0)) else { continue };
            for (modality, count) in by_modality(count, parts) {
                let own = [("gen_ai.token.modality", Some(modality)), own[0], own[1]];
                self.add(instrument, &own, Amount::Count(count));
            }
        }
    }

    fn server(&mut self, operation: &Operation, error: Option<&str>) {
        let duration = duration(operation);
        if let Some(seconds) = duration {
            self.add(&SERVER_DURATION, &[("error.type", error)], Amount::Value(seconds));
        }
        let timing = operation.timing;
        let first = timing.first_content.map(|first| seconds(first.since(timing.start)));
        let (Some(first), None) = (first, error) else { return };
        self.add(&SERVER_FIRST_TOKEN, &[], Amount::Value(first));
        let after = operation.usage.output_tokens.and_then(|tokens| tokens.checked_sub(1));
        if let (Some(duration), Some(after @ 1..)) = (duration, after) {
            let each = (duration - first).max(0.0) / after as f64;
            self.add(&SERVER_OUTPUT_TOKEN, &[], Amount::Value(each));
        }
    }

    fn mcp(
        &mut self,
        operation: &Operation,
        call: &McpCall,
        transport: Transport,
        error: Option<&str>,
    ) {
        let Some(seconds) = duration(operation) else { return };
        let tool = call.is_tool().then(|| OperationName::ExecuteTool.as_str());
        let code = call.error_code.map(|code| code.to_string());
        self.text("gen_ai.operation.name", tool);
        self.text("gen_ai.prompt.name", call.prompt_name.as_deref());
        self.text("gen_ai.tool.name", call.tool_name.as_deref());
        self.text("mcp.method.name", Some(&call.method));
        self.text("mcp.protocol.version", call.protocol_version.as_deref());
        self.text("network.protocol.name", Some("http"));
        self.text("network.transport", Some("tcp"));
        self.text("rpc.response.status_code", code.as_deref());
        let instrument = match operation.role {
            Role::Client => {
                self.server_asked(operation, transport);
                &MCP_CLIENT_DURATION
            }
            Role::Server => &MCP_SERVER_DURATION,
        };
        self.add(instrument, &[("error.type", error)], Amount::Value(seconds));
    }
}

/// The refinement of the metrics for OpenAI's own services.
fn openai(operation: &Operation) -> [(&'static str, Option<&str>); 2] {
    let response = Some(&operation.response).filter(|_| operation.api_type.is_some());
    [
        ("openai.response.service_tier", response.and_then(|one| one.service_tier.as_deref())),
        (
            "openai.response.system_fingerprint",
            response.and_then(|one| one.system_fingerprint.as_deref()),
        ),
    ]
}

/// Seconds from start to end, as the span has them.
fn duration(operation: &Operation) -> Option<f64> {
    let timing = operation.timing;
    (operation.end.how != Ended::Gap).then(|| seconds(timing.end.since(timing.start)))
}

fn first_chunk(operation: &Operation) -> Option<f64> {
    let timing = operation.timing;
    timing.first_chunk.map(|first| seconds(first.since(timing.start)))
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

/// The tokens of each modality that was told; the rest is of an unknown one. Parts that are more
/// than the whole say nothing.
fn by_modality(count: u64, parts: Modalities) -> Vec<(&'static str, u64)> {
    let Modalities { text, audio, image, video } = parts;
    let mut known: Vec<_> = [("text", text), ("audio", audio), ("image", image), ("video", video)]
        .into_iter()
        .filter_map(|(name, count)| Some((name, count.filter(|count| *count > 0)?)))
        .collect();
    let sum = known.iter().try_fold(0_u64, |sum, (_, count)| sum.checked_add(*count));
    let rest = sum.and_then(|sum| count.checked_sub(sum)).unwrap_or_else(|| {
        known.clear();
        count
    });
    if rest > 0 || known.is_empty() {
        known.push(("unknown", rest));
    }
    known
}

#[cfg(test)]
mod tests;
