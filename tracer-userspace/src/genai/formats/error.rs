//! Error bodies: the providers' few ways to say what failed.
//! Takes the body of a failed response, or a member `error`; gives a [`ProviderError`].
//! `error.type` is the provider's error type, else its code; the caller adds the HTTP status last.

use ::http::HeaderMap;
use serde::Deserialize;

use crate::genai::{
    json::{
        Document, Shape,
        lax::{Code, List, Text, TextOr, TextOrList},
    },
    operation::ProviderError,
};

/// Statuses from here on are errors (RFC 9110 §15).
pub(in crate::genai) const FIRST_STATUS: u16 = 400;

/// The finish reason of an answer whose own did not come (GenAI semantic conventions).
pub(in crate::genai) const UNFINISHED: &str = "error";

/// Shape of a member `error`.
pub(super) const ERROR: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("status", Shape::Fact),
    ("code", Shape::Fact),
    ("message", Shape::Text),
]);

/// Shape of the body of a failed response.
pub(in crate::genai) const BODY: Shape = Shape::Object(&[
    ("error", ERROR),
    ("type", Shape::Fact),
    ("code", Shape::Fact),
    ("message", Shape::Text),
    ("Message", Shape::Text),
    ("detail", Shape::Text),
    ("error_type", Shape::Fact),
    ("error_code", Shape::Fact),
    ("ErrorCode", Shape::Fact),
    ("tpe", Shape::Fact),
    ("__type", Shape::Fact),
    ("errors", Shape::Each(&ERROR)),
]);

/// `{"error": {"type", "code", "message"}}`: OpenAI, Anthropic and their likes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    /// Google's name of the error, beside the HTTP status as code.
    #[serde(borrow)]
    status: Text<'a>,
    code: Code,
    #[serde(borrow)]
    message: Text<'a>,
}

/// The member `error` of a body: an object, or the message alone (Ollama).
pub(super) type ErrorMember<'a> = TextOr<'a, Box<Fields<'a>>>;

/// What a member `error` says, if it is there. An error without type or code has an empty kind.
pub(super) fn member(error: ErrorMember<'_>) -> Option<ProviderError> {
    match error {
        TextOr::Neither => None,
        TextOr::Text(message) => {
            Some(ProviderError { kind: String::new(), message: Some(message.into_owned()) })
        }
        TextOr::Object(fields) => Some(fields.into_error()),
    }
}

/// Types that name no error: what was limited (OpenAI, Groq), and a proxy's way to write nothing.
const NAMELESS: [&str; 4] = ["tokens", "requests", "None", "null"];

impl Fields<'_> {
    pub(super) fn into_error(self) -> ProviderError {
        ProviderError {
            kind: self
                .kind
                .into_filled()
                .filter(|kind| !NAMELESS.contains(&kind.as_str()))
                .or_else(|| self.status.into_filled())
                .or(self.code.0)
                .unwrap_or_default(),
            message: self.message.into_filled(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    error: ErrorMember<'a>,
    /// The error's members at the top (Mistral, vLLM, Cerebras, DashScope).
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    code: Code,
    #[serde(borrow)]
    message: Text<'a>,
    /// FastAPI's way (`{"detail": "…"}`), as servers in Python answer, and RFC 9457's.
    #[serde(borrow)]
    detail: TextOrList<'a, Invalid<'a>>,
    /// AWS has both spellings.
    #[serde(rename = "Message", borrow)]
    capital_message: Text<'a>,
    /// Beside an `error` that is the message alone (Text Generation Inference).
    #[serde(borrow)]
    error_type: Text<'a>,
    /// Databricks, …
    #[serde(borrow)]
    error_code: Text<'a>,
    /// … SageMaker …
    #[serde(rename = "ErrorCode", borrow)]
    capital_code: Text<'a>,
    /// … Writer …
    #[serde(borrow)]
    tpe: Text<'a>,
    /// … and what AWS puts there where it has no header, with a namespace before it.
    #[serde(rename = "__type", borrow)]
    aws_type: Text<'a>,
    /// Cloudflare's and watsonx's envelope.
    #[serde(borrow)]
    errors: List<Fields<'a>>,
}

/// What was wrong with one part of a request, by FastAPI; also an object alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Invalid<'a> {
    #[serde(borrow)]
    msg: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
}

/// How AWS names an error: in a header, with where it is described behind a colon.
pub(in crate::genai) fn header(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get("x-amzn-errortype")?.to_str().ok()?.split(':').next()?.trim();
    (!kind.is_empty()).then(|| kind.to_owned())
}

/// What the body of a response with an error status says; an empty kind if it names no type or code.
pub(in crate::genai) fn read(body: &mut Document) -> ProviderError {
    let array = body.bytes().is_some_and(|bytes| bytes.trim_ascii_start().starts_with(b"["));
    if array {
        // Gemini wraps the error of an array stream in a list.
        body.objects::<Body<'_>>().into_objects().next().unwrap_or_default().into_error()
    } else {
        body.facts::<Body<'_>>().0.into_error()
    }
}

impl Body<'_> {
    fn into_error(mut self) -> ProviderError {
        if let Some(mut error) = member(std::mem::take(&mut self.error)) {
            if error.kind.is_empty() {
                error.kind = self.kind().unwrap_or_default();
            }
            return error;
        }
        let kind = self.kind();
        let listed = self.errors.into_objects().next().map(Fields::into_error);
        let (listed_kind, listed_message) =
            listed.map_or((None, None), |listed| (Some(listed.kind), listed.message));
        let message = self.message.into_filled().or(self.capital_message.into_filled());
        let message = message.or(listed_message).or(match self.detail {
            TextOrList::Text(detail) => Some(detail.into_owned()),
            TextOrList::List(list) => {
                let first = list.into_iter().find_map(|one| one.0);
                first.and_then(|one| one.msg.into_filled().or(one.message.into_filled()))
            }
            TextOrList::Neither => None,
        });
        ProviderError { kind: kind.or(listed_kind).unwrap_or_default(), message }
    }

    /// The error's name, where it stands at the top.
    fn kind(&mut self) -> Option<String> {
        // `error` says only that it is one (Anthropic), an address only where it is described (RFC 9457).
        let is_name = |kind: &str| {
            !kind.is_empty() && kind != "error" && !kind.contains(':') && !NAMELESS.contains(&kind)
        };
        let names = [&self.kind, &self.error_type, &self.error_code, &self.capital_code, &self.tpe];
        let named = names.into_iter().find_map(|name| name.as_str().filter(|kind| is_name(kind)));
        let aws = || self.aws_type.filled().and_then(|name| name.rsplit('#').next());
        named.or_else(aws).map(str::to_owned).or_else(|| self.code.0.take())
    }
}
