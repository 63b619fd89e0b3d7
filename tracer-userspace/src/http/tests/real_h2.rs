//! HTTP/2 as the `h2` crate speaks it: its own HPACK encoder, flow control and frame sizes.
//! What passes between a client and a server of that crate is recorded, then read by ours.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use ::http::{HeaderMap, HeaderValue, Request, Response};
use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

use super::*;

/// Flow control of both ends, in bytes: wide enough that bodies nobody reads yet block no others.
const WINDOW: u32 = 16 << 20;

/// A client's end of a connection that keeps what passes.
struct Recorded {
    stream: DuplexStream,
    steps: Arc<Mutex<Vec<Step>>>,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.steps.lock().expect("one thread").push(received(&buf.filled()[before..]));
        }
        poll
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(len)) = poll {
            self.steps.lock().expect("one thread").push(sent(&buf[..len]));
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Bytes of a body that are sent at a time.
const PIECE: usize = 700;

/// Header fields and size of body of one call, the same in both directions.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: usize,
    /// The client gives it up before its last piece.
    pub(super) is_reset: bool,
}

fn text(call: &Call) -> Bytes {
    Bytes::from_iter((0..call.body).map(|n| b"abcdefghij"[(n + call.body) % 10]))
}

fn headers(call: &Call) -> HeaderMap {
    let field = |(name, value): &(String, Vec<u8>)| {
        let name = ::http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_bytes(value).expect("a value"))
    };
    HeaderMap::from_iter(call.fields.iter().map(field))
}

/// All calls at once over one connection; the server answers each with its own fields and body.
/// `order`: whose next piece the client sends, as far as it goes.
async fn record(calls: &[Call], table_size: u32, order: &[usize]) -> Vec<Step> {
    let steps = Arc::new(Mutex::new(vec![created()]));
    let (client, server) = duplex(8192);
    let client = Recorded { stream: client, steps: Arc::clone(&steps) };
    let serve = async {
        let mut builder = h2::server::Builder::new();
        builder.header_table_size(table_size).max_concurrent_streams(1000);
        builder.initial_connection_window_size(WINDOW).initial_window_size(WINDOW);
        let mut connection = builder.handshake::<_, Bytes>(server).await.expect("handshake");
        while let Some(request) = connection.accept().await {
            let (request, mut respond) = request.expect("a request");
            tokio::spawn(async move {
                let fields = request.headers().clone();
                let mut body = request.into_body();
                let mut all = Vec::new();
                while let Some(data) = body.data().await {
                    let Ok(data) = data else { return };
                    body.flow_control().release_capacity(data.len()).expect("released");
                    all.extend_from_slice(&data);
                }
                let mut response = Response::builder().status(207).body(()).expect("a response");
                *response.headers_mut() = fields;
                let mut stream = respond.send_response(response, false).expect("sent");
                for piece in all.chunks(PIECE) {
                    stream.send_data(Bytes::copy_from_slice(piece), false).expect("sent");
                    tokio::task::yield_now().await;
                }
                let trailer = (::http::HeaderName::from_static("x-end"), "yes".parse());
                let trailer = HeaderMap::from_iter([(trailer.0, trailer.1.expect("a value"))]);
                stream.send_trailers(trailer).expect("sent");
            });
        }
    };
    let call_all = async {
        let mut builder = h2::client::Builder::new();
        builder.header_table_size(table_size).initial_max_send_streams(1000);
        builder.initial_connection_window_size(WINDOW).initial_window_size(WINDOW);
        let (client, connection) = builder.handshake::<_, Bytes>(client).await.expect("handshake");
        let driver = tokio::spawn(connection);
        let mut client = client.ready().await.expect("ready");
        let (mut answers, mut bodies) = (Vec::new(), Vec::new());
        for (number, call) in calls.iter().enumerate() {
            let uri = format!("https://host.example/call/{number}");
            let mut request = Request::post(uri).body(()).expect("a request");
            *request.headers_mut() = headers(call);
            let (answer, stream) = client.send_request(request, false).expect("sent");
            if !call.is_reset {
                answers.push(answer);
            }
            bodies.push((stream, text(call), call.is_reset));
            if number % 5 == 4 {
                tokio::task::yield_now().await;
            }
        }
        for at in order {
            let count = bodies.len();
            let (stream, rest, _) = &mut bodies[at % count];
            // The last piece is kept for the end.
            if rest.len() > PIECE {
                stream.send_data(rest.split_to(PIECE), false).expect("sent");
                tokio::task::yield_now().await;
            }
        }
        for (mut stream, rest, is_reset) in bodies {
            if is_reset {
                tokio::task::yield_now().await;
                stream.send_reset(h2::Reason::CANCEL);
            } else {
                stream.send_data(rest, true).expect("sent");
            }
        }
        for answer in answers {
            let mut body = answer.await.expect("an answer").into_body();
            while let Some(data) = body.data().await {
                let data = data.expect("data");
                body.flow_control().release_capacity(data.len()).expect("released");
            }
            body.trailers().await.expect("trailers");
        }
        drop(client);
        driver.await.expect("joined").expect("closed in order");
    };
    tokio::join!(serve, call_all);
    Arc::try_unwrap(steps).expect("all are done").into_inner().expect("one thread")
}

