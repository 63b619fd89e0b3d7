//! Spans, metrics and events to OTLP receivers.
//! Takes each without ever waiting; gives a [`Tally`] of each signal, of what was sent and what was
//! lost. Each signal has a queue, a worker and a connection of its own, so that none holds up another.

mod grpc;
mod http;
mod sender;
mod settings;
mod signal;
mod transport;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use opentelemetry_proto::tonic::{
    logs::v1::LogRecord, metrics::v1::Metric, trace::v1::Span as SpanMessage,
};
use tokio::runtime::Runtime;

use super::{Resources, Tally, encode};
use crate::{
    capture::ProcessId,
    discover::Process,
    meter::{Collected, Temporality},
    trace::Span,
};

use sender::Sender;
pub use settings::{
    Compression, MetricsReading, OtlpError, OtlpOptions, OtlpSettings, Protocol, Receivers,
};
pub use signal::Signal;

/// Sends to the receivers of each signal.
#[derive(Debug)]
pub struct Otlp {
    /// Its thread keeps connections alive. `None` when all is over.
    runtime: Option<Runtime>,
    traces: Option<Sender<SpanMessage>>,
    metrics: Option<Sender<Metric>>,
    logs: Option<Sender<LogRecord>>,
}

/// What became of each signal; `None` of those that are not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpTallies {
    pub traces: Option<Tally>,
    pub metrics: Option<Tally>,
    pub logs: Option<Tally>,
}

impl Otlp {
    /// Starts a worker a signal. The receivers need not be there yet.
    ///
    /// # Errors
    ///
    /// If the certificates are none, or a thread cannot be started.
    pub fn start(receivers: &Receivers, resources: &Arc<Resources>) -> Result<Self, OtlpError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("llmtap-otlp-io")
            .enable_all()
            .build()
            .map_err(OtlpError::Thread)?;
        let handle = runtime.handle();
        let Receivers { traces, metrics, logs } = receivers;
        let traces = traces.as_ref();
        let metrics = metrics.as_ref();
        let logs = logs.as_ref();
        Ok(Self {
            traces: traces.map(|to| Sender::start(to, resources.clone(), handle)).transpose()?,
            metrics: metrics.map(|to| Sender::start(to, resources.clone(), handle)).transpose()?,
            logs: logs.map(|to| Sender::start(to, resources.clone(), handle)).transpose()?,
            runtime: Some(runtime),
        })
    }

    /// Queues a span and its events, or counts as lost what finds its queue full.
    pub fn push(&self, span: &Span) {
        if let Some(traces) = &self.traces {
            traces.push([encode::span(span)], &span.process);
        }
        if let Some(logs) = self.logs.as_ref().filter(|_| !span.events.is_empty()) {
            logs.push(encode::logs(span), &span.process);
        }
    }

    pub(super) fn wants_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Queues the points of a process at `time`, or counts as lost what finds the queue full.
    pub fn push_metrics(
        &self,
        collected: &Collected<ProcessId, Arc<Process>>,
        time: SystemTime,
        temporality: Temporality,
    ) {
        if let Some(metrics) = &self.metrics {
            metrics.push(encode::metrics(collected, time, temporality), &collected.resource);
        }
    }

    /// What became of everything so far; what waits is unsent.
    pub(super) fn tallies(&self) -> OtlpTallies {
        OtlpTallies {
            traces: self.traces.as_ref().map(Sender::tally),
            metrics: self.metrics.as_ref().map(Sender::tally),
            logs: self.logs.as_ref().map(Sender::tally),
        }
    }

    /// Waits for slow receivers, for as long as `patience`; false where it was not long enough.
    pub(super) fn wait_for_room(&self, patience: Duration) -> bool {
        self.traces.as_ref().is_none_or(|sender| sender.wait_for_room(patience))
            && self.metrics.as_ref().is_none_or(|sender| sender.wait_for_room(patience))
            && self.logs.as_ref().is_none_or(|sender| sender.wait_for_room(patience))
    }

    /// Sends what is left, for as long as `time`, and tells what became of everything.
    pub fn finish(mut self, time: Duration) -> OtlpTallies {
        self.close(Instant::now() + time);
        self.tallies()
    }

    fn close(&mut self, deadline: Instant) {
        let Some(runtime) = self.runtime.take() else { return };
        // All at once, so that they have the same time.
        let Self { traces, metrics, logs, .. } = self;
        traces.iter().for_each(|sender| sender.close(deadline));
        metrics.iter().for_each(|sender| sender.close(deadline));
        logs.iter().for_each(|sender| sender.close(deadline));
        let joined = [
            traces.as_mut().is_none_or(|sender| sender.join(deadline)),
            metrics.as_mut().is_none_or(|sender| sender.join(deadline)),
            logs.as_mut().is_none_or(|sender| sender.join(deadline)),
        ];
        if joined.contains(&false) {
            // Whoever is still on it would panic without it.
            std::mem::forget(runtime);
        } else {
            // Name lookups under way may block a thread of it for longer than there is time.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        self.close(Instant::now());
    }
}

#[cfg(test)]
mod tests;
