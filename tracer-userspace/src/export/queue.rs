//! A bounded queue between the pipeline and one output, and the count of what the output lost.
//! Takes items with their size, never waiting for room; gives them in order to one worker.
//! What the worker has taken and not finished still takes room, so that the bound is a bound on
//! memory also while a receiver is down.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What a queue may hold, waiting and under way together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub items: usize,
    /// Bytes in the form that is sent.
    pub bytes: usize,
}

/// How much of a queue something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub items: usize,
    /// Bytes in the form that is sent.
    pub bytes: usize,
}

impl Size {
    /// One item.
    pub(super) fn one(bytes: usize) -> Self {
        Self { items: 1, bytes }
    }

    fn exceeds(self, bounds: Bounds) -> bool {
        self.items > bounds.items || self.bytes > bounds.bytes
    }
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            items: self.items.saturating_add(other.items),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), |sum, size| sum + size)
    }
}

/// What became of the items that were given to an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Written, or accepted by the receiver.
    pub sent: u64,
    /// Dropped since the queue was full.
    pub queue_full: u64,
    /// Refused by the receiver, or not written because of an error.
    pub refused: u64,
    /// Still in the queue when time was up at the end.
    pub unsent: u64,
    /// The last failure, in words.
    pub error: Option<String>,
}

impl Tally {
    pub fn lost(&self) -> u64 {
        self.queue_full + self.refused + self.unsent
    }

    /// `2 did not fit the queue, 1 refused (403 Forbidden)`.
    pub fn write_causes(&self, text: &mut impl fmt::Write) -> fmt::Result {
        let causes = [
            (self.queue_full, "did not fit the queue"),
            (self.refused, "refused"),
            (self.unsent, "not sent in time"),
        ];
        for (index, (count, cause)) in causes.iter().filter(|(count, _)| *count > 0).enumerate() {
            let lead = if index == 0 { "" } else { ", " };
            write!(text, "{lead}{count} {cause}")?;
        }
        match &self.error {
            Some(error) if self.lost() > 0 => write!(text, " ({error})"),
            _ => Ok(()),
        }
    }
}

/// `12 sent, 3 lost: 2 did not fit the queue, 1 refused (403 Forbidden)`.
impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} sent, {} lost", self.sent, self.lost())?;
        if self.lost() == 0 {
            return Ok(());
        }
        formatter.write_str(": ")?;
        self.write_causes(formatter)
    }
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    bounds: Bounds,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(T, Size)>,
    /// Waiting and under way.
    held: Size,
    /// No more will come; what is here is to be sent before this moment.
    deadline: Option<Instant>,
    tally: Tally,
}

/// What to take at once, and how long to wait for that much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// Of all together; a single larger one is taken alone.
    pub size: Size,
    pub delay: Duration,
}

