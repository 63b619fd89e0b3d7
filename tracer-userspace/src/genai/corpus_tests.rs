//! Conformance with recorded traffic, where the recordings are present beside the repository.
//! Takes each exchange whole, at random splits and byte by byte; compares with what its reader found.
//! Differences that remain are listed in `docs/corpus.md`; an unlisted or a stale one fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::{Path, PathBuf},
};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::MultiGzDecoder;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Calls, ChunkTimes, Operation, Options,
    eventstream::{self, EventStream},
    sse::{self, Sse},
    values::{self, Values},
};
use crate::{
    capture::{ConnectionId, Timestamp},
    http::{End, Ended, ExchangeEvent, ExchangeId, Kind, RequestHead, ResponseHead, Role},
    splits,
};

/// Families whose format is read; the others' exchanges must give nothing or are not yet covered.
const FAMILIES: &[&str] = &[
    "anthropic-messages",
    "bedrock-converse",
    "bedrock-invoke",
    "cohere-chat",
    "cohere-embed",
    "gemini",
    "gemini-embed",
    "ollama",
    "ollama-embed",
    "openai-chat",
    "openai-completions",
    "openai-embeddings",
    "openai-responses",
    "openai-responses-other",
    "rerank",
    "watsonx",
];

/// Providers whose exchanges stand under `other` though they are calls: their reader took what every
/// format has and looked for nothing else, so that only what it tells is compared.
const PROVIDERS: &[&str] = &["alephalpha", "replicate", "sagemaker"];

#[derive(Deserialize)]
struct Record {
    id: String,
    provider: String,
    family: String,
    method: String,
    url: String,
    path: String,
    request: Message,
    status: u16,
    response: Message,
    expect: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Message {
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    body_b64: Option<String>,
}

impl Record {
    /// Its format is read.
    fn is_covered(&self) -> bool {
        FAMILIES.contains(&self.family.as_str()) || PROVIDERS.contains(&self.provider.as_str())
    }
}

impl Message {
    fn body(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(self.body_b64.as_deref().unwrap_or_default()).unwrap()
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let values = match value {
                Value::Array(values) => values.clone(),
                value => vec![value.clone()],
            };
            for value in values {
                let text = value.as_str().unwrap_or_default();
                if let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(name.as_str()), HeaderValue::from_str(text))
                {
                    headers.append(name, value);
                }
            }
        }
        headers
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn records() -> Option<Vec<Record>> {
    let directory = root().join("../shared/corpus");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        println!("not run: no recorded traffic beside the repository");
        return None;
    };
    let mut records = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "gz") {
            continue;
        }
        let mut text = String::new();
        MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        records.extend(text.lines().map(|line| serde_json::from_str::<Record>(line).unwrap()));
    }
    assert!(!records.is_empty());
    Some(records)
}

/// Feeds an exchange with its bodies cut into the given pieces.
fn run<'a>(
    record: &Record,
    request: impl IntoIterator<Item = &'a [u8]>,
    response: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Operation> {
    let mut calls = Calls::new(Options { capture_content: true });
    let exchange = ExchangeId { connection: ConnectionId(1), index: 0 };
    let mut now = 0;
    let mut on = |kind: Kind<'_>| {
        now += 1;
        calls.on(&ExchangeEvent { exchange, time: Timestamp(now), kind })
    };
    let head = RequestHead {
        method: Method::try_from(record.method.as_str()).unwrap(),
        target: record.url.clone(),
        version: Version::HTTP_11,
        headers: record.request.headers(),
    };
    on(Kind::Request { head: &head, role: Role::Client, started: Timestamp(0) });
    for piece in request {
        on(Kind::RequestBody(piece));
    }
    on(Kind::RequestEnd);
    let head = ResponseHead {
        status: StatusCode::from_u16(record.status).unwrap(),
        version: Version::HTTP_11,
        headers: record.response.headers(),
    };
    on(Kind::Response { head: &head, role: Role::Client, started: Timestamp(0) });
    for piece in response {
        on(Kind::ResponseBody(piece));
    }
    on(Kind::ResponseEnd);
    let end =
        End { how: Ended::Complete, missing_request: 0, missing_response: 0, joined_late: false };
    let operation = on(Kind::End(end)).pop();
    assert_eq!(calls.open(), 0);
    operation
}

