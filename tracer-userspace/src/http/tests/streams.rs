//! What HTTP/2's streams do beyond a request and its response: pushes, refusals, resets, sockets.

use proptest::prelude::*;

use super::{Told::*, http2::*, *};

fn goaway(last_stream: u8, code: u8) -> Vec<u8> {
    frame(GOAWAY, 0, 0, [0, 0, 0, last_stream, 0, 0, 0, code])
}

/// An inserted field (RFC 7541 §6.2.1), and the index that refers to the newest one.
const INSERTED: &[u8] = b"\x40\x01x\x04from";
const NEWEST: u8 = 0x80 | 62;

/// A promise's header block changes the table that the response refers to; in two frames.
#[test]
fn pushes_are_counted_and_keep_hpack_in_step() {
    let promise = [&[0, 0, 0, 2][..], &post(), INSERTED].concat();
    let (first, rest) = promise.split_at(9);
    let head = [&block(&[(":status", "200")])[..], &[NEWEST]].concat();
    let steps = script([
        sent(request_frames(1)),
        received(
            [
                frame(PUSH_PROMISE, 0, 1, first),
                frame(CONTINUATION, END_HEADERS, 1, rest),
                frame(
                    PUSH_PROMISE,
                    END_HEADERS | PADDED,
                    1,
                    [&[1, 0, 0, 0, 4][..], &post(), &[0]].concat(),
                ),
                frame(HEADERS, END_HEADERS, 2, ok()),
                frame(DATA, 0, 2, "pushed"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, head),
                frame(RST_STREAM, 0, 4, [0, 0, 0, 8]),
                frame(DATA, END_STREAM, 2, "more"),
            ]
            .concat(),
        ),
    ]);
    check(&steps, &[asked(), vec![response(200, 1), ResponseEnd, complete()]].concat());
    let mut exchanges = Exchanges::new();
    run_with(&mut exchanges, &steps, &|_, _| Vec::new());
    let counts = exchanges.counts();
    assert_eq!((counts.pushed_streams, counts.skipped_bytes, counts.exchanges), (2, 10, 1));
}

#[test]
fn table_size_follows_updates_of_either_side() {
    // To 0, which empties it, and back to 4096 (§6.3, §4.2), then a field inserted anew.
    let update = [0x20, 0x3f, 0xe1, 0x1f];
    let head = |table: &[u8]| [table, &block(&[(":status", "200")])[..]].concat();
    let ask = |table: &[u8], stream| {
        frame(HEADERS, END_HEADERS | END_STREAM, stream, [table, &post()].concat())
    };
    let answer =
        |table: &[u8], stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, head(table));
    let renewed = [&update[..], INSERTED].concat();
    let forgotten = [&[0x20][..], &[NEWEST]].concat();
    let mut expected = Vec::new();
    let mut steps = opening();
    for (index, (table, known)) in [
        (INSERTED, true),
        (&[NEWEST], true),
        (&renewed, true),
        (&[NEWEST], true),
        (&forgotten, false),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = 2 * index as u32 + 1;
        steps.extend([sent(ask(table, stream)), received(answer(table, stream))]);
        let fields = usize::from(known);
        let mut told = vec![request("POST /p", 1 + fields), RequestEnd];
        told.extend([response(200, fields), ResponseEnd, complete()]);
        if !known {
            told.insert(1, RequestFieldsUnknown(1));
            told.insert(4, ResponseFieldsUnknown(1));
        }
        expected.extend(told.into_iter().map(|told| (1, index as u64, told)));
    }
    check_lines(&steps, &expected);
}

