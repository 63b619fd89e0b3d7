//! Whole messages: framings, interim responses, pipelining, tunnels, roles.

use super::{Told::*, *};

const GET: &str = "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /v1/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get() -> Vec<Told> {
    vec![request("GET /v1/models", 1), RequestEnd]
}

fn ok() -> Vec<Told> {
    vec![response(200, 1), response_body("ok"), ResponseEnd, complete()]
}

fn asked(head: &str, answer: &[Told]) {
    let expected = [get(), answer.to_vec()].concat();
    check(&[created(), sent(GET), received(head)], &expected);
}

#[test]
fn length_delimited_exchange_is_complete() {
    let asked = [request("POST /v1/chat", 2), request_body("hello"), RequestEnd];
    check(&[created(), sent(POST), received(OK)], &[asked.to_vec(), ok()].concat());
}

#[test]
fn received_request_gives_server_role() {
    let lines = run(&[created(), received(GET), sent(OK)]);
    assert_eq!(lines[0].2, Request(Role::Server, "GET /v1/models".to_owned(), 1));
    assert_eq!(lines[2].2, Response(Role::Server, 200, 1));
    assert_eq!(lines[5].2, complete());
}

#[test]
fn chunks_and_extensions_are_removed_and_trailers_told() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;name=\"v\"\r\nhello\r\n00A \t;x\r\n, worldly!\r\n0;last\r\nDigest: x\r\nMore: y\r\n\r\n";
    let trailers = ResponseTrailers(r#"{"digest": "x", "more": "y"}"#.to_owned());
    let body = response_body("hello, worldly!");
    asked(answer, &[response(200, 1), body, trailers, ResponseEnd, complete()]);
}

#[test]
fn chunked_request_ends_by_itself() {
    let post = "POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let asked = [request("POST /", 1), request_body("abc"), RequestEnd];
    check(&[created(), sent(post), received(OK)], &[asked.to_vec(), ok()].concat());
}

#[test]
fn transfer_encoding_overrides_content_length() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nok\r\n0\r\n\r\n";
    asked(answer, &[response(200, 2), response_body("ok"), ResponseEnd, complete()]);
}

#[test]
fn equal_content_lengths_count_once() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nok";
    asked(answer, &[response(200, 2), response_body("ok"), ResponseEnd, complete()]);
}

#[test]
fn statuses_without_body_end_at_once() {
    for status in [204, 304] {
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 10\r\n\r\n");
        asked(&answer, &[response(status, 1), ResponseEnd, complete()]);
    }
}

#[test]
fn head_response_has_no_body() {
    let head = "HEAD / HTTP/1.1\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Encoding: x\r\n\r\n";
    let expected = [request("HEAD /", 0), RequestEnd, response(200, 2), ResponseEnd, complete()];
    check(&[created(), sent(head), received(answer)], &expected);
}

#[test]
fn interim_responses_are_not_told() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    asked(&[interim, OK].concat(), &ok());
}

#[test]
fn expected_continue_comes_before_body() {
    let (head, body) = POST.split_at(POST.len() - 5);
    let steps = [
        created(),
        sent(head),
        received("HTTP/1.1 100 Continue\r\n\r\n"),
        sent(body),
        received(OK),
    ];
    let asked = [request("POST /v1/chat", 2), request_body("hello"), RequestEnd];
    check(&steps, &[asked.to_vec(), ok()].concat());
}

#[test]
fn bare_line_feeds_and_blank_lines_pass() {
    let (get, answer) =
        ("\r\n\nGET / HTTP/1.1\nHost: a\n\n", "HTTP/1.0 200 OK\ncontent-length:2\n\nok");
    let expected = [vec![request("GET /", 1), RequestEnd], ok()].concat();
    check(&[created(), sent(get), received(answer)], &expected);
}

#[test]
fn folded_response_field_is_joined() {
    let answer = "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n";
    let mut exchanges = Exchanges::new();
    let mut folded = None;
    let mut sink = |event: ExchangeEvent<'_>| {
        if let Kind::Response { head, .. } = event.kind {
            folded = head.headers.get("x").cloned();
        }
    };
    let time = Timestamp(1);
    let connection = ConnectionId(1);
    let process = ProcessId { pid: 1, incarnation: 1 };
    let origin = Origin::Created;
    let security = Security::Tls;
    exchanges.on(&Event::Opened(Opened { connection, process, time, origin, security }), &mut sink);
    for (direction, text) in [(Direction::Sent, GET), (Direction::Received, answer)] {
        let data = Data::Bytes(text.as_bytes());
        let segment = Segment { connection, direction, offset: 0, time, data, caller: None };
        exchanges.on(&Event::Segment(segment), &mut sink);
    }
    let folded = folded.expect("response is told");
    assert_eq!(folded.as_bytes().split(|b| *b == b' ').filter(|w| !w.is_empty()).count(), 2);
}

