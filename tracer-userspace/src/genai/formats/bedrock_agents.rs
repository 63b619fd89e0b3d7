//! Bedrock's agent runtime: agents, answers from knowledge bases, and retrieval alone.
//! Takes bodies and the events of `InvokeAgent` and `RetrieveAndGenerateStream`; gives facts and content.
//! Counts stand in the trace of each model that the agent asked, if the client asked for the trace.

use ::http::HeaderMap;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Answered, Asked, Format, Step, Views, content, content::Kind, texts::Texts};
use crate::genai::{
    json::{
        Document, Fault, Shape,
        lax::{Count, Length, List, Number, Object, Text},
    },
    operation::{Agent, OperationName, Request, Response, Usage},
};

pub(in crate::genai) static AGENT: Format = Format {
    operation: OperationName::InvokeAgent,
    flavour: "aws.bedrock",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RESPONSE, content: &Shape::Skip },
    event: &EVENT,
    streams_values: false,
    read_request,
    answer: |capture_content| Box::new(Run::new(capture_content)),
};

/// A model answers from what a knowledge base gives.
pub(in crate::genai) static GENERATE: Format = Format { operation: OperationName::Chat, ..AGENT };

pub(in crate::genai) static RETRIEVE: Format =
    Format { operation: OperationName::Retrieval, ..AGENT };

const KNOWLEDGE: Shape =
    Shape::Object(&[("knowledgeBaseId", Shape::Fact), ("modelArn", Shape::Fact)]);

const REQUEST: Shape = Shape::Object(&[
    ("inputText", Shape::Sign),
    ("input", Shape::Sign),
    ("retrievalQuery", Shape::Sign),
    (
        "retrievalConfiguration",
        Shape::Object(&[(
            "vectorSearchConfiguration",
            Shape::Object(&[("numberOfResults", Shape::Fact)]),
        )]),
    ),
    ("sessionId", Shape::Fact),
    ("foundationModel", Shape::Fact),
    ("agentName", Shape::Fact),
    (
        "retrieveAndGenerateConfiguration",
        Shape::Object(&[
            ("knowledgeBaseConfiguration", KNOWLEDGE),
            ("externalSourcesConfiguration", KNOWLEDGE),
        ]),
    ),
]);

const TEXT: Shape = Shape::Object(&[("text", Shape::Text)]);

const REQUEST_CONTENT: Shape =
    Shape::Object(&[("inputText", Shape::Text), ("input", TEXT), ("instruction", Shape::Text)]);

const RESPONSE: Shape = Shape::Object(&[
    ("output", TEXT),
    ("sessionId", Shape::Fact),
    ("retrievalResults", Shape::Sign),
]);

const USAGE: Shape = Shape::Object(&[("metadata", Shape::Object(&[("usage", Shape::Fact)]))]);

const ASKED: Shape = Shape::Object(&[("modelInvocationOutput", USAGE)]);

