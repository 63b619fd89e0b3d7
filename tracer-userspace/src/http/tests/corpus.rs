//! Recorded bodies of real providers, sent through every coding and framing, split at will.
//! Skipped, with a note, where the recordings are not there: they are no part of the project.

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

/// Of bodies larger than this many bytes one in eight is taken: tests run unoptimised.
const LARGE: usize = 8 * 1024;

/// Request and response bodies.
fn bodies() -> Vec<[Vec<u8>; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("not run: no recordings in shared/corpus");
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    let (mut bodies, mut seen) = (Vec::new(), 0);
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
            if both.iter().all(|body| body.len() <= LARGE) || seen % 8 == 0 {
                bodies.push(both);
            }
        }
    }
    bodies
}

fn coded(name: &str, body: &[u8]) -> Vec<u8> {
    let level = Compression::fast();
    let write = |mut encoder: Box<dyn Write + '_>| encoder.write_all(body);
    let mut out = Vec::new();
    match name {
        "gzip" => write(Box::new(GzEncoder::new(&mut out, level))),
        "deflate" => write(Box::new(ZlibEncoder::new(&mut out, level))),
        "raw" => write(Box::new(DeflateEncoder::new(&mut out, level))),
        "br" => write(Box::new(brotli::CompressorWriter::new(&mut out, 4096, 1, 16))),
        "zstd" => zstd::stream::copy_encode(body, &mut out, 1),
        _ => write(Box::new(&mut out)),
    }
    .expect("writing to memory");
    out
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

#[test]
fn recorded_bodies_survive_codings_and_splits() {
    const CODINGS: [&str; 6] = ["identity", "gzip", "deflate", "raw", "br", "zstd"];
    let mut steps = vec![created()];
    let mut expected: Vec<Line> = Vec::new();
    for (number, [request_bytes, response_bytes]) in bodies().into_iter().enumerate() {
        let (ask, answer) = (CODINGS[number % 6], CODINGS[number / 6 % 6]);
        steps.push(sent(message("POST / HTTP/1.1", ask, &request_bytes, number)));
        steps.push(received(message("HTTP/1.1 200 OK", answer, &response_bytes, number + 1)));
        let told = [
            Some(request("POST /", 2)),
            (!request_bytes.is_empty()).then(|| RequestBody(text(&request_bytes))),
            Some(RequestEnd),
            Some(response(200, 2)),
            (!response_bytes.is_empty()).then(|| ResponseBody(text(&response_bytes))),
            Some(ResponseEnd),
            Some(complete()),
        ];
        expected.extend(told.into_iter().flatten().map(|told| (1, number as u64, told)));
    }
    let cuts: [Cuts<'_>; 3] = [
        &|_, _| Vec::new(),
        &|number, len| (1..len).step_by(1 + number * 7919 % 9973).collect(),
        &|_, len| if len < 1000 { (1..len).collect() } else { Vec::new() },
    ];
    for cut in cuts {
        let lines = run_with(&mut Exchanges::new(), &steps, cut);
        assert_eq!(lines.len(), expected.len());
        for ((line, _), expected) in lines.iter().zip(&expected) {
            assert!(line == expected, "exchange {}", line.1);
        }
    }
}
