//! Message heads out of HTTP/2 field lists (RFC 9113 §8.3).
//! Takes what HPACK gave; gives [`RequestHead`], [`ResponseHead`] or trailers.
//! A field that is not known is left out and counted.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{HOST, UPGRADE},
};

use super::hpack::{FieldList, Name};
use crate::http::{RequestHead, ResponseHead};

/// What a field list begins, by its pseudo-header fields.
#[derive(Debug)]
pub(super) enum Head {
    Request {
        head: RequestHead,
        /// `:protocol` of an extended CONNECT (RFC 8441 §4).
        protocol: Option<HeaderValue>,
    },
    Response(ResponseHead),
    Trailers(HeaderMap),
    /// The field that a head can't do without is not known.
    Unknown,
    /// There is no such field, or it says nothing valid.
    Malformed,
}

#[derive(Debug, Default)]
struct Pseudo {
    authority: Option<HeaderValue>,
    method: Option<HeaderValue>,
    path: Option<HeaderValue>,
    protocol: Option<HeaderValue>,
    status: Option<HeaderValue>,
}

/// `trailers`: the head of this message was seen before. Also gives how many fields are not told.
pub(super) fn head(list: FieldList, trailers: bool) -> (Head, u32) {
    let mut unknown = list.unknown;
    let mut pseudo = Pseudo::default();
    let mut headers = HeaderMap::new();
    for field in list.fields {
        match field.name {
            Name::Authority => pseudo.authority = Some(field.value),
            Name::Method => pseudo.method = Some(field.value),
            Name::Path => pseudo.path = Some(field.value),
            Name::Protocol => pseudo.protocol = Some(field.value),
            Name::Status => pseudo.status = Some(field.value),
            Name::Scheme => {}
            Name::Field(name) => {
                if headers.try_append(name, field.value).is_err() {
                    unknown = unknown.saturating_add(1);
                }
            }
        }
    }
    let missing = if unknown > 0 { Head::Unknown } else { Head::Malformed };
    let head = match pseudo {
        Pseudo { method: Some(method), .. } => {
            Method::from_bytes(method.as_bytes()).map_or(Head::Malformed, |method| {
                if let Some(authority) = &pseudo.authority
                    && !headers.contains_key(HOST)
                {
                    headers.insert(HOST, authority.clone());
                }
                if let Some(protocol) = &pseudo.protocol {
                    headers.insert(UPGRADE, protocol.clone());
                }
                let tunnel = method == Method::CONNECT && pseudo.protocol.is_none();
                let target = if tunnel { pseudo.authority } else { pseudo.path };
                let target = target.map_or(String::new(), |target| {
                    String::from_utf8_lossy(target.as_bytes()).into_owned()
                });
                let head = RequestHead { method, target, version: Version::HTTP_2, headers };
                Head::Request { head, protocol: pseudo.protocol }
            })
        }
        Pseudo { status: Some(status), .. } => StatusCode::from_bytes(status.as_bytes())
            .map_or(Head::Malformed, |status| {
                Head::Response(ResponseHead { status, version: Version::HTTP_2, headers })
            }),
        _ if trailers => Head::Trailers(headers),
        _ => missing,
    };
    (head, unknown)
}
