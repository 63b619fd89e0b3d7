//! Bedrock's flows, and what stands around its models: guardrails applied alone, documents put in order,
//! and calls whose answer comes later in a file.
//! Takes their bodies, and the events of a flow; gives facts and content.

use ::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Answered, Asked, Format, Nothing, Step, Views, content, content::Kind, texts::Texts,
};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Length, List, Object, Text},
    },
    operation::{OperationName, Request, Response},
};

/// Several models and other steps, put together at the provider.
pub(in crate::genai) static FLOW: Format = Format {
    operation: OperationName::InvokeWorkflow,
    flavour: "aws.bedrock",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &EVENT,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Flow::new(capture_content)),
};

/// Judges a text without a model's call.
pub(in crate::genai) static GUARDRAIL: Format =
    Format { operation: OperationName::Moderation, ..FLOW };

pub(in crate::genai) static RERANK: Format = Format { operation: OperationName::Rerank, ..FLOW };

/// `StartAsyncInvoke`: what comes of it is written to a bucket.
pub(in crate::genai) static LATER: Format =
    Format { operation: OperationName::GenerateContent, ..FLOW };

const REQUEST: Shape = Shape::Object(&[
    ("inputs", Shape::Sign),
    ("executionId", Shape::Fact),
    ("source", Shape::Sign),
    ("content", Shape::Sign),
    ("queries", Shape::Sign),
    ("sources", Shape::Sign),
    (
        "rerankingConfiguration",
        Shape::Object(&[(
            "bedrockRerankingConfiguration",
            Shape::Object(&[("modelConfiguration", Shape::Object(&[("modelArn", Shape::Fact)]))]),
        )]),
    ),
    ("modelId", Shape::Fact),
    ("modelInput", Shape::Sign),
]);

const REQUEST_CONTENT: Shape =
    Shape::Object(&[("inputs", Shape::Ends(&Shape::Text)), ("content", Shape::Ends(&Shape::Text))]);

const RESPONSE: Shape = Shape::Object(&[
    ("action", Shape::Fact),
    ("outputs", Shape::Each(&Shape::Object(&[("text", Shape::Text)]))),
    ("results", Shape::Sign),
    ("invocationArn", Shape::Fact),
]);

const EVENT: Shape = Shape::Object(&[
    ("content", Shape::Object(&[("document", Shape::Text)])),
    ("completionReason", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestFacts<'a> {
    inputs: Length,
    #[serde(borrow)]
    execution_id: Text<'a>,
    #[serde(borrow)]
    source: Text<'a>,
    content: Length,
    queries: Length,
    sources: Length,
    #[serde(borrow)]
    reranking_configuration: Object<Reranking<'a>>,
    #[serde(borrow)]
    model_id: Text<'a>,
    model_input: Object<Nothing>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reranking<'a> {
    #[serde(rename = "bedrockRerankingConfiguration", borrow)]
    bedrock: Object<Bedrock<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bedrock<'a> {
    #[serde(rename = "modelConfiguration", borrow)]
    model: Object<Model<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Model<'a> {
    #[serde(rename = "modelArn", borrow)]
    arn: Text<'a>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let judged = facts.source.filled().is_some() && facts.content.0.is_some();
    let ranked = facts.queries.0.is_some() && facts.sources.0.is_some();
    let ranker = facts.reranking_configuration.0.and_then(|it| it.bedrock.0?.model.0);
    let mut asked = Asked {
        fits: facts.inputs.0.is_some() || judged || ranked || facts.model_input.0.is_some(),
        fault,
        request: Request {
            model: facts.model_id.into_filled().or(ranker.and_then(|it| it.arn.into_filled())),
            conversation_id: facts.execution_id.into_filled(),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let inputs = content::elements(&body, "inputs").filter_map(|input| {
            let document = input.get("content")?.get("document")?;
            Some(content::text(&as_text(document)))
        });
        let judged = content::elements(&body, "content")
            .filter_map(|block| content::member(block.get("text")?, "text"))
            .map(content::text);
        let parts: Vec<_> = inputs.chain(judged).collect();
        asked.input_messages =
            (!parts.is_empty()).then(|| json!([content::message("user", &parts)]));
        asked.truncated = truncated;
    }
    asked
}

/// A document is a text, or JSON of any kind.
fn as_text(document: &Value) -> String {
    document.as_str().map_or_else(|| document.to_string(), str::to_owned)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body<'a> {
    /// Of a guardrail: whether it stepped in, and with which texts instead.
    #[serde(borrow)]
    action: Text<'a>,
    #[serde(borrow)]
    outputs: List<Output<'a>>,
    results: Length,
    #[serde(borrow)]
    invocation_arn: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Output<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event<'a> {
    content: Object<Given>,
    #[serde(borrow)]
    completion_reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Given {
    document: Option<Value>,
}

#[derive(Debug)]
struct Flow {
    texts: Texts,
    id: Option<String>,
    conversation_id: Option<String>,
    fits: bool,
    done: bool,
}

impl Flow {
    fn new(capture_content: bool) -> Self {
        let texts = Texts::new(capture_content);
        Self { texts, id: None, conversation_id: None, fits: false, done: false }
    }
}

impl Answer for Flow {
    fn headers(&mut self, headers: &HeaderMap) {
        let execution = headers.get("x-amz-bedrock-flow-execution-id");
        self.conversation_id = execution.and_then(|id| id.to_str().ok()).map(str::to_owned);
    }

    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.done = fault.is_none();
        self.fits = facts.action.filled().is_some()
            || facts.results.0.is_some()
            || facts.invocation_arn.filled().is_some();
        for output in facts.outputs.into_objects() {
            self.texts.push(0, Kind::Text, output.text.filled());
        }
        self.id = facts.invocation_arn.into_filled();
        fault
    }

    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Event<'_>>();
        match name {
            // The flow asks for more input: what it says is a piece of the answer too.
            b"flowOutputEvent" | b"flowMultiTurnInputRequestEvent" => {
                self.fits = true;
                let document = event.content.0.and_then(|content| content.document);
                let piece =
                    self.texts.push(0, Kind::Text, document.as_ref().map(as_text).as_deref());
                if piece { Step::Piece } else { Step::Frame }
            }
            b"flowCompletionEvent" => {
                self.fits = true;
                self.done = true;
                self.texts.end(0, event.completion_reason.into_filled());
                Step::Frame
            }
            _ => Step::Aside,
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(self.done, |reason| match reason {
            "SUCCESS" | "INPUT_REQUIRED" => "stop",
            reason => reason,
        });
        let response =
            Response { id: self.id, conversation_id: self.conversation_id, ..answered.response };
        Answered { response, fits: self.fits, ..answered }
    }
}
