//! One HTTP exchange that may carry the protocol: which it is, and its messages both ways.
//! Takes the exchange's events; gives what was [`Said`]. Knows nothing of other exchanges.

use ::http::{HeaderMap, Method};

use super::{Answer, Place, Sender, message};
use crate::{
    capture::Timestamp,
    genai::{
        about::media_type,
        heads,
        json::Fault,
        jsonrpc::{self, Id, Message, Messages},
        operation::{
            ChunkTimes, HttpFacts, McpCall, Operation, OperationName, Request, Response,
            ServerTimes, Timing, Usage,
        },
        recognize,
        sse::{self, Sse},
    },
    http::{End, Ended, ExchangeId, Kind, RequestHead, Role},
};

/// Of a body that nothing but its shape may tell, so much is looked at before it is left.
const LOOK: usize = 4 << 10;

/// A message says one of these near its start.
const SIGNS: [&[u8]; 2] = [b"\"jsonrpc\"", b"\"method\""];

/// Longest address of the older transport's `endpoint` event that is read.
const MAX_ENDPOINT: usize = 2 << 10;

const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";

/// Something that the rest of the session must know.
#[derive(Debug)]
pub(super) enum Said {
    Request {
        sender: Sender,
        id: Id,
        operation: Box<Operation>,
    },
    Notification {
        operation: Box<Operation>,
    },
    /// `sender` is whose request it answers.
    Answer {
        sender: Sender,
        id: Id,
        answer: Answer,
        time: Timestamp,
    },
    /// The server may answer the session's requests here.
    Stream,
}

#[derive(Debug)]
pub(super) struct Exchange {
    id: ExchangeId,
    role: Role,
    started: Timestamp,
    http: HttpFacts,
    session: Option<String>,
    version: Option<String>,
    /// The head or a message shows that it is the protocol.
    sure: bool,
    /// Of a body that may be another's, what was looked at.
    looked: Vec<u8>,
    requests: Messages,
    responses: Option<Messages>,
    /// Of the older transport: looks for the address that clients send to.
    endpoint: Option<(Sse, Vec<u8>)>,
    is_get: bool,
    capture_content: bool,
    /// Calls that were told of here.
    told: u64,
    /// Requests that the client made here.
    pub asked: Vec<(Place, Id)>,
    /// It is counted among its session's streams.
    pub streams: bool,
}

impl Exchange {
    /// `None` where the head rules the protocol out.
    pub(super) fn new(
        id: ExchangeId,
        head: &RequestHead,
        (role, started): (Role, Timestamp),
        capture_content: bool,
    ) -> Option<Self> {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let accepts = |kind: &str| text("accept").is_some_and(|accept| accept.contains(kind));
        let session = text(SESSION).map(str::to_owned);
        let named = session.is_some() || text(VERSION).is_some();
        let events = accepts("text/event-stream");
        let is_get = head.method == Method::GET;
        let possible = match head.method {
            Method::GET => events,
            Method::POST => recognize::is_json(head) && !recognize::is_known(head),
            _ => false,
        };
        if !possible {
            return None;
        }
        Some(Self {
            id,
            role,
            started,
            http: heads::request(head),
            session: session.or_else(|| query_session(&head.target)),
            version: text(VERSION).map(str::to_owned),
            sure: named || (events && accepts("application/json")),
            looked: Vec::new(),
            requests: Messages::new(message::shapes(capture_content)),
            responses: None,
            endpoint: None,
            is_get,
            capture_content,
            told: 0,
            asked: Vec::new(),
            streams: false,
        })
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.id
    }

    pub(super) fn moved(&mut self, to: ExchangeId) {
        self.id = to;
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.http.status
    }

    pub(super) fn place(&self) -> Place {
        match &self.session {
            Some(session) => Place::Session(self.role, session.clone()),
            None => Place::Exchange(self.id),
        }
    }

