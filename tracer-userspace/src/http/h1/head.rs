//! Message heads (RFC 9112 §2 to §5), collected over as many segments as they take.
//! Takes bytes split anywhere; gives [`RequestHead`] or [`ResponseHead`], parsed by httparse.
//! A head that comes in one segment is parsed where it lies.

use std::mem::MaybeUninit;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use crate::{
    capture::Timestamp,
    http::{RequestHead, ResponseHead},
};

/// Bytes of a head. Servers refuse far less (nginx 32 KiB, Node 16 KiB), clients little more.
const HEAD_LIMIT: usize = 256 * 1024;

/// Header fields of a head.
const FIELDS_LIMIT: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("bytes that begin no message")]
    NoMessage,
    #[error("head longer than {HEAD_LIMIT} bytes")]
    TooLong,
    #[error("malformed head: {0}")]
    Syntax(#[from] httparse::Error),
    #[error("head without its first line")]
    Incomplete,
    #[error("malformed method, status or header field")]
    Field,
}

/// A head under way.
#[derive(Debug)]
pub(super) struct HeadReader {
    /// When its first byte passed.
    pub(super) started: Timestamp,
    bytes: Vec<u8>,
    line: Line,
}

/// Where the search for the empty line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Within,
    /// Behind an LF.
    Start,
    /// Behind an LF and a CR.
    StartCr,
}

impl HeadReader {
    pub(super) fn new(started: Timestamp) -> Self {
        Self { started, bytes: Vec::new(), line: Line::Within }
    }

    /// The whole head, up to and with its empty line, as soon as `input` has it.
    ///
    /// # Errors
    /// [`HeadError::TooLong`].
    pub(super) fn take<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'a [u8]>, HeadError> {
        let end = self.find_end(input);
        let (part, rest) = input.split_at(end.unwrap_or(input.len()));
        *input = rest;
        if self.bytes.len() + part.len() > HEAD_LIMIT {
            return Err(HeadError::TooLong);
        }
        if end.is_some() && self.bytes.is_empty() {
            return Ok(Some(part));
        }
        self.bytes.extend_from_slice(part);
        Ok(end.is_some().then_some(&self.bytes))
    }

    /// How many of `bytes` belong to the head, if its end is among them. Each byte is looked at
    /// once, however the head is split.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            self.line = match (self.line, byte) {
                (Line::Start | Line::StartCr, b'\n') => return Some(at),
                (Line::Start, b'\r') => Line::StartCr,
                (_, b'\n') => Line::Start,
                _ => match memchr::memchr(b'\n', &bytes[at..]) {
                    Some(ahead) => {
                        at += ahead + 1;
                        Line::Start
                    }
                    None => {
                        at = bytes.len();
                        Line::Within
                    }
                },
            };
        }
        None
    }
}

pub(super) fn parse_request(bytes: &[u8]) -> Result<RequestHead, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_LIMIT];
    let mut request = httparse::Request::new(&mut []);
    let status = httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut request,
        bytes,
        &mut fields,
    )?;
    let (httparse::Status::Complete(_), Some(method), Some(target), Some(minor)) =
        (status, request.method, request.path, request.version)
    else {
        return Err(HeadError::Incomplete);
    };
    Ok(RequestHead {
        method: Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Field)?,
        target: target.to_owned(),
        version: version(minor),
        headers: header_map(request.headers)?,
    })
}

pub(super) fn parse_response(bytes: &[u8]) -> Result<ResponseHead, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_LIMIT];
    let mut response = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        // RFC 9112 §5.1 and §5.2 have recipients of responses mend these two.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response_with_uninit_headers(&mut response, bytes, &mut fields)?;
    let (httparse::Status::Complete(_), Some(code), Some(minor)) =
        (status, response.code, response.version)
    else {
        return Err(HeadError::Incomplete);
    };
    Ok(ResponseHead {
        status: StatusCode::from_u16(code).map_err(|_| HeadError::Field)?,
        version: version(minor),
        headers: header_map(response.headers)?,
    })
}

/// httparse knows 1.0 and 1.1 only.
fn version(minor: u8) -> Version {
    if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn header_map(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Field)?;
        map.append(name, value(field.value)?);
    }
    Ok(map)
}

fn value(bytes: &[u8]) -> Result<HeaderValue, HeadError> {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        return Ok(value);
    }
    if !bytes.contains(&b'\n') {
        return Err(HeadError::Field);
    }
    // RFC 9112 §5.2: a folded line is joined with spaces.
    let unfolded: Vec<u8> =
        bytes.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect();
    HeaderValue::from_bytes(&unfolded).map_err(|_| HeadError::Field)
}
