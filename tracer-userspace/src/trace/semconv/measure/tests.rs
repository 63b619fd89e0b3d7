//! Expected names, units and buckets are typed from the conventions.

use super::*;
use crate::{
    capture::Timestamp,
    genai::{CHUNK_TIME_BOUNDS, ProviderError, Request, Response},
    http::Ended,
    trace::sample::{self, TLS},
};

const SECOND: u64 = 1_000_000_000;

fn all(operation: &Operation, profile: Profile) -> Vec<Measurement> {
    measurements(operation, TLS, profile)
}

fn names(list: &[Measurement]) -> Vec<&'static str> {
    list.iter().map(|one| one.instrument.name).collect()
}

/// The only measurement of that name.
fn one<'a>(list: &'a [Measurement], name: &str) -> &'a Measurement {
    let found: Vec<_> = list.iter().filter(|one| one.instrument.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {list:#?}");
    found[0]
}

fn labels(measurement: &Measurement) -> Vec<(&'static str, String)> {
    let text = |label: &Label| match label {
        Label::Text(text) => text.clone(),
        Label::Int(number) => number.to_string(),
        Label::Flag => "true".to_owned(),
    };
    measurement.labels.iter().map(|(name, label)| (*name, text(label))).collect()
}

/// The label's value on each measurement of that name.
fn by_label(list: &[Measurement], name: &str, label: &str) -> Vec<(String, Amount)> {
    let named = list.iter().filter(|one| one.instrument.name == name);
    named
        .map(|one| {
            let value = labels(one).into_iter().find(|(key, _)| *key == label);
            (value.map(|(_, value)| value).unwrap_or_default(), one.amount)
        })
        .collect()
}

/// A second and a half, the first chunk after a quarter, two more.
fn streamed() -> Operation {
    let mut operation = sample::operation();
    operation.timing.output_chunk_times.record(20_000_000);
    operation.timing.output_chunk_times.record(100_000_000);
    operation
}

const INFERENCE: [&str; 10] = [
    "gen_ai.client.inference.duration",
    "gen_ai.client.inference.time_to_first_chunk",
    "gen_ai.client.inference.time_per_output_chunk",
    "gen_ai.client.inference.operation.input_tokens",
    "gen_ai.client.inference.operation.output_tokens",
    "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.client.inference.usage.output_tokens",
    "gen_ai.client.operation.duration",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.client.operation.time_per_output_chunk",
];

#[test]
fn each_profile_has_its_metrics() {
    let sorted = |profile| {
        let mut names = names(&all(&streamed(), profile));
        names.sort_unstable();
        names
    };
    let mut latest = INFERENCE[..7].to_vec();
    latest.sort_unstable();
    assert_eq!(sorted(Profile::Latest), latest);
    let mut old = INFERENCE[7..].to_vec();
    old.extend(["gen_ai.client.token.usage"; 2]);
    old.sort_unstable();
    assert_eq!(sorted(Profile::V1_41), old);
    let mut both = [latest, old].concat();
    both.sort_unstable();
    assert_eq!(sorted(Profile::Dup), both);
}

#[test]
fn units_and_buckets_are_prescribed() {
    const D: &[f64] =
        &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    const T: &[f64] = &[
        1.,
        4.,
        16.,
        64.,
        256.,
        1024.,
        4096.,
        16384.,
        65536.,
        262_144.,
        1_048_576.,
        4_194_304.,
        16_777_216.,
        67_108_864.,
    ];
    const M: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1., 2., 5., 10., 30., 60., 120., 300.];
    const FIRST: &[f64] = &[
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    const EACH: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
    let client = "gen_ai.client.";
    let counter = |name: &str| (format!("{client}inference.usage.{name}_tokens"), "{token}", None);
    let mut expected = vec![
        (format!("{client}token.usage"), "{token}", Some(T)),
        (format!("{client}operation.duration"), "s", Some(D)),
        (format!("{client}operation.time_to_first_chunk"), "s", Some(D)),
        (format!("{client}operation.time_per_output_chunk"), "s", Some(D)),
        (format!("{client}inference.duration"), "s", Some(D)),
        (format!("{client}inference.time_to_first_chunk"), "s", Some(D)),
        (format!("{client}inference.time_per_output_chunk"), "s", Some(D)),
        (format!("{client}inference.operation.input_tokens"), "{token}", Some(T)),
        (format!("{client}inference.operation.output_tokens"), "{token}", Some(T)),
        (format!("{client}embeddings.duration"), "s", Some(D)),
        (format!("{client}embeddings.operation.input_tokens"), "{token}", Some(T)),
        ("gen_ai.server.request.duration".into(), "s", Some(D)),
        ("gen_ai.server.time_to_first_token".into(), "s", Some(FIRST)),
        ("gen_ai.server.time_per_output_token".into(), "s", Some(EACH)),
        ("mcp.client.operation.duration".into(), "s", Some(M)),
        ("mcp.server.operation.duration".into(), "s", Some(M)),
    ];
    expected.extend(
        ["input", "output", "cache_read.input", "cache_write.input", "reasoning.output"]
            .map(counter),
    );
    let mut declared: Vec<_> = INSTRUMENTS
        .iter()
        .map(|one| {
            let bounds = match one.kind {
                InstrumentKind::Counter => None,
                InstrumentKind::Histogram(bounds) => Some(bounds),
            };
            (one.name.to_owned(), one.unit, bounds)
        })
        .collect();
    let by_name = |a: &(String, _, _), b: &(String, _, _)| a.0.cmp(&b.0);
    expected.sort_by(by_name);
    declared.sort_by(by_name);
    assert_eq!(declared, expected);
}

/// The times between chunks are added up before they are measured, in the buckets of durations.
#[test]
fn chunk_times_have_the_buckets_of_durations() {
    for (seconds, nanos) in DURATIONS.into_iter().zip(CHUNK_TIME_BOUNDS) {
        assert_eq!(Duration::from_nanos(nanos), Duration::from_secs_f64(seconds));
    }
    for instrument in [&OPERATION_OUTPUT_CHUNK, &INFERENCE_OUTPUT_CHUNK] {
        assert_eq!(instrument.kind, InstrumentKind::Histogram(&DURATIONS));
    }
}

#[test]
fn values_are_the_spans() {
    let list = all(&streamed(), Profile::Dup);
    for (name, seconds) in [
        ("gen_ai.client.inference.duration", 1.5),
        ("gen_ai.client.operation.duration", 1.5),
        ("gen_ai.client.inference.time_to_first_chunk", 0.25),
        ("gen_ai.client.operation.time_to_first_chunk", 0.25),
        ("gen_ai.client.inference.operation.input_tokens", 1204.0),
        ("gen_ai.client.inference.operation.output_tokens", 356.0),
    ] {
        assert_eq!(one(&list, name).amount, Amount::Value(seconds), "{name}");
    }
    let Amount::Times(times) = one(&list, "gen_ai.client.inference.time_per_output_chunk").amount
    else {
        panic!("no times")
    };
    assert_eq!((times.count(), times.sum), (2, 120_000_000));
    let old = by_label(&list, "gen_ai.client.token.usage", "gen_ai.token.type");
    let expected = [("input", 1204.0), ("output", 356.0)]
        .map(|(kind, count)| (kind.to_owned(), Amount::Value(count)));
    assert_eq!(old, expected);
}

#[test]
fn labels_are_the_conventions() {
    let common = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o-mini"),
        ("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
        ("server.address", "api.openai.com"),
        ("server.port", "443"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let mut operation = streamed();
    for measurement in all(&operation, Profile::Latest) {
        let mut found = labels(&measurement);
        found.retain(|(name, _)| *name != "gen_ai.token.modality");
        assert_eq!(found, common, "{}", measurement.instrument.name);
    }
    operation.error = Some(ProviderError { kind: "rate_limit_error".into(), message: None });
    operation.response.service_tier = Some("default".into());
    operation.response.system_fingerprint = Some("fp_1".into());
    let list = all(&operation, Profile::Dup);
    let of = |name: &str, label: &str| by_label(&list, name, label).remove(0).0;
    for name in ["gen_ai.client.inference.duration", "gen_ai.client.operation.duration"] {
        assert_eq!(of(name, "error.type"), "rate_limit_error");
    }
    assert_eq!(of("gen_ai.client.token.usage", "error.type"), "");
    assert_eq!(of("gen_ai.client.inference.time_to_first_chunk", "error.type"), "");
    for (label, value) in [
        ("openai.response.service_tier", "default"),
        ("openai.response.system_fingerprint", "fp_1"),
    ] {
        for name in ["gen_ai.client.token.usage", "gen_ai.client.inference.usage.input_tokens"] {
            assert_eq!(of(name, label), value, "{name}");
        }
    }
    operation.api_type = None;
    let list = all(&operation, Profile::V1_41);
    let tiers = by_label(&list, "gen_ai.client.token.usage", "openai.response.service_tier");
    assert!(tiers.iter().all(|(tier, _)| tier.is_empty()), "of other services there are none");
}

/// "When no usage is received, the `0` is recorded with `gen_ai.token.modality` set to `unknown`."
#[test]
fn missing_usage_is_zero_of_no_known_modality() {
    let mut operation = streamed();
    operation.usage = Usage::default();
    let list = all(&operation, Profile::Dup);
    for part in ["input", "output", "cache_read.input", "cache_write.input", "reasoning.output"] {
        let name = format!("gen_ai.client.inference.usage.{part}_tokens");
        let found = by_label(&list, &name, "gen_ai.token.modality");
        assert_eq!(found, [("unknown".to_owned(), Amount::Count(0))], "{name}");
    }
    let names = names(&list);
    assert!(!names.contains(&"gen_ai.client.token.usage"), "not in v1.41");
    assert!(!names.iter().any(|name| name.contains("inference.operation.")), "no value is told");
}

#[test]
fn usage_is_counted_by_modality() {
    let mut operation = streamed();
    operation.usage = Usage {
        input_tokens: Some(300),
        output_tokens: Some(50),
        cache_read_input_tokens: Some(40),
        reasoning_output_tokens: Some(0),
        input: Modalities { text: Some(100), image: Some(200), ..Modalities::default() },
        cache_read: Modalities { text: Some(30), ..Modalities::default() },
        // More than there are: nothing is known by them.
        output: Modalities { text: Some(60), ..Modalities::default() },
        ..Usage::default()
    };
    let list = all(&operation, Profile::Latest);
    for (part, expected) in [
        ("input", &[("text", 100), ("image", 200)][..]),
        ("output", &[("unknown", 50)]),
        ("cache_read.input", &[("text", 30), ("unknown", 10)]),
        ("reasoning.output", &[("unknown", 0)]),
        ("cache_write.input", &[]),
    ] {
        let name = format!("gen_ai.client.inference.usage.{part}_tokens");
        let found = by_label(&list, &name, "gen_ai.token.modality");
        let expected: Vec<_> = expected
            .iter()
            .map(|(modality, count)| ((*modality).to_owned(), Amount::Count(*count)))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn other_work_has_its_own_metrics() {
    let mut operation = sample::operation();
    operation.timing.first_chunk = None;
    let of = |operation: &Operation, profile| names(&all(operation, profile));
    let old = ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"];
    operation.name = OperationName::Embeddings;
    operation.usage.output_tokens = None;
    assert_eq!(of(&operation, Profile::V1_41), old);
    assert_eq!(
        of(&operation, Profile::Latest),
        ["gen_ai.client.embeddings.duration", "gen_ai.client.embeddings.operation.input_tokens"]
    );
    operation.name = OperationName::Rerank;
    assert_eq!(of(&operation, Profile::V1_41), old);
    assert_eq!(of(&operation, Profile::Latest), old[..1]);
    // Their tokens are told again and again.
    for name in [OperationName::FetchResponse, OperationName::InvokeAgent] {
        operation.name = name;
        assert_eq!(of(&operation, Profile::Dup), old[..1]);
    }
}

#[test]
fn servers_have_server_metrics() {
    let mut operation = streamed();
    operation.role = Role::Server;
    // 1.5 s in all, 0.3 s to the first token, 301 tokens.
    operation.usage.output_tokens = Some(301);
    for profile in [Profile::Latest, Profile::V1_41, Profile::Dup] {
        let list = all(&operation, profile);
        assert_eq!(list.len(), 3, "{profile:?}");
        for (name, seconds) in [
            ("gen_ai.server.request.duration", 1.5),
            ("gen_ai.server.time_to_first_token", 0.3),
            ("gen_ai.server.time_per_output_token", 0.004),
        ] {
            let Amount::Value(value) = one(&list, name).amount else { panic!("{name}") };
            assert!((value - seconds).abs() < 1e-12, "{name}: {value}");
        }
    }
    let of = |operation: &Operation| names(&all(operation, Profile::Latest));
    operation.usage.output_tokens = Some(1);
    assert_eq!(of(&operation).len(), 2, "one token has no time after the first");
    operation.usage.output_tokens = None;
    assert_eq!(of(&operation).len(), 2, "nor have tokens that nobody counted");
    operation.timing.first_content = None;
    assert_eq!(of(&operation), ["gen_ai.server.request.duration"]);
    let mut failed = streamed();
    failed.role = Role::Server;
    failed.http.status = Some(500);
    let list = all(&failed, Profile::Latest);
    assert_eq!(names(&list), ["gen_ai.server.request.duration"]);
    assert_eq!(by_label(&list, "gen_ai.server.request.duration", "error.type")[0].0, "500");
}

#[test]
fn mcp_has_its_metrics() {
    let mut operation = sample::operation();
    operation.request = Request::default();
    operation.response = Response::default();
    operation.usage = Usage::default();
    operation.mcp = Some(Box::new(McpCall {
        method: "tools/call".into(),
        tool_name: Some("search".into()),
        request_id: Some("1".into()),
        session_id: Some("s".into()),
        protocol_version: Some("2025-06-18".into()),
        error_code: Some(-32603),
        ..McpCall::default()
    }));
    operation.error = Some(ProviderError { kind: "-32603".into(), message: None });
    let list = all(&operation, Profile::Latest);
    let expected = [
        ("error.type", "-32603"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "search"),
        ("mcp.method.name", "tools/call"),
        ("mcp.protocol.version", "2025-06-18"),
        ("network.protocol.name", "http"),
        ("network.transport", "tcp"),
        ("rpc.response.status_code", "-32603"),
        ("server.address", "api.openai.com"),
        ("server.port", "443"),
    ];
    let found = labels(one(&list, "mcp.client.operation.duration"));
    assert_eq!(found, expected.map(|(name, value)| (name, value.to_owned())));
    assert_eq!(list[0].amount, Amount::Value(1.5));
    operation.role = Role::Server;
    let list = all(&operation, Profile::V1_41);
    let found = labels(one(&list, "mcp.server.operation.duration"));
    assert!(!found.iter().any(|(name, _)| name.starts_with("server.")), "{found:?}");
}

#[test]
fn ends_that_are_not_the_calls_give_no_times() {
    let mut operation = streamed();
    operation.end.how = Ended::TracerStopped;
    assert!(all(&operation, Profile::Dup).is_empty(), "it is not over");
    operation.end.how = Ended::Gap;
    operation.timing.end = Timestamp(2 * SECOND);
    let names = names(&all(&operation, Profile::Dup));
    assert!(!names.iter().any(|name| name.ends_with("duration")), "{names:?}");
    assert!(names.contains(&"gen_ai.client.inference.usage.input_tokens"));
}

#[test]
fn labels_are_sorted() {
    for measurement in all(&streamed(), Profile::Dup) {
        assert!(measurement.labels.is_sorted(), "{measurement:?}");
    }
}
