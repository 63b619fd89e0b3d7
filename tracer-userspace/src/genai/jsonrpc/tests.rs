//! Messages of the specification's examples (§7) and of MCP, in every framing, split everywhere.

use proptest::prelude::*;

use super::{super::json::lax::List, *};
use crate::splits;

static MEMBERS: [(&str, Shape); 5] = members(
    Shape::Object(&[("name", Shape::Fact)]),
    Shape::Object(&[("isError", Shape::Fact), ("content", Shape::Ends(&Shape::Sign))]),
);
static CONTENT: [(&str, Shape); 5] = members(Shape::Text, Shape::Text);
static FACTS: Shape = Shape::Object(&MEMBERS);
static ALL: Shape = Shape::Object(&CONTENT);

fn messages() -> Messages {
    Messages::new(Shapes { facts: &FACTS, content: Some(&ALL) })
}

/// Kind, fault, and the whole message.
type Read = (Kind, Option<Fault>, Option<Value>);

fn read(pieces: &[&[u8]]) -> Vec<Read> {
    let (mut messages, mut all) = (messages(), Vec::new());
    let mut sink = |message: Message<'_>| {
        let content = message.document.content().map(|(content, _)| content);
        all.push((message.kind, message.fault, content));
    };
    for (number, piece) in pieces.iter().enumerate() {
        messages.push(piece, Timestamp(number as u64), &mut sink);
    }
    messages.end(&mut sink);
    all
}

fn kinds(body: &str) -> Vec<Kind> {
    let read = splits::check(body.as_bytes(), read);
    assert!(read.iter().all(|(_, fault, _)| fault.is_none()), "{read:?}");
    read.into_iter().map(|(kind, ..)| kind).collect()
}

fn number(id: &str) -> Id {
    Id::Number(id.to_owned())
}

fn request(id: Id, method: &str) -> Kind {
    Kind::Request { id, method: method.to_owned() }
}

fn notification(method: &str) -> Kind {
    Kind::Notification { method: method.to_owned() }
}

fn error(id: Id, code: i64, message: &str) -> Kind {
    Kind::Error { id, code: Some(code), message: Some(message.to_owned()) }
}

