//! `llmtap record`, and `llmtap replay` of what it wrote: the same calls, and no credential.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Finished, Lab, Running, Span, differences, records};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(60);

fn replay(lab: &Lab, recording: &str, status: i32) -> Result<(String, Finished)> {
    let spans = lab.file("replayed.jsonl");
    let path = spans.to_string_lossy();
    let arguments = ["replay", "--output", "otlp-json", "--output-file", &path, recording];
    let ended = Running::start(lab.llmtap(&arguments))?.finish(LIMIT)?;
    ensure!(ended.status.code() == Some(status), "{}: {}", ended.status, ended.errors);
    Ok((fs::read_to_string(spans)?, ended))
}

#[test]
fn replay_shows_what_was_recorded() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let file = lab.file("calls.rec");
    let recording = file.to_string_lossy();
    let call = r#"{"id": "recorded", "n": 21, "chunks": 5, "delay_ms": 1,
        "headers": {"authorization": "Bearer sk-secret"},
        "path": "/v1/chat/completions?api_key=secret"}"#;
    let program = lab.python("cases.py", &["plain", &server.port.to_string(), call]);
    let mut command = lab.llmtap(&["record", "-o", &recording, "--"]);
    command.arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Running::start(command)?.finish(LIMIT)?;
    ensure!(ended.status.success(), "{}: {}", ended.status, ended.errors);
    let (lines, _) = replay(&lab, &recording, 0)?;
    let found = differences(&Span::parse(&lines)?, &records(&ended.output));
    ensure!(found.is_empty(), "{found:#?}\n{}", ended.errors);
    let kept = ended.errors.lines().find(|line| line.contains("plaintext recorded"));
    let kept = kept.with_context(|| ended.errors.clone())?;
    // `Bearer sk-secret` and `secret`, with the space before the first.
    ensure!(kept.contains("23 bytes of credentials replaced"), "{kept}");
    ensure!(replay(&lab, &recording, 0)?.0 == lines, "another replay, other spans");
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
    let (_, ended) = replay(&lab, &recording, 1)?;
    ensure!(ended.errors.contains("ends in the middle"), "{}", ended.errors);
    Ok(())
}
