//! `llmtap trace --record` and `llmtap record`, and `llmtap replay` of what they wrote: the same spans
//! as live, byte for byte, and no credential.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Finished, Lab, Model, Running, Span, Trace, differences, records};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(120);
/// `nobody`.
const UNPRIVILEGED: &str = "65534";

/// Replays a recording with these arguments; gives the lines that came to standard output.
fn replay(lab: &Lab, arguments: &[&str], recording: &Path, status: i32) -> Result<Finished> {
    let mut command = lab.llmtap(&["replay", "--output", "otlp-json"]);
    command.args(arguments).arg(recording);
    let ended = Running::start(command)?.finish(LIMIT)?;
    ensure!(ended.status.code() == Some(status), "{}: {}", ended.status, ended.errors);
    Ok(ended)
}

/// The same as another user, who may read the file and nothing else.
fn replay_unprivileged(lab: &Lab, arguments: &[&str], recording: &Path) -> Result<Finished> {
    let (binary, copy) = (lab.file("llmtap"), lab.file("copy.rec"));
    fs::copy(&lab.parts.llmtap, &binary)?;
    fs::copy(recording, &copy)?;
    for file in [&binary, &copy, lab.folder()] {
        fs::set_permissions(file, Permissions::from_mode(0o755))?;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups"]);
    command.arg(binary).args(["replay", "--output", "otlp-json"]).args(arguments).arg(copy);
    Running::start(command)?.finish(LIMIT)?.success()
}

/// Replay gives the lines of the live run, each time, and to whoever may read the file.
fn replays_as(lab: &Lab, arguments: &[&str], recording: &Path, live: &Trace) -> Result<()> {
    let lines = live.lines.trim_end();
    for _ in 0..2 {
        let replayed = replay(lab, arguments, recording, 0)?;
        ensure!(replayed.output == lines, "live:\n{lines}\nreplayed:\n{}", replayed.output);
    }
    let replayed = replay_unprivileged(lab, arguments, recording)?;
    ensure!(replayed.output == lines, "unprivileged:\n{}", replayed.output);
    Ok(())
}

#[test]
fn replay_of_the_demo_gives_its_spans() -> Result<()> {
    let lab = Lab::open()?;
    let model = Model::start(&lab)?;
    let front = model.behind_tls(&lab)?;
    let (recording, received) = (lab.file("demo.rec"), lab.file("records.jsonl"));
    let script = format!("set -e; {}", Model::ROUND);
    let url = format!("https://localhost:{}", front.port);
    let clients = Model::clients(&lab, &script, &url, &received);
    let tracer = lab.tracer().arg("--capture-content").arg("--record").arg(&recording);
    let live = tracer.run(&clients)?;
    ensure!(live.status.success(), "{}: {}", live.status, live.errors);
    live.nothing_lost()?;
    let received = records(&fs::read_to_string(received)?);
    ensure!(received.len() == Model::CALLS, "{received:#?}");
    let found = differences(&live.spans, &received);
    ensure!(found.is_empty(), "{found:#?}\n{}", live.errors);
    replays_as(&lab, &["--capture-content"], &recording, &live)?;
    // The keys were sent: each client's SDK demands one.
    ensure!(live.summary("credentials replaced").is_ok(), "{}", live.errors);
    let plain = zstd::decode_all(fs::File::open(&recording)?)?;
    let key = Model::KEY.as_bytes();
    ensure!(!plain.windows(key.len()).any(|part| part == key), "a key is in the recording");
    Ok(())
}

#[test]
fn replay_of_failed_calls_gives_their_spans() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let recording = lab.file("failed.rec");
    let mut command = lab.python("cases.py", &[]);
    let program = command.get_args().next().context("no program")?.to_owned();
    let calls = [
        ("plain", r#"{"id": "whole", "n": 1, "delay_ms": 5}"#),
        ("leave", r#"{"id": "left", "n": 2, "chunks": 100, "delay_ms": 20}"#),
        ("plain", r#"{"id": "reset", "n": 3, "end": "reset", "after": 4}"#),
        ("plain", r#"{"id": "close", "n": 4, "end": "close", "after": 4}"#),
        ("plain", r#"{"id": "event", "n": 5, "end": "error", "after": 4}"#),
        ("plain", r#"{"id": "limit", "n": 6, "status": 429, "stream": false}"#),
        ("execute", r#"{"id": "exec", "n": 7, "chunks": 100, "delay_ms": 20}"#),
        ("child_reads", r#"{"id": "shared", "n": 8, "delay_ms": 5}"#),
    ];
    let mut script = String::new();
    for (case, call) in calls {
        script += &format!("\"$0\" \"$1\" {case} {} '{call}'\n", server.port);
    }
    let python = command.get_program().to_owned();
    let variables: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = Command::new("sh");
    command.args(["-c", &script]).arg(python).arg(program).envs(variables);
    let live = lab.tracer().arg("--record").arg(&recording).run(&command)?;
    ensure!(live.spans.len() == calls.len(), "{:#?}\n{}", live.spans, live.errors);
    let errors: Vec<_> = live.spans.iter().filter_map(|span| span.text("error.type")).collect();
    for error in ["cancelled", "connection_reset", "connection_closed", "rate_limit_exceeded"] {
        ensure!(errors.contains(&error), "{errors:?}");
    }
    replays_as(&lab, &[], &recording, &live)?;
    let replayed = replay(&lab, &["--real-time"], &recording, 0)?;
    ensure!(replayed.output == live.lines.trim_end(), "in real time:\n{}", replayed.output);
    Ok(())
}

#[test]
fn replay_shows_what_was_recorded() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let recording = lab.file("calls.rec");
    let call = r#"{"id": "recorded", "n": 21, "chunks": 5, "delay_ms": 1,
        "headers": {"authorization": "Bearer sk-secret"},
        "path": "/v1/chat/completions?api_key=secret"}"#;
    let program = lab.python("cases.py", &["plain", &server.port.to_string(), call]);
    let ended = Running::start(lab.recorder(&recording, &program))?.finish(LIMIT)?;
    ensure!(ended.status.success(), "{}: {}", ended.status, ended.errors);
    let lines = replay(&lab, &[], &recording, 0)?.output;
    let found = differences(&Span::parse(&lines)?, &records(&ended.output));
    ensure!(found.is_empty(), "{found:#?}\n{}", ended.errors);
    let kept = ended.errors.lines().find(|line| line.contains("plaintext recorded"));
    let kept = kept.with_context(|| ended.errors.clone())?;
    // `Bearer sk-secret` and `secret`, with the space before the first.
    ensure!(kept.contains("23 bytes of credentials replaced"), "{kept}");
    ensure!(replay(&lab, &[], &recording, 0)?.output == lines, "another replay, other spans");
    Ok(())
}

#[test]
fn killed_recorder_leaves_what_it_had() -> Result<()> {
    let lab = Lab::open()?;
    let file = lab.file("killed.rec");
    let recording = file.to_string_lossy();
    let pid = std::process::id().to_string();
    let recorder = Running::start(lab.llmtap(&["record", "-o", &recording, "--pid", &pid]))?;
    recorder.errors.wait_for(LIMIT, |line| line.starts_with("llmtap: ready"))?;
    recorder.signal(Signal::KILL)?;
    recorder.finish(LIMIT)?;
    let ended = replay(&lab, &[], &file, 1)?;
    ensure!(ended.errors.contains("ends in the middle"), "{}", ended.errors);
    Ok(())
}

/// A file system of its own, of a few pages.
struct Small(PathBuf);

impl Small {
    fn mount(lab: &Lab) -> Result<Self> {
        let folder = lab.file("small");
        fs::create_dir(&folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&folder);
        Running::start(mount)?.finish(LIMIT)?.success()?;
        Ok(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, should a file of it still be open. What failed is seen when the lab is removed.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn full_disk_ends_the_recording_alone() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let small = Small::mount(&lab)?;
    let recording = small.0.join("full.rec");
    let load = r#"{"chunks": 20, "delay_ms": 20, "body_bytes": 20000}"#;
    let program = lab.python("load_threads.py", &[&server.port.to_string(), "10", "20", load]);
    let live = lab.tracer().arg("--record").arg(&recording).run(&program)?;
    // Not the program's: the recording is not whole.
    ensure!(live.status.code() == Some(1), "{}: {}", live.status, live.errors);
    let calls = records(&live.output);
    ensure!(calls.len() == 200, "{}", calls.len());
    let found = differences(&live.spans, &calls);
    ensure!(found.is_empty(), "{found:#?}\n{}", live.errors);
    let told = live.summary("it breaks off")?;
    ensure!(
        told.contains("No space left on device") && told.contains("events are missing"),
        "{told}"
    );
    let replayed = replay(&lab, &[], &recording, 1)?;
    ensure!(replayed.errors.contains("was replayed in part"), "{}", replayed.errors);
    // Calls that were over when it broke off are the same; the others have not ended.
    let whole = |span: &&Span| span.attribute("llmtap.ended").is_none();
    for span in Span::parse(&replayed.output)?.iter().filter(whole) {
        let same = live.spans.iter().find(|live| live.span_id == span.span_id);
        ensure!(same.is_some_and(|live| live.attributes == span.attributes), "{span:#?}");
    }
    Ok(())
}

#[test]
fn file_that_cannot_be_made_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    for (path, why) in [("/dev/full", "No space left"), ("/proc/none/file", "No such file")] {
        for command in ["record", "trace"] {
            let flag = if command == "record" { "--output" } else { "--record" };
            let arguments = [command, flag, path, "--", "true"];
            let ended = Running::start(lab.llmtap(&arguments))?.finish(LIMIT)?;
            ensure!(ended.status.code() == Some(2), "{command} {path}: {}", ended.errors);
            let told = format!("cannot write to {path}");
            ensure!(ended.errors.contains(&told) && ended.errors.contains(why), "{}", ended.errors);
        }
    }
    Ok(())
}
