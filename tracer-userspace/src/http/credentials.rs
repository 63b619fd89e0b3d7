//! Where credentials stand: behind which names of headers and query parameters, and where in a URL.
//! Takes names and URLs; gives yes or no, and ranges of bytes.
//! In doubt it is one: a value too many is replaced, not one too few.

use std::ops::Range;

/// Longest name that is looked at; a longer one counts as a credential's.
pub(crate) const NAME_LIMIT: usize = 64;

/// How a part of such a name ends. Parts are what `-`, `_` and `.` separate: `x-goog-api-key`,
/// `access_token`, `X-Amz-Signature`, and `apikey` or `accessToken` as well.
const ENDINGS: [&[u8]; 18] = [
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
    b"keyid",
    b"pwd",
    b"bearer",
    b"assertion",
];

/// Names that have no such part and whose value may hold one all the same.
const OTHERS: [&[u8]; 2] = [
    // Browsers cannot set Authorization on a WebSocket: providers take the key in here.
    b"sec-websocket-protocol",
    // The key of Azure Functions, and what OAuth exchanges for a token.
    b"code",
];

/// Names that have such a part and hold none.
const HARMLESS: [&[u8]; 3] = [b"sec-websocket-key", b"idempotency-key", b"x-idempotency-key"];

/// `name` in lower case.
pub(crate) fn names_credential(name: &[u8]) -> bool {
    if OTHERS.contains(&name) || HARMLESS.contains(&name) {
        return OTHERS.contains(&name);
    }
    name.split(|byte| matches!(byte, b'-' | b'_' | b'.'))
        .any(|part| ENDINGS.iter().any(|ending| part.ends_with(ending)))
}

/// Headers whose value is a URL, with parameters of its own.
pub(crate) fn names_url(name: &[u8]) -> bool {
    matches!(name, b"location" | b"referer" | b"content-location")
}

/// A part of a URL, as it is read byte by byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UrlPart {
    /// Before the query.
    Path,
    Parameter(FieldName),
    Value {
        credential: bool,
    },
}

/// A name as far as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldName {
    bytes: [u8; NAME_LIMIT],
    pub len: u8,
    /// Longer than is looked at, or written in a way that hides it.
    unclear: bool,
    /// White space followed.
    pub ended: bool,
    /// The line before held a credential, which this one continues if it begins with white space.
    pub folds: bool,
}

impl FieldName {
    pub(crate) const EMPTY: Self =
        Self { bytes: [0; NAME_LIMIT], len: 0, unclear: false, ended: false, folds: false };

    /// Of a line that may continue the one before.
    pub(crate) const FOLDED: Self = Self { folds: true, ..Self::EMPTY };

    pub(crate) fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = byte.to_ascii_lowercase();
                self.len += 1;
            }
            None => self.unclear = true,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(crate) fn is_credential(&self) -> bool {
        self.unclear || names_credential(self.bytes())
    }
}

/// Where credentials stand in a URL.
pub(crate) fn credentials_in_url(url: &[u8]) -> Vec<Range<usize>> {
    let mut part = UrlPart::Path;
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, byte) in url.iter().enumerate() {
        if !part.hides(*byte) {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}

impl UrlPart {
    /// Takes the next byte of a URL; whether it is one of a credential.
    pub(crate) fn hides(&mut self, byte: u8) -> bool {
        let hides = matches!(self, Self::Value { credential: true });
        if let Some(next) = in_url(self, byte) {
            *self = next;
        }
        hides && matches!(self, Self::Value { .. })
    }
}

/// What comes after a byte of a URL, if that is another part.
fn in_url(part: &mut UrlPart, byte: u8) -> Option<UrlPart> {
    match (part, byte) {
        (_, b'?' | b'&' | b'#') => Some(UrlPart::Parameter(FieldName::EMPTY)),
        // Some servers take it for a separator, some for a part of the value.
        (UrlPart::Parameter(_) | UrlPart::Value { credential: false }, b';') => {
            Some(UrlPart::Parameter(FieldName::EMPTY))
        }
        (UrlPart::Parameter(name), b'=') => {
            Some(UrlPart::Value { credential: name.is_credential() })
        }
        (UrlPart::Parameter(name), byte) => {
            name.unclear |= byte == b'%';
            name.push(byte);
            None
        }
        (UrlPart::Path | UrlPart::Value { .. }, _) => None,
    }
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
            "b3",
            "x-b3-traceid",
            "x-b3-sampled",
            "uber-trace-id",
            "x-cloud-trace-context",
            "x-amzn-trace-id",
            "x-datadog-trace-id",
            "x-datadog-parent-id",
            "x-datadog-tags",
            "grpc-trace-bin",
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
