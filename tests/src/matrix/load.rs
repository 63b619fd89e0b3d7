//! The work of every row: a small call, a long stream, a large request, and many connections at once.
//! Takes a protocol; gives connections with calls, as the mixed load has them.
//! Nothing is encoded or left: what a TLS library does does not depend on that.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::mixed::{Call, Coding, Connection, Form, Plan, Protocol};

/// Pieces of the long stream.
const STREAM: usize = 200;
/// Bytes of the large request's text.
const LARGE: usize = 1 << 20;
/// Connections that are there at the same time, besides the first.
const CONNECTIONS: usize = 20;

/// What one call is to be.
struct Wanted {
    form: Form,
    stream: bool,
    pieces: usize,
    /// Bytes of the request's text.
    text: usize,
}

/// Calls of each of the many connections.
const SHORT: [Wanted; 4] = [
    Wanted { form: Form::Chat, stream: false, pieces: 1, text: 100 },
    Wanted { form: Form::Chat, stream: true, pieces: 10, text: 3000 },
    Wanted { form: Form::Json, stream: false, pieces: 3, text: 10 },
    Wanted { form: Form::Chat, stream: false, pieces: 1, text: 40_000 },
];

/// Calls of the first connection.
const FIRST: [Wanted; 3] = [
    Wanted { form: Form::Chat, stream: false, pieces: 1, text: 10 },
    Wanted { form: Form::Chat, stream: true, pieces: STREAM, text: 10 },
    Wanted { form: Form::Chat, stream: false, pieces: 1, text: LARGE },
];

pub(super) fn load(protocol: Protocol) -> Vec<Connection> {
    let mut numbers = 1..;
    let mut connection = |wanted: &[Wanted]| {
        let calls = wanted.iter().zip(&mut numbers).map(|(wanted, number)| call(wanted, number));
        Connection { protocol, calls: calls.collect() }
    };
    let mut connections = vec![connection(&FIRST)];
    connections.extend((0..CONNECTIONS).map(|_| connection(&SHORT)));
    connections
}

fn call(wanted: &Wanted, number: u64) -> Call {
    let &Wanted { form, stream, pieces, text } = wanted;
    let id = format!("x{number}x");
    let mut body = json!({"user": id, "messages": [{"role": "user", "content": "p".repeat(text)}]});
    if form == Form::Chat {
        body["model"] = json!(format!("model-{}", number % 5));
        body["max_tokens"] = json!(number);
        body["stream"] = json!(stream);
        if stream {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    Call {
        method: "POST".into(),
        path: if form == Form::Chat { "/v1/chat/completions" } else { "/mixed" }.into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: vec![STANDARD.encode(body.to_string())],
        plan: Plan {
            id,
            number,
            form,
            status: 200,
            pieces,
            size: 60,
            coding: Coding::Identity,
            hangs: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_calls_are_alike() {
        let connections = load(Protocol::Http1);
        assert_eq!(connections.len(), 1 + CONNECTIONS);
        let mut ids: Vec<_> = connections.iter().flat_map(|one| &one.calls).collect();
        let count = ids.len();
        ids.sort_by_key(|call| call.plan.number);
        ids.dedup_by_key(|call| call.plan.number);
        assert_eq!(ids.len(), count);
        assert!(ids[2].pieces().unwrap()[0].len() > LARGE);
    }
}
