//! Examples are those of the formats' own documents, where they have some.

use proptest::prelude::*;

use super::*;

fn headers(list: &[(&str, &str)]) -> Vec<HeaderFact> {
    let mut facts: Vec<HeaderFact> = Vec::new();
    for (name, value) in list {
        match facts.iter_mut().find(|fact| fact.name == *name) {
            Some(fact) => fact.values.push((*value).to_owned()),
            None => {
                facts.push(HeaderFact {
                    name: (*name).to_owned(),
                    values: vec![(*value).to_owned()],
                });
            }
        }
    }
    facts
}

type Read = (String, Option<String>, Option<bool>);

/// Trace, span and decision of the one caller that the headers name.
fn read(list: &[(&str, &str)]) -> Option<Read> {
    let mut all = callers(&headers(list)).collect::<Vec<_>>();
    assert!(all.len() <= 1, "{all:?}");
    let caller = all.pop()?;
    assert!(list.iter().any(|(name, _)| *name == caller.header), "{}", caller.header);
    Some((caller.trace.to_string(), caller.span.map(|span| span.to_string()), caller.sampled))
}

fn place(trace: &str, span: &str, sampled: Option<bool>) -> Option<Read> {
    Some((trace.to_owned(), Some(span.to_owned()), sampled))
}

fn trace_alone(trace: &str, sampled: Option<bool>) -> Option<Read> {
    Some((trace.to_owned(), None, sampled))
}

const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
const SPAN: &str = "e457b5a2e4d86bd1";
const PARENT: &str = "05e3ac9a4f6e3b90";

#[test]
fn b3_in_one_header() {
    let b3 = |value: &str| read(&[("b3", value)]);
    assert_eq!(b3(&format!("{TRACE}-{SPAN}-1-{PARENT}")), place(TRACE, SPAN, Some(true)));
    assert_eq!(b3(&format!("{TRACE}-{SPAN}-d")), place(TRACE, SPAN, Some(true)));
    assert_eq!(b3(&format!("{TRACE}-{SPAN}-0")), place(TRACE, SPAN, Some(false)));
    assert_eq!(b3(&format!("{TRACE}-{SPAN}")), place(TRACE, SPAN, None));
    let short = "000000000000000064fe8b2a57d3eff7";
    assert_eq!(b3(&format!("64fe8b2a57d3eff7-{SPAN}-1")), place(short, SPAN, Some(true)));
    for none in [
        "",
        "0",
        "1",
        "d",
        &format!("{TRACE}-{SPAN}-2"),
        &format!("{TRACE}-{SPAN}-1-"),
        &format!("{TRACE}-{SPAN}-1-{PARENT}-"),
        &format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        &format!("{}-{SPAN}-1", &TRACE[1..]),
        &format!("{TRACE}-{}-1", &SPAN[1..]),
        &format!("{}-{SPAN}-1", "0".repeat(32)),
        &format!("{TRACE}-{}-1", "0".repeat(16)),
        &format!("+{}-{SPAN}-1", &TRACE[1..]),
    ] {
        assert_eq!(b3(none), None, "{none}");
    }
}

#[test]
fn b3_in_several_headers() {
    let ids = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
    let with = |more: &[(&'static str, &'static str)]| read(&[&ids[..], more].concat());
    assert_eq!(with(&[]), place(TRACE, SPAN, None));
    assert_eq!(with(&[("x-b3-sampled", "1")]), place(TRACE, SPAN, Some(true)));
    assert_eq!(with(&[("x-b3-sampled", "0")]), place(TRACE, SPAN, Some(false)));
    assert_eq!(with(&[("x-b3-sampled", "false")]), place(TRACE, SPAN, Some(false)));
    assert_eq!(with(&[("x-b3-flags", "1")]), place(TRACE, SPAN, Some(true)));
    assert_eq!(read(&ids[..1]), None);
    assert_eq!(read(&ids[1..]), None);
    // The single header goes before them, where it is right.
    let other = format!("{TRACE}-{PARENT}-1");
    let both = |single: &str| {
        callers(&headers(&[&ids[..], &[("b3", single)]].concat())).collect::<Vec<_>>()
    };
    assert_eq!(both(&other)[0].span.unwrap().to_string(), PARENT);
    assert_eq!(both("0")[0].span.unwrap().to_string(), SPAN);
    assert_eq!(both(&other).len(), 1);
}

