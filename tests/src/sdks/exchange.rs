//! Requests and their answers, as they were written for this or recorded by others.
//! Takes files `*.http` of `tests/programs/sdks/exchanges`, and the recordings beside the repository;
//! gives [`Exchange`]s, whose bodies have no content coding.
//!
//! A file is the request's line, its JSON, an empty line, `HTTP` and the status, header fields, an empty
//! line, and the body as it is. That of an AWS event stream is written as lines of an event's type and
//! its JSON, and made here.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::Parts;

#[derive(Clone, Debug)]
pub struct Exchange {
    pub name: String,
    /// Written for the tests, so that every SDK must be able to read it.
    pub own: bool,
    /// Without port.
    pub host: String,
    /// With the query.
    pub path: String,
    pub request: Value,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Exchange {
    /// Those written for the tests.
    ///
    /// # Errors
    /// A file can't be read or is no exchange.
    pub fn own() -> Result<Vec<Self>> {
        let folder = Parts::program("sdks/exchanges");
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).context("the exchanges' folder")? {
            let path = entry?.path();
            let text = fs::read(&path).with_context(|| path.display().to_string())?;
            let name = path.file_stem().context("a name")?.to_string_lossy();
            found.push(Self::parse(&name, &text).with_context(|| path.display().to_string())?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Those recorded, read once; none where they are not beside the repository.
    ///
    /// # Errors
    /// A recording can't be read.
    pub fn recorded() -> Result<&'static [Self]> {
        static ALL: OnceLock<Result<Vec<Exchange>>> = OnceLock::new();
        let all = ALL.get_or_init(recordings);
        all.as_deref().map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    fn parse(name: &str, text: &[u8]) -> Result<Self> {
        let (request, answer) = split(text, b"\n\n").context("no answer")?;
        let (line, request) = split(request, b"\n").context("no request")?;
        let url = std::str::from_utf8(line)?.strip_prefix("POST ").context("no POST")?;
        let (head, body) = split(answer, b"\n\n").context("no body")?;
        let mut lines = std::str::from_utf8(head)?.lines();
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP ")).context("status")?;
        let headers = lines
            .map(|line| line.split_once(": ").map(|(name, value)| (name.into(), value.into())))
            .collect::<Option<Vec<_>>>()
            .context("a header field")?;
        let (host, path) = host_and_path(url).context("no URL")?;
        let mut exchange = Self {
            name: name.to_owned(),
            own: true,
            host,
            path,
            request: serde_json::from_slice(request)?,
            status: status.parse()?,
            headers,
            body: body.to_vec(),
        };
        if exchange.kind().contains("eventstream") {
            exchange.body = event_stream(body)?;
        }
        Ok(exchange)
    }

    /// A recording, where it is a POST of JSON.
    fn read(record: &Value) -> Option<Self> {
        let decode = |message: &Value| {
            BASE64_STANDARD.decode(message["body_b64"].as_str().unwrap_or_default()).ok()
        };
        if record["method"] != "POST" {
            return None;
        }
        let (host, path) = host_and_path(record["url"].as_str()?)?;
        let headers = record["response"]["headers"].as_object()?;
        Some(Self {
            name: record["id"].as_str()?.to_owned(),
            own: false,
            host,
            path,
            request: serde_json::from_slice(&decode(&record["request"])?).ok()?,
            status: u16::try_from(record["status"].as_u64()?).ok()?,
            headers: headers
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            body: decode(&record["response"])?,
        })
    }

    /// `Content-Type`.
    fn kind(&self) -> &str {
        let mut fields = self.headers.iter();
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        found.map_or("", |(_, value)| value)
    }

    pub fn failed(&self) -> bool {
        self.status >= 400
    }

    /// The answer comes in pieces that a client reads as they come.
    pub fn streams(&self) -> bool {
        let kind = self.kind();
        let is_labelled = kind.contains("stream") || kind.contains("ndjson");
        // Some recorders and servers label their streams wrongly.
        let is_sse = ["data:", "event:"].iter().any(|word| self.body.starts_with(word.as_bytes()));
        !self.failed() && (is_labelled || is_sse)
    }
}

fn recordings() -> Result<Vec<Exchange>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("no recorded traffic beside the repository: the tests' own alone is played");
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let mut text = String::new();
        MultiGzDecoder::new(File::open(&path)?)
            .read_to_string(&mut text)
            .with_context(|| path.display().to_string())?;
        for line in text.lines() {
            found.extend(Exchange::read(&serde_json::from_str(line)?));
        }
    }
    ensure!(!found.is_empty(), "no recording in {}", folder.display());
    Ok(found)
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = text.windows(at.len()).position(|window| window == at)?;
    Some((&text[..place], &text[place + at.len()..]))
}

/// A fragment is a recorder's mark, and was not sent.
fn host_and_path(url: &str) -> Option<(String, String)> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split('#').next()?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let host = authority.split(':').next()?;
    Some((host.to_owned(), path.to_owned()))
}

/// Messages of `application/vnd.amazon.eventstream`: lengths and checksums around header and payload.
fn event_stream(lines: &[u8]) -> Result<Vec<u8>> {
    let mut stream = Vec::new();
    for line in std::str::from_utf8(lines)?.lines() {
        let (kind, payload) = line.split_once(' ').context("an event's type and its JSON")?;
        let mut headers = Vec::new();
        for (name, value) in [
            (":event-type", kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ] {
            headers.push(u8::try_from(name.len())?);
            headers.extend_from_slice(name.as_bytes());
            // 7: a string.
            headers.push(7);
            headers.extend_from_slice(&u16::try_from(value.len())?.to_be_bytes());
            headers.extend_from_slice(value.as_bytes());
        }
        let total = 12 + headers.len() + payload.len() + 4;
        let mut message = u32::try_from(total)?.to_be_bytes().to_vec();
        message.extend_from_slice(&u32::try_from(headers.len())?.to_be_bytes());
        message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
        message.extend_from_slice(&headers);
        message.extend_from_slice(payload.as_bytes());
        message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
        stream.extend_from_slice(&message);
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_exchanges_are_read() {
        let all = Exchange::own().unwrap();
        let chat = all.iter().find(|exchange| exchange.name == "openai-chat-stream").unwrap();
        assert_eq!(chat.host, "api.openai.com");
        assert_eq!(chat.path, "/v1/chat/completions");
        assert_eq!(chat.status, 200);
        assert!(chat.streams() && chat.body.ends_with(b"data: [DONE]\n\n"));
        let limited = all.iter().find(|exchange| exchange.name == "openai-limited").unwrap();
        assert!(limited.failed() && !limited.streams());
    }

    #[test]
    fn event_stream_is_as_recorded() {
        // From the AWS documentation's layout: 16 bytes around headers and payload.
        let made = event_stream(b"x {}\n").unwrap();
        assert_eq!(made[..4], u32::try_from(made.len()).unwrap().to_be_bytes());
        assert_eq!(made[8..12], crc32fast::hash(&made[..8]).to_be_bytes());
        let (body, checksum) = made.split_at(made.len() - 4);
        assert_eq!(checksum, crc32fast::hash(body).to_be_bytes());
        assert!(body.ends_with(b"event{}"));
    }
}