#[test]
fn goaway_refuses_what_comes_after_it_too() {
    let no_limit = frame(GOAWAY, 0, 0, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let steps = script([
        sent(request_frames(1)),
        received([no_limit, goaway(1, 0)].concat()),
        sent(request_frames(3)),
        received(response_frames(1)),
        PeerEnded(1, PeerEnd::CloseNotify),
    ]);
    let mut expected: Vec<Line> = asked().into_iter().map(|told| (1, 0, told)).collect();
    expected.extend([(1, 1, asked()[0].clone()), (1, 1, end(Ended::Refused))]);
    expected.extend(answered().into_iter().map(|told| (1, 0, told)));
    check_lines(&steps, &expected);
}

#[test]
fn goaway_of_a_client_refuses_nothing() {
    let steps =
        script([sent([request_frames(1), goaway(0, 0)].concat()), received(response_frames(1))]);
    check(&steps, &[asked(), answered()].concat());
}

/// RFC 9113 §8.1: a server that needs no more of the request may reset the stream behind its answer.
#[test]
fn reset_behind_a_whole_answer_is_no_failure() {
    let unfinished = [frame(HEADERS, END_HEADERS, 1, post()), frame(DATA, 0, 1, "hel")].concat();
    let asked = [request("POST /p", 1), request_body("hel")];
    let reset = |code| frame(RST_STREAM, 0, 1, [0, 0, 0, code]);
    let whole = |code| [response_frames(1), reset(code)].concat();
    let told = [&asked[..], &answered()[..3], &[end(Ended::AnsweredEarly)]].concat();
    for last in [received(whole(0)), received(whole(8))] {
        check(&script([sent(&unfinished), last]), &told);
    }
    let cut = [frame(HEADERS, END_HEADERS, 1, ok()), reset(0)].concat();
    let told = [&asked[..], &[response(200, 1), end(Ended::StreamReset(0))]].concat();
    check(&script([sent(&unfinished), received(cut)]), &told);
}

#[test]
fn trailers_only_response_is_whole() {
    let grpc = [("content-type", "application/grpc"), (":status", "200"), ("grpc-status", "5")];
    let steps = script([
        sent(request_frames(1)),
        received(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(&grpc))),
    ]);
    check(&steps, &[asked(), vec![response(200, 2), ResponseEnd, complete()]].concat());
}

fn grpc(first: &[(&str, &str)]) -> Vec<u8> {
    block(&[first, &[("content-type", "application/grpc")]].concat())
}

fn grpc_message(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("short");
    [&[0, 0, 0, 0, len][..], text.as_bytes()].concat()
}

/// Two calls, each streaming in both directions, their frames and messages in each other's way.
#[test]
fn grpc_streams_of_both_directions_stay_apart() {
    let call = || grpc(&[(":method", "POST"), (":path", "/p"), ("te", "trailers")]);
    let opens = |stream| frame(HEADERS, END_HEADERS, stream, call());
    let answers = |stream| frame(HEADERS, END_HEADERS, stream, grpc(&[(":status", "200")]));
    let ends =
        |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, block(&[("grpc-status", "0")]));
    // A message's prefix and text in two frames, another stream's between them.
    let [first, second] = [grpc_message("first"), grpc_message("second")];
    let cut = |stream, message: &[u8]| {
        let (start, rest) = message.split_at(4);
        [frame(DATA, 0, stream, start), frame(DATA, 0, stream, rest)]
    };
    let [[a1, a2], [b1, b2]] = [cut(1, &first), cut(3, &second)];
    let last = |stream| frame(DATA, END_STREAM, stream, grpc_message("last"));
    let steps = script([
        sent([opens(1), opens(3), a1.clone(), b1.clone(), a2.clone()].concat()),
        received([answers(3), answers(1), b1, a1, b2.clone(), a2].concat()),
        sent([b2, last(3), last(1)].concat()),
        received([ends(1), ends(3)].concat()),
    ]);
    let trailers = ResponseTrailers("{\"grpc-status\": \"0\"}".to_owned());
    let grpc = MessageKind::Grpc;
    let told = |text: &str| {
        vec![
            request("POST /p", 2),
            response(200, 1),
            request_body(text),
            RequestMessageEnd(grpc),
            request_body("last"),
            RequestMessageEnd(grpc),
            RequestEnd,
            response_body(text),
            ResponseMessageEnd(grpc),
            trailers.clone(),
            ResponseEnd,
            complete(),
        ]
    };
    let cuts: [Cuts<'_>; 3] =
        [&|_, _| Vec::new(), &|_, len| (1..len).collect(), &|_, len| (1..len).step_by(7).collect()];
    for cut in cuts {
        let lines = run_with(&mut Exchanges::new(), &steps, cut);
        for (index, text) in [(0, "first"), (1, "second")] {
            let mut got: Vec<_> = lines
                .iter()
                .filter(|((_, of, _), _)| *of == index)
                .map(|((_, _, told), _)| told.clone())
                .collect();
            // In the order of the two messages, whichever side came first.
            got.sort_by_key(told_rank);
            let mut expected = told(text);
            expected.sort_by_key(told_rank);
            assert_eq!(joined(got), joined(expected));
        }
    }
}

/// Events of the request before those of the response; each side in its order.
fn told_rank(told: &Told) -> u8 {
    match told {
        Request(..) | RequestBody(_) | RequestMessageEnd(_) | RequestEnd => 0,
        End(_) => 2,
        _ => 1,
    }
}

/// Runs of body bytes as one.
fn joined(told: Vec<Told>) -> Vec<Told> {
    let mut joined: Vec<Told> = Vec::new();
    for told in told {
        match (joined.last_mut(), &told) {
            (Some(RequestBody(text)), RequestBody(more))
            | (Some(ResponseBody(text)), ResponseBody(more)) => text.push_str(more),
            _ => joined.push(told),
        }
    }
    joined
}

