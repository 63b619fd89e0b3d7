//! Answers asked for over a WebSocket: the Realtime API, and responses.

use super::*;
use crate::{
    capture::{Data, Direction, Event, Opened, Origin, ProcessId, Security, Segment},
    http::{Exchanges, MessageKind},
};

/// A message of one side.
pub(super) enum Said {
    Client(Value),
    Server(Value),
    ClientGap,
    ServerGap,
}

use Said::{Client, ClientGap, Server, ServerGap};

/// Feeds a conversation with its messages in pieces of `size` bytes. Time is the event's number.
fn run_in(size: usize, target: &str, said: &[Said], how: Ended) -> Vec<Operation> {
    let mut calls = Calls::new(Options { capture_content: true });
    let exchange = ExchangeId { connection: ConnectionId(7), index: 0 };
    let mut now = 0;
    let mut operations = Vec::new();
    let mut on = |kind: Kind<'_>| {
        now += 1;
        operations.extend(calls.on(&ExchangeEvent { exchange, time: Timestamp(now), kind }));
    };
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("api.openai.com"));
    headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
    let head = RequestHead {
        method: Method::GET,
        target: target.to_owned(),
        version: Version::HTTP_11,
        headers,
    };
    on(Kind::Request { head: &head, role: Role::Client, started: Timestamp(0) });
    on(Kind::RequestEnd);
    let status = StatusCode::SWITCHING_PROTOCOLS;
    let head = ResponseHead { status, version: Version::HTTP_11, headers: HeaderMap::new() };
    on(Kind::Response { head: &head, role: Role::Client, started: Timestamp(0) });
    on(Kind::ResponseEnd);
    for message in said {
        match message {
            Client(message) => {
                let text = message.to_string();
                text.as_bytes().chunks(size).for_each(|piece| on(Kind::RequestBody(piece)));
                on(Kind::RequestMessageEnd(MessageKind::Text));
            }
            Server(message) => {
                let text = message.to_string();
                text.as_bytes().chunks(size).for_each(|piece| on(Kind::ResponseBody(piece)));
                on(Kind::ResponseMessageEnd(MessageKind::Text));
            }
            ClientGap => on(Kind::RequestGap),
            ServerGap => on(Kind::ResponseGap),
        }
    }
    if how == Ended::Complete {
        on(Kind::ResponseClose(Some(1000)));
    }
    on(Kind::End(End { how, missing_request: 0, missing_response: 0, joined_late: false }));
    assert_eq!(calls.open(), 0);
    operations
}

pub(super) fn run(target: &str, said: &[Said]) -> Vec<Operation> {
    let whole = run_in(usize::MAX, target, said, Ended::Complete);
    let mut cut = run_in(1, target, said, Ended::Complete);
    assert_eq!(cut.len(), whole.len());
    for (cut, whole) in cut.iter_mut().zip(&whole) {
        cut.timing = whole.timing;
        assert_eq!(format!("{cut:?}"), format!("{whole:?}"));
    }
    for (turn, operation) in whole.iter().enumerate() {
        page::seen(operation);
        assert_eq!(operation.turn, turn as u64);
    }
    whole
}

const REALTIME: &str = "/v1/realtime?model=gpt-rt&x=1";

fn ask(event_id: &str) -> Said {
    Client(json!({"type": "response.create", "event_id": event_id,
        "response": {"output_modalities": ["audio"], "max_output_tokens": 50,
            "instructions": "Sing", "tools": [{"type": "function", "name": "look"}]}}))
}

fn created(id: &str) -> Said {
    Server(json!({"type": "response.created", "event_id": "x",
        "response": {"object": "realtime.response", "id": id, "status": "in_progress"}}))
}

fn delta(id: &str, text: &str) -> Said {
    Server(json!({"type": "response.output_audio_transcript.delta", "response_id": id,
        "output_index": 0, "delta": text}))
}

fn done(id: &str, status: &str) -> Said {
    Server(json!({"type": "response.done", "response": {"id": id, "status": status,
        "conversation_id": "conv_1", "status_details": {"type": status, "reason": "r",
            "error": (status == "failed").then(|| json!({"type": "server_error"}))},
        "output": [{"type": "function_call", "name": "look", "call_id": "c1"}],
        "usage": {"input_tokens": 20, "output_tokens": 9, "total_tokens": 29,
            "input_token_details": {"cached_tokens": 6, "text_tokens": 12, "audio_tokens": 8,
                "cached_tokens_details": {"text_tokens": 5, "audio_tokens": 1}},
            "output_token_details": {"text_tokens": 2, "audio_tokens": 7}}}}))
}

