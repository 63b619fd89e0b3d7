//! Programs that run beside a test, and what they print.
//! Takes a command; gives a [`Running`] whose output is collected, killed by its own id when dropped.
//! Every wait has an end.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(5);

/// Asks until there is an answer.
///
/// # Errors
/// There was none within `limit`.
pub fn wait_until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if started.elapsed() > limit {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

#[derive(Debug, Default)]
struct Collected {
    lines: Vec<String>,
    ended: bool,
}

/// Lines that come out of a pipe, collected by a thread of their own.
#[derive(Debug)]
pub struct Lines {
    shared: Arc<(Mutex<Collected>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn collect(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Collected::default()), Condvar::new()));
        let to = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let (collected, news) = &*to;
            let mut pipe = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while pipe.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
                bytes.clear();
                collected.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
                news.notify_all();
            }
            collected.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
            news.notify_all();
        });
        Self { shared, reader: Some(reader) }
    }

    /// Waits for a line and gives it.
    ///
    /// # Errors
    /// The pipe ended, or `limit` passed, without one: the error has what was printed instead.
    pub fn wait_for(&self, limit: Duration, fits: impl Fn(&str) -> bool) -> Result<String> {
        let (collected, news) = &*self.shared;
        let started = Instant::now();
        let mut state = collected.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = state.lines.iter().find(|line| fits(line)) {
                return Ok(line.clone());
            }
            let left = limit.saturating_sub(started.elapsed());
            if state.ended || left.is_zero() {
                let how = if state.ended { "ended" } else { "did not come" };
                bail!("the awaited line {how}; printed so far:\n{}", state.lines.join("\n"));
            }
            state = news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What came so far.
    pub fn text(&self) -> String {
        let (collected, _) = &*self.shared;
        collected.lock().unwrap_or_else(PoisonError::into_inner).lines.join("\n")
    }

    /// Everything, once the pipe has ended.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has nothing more to give.
            let _ = reader.join();
        }
        self.text()
    }
}

/// Does what may take a while, with a line that says what is going on, and how long it took.
///
/// # Errors
/// Those of the work.
pub fn tell<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprint!("• {what} … ");
    let started = Instant::now();
    let done = work();
    match &done {
        Ok(_) => eprintln!("{:.1} s", started.elapsed().as_secs_f64()),
        Err(_) => eprintln!("failed"),
    }
    done
}

/// A program that ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub output: String,
    pub errors: String,
    /// Most memory that it had resident (`VmHWM`), in KiB, as last seen before its end.
    pub peak_memory: u64,
}

impl Finished {
    /// # Errors
    /// It failed; the error has what it printed.
    pub fn success(self) -> Result<Self> {
        if !self.status.success() {
            bail!("ended with {}:\n{}\n{}", self.status, self.output, self.errors);
        }
        Ok(self)
    }
}

/// A program that runs; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    pub output: Lines,
    pub errors: Lines,
    peak_memory: u64,
}

impl Running {
    /// Without standard input.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null());
        Self::spawn(command)
    }

    /// With a pipe as standard input.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn start_with_input(mut command: Command) -> Result<(Self, ChildStdin)> {
        command.stdin(Stdio::piped());
        let mut running = Self::spawn(command)?;
        let input = running.child.stdin.take().context("a piped input is missing")?;
        Ok((running, input))
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        let output = child.stdout.take().context("a piped output is missing")?;
        let errors = child.stderr.take().context("a piped output is missing")?;
        Ok(Self {
            child,
            name,
            output: Lines::collect(output),
            errors: Lines::collect(errors),
            peak_memory: 0,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard output that is a port number.
    ///
    /// # Errors
    /// The program did not print one in time.
    pub fn port(&self) -> Result<u16> {
        let line = self
            .output
            .wait_for(Duration::from_secs(20), |line| line.parse::<u16>().is_ok())
            .with_context(|| format!("{} did not start: {}", self.name, self.errors.text()))?;
        line.parse().context("not a port")
    }

    /// # Errors
    /// The process does not exist any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("not a process id")?, signal)
            .with_context(|| format!("can't signal {}", self.name))
    }

    /// Memory that the program has resident at most so far, in KiB.
    pub fn peak_memory(&self) -> Option<u64> {
        self.status_kib("VmHWM:")
    }

    /// Memory that it has resident now, in KiB.
    pub fn resident_memory(&self) -> Option<u64> {
        self.status_kib("VmRSS:")
    }

    fn status_kib(&self, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// It did not end within `limit`; it is killed then.
    pub fn finish(mut self, limit: Duration) -> Result<Finished> {
        let what = format!("the end of {}", self.name);
        let waited = wait_until(&what, limit, || {
            self.peak_memory = self.peak_memory().unwrap_or(self.peak_memory);
            self.child.try_wait().ok().flatten()
        });
        let status = match waited {
            Ok(status) => status,
            Err(error) => {
                self.stop();
                let printed = format!("{}\n{}", self.output.text(), self.errors.text());
                return Err(error.context(printed));
            }
        };
        Ok(Finished {
            status,
            output: self.output.whole(),
            errors: self.errors.whole(),
            peak_memory: self.peak_memory,
        })
    }

    fn stop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
