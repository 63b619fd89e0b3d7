//! gRPC: messages encoded by `prost` after the services' definitions, read as their REST formats.

use prost::Message as _;

use super::*;
use crate::http::MessageKind;

/// Parts of `google.cloud.aiplatform.v1`.
mod vertex {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Content {
        #[prost(string, tag = "1")]
        pub(super) role: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) parts: Vec<Part>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Part {
        #[prost(string, tag = "1")]
        pub(super) text: String,
        #[prost(message, optional, tag = "5")]
        pub(super) call: Option<Call>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Call {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, optional, tag = "2")]
        pub(super) args: Option<prost_types::Struct>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Config {
        #[prost(float, optional, tag = "1")]
        pub(super) temperature: Option<f32>,
        #[prost(int32, optional, tag = "5")]
        pub(super) max_output_tokens: Option<i32>,
        #[prost(string, repeated, tag = "6")]
        pub(super) stop: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, repeated, tag = "2")]
        pub(super) contents: Vec<Content>,
        #[prost(message, optional, tag = "4")]
        pub(super) config: Option<Config>,
        #[prost(string, tag = "5")]
        pub(super) model: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Candidate {
        #[prost(message, optional, tag = "2")]
        pub(super) content: Option<Content>,
        #[prost(int32, tag = "3")]
        pub(super) finish_reason: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Usage {
        #[prost(int32, tag = "1")]
        pub(super) prompt: i32,
        #[prost(int32, tag = "2")]
        pub(super) candidates: i32,
        #[prost(int32, tag = "14")]
        pub(super) thoughts: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Response {
        #[prost(message, repeated, tag = "2")]
        pub(super) candidates: Vec<Candidate>,
        #[prost(message, optional, tag = "4")]
        pub(super) usage: Option<Usage>,
        #[prost(string, tag = "11")]
        pub(super) model_version: String,
        #[prost(string, tag = "13")]
        pub(super) response_id: String,
    }
}

/// Parts of `xai_api`.
mod xai {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Content {
        #[prost(string, tag = "1")]
        pub(super) text: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Message {
        #[prost(message, repeated, tag = "1")]
        pub(super) content: Vec<Content>,
        #[prost(int32, tag = "2")]
        pub(super) role: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, repeated, tag = "1")]
        pub(super) messages: Vec<Message>,
        #[prost(string, tag = "2")]
        pub(super) model: String,
        #[prost(int32, optional, tag = "7")]
        pub(super) max_tokens: Option<i32>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Said {
        #[prost(string, tag = "1")]
        pub(super) content: String,
        #[prost(int32, tag = "2")]
        pub(super) role: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Output {
        #[prost(message, optional, tag = "1")]
        pub(super) delta: Option<Said>,
        #[prost(int32, tag = "3")]
        pub(super) finish_reason: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Usage {
        #[prost(int32, tag = "1")]
        pub(super) completion: i32,
        #[prost(int32, tag = "2")]
        pub(super) prompt: i32,
        #[prost(int32, tag = "3")]
        pub(super) total: i32,
        #[prost(int32, tag = "6")]
        pub(super) reasoning: i32,
        #[prost(int32, tag = "7")]
        pub(super) cached: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Chunk {
        #[prost(string, tag = "1")]
        pub(super) id: String,
        #[prost(message, repeated, tag = "2")]
        pub(super) outputs: Vec<Output>,
        #[prost(string, tag = "4")]
        pub(super) model: String,
        #[prost(message, optional, tag = "6")]
        pub(super) usage: Option<Usage>,
    }
}

/// Runs a call with its messages in pieces of `size` bytes, and these trailers.
fn run_in(
    size: usize,
    (host, target): (&str, &str),
    request: &[u8],
    responses: &[Vec<u8>],
    trailers: &[(&'static str, &'static str)],
) -> Operation {
    let mut calls = Calls::new(Options { capture_content: true });
    let exchange = ExchangeId { connection: ConnectionId(7), index: 0 };
    let mut now = 100;
    let mut on = |kind: Kind<'_>| {
        now += 1;
        calls.on(&ExchangeEvent { exchange, time: Timestamp(now), kind })
    };
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_str(host).unwrap());
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let target = target.to_owned();
    let version = Version::HTTP_2;
    let head = RequestHead { method: Method::POST, target, version, headers: headers.clone() };
    on(Kind::Request { head: &head, role: Role::Client, started: Timestamp(100) });
    for piece in request.chunks(size) {
        on(Kind::RequestBody(piece));
    }
    on(Kind::RequestMessageEnd(MessageKind::Grpc));
    on(Kind::RequestEnd);
    headers.remove("host");
    let head = ResponseHead { status: StatusCode::OK, version, headers };
    on(Kind::Response { head: &head, role: Role::Client, started: Timestamp(100) });
    for response in responses {
        for piece in response.chunks(size) {
            on(Kind::ResponseBody(piece));
        }
        on(Kind::ResponseMessageEnd(MessageKind::Grpc));
    }
    let trailers = trailers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    on(Kind::ResponseTrailers(&trailers));
    on(Kind::ResponseEnd);
    let how = Ended::Complete;
    on(Kind::End(End { how, missing_request: 0, missing_response: 0, joined_late: false }))
        .pop()
        .expect("an LLM call")
}

pub(super) fn run(
    target: (&str, &str),
    request: &[u8],
    responses: &[Vec<u8>],
    trailers: &[(&'static str, &'static str)],
) -> Operation {
    let whole = run_in(usize::MAX, target, request, responses, trailers);
    for size in [1, 7] {
        let mut cut = run_in(size, target, request, responses, trailers);
        cut.timing = whole.timing;
        assert_eq!(format!("{cut:?}"), format!("{whole:?}"), "in pieces of {size}");
    }
    schemas::check_all(&whole);
    page::seen(&whole);
    whole
}

const VERTEX: &str = "us-central1-aiplatform.googleapis.com";
pub(super) const OK: &[(&str, &str)] = &[("grpc-status", "0")];

fn vertex_request() -> Vec<u8> {
    let part = vertex::Part { text: "Hi".into(), call: None };
    vertex::Request {
        contents: vec![vertex::Content { role: "user".into(), parts: vec![part] }],
        config: Some(vertex::Config {
            temperature: Some(0.7),
            max_output_tokens: Some(9),
            stop: vec!["x".into()],
        }),
        model: "projects/p/locations/l/publishers/google/models/gemini-9".into(),
    }
    .encode_to_vec()
}

fn vertex_response(text: &str, finish_reason: i32, usage: Option<vertex::Usage>) -> Vec<u8> {
    let part = vertex::Part { text: text.into(), call: None };
    let content = vertex::Content { role: "model".into(), parts: vec![part] };
    vertex::Response {
        candidates: vec![vertex::Candidate { content: Some(content), finish_reason }],
        usage,
        model_version: "gemini-9-001".into(),
        response_id: "r1".into(),
    }
    .encode_to_vec()
}

fn text(call: &Operation) -> String {
    let messages = call.content.as_ref().unwrap().output_messages.as_ref().unwrap();
    messages[0]["parts"][0]["content"].as_str().unwrap().to_owned()
}

#[test]
pub(super) fn vertex_call_is_read() {
    let path = "/google.cloud.aiplatform.v1.PredictionService/GenerateContent";
    let usage = vertex::Usage { prompt: 4, candidates: 2, thoughts: 3 };
    let response = vertex_response("Hey", 1, Some(usage));
    let call = run((VERTEX, path), &vertex_request(), &[response], OK);
    assert_eq!((&*call.provider, call.name), ("gcp.vertex_ai", OperationName::GenerateContent));
    assert_eq!(call.request.model.as_deref(), Some("gemini-9"));
    assert_eq!((call.request.temperature, call.request.max_tokens), (Some(0.7), Some(9)));
    assert_eq!(
        (call.request.stop_sequences.as_slice(), call.request.stream),
        (&["x".to_owned()][..], false)
    );
    assert_eq!(
        (call.response.model.as_deref(), call.response.id.as_deref()),
        (Some("gemini-9-001"), Some("r1"))
    );
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(4), Some(5)));
    assert_eq!((reasons(&call), &*text(&call)), (vec!["STOP"], "Hey"));
    assert_eq!((call.error, call.unreadable), (None, None));
}

