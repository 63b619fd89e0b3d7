use opentelemetry::{
    Array, Value,
    trace::{SpanKind, Status},
};
use serde_json::json;

use super::{
    http::server,
    own::{
        CONTENT_TRUNCATED, JOINED_LATE, MISSING_REQUEST_BYTES, MISSING_RESPONSE_BYTES,
        UNKNOWN_FIELDS, UNREADABLE,
    },
    *,
};
use crate::{
    capture::{Addresses, Security},
    genai::{
        Agent, Content, HttpFacts, McpCall, Modalities, OperationName, ProviderError, Request,
        Response, Usage,
    },
    http::{Ended, Role},
    trace::sample::{self, TLS},
};

mod http;
mod times;

fn find(operation: &Operation, key: &str) -> Option<Value> {
    let list = attributes(operation, TLS, Conventions::default());
    let mut found = list.iter().filter(|attribute| attribute.key.as_str() == key);
    let value = found.next().map(|attribute| attribute.value.clone());
    assert!(found.next().is_none(), "{key} is there twice");
    value
}

fn strings(values: &[&str]) -> Value {
    Value::Array(Array::String(values.iter().map(|value| (*value).to_owned().into()).collect()))
}

/// Every attribute that a full operation has, with its type by the conventions.
#[test]
fn attributes_have_the_conventions_types() {
    let mut operation = sample::operation();
    operation.request = Request {
        model: Some("m".into()),
        stream: true,
        max_tokens: Some(100),
        temperature: Some(0.5),
        top_p: Some(0.25),
        top_k: Some(40.0),
        frequency_penalty: Some(-0.5),
        presence_penalty: Some(0.125),
        seed: Some(-7),
        stop_sequences: vec!["a".into(), "b".into()],
        choice_count: Some(3),
        reasoning_level: Some("high".into()),
        output_type: Some("json"),
        service_tier: Some("flex".into()),
        tools: Some(2),
        previous_response_id: Some("resp_0".into()),
        conversation_id: Some("conv_1".into()),
        embedding_dimensions: Some(256),
        encoding_formats: vec!["base64".into()],
        data_source_id: Some("kb_1".into()),
        stream_cursor: Some("17".into()),
        prompt_name: Some("pmpt_1".into()),
        prompt_version: Some("2".into()),
        agent: Agent {
            id: Some("asst_1".into()),
            name: Some("asked".into()),
            description: Some("helps".into()),
        },
    };
    operation.response.agent.name = Some("told".into());
    operation.response.status = Some("completed".into());
    operation.response.run_id = Some("run_1".into());
    let parts = |n| Modalities {
        text: Some(n),
        audio: Some(n + 1),
        image: Some(n + 2),
        video: Some(n + 3),
    };
    operation.usage.input = parts(10);
    operation.usage.output = parts(20);
    operation.usage.cache_read = parts(30);
    operation.response.service_tier = Some("default".into());
    operation.response.system_fingerprint = Some("fp".into());
    operation.response.tool_calls = vec!["search".into()];
    operation.usage.cache_read_input_tokens = Some(1000);
    operation.usage.cache_write_input_tokens = Some(10);
    operation.usage.reasoning_output_tokens = Some(128);
    operation.http.request_id = Some("req_1".into());
    for (key, value) in [
        ("gen_ai.operation.name", "chat".into()),
        ("gen_ai.provider.name", "openai".into()),
        ("gen_ai.request.model", "m".into()),
        ("gen_ai.request.stream", true.into()),
        ("gen_ai.request.max_tokens", 100.into()),
        ("gen_ai.request.previous_response.id", "resp_0".into()),
        ("gen_ai.conversation.id", "conv_1".into()),
        ("gen_ai.embeddings.dimension.count", 256.into()),
        ("gen_ai.request.encoding_formats", strings(&["base64"])),
        ("gen_ai.data_source.id", "kb_1".into()),
        ("gen_ai.request.temperature", 0.5.into()),
        ("gen_ai.request.top_p", 0.25.into()),
        ("gen_ai.request.top_k", 40.into()),
        ("gen_ai.request.frequency_penalty", (-0.5).into()),
        ("gen_ai.request.presence_penalty", 0.125.into()),
        ("gen_ai.request.seed", (-7).into()),
        ("gen_ai.request.stop_sequences", strings(&["a", "b"])),
        ("gen_ai.request.choice.count", 3.into()),
        ("gen_ai.request.reasoning.level", "high".into()),
        ("gen_ai.output.type", "json".into()),
        ("gen_ai.response.id", "chatcmpl-1".into()),
        ("gen_ai.response.model", "gpt-4o-mini-2024-07-18".into()),
        ("gen_ai.response.finish_reasons", strings(&["stop"])),
        ("gen_ai.response.time_to_first_chunk", 0.25.into()),
        ("gen_ai.usage.input_tokens", 1204.into()),
        ("gen_ai.usage.output_tokens", 356.into()),
        ("gen_ai.usage.cache_read.input_tokens", 1000.into()),
        ("gen_ai.usage.cache_write.input_tokens", 10.into()),
        ("gen_ai.usage.reasoning.output_tokens", 128.into()),
        ("gen_ai.usage.text.input_tokens", 10.into()),
        ("gen_ai.usage.audio.input_tokens", 11.into()),
        ("gen_ai.usage.image.input_tokens", 12.into()),
        ("llmtap.usage.video.input_tokens", 13.into()),
        ("gen_ai.usage.text.output_tokens", 20.into()),
        ("gen_ai.usage.audio.output_tokens", 21.into()),
        ("gen_ai.usage.image.output_tokens", 22.into()),
        ("llmtap.usage.video.output_tokens", 23.into()),
        ("gen_ai.usage.text.cache_read.input_tokens", 30.into()),
        ("gen_ai.usage.audio.cache_read.input_tokens", 31.into()),
        ("gen_ai.usage.image.cache_read.input_tokens", 32.into()),
        ("llmtap.usage.video.cache_read.input_tokens", 33.into()),
        ("gen_ai.request.stream_cursor", "17".into()),
        ("gen_ai.prompt.name", "pmpt_1".into()),
        ("gen_ai.prompt.version", "2".into()),
        ("gen_ai.agent.id", "asst_1".into()),
        ("gen_ai.agent.name", "told".into()),
        ("gen_ai.agent.description", "helps".into()),
        ("gen_ai.response.status", "completed".into()),
        ("llmtap.response.run.id", "run_1".into()),
        ("openai.api.type", "chat_completions".into()),
        ("openai.request.service_tier", "flex".into()),
        ("openai.response.service_tier", "default".into()),
        ("openai.response.system_fingerprint", "fp".into()),
        ("http.request.method", "POST".into()),
        ("http.response.status_code", 200.into()),
        ("url.path", "/v1/chat/completions".into()),
        ("url.scheme", "https".into()),
        ("server.address", "api.openai.com".into()),
        ("server.port", 443.into()),
        ("llmtap.request.tools", 2.into()),
        ("llmtap.response.chunks", 12.into()),
        ("llmtap.response.tool_calls", strings(&["search"])),
        ("llmtap.provider.request_id", "req_1".into()),
    ] {
        assert_eq!(find(&operation, key), Some(value), "{key}");
    }
    // And those of times and HTTP, which have tests of their own.
    let all = attributes(&operation, TLS, Conventions::default());
    let others = ["llmtap.response.time", "llmtap.response.output_tokens_per", "url.full"];
    let counted = all.iter().filter(|one| {
        let key = one.key.as_str();
        !others.iter().any(|other| key.starts_with(other))
    });
    assert_eq!(counted.count(), 63);
}

