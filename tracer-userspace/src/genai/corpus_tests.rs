//! Conformance with recorded traffic, where the recordings are present beside the repository.
//! Takes each exchange whole, cut, and as it passes on a wire; compares with what its reader found.
//! What differs is listed in `docs/corpus.md`; an unlisted difference fails, and a stale one.

mod elsewhere;
mod page;
mod wire;

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

use self::page::Page;
use super::{
    Calls, ChunkTimes, Operation, Options, Response,
    eventstream::{self, EventStream},
    sse::{self, Sse},
    values::{self, Values},
};
use crate::{
    capture::{ConnectionId, Timestamp},
    http::{End, Ended, ExchangeEvent, ExchangeId, Kind, RequestHead, ResponseHead, Role},
    splits::{self, pieces},
};

#[derive(Deserialize)]
pub(super) struct Record {
    id: String,
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
    let kind = record.request.headers().remove("content-type");
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        // Its messages stand in frames, which are the wire's.
        return wire::run(record, "identity", wire::Framing::Http2, &[1 << 10]);
    }
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

/// What differs from what the reader found, where that is not of definition.
fn differences(
    record: &Record,
    page: &Page,
    found: &BTreeMap<String, Value>,
) -> Vec<(String, String)> {
    let is_json = serde_json::from_slice::<Value>(&record.request.body()).is_ok();
    let mut differences = Vec::new();
    // In what it counts as no inference the reader took what every format has and no more.
    let more = found.keys().filter(|_| record.family != "other");
    for key in record.expect.keys().chain(more).collect::<BTreeSet<_>>() {
        let (expected, got) = (record.expect.get(key), found.get(key));
        let expected = expected.filter(|value| key != "resp_text_len" || **value != 0);
        let of_request = key.starts_with("request_") || key == "n_tools";
        let untold = page.never_told.contains(&(record.family.clone(), key.clone()));
        let of_definition = expected.is_none() && (untold || of_request && !is_json);
        if !of_definition && !same(expected, got) {
            let text = format!("expected {expected:?}, got {got:?}");
            differences.push((key.clone(), text));
        }
    }
    differences
}

#[test]
fn recorded_calls_are_read_right() {
    let Some(records) = records() else { return };
    let page = Page::read();
    let (mut differences, mut values) = (BTreeMap::new(), 0);
    let (mut used, mut mistaken) = (BTreeSet::new(), Vec::new());
    for record in &records {
        let (request, response) = (record.request.body(), record.response.body());
        let operation = run(record, [&request[..]], [&response[..]]);
        let row = page.row(record);
        used.extend(row);
        let expected = match row.map(|row| row.operation.as_deref()) {
            // Of an exchange that is no operation nothing is told.
            Some(None) => None,
            Some(Some(name)) => Some(name),
            None if record.family == "other" => None,
            None => Some(""),
        };
        let name = operation.as_ref().map(|operation| operation.name.as_str());
        let right = expected == Some("") && name.is_some();
        if !right && name != expected {
            mistaken.push(format!("{} {}: {name:?}", record.method, record.url));
        }
        let Some(operation) = operation else { continue };
        super::tests::schemas::check_all(&operation);
        values += record.expect.len();
        let found = found(&operation, record, &response);
        for (key, text) in self::differences(record, &page, &found) {
            differences.insert((record.id.clone(), key), text);
        }
    }
    let unlisted: Vec<_> =
        differences.iter().filter(|(key, _)| !page.differences.contains(*key)).collect();
    let stale: Vec<_> =
        page.differences.iter().filter(|key| !differences.contains_key(*key)).collect();
    println!("{} recorded exchanges, {values} values, {} differ", records.len(), differences.len());
    println!("{} operations where none is, or none", mistaken.len());
    assert!(mistaken.is_empty(), "operations where none is, or none: {mistaken:#?}");
    assert!(unlisted.is_empty(), "{} not listed: {unlisted:#?}", unlisted.len());
    assert!(stale.is_empty(), "listed without cause: {stale:#?}");
    assert!(page.rows.iter().all(|row| used.contains(row)), "rows without an exchange");
    assert!(differences.len() * 200 < values, "too many differences");
}

#[test]
fn reader_never_tells_what_the_page_says_it_never_does() {
    let Some(records) = records() else { return };
    for (family, key) in &Page::read().never_told {
        let mut of_family = records.iter().filter(|record| record.family == *family).peekable();
        assert!(of_family.peek().is_some(), "{family}: no such family");
        assert!(of_family.all(|record| !record.expect.contains_key(key)), "{family} {key}");
    }
}

/// Everything of an operation but its times, which depend on how the bytes were cut, and the version
/// of HTTP.
fn comparable(operation: Option<Operation>) -> Option<String> {
    let mut operation = operation?;
    let timing = &mut operation.timing;
    timing.first_chunk = timing.first_chunk.map(|_| Timestamp(0));
    timing.first_content = timing.first_content.map(|_| Timestamp(0));
    timing.last_content = timing.last_content.map(|_| Timestamp(0));
    timing.output_chunk_times = ChunkTimes::default();
    timing.start = Timestamp(0);
    timing.request_end = None;
    timing.end = Timestamp(0);
    operation.http.version = None;
    Some(format!("{operation:?}"))
}

