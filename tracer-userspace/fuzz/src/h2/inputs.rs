//! Seeds and worst cases of the target `h2`.
//! Takes nothing; gives inputs.

use super::{
    BLOCK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, LATE, PEER_ENDED,
    RECEIVED, RECEIVED_FRAME, RECEIVED_GAP, RST_STREAM, SENT, SENT_FRAME, SENT_GAP, frame,
};
use crate::{Input, coding, script};

/// RFC 7541, C.4 and C.6: requests, and responses for a table of 256 bytes.
const BLOCKS: [&str; 6] = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    "3fe10148826402 5885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff",
    "4883640effc1c0bf",
    "88c1 0f0d 0131",
];

fn block(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn step_frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> (u8, Vec<u8>) {
    (kind, [&[flags, stream], payload].concat())
}

fn request(stream: u8, flags: u8) -> (u8, Vec<u8>) {
    let block = b"\x83\x84\x87\x41\x01h\x5f\x10application/grpc";
    step_frame(SENT_FRAME | HEADERS, flags, stream, block)
}

fn answer(stream: u8) -> (u8, Vec<u8>) {
    step_frame(RECEIVED_FRAME | HEADERS, 4, stream, b"\x88\x5c\x02\x31\x30")
}

fn text(name: &str, steps: Vec<(u8, Vec<u8>)>) -> Input {
    Input::new(name, script::write(steps))
}

pub fn seeds() -> Vec<Input> {
    let mut seeds = seeds_of_exchanges();
    seeds.extend(seeds_out_of_step());
    seeds
}

fn seeds_of_exchanges() -> Vec<Input> {
    let blocks = BLOCKS.map(block);
    vec![
        text("blocks", blocks.iter().map(|block| (BLOCK, block.clone())).collect()),
        text(
            "exchange",
            vec![
                request(1, 4),
                step_frame(SENT_FRAME | DATA, 1, 1, b"\0\0\0\0\x02hi"),
                answer(1),
                step_frame(RECEIVED_FRAME | DATA, 0, 1, b"\0\0\0\0\x05"),
                step_frame(RECEIVED_FRAME | DATA, 8, 1, b"\x02hello\0\0"),
                step_frame(RECEIVED_FRAME | HEADERS, 5, 1, b"\x40\x0bgrpc-status\x010"),
            ],
        ),
        text(
            "streams",
            vec![
                request(1, 5),
                request(3, 1),
                step_frame(SENT_FRAME | CONTINUATION, 4, 3, b"\x40\x01a\x01b"),
                answer(3),
                answer(1),
                step_frame(RECEIVED_FRAME | RST_STREAM, 0, 1, &[0, 0, 0, 8]),
                step_frame(RECEIVED_FRAME | GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]),
                step_frame(RECEIVED_FRAME | DATA, 1, 3, b"0123456789"),
            ],
        ),
    ]
}

fn seeds_out_of_step() -> Vec<Input> {
    vec![
        text(
            "socket",
            vec![
                step_frame(
                    SENT_FRAME | HEADERS,
                    4,
                    1,
                    b"\x42\x07CONNECT\x40\x09:protocol\x09websocket\x84",
                ),
                step_frame(RECEIVED_FRAME | HEADERS, 4, 1, b"\x88"),
                step_frame(SENT_FRAME | DATA, 0, 1, b"\x81\x82\x01\x02\x03\x04\x69\x6b"),
                step_frame(RECEIVED_FRAME | DATA, 0, 1, b"\x88\x02\x03\xe8"),
            ],
        ),
        text(
            "gaps",
            vec![
                request(1, 5),
                answer(1),
                (RECEIVED_GAP, vec![4, 0]),
                step_frame(RECEIVED_FRAME | DATA, 1, 1, b"0123456789"),
                (SENT_GAP, vec![20, 0]),
                request(5, 5),
                (PEER_ENDED, vec![]),
            ],
        ),
        text(
            "late",
            vec![
                (LATE, vec![]),
                request(7, 5),
                answer(5),
                answer(7),
                step_frame(RECEIVED_FRAME | DATA, 1, 7, b"x"),
            ],
        ),
        text(
            "raw",
            vec![
                (SENT, frame(HEADERS, 0x2d, 1, b"\x01\0\0\0\0\x10\x82\x84\0")),
                (RECEIVED, frame(HEADERS, 5, 1, b"\x88")),
            ],
        ),
    ]
}

/// Bytes of a worst case.
const SIZE: usize = 1 << 20;

/// `:method: GET`, and `:status: 200`.
const GET: &[u8] = b"\x82";
const OK: &[u8] = b"\x88";

pub fn worst() -> Vec<Input> {
    let mut all = worst_frames();
    all.extend(worst_blocks());
    all.extend(worst_streams());
    all
}

