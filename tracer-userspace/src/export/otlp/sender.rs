//! One signal to one receiver: a bounded queue, and a worker that batches, sends and retries.
//! Takes messages with their process, without ever waiting; gives a [`Tally`].
//! While the receiver is down, messages stay in the queue, and the user is told once.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::watch};
use tracing::{info, warn};

use super::{
    settings::{OtlpError, OtlpSettings},
    signal::{Item, Signal},
    transport::{Answer, Transport},
};
use crate::{
    capture::ProcessId,
    discover::Process,
    export::{
        Resources, Tally,
        queue::{Batch, Queue, Size},
    },
};

/// Encoded bytes of a request's messages: gRPC receivers take 4 MiB unless told otherwise.
const REQUEST_BYTES: usize = 3 << 20;

/// Pauses between attempts: doubled from the first to the last, each shortened at random by up to
/// half so that many llmtaps do not return at once.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The longest that a receiver can ask to be left alone.
const LONGEST_REQUESTED_PAUSE: Duration = Duration::from_secs(60);

/// How long after the deadline of the end the worker may need to notice it.
const GRACE: Duration = Duration::from_millis(200);

/// Sends one signal.
#[derive(Debug)]
pub(super) struct Sender<M: Item> {
    queue: Arc<Queue<Queued<M>>>,
    /// When all must be over; `None` until the end.
    end: watch::Sender<Option<Instant>>,
    worker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queued<M> {
    message: M,
    process: Arc<Process>,
}

impl<M: Item> Sender<M> {
    /// Starts the worker, which waits outside of the runtime. The receiver need not be there yet.
    ///
    /// # Errors
    ///
    /// If the certificates are none, or a thread cannot be started.
    pub(super) fn start(
        settings: &OtlpSettings,
        resources: Arc<Resources>,
        runtime: &Handle,
    ) -> Result<Self, OtlpError> {
        let transport = {
            let _inside = runtime.enter();
            Transport::new(settings)?
        };
        let queue = Arc::new(Queue::new(settings.queue));
        let (end, ended) = watch::channel(None);
        let worker = Worker {
            queue: Arc::clone(&queue),
            batch: Batch {
                size: Size { items: settings.batch_items, bytes: REQUEST_BYTES },
                delay: settings.schedule_delay,
            },
            resources,
            transport,
            runtime: runtime.clone(),
            ended,
            health: Health::new(M::SIGNAL, settings.receiver()),
        };
        let worker = std::thread::Builder::new()
            .name(format!("otlp-{}", M::SIGNAL.word().to_ascii_lowercase()))
            .spawn(move || worker.run())
            .map_err(OtlpError::Thread)?;
        Ok(Self { queue, end, worker: Some(worker) })
    }

    /// Queues messages of a process, or counts them as lost where the queue is full.
    pub(super) fn push(&self, messages: impl IntoIterator<Item = M>, process: &Arc<Process>) {
        let queued = |message: M| {
            let size = Size { items: message.count(), bytes: message.encoded_len() };
            (Queued { message, process: Arc::clone(process) }, size)
        };
        self.queue.push_all(messages.into_iter().map(queued));
    }

    /// What became of everything so far; what waits is unsent.
    pub(super) fn tally(&self) -> Tally {
        self.queue.tally()
    }

    /// Waits for a slow receiver, for as long as `patience`; false where it was not long enough.
    pub(super) fn wait_for_room(&self, patience: Duration) -> bool {
        self.queue.wait_for_room(patience)
    }

    /// No more will come; what is left is sent until the deadline.
    pub(super) fn close(&self, deadline: Instant) {
        self.queue.close(deadline);
        self.end.send_replace(Some(deadline));
    }

