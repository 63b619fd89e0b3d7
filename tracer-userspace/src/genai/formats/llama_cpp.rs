//! The llama.cpp server's own completion API.
//! Takes `POST /completion` and `/infill` bodies, answers and events; gives facts and content.
//! The last event carries reason and counts; there is no other end mark.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Answer, Answered, Asked, Format, Step, Views, content,
    content::Kind,
    error::{self, ERROR, ErrorMember},
    texts::Texts,
    times::Timings,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Filled, Flag, Integer, Number, Object, Strings, Text},
    },
    operation::{OperationName, ProviderError, Request, Response, ServerTimes, Usage},
};

pub(in crate::genai) static COMPLETION: Format = Format {
    operation: OperationName::TextCompletion,
    flavour: "llama_cpp",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &RESPONSE,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Completion::new(capture_content)),
};

const REQUEST: Shape = Shape::Object(&[
    ("prompt", Shape::Sign),
    ("input_prefix", Shape::Sign),
    ("input_suffix", Shape::Sign),
    ("model", Shape::Fact),
    ("stream", Shape::Fact),
    ("n_predict", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("top_k", Shape::Fact),
    ("seed", Shape::Fact),
    ("stop", Shape::Fact),
    ("frequency_penalty", Shape::Fact),
    ("presence_penalty", Shape::Fact),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("prompt", Shape::Text),
    ("input_prefix", Shape::Text),
    ("input_suffix", Shape::Text),
]);

const RESPONSE: Shape = Shape::Object(&[
    ("content", Shape::Text),
    ("model", Shape::Fact),
    ("stop", Shape::Fact),
    ("stop_type", Shape::Fact),
    ("tokens_evaluated", Shape::Fact),
    ("tokens_predicted", Shape::Fact),
    ("timings", Shape::Fact),
    ("error", ERROR),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    prompt: Filled,
    input_prefix: Filled,
    input_suffix: Filled,
    #[serde(borrow)]
    model: Text<'a>,
    stream: Flag,
    n_predict: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    seed: Integer,
    stop: Strings,
    frequency_penalty: Number,
    presence_penalty: Number,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let mut asked = Asked {
        fits: facts.prompt.0 || facts.input_prefix.0 || facts.input_suffix.0,
        fault,
        request: Request {
            model: facts.model.into_filled(),
            stream: facts.stream.0 == Some(true),
            // -1 is "until the end".
            max_tokens: facts.n_predict.0.filter(|count| *count >= 0),
            temperature: facts.temperature.0,
            top_p: facts.top_p.0,
            top_k: facts.top_k.0,
            // -1 is "any".
            seed: facts.seed.0.filter(|seed| *seed >= 0),
            stop_sequences: facts.stop.0,
            frequency_penalty: facts.frequency_penalty.0,
            presence_penalty: facts.presence_penalty.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let parts: Vec<_> = ["input_prefix", "prompt", "input_suffix"]
            .iter()
            .filter_map(|name| content::member(&body, name))
            .filter(|text| !text.is_empty())
            .map(content::text)
            .collect();
        asked.input_messages =
            (!parts.is_empty()).then(|| Value::Array(vec![content::message("user", &parts)]));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    stop: Flag,
    #[serde(borrow)]
    stop_type: Text<'a>,
    tokens_evaluated: Count,
    tokens_predicted: Count,
    timings: Object<Timings>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug)]
struct Completion {
    texts: Texts,
    model: Option<String>,
    usage: Usage,
    times: ServerTimes,
    error: Option<ProviderError>,
    done: bool,
}

impl Completion {
    fn new(capture_content: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            model: None,
            usage: Usage::default(),
            times: ServerTimes::default(),
            error: None,
            done: false,
        }
    }

    fn take(&mut self, body: Body<'_>) -> Step {
        if let Some(error) = error::member(body.error) {
            self.error.get_or_insert(error);
            return Step::Aside;
        }
        let (Some(text), Some(stop)) = (body.content.as_str(), body.stop.0) else {
            return Step::Aside;
        };
        let timings = body.timings.0.unwrap_or_default();
        self.times = timings.times().or(self.times);
        self.texts.begin(0);
        let piece = self.texts.push(0, Kind::Text, Some(text));
        if stop {
            self.done = true;
            self.model = body.model.into_filled();
            self.texts.end(0, body.stop_type.into_filled().filter(|kind| kind != "none"));
            self.usage = Usage {
                input_tokens: body.tokens_evaluated.0,
                output_tokens: body.tokens_predicted.0,
                cache_read_input_tokens: timings.cache_n.0,
                ..Usage::default()
            };
        }
        if piece { Step::Piece } else { Step::Frame }
    }
}

impl Answer for Completion {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.take(facts);
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (facts, _) = data.facts::<Body<'_>>();
        self.take(facts)
    }

    fn done(&self) -> bool {
        self.done
    }

    fn server_times(&self) -> ServerTimes {
        self.times
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(self.done, finish_reason);
        let response = Response { model: self.model, ..answered.response };
        Answered { response, usage: self.usage, error: self.error, ..answered }
    }
}

fn finish_reason(reason: &str) -> &str {
    match reason {
        "eos" | "word" => "stop",
        "limit" => "length",
        reason => reason,
    }
}
