//! What a direction of a connection carries, told from its first bytes.
//! Takes the first bytes of a direction or of a segment; gives the protocol and who speaks.
//! Says "too short" rather than guess.

/// First bytes of an HTTP/2 client (RFC 9113 §3.4).
pub(super) const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of the longest method that is followed; the longest registered one has 17.
const METHOD_LIMIT: usize = 24;

/// Bytes of a first line that are searched for its version, when looking for a message's start.
const FIRST_LINE_LIMIT: usize = 16 * 1024;

const VERSION: &[u8] = b"HTTP/1.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A method and a space.
    Request,
    /// `HTTP/1.`
    Response,
    Http2Preface,
    /// The SETTINGS frame that an HTTP/2 server begins with (RFC 9113 §3.4).
    Http2Settings,
    /// None of these.
    Foreign,
    /// The beginning of at least one of these.
    TooShort,
}

impl Start {
    /// Empty lines before a request line are passed over (RFC 9112 §2.2).
    pub(super) fn of(bytes: &[u8]) -> Self {
        let behind = skip_empty_lines(bytes);
        if behind.len() < bytes.len() {
            return Self::behind_empty_lines(behind);
        }
        if bytes.starts_with(HTTP2_PREFACE) {
            return Self::Http2Preface;
        }
        match settings_header(bytes) {
            Some(true) => return Self::Http2Settings,
            Some(false) => return Self::TooShort,
            None => {}
        }
        if HTTP2_PREFACE.starts_with(bytes) {
            return Self::TooShort;
        }
        Self::behind_empty_lines(bytes)
    }

    /// HTTP/2 begins with its first byte: what follows an empty line is none.
    pub(super) fn behind_empty_lines(bytes: &[u8]) -> Self {
        if bytes.starts_with(VERSION) {
            return Self::Response;
        }
        if VERSION.starts_with(bytes) {
            return Self::TooShort;
        }
        match method_len(bytes) {
            Some(len) if len == bytes.len() => Self::TooShort,
            Some(len) if len > 0 && bytes[len] == b' ' => Self::Request,
            _ => Self::Foreign,
        }
    }
}

/// The header of a SETTINGS frame, where it is always the same: a length below 64 KiB, type 4, no flags,
/// stream 0 (RFC 9113 §4.1, §6.5).
const SETTINGS_HEADER: [Option<u8>; 9] =
    [Some(0), None, None, Some(4), Some(0), Some(0), Some(0), Some(0), Some(0)];

/// Bytes of one setting (§6.5.1).
const SETTING_LEN: u16 = 6;

/// Whether `bytes` have the whole header of the SETTINGS frame that a server begins with, `None` where
/// they are none.
pub(crate) fn settings_header(bytes: &[u8]) -> Option<bool> {
    let fits =
        SETTINGS_HEADER.iter().zip(bytes).all(|(want, byte)| want.is_none_or(|want| want == *byte));
    let whole = match bytes {
        [_, high, low, ..] => u16::from_be_bytes([*high, *low]).is_multiple_of(SETTING_LEN),
        _ => true,
    };
    (fits && whole && !bytes.is_empty()).then_some(bytes.len() >= SETTINGS_HEADER.len())
}

pub(super) fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &bytes[len..]
}

/// Length of the method that `bytes` begin with, as far as they go. Methods are tokens (RFC 9110
/// §9.1) and all that are in use are written in capitals.
fn method_len(bytes: &[u8]) -> Option<usize> {
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let len = bytes.iter().take_while(|byte| is_method(byte)).count();
    (len <= METHOD_LIMIT).then_some(len)
}

/// `bytes` begin with a whole request line. Stricter than [`Start::of`], since in the middle of a
/// connection a body's text may begin with a capital and a space.
pub(super) fn begins_request(bytes: &[u8]) -> bool {
    let bytes = skip_empty_lines(bytes);
    match method_len(bytes) {
        Some(len) if len > 0 && bytes.get(len) == Some(&b' ') => {}
        _ => return false,
    }
    let Some(line) = first_line(bytes) else { return false };
    // The version is `HTTP/1.` and one digit (RFC 9112 §2.3), behind a space.
    let Some(version) = line.len().checked_sub(VERSION.len() + 2) else { return false };
    line[version] == b' '
        && line[version + 1..].starts_with(VERSION)
        && line[line.len() - 1].is_ascii_digit()
}

/// `bytes` begin with a status line's version and code (RFC 9112 §4).
pub(super) fn begins_response(bytes: &[u8]) -> bool {
    let bytes = skip_empty_lines(bytes);
    matches!(
        bytes.strip_prefix(VERSION),
        Some([b'0'..=b'9', b' ', b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ' | b'\r' | b'\n', ..])
    )
}

fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = &bytes[..bytes.len().min(FIRST_LINE_LIMIT)];
    let line = &bytes[..memchr::memchr(b'\n', bytes)?];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}
