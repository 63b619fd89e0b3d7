//! The signals of OTLP: what is sent of each, where, and what the receiver's answer says.
//! Takes messages by resource; gives requests. Knows nothing of queues and connections.

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    logs::v1::LogRecord,
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message;
use serde::Deserialize;

use crate::export::encode;

/// One of OTLP's signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// As in `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_TRACES_EXPORTER`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// Below the base URL of a receiver.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }

    /// What is counted of it.
    pub(super) fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "data points",
            Self::Logs => "log records",
        }
    }
}

/// A message that is sent with others of its resource.
pub(super) trait Item: Message + Sized + 'static {
    type Request: Message + Default + Clone + 'static;
    type Response: Message + Default + 'static;
    const SIGNAL: Signal;
    /// The method of OTLP/gRPC.
    const METHOD: &'static str;

    /// How many of what is counted are in it.
    fn count(&self) -> usize {
        1
    }

    fn request(by_resource: Vec<(impl AsRef<[KeyValue]>, Vec<Self>)>) -> Self::Request;

    /// How many were rejected, and the receiver's words.
    fn rejected(response: Self::Response) -> (i64, String);
}

impl Item for Span {
    type Request = ExportTraceServiceRequest;
    type Response = ExportTraceServiceResponse;
    const SIGNAL: Signal = Signal::Traces;
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    fn request(by_resource: Vec<(impl AsRef<[KeyValue]>, Vec<Self>)>) -> Self::Request {
        let all = by_resource.into_iter();
        let resource_spans =
            all.map(|(resource, spans)| encode::resource_spans(resource.as_ref(), spans)).collect();
        ExportTraceServiceRequest { resource_spans }
    }

    fn rejected(response: Self::Response) -> (i64, String) {
        let partial = response.partial_success.unwrap_or_default();
        (partial.rejected_spans, partial.error_message)
    }
}

impl Item for Metric {
    type Request = ExportMetricsServiceRequest;
    type Response = ExportMetricsServiceResponse;
    const SIGNAL: Signal = Signal::Metrics;
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    fn count(&self) -> usize {
        encode::points(self)
    }

    fn request(by_resource: Vec<(impl AsRef<[KeyValue]>, Vec<Self>)>) -> Self::Request {
        let all = by_resource.into_iter();
        let resource_metrics = all
            .map(|(resource, metrics)| encode::resource_metrics(resource.as_ref(), metrics))
            .collect();
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn rejected(response: Self::Response) -> (i64, String) {
        let partial = response.partial_success.unwrap_or_default();
        (partial.rejected_data_points, partial.error_message)
    }
}

impl Item for LogRecord {
    type Request = ExportLogsServiceRequest;
    type Response = ExportLogsServiceResponse;
    const SIGNAL: Signal = Signal::Logs;
    const METHOD: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

    fn request(by_resource: Vec<(impl AsRef<[KeyValue]>, Vec<Self>)>) -> Self::Request {
        let all = by_resource.into_iter();
        let resource_logs =
            all.map(|(resource, logs)| encode::resource_logs(resource.as_ref(), logs)).collect();
        ExportLogsServiceRequest { resource_logs }
    }

    fn rejected(response: Self::Response) -> (i64, String) {
        let partial = response.partial_success.unwrap_or_default();
        (partial.rejected_log_records, partial.error_message)
    }
}