const EVENT: Shape = Shape::Object(&[
    ("bytes", Shape::Text),
    ("text", Shape::Text),
    ("sessionId", Shape::Fact),
    (
        "invocationInputs",
        Shape::Each(&Shape::Object(&[(
            "functionInvocationInput",
            Shape::Object(&[("function", Shape::Fact), ("parameters", Shape::Text)]),
        )])),
    ),
    (
        "trace",
        Shape::Object(&[
            ("preProcessingTrace", ASKED),
            ("orchestrationTrace", ASKED),
            ("postProcessingTrace", ASKED),
            ("routingClassifierTrace", ASKED),
        ]),
    ),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestFacts<'a> {
    #[serde(borrow)]
    input_text: Text<'a>,
    input: Object<super::Nothing>,
    retrieval_query: Object<super::Nothing>,
    retrieval_configuration: Object<Retrieval>,
    #[serde(borrow)]
    session_id: Text<'a>,
    /// Of an agent that the request defines itself.
    #[serde(borrow)]
    foundation_model: Text<'a>,
    #[serde(borrow)]
    agent_name: Text<'a>,
    #[serde(rename = "retrieveAndGenerateConfiguration", borrow)]
    configuration: Object<Configuration<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Retrieval {
    #[serde(rename = "vectorSearchConfiguration")]
    vectors: Object<Search>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Search {
    #[serde(rename = "numberOfResults")]
    results: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration<'a> {
    #[serde(rename = "knowledgeBaseConfiguration", borrow)]
    base: Object<Knowledge<'a>>,
    #[serde(rename = "externalSourcesConfiguration", borrow)]
    sources: Object<Knowledge<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Knowledge<'a> {
    #[serde(borrow)]
    knowledge_base_id: Text<'a>,
    #[serde(borrow)]
    model_arn: Text<'a>,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let configuration = facts.configuration.0.unwrap_or_default();
    let base = configuration.base.0.or(configuration.sources.0).unwrap_or_default();
    let mut asked = Asked {
        fits: facts.input_text.as_str().is_some()
            || facts.input.0.is_some()
            || facts.retrieval_query.0.is_some(),
        fault,
        request: Request {
            model: base.model_arn.into_filled().or(facts.foundation_model.into_filled()),
            agent: Agent { name: facts.agent_name.into_filled(), ..Agent::default() },
            top_k: facts.retrieval_configuration.0.and_then(|it| it.vectors.0?.results.0),
            data_source_id: base.knowledge_base_id.into_filled(),
            conversation_id: facts.session_id.into_filled(),
            ..Request::default()
        },
        ..Asked::default()
    };
    if let Some((body, truncated)) = content {
        let input = body.get("input").unwrap_or(&Value::Null);
        asked.input_messages = content::member(&body, "inputText")
            .or_else(|| content::member(input, "text"))
            .map(|text| json!([content::message("user", &[content::text(text)])]));
        asked.system_instructions =
            content::member(&body, "instruction").map(|text| json!([content::text(text)]));
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    output: Object<Output<'a>>,
    #[serde(borrow)]
    session_id: Text<'a>,
    retrieval_results: Length,
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
    /// Text of an agent, in base64.
    #[serde(borrow)]
    bytes: Text<'a>,
    /// Text from a knowledge base.
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    session_id: Text<'a>,
    trace: Object<Trace>,
    /// Functions that the client is to call.
    #[serde(borrow)]
    invocation_inputs: List<Invocation<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Invocation<'a> {
    #[serde(rename = "functionInvocationInput", borrow)]
    function: Object<Function<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(rename = "function", borrow)]
    name: Text<'a>,
    parameters: Option<Value>,
}

/// One of them is there.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Trace {
    #[serde(rename = "preProcessingTrace")]
    before: Object<Invoked>,
    #[serde(rename = "orchestrationTrace")]
    orchestration: Object<Invoked>,
    #[serde(rename = "postProcessingTrace")]
    after: Object<Invoked>,
    #[serde(rename = "routingClassifierTrace")]
    routing: Object<Invoked>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Invoked {
    #[serde(rename = "modelInvocationOutput")]
    output: Object<Described>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Described {
    metadata: Object<Metadata>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    usage: Object<Tokens>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
}

impl Trace {
    fn tokens(self) -> Option<Tokens> {
        let traces = [self.before, self.orchestration, self.after, self.routing];
        traces.into_iter().find_map(|trace| trace.0?.output.0?.metadata.0?.usage.0)
    }
}

#[derive(Debug)]
struct Run {
    texts: Texts,
    usage: Usage,
    conversation_id: Option<String>,
    fits: bool,
}

impl Run {
    fn new(capture_content: bool) -> Self {
        Self {
            texts: Texts::new(capture_content),
            usage: Usage::default(),
            conversation_id: None,
            fits: false,
        }
    }
}

impl Answer for Run {
    fn headers(&mut self, headers: &HeaderMap) {
        let session = headers.get("x-amz-bedrock-agent-session-id");
        self.conversation_id = session.and_then(|id| id.to_str().ok()).map(str::to_owned);
    }

    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.conversation_id = facts.session_id.into_filled().or(self.conversation_id.take());
        self.fits = facts.output.0.is_some() || facts.retrieval_results.0.is_some();
        let output = facts.output.0.unwrap_or_default();
        self.texts.push(0, Kind::Text, output.text.filled());
        fault
    }

    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Event<'_>>();
        self.fits = true;
        if self.conversation_id.is_none() {
            self.conversation_id = event.session_id.into_filled();
        }
        match name {
            b"chunk" => {
                let bytes = event.bytes.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
                let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let piece = self.texts.push(0, Kind::Text, text.as_deref());
                if piece { Step::Piece } else { Step::Frame }
            }
            b"output" => {
                let piece = self.texts.push(0, Kind::Text, event.text.as_str());
                if piece { Step::Piece } else { Step::Frame }
            }
            b"returnControl" => {
                let functions =
                    event.invocation_inputs.into_objects().filter_map(|it| it.function.0);
                for function in functions {
                    let arguments = function.parameters.map(|it| it.to_string());
                    let name = function.name.as_str().unwrap_or_default();
                    self.texts.call(name, None, &arguments.unwrap_or_default());
                }
                Step::Piece
            }
            b"trace" => {
                if let Some(tokens) = event.trace.0.and_then(Trace::tokens) {
                    add(&mut self.usage.input_tokens, tokens.input_tokens);
                    add(&mut self.usage.output_tokens, tokens.output_tokens);
                }
                Step::Frame
            }
            _ => Step::Aside,
        }
    }

    fn finish(self: Box<Self>) -> Answered {
        // There is no reason to finish in this API, and no mark of the end but the stream's own.
        let answered = self.texts.finish(true, |reason| reason);
        let response = Response { conversation_id: self.conversation_id, ..answered.response };
        Answered { response, usage: self.usage, fits: self.fits, ..answered }
    }
}

/// Each model that the agent asked adds its own.
fn add(known: &mut Option<u64>, told: Count) {
    if let Some(told) = told.0 {
        *known = Some(known.unwrap_or(0).saturating_add(told));
    }
}
