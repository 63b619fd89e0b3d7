//! HTTP/2 as a client and a server write it (RFC 9113, RFC 7541), without Huffman codes.
//! Takes fields and payloads; gives frames.

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// What a client begins with.
pub fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A string literal (RFC 7541 §5.2).
pub fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = integer(0, 7, text.len());
    bytes.extend_from_slice(text);
    bytes
}

/// A number with a prefix of so many bits (§5.1).
pub fn integer(first: u8, prefix: u32, value: usize) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if value < most {
        return vec![first | value as u8];
    }
    let mut bytes = vec![first | most as u8];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(rest as u8 | 128);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// Fields with new names, to be inserted into the table.
pub fn inserted(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| {
            [&[0x40][..], &string(name.as_bytes()), &string(value.as_bytes())].concat()
        })
        .collect()
}

/// References to the newest entries of the table, the oldest of them first.
pub fn repeated(entries: usize) -> Vec<u8> {
    (0..entries).rev().flat_map(|at| integer(0x80, 7, 62 + at)).collect()
}

/// What a client of a provider's own library sends, and what the provider answers.
pub const REQUEST_FIELDS: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "api.openai.com"),
    (":path", "/v1/chat/completions"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("content-type", "application/json"),
    ("content-length", "1322"),
    ("user-agent", "OpenAI/Python 1.109.1"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-async", "false"),
    ("x-stainless-lang", "python"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-package-version", "1.109.1"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.12.3"),
];

pub const RESPONSE_FIELDS: &[(&str, &str)] = &[
    (":status", "200"),
    ("date", "Mon, 23 Nov 2026 10:00:00 GMT"),
    ("content-type", "text/event-stream; charset=utf-8"),
    ("access-control-expose-headers", "X-Request-ID"),
    ("openai-organization", "user-abcdefghijklmnopqrstuvwx"),
    ("openai-processing-ms", "214"),
    ("openai-version", "2020-10-01"),
    ("x-envoy-upstream-service-time", "291"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "10000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "9999993"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "0s"),
    ("x-request-id", "req_0123456789abcdef0123456789abcdef"),
    ("cf-cache-status", "DYNAMIC"),
    ("server", "cloudflare"),
    ("cf-ray", "8e1f0a2b3c4d5e6f-FRA"),
    ("alt-svc", "h3=\":443\"; ma=86400"),
];

/// Opens a stream with the fields; `first`: they are not in the table yet.
pub fn head(fields: &[(&str, &str)], first: bool, stream: u32, flags: u8) -> Vec<u8> {
    let block = if first { inserted(fields) } else { repeated(fields.len()) };
    frame(HEADERS, END_HEADERS | flags, stream, &block)
}
