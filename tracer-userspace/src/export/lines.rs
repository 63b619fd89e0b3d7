//! Lines to a file, a pipe or a terminal, by a thread of its own.
//! Takes finished lines without ever waiting for the reader; gives a [`Tally`].
//! A line is written whole or not at all, as far as the kernel lets us.

use std::{
    io::{self, Write},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tracing::warn;

use super::queue::{Batch, Bounds, Queue, Size, Tally};

/// What waits for a slow reader.
const BOUNDS: Bounds = Bounds { items: 16 << 10, bytes: 32 << 20 };

/// What is written between two looks at the queue.
const BATCH: Batch = Batch { size: Size { items: 256, bytes: 1 << 20 }, delay: Duration::ZERO };

/// Writes lines to one sink.
#[derive(Debug)]
pub struct Lines {
    queue: Arc<Queue<Vec<u8>>>,
    worker: Option<JoinHandle<()>>,
}

impl Lines {
    /// `name` is what the user is told the sink is called.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn start(name: &str, sink: Box<dyn Write + Send>) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(BOUNDS));
        let writer = Writer {
            queue: Arc::clone(&queue),
            sink,
            name: name.to_owned(),
            failed: false,
            torn: false,
        };
        let worker =
            std::thread::Builder::new().name("llmtap-output".to_owned()).spawn(|| writer.run())?;
        Ok(Self { queue, worker: Some(worker) })
    }

    /// Queues text that ends with a line feed, or counts it as lost where the queue is full.
    pub fn push(&self, text: Vec<u8>) {
        let size = Size::one(text.len());
        self.queue.push(text, size);
    }

    /// What became of everything so far; what waits is unsent.
    pub(super) fn tally(&self) -> Tally {
        self.queue.tally()
    }

    /// Waits for a slow reader, for as long as `patience`; false where it was not long enough.
    pub(super) fn wait_for_room(&self, patience: Duration) -> bool {
        self.queue.wait_for_room(patience)
    }

    /// Counts text that could not be made.
    pub fn refuse(&self) {
        self.queue.finished(Size::default(), |tally| tally.refused += 1);
    }

    /// Writes what is left, for as long as `time`, and tells what became of everything.
    pub fn finish(mut self, time: Duration) -> Tally {
        self.close(Instant::now() + time);
        self.queue.tally()
    }

    /// A reader that stopped reading keeps the thread in a system call: it is left there then.
    fn close(&mut self, deadline: Instant) {
        self.queue.close(deadline);
        let Some(worker) = self.worker.take() else { return };
        while !worker.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.close(Instant::now());
    }
}

struct Writer {
    queue: Arc<Queue<Vec<u8>>>,
    sink: Box<dyn Write + Send>,
    name: String,
    /// The user was told that writing fails.
    failed: bool,
    /// The last line may be there in part.
    torn: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            let batch = self.queue.take(BATCH);
            if batch.is_empty() {
                return;
            }
            for (line, size) in batch {
                let result = self.write(&line);
                self.queue.finished(size, |tally| match &result {
                    Ok(()) => tally.sent += 1,
                    Err(error) => {
                        tally.refused += 1;
                        tally.error = Some(error.to_string());
                    }
                });
                if let Err(error) = result {
                    self.tell(&error);
                }
            }
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        // What remained of a line must not spoil the next one.
        if self.torn {
            self.sink.write_all(b"\n")?;
        }
        self.torn = true;
        self.sink.write_all(line)?;
        self.sink.flush()?;
        self.torn = false;
        Ok(())
    }

    fn tell(&mut self, error: &io::Error) {
        if !self.failed {
            self.failed = true;
            warn!("cannot write calls to {}: {error}; what is lost is counted", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, sync::Mutex};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// Fails where the script says so, having taken that many bytes.
    #[derive(Clone, Default)]
    struct Flaky {
        taken: Arc<Mutex<Vec<u8>>>,
        script: Arc<Mutex<Vec<Option<usize>>>>,
    }

    impl Write for Flaky {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut script = self.script.lock().unwrap();
            let step = if script.is_empty() { None } else { script.remove(0) };
            match step {
                Some(0) => Err(io::Error::from(io::ErrorKind::StorageFull)),
                Some(part) => {
                    self.taken.lock().unwrap().extend_from_slice(&bytes[..part]);
                    Ok(part)
                }
                None => {
                    self.taken.lock().unwrap().extend_from_slice(bytes);
                    Ok(bytes.len())
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order() {
        let sink = Flaky::default();
        let lines = Lines::start("test", Box::new(sink.clone())).unwrap();
        for number in 0..1000 {
            lines.push(format!("{number}\n").into_bytes());
        }
        assert_eq!(lines.finish(LONG), Tally { sent: 1000, ..Tally::default() });
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(*sink.taken.lock().unwrap(), expected.as_bytes());
    }

    #[test]
    fn torn_lines_do_not_spoil_the_next() {
        let sink = Flaky::default();
        *sink.script.lock().unwrap() = vec![None, Some(2), Some(0), None];
        let lines = Lines::start("test", Box::new(sink.clone())).unwrap();
        for line in ["first\n", "second\n", "third\n"] {
            lines.push(line.into());
        }
        let tally = lines.finish(LONG);
        assert_eq!((tally.sent, tally.refused), (2, 1));
        assert!(tally.error.is_some());
        assert_eq!(*sink.taken.lock().unwrap(), b"first\nse\nthird\n");
    }

    #[test]
    fn full_disk_is_counted() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let lines = Lines::start("test", Box::new(full)).unwrap();
        lines.push(b"a\n".to_vec());
        lines.push(b"b\n".to_vec());
        let tally = lines.finish(LONG);
        assert_eq!((tally.sent, tally.refused), (0, 2));
        assert!(tally.error.unwrap().contains("No space left"));
    }

    #[test]
    fn reader_that_went_away_is_counted() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let lines = Lines::start("test", Box::new(writer)).unwrap();
        lines.push(b"a\n".to_vec());
        assert_eq!(lines.finish(LONG).refused, 1);
    }

    #[test]
    fn reader_that_stopped_does_not_block() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = Lines::start("test", Box::new(writer)).unwrap();
        let line = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
        for _ in 0..40 {
            lines.push(line.clone());
        }
        let start = Instant::now();
        let tally = lines.finish(Duration::from_millis(100));
        assert!(start.elapsed() < LONG);
        assert_eq!(tally.sent, 0);
        assert_eq!(tally.unsent + tally.queue_full, 40);
        assert!(tally.queue_full >= 8, "32 MiB hold no 33 of these: {tally:?}");
        reader.read_exact(&mut [0; 10]).unwrap();
    }
}
