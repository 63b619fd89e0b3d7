//! OpenAI's Assistants: agents that are made, and their runs in threads.
//! Takes bodies of assistants and runs, and `thread.*` events; gives facts and content.
//! A run is made, polled and cancelled: each answer that is a run is told as its agent's.

mod answer;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Format, Typed, Views, content, error::ERROR, openai_chat};
use crate::genai::{
    json::{
        Document, Shape,
        lax::{Filled, Flag, Integer, Length, Number, Object, Text},
    },
    operation::{Agent, OperationName, Request},
};

pub(in crate::genai) static CREATE: Format = Format {
    operation: OperationName::CreateAgent,
    flavour: "openai",
    api_type: None,
    request: Views { facts: &REQUEST, content: &REQUEST_CONTENT },
    response: Views { facts: &RUN_SHAPE, content: &Shape::Skip },
    event: &RUN_SHAPE,
    streams_values: false,
    read_request,
    answer: |_| Box::new(answer::Created::default()),
};

pub(in crate::genai) static RUN: Format = Format {
    operation: OperationName::InvokeAgent,
    event: &EVENT,
    answer: |capture_content| Box::new(answer::Run::new(capture_content)),
    ..CREATE
};

const REQUEST: Shape = Shape::Object(&[
    ("assistant_id", Shape::Fact),
    ("model", Shape::Fact),
    ("name", Shape::Fact),
    ("description", Shape::Fact),
    ("stream", Shape::Fact),
    ("temperature", Shape::Fact),
    ("top_p", Shape::Fact),
    ("max_completion_tokens", Shape::Fact),
    ("reasoning_effort", Shape::Fact),
    ("response_format", Shape::Object(&[("type", Shape::Fact)])),
    ("tools", Shape::Each(&Shape::Skip)),
    ("tool_outputs", Shape::Sign),
]);

const REQUEST_CONTENT: Shape = Shape::Object(&[
    ("instructions", Shape::Text),
    ("additional_instructions", Shape::Text),
    ("additional_messages", Shape::Ends(&Shape::Text)),
    ("thread", Shape::Object(&[("messages", Shape::Ends(&Shape::Text))])),
    ("tool_outputs", Shape::Ends(&Shape::Text)),
    (
        "tools",
        Shape::Ends(&Shape::Object(&[
            ("type", Shape::Fact),
            ("function", Shape::Object(&[("name", Shape::Fact)])),
        ])),
    ),
]);

const CALLS: Shape = Shape::Each(&Shape::Object(&[
    ("index", Shape::Fact),
    ("id", Shape::Fact),
    ("function", Shape::Object(&[("name", Shape::Fact), ("arguments", Shape::Text)])),
]));

/// Of a run, or of an assistant.
const RUN_SHAPE: Shape = Shape::Object(&[
    ("object", Shape::Fact),
    ("id", Shape::Fact),
    ("assistant_id", Shape::Fact),
    ("thread_id", Shape::Fact),
    ("name", Shape::Fact),
    ("description", Shape::Fact),
    ("model", Shape::Fact),
    ("status", Shape::Fact),
    ("required_action", REQUIRED),
    ("incomplete_details", Shape::Object(&[("reason", Shape::Fact)])),
    ("usage", Shape::Fact),
    ("last_error", ERROR),
    ("error", ERROR),
]);

const REQUIRED: Shape =
    Shape::Object(&[("submit_tool_outputs", Shape::Object(&[("tool_calls", CALLS)]))]);

/// Of the data of any event: a run, a step, a message, or a delta of the last two.
const EVENT: Shape = Shape::Object(&[
    ("object", Shape::Fact),
    ("id", Shape::Fact),
    ("assistant_id", Shape::Fact),
    ("thread_id", Shape::Fact),
    ("model", Shape::Fact),
    ("status", Shape::Fact),
    ("required_action", REQUIRED),
    ("incomplete_details", Shape::Object(&[("reason", Shape::Fact)])),
    ("usage", Shape::Fact),
    ("last_error", ERROR),
    ("error", ERROR),
    ("type", Shape::Fact),
    ("code", Shape::Fact),
    ("message", Shape::Text),
    (
        "delta",
        Shape::Object(&[
            (
                "content",
                Shape::Each(&Shape::Object(&[("text", Shape::Object(&[("value", Shape::Text)]))])),
            ),
            ("step_details", Shape::Object(&[("tool_calls", CALLS)])),
        ]),
    ),
]);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestFacts<'a> {
    #[serde(borrow)]
    assistant_id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
    stream: Flag,
    temperature: Number,
    top_p: Number,
    max_completion_tokens: Integer,
    #[serde(borrow)]
    reasoning_effort: Text<'a>,
    #[serde(borrow)]
    response_format: Object<Typed<'a>>,
    tools: Length,
    tool_outputs: Filled,
}

fn read_request(body: &mut Document) -> Asked {
    let content = body.content();
    let (facts, fault) = body.facts::<RequestFacts<'_>>();
    let format = facts.response_format.0.unwrap_or_default();
    let mut asked = Asked {
        // An assistant's request says nothing that others do not say: its answer has to.
        fits: facts.assistant_id.filled().is_some() || facts.tool_outputs.0,
        fault,
        ..Asked::default()
    };
    asked.request = Request {
        output_type: openai_chat::output_format(&format),
        model: facts.model.into_filled(),
        stream: facts.stream.0 == Some(true),
        max_tokens: facts.max_completion_tokens.0,
        temperature: facts.temperature.0,
        top_p: facts.top_p.0,
        reasoning_level: facts.reasoning_effort.into_filled(),
        tools: facts.tools.0,
        agent: Agent {
            id: facts.assistant_id.into_filled(),
            name: facts.name.into_filled(),
            description: facts.description.into_filled(),
        },
        ..Request::default()
    };
    if let Some((body, truncated)) = content {
        asked.truncated = truncated;
        asked.input_messages = input(&body);
        let instructions: Vec<_> = ["instructions", "additional_instructions"]
            .iter()
            .filter_map(|name| content::member(&body, name))
            .map(content::text)
            .collect();
        asked.system_instructions =
            (!instructions.is_empty()).then_some(Value::Array(instructions));
        let tools: Vec<_> = content::elements(&body, "tools")
            .map(|tool| {
                let named = tool.get("function").and_then(|tool| content::member(tool, "name"));
                content::tool(content::member(tool, "type").unwrap_or("function"), named)
            })
            .collect();
        asked.tool_definitions = (!tools.is_empty()).then_some(Value::Array(tools));
    }
    asked
}

/// Messages of the thread that is made with the run, those added to it, and results of tools.
fn input(body: &Value) -> Option<Value> {
    let thread = body.get("thread").unwrap_or(&Value::Null);
    let outputs = content::elements(body, "tool_outputs").map(|output| {
        let response = output.get("output").unwrap_or(&Value::Null);
        let id = content::member(output, "tool_call_id");
        content::message("tool", &[content::tool_response(id, response)])
    });
    let messages: Vec<_> = content::elements(thread, "messages")
        .chain(content::elements(body, "additional_messages"))
        .map(openai_chat::input)
        .chain(outputs)
        .collect();
    (!messages.is_empty()).then(|| json!(messages))
}