/// What was read, under the names of `expect`; what was not read is not there.
fn found(operation: &Operation, record: &Record, response: &[u8]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            found.insert(name.to_owned(), value);
        }
    };
    let Operation { request, response: answer, usage, .. } = operation;
    put("request_model", request.model.clone().map(Value::from));
    put("response_model", answer.model.clone().map(Value::from));
    put("response_id", answer.id.clone().map(Value::from));
    // The reader tells each reason once, the conventions want one for each choice.
    let mut reasons = answer.finish_reasons.clone();
    let mut seen = BTreeSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    put("finish_reasons", (!reasons.is_empty()).then(|| reasons.join(",").into()));
    put("input_tokens_semconv", usage.input_tokens.map(Value::from));
    put("output_tokens_semconv", usage.output_tokens.map(Value::from));
    put("cache_read_tokens", usage.cache_read_input_tokens.map(Value::from));
    put("cache_write_tokens", usage.cache_write_input_tokens.map(Value::from));
    put("reasoning_tokens", usage.reasoning_output_tokens.map(Value::from));
    put("error_type", operation.error.as_ref().map(|error| error.kind.clone().into()));
    put("request_max_tokens", request.max_tokens.map(Value::from));
    put("request_temperature", request.temperature.map(Value::from));
    put("n_tools", request.tools.filter(|count| *count > 0).map(Value::from));
    let calls = &answer.tool_calls;
    put("n_tool_calls_out", (!calls.is_empty()).then(|| calls.len().into()));
    put("tool_call_names", (!calls.is_empty()).then(|| calls.join(",").into()));
    let stream = stream(operation, record, response);
    if !matches!(stream, "no" | "requested") {
        put("n_events", Some(events(stream, response).into()));
    }
    put("stream", Some(stream.into()));
    // Whether an answer without text has the length 0 or none, the reader tells both ways.
    let length = text_len(operation).unwrap_or(0);
    put("resp_text_len", (length > 0).then(|| length.into()));
    found
}

/// How the answer came.
fn stream(operation: &Operation, record: &Record, response: &[u8]) -> &'static str {
    let label = record.response.headers().get("content-type").cloned();
    let label = label.as_ref().and_then(|label| label.to_str().ok()).unwrap_or_default();
    match response.trim_ascii_start().first() {
        _ if operation.timing.first_chunk.is_none() => {
            if operation.request.stream {
                "requested"
            } else {
                "no"
            }
        }
        _ if label.contains("eventstream") => "aws-eventstream",
        Some(b'[') => "json-array",
        Some(b'{') => "ndjson",
        _ => "sse",
    }
}

fn events(stream: &str, body: &[u8]) -> u64 {
    let mut count = 0;
    match stream {
        "sse" => {
            let mut sink =
                |item: sse::Item<'_>| count += u64::from(matches!(item, sse::Item::Event(_)));
            let mut sse = Sse::default();
            sse.push(body, &mut sink);
            sse.finish(&mut sink);
        }
        "aws-eventstream" => EventStream::default()
            .push(body, |item| count += u64::from(matches!(item, eventstream::Item::Event(_)))),
        _ => Values::default().push(body, |item| count += u64::from(item == values::Item::End)),
    }
    count
}

/// Characters of text in the answer.
fn text_len(operation: &Operation) -> Option<usize> {
    let messages = operation.content.as_ref()?.output_messages.as_ref()?.as_array()?;
    let parts = messages.iter().flat_map(|message| message["parts"].as_array().unwrap());
    let texts = parts.filter(|part| part["type"] == "text");
    Some(texts.map(|part| part["content"].as_str().unwrap().chars().count()).sum())
}

/// The same number, whatever its JSON type.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b || a.as_f64().is_some_and(|number| Some(number) == b.as_f64()),
        (None, None) => true,
        _ => false,
    }
}

/// Rows `| id | key | … |` of the table of known differences.
fn listed() -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(root().join("docs/corpus.md")).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
            (cells[0].clone(), cells[1].clone())
        })
        .collect()
}

