//! Bodies of LLM calls that no provider sends: JSON, streams of events, content codings.

use std::io::Write as _;

use crate::traffic::{self, LARGEST_SEGMENT, Part, received, sent};
use flate2::Compression;

use super::{Make, repeated};

pub(super) const CASES: &[(&str, Make)] = &[
    ("JSON lists in lists", |size| asked(b"", b"[", size)),
    ("JSON objects in objects", |size| asked(b"", b"{\"messages\":", size)),
    ("JSON messages in messages", |size| asked(b"{\"messages\":[", b"{\"content\":[", size)),
    ("JSON empty messages", |size| asked(b"{\"messages\":[", b"{},", size)),
    ("JSON members without end", |size| asked(b"{\"metadata\":{", b"\"a\":1,", size)),
    ("JSON members of one name", |size| asked(b"{", b"\"messages\":[],", size)),
    ("JSON string", |size| asked(b"{\"messages\":[{\"content\":\"", b"xyz ", size)),
    ("JSON string in segments of one byte", |size| {
        cut(asked(b"{\"messages\":[{\"content\":\"", b"xyz ", size), 1)
    }),
    ("JSON escapes", |size| asked(b"{\"messages\":[{\"content\":\"", br"\n", size)),
    ("JSON escapes of surrogates", |size| {
        asked(b"{\"messages\":[{\"content\":\"", br"\ud83d\ude00", size)
    }),
    ("JSON number", |size| asked(b"{\"max_tokens\":", b"1", size)),
    ("JSON numbers", |size| asked(b"{\"messages\":[", b"1,", size)),
    ("JSON exponents", |size| asked(b"{\"stop\":[", b"1e308,", size)),
    ("JSON tools", |size| asked(b"{\"tools\":[", b"{\"type\":\"function\"},", size)),
    ("JSON at an unknown path", |size| {
        let body = filled(b"{\"model\":\"m\",\"messages\":[", b"{},", size);
        vec![sent(traffic::request("/llm", "", &body)).cut(LARGEST_SEGMENT)]
    }),
    ("JSON answer of empty choices", |size| {
        answered("application/json", filled(b"{\"choices\":[", b"{},", size))
    }),
    ("SSE empty lines", |size| sse(b"\n", size)),
    ("SSE line ends of two bytes", |size| sse(b"\r\n", size)),
    ("SSE comments", |size| sse(b":\n", size)),
    ("SSE fields without a name", |size| sse(b"a\n", size)),
    ("SSE empty data lines, never an event", |size| sse(b"data:\n", size)),
    ("SSE names", |size| sse(b"event:x\n", size)),
    ("SSE events of one digit", |size| sse(b"data:1\n\n", size)),
    ("SSE events of an empty object", |size| sse(b"data:{}\n\n", size)),
    ("SSE events that are no JSON", |size| sse(b"data:{\n\n", size)),
    ("SSE events of an empty choice", |size| sse(b"data:{\"choices\":[{}]}\n\n", size)),
    ("SSE end marks", |size| sse(b"data:[DONE]\n\n", size)),
    ("SSE in segments of one byte", |size| cut(sse(b"data:{}\n\n", size), 1)),
    ("SSE line without end", |size| sse(b"data", size)),
    ("SSE events of Anthropic's", |size| {
        stream("/v1/messages", "text/event-stream", repeated(b"data:{\"type\":\"ping\"}\n\n", size))
    }),
    ("JSON values without space", |size| {
        stream("/api/chat", "application/x-ndjson", repeated(b"{}", size))
    }),
    ("JSON lists without space", |size| {
        stream("/api/chat", "application/x-ndjson", repeated(b"[]", size))
    }),
    ("JSON values of Gemini's list", |size| {
        let target = "/v1/models/m:streamGenerateContent";
        stream(target, "application/json", filled(b"[", b"{},", size))
    }),
    ("event stream of empty messages", |size| {
        let target = "/model/m/converse-stream";
        stream(target, "application/vnd.amazon.eventstream", repeated(&message(), size))
    }),
    ("event stream of bytes that are no message", |size| {
        stream("/model/m/converse-stream", "application/vnd.amazon.eventstream", vec![0; size])
    }),
    ("gzip bomb", |size| bomb("gzip", gzip, size)),
    ("deflate bomb", |size| bomb("deflate", zlib, size)),
    ("br bomb", |size| bomb("br", brotli, size)),
    ("zstd bomb", |size| bomb("zstd", zstd, size)),
    ("gzip in gzip in gzip", |size| {
        bomb("gzip, gzip, gzip", |text| gzip(&gzip(&gzip(text))), size)
    }),
    ("gzip members of nothing", |size| coded("gzip", repeated(&gzip(b""), size))),
    ("zstd frames of nothing", |size| coded("zstd", repeated(&zstd(b""), size))),
    ("gzip in segments of one byte", |size| cut(coded("gzip", noise(gzip, size)), 1)),
    ("br in segments of one byte", |size| cut(coded("br", noise(brotli, size)), 1)),
    ("zstd in segments of one byte", |size| cut(coded("zstd", noise(zstd, size)), 1)),
    ("gzip bodies of one byte", |size| tiny("gzip", &gzip(b"x"), size)),
    ("deflate bodies of one byte", |size| tiny("deflate", &zlib(b"x"), size)),
    ("br bodies of one byte", |size| tiny("br", &brotli(b"x"), size)),
    ("zstd bodies of one byte", |size| tiny("zstd", &zstd(b"x"), size)),
];