    /// Gives whether this may still be the protocol.
    pub(super) fn on(&mut self, kind: Kind<'_>, time: Timestamp, said: &mut Vec<Said>) -> bool {
        match kind {
            Kind::RequestBody(bytes) => return self.request_body(bytes, time, said),
            Kind::RequestGap => self.requests.gap(),
            Kind::RequestEnd => {
                let mut messages = self.requests_of_client();
                messages.end(|message| self.message(Sender::Client, message, said));
                self.requests = messages;
                return self.sure || self.is_get;
            }
            Kind::Response { head, .. } => {
                return self.response(&head.headers, head.status.as_u16(), said);
            }
            Kind::ResponseBody(bytes) => self.response_body(bytes, time, said),
            Kind::ResponseGap => {
                if let Some(messages) = &mut self.responses {
                    messages.gap();
                }
            }
            Kind::ResponseEnd => self.over(time, said),
            _ => {}
        }
        true
    }

    /// The response's body is over.
    pub(super) fn over(&mut self, _time: Timestamp, said: &mut Vec<Said>) {
        if let Some(mut messages) = self.responses.take() {
            messages.end(|message| self.message(Sender::Server, message, said));
        }
    }

    fn requests_of_client(&mut self) -> Messages {
        let shapes = message::shapes(self.capture_content);
        std::mem::replace(&mut self.requests, Messages::new(shapes))
    }

    fn request_body(&mut self, bytes: &[u8], time: Timestamp, said: &mut Vec<Said>) -> bool {
        if !self.sure && !self.looks_right(bytes) {
            return false;
        }
        let mut messages = self.requests_of_client();
        messages.push(bytes, time, |message| self.message(Sender::Client, message, said));
        self.requests = messages;
        true
    }

    /// Whether the body begins like a message, or is too short to tell.
    fn looks_right(&mut self, bytes: &[u8]) -> bool {
        let seen = &mut self.looked;
        if seen.len() >= LOOK {
            return true;
        }
        seen.extend_from_slice(&bytes[..bytes.len().min(LOOK - seen.len())]);
        // An object, or a list of them.
        let start = seen.trim_ascii_start();
        let start = start.strip_prefix(b"[").map_or(start, <[u8]>::trim_ascii_start);
        let opens = start.first().is_none_or(|byte| *byte == b'{');
        let sign = || SIGNS.iter().any(|sign| memchr::memmem::find(seen, sign).is_some());
        opens && (seen.len() < LOOK || sign())
    }

    fn response(&mut self, headers: &HeaderMap, status: u16, said: &mut Vec<Said>) -> bool {
        self.http.status = Some(status);
        if let Some(session) = headers.get(SESSION).and_then(|value| value.to_str().ok()) {
            self.session.get_or_insert_with(|| session.to_owned());
        }
        let kind = media_type(headers);
        let events = kind.eq_ignore_ascii_case("text/event-stream");
        if self.is_get {
            if !events || status != 200 {
                return false;
            }
            if self.session.is_some() {
                said.push(Said::Stream);
            } else {
                self.endpoint = Some((Sse::default(), Vec::new()));
            }
        }
        if events || kind.eq_ignore_ascii_case("application/json") {
            self.responses = Some(Messages::new(message::shapes(self.capture_content)));
        }
        true
    }

    fn response_body(&mut self, bytes: &[u8], time: Timestamp, said: &mut Vec<Said>) {
        self.look_for_endpoint(bytes, said);
        let Some(mut messages) = self.responses.take() else { return };
        messages.push(bytes, time, |message| self.message(Sender::Server, message, said));
        self.responses = Some(messages);
    }

