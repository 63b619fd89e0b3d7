//! The row of gRPC: grpcio's client against its own server, calls of Vertex AI.
//! Takes what both of them saw; gives what the spans have otherwise.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{Record, Span, mixed::told, records};

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
    let mut by_id: HashMap<&str, &Span> = HashMap::new();
    let mut wrong = Vec::new();
    for span in spans {
        let id = span.text("gen_ai.response.id").unwrap_or_default();
        if by_id.insert(id, span).is_some() {
            wrong.push(format!("a second span of {id:?}"));
        }
    }
    for call in &calls {
        let id = call["response_id"].as_str().context("a call without an answer")?;
        match by_id.remove(id) {
            Some(span) => wrong.extend(differences(span, call)),
            None => wrong.push(format!("{id} has no span")),
        }
    }
    wrong.extend(by_id.keys().map(|id| format!("{id} is no call")));
    told(&wrong, calls.len())?;
    Ok(calls.len())
}

fn differences(span: &Span, call: &Record) -> Vec<String> {
    let mut found = Vec::new();
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
    found
}
