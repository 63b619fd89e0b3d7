use proptest::prelude::*;

use super::*;
use crate::http::{NAME_LIMIT, credentials_in_url};

/// What is kept of a stream that is cut into these segments; a withheld byte is a `~`.
fn scrub(mut scrubber: Scrubber, segments: &[&[u8]]) -> String {
    let mut out = Vec::new();
    for segment in segments {
        let (mut kept, mut runs) = (Vec::new(), Vec::new());
        // What is HTTP/2 is for another to clean.
        let input = if scrubber.is_http2() { &[] } else { *segment };
        let rest = scrubber.segment(input, &mut kept, &mut runs);
        runs.push((false, segment.len() - input.len() + rest.len()));
        let mut kept = kept.into_iter();
        for (keeps, len) in runs {
            if keeps {
                out.extend(kept.by_ref().take(len));
            } else {
                out.resize(out.len() + len, b'~');
            }
        }
        assert_eq!(kept.next(), None);
    }
    assert_eq!(out.len(), segments.iter().map(|segment| segment.len()).sum::<usize>());
    String::from_utf8_lossy(&out).into_owned()
}

/// As one segment, cut at each byte, and in bytes: always the same.
fn whole(text: &str) -> String {
    let bytes = text.as_bytes();
    let once = scrub(Scrubber::from_start(), &[bytes]);
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(scrub(Scrubber::from_start(), &[left, right]), once, "cut at {cut}");
    }
    let single: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(scrub(Scrubber::from_start(), &single), once);
    once
}

#[test]
fn credentials_of_a_request_are_replaced() {
    let text = "POST /v1/chat?alt=sse&key=AIza-1&x=1&sig=a%2Fb HTTP/1.1\r\n\
                Host: api.example\r\nAUTHORIZATION: Bearer sk-1\r\nX-Api-Key:sk-2\r\n\
                api-key : sk-3\r\nCookie: a=1; b=2\r\nTraceparent: 00-1\r\n\r\n{\"key\":\"v\"}";
    let expected = "POST /v1/chat?alt=sse&key=XXXXXX&x=1&sig=XXXXX HTTP/1.1\r\n\
                    Host: api.example\r\nAUTHORIZATION:XXXXXXXXXXXX\r\nX-Api-Key:XXXX\r\n\
                    api-key :XXXXX\r\nCookie:XXXXXXXXX\r\nTraceparent: 00-1\r\n\r\n{\"key\":\"v\"}";
    assert_eq!(whole(text), expected);
}

#[test]
fn credentials_of_a_response_are_replaced() {
    let text = "HTTP/1.1 302 Found\r\nSet-Cookie: id=1\r\nLocation: https://a/?b=1&access_token=t#code=2\
                &id_token=u\r\nContent-Length: 0\r\n\r\n";
    let expected = "HTTP/1.1 302 Found\r\nSet-Cookie:XXXXX\r\nLocation: https://a/?b=1&access_token=X\
                    #code=X&id_token=X\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(whole(text), expected);
}

#[test]
fn hidden_credentials_are_replaced() {
    for (text, expected) in [
        // A folded line (RFC 9112 §5.2).
        ("GET / HTTP/1.1\r\nCookie: a\r\n b\r\nA: c", "GET / HTTP/1.1\r\nCookie:XX\r\n X\r\nA: c"),
        ("GET / HTTP/1.1\nCookie: a\n\tb\n\nc", "GET / HTTP/1.1\nCookie:XX\n\tX\n\nc"),
        // Line ends of lenient servers.
        ("GET / HTTP/1.1\rCookie: a\n", "GET / HTTP/1.1\rCookie:XX\n"),
        ("GET / HTTP/1.1\n Cookie: a\n", "GET / HTTP/1.1\n Cookie:XX\n"),
        ("GET / HTTP/1.1\nCookie: a\rb\n", "GET / HTTP/1.1\nCookie:XX\rX\n"),
        // A name that may be decoded to another.
        ("GET /?k%65y=a HTTP/1.1\r\n", "GET /?k%65y=X HTTP/1.1\r\n"),
        // A request right behind a body, and a request of a tunnel or a proxy.
        ("GET / HTTP/1.1\r\n\r\n{}GET /?key=a HTTP", "GET / HTTP/1.1\r\n\r\n{}GET /?key=X HTTP"),
        ("GET http://h/?key=a HTTP/1.1\r\n", "GET http://h/?key=X HTTP/1.1\r\n"),
        ("\r\nPUT /?a;key=b HTTP/1.1\r\n", "\r\nPUT /?a;key=X HTTP/1.1\r\n"),
    ] {
        assert_eq!(whole(text), expected);
    }
    let long = format!("GET / HTTP/1.1\r\n{}: value\r\n", "a".repeat(NAME_LIMIT + 1));
    assert!(!whole(&long).contains("value"));
}

