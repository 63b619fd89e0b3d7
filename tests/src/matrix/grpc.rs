//! The row of gRPC: grpcio's client against its own server, calls of Vertex AI.
//! Takes what both of them saw; gives what the spans have otherwise.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{Record, Span, compare::one_to_one, mixed::told, records};

/// Fields of a record (`grpc_client.py`), and the attributes that must have the same value.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("request_model", "gen_ai.request.model"),
    ("response_model", "gen_ai.response.model"),
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
    ("pid", "process.pid"),
];

/// Each call of the client reached the server, and has one span that is right. Gives their number.
pub(super) fn compare(spans: &[Span], output: &str, log: &Path) -> Result<usize> {
    let calls = records(output);
    let logged = records(&fs::read_to_string(log)?);
    ensure!(
        !calls.is_empty() && calls.len() == logged.len(),
        "{} calls, {} of them reached the server",
        calls.len(),
        logged.len()
    );
    for call in &calls {
        let same = |one: &&Record| one["model"] == call["request_model"];
        let served = logged.iter().find(same).context("a call that the server has not")?;
        ensure!(served["request_bytes"] == call["request_bytes"], "{served} is not {call}");
    }
    let wrong = one_to_one(spans, &calls, "response_id", differences);
    told(&wrong, calls.len())?;
    Ok(calls.len())
}

fn differences(found: &mut Vec<String>, span: &Span, call: &Record) {
    for (field, attribute) in ATTRIBUTES {
        let is = span.attribute(attribute).or_else(|| span.resource.get(attribute));
        if is != Some(&call[field]) {
            found.push(format!("{attribute} is {is:?}: {call}"));
        }
    }
    let is_streamed = call["stream"] == true;
    if is_streamed && span.attribute("llmtap.response.chunks") != Some(&call["chunks"]) {
        found.push(format!("{:?} chunks: {call}", span.attribute("llmtap.response.chunks")));
    }
    if span.attribute("gen_ai.response.finish_reasons")
        != Some(&serde_json::json!([call["finish"]]))
    {
        found.push(format!(
            "the end: {:?}: {call}",
            span.attribute("gen_ai.response.finish_reasons")
        ));
    }
}
