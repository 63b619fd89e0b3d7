//! Bodies of our own and recorded ones of real providers, through every coding and framing, split at
//! will. Where the recordings are not there, with a note, our own alone: they are no part of the project.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{
    Compression,
    read::GzDecoder,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use super::{Told::*, *};

/// Of bodies larger than this many bytes one in eight is taken, unless `LLMTAP_FULL` asks for all:
/// tests run unoptimised.
const LARGE: usize = 8 * 1024;

const CODINGS: [&str; 8] =
    ["identity", "gzip", "deflate", "raw", "br", "zstd", "gzip, br", "zstd, deflate"];

/// Request and response bodies of every kind, once for each pair of codings.
fn own() -> Vec<[Vec<u8>; 2]> {
    let events = |n: u32| format!("event: e\r\ndata: {{\"n\": {}}}\r\n\r\n", n * 7919);
    let line = |n: u32| format!("{{\"text\": \"{n} grüße\", \"done\": false}}\n");
    // As many as have no divisor in common with the codings: each meets each.
    let bodies: [Vec<u8>; 5] = [
        Vec::new(),
        b"{}".to_vec(),
        (0..60).map(events).collect::<String>().into(),
        (0..40).map(line).collect::<String>().into(),
        (0..3000u32).map(|n| ((n * n * 31) >> 7) as u8).collect(),
    ];
    let at = |number: usize| bodies[number % bodies.len()].clone();
    (0..CODINGS.len() * CODINGS.len()).map(|number| [at(number), at(number / 3 + 2)]).collect()
}

fn bodies() -> Vec<[Vec<u8>; 2]> {
    let mut bodies = own();
    bodies.extend(recorded());
    bodies
}

fn recorded() -> Vec<[Vec<u8>; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("recorded bodies not run: no recordings in shared/corpus");
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    let (mut bodies, mut seen) = (Vec::new(), 0);
    let is_full = std::env::var_os("LLMTAP_FULL").is_some();
    for path in paths {
        let file = fs::File::open(path).expect("readable");
        for line in BufReader::new(GzDecoder::new(file)).lines() {
            let line: serde_json::Value = serde_json::from_str(&line.expect("text")).expect("JSON");
            let body = |side: &str| {
                let coded = line[side]["body_b64"].as_str().unwrap_or("");
                BASE64_STANDARD.decode(coded).expect("base64")
            };
            let both = [body("request"), body("response")];
            seen += 1;
            if is_full || both.iter().all(|body| body.len() <= LARGE) || seen % 8 == 0 {
                bodies.push(both);
            }
        }
    }
    bodies
}

/// `names`: codings in the order in which they are applied.
fn coded(names: &str, body: &[u8]) -> Vec<u8> {
    names.split(", ").fold(body.to_vec(), |body, name| {
        let level = Compression::fast();
        let write = |mut encoder: Box<dyn Write + '_>| encoder.write_all(&body);
        let mut out = Vec::new();
        match name {
            "gzip" => write(Box::new(GzEncoder::new(&mut out, level))),
            "deflate" => write(Box::new(ZlibEncoder::new(&mut out, level))),
            "raw" => write(Box::new(DeflateEncoder::new(&mut out, level))),
            "br" => write(Box::new(brotli::CompressorWriter::new(&mut out, 4096, 1, 16))),
            "zstd" => zstd::stream::copy_encode(&body[..], &mut out, 1),
            _ => write(Box::new(&mut out)),
        }
        .expect("writing to memory");
        out
    })
}

/// The message's framing and coding; `number` picks the size of the chunks, if it is chunked.
fn message(first_line: &str, coding: &str, body: &[u8], number: usize) -> Vec<u8> {
    let wire = coded(coding, body);
    let name = if coding == "raw" { "deflate" } else { coding };
    let mut message = format!("{first_line}\r\nContent-Encoding: {name}\r\n").into_bytes();
    if number.is_multiple_of(3) {
        message.extend(format!("Content-Length: {}\r\n\r\n", wire.len()).into_bytes());
        message.extend(wire);
        return message;
    }
    message.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in wire.chunks(1 + number % 997) {
        message.extend(format!("{:X}\r\n", chunk.len()).into_bytes());
        message.extend(chunk);
        message.extend(b"\r\n");
    }
    message.extend(b"0\r\n\r\n");
    message
}