#[test]
fn recorded_calls_are_read_right() {
    let Some(records) = records() else { return };
    let mut differences = BTreeMap::new();
    let mut covered = 0;
    for record in records.iter().filter(|record| record.is_covered()) {
        covered += 1;
        let (request, response) = (record.request.body(), record.response.body());
        let Some(operation) = run(record, [&request[..]], [&response[..]]) else {
            // Other requests to the same paths: nothing was found in them either.
            if record.method != "POST" && !record.expect.contains_key("finish_reasons") {
                continue;
            }
            differences.insert((record.id.clone(), "operation".to_owned()), record.path.clone());
            continue;
        };
        super::tests::schemas::check_all(&operation);
        let found = found(&operation, record, &response);
        let more = found.keys().filter(|_| record.family != "other");
        for key in record.expect.keys().chain(more) {
            let (expected, got) = (record.expect.get(key), found.get(key));
            let expected = expected.filter(|value| key != "resp_text_len" || **value != 0);
            if !same(expected, got) {
                let text = format!("expected {expected:?}, got {got:?}");
                differences.insert((record.id.clone(), key.clone()), text);
            }
        }
    }
    let listed = listed();
    let unlisted: Vec<_> = differences.iter().filter(|(key, _)| !listed.contains(key)).collect();
    let stale: Vec<_> = listed.iter().filter(|key| !differences.contains_key(key)).collect();
    println!("{covered} recorded exchanges, {} differences", differences.len());
    assert!(unlisted.is_empty(), "{} not listed: {unlisted:#?}", unlisted.len());
    assert!(stale.is_empty(), "listed without cause: {stale:#?}");
}

#[test]
fn recorded_other_traffic_is_left() {
    let Some(records) = records() else { return };
    for record in records.iter().filter(|it| it.family == "other" && !it.is_covered()) {
        let (request, response) = (record.request.body(), record.response.body());
        let operation = run(record, [&request[..]], [&response[..]]);
        assert!(operation.is_none(), "{} {} {}", record.id, record.method, record.url);
    }
}

#[test]
fn splits_of_recorded_bodies_make_no_difference() {
    let Some(records) = records() else { return };
    let mut runner = TestRunner::deterministic();
    for record in records.iter().filter(|record| record.is_covered()) {
        let (request, response) = (record.request.body(), record.response.body());
        let comparable = |operation: Option<Operation>| {
            let mut operation = operation?;
            let timing = &mut operation.timing;
            timing.first_chunk = timing.first_chunk.map(|_| Timestamp(0));
            timing.first_content = timing.first_content.map(|_| Timestamp(0));
            timing.output_chunk_times = ChunkTimes::default();
            operation.timing.request_end = None;
            operation.timing.end = Timestamp(0);
            Some(format!("{operation:?}"))
        };
        let whole = comparable(run(record, [&request[..]], [&response[..]]));
        let sizes = proptest::collection::vec(1usize..200, 1..20);
        let sizes = sizes.new_tree(&mut runner).unwrap().current();
        let pieces = |body| Pieces { rest: body, sizes: &sizes, at: 0 };
        let cut = comparable(run(record, pieces(&request), pieces(&response)));
        assert_eq!(whole, cut, "{}", record.id);
        if response.len() < 20_000 && request.len() < 20_000 {
            let cut = comparable(run(record, request.chunks(1), response.chunks(1)));
            assert_eq!(whole, cut, "{}", record.id);
        }
    }
}

/// Every single split of a choice of the recorded answers; `LLMTAP_FULL` takes more.
#[test]
fn single_splits_of_recorded_answers_make_no_difference() {
    const SMALL: usize = 4 << 10;
    let Some(records) = records() else { return };
    let is_full = std::env::var_os("LLMTAP_FULL").is_some();
    let records = records.iter().filter(|record| FAMILIES.contains(&record.family.as_str()));
    for record in records.step_by(if is_full { 8 } else { 97 }) {
        let (request, response) = (record.request.body(), record.response.body());
        if response.len() > SMALL {
            continue;
        }
        splits::check(&response, |pieces| {
            let mut operation = run(record, [&request[..]], pieces.iter().copied())?;
            operation.timing.first_chunk = operation.timing.first_chunk.map(|_| Timestamp(0));
            operation.timing.end = Timestamp(0);
            Some(format!("{operation:?}"))
        });
    }
}

/// A body in pieces of the given sizes, over and over.
struct Pieces<'a> {
    rest: &'a [u8],
    sizes: &'a [usize],
    at: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.sizes[self.at % self.sizes.len()].min(self.rest.len());
        self.at += 1;
        let (piece, rest) = self.rest.split_at(size);
        self.rest = rest;
        (size > 0).then_some(piece)
    }
}
