//! Reranking: documents put in order by a query. Cohere's form of it, which Voyage, Jina, vLLM and others took over.
//! Takes `POST …/{rerank,score,ranking}` bodies; gives model and what was counted. Documents and scores are stepped over.
//! A total of tokens alone is no count of the input, so it is not taken for one.

use serde::Deserialize;

use super::{
    Answer, Answered, Asked, Format, Step, Views,
    error::{self, ERROR, ErrorMember},
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Length, List, Number, Object, Sent, Text},
    },
    operation::{OperationName, Request, Response, Usage},
};

pub(in crate::genai) static RERANK: Format = Format {
    operation: OperationName::Rerank,
    flavour: "cohere",
    api_type: None,
    request: Views { facts: &REQUEST, content: &Shape::Skip },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &Shape::Skip,
    streams_values: false,
    read_request,
    answer: |_| Box::new(Ranking::default()),
};

/// vLLM's scores of texts against each other.
pub(in crate::genai) static SCORE: Format = Format { flavour: "vllm", ..RERANK };

/// Text Embeddings Inference: documents are `texts`, and the answer is the list alone.
pub(in crate::genai) static TEI: Format = Format {
    flavour: "huggingface",
    response: Views { facts: &Shape::Each(&RESULT), content: &Shape::Skip },
    answer: |_| Box::new(Scored::default()),
    ..RERANK
};

const REQUEST: Shape = Shape::Object(&[
    ("model", Shape::Fact),
    ("query", Shape::Sign),
    ("documents", Shape::Sign),
    ("texts", Shape::Sign),
    ("passages", Shape::Sign),
    ("queries", Shape::Sign),
    ("text_1", Shape::Sign),
    ("text_2", Shape::Sign),
    ("data_1", Shape::Sign),
    ("data_2", Shape::Sign),
    ("top_n", Shape::Fact),
    ("top_k", Shape::Fact),
]);

const RESULT: Shape = Shape::Object(&[
    ("index", Shape::Fact),
    ("relevance_score", Shape::Fact),
    ("score", Shape::Fact),
]);

const RESPONSE: Shape = Shape::Object(&[
    ("id", Shape::Fact),
    ("model", Shape::Fact),
    ("results", Shape::Sign),
    ("data", Shape::Sign),
    ("rankings", Shape::Sign),
    ("usage", Shape::Fact),
    ("meta", Shape::Fact),
    ("error", ERROR),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    /// A text; of NVIDIA an object with one.
    query: Sent,
    documents: Sent,
    texts: Sent,
    passages: Sent,
    /// Of vLLM's scores: one against one, or each of the one side against one of the other.
    queries: Sent,
    text_1: Sent,
    text_2: Sent,
    data_1: Sent,
    data_2: Sent,
    top_n: Number,
    top_k: Number,
}

fn read_request(body: &mut Document) -> Asked {
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let asked = [facts.query, facts.queries, facts.text_1, facts.data_1];
    let among = [facts.documents, facts.texts, facts.passages, facts.text_2, facts.data_2];
    Asked {
        fits: asked.iter().any(|it| it.0) && among.iter().any(|it| it.0),
        fault,
        request: Request {
            model: facts.model.into_filled(),
            top_k: facts.top_n.0.or(facts.top_k.0),
            ..Request::default()
        },
        ..Asked::default()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    results: Length,
    data: Length,
    /// NVIDIA's.
    rankings: Length,
    usage: Object<Tokens>,
    meta: Object<Meta>,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    billed_units: Object<Units>,
    tokens: Object<Units>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Units {
    input_tokens: Count,
    output_tokens: Count,
}

#[derive(Debug, Default)]
struct Ranking {
    answered: Answered,
}

impl Answer for Ranking {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        let meta = facts.meta.0.unwrap_or_default();
        let billed = meta.billed_units.0.unwrap_or_default();
        let tokens = meta.tokens.0.unwrap_or_default();
        let prompt = facts.usage.0.unwrap_or_default().prompt_tokens.0;
        self.answered = Answered {
            fits: facts.results.0.or(facts.data.0).or(facts.rankings.0).is_some(),
            response: Response {
                id: facts.id.into_filled(),
                model: facts.model.into_filled(),
                ..Response::default()
            },
            usage: Usage {
                input_tokens: billed.input_tokens.0.or(tokens.input_tokens.0).or(prompt),
                output_tokens: billed.output_tokens.0.or(tokens.output_tokens.0),
                ..Usage::default()
            },
            error: error::member(facts.error),
            ..Answered::default()
        };
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        self.answered
    }
}

#[derive(Debug, Default)]
struct Scored {
    fits: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct Scores(List<Score>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Score {
    index: Count,
    score: Number,
}

impl Answer for Scored {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (scores, fault) = body.facts::<Scores>();
        let mut scores = scores.0.into_objects();
        self.fits =
            scores.next().is_some_and(|first| first.index.0.is_some() && first.score.0.is_some());
        fault
    }

    fn event(&mut self, _name: &[u8], _data: &mut Document) -> Step {
        Step::Aside
    }

    fn finish(self: Box<Self>) -> Answered {
        Answered { fits: self.fits, ..Answered::default() }
    }
}