impl<T> Queue<T> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            held: Size::default(),
            deadline: None,
            tally: Tally::default(),
        };
        Self { bounds, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Appends, or counts it as lost where there is no room; tells which.
    pub(super) fn push(&self, item: T, size: Size) -> bool {
        self.push_all([(item, size)])
    }

    /// As [`Queue::push`] for each, before the worker takes any of them; tells whether all had room.
    pub(super) fn push_all(&self, items: impl IntoIterator<Item = (T, Size)>) -> bool {
        let mut all = true;
        let mut state = self.lock();
        for (item, size) in items {
            if (state.held + size).exceeds(self.bounds) || state.deadline.is_some() {
                state.tally.queue_full += u64::try_from(size.items).unwrap_or(u64::MAX);
                all = false;
            } else {
                state.waiting.push_back((item, size));
                state.held = state.held + size;
            }
        }
        drop(state);
        self.changed.notify_all();
        all
    }

    /// Waits for a full batch, or until `delay` after there was anything at all, or for the end.
    /// Empty when the queue is closed and nothing is left, or time is up.
    pub(super) fn take(&self, batch: Batch) -> Vec<(T, Size)> {
        let mut state = self.lock();
        while state.waiting.is_empty() && state.deadline.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let full_by = Instant::now() + batch.delay;
        // A full queue gets no fuller, whatever the batch.
        let full = Size {
            items: batch.size.items.min(self.bounds.items),
            bytes: batch.size.bytes.min(self.bounds.bytes),
        };
        while state.deadline.is_none()
            && state.held.items < full.items
            && state.held.bytes < full.bytes
        {
            let left = full_by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Vec::new();
        }
        let bounds = Bounds { items: batch.size.items, bytes: batch.size.bytes };
        let mut sum = Size::default();
        let mut taken = Vec::new();
        while let Some((_, size)) = state.waiting.front() {
            sum = sum + *size;
            if sum.exceeds(bounds) && !taken.is_empty() {
                break;
            }
            taken.extend(state.waiting.pop_front());
        }
        taken
    }

    /// Gives back the room of items that were taken, and counts what became of them.
    pub(super) fn finished(&self, size: Size, count: impl FnOnce(&mut Tally)) {
        let mut state = self.lock();
        state.held = Size {
            items: state.held.items.saturating_sub(size.items),
            bytes: state.held.bytes.saturating_sub(size.bytes),
        };
        count(&mut state.tally);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits, for as long as `patience`, until the queue is at most half full; tells whether it is.
    pub(super) fn wait_for_room(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        let half = Bounds { items: self.bounds.items / 2, bytes: self.bounds.bytes / 2 };
        while state.held.exceeds(half) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.deadline.is_some() {
                return false;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Sleeps for that long, or less if the queue is closed meanwhile; never past the deadline.
    pub(super) fn sleep(&self, duration: Duration) {
        let was_open = self.lock().deadline.is_none();
        let until = Instant::now() + duration;
        let mut state = self.lock();
        loop {
            let until = state.deadline.map_or(until, |deadline| until.min(deadline));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || (was_open && state.deadline.is_some()) {
                return;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes no more; what is here is to be finished before `deadline`.
    pub(super) fn close(&self, deadline: Instant) {
        self.lock().deadline.get_or_insert(deadline);
        self.changed.notify_all();
    }

    /// The count so far, with everything that was not finished as unsent.
    pub(super) fn tally(&self) -> Tally {
        let state = self.lock();
        let unsent = u64::try_from(state.held.items).unwrap_or(u64::MAX);
        Tally { unsent, ..state.tally.clone() }
    }

    /// A panic elsewhere leaves the queue usable: each change of it is complete in itself.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn queue(items: usize, bytes: usize) -> Queue<u32> {
        Queue::new(Bounds { items, bytes })
    }

    fn batch(items: usize, bytes: usize) -> Batch {
        Batch { size: Size { items, bytes }, delay: Duration::ZERO }
    }

    fn numbers(taken: &[(u32, Size)]) -> Vec<u32> {
        taken.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn items_come_out_in_order() {
        let queue = queue(10, 100);
        for number in 0..5 {
            assert!(queue.push(number, Size::one(10)));
        }
        assert_eq!(numbers(&queue.take(batch(3, 100))), [0, 1, 2]);
        assert_eq!(numbers(&queue.take(batch(3, 100))), [3, 4]);
    }

    #[test]
    fn full_queue_drops_and_counts() {
        let queue = queue(2, 100);
        assert!(queue.push(1, Size::one(1)) && queue.push(2, Size::one(1)));
        assert!(!queue.push(3, Size::one(1)));
        assert_eq!(queue.tally(), Tally { queue_full: 1, unsent: 2, ..Tally::default() });
    }

    #[test]
    fn tally_is_told_in_a_sentence() {
        let mut tally = Tally { sent: 12, ..Tally::default() };
        tally.error = Some("403 Forbidden".into());
        assert_eq!(tally.to_string(), "12 sent, 0 lost");
        (tally.queue_full, tally.refused) = (2, 1);
        assert_eq!(
            tally.to_string(),
            "12 sent, 3 lost: 2 did not fit the queue, 1 refused (403 Forbidden)"
        );
    }

    #[test]
    fn bytes_are_bounded_too() {
        let queue = queue(10, 100);
        assert!(queue.push(1, Size::one(60)));
        assert!(!queue.push(2, Size::one(41)));
        assert!(queue.push(3, Size::one(40)));
        assert!(!queue.push(4, Size::one(usize::MAX)));
        assert_eq!(queue.tally().queue_full, 2);
    }

    #[test]
    fn items_under_way_keep_their_room() {
        let queue = queue(2, 100);
        assert!(queue.push(1, Size::one(50)) && queue.push(2, Size::one(50)));
        assert_eq!(queue.take(batch(2, 100)).len(), 2);
        assert!(!queue.push(3, Size::one(1)));
        queue.finished(Size { items: 2, bytes: 100 }, |tally| tally.sent += 2);
        assert!(queue.push(4, Size::one(1)));
        assert_eq!(queue.tally(), Tally { sent: 2, queue_full: 1, unsent: 1, ..Tally::default() });
    }

    #[test]
    fn batches_are_bounded_in_bytes() {
        let queue = queue(10, 1000);
        for (number, size) in [(1, 40), (2, 40), (3, 40), (4, 500), (5, 1)] {
            assert!(queue.push(number, Size::one(size)));
        }
        assert_eq!(numbers(&queue.take(batch(10, 100))), [1, 2]);
        assert_eq!(numbers(&queue.take(batch(10, 100))), [3]);
        assert_eq!(numbers(&queue.take(batch(10, 100))), [4]);
        assert_eq!(numbers(&queue.take(batch(10, 100))), [5]);
    }

    #[test]
    fn patient_pusher_gets_room() {
        let queue = Arc::new(queue(2, 100));
        assert!(queue.push(1, Size::one(10)) && queue.push(2, Size::one(10)));
        assert!(!queue.wait_for_room(SOON));
        let pusher = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.wait_for_room(Duration::from_secs(30)) && queue.push(3, Size::one(10))
        });
        assert_eq!(queue.take(batch(1, 100)).len(), 1);
        assert!(!pusher.is_finished());
        queue.finished(Size { items: 1, bytes: 10 }, |tally| tally.sent += 1);
        assert!(pusher.join().unwrap());
    }

    #[test]
    fn delay_gathers_a_batch() {
        let queue = Arc::new(queue(10, 100));
        let worker = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.take(Batch {
                    size: Size { items: 2, bytes: 100 },
                    delay: Duration::from_secs(30),
                })
            }
        });
        assert!(queue.push(1, Size::one(1)));
        thread::sleep(SOON);
        assert!(!worker.is_finished());
        assert!(queue.push(2, Size::one(1)));
        assert_eq!(numbers(&worker.join().unwrap()), [1, 2]);
    }

    #[test]
    fn close_ends_waiting_and_sleeping() {
        let queue = Arc::new(queue(10, 100));
        let taker = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.take(batch(1, 100))
        });
        let sleeper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.sleep(Duration::from_secs(30))
        });
        thread::sleep(SOON);
        queue.close(Instant::now() + Duration::from_secs(30));
        assert!(taker.join().unwrap().is_empty());
        sleeper.join().unwrap();
        assert!(!queue.push(1, Size::one(1)));
    }

    #[test]
    fn closed_queue_is_emptied_until_the_deadline() {
        let queue = queue(10, 100);
        assert!(queue.push(1, Size::one(1)) && queue.push(2, Size::one(1)));
        queue.close(Instant::now() + SOON);
        assert_eq!(numbers(&queue.take(batch(1, 100))), [1]);
        queue.sleep(Duration::from_secs(30));
        assert!(queue.take(batch(1, 100)).is_empty());
        queue.finished(Size { items: 1, bytes: 1 }, |tally| tally.sent += 1);
        assert_eq!(queue.tally(), Tally { sent: 1, unsent: 1, ..Tally::default() });
    }

    #[test]
    fn items_count_by_their_size() {
        let queue = queue(10, 100);
        let of = |items| Size { items, bytes: 1 };
        assert!(queue.push(1, of(6)));
        assert!(!queue.push_all([(2, of(5)), (3, of(4))]), "the first has no room, the second has");
        assert_eq!(queue.tally(), Tally { queue_full: 5, unsent: 10, ..Tally::default() });
        assert_eq!(numbers(&queue.take(batch(5, 100))), [1], "a larger one is taken alone");
        assert_eq!(numbers(&queue.take(batch(5, 100))), [3]);
        queue.finished(of(10), |tally| tally.sent += 10);
        assert_eq!(queue.tally(), Tally { sent: 10, queue_full: 5, ..Tally::default() });
    }
}