#[test]
fn unknown_values_are_left_out() {
    let mut operation = sample::operation();
    operation.request = Request::default();
    operation.response = Response::default();
    operation.usage = Usage::default();
    operation.timing.first_chunk = None;
    (operation.timing.first_content, operation.timing.last_content) = (None, None);
    operation.http = HttpFacts::default();
    operation.api_type = None;
    let list = attributes(&operation, TLS, Conventions::default());
    let keys: Vec<_> = list.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys, ["gen_ai.operation.name", "gen_ai.provider.name", "url.scheme"]);
    assert_eq!(name(&operation), "chat");
}

#[test]
fn numbers_that_do_not_fit_are_unknown() {
    let mut operation = sample::operation();
    operation.usage.input_tokens = Some(u64::MAX);
    assert_eq!(find(&operation, "gen_ai.usage.input_tokens"), None);
    for (top_k, expected) in
        [(40.0, Some(40.into())), (0.5, None), (1e300, None), (f64::NAN, None), (9.3e18, None)]
    {
        operation.request.top_k = Some(top_k);
        assert_eq!(find(&operation, "gen_ai.request.top_k"), expected, "{top_k}");
    }
}

#[test]
fn name_and_kind_follow_the_conventions() {
    let mut operation = sample::operation();
    assert_eq!(name(&operation), "chat gpt-4o-mini");
    operation.request.agent.name = Some("tutor".into());
    for (operation_name, expected) in [
        (OperationName::InvokeAgent, "invoke_agent tutor"),
        (OperationName::CreateAgent, "create_agent tutor"),
        (OperationName::FetchResponse, "fetch_response"),
    ] {
        operation.name = operation_name;
        assert_eq!(name(&operation), expected);
    }
    assert_eq!(kind(&operation), SpanKind::Client);
    operation.role = Role::Server;
    assert_eq!(kind(&operation), SpanKind::Server);
}

