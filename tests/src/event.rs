//! Events (log records) as an outside reader finds them in OTLP's JSON or in Protobuf's own.
//! Takes `LogsData` or export requests; gives [`Event`]s with plain values.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::span::{attributes, list};

#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    /// Hexadecimal, or base64 in Protobuf's own JSON form: as its span's.
    pub trace_id: String,
    pub span_id: String,
    pub severity: i64,
    /// Nanoseconds since 1970.
    pub time: u64,
    pub attributes: BTreeMap<String, Value>,
    pub resource: BTreeMap<String, Value>,
}

impl Event {
    /// # Errors
    /// It is no `LogsData`.
    pub fn all(data: &Value) -> Result<Vec<Self>> {
        let mut events = Vec::new();
        for group in list(data, "resourceLogs") {
            let resource = attributes(&group["resource"])?;
            for record in
                list(group, "scopeLogs").iter().flat_map(|scope| list(scope, "logRecords"))
            {
                let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
                events.push(Self {
                    name: text("eventName"),
                    trace_id: text("traceId"),
                    span_id: text("spanId"),
                    severity: record["severityNumber"].as_i64().context("no severity")?,
                    time: text("timeUnixNano").parse().context("no time")?,
                    attributes: attributes(record)?,
                    resource: resource.clone(),
                });
            }
        }
        Ok(events)
    }
}
