//! Spans as an outside reader finds them in OTLP/JSON.
//! Takes lines of `TracesData` (the Collector's file format); gives [`Span`]s with plain values.
//! Reads by the OTLP specification, not by llmtap's code.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub const CLIENT: i64 = 3;
pub const SERVER: i64 = 2;

#[derive(Clone, Debug)]
pub struct Span {
    pub trace_id: String,
    pub span_id: String,
    /// Empty for a root.
    pub parent_span_id: String,
    pub name: String,
    /// `SpanKind` of `trace.proto`: 2 server, 3 client; 0 where it is not known.
    pub kind: i64,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    /// `Status.StatusCode`: 0 unset, 1 ok, 2 error.
    pub status: i64,
    pub status_message: String,
    /// Integers as JSON numbers, arrays as JSON arrays.
    pub attributes: BTreeMap<String, Value>,
    pub resource: BTreeMap<String, Value>,
}

impl Span {
    /// # Errors
    /// A line is no `TracesData`.
    pub fn parse(lines: &str) -> Result<Vec<Self>> {
        let mut spans = Vec::new();
        for line in lines.lines() {
            let data: Value =
                serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
            spans.extend(Self::all(&data)?);
        }
        Ok(spans)
    }

    /// All spans of a `TracesData` or an export request, in OTLP's JSON or in Protobuf's own.
    ///
    /// # Errors
    /// It is neither.
    pub fn all(data: &Value) -> Result<Vec<Self>> {
        let mut spans = Vec::new();
        for group in list(data, "resourceSpans") {
            let resource = attributes(&group["resource"])?;
            for span in list(group, "scopeSpans").iter().flat_map(|scope| list(scope, "spans")) {
                spans.push(Self::read(span, &resource).with_context(|| span.to_string())?);
            }
        }
        Ok(spans)
    }

    fn read(span: &Value, resource: &BTreeMap<String, Value>) -> Result<Self> {
        let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
        let nanoseconds = |key: &str| -> Result<u64> {
            // OTLP/JSON writes 64-bit integers as strings (ProtoJSON).
            span[key]
                .as_str()
                .with_context(|| format!("{key} is no string"))?
                .parse()
                .context("time")
        };
        Ok(Self {
            trace_id: id(&text("traceId"), 16)?,
            span_id: id(&text("spanId"), 8)?,
            parent_span_id: text("parentSpanId"),
            name: text("name"),
            kind: span["kind"].as_i64().context("a kind is a number")?,
            start: nanoseconds("startTimeUnixNano")?,
            end: nanoseconds("endTimeUnixNano")?,
            status: span["status"]["code"].as_i64().unwrap_or(0),
            status_message: span["status"]["message"].as_str().unwrap_or_default().to_owned(),
            attributes: attributes(span)?,
            resource: resource.clone(),
        })
    }

    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.attributes.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name)?.as_str()
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.as_i64()
    }

    pub fn service(&self) -> Option<&str> {
        self.resource.get("service.name")?.as_str()
    }

    /// Seconds from start to end.
    pub fn duration(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1e9
    }
}

pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Ids are hexadecimal in OTLP/JSON, base64 in Protobuf's own JSON form; kept as they are.
fn id(text: &str, bytes: usize) -> Result<String> {
    let hex = text.len() == 2 * bytes && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let base64 = text.len() == bytes.div_ceil(3) * 4 && text.ends_with('=');
    if !hex && !base64 {
        bail!("no id of {bytes} bytes: {text:?}");
    }
    Ok(text.to_owned())
}

pub(crate) fn attributes(owner: &Value) -> Result<BTreeMap<String, Value>> {
    list(owner, "attributes")
        .iter()
        .map(|attribute| {
            let key = attribute["key"].as_str().context("an attribute without a key")?;
            let value = plain(&attribute["value"]).with_context(|| format!("value of {key}"))?;
            Ok((key.to_owned(), value))
        })
        .collect()
}

fn plain(value: &Value) -> Result<Value> {
    let (kind, inner) =
        value.as_object().and_then(|fields| fields.iter().next()).context("an empty value")?;
    Ok(match kind.as_str() {
        "stringValue" | "boolValue" | "doubleValue" => inner.clone(),
        "intValue" => inner
            .as_str()
            .context("an integer is a string in OTLP/JSON")?
            .parse::<i64>()
            .context("no integer")?
            .into(),
        "arrayValue" => {
            Value::Array(list(inner, "values").iter().map(plain).collect::<Result<_>>()?)
        }
        "kvlistValue" => {
            let fields = list(inner, "values").iter();
            let fields = fields.map(|field| {
                let key = field["key"].as_str().context("a field without a key")?;
                Ok((key.to_owned(), plain(&field["value"]).unwrap_or(Value::Null)))
            });
            Value::Object(fields.collect::<Result<_>>()?)
        }
        other => bail!("unexpected kind of value {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collector_file_line_is_read() {
        // From the OTLP specification's example, trimmed.
        let line = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},"scopeSpans":[{"scope":{"name":"my.library"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173","name":"I'm a server span","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","kind":2,"attributes":[{"key":"a","value":{"intValue":"7"}},{"key":"b","value":{"arrayValue":{"values":[{"stringValue":"x"}]}}}]}]}]}]}"#;
        let spans = Span::parse(line).unwrap();
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].kind, SERVER);
        assert_eq!(spans[0].service(), Some("my.service"));
        assert_eq!(spans[0].number("a"), Some(7));
        assert_eq!(spans[0].attribute("b"), Some(&serde_json::json!(["x"])));
        assert!((spans[0].duration() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn integer_as_number_is_refused() {
        let line = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"intValue":7}}]}}]}"#;
        assert!(Span::parse(line).is_err());
    }
}