#[test]
pub(super) fn each_realtime_answer_is_an_operation() {
    let calls = run(
        REALTIME,
        &[
            Server(json!({"type": "session.created", "session": {"model": "gpt-rt-1"}})),
            Client(json!({"type": "session.update", "session": {"voice": "a"}})),
            Client(json!({"type": "input_audio_buffer.append", "audio": "AAAA"})),
            ask("e1"),
            created("r1"),
            delta("r1", "La "),
            delta("r1", "la"),
            done("r1", "completed"),
            // Nobody asked for this one: the server heard that the user stopped speaking.
            created("r2"),
            done("r2", "cancelled"),
            Server(json!({"type": "rate_limits.updated", "rate_limits": []})),
        ],
    );
    let [asked, unasked] = &calls[..] else { panic!("{} operations", calls.len()) };
    schemas::check_all(asked);
    assert_eq!((asked.name, asked.http.status), (OperationName::Chat, Some(101)));
    assert_eq!(asked.request.model.as_deref(), Some("gpt-rt"));
    assert_eq!((asked.request.max_tokens, asked.request.tools), (Some(50), Some(1)));
    assert_eq!((asked.request.output_type, asked.request.stream), (Some("speech"), true));
    assert_eq!((asked.usage.input_tokens, asked.usage.output_tokens), (Some(20), Some(9)));
    assert_eq!(asked.usage.cache_read_input_tokens, Some(6));
    assert_eq!((asked.usage.input.audio, asked.usage.output.audio), (Some(8), Some(7)));
    assert_eq!((asked.usage.cache_read.text, asked.usage.cache_read.audio), (Some(5), Some(1)));
    assert_eq!(asked.response.id.as_deref(), Some("r1"));
    assert_eq!(asked.response.conversation_id.as_deref(), Some("conv_1"));
    assert_eq!((reasons(asked), asked.response.chunks), (vec!["completed"], 2));
    assert_eq!(asked.response.tool_calls, ["look"]);
    assert!(asked.timing.start < asked.timing.first_chunk.unwrap());
    assert!(asked.timing.first_chunk < asked.timing.first_content);
    assert_eq!(asked.timing.output_chunk_times.count(), 3);
    let content = asked.content.as_ref().unwrap();
    assert_eq!(content.system_instructions.as_ref().unwrap()[0]["content"], "Sing");
    let output = content.output_messages.as_ref().unwrap();
    assert_eq!(output[0]["parts"][0]["content"], "La la");
    assert_eq!((unasked.response.id.as_deref(), unasked.request.tools), (Some("r2"), None));
    assert_eq!((reasons(unasked), unasked.end.how), (vec!["cancelled"], Ended::Complete));
}

#[test]
pub(super) fn answers_at_the_same_time_are_told_apart() {
    let calls = run(
        REALTIME,
        &[
            ask("e1"),
            ask("e2"),
            created("r1"),
            created("r2"),
            delta("r2", "two"),
            delta("r1", "one"),
            delta("r3", "none"),
            done("r2", "completed"),
            done("r1", "failed"),
        ],
    );
    let text = |call: &Operation| {
        call.content.as_ref().unwrap().output_messages.as_ref().unwrap()[0]["parts"][0]["content"]
            .clone()
    };
    assert_eq!((text(&calls[0]), text(&calls[1])), ("two".into(), "one".into()));
    assert_eq!(calls[0].error, None);
    assert_eq!(calls[1].error.as_ref().unwrap().kind, "server_error");
}

#[test]
pub(super) fn error_ends_what_it_is_of() {
    let error = |id: Value| {
        Server(json!({"type": "error", "error": {"type": "invalid_request_error",
            "event_id": id, "message": "no"}}))
    };
    let calls = run(
        REALTIME,
        &[
            ask("e1"),
            created("r1"),
            ask("e2"),
            error("e0".into()),
            error("e2".into()),
            error(Value::Null),
            done("r1", "completed"),
            ask("e3"),
            error(Value::Null),
        ],
    );
    let kinds: Vec<_> =
        calls.iter().map(|call| call.error.as_ref().map(|error| &*error.kind)).collect();
    let refused = Some("invalid_request_error");
    assert_eq!(kinds, [refused, None, refused]);
}

#[test]
pub(super) fn answer_cut_short_is_told() {
    let said = [ask("e1"), created("r1"), delta("r1", "one"), ask("e2")];
    let calls = run(REALTIME, &said);
    assert_eq!((calls.len(), calls[0].end.how), (2, Ended::ServerClosed));
    assert_eq!((reasons(&calls[0]), reasons(&calls[1])), (vec!["error"], vec![]));
    let calls = run_in(usize::MAX, REALTIME, &said, Ended::ServerReset);
    assert_eq!((calls.len(), calls[1].end.how), (2, Ended::ServerReset));
}