#[test]
fn each_end_is_told_apart() {
    let mut operation = sample::operation();
    assert_eq!(status(&operation), Status::Unset);
    assert_eq!(find(&operation, "llmtap.ended"), None);
    for (how, word, is_failure) in [
        (Ended::AnsweredEarly, "answered_early", false),
        (Ended::ClientGone, "cancelled", true),
        (Ended::ServerClosed, "connection_closed", true),
        (Ended::ServerReset, "connection_reset", true),
        (Ended::ConnectionLost, "connection_lost", true),
        (Ended::Refused, "refused", true),
        (Ended::StreamReset(8), "stream_reset", true),
        (Ended::Malformed, "protocol_error", true),
        (Ended::Gap, "capture_gap", false),
        (Ended::TracerStopped, "tracer_stopped", false),
    ] {
        operation.end.how = how;
        assert_eq!(find(&operation, "llmtap.ended"), Some(word.into()));
        assert_eq!(find(&operation, "error.type"), is_failure.then(|| word.into()));
        assert_eq!(matches!(status(&operation), Status::Error { .. }), is_failure, "{word}");
    }
    operation.end.how = Ended::StreamReset(8);
    assert_eq!(status(&operation), Status::error("HTTP/2 stream reset: CANCEL"));
    operation.end.how = Ended::StreamReset(0xbeef);
    assert_eq!(status(&operation), Status::error("HTTP/2 stream reset: 0xbeef"));
}

#[test]
fn providers_error_wins_over_transport() {
    let mut operation = sample::operation();
    operation.end.how = Ended::ServerReset;
    operation.http.status = Some(429);
    assert_eq!(find(&operation, "error.type"), Some("429".into()));
    operation.error =
        Some(ProviderError { kind: "rate_limit_error".into(), message: Some("slow down".into()) });
    assert_eq!(find(&operation, "error.type"), Some("rate_limit_error".into()));
    assert_eq!(find(&operation, "llmtap.ended"), Some("connection_reset".into()));
    assert_eq!(status(&operation), Status::error("slow down"));
}

#[test]
fn incomplete_capture_is_marked() {
    let mut operation = sample::operation();
    operation.end.missing_request = 5;
    operation.end.missing_response = 70_000;
    operation.end.joined_late = true;
    operation.unknown_fields = 2;
    operation.unreadable = Some("truncated gzip");
    assert_eq!(find(&operation, MISSING_REQUEST_BYTES), Some(5.into()));
    assert_eq!(find(&operation, MISSING_RESPONSE_BYTES), Some(70_000.into()));
    assert_eq!(find(&operation, JOINED_LATE), Some(true.into()));
    assert_eq!(find(&operation, UNKNOWN_FIELDS), Some(2.into()));
    assert_eq!(find(&operation, UNREADABLE), Some("truncated gzip".into()));
    assert_eq!(status(&operation), Status::Unset);
}

#[test]
fn servers_come_from_the_authority() {
    for (authority, expected) in [
        ("api.openai.com", Some(("api.openai.com", None))),
        ("localhost:8443", Some(("localhost", Some(8443)))),
        ("localhost:", Some(("localhost", None))),
        ("[::1]:8443", Some(("::1", Some(8443)))),
        ("[::1]", Some(("::1", None))),
        ("user:secret@example.com", Some(("example.com", None))),
        ("host:99999", None),
        ("host:x", None),
        ("", None),
        ("a b", None),
        ("a/b", None),
    ] {
        let expected = expected.map(|(name, port)| (name.to_owned(), port));
        assert_eq!(server(authority), expected, "{authority}");
    }
}

#[test]
fn scheme_and_port_are_what_carried_the_call() {
    let mut operation = sample::operation();
    for (authority, security, scheme, port) in [
        ("llm.example", Some(Security::Tls), Some("https"), Some(443)),
        ("llm.example", Some(Security::Plain), Some("http"), Some(80)),
        ("llm.example:8080", Some(Security::Plain), Some("http"), Some(8080)),
        ("llm.example", None, None, None),
        ("llm.example:8080", None, None, Some(8080)),
    ] {
        operation.http.authority = Some(authority.into());
        let list =
            attributes(&operation, Transport { security, addresses: None }, Conventions::default());
        let get = |key: &str| {
            let found = list.iter().find(|attribute| attribute.key.as_str() == key);
            found.map(|attribute| attribute.value.clone())
        };
        assert_eq!(get("url.scheme"), scheme.map(Value::from), "{authority}");
        assert_eq!(get("server.port"), port.map(Value::from), "{authority}");
        let port = port.map(|port| u16::try_from(port).unwrap());
        assert_eq!(asked_port(&operation, security), port, "{authority}");
    }
}