#[test]
fn jaegers() {
    let jaeger = |value: &str| read(&[("uber-trace-id", value)]);
    let whole = place(TRACE, SPAN, Some(true));
    assert_eq!(jaeger(&format!("{TRACE}:{SPAN}:{PARENT}:1")), whole);
    assert_eq!(jaeger(&format!("{TRACE}:{SPAN}:0:01")), whole);
    assert_eq!(jaeger(&format!("{TRACE}%3A{SPAN}%3a0%3A3")), whole);
    assert_eq!(jaeger(&format!("{TRACE}:{SPAN}:0:2")), place(TRACE, SPAN, Some(false)));
    let short = place("0000000000000000000000000000abcd", "0000000000000012", Some(false));
    assert_eq!(jaeger("abcd:12:0:0"), short);
    for none in ["", "1:2:3", "1:2:3:4:5", "0:2:0:1", "1:0:0:1", ":2:0:1", "1:2:0:", "1:2:0:100"] {
        assert_eq!(jaeger(none), None, "{none}");
    }
    assert_eq!(jaeger(&format!("0{TRACE}:{SPAN}:0:1")), None);
    assert_eq!(jaeger(&format!("{TRACE}:0{SPAN}:0:1")), None);
    assert_eq!(jaeger(&format!("{TRACE}:{SPAN}:+1:1")), None);
}

#[test]
fn datadogs() {
    // 0xabcdefab12345678 and 0x53995c3f42cd8ad8.
    let trace = ("x-datadog-trace-id", "12379814468735227512");
    let parent = ("x-datadog-parent-id", "6023947403358210776");
    let kept = ("x-datadog-sampling-priority", "2");
    let tags = ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000");
    let span = "53995c3f42cd8ad8";
    let whole = "640cfd8d00000000abcdefab12345678";
    let short = "0000000000000000abcdefab12345678";
    assert_eq!(read(&[trace, parent, kept, tags]), place(whole, span, Some(true)));
    assert_eq!(read(&[trace, parent]), place(short, span, None));
    assert_eq!(read(&[trace, ("x-datadog-tags", "_dd.p.dm=-4")]), trace_alone(short, None));
    assert_eq!(read(&[trace, ("x-datadog-parent-id", "0")]), trace_alone(short, None));
    let rejected = ("x-datadog-sampling-priority", "-1");
    assert_eq!(read(&[trace, parent, rejected]), place(short, span, Some(false)));
    for malformed in [
        &[("x-datadog-trace-id", "18446744073709551616")][..],
        &[("x-datadog-trace-id", "+1")],
        &[("x-datadog-trace-id", "0")],
        &[("x-datadog-trace-id", "")],
        &[trace, trace],
        &[trace, ("x-datadog-parent-id", "x")],
        &[trace, ("x-datadog-tags", "_dd.p.tid=640cfd8d")],
        &[trace, ("x-datadog-tags", "_dd.p.tid=640cfd8d0000000g")],
        &[trace, tags, tags],
    ] {
        assert_eq!(read(malformed), None, "{malformed:?}");
    }
    // Tags that were too long to be kept may have had the upper half.
    let mut unreadable = headers(&[trace, tags]);
    unreadable[1].values.clear();
    assert_eq!(callers(&unreadable).count(), 0);
}

#[test]
fn opencensus_in_grpc() {
    let bin = |value: &str| read(&[("grpc-trace-bin", value)]);
    // The example of the encoding's document: 0,0,64..79,1,97..104,2,1.
    let example = "AABAQUJDREVGR0hJSktMTU5PAWFiY2RlZmdoAgE=";
    let whole = place("404142434445464748494a4b4c4d4e4f", "6162636465666768", Some(true));
    assert_eq!(bin(example), whole);
    assert_eq!(bin(example.trim_end_matches('=')), whole);
    let version = example.replacen("AAB", "AQB", 1);
    for none in ["", "AAA=", &example[..24], &version, "no base64!"] {
        assert_eq!(bin(none), None, "{none}");
    }
}

