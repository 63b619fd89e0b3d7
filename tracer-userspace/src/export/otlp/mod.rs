//! Spans to an OTLP receiver: one bounded queue, one worker that batches, sends and retries.
//! Takes [`Span`]s without ever waiting; gives a [`Tally`] of what was sent and what was lost.
//! While the receiver is down, spans stay in the queue, and the user is told once.

mod grpc;
mod http;
mod settings;
mod transport;

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span as SpanMessage,
};
use prost::Message;
use tokio::{runtime::Runtime, sync::watch};
use tracing::{info, warn};

use super::{
    Resources, Tally, encode,
    queue::{Batch, Queue},
};
use crate::{capture::ProcessId, discover::Process, trace::Span};

pub use settings::{Compression, OtlpError, OtlpOptions, OtlpSettings, Protocol};
use transport::{Answer, Transport};

/// Encoded bytes of a request's spans: gRPC receivers take messages of 4 MiB unless told otherwise.
const REQUEST_BYTES: usize = 3 << 20;

/// Pauses between attempts: doubled from the first to the last, each shortened at random by up to
/// half so that many llmtaps do not return at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The longest that a receiver can ask to be left alone.
const LONGEST_REQUESTED_PAUSE: Duration = Duration::from_secs(60);

/// How long after the deadline of the end the worker may need to notice it.
const GRACE: Duration = Duration::from_millis(200);

/// Sends spans to one receiver.
#[derive(Debug)]
pub struct Otlp {
    queue: Arc<Queue<Queued>>,
    /// When all must be over; `None` until the end.
    end: watch::Sender<Option<Instant>>,
    worker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queued {
    span: SpanMessage,
    process: Arc<Process>,
}

impl Otlp {
    /// Starts the worker. The receiver need not be there yet.
    ///
    /// # Errors
    ///
    /// If the certificates are none, or a thread cannot be started.
    pub fn start(settings: &OtlpSettings, resources: Arc<Resources>) -> Result<Self, OtlpError> {
        // The runtime's thread keeps connections alive; the worker waits outside of it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("llmtap-otlp-io")
            .enable_all()
            .build()
            .map_err(OtlpError::Thread)?;
        let transport = {
            let _inside = runtime.enter();
            Transport::new(settings)?
        };
        let queue = Arc::new(Queue::new(settings.queue));
        let (end, ended) = watch::channel(None);
        let worker = Worker {
            queue: Arc::clone(&queue),
            batch: Batch {
                items: settings.batch_items,
                bytes: REQUEST_BYTES,
                delay: settings.schedule_delay,
            },
            resources,
            transport,
            runtime,
            ended,
            health: Health::new(settings.receiver()),
        };
        let worker = std::thread::Builder::new()
            .name("llmtap-otlp".to_owned())
            .spawn(move || worker.run())
            .map_err(OtlpError::Thread)?;
        Ok(Self { queue, end, worker: Some(worker) })
    }

    /// Queues a span, or counts it as lost where the queue is full.
    pub fn push(&self, span: &Span) {
        let message = encode::span(span);
        let bytes = message.encoded_len();
        self.queue.push(Queued { span: message, process: Arc::clone(&span.process) }, bytes);
    }

    /// What became of everything so far; what waits is unsent.
    pub(super) fn tally(&self) -> Tally {
        self.queue.tally()
    }

    /// Waits for a slow receiver, for as long as `patience`; false where it was not long enough.
    pub(super) fn wait_for_room(&self, patience: Duration) -> bool {
        self.queue.wait_for_room(patience)
    }

    /// Sends what is left, for as long as `time`, and tells what became of everything.
    pub fn finish(mut self, time: Duration) -> Tally {
        self.close(Instant::now() + time);
        self.queue.tally()
    }

    fn close(&mut self, deadline: Instant) {
        self.queue.close(deadline);
        self.end.send_replace(Some(deadline));
        let Some(worker) = self.worker.take() else { return };
        while !worker.is_finished() && Instant::now() < deadline + GRACE {
            std::thread::sleep(Duration::from_millis(1));
        }
        if worker.is_finished() && worker.join().is_err() {
            warn!("the thread that sends spans to the OTLP receiver failed");
        }
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        self.close(Instant::now());
    }
}

struct Worker {
    queue: Arc<Queue<Queued>>,
    batch: Batch,
    resources: Arc<Resources>,
    transport: Transport,
    runtime: Runtime,
    ended: watch::Receiver<Option<Instant>>,
    health: Health,
}

impl Worker {
    fn run(mut self) {
        loop {
            let batch = self.queue.take(self.batch);
            if batch.is_empty() {
                break;
            }
            let (items, bytes) = (batch.len(), batch.iter().map(|(_, bytes)| bytes).sum());
            let request = self.request(batch);
            let Some(sent) = self.deliver(&request, items) else { break };
            let spans = u64::try_from(items).unwrap_or(u64::MAX);
            self.queue.finished(items, bytes, |tally| {
                tally.sent += sent.accepted.min(spans);
                tally.refused += spans.saturating_sub(sent.accepted);
                tally.error = sent.error.or(tally.error.take());
            });
        }
        // Name lookups under way may block a thread of the runtime for longer than there is time.
        self.runtime.shutdown_background();
    }

