//! Holds spans against what the programs themselves saw.
//! Takes spans and records (see `calls.py`); gives each difference as a sentence.
//! A record is the truth: it is what the client received from its socket.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{Record, Span};

/// Fields of a record, and the attributes that must have the same value.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("request_model", "gen_ai.request.model"),
    ("response_model", "gen_ai.response.model"),
    ("response_id", "gen_ai.response.id"),
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
    ("cached_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ("status", "http.response.status_code"),
];

/// All differences between the calls that ended in order and their spans. Neither a record without
/// a span nor a span without a record is allowed.
pub fn differences(spans: &[Span], records: &[Record]) -> Vec<String> {
    let mut found = differences_of_attributes(spans, records);
    for record in records {
        let id = record["response_id"].as_str();
        for span in spans.iter().filter(|span| span.text("gen_ai.response.id") == id) {
            hold(
                &mut found,
                record,
                "process.pid",
                span.resource.get("process.pid"),
                &record["pid"],
            );
        }
    }
    found
}

/// As [`differences`], for spans of a backend that keeps no resources.
pub fn differences_of_attributes(spans: &[Span], records: &[Record]) -> Vec<String> {
    one_to_one(spans, records, "response_id", of_one)
}

/// Each record has one span, told by the answer's id, which `field` of the record has, and no span is
/// left over; `of_one` adds what differs between the two.
pub(crate) fn one_to_one(
    spans: &[Span],
    records: &[Record],
    field: &str,
    of_one: impl Fn(&mut Vec<String>, &Span, &Record),
) -> Vec<String> {
    let mut by_id: HashMap<&str, Vec<&Span>> = HashMap::new();
    let mut found = Vec::new();
    for span in spans {
        match span.text("gen_ai.response.id") {
            Some(id) => by_id.entry(id).or_default().push(span),
            None => found.push(format!("a span without response id: {:?}", span.attributes)),
        }
    }
    for record in records {
        let id = record[field].as_str().unwrap_or_default();
        match by_id.remove(id).as_deref() {
            Some([span]) => of_one(&mut found, span, record),
            Some(spans) => found.push(format!("{id} has {} spans", spans.len())),
            None => found.push(format!("{id} has no span")),
        }
    }
    found.extend(by_id.keys().map(|id| format!("{id} is in no record")));
    found
}

/// Records for which there is no span with their response id.
pub fn without_span<'a>(spans: &[Span], records: &'a [Record]) -> Vec<&'a Record> {
    records
        .iter()
        .filter(|record| {
            let id = record["response_id"].as_str();
            !spans.iter().any(|span| span.text("gen_ai.response.id") == id)
        })
        .collect()
}

fn hold(found: &mut Vec<String>, record: &Record, what: &str, is: Option<&Value>, should: &Value) {
    if is.unwrap_or(&Value::Null) != should {
        let id = record["response_id"].as_str().unwrap_or_default();
        found.push(format!("{id}: {what} is {is:?}, the client has {should}"));
    }
}

fn of_one(found: &mut Vec<String>, span: &Span, record: &Record) {
    let mut hold = |what: &str, is: Option<&Value>, should: &Value| {
        hold(found, record, what, is, should);
    };
    for (field, attribute) in ATTRIBUTES {
        hold(attribute, span.attribute(attribute), &record[field]);
    }
    if record["chunks"].as_u64().is_some_and(|chunks| chunks > 0) {
        hold("llmtap.response.chunks", span.attribute("llmtap.response.chunks"), &record["chunks"]);
    }
    hold(
        "gen_ai.response.finish_reasons",
        span.attribute("gen_ai.response.finish_reasons"),
        &json!([record["finish"]]),
    );
    let provider = if record["path"] == "/v1/messages" { "anthropic" } else { "openai" };
    hold("gen_ai.provider.name", span.attribute("gen_ai.provider.name"), &json!(provider));
    hold("gen_ai.operation.name", span.attribute("gen_ai.operation.name"), &json!("chat"));
    let stream = if record["stream"] == true { json!(true) } else { Value::Null };
    hold("gen_ai.request.stream", span.attribute("gen_ai.request.stream"), &stream);
    hold("status", Some(&json!(span.status)), &json!(0));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn span(attributes: &Value) -> Span {
        let attributes: BTreeMap<_, _> =
            attributes.as_object().unwrap().clone().into_iter().collect();
        Span {
            trace_id: String::new(),
            span_id: String::new(),
            parent_span_id: String::new(),
            name: String::new(),
            kind: 3,
            start: 0,
            end: 0,
            status: 0,
            status_message: String::new(),
            attributes,
            resource: BTreeMap::new(),
        }
    }

    #[test]
    fn missing_and_surplus_spans_are_told() {
        let spans = [span(&json!({"gen_ai.response.id": "a"}))];
        let records = [json!({"response_id": "b"})];
        let found = differences(&spans, &records);
        assert_eq!(found, ["b has no span", "a is in no record"]);
    }

    #[test]
    fn wrong_number_is_told() {
        let spans = [span(&json!({
            "gen_ai.response.id": "a",
            "gen_ai.usage.input_tokens": 4,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
        }))];
        let records = [json!({"response_id": "a", "input_tokens": 5, "finish": "stop"})];
        let found = differences(&spans, &records);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("input_tokens"), "{found:?}");
    }

    #[test]
    fn wrong_process_is_told() {
        let mut spans = [span(&json!({
            "gen_ai.response.id": "a",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
        }))];
        spans[0].resource.insert("process.pid".into(), json!(6));
        let records = [json!({"response_id": "a", "finish": "stop", "pid": 7})];
        let found = differences(&spans, &records);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("process.pid"), "{found:?}");
        assert!(differences_of_attributes(&spans, &records).is_empty());
    }
}
