//! Messages encoded by `prost`, read by the tables.

use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::*;

#[derive(Clone, PartialEq, prost::Message)]
struct Inner {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(message, optional, boxed, tag = "2")]
    inner: Option<Box<Inner>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Outer {
    #[prost(message, repeated, tag = "1")]
    inners: Vec<Inner>,
    #[prost(int32, optional, tag = "2")]
    count: Option<i32>,
    #[prost(float, optional, tag = "3")]
    temperature: Option<f32>,
    #[prost(int64, tag = "10")]
    limit: i64,
    #[prost(bytes = "vec", tag = "5")]
    data: Vec<u8>,
    #[prost(int32, tag = "6")]
    reason: i32,
    #[prost(int32, repeated, tag = "7")]
    kinds: Vec<i32>,
    #[prost(message, optional, tag = "8")]
    args: Option<prost_types::Struct>,
    #[prost(bool, tag = "9")]
    flag: bool,
    #[prost(uint64, tag = "2000")]
    unknown: u64,
}

static INNER: [Field; 2] = [one(1, "text", Kind::Text), one(2, "inner", Kind::Message(&INNER))];

const NAMES: &[(u64, &str)] = &[(1, "STOP"), (2, "LENGTH")];

static OUTER: [Field; 9] = [
    many(1, "inners", Kind::Message(&INNER)),
    one(2, "count", Kind::Int),
    one(3, "config/temperature", Kind::Float),
    one(10, "config/limit", Kind::Int),
    one(5, "data", Kind::Bytes),
    one(6, "reason", Kind::Enum(NAMES)),
    many(7, "kinds", Kind::Enum(NAMES)),
    one(8, "args", Kind::Struct),
    one(9, "flag", Kind::Bool),
];

fn struct_of(value: &Value) -> prost_types::Struct {
    fn convert(value: &Value) -> prost_types::Value {
        use prost_types::value::Kind as K;
        let kind = match value {
            Value::Null => K::NullValue(0),
            Value::Bool(flag) => K::BoolValue(*flag),
            Value::Number(number) => K::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => K::StringValue(text.clone()),
            Value::Array(list) => {
                K::ListValue(prost_types::ListValue { values: list.iter().map(convert).collect() })
            }
            object => K::StructValue(struct_of(object)),
        };
        prost_types::Value { kind: Some(kind) }
    }
    let members = value.as_object().unwrap().iter();
    prost_types::Struct { fields: members.map(|(key, it)| (key.clone(), convert(it))).collect() }
}

fn outer() -> Outer {
    Outer {
        inners: vec![
            Inner { text: "a".into(), inner: None },
            Inner {
                text: String::new(),
                inner: Some(Box::new(Inner { text: "ü".into(), inner: None })),
            },
        ],
        count: Some(-3),
        temperature: Some(0.1),
        limit: i64::MIN,
        data: vec![0, 255],
        reason: 2,
        kinds: vec![1, 2, 7],
        args: Some(struct_of(
            &json!({"city": "Köln", "n": 3, "x": 0.5, "l": [true, null, {"k": "v"}]}),
        )),
        flag: true,
        unknown: u64::MAX,
    }
}

#[test]
fn message_becomes_json() {
    assert_eq!(
        read(&outer().encode_to_vec(), &OUTER),
        Ok(json!({
            "inners": [{"text": "a"}, {"inner": {"text": "ü"}}],
            "count": -3,
            "config": {"temperature": 0.1, "limit": i64::MIN},
            "data": "AP8=",
            "reason": "LENGTH",
            "kinds": ["STOP", "LENGTH", "7"],
            "args": {"city": "Köln", "n": 3, "x": 0.5, "l": [true, null, {"k": "v"}]},
            "flag": true,
        }))
    );
    assert_eq!(read(b"", &OUTER), Ok(json!({})));
}

#[test]
fn nesting_is_bounded() {
    let mut deep = Inner { text: "deepest".into(), inner: None };
    for _ in 0..500 {
        deep = Inner { text: "x".into(), inner: Some(Box::new(deep)) };
    }
    let read = read(&deep.encode_to_vec(), &INNER).unwrap();
    assert!(read.to_string().len() < 100 * MAX_DEPTH);
    assert_eq!(read["inner"]["inner"]["text"], "x");
}

#[test]
fn too_large_message_is_left_and_the_next_read() {
    let mut collector = Collector::default();
    for _ in 0..5 {
        collector.push(&[0; MAX_MESSAGE / 4]);
    }
    assert_eq!(collector.take(), None);
    collector.push(b"ab");
    collector.push(b"c");
    assert_eq!(collector.take().as_deref(), Some(&b"abc"[..]));
    collector.lose();
    collector.push(b"rest");
    assert_eq!(collector.take(), None);
}

#[test]
fn many_small_values_are_bounded() {
    let empty = Inner { text: String::new(), inner: None };
    let args = struct_of(&json!({"list": vec![1; 200_000]}));
    let many = Outer {
        inners: vec![empty; 200_000],
        kinds: vec![1; 200_000],
        args: Some(args),
        flag: true,
        ..Outer::default()
    };
    let value = read(&many.encode_to_vec(), &OUTER).expect("sound");
    let len = |value: &Value| value.as_array().map_or(0, Vec::len);
    // The first took the room; numbers of the message itself stay.
    assert_eq!(len(&value["inners"]), MAX_WEIGHT / OBJECT);
    assert!(len(&value["kinds"]) + len(&value["args"]["list"]) < OBJECT / NODE);
    assert_eq!(value["flag"], true);
}

proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = read(&bytes, &OUTER);
    }

    #[test]
    fn cut_messages_are_no_messages_or_shorter(cut in 0usize..200) {
        let bytes = outer().encode_to_vec();
        let part = &bytes[..cut.min(bytes.len())];
        if let Ok(value) = read(part, &OUTER) {
            prop_assert!(value.to_string().len() <= read(&bytes, &OUTER).unwrap().to_string().len());
        }
    }
}