#[test]
pub(super) fn vertex_stream_is_read() {
    let path = "/google.cloud.aiplatform.v1beta1.PredictionService/StreamGenerateContent";
    let usage = vertex::Usage { prompt: 4, candidates: 2, thoughts: 0 };
    let responses = [vertex_response("He", 0, None), vertex_response("y", 2, Some(usage))];
    let call = run((VERTEX, path), &vertex_request(), &responses, OK);
    assert!(call.request.stream && call.timing.first_chunk.is_some());
    assert_eq!((call.response.chunks, &*text(&call)), (2, "Hey"));
    assert_eq!((reasons(&call), call.usage.output_tokens), (vec!["MAX_TOKENS"], Some(2)));
}

#[test]
pub(super) fn functions_are_called_over_grpc() {
    let path = "/google.cloud.aiplatform.v1.PredictionService/GenerateContent";
    let value = prost_types::value::Kind::StringValue("Köln".into());
    let city = prost_types::Value { kind: Some(value) };
    let args = prost_types::Struct { fields: [("city".to_owned(), city)].into() };
    let call = vertex::Call { name: "look".into(), args: Some(args) };
    let part = vertex::Part { text: String::new(), call: Some(call) };
    let content = vertex::Content { role: "model".into(), parts: vec![part] };
    let response = vertex::Response {
        candidates: vec![vertex::Candidate { content: Some(content), finish_reason: 1 }],
        ..vertex::Response::default()
    };
    let call = run((VERTEX, path), &vertex_request(), &[response.encode_to_vec()], OK);
    assert_eq!(call.response.tool_calls, ["look"]);
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["parts"][0]["arguments"], json!({"city": "Köln"}));
}

