//! Recorded exchanges as they would be elsewhere: behind a gateway, at a local port, with their JSON in another order.
//! Takes an exchange; gives it changed, with the same to be found in it.
//! What is read must rest on what the formats say, not on where and how these exchanges happened to be recorded.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{Message, Record};

/// Makes another recording of one; `None` where the way says nothing of it.
type Way = fn(&Record) -> Option<Record>;

/// Ways to be elsewhere.
pub(super) const WAYS: [(&str, Way); 5] = [
    ("gateway", |record| Some(gateway(record))),
    ("local port", |record| Some(local(record))),
    ("unknown path", nowhere),
    ("members in another order", |record| Some(reordered(record))),
    ("white space", |record| Some(spaced(record))),
];

/// An unknown host, and a prefix before the path.
fn gateway(record: &Record) -> Record {
    moved(record, "https://llm.example.internal/gateway/team-a")
}

fn local(record: &Record) -> Record {
    moved(record, "http://127.0.0.1:4000")
}

fn moved(record: &Record, to: &str) -> Record {
    let rest = record.url.split_once("://").unwrap().1;
    let path = &rest[rest.find(['/', '?']).unwrap_or(rest.len())..];
    let mut moved = copy(record);
    moved.url = format!("{to}{path}");
    for name in ["host", "Host"] {
        moved.request.headers.remove(name);
    }
    moved
}

/// A host and a path that say nothing: the bodies have to, and what the path named is not there.
fn nowhere(record: &Record) -> Option<Record> {
    let shaped = ["openai-chat", "openai-responses", "anthropic-messages"];
    let in_path = record.url.contains("/deployments/");
    if !shaped.contains(&&*record.family) || in_path || record.method != "POST" {
        return None;
    }
    let mut moved = moved(record, "http://10.1.2.3:9000");
    moved.url = "http://10.1.2.3:9000/ask".to_owned();
    // Some were recorded without their heads.
    let headers = &mut moved.request.headers;
    if !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
        headers.insert("content-type".to_owned(), "application/json".into());
    }
    Some(moved)
}

/// The members of every object the other way round.
fn reordered(record: &Record) -> Record {
    rewritten(record, &|value| backwards(value).unwrap_or_default())
}

/// Every value on a line of its own.
fn spaced(record: &Record) -> Record {
    rewritten(record, &|value| serde_json::to_string_pretty(value).unwrap())
}

fn rewritten(record: &Record, write: &dyn Fn(&Value) -> String) -> Record {
    let mut rewritten = copy(record);
    for message in [&mut rewritten.request, &mut rewritten.response] {
        let body = message.body();
        if let Ok(value) = serde_json::from_slice::<Value>(&body) {
            message.body_b64 = Some(BASE64_STANDARD.encode(write(&value)));
        }
    }
    rewritten
}

fn backwards(value: &Value) -> Option<String> {
    Some(match value {
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .rev()
                .map(|(name, value)| {
                    Some(format!("{}:{}", Value::from(&**name), backwards(value)?))
                })
                .collect::<Option<_>>()?;
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(backwards).collect::<Option<_>>()?;
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    })
}

fn copy(record: &Record) -> Record {
    let message = |message: &Message| Message {
        headers: message.headers.clone(),
        body_b64: message.body_b64.clone(),
    };
    Record {
        id: record.id.clone(),
        family: record.family.clone(),
        method: record.method.clone(),
        url: record.url.clone(),
        path: record.path.clone(),
        request: message(&record.request),
        status: record.status,
        response: message(&record.response),
        expect: BTreeMap::new(),
    }
}
