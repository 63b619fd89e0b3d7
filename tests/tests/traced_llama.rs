//! The real llama.cpp server behind TLS, called by real SDKs: their spans, and those of the proxy in
//! front of it, traced as a server, carry what the SDKs' own objects say.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use llmtap_tests::{
    CLIENT, Lab, Model, Record, SERVER, Span, no_bytes_lost, records,
    sdks::{Live, Runtime, answer_differences},
};

const LIMIT: Duration = Duration::from_secs(120);

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const MESSAGES: &str = "/v1/messages";

const fn python(
    sdk: &'static str,
    call: &'static str,
    path: &'static str,
    request: &'static str,
) -> Live {
    Live { runtime: Runtime::Python, sdk, call, path, request, asynchronous: false }
}

const fn awaited(call: Live) -> Live {
    Live { asynchronous: true, ..call }
}

const fn node(
    sdk: &'static str,
    call: &'static str,
    path: &'static str,
    request: &'static str,
) -> Live {
    awaited(Live { runtime: Runtime::Node, ..python(sdk, call, path, request) })
}

const WHOLE_CHAT: &str = r#"{"model": "smollm2", "max_tokens": 24, "temperature": 0,
    "messages": [{"role": "user", "content": "Name three colours."}]}"#;
const STREAMED_CHAT: &str = r#"{"model": "smollm2", "max_tokens": 24, "stream": true,
    "messages": [{"role": "user", "content": "What is the sea?"}],
    "stream_options": {"include_usage": true}}"#;
const CHAT_WITHOUT_USAGE: &str = r#"{"model": "smollm2", "max_tokens": 8, "stream": true,
    "messages": [{"role": "user", "content": "What is rain?"}]}"#;
const WHOLE_MESSAGE: &str = r#"{"model": "smollm2", "max_tokens": 24,
    "messages": [{"role": "user", "content": "Name two rivers."}]}"#;
const STREAMED_MESSAGE: &str = r#"{"model": "smollm2", "max_tokens": 24, "stream": true,
    "messages": [{"role": "user", "content": "What is a mountain?"}]}"#;
const WHOLE_RESPONSE: &str =
    r#"{"model": "smollm2", "input": "Name a fruit.", "max_output_tokens": 16}"#;
const STREAMED_RESPONSE: &str =
    r#"{"model": "smollm2", "input": "Count to five.", "max_output_tokens": 16, "stream": true}"#;
const WHOLE_COMPLETION: &str =
    r#"{"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 16}"#;
const STREAMED_COMPLETION: &str = r#"{"model": "smollm2", "prompt": "In the beginning",
    "max_tokens": 16, "stream": true, "stream_options": {"include_usage": true}}"#;
const EMBEDDED: &str = r#"{"model": "smollm2", "input": ["one text", "and another"]}"#;
const OWN_COMPLETION: &str = r#"{"prompt": "The weather is", "n_predict": 16}"#;
const OWN_STREAM: &str = r#"{"prompt": "The weather was", "n_predict": 16, "stream": true}"#;

const CALLS: &[Live] = &[
    python("openai", "chat", CHAT, WHOLE_CHAT),
    awaited(python("openai", "chat", CHAT, WHOLE_CHAT)),
    python("openai", "chat", CHAT, STREAMED_CHAT),
    awaited(python("openai", "chat", CHAT, STREAMED_CHAT)),
    python("openai", "chat", CHAT, CHAT_WITHOUT_USAGE),
    python("openai", "completions", COMPLETIONS, WHOLE_COMPLETION),
    awaited(python("openai", "completions", COMPLETIONS, STREAMED_COMPLETION)),
    python("openai", "responses", RESPONSES, WHOLE_RESPONSE),
    awaited(python("openai", "responses", RESPONSES, STREAMED_RESPONSE)),
    python("openai", "embeddings", EMBEDDINGS, EMBEDDED),
    python("anthropic", "messages", MESSAGES, WHOLE_MESSAGE),
    awaited(python("anthropic", "messages", MESSAGES, WHOLE_MESSAGE)),
    python("anthropic", "messages", MESSAGES, STREAMED_MESSAGE),
    awaited(python("anthropic", "messages", MESSAGES, STREAMED_MESSAGE)),
    python("llama", "completion", "/completion", OWN_COMPLETION),
    python("llama", "completion", "/completion", OWN_STREAM),
    node("openai", "chat", CHAT, WHOLE_CHAT),
    node("openai", "chat", CHAT, STREAMED_CHAT),
    node("openai", "responses", RESPONSES, STREAMED_RESPONSE),
    node("openai", "embeddings", EMBEDDINGS, EMBEDDED),
    node("anthropic", "messages", MESSAGES, WHOLE_MESSAGE),
    node("anthropic", "messages", MESSAGES, STREAMED_MESSAGE),
    node("ai", "chat", CHAT, WHOLE_CHAT),
];

/// Calls and spans come in the same order, since each call waits for the one before.
fn compare(spans: &[Span], said: &[Record], kind: i64) -> Result<()> {
    ensure!(spans.len() == said.len(), "{} spans of {} calls: {spans:#?}", spans.len(), said.len());
    let mut found = Vec::new();
    for (span, said) in spans.iter().zip(said) {
        ensure!(said.get("refused").is_none() && said.get("failed").is_none(), "{said}");
        ensure!(said["response_id"].is_string() || said["input_tokens"].is_u64(), "{said}");
        found.extend(answer_differences(span, said));
        if span.kind != kind {
            found.push(format!("{} is of kind {}, not {kind}", span.name, span.kind));
        }
    }
    ensure!(found.is_empty(), "{} differences: {found:#?}", found.len());
    Ok(())
}

#[test]
fn spans_carry_what_the_sdks_say() -> Result<()> {
    let lab = Lab::open()?;
    let model = Model::start_with_embeddings(&lab)?;
    let front = model.behind_tls(&lab)?;
    let url = format!("https://localhost:{}", front.port);
    let proxy = lab.tracer().arg("--capture-content").arg("--pid").arg(front.pid().to_string());
    let proxy = proxy.attach()?;
    let (mut said, mut spans) = (Vec::new(), Vec::new());
    for runtime in [Runtime::Python, Runtime::Node] {
        let client = Live::client(&lab, runtime, CALLS, &url)?;
        let trace = lab.tracer().arg("--capture-content").run(&client)?;
        ensure!(trace.status.success(), "{}\n{}", trace.output, trace.errors);
        no_bytes_lost(&trace.errors)?;
        said.extend(records(&trace.output));
        spans.extend(by_start(trace.spans));
    }
    ensure!(said.len() == CALLS.len(), "{} of {} calls: {said:#?}", said.len(), CALLS.len());
    compare(&spans, &said, CLIENT).context("spans of the clients")?;
    proxy.wait_for_spans(CALLS.len(), LIMIT)?;
    let trace = proxy.stop()?;
    no_bytes_lost(&trace.errors)?;
    compare(&by_start(trace.spans), &said, SERVER).context("spans of the proxy")
}

fn by_start(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| span.start);
    spans
}
