//! Google's PaLM API, which Gemini's replaced: generated text and messages, and embeddings.
//! Takes `POST …/models/{id}:{generateText,generateMessage,embedText}` bodies; gives facts and content.
//! It counts no tokens and does not stream.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Nothing, Step, Views, content,
    content::Kind,
    error::{self, ERROR, ErrorMember},
    texts::Texts,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Filled, Integer, List, Number, Object, Sent, Strings, Text},
    },
    operation::{OperationName, ProviderError, Request},
};

pub(in crate::genai) static TEXT: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "gcp.gen_ai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &Shape::Skip,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Candidates::new(capture_content)),
};

pub(in crate::genai) static MESSAGE: Format = Format { operation: OperationName::Chat, ..TEXT };

pub(in crate::genai) static EMBED: Format = Format { operation: OperationName::Embeddings, ..TEXT };

const REQUEST: Shape = Shape::Object(&[
    ("prompt", Shape::Sign),
    ("text", Shape::Sign),
    ("texts", Shape::Sign),
    ("temperature", Shape::Fact),
    ("candidateCount", Shape::Fact),
    ("maxOutputTokens", Shape::Fact),
    ("topP", Shape::Fact),
    ("topK", Shape::Fact),
    ("stopSequences", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[(
    "prompt",
    Shape::Object(&[
        ("text", Shape::Text),
        ("context", Shape::Text),
        ("messages", Shape::Ends(&Shape::Text)),
    ]),
)]);

const RESPONSE: Shape = Shape::Object(&[
    (
        "candidates",
        Shape::Each(&Shape::Object(&[("output", Shape::Text), ("content", Shape::Text)])),
    ),
    ("filters", Shape::Each(&Shape::Object(&[("reason", Shape::Fact)]))),
    ("embedding", Shape::Sign),
    ("embeddings", Shape::Sign),
    ("error", ERROR),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestFacts {
    prompt: Object<Nothing>,
    text: Filled,
    texts: Filled,
    temperature: Number,
    candidate_count: Integer,
    max_output_tokens: Integer,
    top_p: Number,
    top_k: Number,
    stop_sequences: Strings,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts>();
    let mut asked = Asked {
        fits: facts.prompt.0.is_some() || facts.text.0 || facts.texts.0,
        fault,
        request: Request {
            temperature: facts.temperature.0,
            max_tokens: facts.max_output_tokens.0,
            top_p: facts.top_p.0,
            top_k: facts.top_k.0,
            choice_count: facts.candidate_count.0.filter(|count| *count != 1),
            stop_sequences: facts.stop_sequences.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let prompt = body.get("prompt").unwrap_or(&Value::Null);
        let text = content::member(prompt, "text");
        let said = content::elements(prompt, "messages");
        let said = said.filter_map(|message| content::member(message, "content"));
        let messages: Vec<_> = text
            .into_iter()
            .chain(said)
            .map(|text| content::message("user", &[content::text(text)]))
            .collect();
        asked.input_messages = (!messages.is_empty()).then(|| json!(messages));
        asked.system_instructions =
            content::member(prompt, "context").map(|text| json!([content::text(text)]));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    candidates: List<Candidate<'a>>,
    /// Why there are no candidates.
    #[serde(borrow)]
    filters: List<Filter<'a>>,
    embedding: Sent,
    embeddings: Sent,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

/// Of a text, or of a message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Candidate<'a> {
    #[serde(borrow)]
    output: Text<'a>,
    #[serde(borrow)]
    content: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter<'a> {
    #[serde(borrow)]
    reason: Text<'a>,
}

#[derive(Debug)]
struct Candidates {
    texts: Texts,
    error: Option<ProviderError>,
    fits: bool,
}

impl Candidates {
    fn new(capture_content: bool) -> Self {
        Self { texts: Texts::new(capture_content), error: None, fits: false }
    }
}

impl Answer for Candidates {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.fits = facts.embedding.0 || facts.embeddings.0 || !facts.filters.0.is_empty();
        for (place, candidate) in facts.candidates.into_objects().enumerate() {
            self.texts.begin(place);
            let text = candidate.output.as_str().or(candidate.content.as_str());
            self.texts.push(place, Kind::Text, text);
        }
        let blocked = facts.filters.into_objects().next().and_then(|it| it.reason.into_filled());
        let blocked = blocked.map(|kind| ProviderError { kind, message: None });
        self.error = error::member(facts.error).or(blocked);
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(true, |reason| reason);
        Answered { error: self.error, fits: answered.fits || self.fits, ..answered }
    }
}