/// One frame over and over, within an answer.
fn worst_frames() -> Vec<Input> {
    let all = |name: &str, start: &[u8], one: &[u8]| {
        let mut bytes = [&frame(HEADERS, END_HEADERS, 1, OK), start].concat();
        bytes.extend(one.repeat(SIZE / one.len()));
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, GET);
        Input::new(name, script::write([(SENT, request), (RECEIVED, bytes)]))
    };
    let block = frame(HEADERS, 0, 3, b"");
    vec![
        all("one-byte-data", b"", &frame(DATA, 0, 1, b"x")),
        all("empty-data", b"", &frame(DATA, 0, 1, b"")),
        all("padded-data", b"", &frame(DATA, 8, 1, b"\0")),
        all("other-streams-data", b"", &frame(DATA, 0, 3, b"x")),
        all("pings", b"", &frame(6, 0, 0, &[0; 8])),
        all("resets", b"", &frame(RST_STREAM, 0, 3, &[0; 4])),
        all("empty-continuations", &block, &frame(CONTINUATION, 0, 3, b"")),
        all("answers", b"", &frame(HEADERS, END_HEADERS, 1, OK)),
        all("goaways", b"", &frame(GOAWAY, 0, 0, &[0; 8])),
    ]
}

/// Header blocks, each of a request.
fn worst_blocks() -> Vec<Input> {
    let one = |name: &str, block: &[u8]| {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, block);
        let count = (SIZE / request.len()).max(1);
        Input::new(name, script::write([(SENT, request.repeat(count))]))
    };
    // A table entry of 4,000 bytes, and a block that refers to it with every byte.
    let mut bomb = b"\x82\x84\x87\x40\x01k\x7f\xa1\x1e".to_vec();
    bomb.extend([b'x'; 4000]);
    bomb.extend([0xbe; 200_000]);
    // As many names as a block has room for.
    let mut names = GET.to_vec();
    for number in 0..40_000_u32 {
        let [.., a, b, c] = number.to_be_bytes().map(|byte| b'a' + byte % 26);
        names.extend([0, 3, a, b, c, 0]);
    }
    // A value in Huffman's code, of 98,304 bytes.
    let huffman = [&b"\x82\x00\x01k\xff\x81\xfe\x05"[..], &[0x55; 98_304]].concat();
    vec![one("references", &bomb), one("names", &names), one("huffman", &huffman)]
}

/// Many streams, one after the other or at once.
fn worst_streams() -> Vec<Input> {
    let opened = |name: &str, one: &dyn Fn(u32) -> Vec<u8>| {
        let mut bytes = Vec::new();
        let mut stream = 1;
        while bytes.len() < SIZE {
            bytes.extend(one(stream));
            stream += 2;
        }
        Input::new(name, script::write([(SENT, bytes)]))
    };
    let asks = |stream, block: &[u8]| frame(HEADERS, END_HEADERS, stream, block);
    let gzip = coding::coded("gzip", &coding::noise(64));
    vec![
        opened("open-and-reset", &|stream| {
            [asks(stream, GET), frame(RST_STREAM, 0, stream, &[0; 4])].concat()
        }),
        opened("open-for-ever", &|stream| asks(stream, GET)),
        opened("table-churn", &|stream| asks(stream, b"\x82\x40\x01a\x01b")),
        at_once("streams", OK, b"x"),
        at_once("streams-with-codings", b"\x88\x5a\x18br, br, zstd, gzip, zstd", b"x"),
        at_once("streams-with-gzip", b"\x88\x5a\x04gzip", &gzip[..40]),
        gaps_with_streams(),
    ]
}

/// As many streams as are followed, each with an answer that goes on.
fn at_once(name: &str, answer: &[u8], data: &[u8]) -> Input {
    let numbers = (1..2 * 2048).step_by(2);
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    for stream in numbers.clone() {
        requests.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, GET));
        answers.extend(frame(HEADERS, END_HEADERS, stream, answer));
    }
    while answers.len() < SIZE {
        for stream in numbers.clone() {
            answers.extend(frame(DATA, 0, stream, data));
        }
    }
    Input::new(name, script::write([(SENT, requests), (RECEIVED, answers)]))
}

fn gaps_with_streams() -> Input {
    let mut requests = Vec::new();
    for stream in (1..2 * 2048).step_by(2) {
        requests.extend(frame(HEADERS, END_HEADERS, stream, GET));
    }
    let mut steps = vec![(SENT, requests)];
    for _ in 0..1024 {
        steps.push((RECEIVED_GAP, vec![1, 0]));
        steps.push((RECEIVED, frame(6, 0, 0, &[0; 8]).repeat(60)));
    }
    Input::new("gaps-with-streams", script::write(steps))
}
