//! Numbers and literals of JSON (RFC 8259 §3, §6).
//! Takes the characters of one; gives its value, or nothing if it is none.

use serde_json::{Number, Value};

/// A number beyond the range of a double is left out as null, not rounded to another.
pub(super) fn value(word: &[u8]) -> Option<Value> {
    match word {
        b"null" => Some(Value::Null),
        b"true" => Some(Value::Bool(true)),
        b"false" => Some(Value::Bool(false)),
        word => match serde_json::from_slice::<Number>(word) {
            Ok(number) => Some(Value::Number(number)),
            Err(_) => is_number(word).then_some(Value::Null),
        },
    }
}

/// By RFC 8259 §6, whatever its size.
fn is_number(word: &[u8]) -> bool {
    let digits = |rest: &[u8]| rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}
