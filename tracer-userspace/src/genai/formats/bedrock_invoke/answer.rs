//! Folds a model vendor's answer on Bedrock into what it said.
//! Takes whole bodies, or chunks with a vendor's JSON in base64; gives [`Answered`].
//! Anthropic's, OpenAI's and Converse's shapes are read by their own modules. Counts that the body lacks
//! are taken from Bedrock's headers or its metrics.

use ::http::HeaderMap;
use base64::{Engine, prelude::BASE64_STANDARD};

use super::wire::{Body, Chunk, Listed, Metrics, Signs};
use crate::genai::{
    formats::{
        Answer, Answered, Step, anthropic, bedrock_converse,
        content::{self, Kind, Parts},
        openai_chat,
    },
    json::{Document, Fault, Shape, Shapes, lax::Text},
    operation::{OperationName, Response, ServerTimes, Usage},
    server_times::milliseconds,
};

/// Answers told apart in one body.
const MAX_ANSWERS: usize = 16;

#[derive(Debug)]
pub(super) struct Invoke {
    capture_content: bool,
    /// The format of another module that the answer turned out to be in.
    other: Option<Box<dyn Answer>>,
    converse: Option<Box<bedrock_converse::answer::Converse>>,
    response: Response,
    usage: Usage,
    /// Bedrock's own counts.
    counted: Usage,
    times: ServerTimes,
    answers: Vec<Chosen>,
    streamed: bool,
    /// The model's own count came: a stop reason that is not there was not sent.
    done: bool,
    fits: bool,
    overflow: bool,
    /// What the answer shows that it was, where the request does not.
    operation: Option<OperationName>,
}

#[derive(Debug, Default)]
struct Chosen {
    reason: Option<String>,
    parts: Parts,
}

impl Answer for Invoke {
    fn headers(&mut self, headers: &HeaderMap) {
        let count = |name: &str| {
            headers.get(format!("x-amzn-bedrock-{name}-token-count"))?.to_str().ok()?.parse().ok()
        };
        self.counted = Usage {
            input_tokens: count("input"),
            output_tokens: count("output"),
            cache_read_input_tokens: count("cache-read-input"),
            cache_write_input_tokens: count("cache-write-input"),
            ..Usage::default()
        };
    }

    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (signs, fault) = body.facts::<Signs<'_>>();
        if signs.output.0.is_some() {
            let capture_content = self.capture_content;
            return self
                .converse
                .insert(Box::new(bedrock_converse::answer::Converse::new(capture_content)))
                .whole(body);
        }
        if let Some(other) = self.other_format(&signs) {
            return other.whole(body);
        }
        let (facts, _) = body.facts::<Body<'_>>();
        self.take(facts);
        fault
    }

    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        if name != b"chunk" {
            return Step::Aside;
        }
        let (chunk, _) = data.facts::<Chunk<'_>>();
        let Some(bytes) = chunk.bytes.as_str().and_then(|bytes| BASE64_STANDARD.decode(bytes).ok())
        else {
            return Step::Aside;
        };
        self.streamed = true;
        // Whichever vendor's it is: the chunk is small, so all of it may be kept.
        let mut inner = Document::new(Shapes { facts: &Shape::Text, content: None });
        inner.push(&bytes);
        let (body, _) = inner.facts::<Body<'_>>();
        let metrics = body.metrics.0;
        let step = self.chunk(body);
        if let Some(metrics) = metrics {
            self.counted = metrics.usage();
            self.times = metrics.times();
            self.done = true;
        }
        if let Some(step) = step {
            return step;
        }
        let (signs, _) = inner.facts::<Signs<'_>>();
        match self.other_format(&signs) {
            Some(other) => other.event(b"", &mut inner),
            None => {
                let (body, _) = inner.facts::<Body<'_>>();
                if self.take(body) { Step::Piece } else { Step::Frame }
            }
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn server_times(&self) -> ServerTimes {
        self.times
    }

    fn finish(mut self: Box<Self>) -> Answered {
        let other = match self.converse.take() {
            Some(converse) => Some(converse as Box<dyn Answer>),
            None => self.other.take(),
        };
        let mut answered = match other {
            Some(other) => other.finish(),
            None => self.own(),
        };
        let usage = &mut answered.usage;
        for (told, counted) in [
            (&mut usage.input_tokens, self.counted.input_tokens),
            (&mut usage.output_tokens, self.counted.output_tokens),
            (&mut usage.cache_read_input_tokens, self.counted.cache_read_input_tokens),
            (&mut usage.cache_write_input_tokens, self.counted.cache_write_input_tokens),
        ] {
            *told = told.or(counted);
        }
        answered
    }
}

impl Invoke {
    pub(super) fn new(capture_content: bool) -> Self {
        Self {
            capture_content,
            other: None,
            converse: None,
            response: Response::default(),
            usage: Usage::default(),
            counted: Usage::default(),
            times: ServerTimes::default(),
            answers: Vec::new(),
            streamed: false,
            done: false,
            fits: false,
            overflow: false,
            operation: None,
        }
    }

    /// The reader of another module's format, if the answer is in one.
    fn other_format(&mut self, signs: &Signs<'_>) -> Option<&mut Box<dyn Answer>> {
        if self.other.is_none() {
            let format = if signs.kind.as_str().is_some() || signs.completion.as_str().is_some() {
                &anthropic::MESSAGES
            } else if signs.choices.0 {
                &openai_chat::FORMAT
            } else {
                return None;
            };
            self.other = Some((format.answer)(self.capture_content));
        }
        self.other.as_mut()
    }

