//! Holds the spans of one call against what the SDK's object says.
//! Takes a [`Played`]; gives each difference as a sentence.
//! A field that the SDK has no word for is not compared; one that it says to be absent must be absent.

use serde_json::Value;

use super::{Played, play::SURPLUS};
use crate::{Record, Span};

/// Fields of a record, and the attributes that must have the same value.
const ATTRIBUTES: [(&str, &str); 8] = [
    ("response_id", "gen_ai.response.id"),
    ("response_model", "gen_ai.response.model"),
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
    ("cached_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_written_tokens", "gen_ai.usage.cache_write.input_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ("finish_reasons", "gen_ai.response.finish_reasons"),
];

/// Hosts, and `gen_ai.provider.name` by the conventions or, for want of one there, the provider's own.
const PROVIDERS: [(&str, &str); 15] = [
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    ("api.anthropic.com", "anthropic"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.groq.com", "groq"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.together.xyz", "together_ai"),
    ("api.deepseek.com", "deepseek"),
    ("openrouter.ai", "openrouter"),
    // Of others the format is told: Ollama's where its paths are, else OpenAI's.
    ("localhost", ""),
    ("127.0.0.1", ""),
];

/// All differences of one call.
pub fn differences(played: &Played) -> Vec<String> {
    let Played { case, said, served, spans } = played;
    let mut found = Vec::new();
    let mut hold = |fits: bool, what: String| {
        if !fits {
            found.push(format!("{}: {what}", case.name));
        }
    };
    let refused = said["refused"].as_str();
    hold(
        refused.is_none() || !case.answers.iter().all(|answer| answer.own),
        format!("the SDK can't read an answer of our own: {refused:?}"),
    );
    hold(
        served.len() == case.answers.len() || refused.is_some(),
        format!("{} requests for {} answers", served.len(), case.answers.len()),
    );
    hold(served.iter().all(|one| one["status"] != SURPLUS), "asked too often".into());
    hold(spans.len() == served.len(), format!("{} requests, {spans:#?}", served.len()));
    for (before, (span, served)) in spans.iter().zip(served).enumerate() {
        of_request(&mut hold, span, served, &case.answers[0].host);
        let (resent, sent) = (span.number("http.request.resend_count"), before as i64);
        hold(resent == (sent > 0).then_some(sent), format!("resent {resent:?}, not {sent}"));
    }
    if refused.is_none()
        && let Some((last, before)) = spans.split_last()
    {
        for span in before {
            hold(span.status == 2, format!("was asked again, and is no error: {span:#?}"));
        }
        let pid = last.resource.get("process.pid");
        hold(pid == Some(&said["pid"]), format!("pid {pid:?}, {}", said["pid"]));
        of_answer(&mut hold, last, said);
    }
    found
}

/// All that the span of an answer tells otherwise than the SDK's object.
pub fn answer_differences(span: &Span, said: &Record) -> Vec<String> {
    let mut found = Vec::new();
    let mut hold = |fits: bool, what: String| {
        if !fits {
            found.push(format!("{}: {what}", said["case"]));
        }
    };
    of_answer(&mut hold, span, said);
    found
}

fn same(ours: Option<&Value>, theirs: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || *value == Value::Array(Vec::new());
    match ours {
        // Some SDKs have counts as floating-point numbers.
        Some(ours) if theirs.is_f64() => ours.as_f64() == theirs.as_f64(),
        Some(ours) => ours == theirs,
        None => empty(theirs),
    }
}

/// What every request's span tells.
fn of_request(hold: &mut impl FnMut(bool, String), span: &Span, served: &Record, host: &str) {
    let is_host =
        |name: &str| if name.starts_with('.') { host.ends_with(name) } else { host == name };
    let provider = PROVIDERS.iter().find(|(name, _)| is_host(name)).map(|(_, provider)| *provider);
    let path = served["path"].as_str().and_then(|path| path.split('?').next());
    let of_format =
        if path.is_some_and(|path| path.starts_with("/api/")) { "ollama" } else { "openai" };
    let provider = if provider == Some("") { Some(of_format) } else { provider };
    let told = span.text("gen_ai.provider.name");
    hold(told == provider, format!("provider {told:?}, not {provider:?}"));
    let status = span.attribute("http.response.status_code");
    hold(status == Some(&served["status"]), format!("status {status:?}, {}", served["status"]));
    hold(span.text("url.path") == path, format!("path {:?}, {path:?}", span.text("url.path")));
    let lost = span.attributes.keys().find(|name| name.starts_with("llmtap.capture."));
    hold(lost.is_none(), format!("{lost:?}"));
}

/// What the SDK's object says of the answer.
fn of_answer(hold: &mut impl FnMut(bool, String), span: &Span, said: &Record) {
    if let Some(failed) = said.get("failed") {
        of_failure(hold, span, failed);
        return;
    }
    hold(span.status == 0, format!("an error: {} {:?}", span.status, span.attributes));
    for (field, attribute) in ATTRIBUTES {
        if let Some(theirs) = said.get(field) {
            let ours = span.attribute(attribute);
            hold(same(ours, theirs), format!("{attribute} {ours:?}, the SDK has {theirs}"));
        }
    }
    let cut = span.attributes.contains_key("llmtap.content.truncated");
    if let Some(length) = said["text_length"].as_u64().filter(|_| !cut) {
        let ours = text_length(span);
        hold(ours == length, format!("text of {ours} characters, the SDK has {length}"));
    }
    if let Some(theirs) = said["tool_calls"].as_array().filter(|_| !cut) {
        let ours = tool_calls(span);
        let equal = ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(ours, theirs)| same_call(ours, theirs));
        hold(equal, format!("tool calls {ours:?}, the SDK has {theirs:?}"));
        let names: Vec<_> = theirs.iter().map(|call| call["name"].clone()).collect();
        let told = span.attribute("llmtap.response.tool_calls");
        hold(same(told, &Value::Array(names)), format!("names of tools {told:?}"));
    }
}

