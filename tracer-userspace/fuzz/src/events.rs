//! Target `events`: what bodies of streams are framed in, and the JSON inside.
//! Takes a byte that says which parser, then a script of pieces, gaps and sound messages.
//! Compared with a second reading of the same bytes, written for clarity alone, or with serde_json.

use llmtap::fuzz_bridge::genai::{self, Told};
use serde_json::Value;

use crate::{
    Input,
    meter::{self, Work},
    script::{self, Step},
    split::Split,
};

/// The first byte, modulo [`PARSERS`]; what is more picks the JSON reader's shape.
const SSE: u8 = 0;
const EVENT_STREAM: u8 = 1;
const VALUES: u8 = 2;
const JSON: u8 = 3;
const PARSERS: u8 = 4;

/// Kinds of steps: bytes, a gap, and a message of the event stream with its checksums, of which the
/// first byte says how long the headers are.
const BYTES: u8 = 1;
const GAP: u8 = 3;
const MESSAGE: u8 = 4;

/// Bytes of the heap: the reader keeps two weights of 512 KiB and, for lists in lists, ends of three
/// times 64 KiB each.
const HEAP: usize = 8 << 20;

pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let parts = parts(&script::read(rest));
    let parser = first % PARSERS;
    if parser == JSON {
        let bytes: Vec<u8> = parts.into_iter().flatten().flatten().collect();
        return json(usize::from(first / PARSERS), &bytes);
    }
    let whole = tell(parser, &parts, Split::Whole);
    for split in Split::CUT {
        assert!(tell(parser, &parts, split) == whole, "parser {parser}: whole, and cut {split:?}");
    }
    if let [Some(body)] = &parts[..] {
        match parser {
            SSE => assert_eq!(whole.lines, read_sse(body)),
            VALUES => compare_values(body, &whole),
            _ => {}
        }
    }
}

/// Runs of bytes, with gaps between.
fn parts(steps: &[Step]) -> Vec<Option<Vec<u8>>> {
    let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
    for Step { kind, bytes } in steps {
        let bytes = match *kind {
            GAP => {
                parts.push(None);
                continue;
            }
            MESSAGE => &message(bytes)[..],
            _ => bytes,
        };
        match parts.last_mut() {
            Some(Some(last)) => last.extend_from_slice(bytes),
            _ => parts.push(Some(bytes.to_vec())),
        }
    }
    parts
}

/// As the event stream's specification (smithy.io) frames it.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let (len, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let headers = usize::from(*len).min(rest.len());
    let mut message = ((rest.len() + 16) as u32).to_be_bytes().to_vec();
    message.extend((headers as u32).to_be_bytes());
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message.extend(rest);
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message
}

/// What a parser told, the pieces of data put together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    lines: Vec<Line>,
    /// Data behind the last end.
    rest: Vec<u8>,
    flag: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    End { name: Vec<u8>, data: Vec<u8> },
    Exception { name: Vec<u8>, data: Vec<u8> },
    Corrupt,
}

fn tell(parser: u8, parts: &[Option<Vec<u8>>], split: Split) -> Log {
    let input: usize = parts.iter().flatten().map(Vec::len).sum();
    let work = |log: &Log| Work {
        bytes: input,
        pieces: parts.len() + log.lines.len() + if split == Split::Whole { 0 } else { 2048 },
        // Beside what is kept here for the comparison.
        heap: HEAP + 200 * log.lines.len() + 3 * input,
    };
    meter::within(work, || {
        let mut log = Log::default();
        let (lines, rest) = (&mut log.lines, &mut log.rest);
        let mut sink = |told: Told<'_>| match told {
            Told::Data(data) => rest.extend_from_slice(data),
            Told::End(name) => {
                lines.push(Line::End { name: name.to_vec(), data: std::mem::take(rest) });
            }
            Told::Exception(name) => {
                lines.push(Line::Exception { name: name.to_vec(), data: std::mem::take(rest) });
            }
            Told::Corrupt => {
                rest.clear();
                lines.push(Line::Corrupt);
            }
        };
        let mut pieces = parts.iter().flat_map(|part| -> Box<dyn Iterator<Item = Option<&[u8]>>> {
            match part {
                Some(bytes) => Box::new(split.pieces(bytes).map(Some)),
                None => Box::new(std::iter::once(None)),
            }
        });
        log.flag = match parser {
            SSE => {
                genai::sse(&mut pieces, &mut sink);
                false
            }
            EVENT_STREAM => genai::event_stream(&mut pieces, &mut sink),
            _ => genai::values(&mut pieces, &mut sink),
        };
        log
    })
}

/// Longest event name that is told.
const NAME_LIMIT: usize = 256;

/// WHATWG HTML §9.2.6, line by line over the whole; the last event may lack its blank line.
fn read_sse(body: &[u8]) -> Vec<Line> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut events = Vec::new();
    let (mut name, mut data): (Vec<u8>, Option<Vec<u8>>) = Default::default();
    let mut rest = body;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let line = &rest[..end.unwrap_or(rest.len())];
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            if let Some(data) = data.take() {
                events.push(Line::End { name, data });
            }
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value[..value.len().min(NAME_LIMIT)].to_vec(),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            _ => {}
        }
        let Some(end) = end else { break };
        rest = &rest[end..];
        rest = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
    }
    if let Some(data) = data {
        events.push(Line::End { name, data });
    }
    events
}

