//! Which names of headers and query parameters stand before a credential.
//! Takes a name; gives yes or no. In doubt it is one: a value too many is replaced, not one too few.

use super::scrub::credentials_in_url;
use crate::http::Secrecy;

/// Longest name that is looked at; a longer one counts as a credential's.
pub(super) const NAME_LIMIT: usize = 64;

/// How a part of such a name ends. Parts are what `-`, `_` and `.` separate: `x-goog-api-key`,
/// `access_token`, `X-Amz-Signature`, and `apikey` or `accessToken` as well.
const ENDINGS: [&[u8]; 14] = [
    b"authorization",
    b"auth",
    b"key",
    b"token",
    b"secret",
    b"cookie",
    b"cookie2",
    b"password",
    b"passwd",
    b"credential",
    b"credentials",
    b"signature",
    b"sig",
    b"jwt",
];

/// Names that have no such part and whose value may hold one all the same.
const OTHERS: [&[u8]; 1] = [
    // Browsers cannot set Authorization on a WebSocket: providers take the key in here.
    b"sec-websocket-protocol",
];

/// Names that have such a part and hold none.
const HARMLESS: [&[u8]; 3] = [b"sec-websocket-key", b"idempotency-key", b"x-idempotency-key"];

/// `name` in lower case.
pub(super) fn names_credential(name: &[u8]) -> bool {
    if OTHERS.contains(&name) || HARMLESS.contains(&name) {
        return OTHERS.contains(&name);
    }
    name.split(|byte| matches!(byte, b'-' | b'_' | b'.'))
        .any(|part| ENDINGS.iter().any(|ending| part.ends_with(ending)))
}

/// What of a field's value must not be kept, by its name in lower case; `None`: it is not known.
pub(super) fn secrecy(name: Option<&str>) -> Secrecy {
    match name.map(str::as_bytes) {
        Some(b":path") => Secrecy::Within(credentials_in_url),
        Some(name) if name.len() > NAME_LIMIT || names_credential(name) => Secrecy::Secret,
        Some(name) if names_url(name) => Secrecy::Within(credentials_in_url),
        Some(_) => Secrecy::Open,
        None => Secrecy::Secret,
    }
}

/// Headers whose value is a URL, with parameters of its own.
pub(super) fn names_url(name: &[u8]) -> bool {
    matches!(name, b"location" | b"referer" | b"content-location")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_providers_are_named() {
        for name in [
            "authorization",
            "proxy-authorization",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "cookie",
            "set-cookie",
            "x-amz-security-token",
            "ocp-apim-subscription-key",
            "cf-aig-authorization",
            "helicone-auth",
            "x-csrf-token",
            "sec-websocket-protocol",
            "key",
            "api_key",
            "apikey",
            "access_token",
            "accesstoken",
            "sig",
            "x-amz-signature",
            "x-amz-credential",
            "client_secret",
        ] {
            assert!(names_credential(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_replay_needs_is_kept() {
        for name in [
            "host",
            "content-type",
            "content-length",
            "transfer-encoding",
            "content-encoding",
            "traceparent",
            "tracestate",
            "x-request-id",
            "request-id",
            "apim-request-id",
            "x-amzn-requestid",
            "x-litellm-call-id",
            "sec-websocket-key",
            "sec-websocket-extensions",
            "anthropic-version",
            "anthropic-ratelimit-tokens-limit",
            "x-ratelimit-remaining-tokens",
            "openai-organization",
            "alt",
            "api-version",
            "data",
            "event",
            "id",
        ] {
            assert!(!names_credential(name.as_bytes()), "{name}");
        }
    }
}