#[test]
pub(super) fn gap_costs_one_message() {
    let calls = run(
        REALTIME,
        &[
            ClientGap,
            ask("lost"),
            ask("e1"),
            created("r1"),
            ServerGap,
            delta("r1", "lost"),
            done("r1", "completed"),
        ],
    );
    assert_eq!((calls.len(), calls[0].unreadable), (1, Some("gap")));
    assert_eq!((reasons(&calls[0]), calls[0].usage.input_tokens), (vec!["completed"], Some(20)));
}

#[test]
pub(super) fn too_many_answers_are_told_as_far_as_they_came() {
    let calls = run(REALTIME, &(0..100).map(|n| ask(&n.to_string())).collect::<Vec<_>>());
    assert_eq!(calls.len(), 100);
    assert_eq!(calls.iter().filter(|call| call.unreadable.is_some()).count(), 84);
}

#[test]
pub(super) fn responses_come_one_after_the_other() {
    let response = |status: &str| {
        json!({"object": "response", "id": "resp_1", "status": status,
        "model": "gpt-x-1", "output": [], "usage": {"input_tokens": 3, "output_tokens": 4}})
    };
    let ask = || {
        Client(json!({"type": "response.create", "model": "gpt-x", "input": "Hi",
            "previous_response_id": "resp_0"}))
    };
    let calls = run(
        "/v1/responses",
        &[
            ask(),
            Server(json!({"type": "response.created", "response": response("in_progress")})),
            Server(json!({"type": "response.output_text.delta", "delta": "Hello"})),
            Server(json!({"type": "response.completed", "response": response("completed")})),
            ask(),
            Server(json!({"type": "error", "status": 400,
                "error": {"code": "previous_response_not_found", "message": "gone"}})),
        ],
    );
    assert_eq!(calls.len(), 2);
    let [whole, failed] = &calls[..] else { panic!("{} operations", calls.len()) };
    assert_eq!((whole.api_type, reasons(whole)), (Some("responses"), vec!["completed"]));
    assert_eq!(whole.request.model.as_deref(), Some("gpt-x"));
    assert_eq!(whole.request.previous_response_id.as_deref(), Some("resp_0"));
    assert_eq!((whole.usage.input_tokens, whole.response.chunks), (Some(3), 1));
    assert_eq!(failed.error.as_ref().unwrap().kind, "previous_response_not_found");
}

#[test]
pub(super) fn sockets_of_others_are_left() {
    assert!(run("/v1/chat", &[ask("e1"), created("r1"), done("r1", "completed")]).is_empty());
}

/// A frame of HTTP/2 on stream 1 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0, len[0], len[1], kind, flags, 0, 0, 0, 1][..], payload].concat()
}

/// Header fields as literals without an index (RFC 7541 §6.2.2).
fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let block: Vec<_> = fields
        .iter()
        .flat_map(|(name, value)| [vec![0], text(name), text(value)].concat())
        .collect();
    frame(1, 4, &block)
}

/// Asked for by an extended CONNECT (RFC 8441), where no `Upgrade` field is.
#[test]
pub(super) fn socket_in_a_stream_of_http2_is_read() {
    let text = |said: Said| {
        let (Client(message) | Server(message)) = said else { unreachable!("a message") };
        let text = message.to_string();
        let len = u16::try_from(text.len()).unwrap().to_be_bytes();
        frame(0, 0, &[&[0x81, 126, len[0], len[1]][..], text.as_bytes()].concat())
    };
    let close = frame(0, 1, b"\x88\x02\x03\xe8");
    let connect = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":authority", "api.openai.com"),
        (":path", REALTIME),
    ];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let passes = [
        (Direction::Sent, [&preface[..], &head(&connect)].concat()),
        (Direction::Received, [&preface[24..], &head(&[(":status", "200")])].concat()),
        (Direction::Sent, text(ask("e1"))),
        (Direction::Received, [created("r1"), done("r1", "completed")].map(text).concat()),
        (Direction::Sent, close.clone()),
        (Direction::Received, close),
    ];
    let mut exchanges = Exchanges::new();
    let mut calls = Calls::new(Options::default());
    let mut operations = Vec::new();
    let mut on = |event: &Event<'_>| {
        exchanges.on(event, &mut |event: ExchangeEvent<'_>| operations.extend(calls.on(&event)));
    };
    let (connection, time) = (ConnectionId(1), Timestamp(1));
    let process = ProcessId { pid: 1, incarnation: 1 };
    let (origin, security) = (Origin::Created, Security::Tls);
    on(&Event::Opened(Opened { connection, process, time, origin, security }));
    for (direction, bytes) in &passes {
        let (direction, data) = (*direction, Data::Bytes(bytes));
        on(&Event::Segment(Segment { connection, direction, offset: 0, time, data, caller: None }));
    }
    let [call] = &operations[..] else { panic!("{operations:#?}") };
    assert_eq!((&*call.provider, call.usage.input_tokens), ("openai", Some(20)));
    assert_eq!((call.request.model.as_deref(), call.end.how), (Some("gpt-rt"), Ended::Complete));
}
