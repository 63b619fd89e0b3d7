//! SGLang's own generation API.
//! Takes `POST /generate` bodies, answers and events that repeat the text so far; gives facts and content.
//! Every event carries the counts so far.

use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Answered, Asked, Format, Step, Views, content,
    error::{self, ErrorMember},
    texts::Texts,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Filled, Flag, Integer, Number, Object, Several, Strings, Text, TextOr},
    },
    operation::{OperationName, ProviderError, Request, Response, Usage},
};

pub(in crate::genai) static GENERATE: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "sglang",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    // One object, or a list of them.
    response: Views { facts: &Shape::Text, content: &Shape::Skip },
    event: &Shape::Text,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Generation::new(capture_content)),
};

const REQUEST: Shape = Shape::Object(&[
    ("text", Shape::Sign),
    ("input_ids", Shape::Sign),
    ("sampling_params", Shape::Fact),
    ("stream", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[("text", Shape::Text)]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts {
    text: Filled,
    input_ids: Filled,
    sampling_params: Object<Parameters>,
    stream: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    max_new_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    sampling_seed: Integer,
    stop: Strings,
    frequency_penalty: Number,
    presence_penalty: Number,
    n: Integer,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts>();
    let parameters = facts.sampling_params.0.unwrap_or_default();
    let mut asked = Asked {
        fits: facts.text.0 || facts.input_ids.0,
        fault,
        request: Request {
            stream: facts.stream.0 == Some(true),
            max_tokens: parameters.max_new_tokens.0,
            temperature: parameters.temperature.0,
            top_p: parameters.top_p.0,
            top_k: parameters.top_k.0,
            seed: parameters.sampling_seed.0,
            stop_sequences: parameters.stop.0,
            frequency_penalty: parameters.frequency_penalty.0,
            presence_penalty: parameters.presence_penalty.0,
            choice_count: parameters.n.0.filter(|count| *count != 1),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        asked.input_messages = content::member(&body, "text")
            .map(|text| json!([content::message("user", &[content::text(text)])]));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    meta_info: Object<Meta<'a>>,
    /// Of a batch in a stream: which text this is of.
    index: Count,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    finish_reason: TextOr<'a, Reason<'a>>,
    prompt_tokens: Count,
    completion_tokens: Count,
    cached_tokens: Count,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Reason<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
}

#[derive(Debug)]
struct Generation {
    texts: Texts,
    /// Of each text, as the last event or the answer told them.
    counts: Vec<Usage>,
    id: Option<String>,
    error: Option<ProviderError>,
    done: bool,
}

impl Generation {
    fn new(capture_content: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            counts: Vec::new(),
            id: None,
            error: None,
            done: false,
        }
    }

    fn take(&mut self, place: usize, body: Body<'_>) -> Step {
        if let Some(error) = error::member(body.error) {
            self.error.get_or_insert(error);
            return Step::Aside;
        }
        let Some(meta) = body.meta_info.0 else { return Step::Aside };
        if let Some(text) = body.text.as_str() {
            self.texts.replace(place, text);
        }
        self.texts.end(
            place,
            match meta.finish_reason {
                TextOr::Text(reason) => Some(reason.into_owned()),
                TextOr::Object(reason) => reason.kind.into_filled(),
                TextOr::Neither => None,
            },
        );
        if self.id.is_none() {
            self.id = meta.id.into_filled();
        }
        if place < super::texts::MAX_TEXTS {
            if self.counts.len() <= place {
                self.counts.resize(place + 1, Usage::default());
            }
            self.counts[place] = Usage {
                input_tokens: meta.prompt_tokens.0,
                output_tokens: meta.completion_tokens.0,
                cache_read_input_tokens: meta.cached_tokens.0,
                ..Usage::default()
            };
        }
        if body.text.filled().is_some() { Step::Piece } else { Step::Frame }
    }
}

impl Answer for Generation {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (bodies, fault) = body.facts::<Several<Body<'_>>>();
        self.done = fault.is_none();
        for (place, body) in bodies.into_objects().enumerate() {
            self.take(place, body);
        }
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        if data.bytes().is_some_and(|bytes| bytes.trim_ascii() == b"[DONE]") {
            self.done = true;
            return Step::Aside;
        }
        let (body, _) = data.facts::<Body<'_>>();
        let place = body.index.0.and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        self.take(place, body)
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let sum = |of: fn(&Usage) -> Option<u64>| {
            self.counts.iter().filter_map(of).reduce(u64::saturating_add)
        };
        let usage = Usage {
            input_tokens: sum(|usage| usage.input_tokens),
            output_tokens: sum(|usage| usage.output_tokens),
            cache_read_input_tokens: sum(|usage| usage.cache_read_input_tokens),
            ..Usage::default()
        };
        let answered = self.texts.finish(self.done, |reason| reason);
        let response = Response { id: self.id, ..answered.response };
        Answered { response, usage, error: self.error, ..answered }
    }
}