pub(super) fn recorded(calls: &[Call], table_size: u32, order: &[usize]) -> Vec<Step> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(record(calls, table_size, order))
}

/// The same as the server saw it.
fn of_server(steps: &[Step]) -> Vec<Step> {
    let flip = |step: &Step| match step {
        Step::Sent(id, bytes) => Step::Received(*id, bytes.clone()),
        Step::Received(id, bytes) => Step::Sent(*id, bytes.clone()),
        other => other.clone(),
    };
    steps.iter().map(flip).collect()
}

/// Joined in the middle, after so many bytes.
fn joined_at(steps: &[Step], mut bytes: usize) -> Vec<Step> {
    let mut late = vec![Open(1, Origin::JoinedLate)];
    for step in &steps[1..] {
        let mut step = step.clone();
        if let Step::Sent(_, part) | Step::Received(_, part) = &mut step {
            let passed = bytes.min(part.len());
            bytes -= passed;
            part.drain(..passed);
            if part.is_empty() {
                continue;
            }
        }
        late.push(step);
    }
    late
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) target: String,
    pub(super) asked: HeaderMap,
    pub(super) request: Vec<u8>,
    pub(super) status: u16,
    pub(super) answered: HeaderMap,
    pub(super) response: Vec<u8>,
    pub(super) trailers: usize,
    pub(super) unknown: u32,
    pub(super) end: Option<End>,
}

pub(super) fn hear(steps: &[Step], cut: usize) -> BTreeMap<u64, Heard> {
    let mut exchanges = Exchanges::new();
    let mut heard: BTreeMap<u64, Heard> = BTreeMap::new();
    let mut sink = |event: ExchangeEvent<'_>| {
        let heard = heard.entry(event.exchange.index).or_default();
        match event.kind {
            Kind::Request { head, .. } => {
                heard.target.clone_from(&head.target);
                heard.asked.clone_from(&head.headers);
            }
            Kind::RequestBody(bytes) => heard.request.extend_from_slice(bytes),
            Kind::Response { head, .. } => {
                heard.status = head.status.as_u16();
                heard.answered.clone_from(&head.headers);
            }
            Kind::ResponseBody(bytes) => heard.response.extend_from_slice(bytes),
            Kind::RequestFieldsUnknown(count) | Kind::ResponseFieldsUnknown(count) => {
                heard.unknown += count;
            }
            Kind::ResponseTrailers(fields) => heard.trailers += fields.len(),
            Kind::End(end) => heard.end = Some(end),
            _ => {}
        }
    };
    let (connection, time) = (ConnectionId(1), Timestamp(1));
    for step in steps {
        let (direction, bytes) = match step {
            Step::Sent(_, bytes) => (Direction::Sent, bytes),
            Step::Received(_, bytes) => (Direction::Received, bytes),
            Open(_, origin) => {
                let process = ProcessId { pid: 1, incarnation: 1 };
                let (origin, security) = (*origin, Security::Tls);
                let opened = Opened { connection, process, time, origin, security };
                exchanges.on(&Event::Opened(opened), &mut sink);
                continue;
            }
            _ => continue,
        };
        for part in bytes.chunks(cut) {
            let data = Data::Bytes(part);
            let segment = Segment { connection, direction, offset: 0, time, data, caller: None };
            exchanges.on(&Event::Segment(segment), &mut sink);
        }
    }
    heard
}

#[track_caller]
fn expect_whole(calls: &[Call], heard: &BTreeMap<u64, Heard>) {
    assert_eq!(heard.len(), calls.len());
    for (number, (call, heard)) in calls.iter().zip(heard.values()).enumerate() {
        assert_eq!(heard.target, format!("/call/{number}"));
        let mut asked = headers(call);
        asked.insert("host", HeaderValue::from_static("host.example"));
        assert_eq!(heard.asked, asked);
        if call.is_reset {
            assert!(text(call).starts_with(&heard.request), "{heard:?}");
            assert_eq!(heard.end.map(|end| end.how), Some(Ended::StreamReset(8)));
            continue;
        }
        assert_eq!(heard.answered, headers(call));
        assert!(heard.request == text(call) && heard.response == text(call));
        assert_eq!((heard.status, heard.trailers, heard.unknown), (207, 1, 0));
        assert_eq!(heard.end.map(|end| end.how), Some(Ended::Complete));
    }
}