    /// The older transport tells first where the client shall send, and there the session's name.
    fn look_for_endpoint(&mut self, bytes: &[u8], said: &mut Vec<Said>) {
        let Some((sse, address)) = &mut self.endpoint else { return };
        let (mut found, mut over) = (None, false);
        sse.push(bytes, |item| match item {
            sse::Item::Data(piece) if !over => {
                let room = MAX_ENDPOINT.saturating_sub(address.len());
                address.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            sse::Item::Event(name) if !over => {
                over = true;
                if name == b"endpoint" {
                    found = query_session(&String::from_utf8_lossy(address));
                }
            }
            _ => {}
        });
        if over {
            self.endpoint = None;
        }
        if let Some(session) = found {
            self.session = Some(session);
            self.sure = true;
            said.push(Said::Stream);
        }
    }

    /// Folds a message in. `sender` sent it.
    fn message(&mut self, sender: Sender, message: Message<'_>, said: &mut Vec<Said>) {
        let other = match sender {
            Sender::Client => Sender::Server,
            Sender::Server => Sender::Client,
        };
        let (time, fault) = (message.time, message.fault);
        match message.kind {
            jsonrpc::Kind::Request { id, method } if message::is_known(&method) => {
                self.sure = true;
                let params = message::params(message.document);
                let mut operation =
                    Box::new(self.operation(sender, time, method, Some(&id), params));
                operation.unreadable = fault.map(Fault::as_str);
                said.push(Said::Request { sender, id, operation });
            }
            // The server's notifications are the stream's own business, and may be many.
            jsonrpc::Kind::Notification { method }
                if message::is_known(&method) && sender == Sender::Client =>
            {
                self.sure = true;
                let params = message::params(message.document);
                let operation = Box::new(self.operation(sender, time, method, None, params));
                said.push(Said::Notification { operation });
            }
            jsonrpc::Kind::Result { id } => {
                let answer = Answer::Result(Box::new(message::result(message.document)));
                said.push(Said::Answer { sender: other, id, answer, time });
            }
            jsonrpc::Kind::Error { id, code, message } => {
                let answer = Answer::Error { code, message };
                said.push(Said::Answer { sender: other, id, answer, time });
            }
            _ => {}
        }
    }

    fn operation(
        &mut self,
        sender: Sender,
        time: Timestamp,
        method: String,
        id: Option<&Id>,
        params: message::Params,
    ) -> Operation {
        self.told += 1;
        let mut http = self.http.clone();
        if let Some(traceparent) = params.traceparent {
            http.traceparent = vec![traceparent];
            http.tracestate = params.tracestate.into_iter().collect();
        }
        let is_tool = method == McpCall::TOOL;
        let is_prompt = method == "prompts/get";
        let is_resource = method.starts_with("resources/");
        let (role, start) = match (sender, self.role) {
            (Sender::Client, role) => (role, self.started),
            // The side that HTTP calls a server asks here.
            (Sender::Server, Role::Client) => (Role::Server, time),
            (Sender::Server, Role::Server) => (Role::Client, time),
        };
        Operation {
            exchange: self.id,
            turn: self.told - 1,
            role,
            name: OperationName::ExecuteTool,
            provider: String::new(),
            api_type: None,
            request: Request::default(),
            response: Response::default(),
            usage: Usage::default(),
            timing: Timing {
                start,
                request_end: Some(time),
                first_chunk: None,
                first_content: None,
                last_content: None,
                output_chunk_times: ChunkTimes::default(),
                end: time,
            },
            server_times: ServerTimes::default(),
            error: None,
            http,
            fingerprint: None,
            content: None,
            end: End {
                how: Ended::Complete,
                missing_request: 0,
                missing_response: 0,
                joined_late: false,
            },
            unknown_fields: 0,
            unreadable: None,
            mcp: Some(Box::new(McpCall {
                tool_name: params.name.clone().filter(|_| is_tool),
                prompt_name: params.name.filter(|_| is_prompt),
                resource_uri: params.uri.filter(|_| is_resource),
                request_id: id.map(Id::to_string),
                session_id: self.session.clone(),
                protocol_version: params.protocol_version.or_else(|| self.version.clone()),
                arguments: params.arguments.filter(|_| is_tool),
                result: None,
                error_code: None,
                method,
            })),
        }
    }
}

/// The older transport names the session in the query of the address that clients send to.
fn query_session(target: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| matches!(*name, "session_id" | "sessionId"))
        .map(|(_, value)| value.to_owned())
}