    /// Nova's chunks: Converse's events, each under its name.
    fn chunk(&mut self, body: Body<'_>) -> Option<Step> {
        let (name, event) = [
            ("messageStart", body.message_start.0),
            ("contentBlockStart", body.block_start.0),
            ("contentBlockDelta", body.block_delta.0),
            ("contentBlockStop", body.block_stop.0),
            ("messageStop", body.message_stop.0),
            ("metadata", body.metadata.0),
        ]
        .into_iter()
        .find_map(|(name, event)| Some((name, event?)))?;
        let capture_content = self.capture_content;
        let converse = self.converse.get_or_insert_with(|| {
            Box::new(bedrock_converse::answer::Converse::new(capture_content))
        });
        Some(converse.step(name.as_bytes(), event))
    }

    /// Folds a body or chunk of the other vendors in; gives whether it carried text.
    fn take(&mut self, body: Body<'_>) -> bool {
        let ids = [body.id, body.generation_id, body.response_id];
        if self.response.id.is_none() {
            self.response.id = ids.into_iter().find_map(Text::into_filled);
        }
        let mut tokens = None;
        let mut piece = false;
        let lists = [body.results, body.outputs, body.generations, body.completions];
        for list in lists {
            for (place, listed) in list.into_objects().enumerate() {
                if listed.relevance_score.0.is_some() {
                    self.fits = true;
                    continue;
                }
                if let Some(count) = listed.tokens.0 {
                    tokens = Some(count.saturating_add(tokens.unwrap_or(0)));
                }
                piece |= self.listed(place, listed);
            }
        }
        // The end of Cohere's stream repeats the whole text.
        let repeats = body.event_type.as_str() == Some("stream-end");
        let text = [&body.output_text, &body.generation, &body.text];
        let text = text.into_iter().find_map(Text::filled).filter(|_| !repeats);
        let reasons = [&body.completion_reason, &body.stop_reason, &body.finish_reason];
        let reason = reasons.into_iter().find_map(Text::filled);
        if text.is_some() || reason.is_some() {
            piece |= self.answer(0, text, reason);
        }
        if body.embedding.0 || body.embeddings.0 {
            self.operation = Some(OperationName::Embeddings);
        } else if body.images.0 || body.artifacts.0 {
            self.operation = Some(OperationName::GenerateContent);
        }
        self.fits |= !self.answers.is_empty() || self.operation.is_some();
        for (known, told) in [
            (&mut self.usage.input_tokens, body.input_text_tokens.0.or(body.prompt_token_count.0)),
            (
                &mut self.usage.output_tokens,
                tokens.or(body.total_output_tokens.0).or(body.generation_token_count.0),
            ),
        ] {
            *known = told.or(*known);
        }
        self.done |= body.total_output_tokens.0.is_some();
        piece
    }

    fn listed(&mut self, place: usize, listed: Listed<'_>) -> bool {
        let data = listed.data.0.unwrap_or_default();
        let finish = listed.finish.0.unwrap_or_default();
        let text = [&listed.text, &listed.output_text, &data.text];
        let reasons =
            [&listed.completion_reason, &listed.stop_reason, &listed.finish_reason, &finish.reason];
        let text = text.into_iter().find_map(Text::filled);
        self.answer(place, text, reasons.into_iter().find_map(Text::filled))
    }

    fn answer(&mut self, place: usize, text: Option<&str>, reason: Option<&str>) -> bool {
        if place >= MAX_ANSWERS {
            self.overflow = true;
            return false;
        }
        if self.answers.len() <= place {
            self.answers.resize_with(place + 1, Chosen::default);
        }
        let known = &mut self.answers[place];
        if let Some(reason) = reason {
            known.reason = Some(reason.to_owned());
        }
        if let Some(text) = text
            && self.capture_content
        {
            known.parts.push(Kind::Text, text);
        }
        text.is_some()
    }

    fn own(&mut self) -> Answered {
        let told = self.answers.iter().any(|answer| answer.reason.is_some());
        let expected = told || (self.streamed && !self.done);
        self.response.finish_reasons = self
            .answers
            .iter()
            .filter(|_| expected)
            .map(|answer| answer.reason.clone().unwrap_or_else(|| "error".to_owned()))
            .collect();
        let mut truncated = false;
        let messages = self
            .answers
            .iter_mut()
            .map(|answer| {
                let (parts, cut) = answer.parts.take();
                truncated |= cut;
                content::output("assistant", &parts, answer.reason.as_deref().unwrap_or("error"))
            })
            .collect();
        Answered {
            response: std::mem::take(&mut self.response),
            usage: self.usage,
            error: None,
            output_messages: self.capture_content.then_some(messages),
            truncated,
            overflow: self.overflow,
            fits: self.fits,
            operation: self.operation,
        }
    }
}

impl Metrics {
    fn times(self) -> ServerTimes {
        ServerTimes {
            total: self.invocation_latency.0.and_then(milliseconds),
            first_token: self.first_byte_latency.0.and_then(milliseconds),
            ..ServerTimes::default()
        }
    }

    fn usage(self) -> Usage {
        Usage {
            input_tokens: self.input_token_count.0,
            output_tokens: self.output_token_count.0,
            cache_read_input_tokens: self.cache_read_input_token_count.0,
            cache_write_input_tokens: self.cache_write_input_token_count.0,
            ..Usage::default()
        }
    }
}