#[test]
fn bodies_stay_as_they_are() {
    for body in [
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Authorization: Bearer x?key=y\"}]}",
        "data: {\"token\":\"a\",\"key\":1}\n\ndata: [DONE]\n\n",
        "5\r\nhello\r\n0\r\n\r\n",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}");
        assert_eq!(whole(&text), text);
    }
}

#[test]
fn other_protocols_are_withheld() {
    for (text, expected) in [
        ("AUTH secret\r\nGET / HTTP/1.1\r\n", ""),
        ("\x16\x03\x01secret", ""),
        ("HELO mail\r\n", "HE"),
        ("POSTsecret", "POST"),
    ] {
        let told = whole(text);
        assert_eq!(told.trim_end_matches('~'), expected, "{text}");
        assert_eq!(told.len(), text.len());
    }
}

#[test]
fn http2_is_left_to_another() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest";
    let settings = b"\0\0\x0c\x04\0\0\0\0\0rest";
    for (input, begun) in [(&preface[..], &preface[..4]), (&settings[..], &settings[..9])] {
        for cut in 0..begun.len() {
            let mut scrubber = Scrubber::from_start();
            let (mut kept, mut runs) = (Vec::new(), Vec::new());
            let (left, right) = input.split_at(cut);
            assert!(scrubber.segment(left, &mut kept, &mut runs).is_empty());
            assert_eq!(scrubber.http2().as_deref(), Some(&begun[..cut]));
            let rest = scrubber.segment(right, &mut kept, &mut runs);
            assert!(scrubber.is_http2());
            assert_eq!((rest, kept.as_slice()), (&input[begun.len()..], begun));
            assert_eq!(scrubber.http2().as_deref(), Some(begun));
        }
    }
    let mut scrubber = Scrubber::from_start();
    let (mut kept, mut runs) = (Vec::new(), Vec::new());
    scrubber.segment(b"\0\0\x0c\x05secret", &mut kept, &mut runs);
    assert!(scrubber.is_foreign() && scrubber.http2().is_none() && kept.len() == 3);
}

#[test]
fn credentials_in_urls_are_found() {
    for (url, expected) in [
        ("/a?key=b&c=d", &[(7, 8)][..]),
        ("/a?c=d", &[]),
        ("https://h/?a=1&sig=xy#access_token=zzz", &[(19, 21), (35, 38)]),
        ("key=b", &[]),
    ] {
        let found = credentials_in_url(url.as_bytes());
        let found: Vec<_> = found.into_iter().map(|range| (range.start, range.end)).collect();
        assert_eq!(found, expected, "{url}");
    }
}

#[test]
fn preface_after_an_upgrade_is_noticed() {
    let text = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\nsecret";
    let mut scrubber = Scrubber::from_start();
    let (mut kept, mut runs) = (Vec::new(), Vec::new());
    scrubber.segment(text, &mut kept, &mut runs);
    assert!(scrubber.upgraded && scrubber.is_foreign());
    assert!(kept.ends_with(b"PRI ") && runs.last().is_some_and(|(keeps, _)| !keeps));
}

