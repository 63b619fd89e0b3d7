//! Fields behind a body, written as lines: of a chunked body (RFC 9112 §7.1.2), and of gRPC-web.
//! Takes a whole trailer section; gives its fields, or how many there are that can't be told.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Bytes of a trailer section.
pub(super) const TRAILER_LIMIT: usize = 16 * 1024;

/// Fields of a trailer section.
const FIELDS_LIMIT: usize = 200;

/// `section`: its lines, with or without the empty one behind them. If one of them is no field,
/// none is told, since what a line is may depend on the one before it.
pub(super) fn parse(mut section: Vec<u8>) -> (HeaderMap, u32) {
    section.extend_from_slice(b"\r\n");
    let mut lines = [httparse::EMPTY_HEADER; FIELDS_LIMIT];
    let fields = match httparse::parse_headers(&section, &mut lines) {
        Ok(httparse::Status::Complete((_, lines))) => lines.iter().map(field).collect(),
        _ => None,
    };
    match fields {
        Some(fields) => (fields, 0),
        None => {
            let lines = section.split(|byte| *byte == b'\n');
            let count = lines.filter(|line| !line.trim_ascii().is_empty()).count();
            (HeaderMap::new(), u32::try_from(count).unwrap_or(u32::MAX))
        }
    }
}

fn field(line: &httparse::Header<'_>) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_bytes(line.value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(section: &str) -> (String, u32) {
        let (fields, unknown) = parse(section.into());
        (format!("{fields:?}"), unknown)
    }

    #[test]
    fn fields_are_told_or_counted() {
        let fields = r#"{"grpc-status": "0", "a": "b c"}"#;
        assert_eq!(told("grpc-status:0\r\nA: b c \r\n"), (fields.to_owned(), 0));
        assert_eq!(told("grpc-status: 0\na:  b c\n\n"), (fields.to_owned(), 0));
        assert_eq!(told("a: 1\r\na: 2\r\n"), (r#"{"a": "1", "a": "2"}"#.to_owned(), 0));
        assert_eq!(told(""), ("{}".to_owned(), 0));
        for bad in ["a: b\r\nno field\r\n", "a: b\r\n folded\r\n", "a b: c\r\nd: e\r\n"] {
            assert_eq!(told(bad), ("{}".to_owned(), 2), "{bad}");
        }
        assert_eq!(told(&"a: b\r\n".repeat(FIELDS_LIMIT + 1)).1, FIELDS_LIMIT as u32 + 1);
    }
}
