//! Both transports, by the protocol's specification: whole exchanges in, calls out.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use serde_json::{Value, json};

use crate::{
    capture::{ConnectionId, Timestamp},
    genai::{Calls, Operation, Options, tests::page},
    http::{End, Ended, ExchangeEvent, ExchangeId, Kind, RequestHead, ResponseHead, Role},
};

/// Exchanges by their number; every event advances the clock by one.
struct World {
    calls: Calls,
    role: Role,
    now: u64,
    done: Vec<Operation>,
}

const BOTH: (&str, &str) = ("accept", "application/json, text/event-stream");

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    list.iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

impl World {
    fn new(role: Role) -> Self {
        let calls = Calls::new(Options { capture_content: true });
        Self { calls, role, now: 0, done: Vec::new() }
    }

    fn on(&mut self, index: u64, kind: Kind<'_>) {
        self.now += 1;
        let exchange = ExchangeId { connection: ConnectionId(1), index };
        let time = Timestamp(self.now);
        let done = self.calls.on(&ExchangeEvent { exchange, time, kind });
        done.iter().for_each(page::seen);
        self.done.extend(done);
    }

    fn get(&mut self, index: u64, target: &str, list: &[(&'static str, &str)]) {
        self.request(index, Method::GET, target, list);
        self.on(index, Kind::RequestEnd);
    }

    fn post(&mut self, index: u64, target: &str, list: &[(&'static str, &str)], body: &Value) {
        let mut all = vec![("content-type", "application/json")];
        all.extend(list);
        self.request(index, Method::POST, target, &all);
        for piece in body.to_string().as_bytes().chunks(5) {
            self.on(index, Kind::RequestBody(piece));
        }
        self.on(index, Kind::RequestEnd);
    }

    fn request(&mut self, index: u64, method: Method, target: &str, list: &[(&'static str, &str)]) {
        let mut headers = headers(list);
        headers.insert("host", HeaderValue::from_static("mcp.example"));
        let (target, version) = (target.to_owned(), Version::HTTP_11);
        let head = RequestHead { method, target, version, headers };
        let started = Timestamp(self.now);
        self.on(index, Kind::Request { head: &head, role: self.role, started });
    }

    fn head(&mut self, index: u64, status: u16, list: &[(&'static str, &str)]) {
        let status = StatusCode::from_u16(status).unwrap();
        let head = ResponseHead { status, version: Version::HTTP_11, headers: headers(list) };
        let started = Timestamp(self.now);
        self.on(index, Kind::Response { head: &head, role: self.role, started });
    }

    fn body(&mut self, index: u64, bytes: &str) {
        for piece in bytes.as_bytes().chunks(5) {
            self.on(index, Kind::ResponseBody(piece));
        }
    }

    fn event(&mut self, index: u64, name: &str, data: &str) {
        self.body(index, &format!("event: {name}\r\ndata: {data}\r\n\r\n"));
    }

    fn end(&mut self, index: u64, how: Ended) {
        if how == Ended::Complete {
            self.on(index, Kind::ResponseEnd);
        }
        let end = End { how, missing_request: 0, missing_response: 0, joined_late: false };
        self.on(index, Kind::End(end));
    }

    /// A request answered in one piece of JSON.
    fn call(&mut self, index: u64, list: &[(&'static str, &str)], body: &Value, answer: &Value) {
        self.post(index, "/mcp", list, body);
        self.head(index, 200, &[("content-type", "application/json"), ("mcp-session-id", "s1")]);
        self.body(index, &answer.to_string());
        self.end(index, Ended::Complete);
    }

    fn only(&mut self) -> Operation {
        assert_eq!(self.done.len(), 1, "{:#?}", self.done);
        self.done.pop().unwrap()
    }
}

fn tool(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call",
        "params": {"name": "look", "arguments": {"city": "Köln"},
            "_meta": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}})
}

fn result(id: impl Into<Value>) -> Value {
    let content = json!([{"type": "text", "text": "sunny"}]);
    json!({"jsonrpc": "2.0", "id": id.into(), "result": {"content": content, "isError": false}})
}

#[test]
pub(in crate::genai) fn session_begins_with_initialize() {
    let mut world = World::new(Role::Client);
    let request = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}}});
    let answer = json!({"jsonrpc": "2.0", "id": 0,
        "result": {"protocolVersion": "2025-06-18", "capabilities": {}}});
    world.call(0, &[BOTH], &request, &answer);
    let operation = world.only();
    let call = operation.mcp.unwrap();
    assert_eq!((&*call.method, call.request_id.as_deref()), ("initialize", Some("0")));
    // What both agreed on is what the server answered.
    assert_eq!(call.protocol_version.as_deref(), Some("2025-06-18"));
    assert_eq!((operation.role, operation.http.status), (Role::Client, Some(200)));
}

#[test]
pub(in crate::genai) fn tool_is_called_and_answered() {
    for role in [Role::Client, Role::Server] {
        let mut world = World::new(role);
        let session = [BOTH, ("mcp-session-id", "s1"), ("mcp-protocol-version", "2025-11-25")];
        world.call(0, &session, &tool(7), &result(7));
        let operation = world.only();
        let call = operation.mcp.as_ref().unwrap();
        assert_eq!((operation.role, call.tool_name.as_deref()), (role, Some("look")));
        assert_eq!(
            (call.session_id.as_deref(), call.request_id.as_deref()),
            (Some("s1"), Some("7"))
        );
        assert_eq!(call.protocol_version.as_deref(), Some("2025-11-25"));
        assert_eq!(call.arguments, Some(json!({"city": "Köln"})));
        assert_eq!(call.result.as_ref().unwrap()["content"][0]["text"], "sunny");
        assert_eq!((operation.error.as_ref(), operation.end.how), (None, Ended::Complete));
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(operation.http.traceparent, [parent], "the message's own");
        assert_eq!(world.calls.open(), 0);
    }
}

#[test]
pub(in crate::genai) fn answer_comes_as_an_event() {
    let mut world = World::new(Role::Client);
    world.post(0, "/mcp", &[BOTH], &tool("a"));
    world.head(0, 200, &[("content-type", "text/event-stream")]);
    world.event(0, "message", r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#);
    world.event(0, "message", &result("a").to_string());
    assert_eq!(world.done.len(), 1, "told when the answer is there, not at the stream's end");
    world.end(0, Ended::Complete);
    assert_eq!(world.only().mcp.unwrap().request_id.as_deref(), Some("a"));
}

#[test]
pub(in crate::genai) fn failures_are_told() {
    let mut world = World::new(Role::Client);
    let failed = json!({"jsonrpc": "2.0", "id": 1, "result":
        {"content": [{"type": "text", "text": "no such city"}], "isError": true}});
    world.call(0, &[BOTH], &tool(1), &failed);
    let error = world.only().error.unwrap();
    assert_eq!((&*error.kind, error.message.as_deref()), ("tool_error", Some("no such city")));

    let unknown = json!({"jsonrpc": "2.0", "id": 2,
        "error": {"code": -32602, "message": "Unknown tool"}});
    world.call(1, &[BOTH], &tool(2), &unknown);
    let operation = world.only();
    let error = operation.error.unwrap();
    assert_eq!((&*error.kind, error.message.as_deref()), ("-32602", Some("Unknown tool")));
    assert_eq!(operation.mcp.unwrap().error_code, Some(-32602));

    world.post(2, "/mcp", &[BOTH], &tool(3));
    world.head(2, 404, &[]);
    world.end(2, Ended::Complete);
    assert_eq!(world.only().http.status, Some(404));

    world.post(3, "/mcp", &[BOTH], &tool(4));
    world.end(3, Ended::ServerReset);
    assert_eq!(world.only().end.how, Ended::ServerReset);
}

#[test]
pub(in crate::genai) fn batch_is_told_call_by_call() {
    let mut world = World::new(Role::Client);
    let answers = json!([result(2), result(1)]);
    world.call(0, &[BOTH], &json!([tool(1), tool(2)]), &answers);
    let ids: Vec<_> =
        world.done.iter().map(|it| it.mcp.as_ref().unwrap().request_id.clone().unwrap()).collect();
    assert_eq!(ids, ["2", "1"]);
}

#[test]
pub(in crate::genai) fn server_asks_on_its_stream_and_client_answers_by_post() {
    let mut world = World::new(Role::Client);
    let session = ("mcp-session-id", "s1");
    world.get(0, "/mcp", &[("accept", "text/event-stream"), session]);
    world.head(0, 200, &[("content-type", "text/event-stream")]);
    let asked = json!({"jsonrpc": "2.0", "id": 5, "method": "sampling/createMessage",
        "params": {"messages": []}});
    world.event(0, "message", &asked.to_string());
    // The client has a request under the same id: ids are each sender's own.
    world.post(1, "/mcp", &[BOTH, session], &tool(5));
    let answer = json!({"jsonrpc": "2.0", "id": 5, "result": {"role": "assistant"}});
    world.post(2, "/mcp", &[BOTH, session], &answer);
    let operation = world.only();
    assert_eq!(operation.mcp.unwrap().method, "sampling/createMessage");
    assert_eq!(operation.role, Role::Server, "the process that HTTP calls client is asked");
    world.head(1, 200, &[("content-type", "application/json")]);
    world.body(1, &result(5).to_string());
    world.end(1, Ended::Complete);
    assert_eq!(world.only().mcp.unwrap().tool_name.as_deref(), Some("look"));
}

#[test]
pub(in crate::genai) fn older_transport_answers_on_the_stream() {
    let mut world = World::new(Role::Client);
    world.get(0, "/sse", &[("accept", "text/event-stream")]);
    world.head(0, 200, &[("content-type", "text/event-stream; charset=utf-8")]);
    world.event(0, "endpoint", "/messages/?session_id=abc");
    world.post(1, "/messages/?session_id=abc", &[], &tool(1));
    world.head(1, 202, &[]);
    world.end(1, Ended::Complete);
    assert!(world.done.is_empty(), "accepted is not answered");
    // Another session's answer to the same id.
    world.get(2, "/sse", &[("accept", "text/event-stream")]);
    world.head(2, 200, &[("content-type", "text/event-stream")]);
    world.event(2, "endpoint", "/messages/?session_id=xyz");
    world.event(2, "message", &result(1).to_string());
    assert!(world.done.is_empty());
    world.event(0, "message", &result(1).to_string());
    let operation = world.only();
    assert_eq!(operation.mcp.unwrap().session_id.as_deref(), Some("abc"));
    assert_eq!(operation.timing.end, Timestamp(world.now));
    // What the stream did not bring until its end nobody answered.
    world.post(3, "/messages/?session_id=abc", &[], &tool(2));
    world.head(3, 202, &[]);
    world.end(3, Ended::Complete);
    world.end(0, Ended::ServerClosed);
    assert_eq!(world.only().end.how, Ended::ServerClosed);
    world.end(2, Ended::ClientGone);
    assert_eq!((world.done.len(), world.calls.open()), (0, 0));
}

#[test]
pub(in crate::genai) fn notification_of_the_client_is_told() {
    let mut world = World::new(Role::Client);
    let body = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    world.post(0, "/mcp", &[BOTH, ("mcp-session-id", "s1")], &body);
    world.head(0, 202, &[]);
    world.end(0, Ended::Complete);
    let call = world.only().mcp.unwrap();
    assert_eq!((&*call.method, call.request_id), ("notifications/initialized", None));
}

#[test]
pub(in crate::genai) fn prompts_and_resources_have_their_names() {
    let mut world = World::new(Role::Client);
    let asked = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    world.call(0, &[BOTH], &asked("prompts/get", json!({"name": "greet"})), &answer);
    assert_eq!(world.only().mcp.unwrap().prompt_name.as_deref(), Some("greet"));
    world.call(1, &[BOTH], &asked("resources/read", json!({"uri": "file:///a"})), &answer);
    let call = world.only().mcp.unwrap();
    assert_eq!((call.resource_uri.as_deref(), call.target()), (Some("file:///a"), None));
}

#[test]
pub(in crate::genai) fn other_traffic_is_left() {
    let mut world = World::new(Role::Client);
    let chain = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []});
    world.post(0, "/rpc", &[], &chain);
    assert_eq!(world.calls.open(), 0, "JSON-RPC of something else");
    world.request(1, Method::POST, "/upload", &[("content-type", "application/json")]);
    world.on(1, Kind::RequestBody(b"{\"data\": \""));
    world.on(1, Kind::RequestBody(&[b'x'; 5000]));
    assert_eq!(world.calls.open(), 0, "after a bounded look");
    world.get(2, "/events", &[("accept", "text/event-stream")]);
    world.head(2, 200, &[("content-type", "text/event-stream")]);
    world.event(2, "tick", "1");
    world.end(2, Ended::Complete);
    assert!(world.done.is_empty());
}