/// Objects one behind the other, as serde_json finds them.
fn compare_values(body: &[u8], log: &Log) {
    let values: Result<Vec<Value>, _> =
        serde_json::Deserializer::from_slice(body).into_iter().collect();
    let Ok(values) = values else { return };
    if !values.iter().all(Value::is_object) {
        return;
    }
    let found: Vec<Value> = log
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::End { data, .. } => serde_json::from_slice(data).ok(),
            _ => None,
        })
        .collect();
    assert_eq!(found, values);
}

/// The first shape keeps everything: then what serde_json reads is what ours reads.
fn json(shape: usize, bytes: &[u8]) {
    let shape = shape % genai::shapes();
    let work = |_: &genai::Read| Work { bytes: bytes.len(), pieces: 1, heap: HEAP };
    let whole = meter::within(work, || genai::json(shape, std::iter::once(bytes)));
    for split in Split::CUT {
        assert_eq!(genai::json(shape, split.pieces(bytes)), whole, "whole, and cut {split:?}");
    }
    if shape == 0
        && !whole.clipped
        && let Ok(expected) = serde_json::from_slice::<Value>(bytes)
    {
        assert_eq!(whole.fault, None, "serde_json finds no fault");
        assert_eq!(whole.value, expected);
    }
}

pub fn seeds() -> Vec<Input> {
    let sse = "\u{feff}data: {\"a\":1}\r\n\r\nevent: x\ndata:y\ndata: z\n\n:c\rid\rdata\r\r\
        retry: 1\n\ndata: [DONE]";
    let lines = "{\"b\":[2]}\r\n\n{\"a\":\"\\\"}\\\\\"}{}";
    let list = "[{\"a\":[]}\n,\r\n{\"b\":\"]}\"}]";
    let json = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\\u00fc\\ud83d\\ude00\"}],\
        \"n\":-1.5e3,\"stream\":true,\"stop\":null,\"usage\":{\"prompt_tokens\":18446744073709551615}}";
    let header = |name: &str, value: &str| {
        let mut header = vec![name.len() as u8];
        header.extend(name.as_bytes());
        header.extend([7, 0, value.len() as u8]);
        header.extend(value.as_bytes());
        header
    };
    let message = |headers: Vec<u8>, payload: &str| {
        [&[headers.len() as u8], &headers[..], payload.as_bytes()].concat()
    };
    let event = [header(":event-type", "chunk"), header(":message-type", "event")].concat();
    let exception = [header(":exception-type", "e"), header(":message-type", "exception")].concat();
    let messages = [
        (MESSAGE, message(event, "{\"bytes\":\"e30=\"}")),
        (MESSAGE, message(exception, "{\"message\":\"m\"}")),
        (MESSAGE, message(Vec::new(), "")),
    ];
    let with = |parser: u8, steps: Vec<u8>| [&[parser], &steps[..]].concat();
    let text = |name: &str, parser: u8, body: &str| {
        Input::new(name, with(parser, script::write([(BYTES, body)])))
    };
    vec![
        text("sse", SSE, sse),
        text("lines", VALUES, lines),
        text("list", VALUES, list),
        text("json-all", JSON, json),
        text("json-facts", JSON + 2 * PARSERS, json),
        text("json-content", JSON + 3 * PARSERS, json),
        text("json-broken", JSON, "{\"a\":[1,{\"b\":\"\\ud800x\"},nul"),
        Input::new("messages", with(EVENT_STREAM, script::write(messages))),
        Input::new(
            "gap",
            with(
                SSE,
                script::write([(BYTES, "data: a\n\nda"), (GAP, ""), (BYTES, "\n\ndata: b\n\n")]),
            ),
        ),
    ]
}

pub fn worst() -> Vec<Input> {
    const SIZE: usize = 1 << 20;
    let many = |name: &str, parser: u8, start: &str, one: &str| {
        let body = [start.as_bytes(), &one.repeat(SIZE / one.len()).into_bytes()].concat();
        Input::new(name, [&[parser], &script::write([(BYTES, body)])[..]].concat())
    };
    let members: String = (0..SIZE / 12).map(|number| format!("\"{number:06}\":1,")).collect();
    vec![
        many("empty-data-lines", SSE, "", "data\n"),
        many("empty-events", SSE, "", "data:\n\n"),
        many("comments", SSE, "", ":\n"),
        many("blank-lines", SSE, "", "\r"),
        many("event-names", SSE, "", "event:a\n"),
        many("long-name", SSE, "event:", "aaaaaaaa"),
        many("empty-values", VALUES, "", "{}"),
        many("nested-values", VALUES, "", "{\"a\":"),
        many("deep-lists", JSON, "", "["),
        many("deep-objects", JSON, "", "{\"a\":"),
        many("deep-skipped", JSON + 4 * PARSERS, "", "["),
        many("empty-lists", JSON, "[", "[],"),
        many("empty-objects", JSON, "[", "{},"),
        many("numbers", JSON, "[", "1,"),
        many("long-number", JSON, "", "1111"),
        many("escapes", JSON, "\"", "\\n"),
        many("surrogates", JSON, "\"", "\\ud800"),
        many("same-member", JSON, "{", "\"a\":1,"),
        many("members", JSON, "{", &members),
        many(
            "messages",
            JSON + 2 * PARSERS,
            "{\"messages\":[",
            "{\"role\":\"user\",\"content\":\"x\"},",
        ),
        many(
            "message-parts",
            JSON + 3 * PARSERS,
            "{\"messages\":[{\"content\":[",
            "{\"type\":\"text\",\"text\":\"x\"},",
        ),
        Input::new("empty-messages", {
            let steps = (0..SIZE / 16).map(|_| (MESSAGE, [0]));
            [&[EVENT_STREAM], &script::write(steps)[..]].concat()
        }),
    ]
}