#[test]
fn google_clouds() {
    let cloud = |value: &str| read(&[("x-cloud-trace-context", value)]);
    let trace = "105445aa7843bc8bf206b12000100000";
    let one = "0000000000000001";
    assert_eq!(cloud(&format!("{trace}/1;o=1")), place(trace, one, Some(true)));
    assert_eq!(cloud(&format!("{trace}/1;o=0")), place(trace, one, Some(false)));
    assert_eq!(cloud(&format!("{trace}/1")), place(trace, one, None));
    assert_eq!(cloud(&format!("{trace}/0")), trace_alone(trace, None));
    assert_eq!(cloud(trace), trace_alone(trace, None));
    for none in [
        "",
        "/1",
        &format!("{trace}/"),
        &format!("{trace}/x;o=1"),
        &format!("{trace}/1;o=x"),
        &format!("{}/1", &trace[1..]),
        &"0".repeat(32),
    ] {
        // An empty span id is all digits, and no number.
        assert_eq!(cloud(none), None, "{none}");
    }
}

#[test]
fn xrays() {
    let xray = |value: &str| read(&[("x-amzn-trace-id", value)]);
    let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
    let trace = "5759e988bd862e3fe1be46a994272793";
    let span = "53995c3f42cd8ad8";
    assert_eq!(xray(&format!("{root};Parent={span};Sampled=1")), place(trace, span, Some(true)));
    assert_eq!(xray(&format!("Sampled=0; {root} ;Parent={span}")), place(trace, span, Some(false)));
    assert_eq!(xray(&format!("{root};Parent={span};Sampled=?")), place(trace, span, None));
    let balancer = format!("Self=1-67891234-12456789abcdef012345678;{root}");
    assert_eq!(xray(&balancer), trace_alone(trace, None));
    assert_eq!(xray(&format!("{root};Lineage=25:a87bd80c:0")), trace_alone(trace, None));
    for none in [
        "",
        "Root=",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e98-0bd862e3fe1be46a994272793",
        "Root=1-00000000-000000000000000000000000",
        &format!("{root};Parent=5399"),
    ] {
        assert_eq!(xray(none), None, "{none}");
    }
}

#[test]
fn headers_that_stand_there_twice_name_nothing() {
    let value = format!("{TRACE}-{SPAN}-1");
    assert_eq!(read(&[("b3", &value), ("b3", &value)]), None);
}

const NAMES: [&str; 7] = [
    "b3",
    "x-b3-traceid",
    "uber-trace-id",
    "x-datadog-trace-id",
    "grpc-trace-bin",
    "x-cloud-trace-context",
    "x-amzn-trace-id",
];

proptest! {
    #[test]
    fn any_text_is_safe(texts in proptest::collection::vec(".*", NAMES.len())) {
        let list: Vec<_> = NAMES.into_iter().zip(texts.iter().map(String::as_str)).collect();
        let _ = callers(&headers(&list)).count();
    }

    #[test]
    fn what_is_read_is_what_was_written(trace in 1_u128.., span in 1_u64..) {
        let low = trace as u64;
        prop_assume!(low != 0);
        let told = [
            ("b3", format!("{trace:032x}-{span:016x}-1")),
            ("uber-trace-id", format!("{trace:x}:{span:x}:0:1")),
            ("x-cloud-trace-context", format!("{trace:032x}/{span};o=1")),
            ("x-amzn-trace-id", format!(
                "Root=1-{:08x}-{:024x};Parent={span:016x};Sampled=1",
                trace >> 96,
                trace & (u128::MAX >> 32),
            )),
        ];
        for (name, value) in &told {
            let expected = place(&format!("{trace:032x}"), &format!("{span:016x}"), Some(true));
            prop_assert_eq!(read(&[(name, value)]), expected, "{}: {}", name, value);
        }
    }
}
