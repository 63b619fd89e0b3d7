use proptest::prelude::*;

use super::{Item, MAX_NAME, Sse};
use crate::splits;

/// Events as (name, data), from pieces of a body.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let mut sse = Sse::default();
    let mut events = Vec::new();
    let mut data = Vec::new();
    let mut sink = |item: Item<'_>| match item {
        Item::Data(piece) => data.extend_from_slice(piece),
        Item::Event(name) => events.push((
            String::from_utf8_lossy(name).into_owned(),
            String::from_utf8_lossy(&std::mem::take(&mut data)).into_owned(),
        )),
    };
    for piece in pieces {
        sse.push(piece, &mut sink);
    }
    sse.finish(&mut sink);
    events
}

fn check(body: &[u8], expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect();
    assert_eq!(splits::check(body, |pieces| events(pieces.iter().copied())), expected);
}

#[test]
fn all_line_ends_are_equal() {
    check(
        b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\r\n",
        &[("", "a"), ("", "b"), ("", "c"), ("", "d")],
    );
}

#[test]
fn data_lines_are_joined() {
    // The three examples of the standard's §9.2.6, the last one without its blank line.
    check(b"data: YHOO\ndata: +2\ndata: 10\n\n", &[("", "YHOO\n+2\n10")]);
    check(b"data\n\ndata\ndata\n\ndata:", &[("", ""), ("", "\n"), ("", "")]);
    check(b"data:test\n\ndata: test\n\n", &[("", "test"), ("", "test")]);
    check(b"data:  two spaces\n\n", &[("", " two spaces")]);
}

#[test]
fn comments_and_fields_are_ignored() {
    check(b": ping\n\nid: 1\nretry: 5\nunknown: x\nevent: e\ndata: a:b\n\n", &[("e", "a:b")]);
    check(b"event: lost\n\ndata: a\n\n", &[("", "a")]);
    check(b"dataset: 1\nDATA: 2\n data: 3\n\n", &[]);
    check(b"event: a\nevent: b\nevent\ndata: 1\n\n", &[("", "1")]);
}

#[test]
fn byte_order_mark_is_skipped() {
    check(b"\xef\xbb\xbfdata: a\n\n", &[("", "a")]);
    check(b"\xef\xbbdata: a\n\ndata: b\n\n", &[("", "b")]);
    check(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", &[("", "a")]);
}

#[test]
fn last_event_lacks_its_end() {
    check(b"data: a\n\ndata: [DONE]", &[("", "a"), ("", "[DONE]")]);
    check(b"data: a\n\nevent: x", &[("", "a")]);
    check(b"data: a\n\ndata: b\r", &[("", "a"), ("", "b")]);
}

#[test]
fn gap_gives_up_one_event() {
    let mut sse = Sse::default();
    let mut seen = Vec::new();
    sse.push(b"data: a\n\ndata: hal", |_| {});
    sse.gap();
    for piece in b"f\ndata: b\n\ndata: c\n\n".chunks(1) {
        sse.push(piece, |item| {
            if let Item::Data(data) = item {
                seen.extend_from_slice(data);
            }
        });
    }
    assert_eq!(seen, b"c");
}

#[test]
fn long_names_take_no_memory() {
    let mut sse = Sse::default();
    for _ in 0..1000 {
        sse.push(&[b'x'; 1000], |_| panic!("no event here"));
    }
    assert!(sse.field.capacity() < 64);
    sse.push(b"\nevent: ", |_| {});
    for _ in 0..1000 {
        sse.push(&[b'x'; 1000], |_| panic!("no event here"));
    }
    assert_eq!(sse.name.len(), MAX_NAME);
}

proptest! {
    #[test]
    fn splits_make_no_difference(
        body in "(data|event|id|:|\u{feff}|[ab]| |: |\r|\n|\r\n|\n\n){0,60}",
        cuts in prop::collection::vec(0usize..200, 0..8),
    ) {
        let body = body.as_bytes();
        let whole = events([body]);
        prop_assert_eq!(&events(body.chunks(1)), &whole);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        prop_assert_eq!(&events(pieces), &whole);
    }
}