#[test]
fn members_say_what_a_message_is() {
    let text = |id: &str| Id::Text(id.to_owned());
    let method_not_found = r#"{"code": -32601, "message": "Method not found"}"#;
    for (body, kind) in [
        (
            r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#.to_owned(),
            request(number("1"), "subtract"),
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#.to_owned(),
            request(text("1"), "foobar"),
        ),
        (r#"{"method": "a/b", "id": null}"#.to_owned(), request(Id::Null, "a/b")),
        (
            r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2]}"#.to_owned(),
            notification("update"),
        ),
        (
            r#"{"jsonrpc": "2.0", "result": 19, "id": 1}"#.to_owned(),
            Kind::Result { id: number("1") },
        ),
        (r#"{"id": "a", "result": null}"#.to_owned(), Kind::Result { id: text("a") }),
        (
            format!(r#"{{"jsonrpc": "2.0", "error": {method_not_found}, "id": "1"}}"#),
            error(text("1"), -32601, "Method not found"),
        ),
        (
            format!(r#"{{"id": null, "error": {method_not_found}}}"#),
            error(Id::Null, -32601, "Method not found"),
        ),
        (r#"{"foo": "boo"}"#.to_owned(), Kind::Invalid),
        (r#"{"jsonrpc": "2.0", "method": 1, "params": "bar", "id": 1}"#.to_owned(), Kind::Invalid),
        (r#"{"method": "a", "id": [1]}"#.to_owned(), Kind::Invalid),
        (r#"{"result": {}}"#.to_owned(), Kind::Invalid),
        (format!(r#"{{"method": "a", "id": "{}"}}"#, "x".repeat(MAX_NAME + 1)), Kind::Invalid),
        (format!(r#"{{"method": "{}", "id": 1}}"#, "x".repeat(MAX_NAME + 1)), Kind::Invalid),
    ] {
        assert_eq!(kinds(&body), [kind], "{body}");
    }
}

#[test]
fn every_framing_gives_the_same() {
    let bodies = [
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"]}\"{"}]}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}"#,
        r#"{"jsonrpc":"2.0","id":8,"method":"sampling/createMessage","params":{}}"#,
    ];
    let expected = [
        Kind::Result { id: number("7") },
        notification("notifications/progress"),
        request(number("8"), "sampling/createMessage"),
    ];
    let events = bodies.map(|body| format!("event: message\r\nid: 1\r\ndata: {body}\r\n\r\n"));
    for body in [
        bodies.join("\n"),
        bodies.concat(),
        format!(" [{}]", bodies.join(", ")),
        events.concat(),
        format!(": comment\n\n{}", bodies.map(|body| format!("data: {body}\n\n")).concat()),
        // A batch in one event, a message over several lines of data.
        format!(
            "data: [{},\ndata: {}]\n\ndata: {}",
            bodies[0],
            bodies[1],
            bodies[2].replace(',', ",\ndata: ")
        ),
    ] {
        assert_eq!(kinds(&body), expected, "{body}");
    }
}

#[test]
fn other_events_are_no_messages() {
    let body = "event: endpoint\ndata: /messages?sessionId=1\n\n\
        event: other\ndata: {\"method\":\"a\"}\n\n\
        data: {\"method\":\"b\"}\nevent: late\n\nevent: message\ndata: {\"method\":\"c\"}\n\n";
    assert_eq!(kinds(body), [notification("c")]);
}

#[test]
fn messages_are_told_when_their_last_byte_passed() {
    let times = |pieces: &[&str]| {
        let (mut messages, mut times) = (messages(), Vec::new());
        for (number, piece) in pieces.iter().enumerate() {
            let time = Timestamp(10 + number as u64);
            messages.push(piece.as_bytes(), time, |message| {
                assert_eq!(time, message.time, "told at once");
                times.push(message.time.0);
            });
        }
        messages.end(|message| times.push(message.time.0));
        times
    };
    assert_eq!(times(&["{\"method\":", "\"a\"", "}", "\n"]), [12]);
    assert_eq!(times(&["[{\"method\":\"a\"}", ",", "{}", "]"]), [10, 12]);
    assert_eq!(times(&["data: {\"method\":\"a\"}", "\n", "\n", "data: {}\n"]), [12, 13]);
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Object<CallResult<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CallResult<'a> {
    #[serde(rename = "isError")]
    is_error: super::super::json::lax::Flag,
    #[serde(borrow)]
    content: List<ErrorObject<'a>>,
}

#[test]
fn facts_behind_large_results_are_read() {
    let text = "x".repeat(3 << 20);
    let body = format!(
        r#"{{"id":"a","result":{{"content":[{{"type":"text","text":"{text}"}}],"isError":true}}}}"#
    );
    let mut messages = messages();
    let mut told = 0;
    for piece in body.as_bytes().chunks(16 << 10) {
        messages.push(piece, Timestamp(1), |message| {
            assert_eq!(message.kind, Kind::Result { id: Id::Text("a".to_owned()) });
            assert_eq!(message.fault, None);
            let (content, cut) = message.document.content().expect("asked for");
            assert!(cut && content.to_string().len() < 64 << 10);
            let (answer, _) = message.document.facts::<Answer<'_>>();
            assert_eq!(answer.result.0.expect("an object").is_error.0, Some(true));
            told += 1;
        });
    }
    assert_eq!(told, 1);
}

#[test]
fn cut_messages_say_so() {
    for (body, fault) in [
        (r#"{"id":1,"method":"tools/call","params":{"name":"a"#, Fault::Truncated),
        (
            "data: {\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\n\n",
            Fault::Truncated,
        ),
        (r#"{"id":1,"method":"tools/call",}"#, Fault::Syntax),
    ] {
        let read = splits::check(body.as_bytes(), read);
        assert_eq!(read.len(), 1, "{read:?}");
        assert_eq!((&read[0].0, read[0].1), (&request(number("1"), "tools/call"), Some(fault)));
    }
}

#[test]
fn gaps_cost_the_message_under_way() {
    let after_gap = |before: &str, after: &str| {
        let (mut messages, mut all) = (messages(), Vec::new());
        let mut sink = |message: Message<'_>| all.push((message.kind, message.fault));
        messages.push(before.as_bytes(), Timestamp(1), &mut sink);
        messages.gap();
        messages.push(after.as_bytes(), Timestamp(2), &mut sink);
        messages.end(&mut sink);
        all
    };
    let cut = (request(number("1"), "m"), Some(Fault::Gap));
    assert_eq!(after_gap(r#"{"id":1,"method":"m","params":{"#, r#"}}{"method":"n"}"#), [cut]);
    let events = "\"}\n\ndata: {\"method\":\"n\"}\n\n";
    assert_eq!(after_gap("data: {\"method\":\"m", events), [(notification("n"), None)]);
    assert_eq!(after_gap("", events), [(notification("n"), None)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_body_gives_the_same_however_split(
        body in "(\\{|\\}|\\[|\\]|\"|,|:|a|1|\\\\|data: |event: x|\"id\":1|\"method\":\"m\"|\"result\":|\\{\"method\":\"m\"\\}|\n|\r\n| ){0,40}",
    ) {
        splits::check(body.as_bytes(), read);
    }
}
