//! The daemon: `llmtap run` with a configuration file, until it is told to end.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Attached, Lab, Protocol, Running, Span, differences, records, wait_until};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn configured_daemon_traces_and_flushes() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let receiver = lab.receiver(Protocol::Grpc)?;
    let go = lab.file("go");
    let mut client =
        lab.python("cases.py", &["waits", &server.port.to_string(), r#"{"id": "run", "n": 51}"#]);
    client.env("WAIT_FOR", &go);
    let client = Running::start(client)?;
    client.errors.wait_for(LIMIT, |line| line == "waiting")?;
    let (file, spans) = (lab.file("llmtap.yaml"), lab.file("spans.jsonl"));
    fs::write(
        &file,
        format!(
            "filters:\n  pid: [{}]\noutput:\n  format: otlp-json\n  file: {}\notlp:\n  \
             endpoint: {}\n  protocol: grpc\n",
            client.pid(),
            spans.display(),
            receiver.endpoint()
        ),
    )?;
    let daemon = Running::start(lab.llmtap(&["run", "--config", &file.to_string_lossy()]))?;
    daemon.errors.wait_for(Attached::READY, |line| line.starts_with("llmtap: ready"))?;
    fs::write(&go, "")?;
    let calls = records(&client.finish(LIMIT)?.success()?.output);
    wait_until("a span in the file", LIMIT, || {
        fs::read_to_string(&spans).ok().filter(|text| text.ends_with('\n'))
    })?;
    // As a service manager ends it.
    daemon.signal(Signal::TERM)?;
    let ended = daemon.finish(LIMIT)?;
    ensure!(ended.status.success(), "{}: {}", ended.status, ended.errors);
    for found in [Span::parse(&fs::read_to_string(&spans)?)?, receiver.spans()?] {
        let wrong = differences(&found, &calls);
        ensure!(wrong.is_empty(), "{wrong:#?}\n{}", ended.errors);
    }
    ensure!(ended.errors.contains("bytes lost"), "no summary: {}", ended.errors);
    calls.first().map(drop).context("no call")
}