fn plain_calls(count: usize) -> Vec<Call> {
    let call = |n: usize| Call {
        fields: vec![
            ("user-agent".to_owned(), b"a/1.0 (some program)".to_vec()),
            ("x-number".to_owned(), (n % 7).to_string().into_bytes()),
            ("x-long".to_owned(), vec![b'a' + (n % 26) as u8; n * 3]),
        ],
        body: n * 9,
        is_reset: false,
    };
    (0..count).map(call).collect()
}

#[test]
fn calls_at_once_stay_apart() {
    let calls = plain_calls(250);
    for table_size in [0, 100, 4096, 65536] {
        let steps = recorded(&calls, table_size, &[]);
        for cut in [usize::MAX, 1000, 1] {
            expect_whole(&calls, &hear(&steps, cut));
        }
        expect_whole(&calls, &hear(&of_server(&steps), 100));
    }
}

/// At every byte offset: what is told is of one call, and as that call's; the rest is marked.
#[test]
fn joined_anywhere_nothing_is_wrong() {
    let calls = plain_calls(9);
    let steps = recorded(&calls, 4096, &[]);
    let bytes = |step: &Step| match step {
        Step::Sent(_, bytes) | Step::Received(_, bytes) => bytes.len(),
        _ => 0,
    };
    let total: usize = steps.iter().map(bytes).sum();
    let mut whole = 0;
    for steps in [steps.clone(), of_server(&steps)] {
        for from in 1..total {
            let late = joined_at(&steps, from);
            for heard in hear(&late, usize::MAX).values() {
                whole += usize::from(expect_right(&calls, heard, from));
            }
        }
    }
    assert!(whole > total, "only {whole} answers of {total} connections were told with their end");
}

/// Gives whether the answer is whole.
#[track_caller]
fn expect_right(calls: &[Call], heard: &Heard, from: usize) -> bool {
    // What is told of a head must be of one call, which its body's length names.
    let call = calls.iter().find(|call| text(call) == heard.response[..]);
    let names = heard.answered.iter().chain(&heard.asked);
    for (name, value) in names.filter(|(name, _)| *name != "host") {
        if let Some(call) = call.filter(|_| heard.end.is_some()) {
            assert_eq!(headers(call).get(name), Some(value), "from {from}: {heard:?}");
        } else {
            assert!(calls.iter().any(|call| headers(call).get(name) == Some(value)));
        }
    }
    assert!(heard.asked.get("host").is_none_or(|host| host == "host.example"));
    if let (Some(call), true) = (call, heard.status != 0) {
        // A field that is not told is marked as such.
        let missing = call.fields.len() - heard.answered.len();
        assert!(missing <= heard.unknown as usize, "from {from}: {heard:?}");
    }
    heard.end.is_some_and(|end| end.how == Ended::Complete)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_fields_and_bodies_are_read(
        calls in prop::collection::vec(
            (
                prop::collection::vec(("x-[a-z0-9]{1,20}", "[ -~\u{a0}-\u{ff}]{0,60}"), 0..6),
                0usize..20_000,
                prop::bool::weighted(0.2),
            ),
            1..12,
        ),
        order in prop::collection::vec(any::<usize>(), 0..200),
        table_size in prop::sample::select(vec![0u32, 64, 300, 4096, 70_000]),
        cut in prop::sample::select(vec![1usize, 7, 100, usize::MAX]),
    ) {
        let calls: Vec<Call> = calls
            .into_iter()
            .map(|(fields, body, is_reset)| {
                let bytes = |value: String| {
                    value.trim().chars().map(|c| c as u32 as u8).collect::<Vec<_>>()
                };
                let fields = fields.into_iter().map(|(name, value)| (name, bytes(value)));
                // One value a name, so that the maps compare whatever their order.
                let fields: BTreeMap<_, _> = fields.collect();
                Call { fields: fields.into_iter().collect(), body, is_reset }
            })
            .collect();
        let steps = recorded(&calls, table_size, &order);
        expect_whole(&calls, &hear(&steps, cut));
        expect_whole(&calls, &hear(&of_server(&steps), cut));
    }
}