#[test]
fn addresses_are_the_sockets() {
    let addresses = Addresses {
        local: "[::ffff:10.0.0.1]:50000".parse().unwrap(),
        peer: "192.0.2.7:443".parse().unwrap(),
    };
    let list = attributes(
        &sample::operation(),
        Transport { addresses: Some(addresses), ..TLS },
        Conventions::default(),
    );
    let get = |key: &str| {
        list.iter().find(|attribute| attribute.key.as_str() == key).unwrap().value.clone()
    };
    assert_eq!(get("network.peer.address"), "192.0.2.7".into());
    assert_eq!(get("network.peer.port"), 443.into());
    assert_eq!(get("network.local.address"), "10.0.0.1".into());
    assert_eq!(get("network.local.port"), 50000.into());
}

#[test]
fn unusual_methods_are_other() {
    let mut operation = sample::operation();
    operation.http.method = "BREW".into();
    assert_eq!(find(&operation, "http.request.method"), Some("_OTHER".into()));
    assert_eq!(find(&operation, "http.request.method_original"), Some("BREW".into()));
}

#[test]
fn content_is_json_text() {
    let mut operation = sample::operation();
    let messages = json!([{"role": "user", "parts": [{"type": "text", "content": "hé\n"}]}]);
    operation.content = Some(Content {
        input_messages: Some(messages.clone()),
        truncated: true,
        ..Content::default()
    });
    let text = find(&operation, "gen_ai.input.messages").unwrap();
    let read: serde_json::Value = serde_json::from_str(&text.as_str()).unwrap();
    assert_eq!(read, messages);
    assert_eq!(find(&operation, "gen_ai.output.messages"), None);
    assert_eq!(find(&operation, CONTENT_TRUNCATED), Some(true.into()));
}

fn names(operation: &Operation, profile: Profile) -> Vec<String> {
    let conventions = Conventions { profile, ..Conventions::default() };
    let list = attributes(operation, TLS, conventions);
    list.iter().map(|attribute| attribute.key.to_string()).collect()
}

#[test]
fn profiles_differ_in_the_names_that_changed() {
    let mut operation = sample::operation();
    operation.usage.cache_write_input_tokens = Some(10);
    operation.usage.input.text = Some(5);
    operation.request.reasoning_level = Some("high".into());
    operation.request.previous_response_id = Some("resp_0".into());
    operation.request.prompt_version = Some("2".into());
    let newer = [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.text.input_tokens",
        "gen_ai.request.reasoning.level",
        "gen_ai.request.previous_response.id",
        "gen_ai.prompt.version",
    ];
    let older = ["gen_ai.usage.cache_creation.input_tokens"];
    let [latest, v1_41, dup] =
        [Profile::Latest, Profile::V1_41, Profile::Dup].map(|profile| names(&operation, profile));
    for name in newer {
        let is_in = |list: &[String]| list.iter().any(|there| there == name);
        assert!(is_in(&latest) && is_in(&dup) && !is_in(&v1_41), "{name}");
    }
    for name in older {
        let is_in = |list: &[String]| list.iter().any(|there| there == name);
        assert!(!is_in(&latest) && is_in(&dup) && is_in(&v1_41), "{name}");
    }
    let common: Vec<_> = latest.iter().filter(|name| !newer.contains(&name.as_str())).collect();
    let rest: Vec<_> = v1_41.iter().filter(|name| !older.contains(&name.as_str())).collect();
    assert_eq!(common, rest);
}

#[test]
fn top_k_has_the_type_of_its_edition() {
    let mut operation = sample::operation();
    operation.request.top_k = Some(40.0);
    for (profile, expected) in [
        (Profile::Latest, Value::I64(40)),
        (Profile::V1_41, Value::F64(40.0)),
        (Profile::Dup, Value::I64(40)),
    ] {
        let conventions = Conventions { profile, ..Conventions::default() };
        let list = attributes(&operation, TLS, conventions);
        let found = list.iter().find(|one| one.key.as_str() == "gen_ai.request.top_k");
        assert_eq!(found.map(|one| one.value.clone()), Some(expected), "{profile:?}");
    }
}