    /// One message for all services of the batch, each process under its own resource.
    fn request(&self, batch: Vec<(Queued, usize)>) -> ExportTraceServiceRequest {
        let mut places: HashMap<ProcessId, usize> = HashMap::new();
        let mut groups: Vec<(Arc<Process>, Vec<SpanMessage>)> = Vec::new();
        for (Queued { span, process }, _) in batch {
            let place = *places.entry(process.id).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, spans)) => spans.push(span),
                None => groups.push((process, vec![span])),
            }
        }
        let resource_spans = groups
            .into_iter()
            .map(|(process, spans)| encode::resource_spans(&self.resources.of(&process), spans))
            .collect();
        ExportTraceServiceRequest { resource_spans }
    }

    /// Tries until the receiver has answered for good; `None` when time is up before.
    fn deliver(&mut self, request: &ExportTraceServiceRequest, items: usize) -> Option<Delivered> {
        let spans = u64::try_from(items).unwrap_or(u64::MAX);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(request)? {
                Answer::Accepted { rejected, words } => {
                    self.health.is_up(self.queue.tally().queue_full);
                    if rejected > 0 || !words.is_empty() {
                        self.health.refused(rejected, &words);
                    }
                    let error = (rejected > 0).then(|| format!("rejected: {words}"));
                    return Some(Delivered { accepted: spans.saturating_sub(rejected), error });
                }
                Answer::Refused(reason) => {
                    self.health.refused(spans, &reason);
                    return Some(Delivered { accepted: 0, error: Some(reason) });
                }
                Answer::Later { after, reason } => {
                    self.health.is_down(&reason, self.queue.tally().queue_full);
                    self.queue.finished(0, 0, |tally| tally.error = Some(reason));
                    let requested = after.unwrap_or_default().min(LONGEST_REQUESTED_PAUSE);
                    self.queue.sleep(shortened(pause).max(requested));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One request; `None` if the deadline of the end passes first.
    fn attempt(&mut self, request: &ExportTraceServiceRequest) -> Option<Answer> {
        let mut ended = self.ended.clone();
        let deadline = async {
            let deadline = ended.wait_for(Option::is_some).await.map(|deadline| *deadline);
            if let Ok(Some(deadline)) = deadline {
                tokio::time::sleep_until(deadline.into()).await;
            }
        };
        let transport = &mut self.transport;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = deadline => None,
                answer = transport.send(request) => Some(answer),
            }
        })
    }
}

struct Delivered {
    accepted: u64,
    error: Option<String>,
}

/// Between half and all of a pause.
fn shortened(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1024;
    pause / 2 + (pause / 2).mul_f64(random as f64 / 1024.0)
}

/// What the user was told of the receiver, so that each change is told once.
struct Health {
    receiver: String,
    /// Spans that the full queue had dropped when the receiver was found down.
    down_since: Option<u64>,
    has_refused: bool,
}

impl Health {
    fn new(receiver: String) -> Self {
        Self { receiver, down_since: None, has_refused: false }
    }

    fn is_down(&mut self, reason: &str, dropped: u64) {
        if self.down_since.is_none() {
            self.down_since = Some(dropped);
            let receiver = &self.receiver;
            warn!("OTLP receiver {receiver} takes no spans ({reason}); they wait in the queue");
        }
    }

    fn is_up(&mut self, dropped: u64) {
        if let Some(before) = self.down_since.take() {
            let (receiver, lost) = (&self.receiver, dropped.saturating_sub(before));
            info!(
                "OTLP receiver {receiver} takes spans again; {lost} did not fit the queue meanwhile"
            );
        }
    }

    fn refused(&mut self, spans: u64, reason: &str) {
        if !self.has_refused {
            self.has_refused = true;
            let receiver = &self.receiver;
            warn!(
                "OTLP receiver {receiver} refused {spans} spans: {reason}; more will only be counted"
            );
        }
    }
}

#[cfg(test)]
mod tests;