fn cut(mut parts: Vec<Part>, segment: usize) -> Vec<Part> {
    if let Some(part) = parts.last_mut() {
        part.segment = segment;
    }
    parts
}

fn filled(head: &[u8], pattern: &[u8], size: usize) -> Vec<u8> {
    [head.to_vec(), repeated(pattern, size)].concat()
}

/// A request's body.
fn asked(head: &[u8], pattern: &[u8], size: usize) -> Vec<Part> {
    let body = filled(head, pattern, size);
    vec![sent(traffic::request("/v1/chat/completions", "", &body))]
}

fn answered(kind: &str, body: Vec<u8>) -> Vec<Part> {
    stream("/v1/chat/completions", kind, body)
}

fn sse(event: &[u8], size: usize) -> Vec<Part> {
    answered("text/event-stream", repeated(event, size))
}

fn stream(target: &str, kind: &str, body: Vec<u8>) -> Vec<Part> {
    with_headers(target, &format!("Content-Type: {kind}\r\n"), body)
}

fn with_headers(target: &str, headers: &str, body: Vec<u8>) -> Vec<Part> {
    let headers = format!("{headers}Content-Length: {}\r\n", body.len());
    let head = traffic::response(&headers, b"");
    vec![sent(traffic::request(target, "", b"{\"model\":\"m\"}")), received(head), received(body)]
}

fn coded(coding: &str, body: Vec<u8>) -> Vec<Part> {
    let headers = format!("Content-Type: text/event-stream\r\nContent-Encoding: {coding}\r\n");
    with_headers("/v1/chat/completions", &headers, body)
}

/// So much text that its code has about that size, and other bytes behind it.
fn bomb(coding: &str, encode: fn(&[u8]) -> Vec<u8>, size: usize) -> Vec<Part> {
    let mut body = encode(&vec![b'x'; 64 * size]);
    body.truncate(size);
    body.resize(size, 0);
    coded(coding, body)
}

/// What no coding makes smaller, in that coding.
fn noise(encode: fn(&[u8]) -> Vec<u8>, size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let bytes: Vec<u8> = (0..size)
        .map(|_| {
            // Knuth's generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    encode(&bytes)
}

/// Many exchanges with an answer of one byte each.
fn tiny(coding: &str, body: &[u8], size: usize) -> Vec<Part> {
    let headers = format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n", body.len());
    let round = [sent("GET / HTTP/1.1\r\n\r\n"), received(traffic::response(&headers, body))];
    let rounds = size.div_ceil(traffic::bytes(&round));
    round.iter().cycle().take(2 * rounds).cloned().collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut coded, 4096, 5, 22);
    encoder.write_all(text).expect("writes to memory");
    drop(encoder);
    coded
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).expect("writes to memory")
}

/// The smallest message: both lengths, and both checksums (AWS event stream).
fn message() -> Vec<u8> {
    let mut bytes = [16_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes
}
