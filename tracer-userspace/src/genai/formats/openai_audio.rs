//! OpenAI audio, as Mistral and others speak it too: speech to text (transcription, translation), and text to speech.
//! Takes `POST …/audio/*` bodies (forms read as JSON, or JSON), `transcript[ion].*` and `speech.*` events;
//! gives facts and content. Sound is stepped over.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Step, Views,
    content::{self, Kind, Parts},
    error::{self, ERROR, ErrorMember},
    openai_usage::Tokens,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Loose, Object, Sent, Text},
    },
    operation::{OperationName, Request},
};

pub(in crate::genai) static TRANSCRIPTION: Format = Format {
    operation: OperationName::GenerateContent,
    flavour: "openai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &RESPONSE_CONTENT },
    event: &RESPONSE,
    streams_values: false,
    read_request: |body| read_request(body, None),
    answer: |capture_content| Box::new(Audio { capture_content, ..Audio::default() }),
};

pub(in crate::genai) static SPEECH: Format =
    Format { read_request: |body| read_request(body, Some("speech")), ..TRANSCRIPTION };

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("input", Shape::Sign),
    ("file", Shape::Sign),
    ("file_id", Shape::Sign),
    ("file_url", Shape::Sign),
    ("url", Shape::Sign),
    ("temperature", Shape::Fact),
    ("stream", Shape::Fact),
    ("stream_format", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("input", Shape::Text),
    ("prompt", Shape::Text),
    ("instructions", Shape::Text),
]);

/// Of a body, or of an event's data.
const RESPONSE: Shape = Shape::Object(&[
    ("type", Shape::Fact),
    ("model", Shape::Fact),
    ("text", Shape::Text),
    ("delta", Shape::Text),
    ("audio_data", Shape::Sign),
    ("usage", Shape::Fact),
    ("error", ERROR),
]);

const RESPONSE_CONTENT: Shape = Shape::Object(&[("text", Shape::Text)]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    input: Text<'a>,
    #[serde(borrow)]
    file: Text<'a>,
    /// Instead of the file, Mistral's and Groq's.
    file_id: Sent,
    file_url: Sent,
    url: Sent,
    #[serde(borrow)]
    temperature: Loose<'a>,
    #[serde(borrow)]
    stream: Loose<'a>,
    #[serde(borrow)]
    stream_format: Text<'a>,
}

fn read_request(body: &mut Document, output_type: Option<&'static str>) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let elsewhere = [facts.file_id, facts.file_url, facts.url].iter().any(|it| it.0);
    let given = facts.input.0.is_some() || facts.file.0.is_some() || elsewhere;
    let streams = facts.stream.read() == Some(true) || facts.stream_format.as_str() == Some("sse");
    let mut asked =
        Asked { fits: facts.model.filled().is_some() && given, fault, ..Asked::default() };
    asked.request = Request {
        output_type,
        model: facts.model.into_filled(),
        stream: streams,
        temperature: facts.temperature.read(),
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = texts(&body, &["input", "prompt"])
            .map(|texts| json!([content::message("user", &texts)]));
        asked.system_instructions = texts(&body, &["instructions"]).map(Value::Array);
        asked.truncated = truncated;
    }
    asked
}

/// The members of these names as parts, if there are any.
fn texts(body: &Value, names: &[&str]) -> Option<Vec<Value>> {
    let texts = names.iter().filter_map(|name| content::member(body, name));
    let texts: Vec<_> = texts.map(content::text).collect();
    (!texts.is_empty()).then_some(texts)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    /// Mistral's.
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    delta: Text<'a>,
    /// Mistral's sound.
    audio_data: Sent,
    usage: Object<Tokens>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default)]
struct Audio {
    capture_content: bool,
    answered: Answered,
    parts: Parts,
    done: bool,
}

impl Audio {
    fn take(&mut self, usage: Object<Tokens>, error: ErrorMember<'_>) {
        if let Some(tokens) = usage.0 {
            tokens.add_to(&mut self.answered.usage);
        }
        if self.answered.error.is_none() {
            self.answered.error = error::member(error);
        }
    }

    fn text(&mut self, text: &str) {
        if self.capture_content {
            self.parts.push(Kind::Text, text);
        }
    }
}

impl Answer for Audio {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let json = body.bytes().is_none_or(|bytes| bytes.trim_ascii_start().starts_with(b"{"));
        if !json {
            // A transcript as text or subtitles, or sound that nothing labels as such.
            let text = body.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
            if let Some(text) = text.map(|text| text.trim_end().to_owned()) {
                self.text(&text);
            }
            return None;
        }
        let content = body.content();
        let (facts, fault) = body.facts::<Body<'_>>();
        self.answered.fits = facts.text.0.is_some() || facts.audio_data.0;
        self.answered.response.model = facts.model.into_filled();
        self.take(facts.usage, facts.error);
        if let Some((body, truncated)) = content {
            self.answered.truncated = truncated;
            self.text(content::member(&body, "text").unwrap_or_default());
        }
        // More than is held of what is no JSON is sound, of which nothing is missed.
        fault.filter(|_| self.answered.fits || self.answered.error.is_some())
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (facts, _) = data.facts::<Body<'_>>();
        let step = match facts.kind.as_str() {
            Some("transcript.text.delta" | "transcription.text.delta" | "speech.audio.delta") => {
                Step::Piece
            }
            Some(
                "transcript.text.segment" | "transcription.segment" | "transcription.language",
            ) => Step::Frame,
            Some("transcript.text.done" | "transcription.done" | "speech.audio.done") => {
                self.done = true;
                Step::Frame
            }
            _ => Step::Aside,
        };
        if let Some(model) = facts.model.filled() {
            self.answered.response.model = Some(model.to_owned());
        }
        self.answered.fits |= step != Step::Aside;
        // Mistral's delta is called `text`, as is the whole that is repeated at the end.
        let delta = facts.delta.filled().or(facts.text.filled().filter(|_| step == Step::Piece));
        if let Some(text) = delta {
            self.text(text);
        }
        self.take(facts.usage, facts.error);
        step
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(mut self: Box<Self>) -> Answered {
        let (parts, truncated) = self.parts.take();
        self.answered.truncated |= truncated;
        if !parts.is_empty() {
            self.answered.output_messages =
                Some(json!([content::output("assistant", &parts, "stop")]));
        }
        self.answered
    }
}