/// The same as the frames of an HTTP/2 stream, some of them padded.
fn frames(
    stream: u32,
    first: &[(&str, &str)],
    coding: &str,
    body: &[u8],
    number: usize,
) -> Vec<u8> {
    let wire = coded(coding, body);
    let name = if coding == "raw" { "deflate" } else { coding };
    let head = http2::block(&[first, &[("content-encoding", name)]].concat());
    let mut frames = http2::frame(http2::HEADERS, http2::END_HEADERS, stream, head);
    for part in wire.chunks(1 + number * 31 % 16_000) {
        if part.len() % 3 == 0 {
            let padded = [&[2][..], part, &[0; 2]].concat();
            frames.extend(http2::frame(http2::DATA, http2::PADDED, stream, padded));
        } else {
            frames.extend(http2::frame(http2::DATA, 0, stream, part));
        }
    }
    frames.extend(http2::frame(http2::DATA, http2::END_STREAM, stream, []));
    frames
}

/// What is told of the exchange with this number, whatever its framing.
fn told(number: u64, [request_bytes, response_bytes]: &[Vec<u8>; 2], fields: usize) -> Vec<Line> {
    let told = [
        Some(request("POST /", fields)),
        (!request_bytes.is_empty()).then(|| RequestBody(text(request_bytes))),
        Some(RequestEnd),
        Some(response(200, fields)),
        (!response_bytes.is_empty()).then(|| ResponseBody(text(response_bytes))),
        Some(ResponseEnd),
        Some(complete()),
    ];
    told.into_iter().flatten().map(|told| (1, number, told)).collect()
}

fn expect_same(steps: &[Step], expected: &[Line]) {
    let cuts: [Cuts<'_>; 3] = [
        &|_, _| Vec::new(),
        &|number, len| (1..len).step_by(1 + number * 7919 % 9973).collect(),
        &|_, len| if len < 1000 { (1..len).collect() } else { Vec::new() },
    ];
    for cut in cuts {
        let lines = run_with(&mut Exchanges::new(), steps, cut);
        assert_eq!(lines.len(), expected.len());
        for ((line, _), expected) in lines.iter().zip(expected) {
            assert!(line == expected, "exchange {}", line.1);
        }
    }
}

#[test]
fn bodies_survive_codings_and_chunks() {
    let (mut steps, mut expected) = (vec![created()], Vec::new());
    for (number, both) in bodies().iter().enumerate() {
        let (ask, answer) = codings(number);
        steps.push(sent(message("POST / HTTP/1.1", ask, &both[0], number)));
        steps.push(received(message("HTTP/1.1 200 OK", answer, &both[1], number + 1)));
        expected.extend(told(number as u64, both, 2));
    }
    expect_same(&steps, &expected);
}

#[test]
fn bodies_survive_codings_and_frames() {
    let (mut steps, mut expected) = (http2::opening(), Vec::new());
    for (number, both) in bodies().iter().enumerate() {
        let (ask, answer) = codings(number);
        let stream = 2 * u32::try_from(number).expect("few") + 1;
        let first = [(":method", "POST"), (":path", "/")];
        steps.push(sent(frames(stream, &first, ask, &both[0], number)));
        steps.push(received(frames(stream, &[(":status", "200")], answer, &both[1], number + 1)));
        expected.extend(told(number as u64, both, 1));
    }
    expect_same(&steps, &expected);
}

fn codings(number: usize) -> (&'static str, &'static str) {
    (CODINGS[number % CODINGS.len()], CODINGS[number / CODINGS.len() % CODINGS.len()])
}