#[test]
fn kept_alive_connection_numbers_exchanges() {
    let steps = [created(), sent(GET), received(OK), sent(GET), received(OK)];
    let exchange = [get(), ok()].concat();
    let expected: Vec<Line> =
        (0..2).flat_map(|index| exchange.iter().map(move |t| (1, index, t.clone()))).collect();
    check_lines(&steps, &expected);
}

#[test]
fn pipelined_requests_pair_in_order() {
    let gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n";
    let steps = [created(), sent([GET, GET, POST].concat()), received([OK, gone, OK].concat())];
    let mut expected: Vec<Line> = Vec::new();
    let mut tell =
        |index, told: &[Told]| expected.extend(told.iter().map(|t| (1, index, t.clone())));
    tell(0, &get());
    tell(1, &get());
    tell(2, &[request("POST /v1/chat", 2), request_body("hello"), RequestEnd]);
    tell(0, &ok());
    tell(1, &[response(410, 1), ResponseEnd, complete()]);
    tell(2, &ok());
    check_lines(&steps, &expected);
}

#[test]
fn response_may_precede_requests_end() {
    let (start, rest) = POST.split_at(POST.len() - 2);
    check(
        &[created(), sent(start), received(OK), sent(rest)],
        &[
            request("POST /v1/chat", 2),
            request_body("hel"),
            response(200, 1),
            response_body("ok"),
            ResponseEnd,
            request_body("lo"),
            RequestEnd,
            complete(),
        ],
    );
}

/// The server answers whole and ends the connection without waiting for the rest.
#[test]
fn answer_to_half_a_request_is_told_apart() {
    let start = &POST[..POST.len() - 2];
    let refused = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    let asked = [request("POST /v1/chat", 2), request_body("hel")];
    let answer = [response(413, 1), response_body("no"), ResponseEnd];
    let told = |how| [&asked[..], &answer, &[end(how)]].concat();
    for (last, how) in [
        (PeerEnded(1, PeerEnd::CloseNotify), Ended::AnsweredEarly),
        (PeerEnded(1, PeerEnd::SystemCall), Ended::AnsweredEarly),
        (closed(CloseCause::Freed), Ended::AnsweredEarly),
        (closed(CloseCause::TracerStopped), Ended::TracerStopped),
    ] {
        check(&[created(), sent(start), received(refused), last], &told(how));
    }
}

#[test]
fn connect_tunnel_carries_http_again() {
    let connect = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    let steps =
        [created(), sent(connect), received("HTTP/1.1 200 Done\r\n\r\n"), sent(GET), received(OK)];
    let opening =
        [request("CONNECT a:80", 1), RequestEnd, response(200, 0), ResponseEnd, complete()];
    let mut expected: Vec<Line> = opening.into_iter().map(|told| (1, 0, told)).collect();
    expected.extend([get(), ok()].concat().into_iter().map(|told| (1, 1, told)));
    check_lines(&steps, &expected);
}

#[test]
fn request_trailers_are_told() {
    let post = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\na: b\r\n\r\n";
    let trailers = RequestTrailers(r#"{"a": "b"}"#.to_owned());
    let asked = [request("POST /", 1), request_body("abc"), trailers, RequestEnd];
    check(&[created(), sent(post), received(OK)], &[asked.to_vec(), ok()].concat());
}

#[test]
fn trailers_that_are_no_fields_are_counted() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        0\r\ngood: 1\r\nno field\r\n\r\n";
    asked(answer, &[response(200, 1), ResponseFieldsUnknown(2), ResponseEnd, complete()]);
}

#[test]
fn connect_tunnel_carries_http2() {
    let connect = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    let opening =
        [request("CONNECT a:80", 1), RequestEnd, response(200, 0), ResponseEnd, complete()];
    let mut expected: Vec<Line> = opening.into_iter().map(|told| (1, 0, told)).collect();
    expected.extend(http2::asked().into_iter().map(|told| (1, 1, told)));
    expected.extend(http2::answered().into_iter().map(|told| (1, 1, told)));
    let tunnel = [
        sent(http2::PREFACE),
        sent(http2::request_frames(1)),
        received(http2::server_settings()),
        received(http2::response_frames(1)),
    ];
    let steps = [created(), sent(connect), received("HTTP/1.1 200 Done\r\n\r\n")];
    check_lines(&[&steps[..], &tunnel].concat(), &expected);
}

