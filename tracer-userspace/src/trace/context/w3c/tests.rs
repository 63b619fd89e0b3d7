use opentelemetry::trace::TraceFlags;
use proptest::prelude::*;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn read(traceparent: &str) -> Option<Caller> {
    caller(&[traceparent.to_owned()], &[])
}

fn state(headers: &[&str]) -> String {
    let traceparent = [format!("00-{TRACE}-{SPAN}-01")];
    let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
    caller(&traceparent, &headers).unwrap().state.header()
}

#[test]
fn version_zero_is_read_whole() {
    for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
        let context = read(&format!("00-{TRACE}-{SPAN}-{flags}")).unwrap();
        assert_eq!(context.trace.to_string(), TRACE);
        assert_eq!(context.span.unwrap().to_string(), SPAN);
        assert_eq!(context.sampled, Some(sampled));
        let decided = context.decided().unwrap();
        assert_eq!(decided.trace_flags(), TraceFlags::default().with_sampled(sampled));
        assert!(decided.is_remote());
    }
}

#[test]
fn white_space_around_is_ignored() {
    assert!(read(&format!(" \t00-{TRACE}-{SPAN}-01\t ")).is_some());
}

#[test]
fn higher_versions_are_read_as_known() {
    for valid in ["", "-", "-what-the-future-will-be-like", "-\u{e9}"] {
        assert!(read(&format!("01-{TRACE}-{SPAN}-01{valid}")).is_some(), "{valid}");
        assert!(read(&format!("fe-{TRACE}-{SPAN}-01{valid}")).is_some(), "{valid}");
    }
    for invalid in [".", "0", "0-", "what"] {
        assert!(read(&format!("cc-{TRACE}-{SPAN}-01{invalid}")).is_none(), "{invalid}");
    }
}

#[test]
fn malformed_traceparents_are_ignored() {
    let zero_trace = "0".repeat(32);
    let zero_span = "0".repeat(16);
    for malformed in [
        String::new(),
        "00".to_owned(),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("000-{TRACE}-{SPAN}-01"),
        format!("0A-{TRACE}-{SPAN}-01"),
        format!(".0-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-extra"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-"),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-0G"),
        format!("00-{TRACE}-{SPAN}-0A"),
        format!("00-{TRACE}-{SPAN}-+1"),
        format!("00-{zero_trace}-{SPAN}-01"),
        format!("00-{TRACE}-{zero_span}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
        format!("00-{}-{SPAN}-01", &TRACE[..31]),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!("00-{TRACE}-{}-01", &SPAN[..15]),
        format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        format!("00_{TRACE}_{SPAN}_01"),
        format!("00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01"),
    ] {
        assert!(read(&malformed).is_none(), "{malformed}");
    }
}

#[test]
fn several_traceparents_name_no_parent() {
    let one = format!("00-{TRACE}-{SPAN}-01");
    assert!(caller(&[one.clone(), one], &[]).is_none());
    assert!(caller(&[], &["foo=1".to_owned()]).is_none());
}

#[test]
fn tracestate_lists_are_joined_in_order() {
    assert_eq!(state(&["foo=1,bar=2"]), "foo=1,bar=2");
    assert_eq!(state(&["foo=1", "bar=2"]), "foo=1,bar=2");
    assert_eq!(state(&["foo=1 \t , \t bar=2", "", ","]), "foo=1,bar=2");
    assert_eq!(state(&["foo= 1"]), "foo= 1");
    assert_eq!(state(&["abcdefghijklmnopqrstuvwxyz0123456789_-*/=!\"~"]).len(), 44);
    assert_eq!(state(&["0tenant@system=v"]), "0tenant@system=v");
}

#[test]
fn invalid_tracestate_is_dropped_alone() {
    let long = |n| "a".repeat(n);
    for invalid in [
        "foo".to_owned(),
        "=1".to_owned(),
        "foo=".to_owned(),
        "foo=1=2".to_owned(),
        "foo==1".to_owned(),
        "foo =1".to_owned(),
        "FOO=1".to_owned(),
        "0foo=1".to_owned(),
        "foo.bar=1".to_owned(),
        "foo@=1".to_owned(),
        "@foo=1".to_owned(),
        "foo@0bar=1".to_owned(),
        "foo@bar@baz=1".to_owned(),
        "foo=\u{7f}".to_owned(),
        "foo=\u{e9}".to_owned(),
        "foo=a\tb".to_owned(),
        format!("{}=1", long(257)),
        format!("{}@v=1", long(242)),
        format!("t@{}=1", long(15)),
        format!("foo={}", long(257)),
        "bar=2,foo=1=2".to_owned(),
    ] {
        assert_eq!(state(&[&invalid]), "", "{invalid}");
    }
}

#[test]
fn tracestate_limits_are_the_texts() {
    let members = |n: usize| (0..n).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    assert_eq!(state(&[&members(32)]), members(32));
    assert_eq!(state(&[&members(33)]), "");
    let (key, value) = ("k".repeat(256), "v".repeat(256));
    assert_eq!(state(&[&format!("{key}={value}")]), format!("{key}={value}"));
    let tenant = "t".repeat(241);
    assert_eq!(state(&[&format!("{tenant}@s=v")]), format!("{tenant}@s=v"));
}

proptest! {
    #[test]
    fn any_text_is_safe(parents in proptest::collection::vec(".*", 0..3), states in proptest::collection::vec(".*", 0..3)) {
        let _ = caller(&parents, &states);
    }

    #[test]
    fn what_is_read_is_what_was_written(trace in 1_u128.., span in 1_u64.., flags in any::<u8>()) {
        let context = read(&format!("00-{trace:032x}-{span:016x}-{flags:02x}")).unwrap();
        prop_assert_eq!(context.trace, TraceId::from(trace));
        prop_assert_eq!(context.span, Some(SpanId::from(span)));
        prop_assert_eq!(context.sampled, Some(flags & 1 == 1));
    }
}