#[test]
fn rest_of_a_credential_behind_a_gap_is_withheld() {
    let head = b"GET / HTTP/1.1\r\nA: b";
    for (rest, expected) in [
        ("er sk-1\r\nHost: h\r\nCookie: c\r\n", "~~~~~~~~~Host: h\r\nCookie:XX\r\n"),
        ("sk-1", "~~~~"),
        ("POST /?key=a HTTP/1.1\r\n", "POST /?key=X HTTP/1.1\r\n"),
        ("HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n"),
    ] {
        let mut scrubber = Scrubber::from_start();
        scrubber.segment(head, &mut Vec::new(), &mut Vec::new());
        scrubber.gap();
        assert_eq!(scrub(scrubber, &[rest.as_bytes()]), expected);
    }
}

#[test]
fn late_join_waits_for_a_message() {
    let middle: [&[u8]; 3] = [b"sk-1\r\nHost: h\r\n\r\n", b"POST", b"GET /?key=a HTTP/1.1\r\n"];
    let told = scrub(Scrubber::from_middle(), &middle);
    assert_eq!(told.trim_start_matches('~'), "GET /?key=X HTTP/1.1\r\n");
    let mut started = Scrubber::from_start();
    started.gap();
    assert!(scrub(started, &middle[..2]).bytes().all(|byte| byte == b'~'));
}

/// Pieces of which streams are made that are hard to follow.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            "GET ",
            "POST /",
            "HTTP/1.1",
            " ",
            "\r\n",
            "\n",
            "\r",
            ":",
            "Authorization",
            "cookie: ",
            "x-api-key",
            "?",
            "key=",
            "&",
            "=",
            ";",
            "%6b",
            "#",
            "location: ",
            "PRI * ",
            "{}",
            "\t",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn splits_change_nothing(
        pieces in prop::collection::vec(piece(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        http in any::<bool>(),
    ) {
        let begin: &[u8] = if http { b"POST /a HTTP/1.1\r\n" } else { b"" };
        let text = [begin, &pieces.concat()].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let segments: Vec<_> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let once = scrub(Scrubber::from_start(), &[&text]);
        prop_assert_eq!(&scrub(Scrubber::from_start(), &segments), &once);
        let single: Vec<_> = text.chunks(1).collect();
        prop_assert_eq!(&scrub(Scrubber::from_start(), &single), &once);
    }

    #[test]
    fn no_credential_survives_any_split(
        before in prop::collection::vec(piece(), 0..12),
        name in prop::sample::select(vec![
            "Authorization: ", "proxy-authorization:", "X-API-Key: ", "api-key:", "x-goog-api-key: ",
            "Cookie: a=", "set-cookie: ", "x-amz-security-token: ",
        ]),
        secret in "[A-Z]{3}sk-secret[a-zA-Z0-9]{0,40}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        query in any::<bool>(),
    ) {
        let line = if query {
            format!("\r\nGET /a?b=c&api_key={secret} HTTP/1.1\r\n")
        } else {
            format!("\r\n{name}{secret}\r\nHost: h\r\n")
        };
        let text = [b"POST /a HTTP/1.1\r\n".as_slice(), &before.concat(), line.as_bytes()].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let segments: Vec<_> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let told = scrub(Scrubber::from_start(), &segments);
        prop_assert!(!told.contains("secret"), "{}", told);
    }
}

/// A fuzzer had a credential kept as the payload of a frame that HTTP/2 does not have there.
#[test]
fn empty_lines_begin_no_http2() {
    for begun in ["\0\0\u{6}\u{4}\0\0\0\0\0", "PRI * HTTP/2.0\r\n"] {
        let text = format!("\r\n{begun}\r\nAuthorization: Bearer sk-1\r\n");
        let kept = whole(&text);
        assert!(!kept.contains("sk-1"), "{kept:?}");
        let (mut told, mut runs) = (Vec::new(), Vec::new());
        let mut scrubber = Scrubber::from_start();
        scrubber.segment(text.as_bytes(), &mut told, &mut runs);
        assert!(scrubber.is_foreign() && !scrubber.is_http2());
    }
}