/// RFC 7540 §3.2: what was asked in HTTP/1 is answered in HTTP/2, as stream 1.
#[test]
fn upgrade_to_http2_is_followed() {
    let post = "POST /v1/chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n\r\nhello";
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let steps = [
        created(),
        sent(post),
        received(
            [switch.as_bytes(), &http2::server_settings(), &http2::response_frames(1)].concat(),
        ),
        sent([http2::PREFACE, &http2::request_frames(3)].concat()),
        received(http2::response_frames(3)),
    ];
    let first = [request("POST /v1/chat", 5), request_body("hello"), RequestEnd];
    let second = [http2::asked(), http2::answered()].concat();
    let mut expected: Vec<Line> = first.into_iter().map(|told| (1, 0, told)).collect();
    expected.extend(http2::answered().into_iter().map(|told| (1, 0, told)));
    expected.extend(second.into_iter().map(|told| (1, 1, told)));
    check_lines(&steps, &expected);
}

#[test]
fn refused_upgrade_to_http2_goes_on() {
    let get = "GET /v1/models HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
    let expected = [vec![request("GET /v1/models", 1), RequestEnd], ok()].concat();
    check(&[created(), sent(get), received(OK)], &expected);
}

#[test]
fn upgrade_amid_a_request_is_given_up() {
    let switch = "HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n";
    let steps = [created(), sent(&POST[..POST.len() - 2]), received(switch), sent("lo")];
    let mut exchanges = Exchanges::new();
    let lines = run_with(&mut exchanges, &steps, &|_, _| Vec::new());
    assert_eq!(lines.last().map(|(line, _)| line), Some(&(1, 0, end(Ended::Gap))));
    let counts = exchanges.counts();
    assert_eq!((counts.given_up_connections, counts.skipped_bytes), (1, 2));
}

#[test]
fn encrypted_tunnel_is_counted_foreign() {
    let connect = "CONNECT a:443 HTTP/1.1\r\n\r\n";
    let steps =
        [created(), sent(connect), received("HTTP/1.1 200 Done\r\n\r\n"), sent("\x16\x03\x01\x02")];
    let mut exchanges = Exchanges::new();
    run_with(&mut exchanges, &steps, &|_, len| (1..len).collect());
    let counts = exchanges.counts();
    assert_eq!((counts.foreign_connections, counts.foreign_bytes), (1, 4));
}

#[test]
fn refused_connect_goes_on() {
    let connect = "CONNECT a:443 HTTP/1.1\r\n\r\n";
    let refused = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno";
    let lines = run(&[created(), sent(connect), received(refused), sent(GET), received(OK)]);
    let statuses: Vec<_> = lines
        .iter()
        .filter_map(|(_, index, told)| match told {
            Response(_, status, _) => Some((*index, *status)),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [(0, 403), (1, 200)]);
}

#[test]
fn absolute_target_is_kept() {
    let get = "GET http://a/v1?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let lines = run(&[created(), sent(get)]);
    assert_eq!(lines[0].2, request("GET http://a/v1?x=1", 1));
}

#[test]
fn coded_body_is_decoded_across_chunks() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"data: hello\n\n").expect("writing to memory");
    let coded = gzip.finish().expect("writing to memory");
    let mut answer =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in coded.chunks(7) {
        answer.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    let told =
        [response(200, 2), response_body("data: hello\n\n"), ResponseEnd, complete()].to_vec();
    check(&[created(), sent(GET), received(answer)], &[get(), told].concat());
}

#[test]
fn unknown_coding_is_told_once() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\nContent-Length: 2\r\n\r\nok";
    let unreadable = ResponseUnreadable(Unreadable::UnknownCoding);
    asked(answer, &[response(200, 2), unreadable, ResponseEnd, complete()]);
}

#[test]
fn times_are_those_of_the_bytes() {
    let (first, last) = OK.split_at(OK.len() - 1);
    let steps = [created(), sent(GET), received(first), received(last)];
    let lines = run_with(&mut Exchanges::new(), &steps, &|_, _| Vec::new());
    let times: Vec<_> = lines.iter().map(|(_, time)| time.0).collect();
    // Request and its end at 2, head at 3, the body's second byte, its end and the end at 4.
    assert_eq!(times, [2, 2, 3, 4, 4, 4]);
}
