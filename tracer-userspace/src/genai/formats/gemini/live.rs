//! Gemini's Live API: turns of a conversation over a WebSocket, in sound or in text.
//! Takes `clientContent` and `toolResponse` messages, and the server's pieces of a turn.
//! Turns have no ids. Who speaks may be answered without asking: then nothing is known of a request.

use serde::Deserialize;
use serde_json::Value;

use super::{answer::Tokens, parts};
use crate::genai::{
    formats::{
        Answer, Answered, Asked, Format, Nothing, Step, Views,
        content::{self, Kind},
        texts::Texts,
    },
    json::{
        Document, Fault, Shape,
        lax::{Flag, List, Object, Text},
    },
    operation::{Request, Usage},
    socket::{Dialect, Subject},
};

pub(in crate::genai) const DIALECT: Dialect =
    Dialect { format: &FORMAT, message_id: |_| None, subject };

static FORMAT: Format = Format {
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    event: &EVENT,
    read_request,
    answer: |capture_content| Box::new(Turn::new(capture_content)),
    ..super::GENERATE
};

const REQUEST: Shape = Shape::Object(&[
    ("setup", Shape::Object(&[("model", Shape::Fact)])),
    ("clientContent", Shape::Object(&[("turnComplete", Shape::Fact)])),
    ("toolResponse", Shape::Sign),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("clientContent", Shape::Object(&[("turns", Shape::Ends(&Shape::Text))])),
    ("toolResponse", Shape::Text),
]);

const EVENT: Shape = Shape::Object(&[
    (
        "serverContent",
        Shape::Object(&[
            ("modelTurn", Shape::Text),
            ("outputTranscription", Shape::Text),
            ("turnComplete", Shape::Fact),
        ]),
    ),
    ("toolCall", Shape::Text),
    ("usageMetadata", Shape::Fact),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow)]
    setup: Object<Setup<'a>>,
    client_content: Object<ClientContent>,
    tool_response: Object<Nothing>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Setup<'a> {
    #[serde(borrow)]
    model: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClientContent {
    turn_complete: Flag,
}

fn read_request(message: &mut Document) -> Asked {
    let content = message.content();
    let (facts, fault) = message.facts::<Message<'_>>();
    let completes = facts.client_content.0.is_some_and(|it| it.turn_complete.0 == Some(true));
    let setup = facts.setup.0.unwrap_or_default();
    let mut asked = Asked {
        fits: completes || facts.tool_response.0.is_some(),
        fault,
        request: Request { model: super::model(&setup.model), ..Request::default() },
        ..Asked::default()
    };
    if let Some((message, truncated)) = content {
        let turns = message.get("clientContent").unwrap_or(&Value::Null);
        let turns = content::elements(turns, "turns").map(|turn| {
            let role =
                if content::member(turn, "role") == Some("model") { "assistant" } else { "user" };
            content::message(role, &parts(turn))
        });
        let answers = message.get("toolResponse").unwrap_or(&Value::Null);
        let answers = content::elements(answers, "functionResponses").map(|answer| {
            let response = answer.get("response").unwrap_or(&Value::Null);
            let part = content::tool_response(content::member(answer, "id"), response);
            content::message("tool", &[part])
        });
        asked.input_messages = Some(turns.chain(answers).collect());
        asked.truncated = truncated;
    }
    asked
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    server_content: Object<ServerContent<'a>>,
    #[serde(borrow)]
    tool_call: Object<ToolCall<'a>>,
    #[serde(borrow)]
    usage_metadata: Object<Tokens<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServerContent<'a> {
    #[serde(borrow)]
    model_turn: Object<Content<'a>>,
    #[serde(borrow)]
    output_transcription: Object<Transcription<'a>>,
    turn_complete: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content<'a> {
    #[serde(borrow)]
    parts: List<Part<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    thought: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Transcription<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ToolCall<'a> {
    #[serde(borrow)]
    function_calls: List<Call<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    args: Option<Value>,
}

fn subject(message: &mut Document) -> Subject {
    let (event, _) = message.facts::<Event<'_>>();
    let says = event.server_content.0.as_ref().is_some_and(|content| {
        content.model_turn.0.is_some() || content.output_transcription.0.is_some()
    });
    let begins = says || event.tool_call.0.is_some();
    match begins || event.server_content.0.is_some() || event.usage_metadata.0.is_some() {
        true => Subject::Unnumbered { begins },
        false => Subject::Other,
    }
}

#[derive(Debug)]
struct Turn {
    texts: Texts,
    usage: Usage,
    fits: bool,
    done: bool,
}

impl Turn {
    fn new(capture_content: bool) -> Self {
        let (texts, usage) = (Texts::new(capture_content), Usage::default());
        Self { texts, usage, fits: false, done: false }
    }
}

impl Answer for Turn {
    fn whole(&mut self, _body: &mut Document) -> Option<Fault> {
        None
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (event, _) = data.facts::<Event<'_>>();
        self.fits = true;
        if let Some(tokens) = event.usage_metadata.0 {
            self.usage = tokens.usage();
        }
        let content = event.server_content.0.unwrap_or_default();
        // Sound counts as a piece too, though it is not kept.
        let mut piece = false;
        for part in content.model_turn.0.unwrap_or_default().parts.into_objects() {
            piece = true;
            let kind = if part.thought.0 == Some(true) { Kind::Reasoning } else { Kind::Text };
            self.texts.push(0, kind, part.text.as_str());
        }
        let transcription = content.output_transcription.0.unwrap_or_default();
        piece |= self.texts.push(0, Kind::Text, transcription.text.as_str());
        for call in event.tool_call.0.unwrap_or_default().function_calls.into_objects() {
            piece = true;
            // What comes behind a call answers its result.
            self.done = true;
            let arguments = call.args.map(|args| args.to_string()).unwrap_or_default();
            let name = call.name.as_str().unwrap_or_default();
            self.texts.call(name, call.id.filled(), &arguments);
        }
        self.done |= content.turn_complete.0 == Some(true);
        if piece { Step::Piece } else { Step::Frame }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn finish(self: Box<Self>) -> Answered {
        let answered = self.texts.finish(self.done, |reason| reason);
        Answered { usage: self.usage, fits: self.fits, ..answered }
    }
}