/// Text "world" compressed (RFC 7692 §7.2.3.1's way of a fixed Huffman block).
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut compress = flate2::Compress::new(flate2::Compression::default(), false);
    let mut out = Vec::with_capacity(100);
    compress.compress_vec(text, &mut out, flate2::FlushCompress::Sync).expect("room enough");
    out.truncate(out.len() - 4);
    out
}

/// RFC 8441, with the extension of RFC 7692; ended by Close frames, whatever the stream does then.
#[test]
fn extended_connect_ends_with_the_sockets_close() {
    let connect = block(&[(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/rt")]);
    let agreed = [(":status", "200"), ("sec-websocket-extensions", "permessage-deflate")];
    let message = deflated(b"world");
    let message = [&[0xc1, message.len() as u8][..], &message].concat();
    let (first, rest) = message.split_at(3);
    let steps = script([
        sent(frame(HEADERS, END_HEADERS, 1, connect)),
        received(frame(HEADERS, END_HEADERS, 1, block(&agreed))),
        sent(frame(DATA, 0, 1, b"\x81\x85\x01\x01\x01\x01idmmn\x88\x80\0\0\0\0")),
        received(
            [frame(DATA, 0, 1, first), frame(DATA, PADDED, 1, [&[1], rest, &[0]].concat())]
                .concat(),
        ),
        received(frame(DATA, 0, 1, b"\x88\x02\x03\xe8")),
        received(frame(RST_STREAM, 0, 1, [0, 0, 0, 8])),
    ]);
    check(
        &steps,
        &[
            request("CONNECT /rt", 1),
            response(200, 1),
            request_body("hello"),
            RequestMessageEnd(MessageKind::Text),
            RequestClose(None),
            RequestEnd,
            response_body("world"),
            ResponseMessageEnd(MessageKind::Text),
            ResponseClose(Some(1000)),
            ResponseEnd,
            complete(),
        ],
    );
}

/// A socket of which one side alone said goodbye did not end in order.
#[test]
fn socket_closed_by_one_side_is_cut() {
    let connect = block(&[(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/rt")]);
    let steps = script([
        sent(frame(HEADERS, END_HEADERS, 1, connect)),
        received(frame(HEADERS, END_HEADERS, 1, block(&[(":status", "200")]))),
        received(frame(DATA, 0, 1, b"\x88\x02\x03\xe8")),
        received(frame(RST_STREAM, 0, 1, [0, 0, 0, 8])),
    ]);
    let told = [
        request("CONNECT /rt", 1),
        response(200, 0),
        ResponseClose(Some(1000)),
        ResponseEnd,
        end(Ended::StreamReset(8)),
    ];
    check(&steps, &told);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any number of streams, their frames in any order that keeps each stream's own.
    #[test]
    fn any_interleaving_and_split_keeps_streams_apart(
        order in prop::collection::vec(0usize..6, 0..60),
        cuts in prop::collection::vec(0usize..2000, 0..20),
    ) {
        const STREAMS: usize = 6;
        let text = |n: usize| format!("body of {n}").repeat(n);
        let mut queues: Vec<Vec<Vec<u8>>> = (0..STREAMS).map(|n| {
            let stream = 2 * n as u32 + 1;
            let body = text(n);
            let mut frames = vec![frame(HEADERS, END_HEADERS, stream, ok())];
            frames.extend(body.as_bytes().chunks(7).map(|part| frame(DATA, 0, stream, part)));
            frames.push(frame(DATA, END_STREAM, stream, ""));
            frames.reverse();
            frames
        }).collect();
        let mut bytes = Vec::new();
        for at in order.into_iter().chain((0..STREAMS).cycle().take(STREAMS * 20)) {
            bytes.extend(queues[at].pop().unwrap_or_default());
        }
        let requests: Vec<u8> = (0..STREAMS).flat_map(|n| request_frames(2 * n as u32 + 1)).collect();
        let steps = script([sent(requests), received(bytes)]);
        let lines = run_with(&mut Exchanges::new(), &steps, &|_, len| {
            let mut cuts: Vec<_> = cuts.iter().map(|at| at % (len + 1)).collect();
            cuts.sort_unstable();
            cuts
        });
        for n in 0..STREAMS {
            let of = lines.iter().filter(|((_, index, _), _)| *index == n as u64);
            let told = joined(of.map(|((_, _, told), _)| told.clone()).collect());
            let body = (n > 0).then(|| response_body(&text(n)));
            let answer = [vec![response(200, 1)], body.into_iter().collect(), vec![ResponseEnd, complete()]];
            prop_assert_eq!(told, [asked(), answer.concat()].concat());
        }
    }
}
