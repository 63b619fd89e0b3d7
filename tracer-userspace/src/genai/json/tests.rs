//! The streaming reader against `serde_json`, on random documents at random splits.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Document, Fault, Shape, Shapes,
    lax::{Count, List, Text},
    reader::{MAX_DEPTH, MAX_NUMBER, Reader},
};

use crate::splits;

static ALL: Shape = Shape::Fact;

fn read(shape: &'static Shape, pieces: &[&[u8]]) -> (Value, Option<Fault>, bool) {
    let mut reader = Reader::new(shape);
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish(None)
}

fn check(text: &str, expected: &Value) {
    let told = splits::check(text.as_bytes(), |pieces| read(&ALL, pieces));
    assert_eq!(told, (expected.clone(), None, false), "{text}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x00-\\x1f\"\\\\/\u{2028}\u{10ffff}a]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-d\"\\\\é]{0,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn every_kind_of_value_is_read() {
    check(" null ", &Value::Null);
    check("-0.5e1", &json!(-5.0));
    check("[ ]", &json!([]));
    check("{ }", &json!({}));
    check(r#"[1,"a",{"b":[true,false]},{}]"#, &json!([1, "a", {"b": [true, false]}, {}]));
    check(r#""\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t\u0000""#, &json!("é😀\"\\/\u{8}\u{c}\n\r\t\0"));
    check(r#"{"a":1,"a":2}"#, &json!({"a": 2}));
    check("18446744073709551615", &json!(u64::MAX));
}

#[test]
fn broken_values_are_named() {
    for text in [
        "[1,]",
        "{\"a\"1}",
        "{1:2}",
        "[1 2]",
        "nul",
        "01",
        "-",
        "1.",
        "+1",
        "\"\\x\"",
        "]",
        "[}",
        "{]",
        "1 2",
        "{\"a\":}",
        "\"\\u12g4\"",
        "[1}",
        "tru e",
    ] {
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        assert!(read(&ALL, &[text.as_bytes()]).1.is_some(), "{text}");
    }
    let (value, fault, _) = read(&ALL, &[br#"{"a": [1, {"b": 2, "c": "cut"#]);
    assert_eq!((value, fault), (json!({"a": [1, {"b": 2}]}), Some(Fault::Truncated)));
    // A number at a cut may go on.
    assert_eq!(read(&ALL, &[b"[12, 34"]).0, json!([12]));
    // Half a surrogate pair is no character.
    assert_eq!(
        read(&ALL, &[br#""\ud800\ud800\udc00\udc00""#]).0,
        json!("\u{fffd}\u{10000}\u{fffd}")
    );
}

#[test]
fn shapes_keep_what_they_name() {
    static SHAPE: Shape = Shape::Object(&[
        ("keep", Shape::Fact),
        ("count", Shape::Each(&Shape::Skip)),
        ("sign", Shape::Sign),
        ("text", Shape::Sign),
        ("each", Shape::Each(&Shape::Object(&[("x", Shape::Fact)]))),
    ]);
    let text = br#"{"skip":{"keep":[1,"]}\""]},"keep":{"a":[1]},"count":[1,[2],{"a":"}"},"x"],
        "sign":[{"a":"]"}],"text":"\"","each":[{"x":1,"y":2},[3],4,{"y":5}],"s":"\\","last":-1}"#;
    let expected = json!({"keep": {"a": [1]}, "count": [null, null, null, null],
        "sign": [], "text": "", "each": [{"x": 1}, 4, {}]});
    for at in 0..=text.len() {
        let (left, right) = text.split_at(at);
        assert_eq!(read(&SHAPE, &[left, right]).0, expected, "at {at}");
    }
}

/// A fuzzer found that how much of one was kept depended on the pieces that it came in.
#[test]
fn long_names_are_cut_alike() {
    let (kept, escaped) = ("n".repeat(1000), "m".repeat(100));
    let body = format!("{{\"{kept}\\n{escaped}\": 1}}");
    let told = splits::check(body.as_bytes(), |pieces| read(&ALL, pieces));
    let name = format!("{kept}\n{}", &escaped[..23]);
    assert_eq!(told, (json!({name: 1}), None, false));
}

#[test]
fn depth_and_size_are_bounded() {
    let (value, fault, clipped) = read(&ALL, &["[".repeat(1_000_000).as_bytes()]);
    assert_eq!((fault, clipped), (Some(Fault::Truncated), true));
    let mut depth = 0;
    let mut inner = &value;
    while let Some(next) = inner.get(0) {
        inner = next;
        depth += 1;
    }
    assert_eq!(depth + 1, MAX_DEPTH);
    // A fact that is too long is left out, the rest stands.
    let long = "x".repeat(100_000);
    let text = format!(r#"{{"a":"{long}","{long}":1,"b":{}}}"#, "9".repeat(100_000));
    let (value, fault, clipped) = read(&ALL, &[text.as_bytes()]);
    assert_eq!((fault, clipped), (None, true));
    assert_eq!((&value["a"], &value["b"]), (&Value::Null, &Value::Null));
    assert!(value.to_string().len() < 4096);
    // As is a number.
    let number = |digits: usize| format!("{{\"b\":0.{}}}", "3".repeat(digits));
    let third = (json!({"b": 1.0 / 3.0}), None, false);
    assert_eq!(read(&ALL, &[number(MAX_NUMBER - 2).as_bytes()]), third);
    let long = number(MAX_NUMBER - 1);
    let told = splits::check(long.as_bytes(), |pieces| read(&ALL, pieces));
    assert_eq!(told, (json!({"b": null}), None, true));
    // A list that is too long is a fault.
    let (value, fault, _) = read(&ALL, &[format!("[1{}]", ",1".repeat(100_000)).as_bytes()]);
    assert_eq!(fault, Some(Fault::TooLarge));
    assert!(value.as_array().unwrap().len() < 10_000);
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Facts<'a> {
    #[serde(borrow)]
    a: Text<'a>,
    b: Count,
    #[serde(borrow)]
    c: List<Box<Facts<'a>>>,
}

/// serde takes a list for a struct: its first element for the first member.
#[test]
fn what_is_no_object_has_no_facts() {
    static SHAPE: Shape = Shape::Object(&[("a", Shape::Fact), ("b", Shape::Fact)]);
    for (text, expected) in [
        (r#"["x", 1]"#, None),
        (" [] ", None),
        ("1", None),
        ("\"a\"", None),
        ("null", None),
        ("{}", None),
        ("", Some(Fault::Truncated)),
        ("{", Some(Fault::Truncated)),
        ("[", Some(Fault::Truncated)),
        ("\u{c}{}", Some(Fault::Syntax)),
        ("x}", Some(Fault::Syntax)),
        ("{} {}", Some(Fault::Syntax)),
    ] {
        // White space in front takes a document past what is held whole.
        for spaces in [0, 70_000] {
            let mut document = Document::new(Shapes { facts: &SHAPE, content: None });
            document.push(" ".repeat(spaces).as_bytes());
            document.push(text.as_bytes());
            let (facts, fault) = document.facts::<Facts<'_>>();
            assert_eq!((facts, fault), (Facts::default(), expected), "{text} behind {spaces}");
        }
    }
}

proptest! {
    #[test]
    fn random_documents_agree(value in value(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&ALL, &pieces), (value, None, false));
    }

    #[test]
    fn random_bytes_agree(text in "[\\[\\]{},:\"\\\\ \\na1e.u0-]{0,24}") {
        let whole = read(&ALL, &[text.as_bytes()]);
        let single: Vec<_> = text.as_bytes().chunks(1).collect();
        prop_assert_eq!(&read(&ALL, &single), &whole);
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => prop_assert_eq!(whole, (value, None, false)),
            // Alone in being lenient: raw control characters inside strings.
            Err(_) => prop_assert!(whole.1.is_some() || text.contains('\n')),
        }
    }

    #[test]
    fn fast_and_slow_ways_agree(value in value(), spaces in 0usize..2) {
        // White space in front takes a document past what is held whole.
        let text = " ".repeat(spaces * 70_000) + &value.to_string();
        let mut document = Document::new(Shapes { facts: &ALL, content: Some(&ALL) });
        for piece in text.as_bytes().chunks(5000) {
            document.push(piece);
        }
        let expected: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(document.content(), Some((expected, false)));
        let (facts, fault) = document.facts::<Facts<'_>>();
        prop_assert_eq!(fault, None);
        let direct: Facts<'_> = serde_json::from_str(&text).unwrap_or_default();
        prop_assert_eq!(facts, direct);
    }
}
