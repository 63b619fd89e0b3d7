//! One step of a chore, as the user sees it: a line when it starts, signs of life, a line at its end.
//! Takes a command (its output goes to a log file) or a question to ask until it has an answer.
//! A failure shows the end of the log and says where the rest is.

use std::{
    fs::{self, File},
    io::{IsTerminal, Write},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const TICK: Duration = Duration::from_millis(100);
/// On a terminal the spinner shows life; elsewhere a line does, this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(15);
/// Steps shorter than this are not worth a time.
const WORTH_TELLING: Duration = Duration::from_secs(2);
/// Lines of a failed step's log that are shown.
const LOG_TAIL: usize = 30;

/// Signs of life of one step on stderr.
struct Indicator<'a> {
    what: &'a str,
    started: Instant,
    last_line: Instant,
    terminal: bool,
    frame: usize,
}

impl<'a> Indicator<'a> {
    fn start(what: &'a str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        if !terminal {
            eprintln!("• {what}");
        }
        Self { what, started: Instant::now(), last_line: Instant::now(), terminal, frame: 0 }
    }

    fn tick(&mut self) {
        let seconds = self.started.elapsed().as_secs();
        if self.terminal {
            self.frame = (self.frame + 1) % FRAMES.len();
            eprint!("\r\x1b[2K{} {} {seconds} s", FRAMES[self.frame], self.what);
            let _ = std::io::stderr().flush();
        } else if self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            eprintln!("  still: {} ({seconds} s)", self.what);
        }
    }

    fn finish(self, good: bool) {
        let took = self.started.elapsed();
        let time =
            if took >= WORTH_TELLING { format!(" ({} s)", took.as_secs()) } else { String::new() };
        let mark = if good { "✓" } else { "✗" };
        if self.terminal {
            eprintln!("\r\x1b[2K{mark} {}{time}", self.what);
        } else if !good || !time.is_empty() {
            eprintln!("{mark} {}{time}", self.what);
        }
    }
}

/// Runs `command` to its end with its output in `<target>/log/<name>.log`.
///
/// # Errors
/// The command could not be started, or it failed: the error holds the end of its output.
pub(crate) fn run(
    workspace: &Workspace,
    name: &str,
    what: &str,
    command: &mut Command,
) -> Result<()> {
    let log = workspace.target(&format!("log/{name}.log"));
    let status = watch(what, command, &log)?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n    ");
    bail!(
        "{what} failed: {} ended with {status}. Its last words:\n    {tail}\n(all of them: {})",
        command.get_program().to_string_lossy(),
        log.display()
    )
}

fn watch(what: &str, command: &mut Command, log: &Path) -> Result<ExitStatus> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let output = File::create(log).with_context(|| format!("can't write {}", log.display()))?;
    let errors = output.try_clone()?;
    let mut indicator = Indicator::start(what);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("can't start {}", command.get_program().to_string_lossy()))?;
    loop {
        if let Some(status) = child.try_wait()? {
            indicator.finish(status.success());
            return Ok(status);
        }
        indicator.tick();
        thread::sleep(TICK);
    }
}

/// Runs `command` with its output shown as it comes; for tools that show progress themselves.
///
/// # Errors
/// It could not be started or failed.
pub(crate) fn show(what: &str, command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{what}: can't start {program}"))?;
    if !status.success() {
        bail!("{what} failed: {program} ended with {status}, see above");
    }
    Ok(())
}

/// What a command prints on standard output, trimmed, if it runs and succeeds.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
