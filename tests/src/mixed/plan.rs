//! What is asked for in one call: its request, and the answer that the server shall give.
//! Takes the call's number; gives all of it, by that number alone.
//! The answer's plan travels in the request's head (`x-plan`), so a server needs no list.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::coding::{self, Coding};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// An OpenAI chat completion: the calls that become spans.
    Chat,
    /// Server-sent events that mean nothing.
    Events,
    Json,
}

/// The answer that is wanted. Of a WebSocket: `pieces` messages each way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub id: String,
    pub number: u64,
    pub form: Form,
    pub status: u16,
    pub pieces: usize,
    /// Bytes of filling in each piece.
    pub size: usize,
    pub coding: Coding,
    /// The answer stops halfway and never ends: the client leaves.
    pub hangs: bool,
}

impl Plan {
    pub fn response_id(&self) -> String {
        format!("chatcmpl-{}", self.id)
    }

    /// Of the prompt and of the completion, as the answer reports them.
    pub fn tokens(&self) -> (u64, u64) {
        (1000 + self.number, 2000 + 3 * self.number)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http1,
    /// All requests in one write, the answers after each other.
    Pipelined,
    Http2,
    WebSocket,
}

/// One call, as a client is told of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// Base64 of the pieces in which the body is sent; one piece has a `Content-Length`.
    pub body: Vec<String>,
    pub plan: Plan,
}

/// The calls of one connection. Over HTTP/2, [`Connection::STREAMS`] at a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    pub protocol: Protocol,
    pub calls: Vec<Call>,
}

impl Connection {
    pub const STREAMS: usize = 20;
}

/// Choices that derive from a number and still look like none (SplitMix64).
struct Choices(u64);

impl Choices {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next(count) == 0
    }

    fn coding(&mut self) -> Coding {
        Coding::ALL[self.next(Coding::ALL.len() as u64) as usize]
    }
}

impl Plan {
    fn of(number: u64, choices: &mut Choices) -> Self {
        let form = match choices.next(8) {
            0..3 => Form::Chat,
            3 => Form::Events,
            _ => Form::Json,
        };
        let status = match choices.next(16) {
            0 => 429,
            1 => 500,
            2 if form == Form::Json => 204,
            3 if form == Form::Json => 304,
            4 if form == Form::Json => 404,
            _ => 200,
        };
        let pieces = if choices.one_in(3) { 1 } else { 2 + choices.next(20) as usize };
        let size = if choices.one_in(200) { 20_000 } else { choices.next(200) as usize };
        let coding = choices.coding();
        Self { id: format!("m{number}x"), number, form, status, pieces, size, coding, hangs: false }
    }
}

impl Call {
    /// # Errors
    /// Its body could not be encoded.
    pub fn of(number: u64) -> io::Result<Self> {
        let mut choices = Choices(number);
        let plan = Plan::of(number, &mut choices);
        let method = match (plan.form, plan.status) {
            (Form::Chat, _) => "POST",
            (_, 204 | 304) => "GET",
            _ => ["POST", "PUT", "GET", "HEAD", "POST"][choices.next(5) as usize],
        };
        let mut call = Self {
            method: method.to_owned(),
            path: if plan.form == Form::Chat { "/v1/chat/completions" } else { "/mixed" }.into(),
            headers: Vec::new(),
            body: Vec::new(),
            plan,
        };
        if ["POST", "PUT"].contains(&method) {
            call.add_body(&mut choices)?;
        }
        Ok(call)
    }

    /// A WebSocket, whose messages the client makes itself.
    pub fn socket(number: u64) -> Self {
        let mut choices = Choices(number);
        let plan = Plan {
            form: Form::Json,
            status: 101,
            pieces: 2 + choices.next(30) as usize,
            size: choices.next(3000) as usize,
            coding: if choices.one_in(2) { Coding::Deflate } else { Coding::Identity },
            ..Plan::of(number, &mut choices)
        };
        Self {
            method: "GET".into(),
            path: "/socket".into(),
            headers: Vec::new(),
            body: Vec::new(),
            plan,
        }
    }

    fn add_body(&mut self, choices: &mut Choices) -> io::Result<()> {
        let length = if choices.one_in(200) { 200_000 } else { choices.next(2000) as usize };
        let filling = "p".repeat(length);
        let body = if self.plan.form == Form::Chat {
            let stream = choices.one_in(2);
            let mut body = json!({
                "model": format!("model-{}", self.plan.number % 5),
                "max_tokens": self.plan.number,
                "user": self.plan.id,
                "messages": [{"role": "user", "content": filling}],
                "stream": stream,
            });
            if stream {
                body["stream_options"] = json!({"include_usage": true});
            }
            body
        } else {
            json!({"user": self.plan.id, "text": filling})
        };
        let body = body.to_string().into_bytes();
        let count = if choices.one_in(4) { 2 + choices.next(5) as usize } else { 1 };
        let pieces: Vec<_> = body.chunks(body.len().div_ceil(count)).map(<[u8]>::to_vec).collect();
        let coding = if choices.one_in(4) { choices.coding() } else { Coding::Identity };
        if let Some(name) = coding.name() {
            self.headers.push(("content-encoding".into(), name.into()));
        }
        let mut encoded = coding::encode(coding, &pieces)?;
        if count == 1 {
            encoded = vec![encoded.concat()];
        }
        self.headers.push(("content-type".into(), "application/json".into()));
        self.body =
            encoded.iter().filter(|it| !it.is_empty()).map(|it| STANDARD.encode(it)).collect();
        Ok(())
    }

    /// The body's pieces.
    ///
    /// # Errors
    /// The job is broken.
    pub fn pieces(&self) -> Result<Vec<Vec<u8>>, base64::DecodeError> {
        self.body.iter().map(|piece| STANDARD.decode(piece)).collect()
    }

    /// Header fields in all, with the answer's plan.
    ///
    /// # Errors
    /// Never for a plan made here.
    pub fn fields(&self) -> serde_json::Result<Vec<(String, String)>> {
        let mut fields = self.headers.clone();
        fields.push(("x-plan".into(), serde_json::to_string(&self.plan)?));
        Ok(fields)
    }
}