#[test]
pub(super) fn status_of_a_failed_call_is_told() {
    let path = "/google.cloud.aiplatform.v1.PredictionService/GenerateContent";
    let trailers = &[("grpc-status", "8"), ("grpc-message", "slow%20down")];
    let error = run((VERTEX, path), &vertex_request(), &[], trailers).error.unwrap();
    assert_eq!((&*error.kind, error.message.as_deref()), ("RESOURCE_EXHAUSTED", Some("slow down")));
}

#[test]
pub(super) fn xai_stream_is_read() {
    let request = xai::Request {
        messages: vec![xai::Message { content: vec![xai::Content { text: "Hi".into() }], role: 1 }],
        model: "grok-9".into(),
        max_tokens: Some(5),
    };
    let chunk = |content: &str, finish_reason: i32, usage: Option<xai::Usage>| {
        let delta = Some(xai::Said { content: content.into(), role: 2 });
        let outputs = vec![xai::Output { delta, finish_reason }];
        xai::Chunk { id: "x1".into(), outputs, model: "grok-9-01".into(), usage }.encode_to_vec()
    };
    let usage = xai::Usage { completion: 2, prompt: 10, total: 18, reasoning: 6, cached: 4 };
    let responses = [chunk("He", 0, None), chunk("y", 3, Some(usage))];
    let target = ("api.x.ai", "/xai_api.Chat/GetCompletionChunk");
    let call = run(target, &request.encode_to_vec(), &responses, OK);
    assert_eq!((&*call.provider, call.request.model.as_deref()), ("x_ai", Some("grok-9")));
    assert_eq!((call.request.max_tokens, call.request.stream), (Some(5), true));
    assert_eq!((call.response.chunks, &*text(&call)), (2, "Hey"));
    assert_eq!((reasons(&call), call.response.id.as_deref()), (vec!["REASON_STOP"], Some("x1")));
    // 10 + 2 + 6 are the total: the completion is told without its reasoning.
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(10), Some(8)));
    assert_eq!(
        (call.usage.cache_read_input_tokens, call.usage.reasoning_output_tokens),
        (Some(4), Some(6))
    );
    let input = call.content.unwrap().input_messages.unwrap();
    assert_eq!(input[0], json!({"role": "user", "parts": [{"type": "text", "content": "Hi"}]}));
}

#[test]
pub(super) fn bytes_that_are_no_message_are_told() {
    let path = "/google.cloud.aiplatform.v1.PredictionService/GenerateContent";
    let call = run((VERTEX, path), &vertex_request(), &[vec![0xff; 40]], OK);
    assert_eq!(call.unreadable, Some("event-stream-corrupt"));
    assert_eq!(call.request.model.as_deref(), Some("gemini-9"));
}