#[test]
fn content_stays_off_the_span_where_it_goes_on_events() {
    let mut operation = sample::operation();
    operation.content = Some(Content { input_messages: Some(json!([])), ..Content::default() });
    operation.mcp = Some(Box::new(McpCall {
        method: "tools/call".into(),
        arguments: Some(json!({})),
        ..McpCall::default()
    }));
    for (content, expected) in [(ContentPlace::Events, 0), (ContentPlace::Both, 2)] {
        let conventions = Conventions { content, ..Conventions::default() };
        let list = attributes(&operation, TLS, conventions);
        let names = ["gen_ai.input.messages", "gen_ai.tool.call.arguments"];
        let found = list.iter().filter(|one| names.contains(&one.key.as_str()));
        assert_eq!(found.count(), expected, "{content:?}");
    }
}

/// Each attribute's type is the declared one.
#[test]
fn types_are_the_declared() {
    let mut operation = sample::operation();
    operation.request.top_k = Some(1.0);
    operation.request.temperature = Some(0.5);
    operation.end.joined_late = true;
    operation.content = Some(Content { input_messages: Some(json!([])), ..Content::default() });
    for attribute in attributes(&operation, TLS, Conventions::default()) {
        let declared = declared::find(attribute.key.as_str()).unwrap();
        let fits = match declared.kind {
            Type::Text | Type::Structured => matches!(attribute.value, Value::String(_)),
            Type::Texts => matches!(attribute.value, Value::Array(Array::String(_))),
            Type::Int => matches!(attribute.value, Value::I64(_)),
            Type::Double => matches!(attribute.value, Value::F64(_)),
            Type::Flag => matches!(attribute.value, Value::Bool(true)),
        };
        assert!(fits, "{attribute:?}");
    }
}

fn edition(edition: Edition) -> &'static str {
    match edition {
        Edition::Both => "both",
        Edition::V1_41 => "v1.41",
        Edition::Latest => "latest",
    }
}

fn attributes_page() -> String {
    let mut page = String::from(
        "| attribute | type | profile | when, and what it tells |\n|---|---|---|---|\n",
    );
    for attribute in ATTRIBUTES {
        let kind = match attribute.kind {
            Type::Text => "string",
            Type::Texts => "string[]",
            Type::Int => "int",
            Type::Double => "double",
            Type::Flag => "boolean, only true",
            Type::Structured => "structured; JSON text on spans",
        };
        let Attribute { name, when, .. } = attribute;
        page += &format!("| `{name}` | {kind} | {} | {when} |\n", edition(attribute.edition));
    }
    page
}

fn metrics_page() -> String {
    let mut page = String::from(
        "| metric | instrument | unit | profile | recorded for |\n|---|---|---|---|---|\n",
    );
    let mut buckets: Vec<(&[f64], Vec<&str>)> = Vec::new();
    for instrument in INSTRUMENTS {
        let kind = match instrument.kind {
            InstrumentKind::Counter => "counter",
            InstrumentKind::Histogram(bounds) => {
                match buckets.iter_mut().find(|(there, _)| *there == bounds) {
                    Some((_, names)) => names.push(instrument.name),
                    None => buckets.push((bounds, vec![instrument.name])),
                }
                "histogram"
            }
        };
        let Instrument { name, unit, when, .. } = instrument;
        page += &format!(
            "| `{name}` | {kind} | `{unit}` | {} | {when} |\n",
            edition(instrument.edition)
        );
    }
    page += "\nUpper bounds of buckets, in the metric's unit:\n\n| bounds | of |\n|---|---|\n";
    for (bounds, names) in buckets {
        let bounds: Vec<_> = bounds.iter().map(ToString::to_string).collect();
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        page += &format!("| {} | {} |\n", bounds.join(", "), names.join(", "));
    }
    page
}

fn events_page() -> String {
    let mut page = String::from("| event | severity | told | attributes |\n|---|---|---|---|\n");
    for event in EVENTS {
        let EventKind { name, severity, when, attributes } = event;
        let severity = format!("{} ({})", severity.as_str(), *severity as i32);
        page += &format!("| `{name}` | {severity} | {when} | {attributes} |\n");
    }
    page
}

/// The words around the tables are the template's.
#[test]
fn reference_page_is_the_declarations() {
    let page = include_str!("telemetry.md")
        .replace("{attributes}\n", &attributes_page())
        .replace("{metrics}\n", &metrics_page())
        .replace("{events}\n", &events_page());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/telemetry.md");
    if std::env::var_os("LLMTAP_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/telemetry.md is out of date: it says how to write it anew");
}