/// The error is named by the provider's code, or its type, or the status: the first that there is.
fn of_failure(hold: &mut impl FnMut(bool, String), span: &Span, failed: &Value) {
    hold(span.status == 2, format!("no error, the SDK has {failed}"));
    let kind = span.text("error.type").unwrap_or_default();
    let words = ["code", "type"].iter().filter_map(|name| failed[name].as_str());
    let status = failed["status"].as_u64().map(|status| status.to_string());
    let known = words.map(str::to_owned).chain(status).any(|word| word == kind);
    // Of many errors the SDK keeps the status alone; the server's word for it is in no field then.
    let keeps_words = failed.get("type").is_some() || failed.get("code").is_some();
    hold(
        known || (!keeps_words && !kind.is_empty()),
        format!("error.type {kind:?}, the SDK has {failed}"),
    );
}

fn parts(span: &Span) -> Vec<Value> {
    let text = span.text("gen_ai.output.messages").unwrap_or("[]");
    let messages: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let parts = messages.iter().filter_map(|message| message["parts"].as_array());
    parts.flatten().cloned().collect()
}

fn text_length(span: &Span) -> u64 {
    let parts = parts(span);
    let texts = parts.iter().filter(|part| part["type"] == "text");
    texts.filter_map(|part| part["content"].as_str()).map(|text| text.chars().count() as u64).sum()
}

fn tool_calls(span: &Span) -> Vec<Value> {
    parts(span).into_iter().filter(|part| part["type"] == "tool_call").collect()
}

/// Arguments are compared as JSON, since some SDKs write theirs anew.
fn same_call(ours: &Value, theirs: &Value) -> bool {
    let json = |value: &Value| match value.as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        None => value.clone(),
    };
    // No arguments are told as an empty object by some, as nothing by others.
    let none = |value: &Value| value.is_null() || value == "" || *value == serde_json::json!({});
    let (given, told) = (json(&ours["arguments"]), json(&theirs["arguments"]));
    ours["id"] == theirs["id"]
        && ours["name"] == theirs["name"]
        && (given == told || (none(&given) && none(&told)))
}