    /// Waits for the worker of a sender that was closed, a little longer than the deadline; gives
    /// whether it is over.
    pub(super) fn join(&mut self, deadline: Instant) -> bool {
        let Some(worker) = self.worker.take() else { return true };
        while !worker.is_finished() && Instant::now() < deadline + GRACE {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !worker.is_finished() {
            return false;
        }
        if worker.join().is_err() {
            warn!("the thread that sends {} to the OTLP receiver failed", M::SIGNAL.items());
        }
        true
    }
}

struct Worker<M: Item> {
    queue: Arc<Queue<Queued<M>>>,
    batch: Batch,
    resources: Arc<Resources>,
    transport: Transport,
    runtime: Handle,
    ended: watch::Receiver<Option<Instant>>,
    health: Health,
}

impl<M: Item> Worker<M> {
    fn run(mut self) {
        loop {
            let batch = self.queue.take(self.batch);
            if batch.is_empty() {
                return;
            }
            let size: Size = batch.iter().map(|(_, size)| *size).sum();
            let request = self.request(batch);
            let items = u64::try_from(size.items).unwrap_or(u64::MAX);
            let Some(sent) = self.deliver(&request, items) else { return };
            self.queue.finished(size, |tally| {
                tally.sent += sent.accepted.min(items);
                tally.refused += items.saturating_sub(sent.accepted);
                tally.error = sent.error.or(tally.error.take());
            });
        }
    }

    /// One request for all services of the batch, each process under its own resource.
    fn request(&self, batch: Vec<(Queued<M>, Size)>) -> M::Request {
        let mut places: HashMap<ProcessId, usize> = HashMap::new();
        let mut groups: Vec<(Arc<Process>, Vec<M>)> = Vec::new();
        for (Queued { message, process }, _) in batch {
            let place = *places.entry(process.id).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, messages)) => messages.push(message),
                None => groups.push((process, vec![message])),
            }
        }
        let groups = groups.into_iter();
        M::request(groups.map(|(process, all)| (self.resources.of(&process), all)).collect())
    }

    /// Tries until the receiver has answered for good; `None` when time is up before.
    fn deliver(&mut self, request: &M::Request, items: u64) -> Option<Delivered> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(request)? {
                Answer::Accepted { rejected, words } => {
                    self.health.is_up(self.queue.tally().queue_full);
                    if rejected > 0 || !words.is_empty() {
                        self.health.refused(rejected, &words);
                    }
                    let error = (rejected > 0).then(|| format!("rejected: {words}"));
                    return Some(Delivered { accepted: items.saturating_sub(rejected), error });
                }
                Answer::Refused(reason) => {
                    self.health.refused(items, &reason);
                    return Some(Delivered { accepted: 0, error: Some(reason) });
                }
                Answer::Later { after, reason } => {
                    self.health.is_down(&reason, self.queue.tally().queue_full);
                    self.queue.finished(Size::default(), |tally| tally.error = Some(reason));
                    let requested = after.unwrap_or_default().min(LONGEST_REQUESTED_PAUSE);
                    self.queue.sleep(shortened(pause).max(requested));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One request; `None` if the deadline of the end passes first.
    fn attempt(&mut self, request: &M::Request) -> Option<Answer> {
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
                answer = transport.send::<M>(request) => Some(answer),
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
    signal: Signal,
    receiver: String,
    /// What the full queue had dropped when the receiver was found down.
    down_since: Option<u64>,
    has_refused: bool,
}

impl Health {
    fn new(signal: Signal, receiver: String) -> Self {
        Self { signal, receiver, down_since: None, has_refused: false }
    }

    fn is_down(&mut self, reason: &str, dropped: u64) {
        if self.down_since.is_none() {
            self.down_since = Some(dropped);
            let (receiver, items) = (&self.receiver, self.signal.items());
            warn!("OTLP receiver {receiver} takes no {items} ({reason}); they wait in the queue");
        }
    }

    fn is_up(&mut self, dropped: u64) {
        if let Some(before) = self.down_since.take() {
            let (receiver, items) = (&self.receiver, self.signal.items());
            let lost = dropped.saturating_sub(before);
            info!(
                "OTLP receiver {receiver} takes {items} again; {lost} did not fit the queue meanwhile"
            );
        }
    }

    fn refused(&mut self, count: u64, reason: &str) {
        if !self.has_refused {
            self.has_refused = true;
            let (receiver, items) = (&self.receiver, self.signal.items());
            // Many receivers take traces alone.
            let advice = match self.signal {
                Signal::Traces => String::new(),
                other => format!("; OTEL_{}_EXPORTER=none sends none", other.word()),
            };
            warn!(
                "OTLP receiver {receiver} refused {count} {items}: {reason}; more will only be \
                 counted{advice}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_in_their_range() {
        for _ in 0..1000 {
            let pause = shortened(LONGEST_PAUSE);
            assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&pause));
        }
    }
}