/// Bodies up to here are read byte by byte.
const SMALL: usize = 20_000;

/// Bodies up to here are read at every single split.
const TINY: usize = 4 << 10;

/// Of the forms on the wire each exchange is taken in one, and of larger bodies (in bytes) one in
/// so many is taken, unless all are asked for.
const LARGE: (usize, usize) = (64 << 10, 8);

fn full() -> bool {
    std::env::var_os("LLMTAP_FULL").is_some()
}

fn sizes(runner: &mut TestRunner) -> Vec<usize> {
    // Mostly small pieces; some of thousands of bytes.
    let size = (0u32..13).prop_flat_map(|bits| 1usize..=1 << bits);
    proptest::collection::vec(size, 4..40).new_tree(runner).unwrap().current()
}

#[test]
fn splits_of_recorded_bodies_make_no_difference() {
    let Some(records) = records() else { return };
    let mut runner = TestRunner::deterministic();
    for (number, record) in records.iter().enumerate() {
        let (request, response) = (record.request.body(), record.response.body());
        let whole = comparable(run(record, [&request[..]], [&response[..]]));
        let sizes = sizes(&mut runner);
        let cut = run(record, pieces(&request, &sizes), pieces(&response, &sizes));
        assert_eq!(whole, comparable(cut), "{}", record.id);
        let small = response.len() < SMALL && request.len() < SMALL;
        if small && (full() || number.is_multiple_of(LARGE.1)) {
            let cut = comparable(run(record, request.chunks(1), response.chunks(1)));
            assert_eq!(whole, cut, "{}", record.id);
        }
    }
}

#[test]
fn single_splits_of_recorded_answers_make_no_difference() {
    let Some(records) = records() else { return };
    for record in records.iter().step_by(if full() { 8 } else { 97 }) {
        let (request, response) = (record.request.body(), record.response.body());
        if response.len() <= TINY {
            splits::check(&response, |pieces| {
                comparable(run(record, [&request[..]], pieces.iter().copied()))
            });
        }
    }
}

#[test]
fn recorded_calls_survive_the_wire() {
    let Some(records) = records() else { return };
    let mut runner = TestRunner::deterministic();
    let forms: Vec<_> = wire::CODINGS
        .into_iter()
        .flat_map(|coding| [wire::Framing::Http1, wire::Framing::Http2].map(|it| (coding, it)))
        .collect();
    let mut taken = 0;
    for (number, record) in records.iter().enumerate() {
        let (request, response) = (record.request.body(), record.response.body());
        let large = request.len() + response.len() > LARGE.0;
        if large && !full() && !number.is_multiple_of(LARGE.1) {
            continue;
        }
        let whole = comparable(run(record, [&request[..]], [&response[..]]));
        for (place, (coding, framing)) in forms.iter().enumerate() {
            if !full() && place != number % forms.len() {
                continue;
            }
            taken += 1;
            let passed = wire::run(record, coding, *framing, &sizes(&mut runner));
            assert_eq!(whole, comparable(passed), "{} {coding} {framing:?}", record.id);
        }
    }
    println!("{taken} recorded exchanges in the forms of the wire");
}

#[test]
fn recorded_calls_are_read_alike_elsewhere() {
    let Some(records) = records() else { return };
    let mut differences = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let (request, response) = (record.request.body(), record.response.body());
        let Some(here) = run(record, [&request[..]], [&response[..]]) else { continue };
        let found_here = found(&here, record, &response);
        for (place, (way, change)) in elsewhere::WAYS.iter().enumerate() {
            if !full() && place != number % elsewhere::WAYS.len() {
                continue;
            }
            let Some(changed) = change(record) else { continue };
            let (request, response) = (changed.request.body(), changed.response.body());
            let Some(there) = run(&changed, [&request[..]], [&response[..]]) else {
                // Of what asks by its path alone, and of what failed, the host may be all that tells.
                if record.method != "GET" && record.status < 400 && !fails_at_once(&here) {
                    differences.push(format!("{} {way}: no operation", record.id));
                }
                continue;
            };
            let mut found_there = found(&there, &changed, &response);
            // A line more or less is no other answer.
            found_there
                .extend(found_here.get("n_events").map(|it| ("n_events".to_owned(), it.clone())));
            if (here.name, &found_here) != (there.name, &found_there) {
                let names = [here.name, there.name];
                let found = [&found_here, &found_there];
                differences.push(format!("{} {way}: {names:?} {found:?}", record.id));
            }
        }
    }
    assert!(differences.is_empty(), "{}: {differences:#?}", differences.len());
}

/// The body is an error and nothing else, though the status is none.
fn fails_at_once(operation: &Operation) -> bool {
    operation.error.is_some() && operation.response == Response::default()
}
