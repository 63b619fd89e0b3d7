//! Replicate's predictions: made, looked at again, and their output streamed.
//! Takes `POST …/predictions` bodies, predictions, and the events of an output's stream.
//! What a model takes and gives is its own: of the input only the usual names are read.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Answered, Asked, Format, Step, Views, content, content::Kind, texts::Texts};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Flag, Integer, Number, Object, Text},
    },
    operation::{OperationName, ProviderError, Request, Response, ServerTimes, Usage},
    server_times::seconds,
};

pub(in crate::genai) static PREDICT: Format = Format {
    operation: OperationName::GenerateContent,
    flavour: "replicate",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &Shape::Skip,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Prediction::new(capture_content, true)),
};

/// A prediction is looked at again, or its output read: what it used was told when it was made, or
/// is told here too, and the conventions want it once.
pub(in crate::genai) static FETCH: Format = Format {
    operation: OperationName::FetchResponse,
    answer: |capture_content| Box::new(Prediction::new(capture_content, false)),
    ..PREDICT
};

const REQUEST: Shape =
    Shape::Object(&[("input", Shape::Fact), ("version", Shape::Fact), ("stream", Shape::Fact)]);

const REQUEST_CONTENT: Shape = Shape::Object(&[(
    "input",
    Shape::Object(&[("prompt", Shape::Text), ("system_prompt", Shape::Text)]),
)]);

const RESPONSE: Shape = Shape::Object(&[
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("status", Shape::Fact),
    ("output", Shape::Text),
    ("error", Shape::Text),
    ("metrics", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts {
    input: Object<Input>,
    stream: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Input {
    max_tokens: Integer,
    max_new_tokens: Integer,
    temperature: Number,
    top_p: Number,
    top_k: Number,
    seed: Integer,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts>();
    let fits = facts.input.0.is_some();
    let input = facts.input.0.unwrap_or_default();
    let mut asked = Asked {
        fits,
        fault,
        request: Request {
            stream: facts.stream.0 == Some(true),
            max_tokens: input.max_tokens.0.or(input.max_new_tokens.0),
            temperature: input.temperature.0,
            top_p: input.top_p.0,
            top_k: input.top_k.0,
            seed: input.seed.0,
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let input = body.get("input").unwrap_or(&Value::Null);
        asked.input_messages = content::member(input, "prompt")
            .map(|text| json!([content::message("user", &[content::text(text)])]));
        asked.system_instructions = content::member(input, "system_prompt")
            .filter(|text| !text.is_empty())
            .map(|text| json!([content::text(text)]));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    /// A text, a list of its pieces, addresses of files, or what else the model gives.
    output: Option<Value>,
    #[serde(borrow)]
    error: Text<'a>,
    metrics: Object<Metrics>,
}

/// Counted for language models alone.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Metrics {
    input_token_count: Count,
    output_token_count: Count,
    /// In seconds: that the model ran, and since the prediction was made.
    predict_time: Number,
    total_time: Number,
    time_to_first_token: Number,
}

#[derive(Debug)]
struct Prediction {
    texts: Texts,
    response: Response,
    usage: Usage,
    times: ServerTimes,
    error: Option<ProviderError>,
    counts: bool,
    done: bool,
    fits: bool,
}

impl Prediction {
    fn new(capture_content: bool, counts: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            response: Response::default(),
            usage: Usage::default(),
            times: ServerTimes::default(),
            error: None,
            counts,
            done: false,
            fits: false,
        }
    }
}

impl Answer for Prediction {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        // A prediction that has only begun has nothing that could be cut.
        self.done = true;
        self.fits = facts.id.filled().is_some() && facts.status.filled().is_some();
        if matches!(facts.status.as_str(), Some("failed" | "canceled" | "aborted")) {
            let kind = facts.status.into_filled().unwrap_or_default();
            self.error = Some(ProviderError { kind, message: facts.error.into_filled() });
        }
        self.response.id = facts.id.into_filled();
        self.response.model = facts.model.into_filled();
        match facts.output {
            Some(Value::String(text)) => {
                self.texts.push(0, Kind::Text, Some(&text));
            }
            Some(Value::Array(pieces)) => {
                for piece in pieces.iter().filter_map(Value::as_str) {
                    self.texts.push(0, Kind::Text, Some(piece));
                }
            }
            _ => {}
        }
        if self.counts {
            let metrics = facts.metrics.0.unwrap_or_default();
            self.times = ServerTimes {
                inference: metrics.predict_time.0.and_then(seconds),
                total: metrics.total_time.0.and_then(seconds),
                first_token: metrics.time_to_first_token.0.and_then(seconds),
                ..ServerTimes::default()
            };
            self.usage.input_tokens = metrics.input_token_count.0;
            self.usage.output_tokens = metrics.output_token_count.0;
        }
        fault
    }

    /// Of an output's stream: the data of `output` is the text itself, no JSON.
    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        let text = data.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        match name {
            b"output" => {
                self.fits = true;
                let piece = self.texts.push(0, Kind::Text, text.as_deref());
                if piece { Step::Piece } else { Step::Frame }
            }
            b"error" => {
                self.error = Some(ProviderError { kind: String::new(), message: text });
                Step::Aside
            }
            b"done" => {
                self.done = true;
                Step::Frame
            }
            _ => Step::Aside,
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn server_times(&self) -> ServerTimes {
        self.times
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(self.done, |reason| reason);
        let response =
            Response { id: self.response.id, model: self.response.model, ..answered.response };
        Answered { response, usage: self.usage, error: self.error, fits: self.fits, ..answered }
    }
}
